#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the kernel does to a PCI function as such: tests/kernel/pci_check.c in QEMU's q35, on a device of PCI
Express with function-level reset and power management. Exits 0 when no claim is "not ok"."""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tools/emulator"), str(REPO / "tests/system/lib")]
import tap  # noqa: E402
from machine import Machine  # noqa: E402

KERNEL = REPO / "build/kernel-tests/pci_check.elf"
TIMEOUT_S = 60
CLAIMS = 10


@tap.test
def resets_a_function_and_wakes_it():
    with Machine("qemu", kernel=KERNEL, cmdline="log=info", board="q35", nic=False,
                 extra=["-device", "pcie-root-port,id=slot0,chassis=1", "-device", "virtio-rng-pci,bus=slot0"]) as machine:
        machine.wait_serial(r"pci_check: done$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)
        text = machine.serial_text()
    failed = re.findall(r"pci_check: not ok - (.*)", text)
    held = re.findall(r"pci_check: ok - (.*)", text)
    if failed or len(held) != CLAIMS:
        raise AssertionError(f"{len(held)} of {CLAIMS} claims hold; not: {failed}")


sys.exit(tap.main("pci"))
