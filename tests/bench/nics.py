# SPDX-License-Identifier: Apache-2.0
"""What a frame costs between the switch's port and the card, beside Linux between program and card.

In QEMU, with one tick for each instruction: the cards are QEMU's, their work takes none. Only
virtio-net is there for both, as Debian's cloud kernel has no driver for Intel's.
"""
import re
import sys
import tempfile
from pathlib import Path

import bochs

sys.path.insert(0, str(bochs.REPO / "tests/system/lib"))
import machine as machines  # noqa: E402
from wire import Wire  # noqa: E402

KERNEL = bochs.BUILD / "kernel-tests/nics.elf"
LINUX, LINUX_INITRD = bochs.BUILD / "guest/vmlinuz", bochs.BUILD / "guest/initrd.img"
LINUX_INIT = bochs.FOLDER / "nics-init"
LINUX_CMDLINE = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests=1 initcall_blacklist=jent_mod_init"
CARDS = {"virtio-net": "virtio-net-pci", "e1000": "e1000", "e1000e": "e1000e", "igb": "igb"}
TIMEOUT_S = 120
NR_FLOW_FRAMES = 400


def archive(name, data):
    """One file, as an archive that the kernel unpacks over those before it."""
    def entry(path, mode, content):
        fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path + b"\0"
        return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
    return entry(name, 0o100755, data) + entry(b"TRAILER!!!", 0, b"")


def run(card, folder, **options):
    """Ticks for a send of 60 bytes, of 1514 bytes, and for a frame received."""
    wire = Wire(Path(folder) / "wire")
    extra = ["-netdev", f"stream,id=wire,server=off,addr.type=unix,addr.path={wire.path}",
             "-device", f"{card},netdev=wire"]
    try:
        with machines.Machine("qemu", cpus=1, icount=True, board="q35", nic=False, extra=extra, reboots=False,
                              **options) as machine:
            sends = [int(machine.wait_serial(rf"nics: send of {size} bytes: (\d+) ticks$", TIMEOUT_S)[1])
                     for size in (60, 1514)]
            received = [machine.wait_serial(r"nics: received (\d+): (\d+) ticks each$", TIMEOUT_S)
                        for _ in range(3)]
    finally:
        wire.close()
    whole = [int(found[2]) for found in received if int(found[1]) == NR_FLOW_FRAMES]
    return (*sends, sorted(whole)[len(whole) // 2] if whole else None)


def linux(folder):
    initrd = Path(folder) / "initrd"
    old = LINUX_INITRD.read_bytes()
    initrd.write_bytes(old + bytes(-len(old) % 512) + archive(b"init", LINUX_INIT.read_bytes()))
    return run(CARDS["virtio-net"], folder, kernel=LINUX, node_conf=initrd, cmdline=LINUX_CMDLINE, mem_mib=256)


def measure(figures):
    names = ("send of 60 bytes", "send of 1514 bytes", "receive of 118 bytes")
    with tempfile.TemporaryDirectory(prefix="nics-", dir=bochs.FOLDER) as folder:
        peers = {"virtio-net": linux(folder)}
        for card, device in CARDS.items():
            ours = run(device, folder, kernel=KERNEL, cmdline="panic=poweroff nics=count mitigations=off")
            for name, here, there in zip(names, ours, peers.get(card, (None,) * 3)):
                figures.add(f"{card}: {name}", here, "ticks", there)
