#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All CPUs at once on disks of all kinds: what each wrote is what it reads, nothing is lost, and where
a disk has a queue for each CPU, requests end on the CPU that submitted them.

The kernel is tests/kernel/disk_cpus.c. Prints "ok - name" and "not ok - name" lines; exits 0 when
none is "not ok".
"""
import re
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tools/emulator"), str(REPO / "tests/system/lib")]
import tap  # noqa: E402
from machine import Machine  # noqa: E402

KERNEL = REPO / "build/kernel-tests/disk_cpus.elf"
TIMEOUT_S = 180
CPUS, ROUNDS, LANES = 4, 40, 12
ENDED = 2 * CPUS * ROUNDS * LANES  # a write and a read each

# name of the disk, its devices in QEMU, whether each CPU has a queue of its own
DISKS = [
    ("nvme0n1", ["-device", "nvme,serial=one,drive=disk0,addr=4"], True),
    ("nvme1n1", ["-device", "nvme,serial=two,drive=disk1,max_ioqpairs=2,addr=5"], False),
    ("vblk0", ["-device", "virtio-blk-pci,drive=disk2,addr=6"], True),
    ("ahci0p0", ["-device", "ide-hd,drive=disk3,bus=ide.0"], False),
]


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def results(folder, cmdline):
    """What each disk said at the end: how many ended, how many of these at home, failed, were wrong; resets, and how many
    were late and found by a look, which any CPU may take."""
    extra = []
    for nr, (_, device, _) in enumerate(DISKS):
        image = folder / f"disk{nr}.img"
        with open(image, "wb") as out:
            out.truncate(16 << 20)
        extra += ["-drive", f"if=none,id=disk{nr},file={image},format=raw", *device]
    with Machine("qemu", kernel=KERNEL, cmdline=f"panic=poweroff cpus-rounds={ROUNDS} {cmdline}", board="q35",
                 cpus=CPUS, nic=False, extra=extra) as machine:
        machine.wait_serial(rf"disk_cpus: done, {len(DISKS)} disks, {CPUS} CPUs$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)
        text = machine.serial_text()
    found = {}
    for name, _, _ in DISKS:
        line = re.search(rf"disk_cpus: {name}: (\d+) ended, (\d+) where they began; (\d+) failed, (\d+) wrong; "
                         r"(\d+) resets, (\d+) lost interrupts", text)
        check(line, f"{name}: said nothing in\n{text}")
        found[name] = tuple(map(int, line.groups()))
    return found


def ends_where_it_began(folder):
    """But those that the host kept for more than a second, and that somebody looked after by then."""
    for (name, _, has_queues), (ended, at_home, failed, wrong, resets, late) in zip(DISKS, results(folder, "").values()):
        check((ended, failed, wrong, resets) == (ENDED, 0, 0, 0), f"{name}: {(ended, failed, wrong, resets)}")
        check(not has_queues or (at_home + late >= ended and at_home > ended // 2),
              f"{name}: {at_home} of {ended} ended where they began, {late} were late")


def shares_lines(folder):
    for name, (ended, _, failed, wrong, resets, _) in results(folder, "irqs=intx").items():
        check((ended, failed, wrong, resets) == (ENDED, 0, 0, 0), f"{name}: {(ended, failed, wrong, resets)}")


CASES = {
    "qemu: all CPUs use all disks at once": ends_where_it_began,
    "qemu: the same by line interrupts": shares_lines,
}


def run_case(case):
    base = REPO / "build/machines"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="disk-cpus-", dir=base) as folder:
        case(Path(folder))


sys.exit(tap.cases((name, lambda case=case: run_case(case)) for name, case in CASES.items()))
