# SPDX-License-Identifier: Apache-2.0
"""What a read of 4 KiB costs, beside Linux from a program's system call to its return.

In QEMU, with one tick for each instruction: the disks are QEMU's, of zeros, and their work takes
none. How many reads end with one interrupt depends on the host, so figures differ by some percent.
"""
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


def linux(kind, extra):
    with tempfile.TemporaryDirectory(prefix="disks-", dir=bochs.FOLDER) as folder:
        return run(extra, kernel=peer.KERNEL, cmdline=peer.CMDLINE, mem_mib=512,
                   node_conf=peer.initrd(kind, LINUX_INIT, Path(folder) / "initrd"))


def measure(figures):
    for kind, extra in KINDS.items():
        ours = run(extra, kernel=KERNEL, cmdline="panic=poweroff disk-check=reads mitigations=off")
        for name, here, there in zip(("alone", "32 at a time"), ours, linux(kind, extra)):
            figures.add(f"{kind}: read of 4 KiB, {name}", here, "ticks", there)
