# SPDX-License-Identifier: Apache-2.0
"""What a frame costs between the switch's port and the card, beside Linux between program and card.

In QEMU, with one tick for each instruction: the cards are QEMU's, their work takes none.
"""
import sys
import tempfile
from pathlib import Path

import bochs
import peer

sys.path.insert(0, str(bochs.REPO / "tests/system/lib"))
import machine as machines  # noqa: E402
from wire import Wire  # noqa: E402

KERNEL = bochs.BUILD / "kernel-tests/nics.elf"
LINUX_INIT = bochs.FOLDER / "nics-init"
CARDS = {"virtio-net": "virtio-net-pci", "e1000": "e1000", "e1000e": "e1000e", "igb": "igb"}
NR_FLOW_FRAMES = 400


def run(card, folder, **options):
    """Ticks for a send of 60 bytes, of 1514 bytes, and for a frame received."""
    wire = Wire(Path(folder) / "wire")
    extra = ["-netdev", f"stream,id=wire,server=off,addr.type=unix,addr.path={wire.path}",
             "-device", f"{card},netdev=wire"]
    try:
        with machines.Machine("qemu", cpus=1, icount=True, board="q35", nic=False, extra=extra, reboots=False,
                              **options) as machine:
            sends = [int(machine.wait_serial(rf"nics: send of {size} bytes: (\d+) ticks$", peer.TIMEOUT_S)[1])
                     for size in (60, 1514)]
            received = [machine.wait_serial(r"nics: received (\d+): (\d+) ticks each$", peer.TIMEOUT_S)
                        for _ in range(3)]
    finally:
        wire.close()
    whole = [int(found[2]) for found in received if int(found[1]) == NR_FLOW_FRAMES]
    return (*sends, sorted(whole)[len(whole) // 2] if whole else None)


def billet(card, folder):
    return run(CARDS[card], folder, kernel=KERNEL, cmdline="panic=poweroff nics=count mitigations=off")


def linux(card, folder):
    return run(CARDS[card], folder, kernel=peer.KERNEL, cmdline=peer.CMDLINE, mem_mib=512,
               node_conf=peer.initrd(card, LINUX_INIT, Path(folder) / "initrd"))


def measure(figures):
    names = ("send of 60 bytes", "send of 1514 bytes", "receive of 118 bytes")
    with tempfile.TemporaryDirectory(prefix="nics-", dir=bochs.FOLDER) as folder:
        for card in CARDS:
            for name, here, there in zip(names, billet(card, folder), linux(card, folder)):
                figures.add(f"{card}: {name}", here, "ticks", there)
