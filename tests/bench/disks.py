# SPDX-License-Identifier: Apache-2.0
"""What a read of 4 KiB costs, beside Linux from a program's system call to its return.

In QEMU, with one tick for each instruction: the disks are QEMU's, of zeros, and their work takes
none. How many reads end with one interrupt depends on the host, so figures differ by some percent.
"""
import statistics
import tempfile
from pathlib import Path

import bochs
import peer
from machine import Machine

KERNEL = bochs.BUILD / "kernel-tests/disk_check.elf"
LINUX_INIT = bochs.FOLDER / "disks-init"
KINDS = {
    "nvme": ["-device", "nvme,serial=1,drive=disk"],
    "ahci": ["-device", "ide-hd,drive=disk,bus=ide.0"],
    "virtio-blk": ["-device", "virtio-blk-pci,drive=disk"],
}
DISK = ["-blockdev", "driver=null-co,size=16777216,read-zeroes=on,node-name=disk"]


def run(extra, **options):
    """Ticks for a read alone, and for one of 32 at a time."""
    with Machine("qemu", cpus=1, icount=True, board="q35", nic=False, reboots=False, extra=[*DISK, *extra],
                 **options) as machine:
        return [int(machine.wait_serial(rf"reads, {depth} at a time: (\d+) ticks each", peer.TIMEOUT_S)[1])
                for depth in (1, 32)]


def billet(kind):
    return run(KINDS[kind], kernel=KERNEL, cmdline="panic=poweroff disk-check=reads mitigations=off")


def linux(kind):
    with tempfile.TemporaryDirectory(prefix="disks-", dir=bochs.FOLDER) as folder:
        return run(KINDS[kind], kernel=peer.KERNEL, cmdline=peer.CMDLINE, mem_mib=512,
                   node_conf=peer.initrd(kind, LINUX_INIT, Path(folder) / "initrd"))


def middle(kind, take):
    """Of three runs: of a busy host's, one may be far off."""
    return [statistics.median(values) for values in zip(*(take(kind) for _ in range(3)))]


def measure(figures):
    for kind in KINDS:
        for name, here, there in zip(("alone", "32 at a time"), middle(kind, billet), middle(kind, linux)):
            figures.add(f"{kind}: read of 4 KiB, {name}", here, "ticks", there)
