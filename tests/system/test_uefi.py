#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One image for every firmware: CD and USB stick, BIOS and UEFI, in QEMU.

Each way to boot goes as far as the agent's start and through a guest's run. Prints "ok - name" and
"not ok - name" lines; exits 0 when none is "not ok".
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tools/emulator"), str(REPO / "tests/system/lib")]
import tap  # noqa: E402
from machine import Machine, in_debian13  # noqa: E402

KERNEL = REPO / "build/billet.elf"
GUEST = REPO / "build/guest-tests/uart.elf"
TIMEOUT_S = 60
TEXT, PIXELS = r"80 x 25 characters", r"\d+ x \d+ pixels"

# firmware, board, medium, MiB of memory, what is left of it at least, what the screen is
WAYS = [
    ("bios", "pc", "cd", 1024, 1000, TEXT),
    ("bios", "q35", "cd", 1024, 1000, TEXT),
    ("bios", "q35", "usb", 6144, 6100, TEXT),
    ("uefi", "q35", "cd", 1024, 995, PIXELS),
    ("uefi", "q35", "usb", 6144, 6100, PIXELS),
]


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def make_iso(iso):
    subprocess.run(in_debian13(["env", "BILLET_CMDLINE=log=info panic=poweroff", REPO / "tools/build/iso", iso,
                                KERNEL, "--module", GUEST, "guest uart pvh mem=16"]),
                   cwd=REPO, check=True, stdin=subprocess.DEVNULL)


def start(iso, firmware, board, medium, mem_mib):
    if medium == "cd":
        return Machine("qemu", iso=iso, firmware=firmware, board=board, mem_mib=mem_mib)
    return Machine("qemu", disk=True, firmware=firmware, board=board, mem_mib=mem_mib, extra=[
        "-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,readonly=on,file={iso}",
        "-device", "usb-storage,drive=stick,bootindex=1"])


def boots(iso, firmware, board, medium, mem_mib, least_mib, screen):
    with start(iso, firmware, board, medium, mem_mib) as machine:
        machine.wait_serial(r"boot: by multiboot2 from GRUB .*: log=info", TIMEOUT_S)
        machine.wait_serial(rf"boot: firmware: {firmware.upper()}, screen of {screen}$", TIMEOUT_S)
        free = machine.wait_serial(r"memory: (\d+) MiB free", TIMEOUT_S)
        expect(least_mib <= int(free[1]) < mem_mib, f"{free[1]} MiB free of {mem_mib}")
        machine.wait_serial(r"acpi: \d+ tables, 0 bad, 2 CPUs$", TIMEOUT_S)
        machine.wait_serial(r"cpu: 2 of 2 CPUs online$", TIMEOUT_S)
        machine.wait_serial(rf"node: machine: QEMU Standard PC .*; firmware: {firmware.upper()} \S.*$", TIMEOUT_S)
        # On two CPUs, in either order.
        machine.wait_serial(r"agent: \d+ KiB of image(?s:.*)uart: done$|uart: done$(?s:.*)agent: \d+ KiB", TIMEOUT_S)
        text = machine.serial_text()
        expect("uart: not ok" not in text, "the guest's claims do not hold")
        expect(not re.search(r"error: .*\.mod|no console will be available|no suitable video", text),
               "GRUB complains")


def main():
    with tempfile.TemporaryDirectory(dir=REPO / "build") as folder:
        iso = Path(folder) / "billet.iso"
        make_iso(iso)
        return tap.cases((f"{way[0].upper()} boots it from {way[2].upper()} on {way[1]} with {way[3]} MiB",
                          lambda way=way: boots(iso, *way)) for way in WAYS)


sys.exit(main())
