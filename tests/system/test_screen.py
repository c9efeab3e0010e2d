#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a person in front of the machine sees: the status page and a panic, in QEMU.

A framebuffer is read back from a picture of the screen, cell by cell, with the font that the build
unpacked; a text screen from VGA's memory. Prints "ok - name" and "not ok - name" lines; exits 0
when none is "not ok".
"""
import re
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tools/emulator"), str(REPO / "tests/system/lib")]
import tap  # noqa: E402
from machine import Machine, make_iso  # noqa: E402

KERNEL = REPO / "build/billet.elf"
FONT = REPO / "build/fonts/spleen-16x32.psf"  # of which 80 by 25 are OVMF's 1280 by 800 pixels
VGA_TEXT, VGA_BYTES = 0xB8000, 4000
TIMEOUT_S = 60


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def read_font():
    """{bits of a glyph: its character}, and the size of one."""
    data = FONT.read_bytes()
    magic, _, header, _, count, size, height, width = struct.unpack_from("<8I", data)
    expect(magic == 0x864AB572, "a PSF of version 2")
    table, chars = data[header + count * size:].split(b"\xff"), {}
    for glyph in range(count):
        for char in table[glyph].split(b"\xfe")[0].decode():
            if " " <= char <= "~" or char in "\u2500\u2591\u2588":
                chars[data[header + glyph * size:header + (glyph + 1) * size]] = char
    return chars, width, height


def read_picture(path, font):
    """The screen's rows of text; what is no glyph is shown as a replacement character."""
    chars, width, height = font
    head, size, _, pixels = path.read_bytes().split(b"\n", 3)
    expect(head == b"P6", "a PPM")
    across, down = map(int, size.split())
    rows = []
    for top in range(0, down - height + 1, height):
        row = ""
        for left in range(0, across - width + 1, width):
            lines = [pixels[((top + y) * across + left) * 3:][:width * 3] for y in range(height)]
            cell = b"".join(lines)
            colours = {cell[i:i + 3] for i in range(0, len(cell), 3)}
            row += read_cell(lines, colours, chars, width)
        rows.append(row.rstrip())
    return rows


def read_cell(lines, colours, chars, width):
    """Nobody says which of the two colours is the ink, so both are tried."""
    if len(colours) == 1:
        return " "
    for ink in colours:
        bits = b"".join(
            sum(1 << (width - 1 - x) for x in range(width) if line[3 * x:3 * x + 3] == ink).to_bytes(width // 8, "big")
            for line in lines)
        if bits in chars:
            return chars[bits]
    return "\ufffd"


def look_at(machine, firmware, folder, font):
    path = Path(folder) / "screen"
    path.unlink(missing_ok=True)
    if firmware == "uefi":
        machine.qmp("screendump", filename=str(path))
        return read_picture(path, font)
    machine.qmp("pmemsave", val=VGA_TEXT, size=VGA_BYTES, filename=str(path))
    cells = path.read_bytes()
    return [cells[at:at + 160:2].decode("cp437").rstrip() for at in range(0, VGA_BYTES, 160)]


def wait_screen(machine, firmware, folder, font, *regexes):
    """Until each is on a row of the screen; the rows."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        rows = look_at(machine, firmware, folder, font)
        missing = [r for r in regexes if not any(re.search(r, row) for row in rows)]
        if not missing:
            return rows
        if time.monotonic() > deadline or not machine.is_running():
            raise AssertionError(f"the screen has no {missing[0]!r}:\n" + "\n".join(rows))
        time.sleep(0.3)


def start(firmware, folder, cmdline):
    iso = Path(folder) / "billet.iso"
    make_iso(iso, KERNEL, cmdline)
    return Machine("qemu", iso=iso, firmware=firmware, board="q35", nic=False, extra=[
        "-netdev", "hubport,id=cable,hubid=0", "-device", "e1000,id=card,netdev=cable,mac=52:54:00:12:34:56"])


def shows_the_status_page(firmware, folder, font):
    with start(firmware, folder, "log=info") as machine:
        rows = wait_screen(machine, firmware, folder, font, r"^ Billet \S+ .* up \d+ min$",
                           r"^ Machine +QEMU Standard PC \(Q35", rf"^ Firmware +{firmware.upper()} ",
                           r"^ Processors +2 x AMD EPYC", r"^ Memory +\d+ of \d+ MiB in use +[\u2588\u2591]{20}$",
                           r"^\u2500\u2500 Node \u2500+$", r"^\u2500\u2500 Guests: none \u2500+$",
                           r"^ \d\d:\d\d\.\d +e1000 52:54:00:12:34:56 +link up, 1000 Mb/s$",
                           r"error: conf: this node has no configuration")
        expect(len(rows) == 25 and rows[0].startswith(" Billet "), f"{len(rows)} rows, the first {rows[0]!r}")
        machine.qmp("set_link", name="card", up=False)
        wait_screen(machine, firmware, folder, font, r"52:54:00:12:34:56 +no link$")


def shows_a_panic(firmware, folder, font):
    with start(firmware, folder, "panic=halt after-boot=panic") as machine:
        machine.wait_serial(r"panic: halted$", TIMEOUT_S, panic_fails=False)
        rows = wait_screen(machine, firmware, folder, font, r"PANIC: asked for on the command line",
                           r"panic: backtrace:", r"break_by_panic\+0x", r"panic: halted")
        expect(rows[0].startswith(" Billet stopped"), f"the first row is {rows[0]!r}")


def can_be_left_alone(firmware, folder, font):
    with start(firmware, folder, "screen=off") as machine:
        machine.wait_serial(r"agent: \d+ KiB of image", TIMEOUT_S)
        time.sleep(2)
        rows = look_at(machine, firmware, folder, font)
        expect(not any("Processors" in row or "] boot: " in row for row in rows), "\n".join(rows))


CASES = [("uefi", shows_the_status_page), ("bios", shows_the_status_page), ("uefi", shows_a_panic),
         ("bios", shows_a_panic), ("bios", can_be_left_alone)]


def run(firmware, case, font):
    with tempfile.TemporaryDirectory(dir=REPO / "build") as folder:
        case(firmware, folder, font)


def cases():
    font = read_font()
    for firmware, case in CASES:
        yield (f"{firmware.upper()}: the screen {case.__name__.replace('_', ' ')}",
               lambda firmware=firmware, case=case: run(firmware, case, font))


sys.exit(tap.cases(cases()))
