# SPDX-License-Identifier: Apache-2.0
"""An ACPI Watchdog Action Table for the TCO timer of QEMU's q35, as firmware would write it."""
import struct

RESET, SET_COUNTDOWN, QUERY_RUNNING, SET_RUNNING, SET_STOPPED, SET_REBOOT, QUERY_STATUS, SET_STATUS = 1, 6, 8, 9, 11, 17, 32, 33
READ_VALUE, READ_COUNTDOWN, WRITE_VALUE, WRITE_COUNTDOWN, PRESERVE = 0, 1, 2, 3, 0x80
MEMORY, PORTS = 0, 1
TCO, GCS = 0x660, 0xFED1F410


def entry(action, instruction, space, address, bits, offset, value, mask):
    size = {8: 1, 16: 2, 32: 3}[bits]
    return struct.pack("<BBHBBBBQII", action, instruction, 0, space, bits, offset, size, address, value, mask)


TCO_ENTRIES = [
    entry(RESET, WRITE_VALUE, PORTS, TCO, 16, 0, 1, 0xFFFF),
    entry(4, READ_COUNTDOWN, PORTS, TCO, 16, 0, 0, 0x3FF),
    entry(SET_COUNTDOWN, WRITE_COUNTDOWN | PRESERVE, PORTS, TCO + 0x12, 16, 0, 0, 0x3FF),
    entry(QUERY_RUNNING, READ_VALUE, PORTS, TCO + 8, 16, 11, 0, 1),
    entry(SET_RUNNING, WRITE_VALUE | PRESERVE, PORTS, TCO + 8, 16, 11, 0, 1),
    entry(SET_STOPPED, WRITE_VALUE | PRESERVE, PORTS, TCO + 8, 16, 11, 1, 1),
    entry(SET_REBOOT, WRITE_VALUE | PRESERVE, MEMORY, GCS, 32, 5, 0, 1),
    entry(QUERY_STATUS, READ_VALUE, PORTS, TCO + 6, 16, 1, 1, 1),
    entry(SET_STATUS, WRITE_VALUE, PORTS, TCO + 6, 16, 0, 2, 0xFFFF),
    entry(SET_STATUS, WRITE_VALUE, PORTS, TCO + 6, 16, 0, 4, 0xFFFF),
]


def table(entries=TCO_ENTRIES, period_ms=1200, max_count=0x3FF, min_count=4, flags=0x81, nr=None):
    """With its header; the timer counts down twice, so that a count takes two of its ticks."""
    body = struct.pack("<IHBBB3xIIIB3xI", 32, 0xFF, 0xFF, 0xFF, 0xFF, period_ms, max_count, min_count, flags,
                       len(entries) if nr is None else nr) + b"".join(entries)
    head = struct.pack("<4sIBB6s8sIII", b"WDAT", 36 + len(body), 1, 0, b"BILLET", b"TEST    ", 1, 0, 0)
    return head[:9] + bytes([-sum(head + body) & 0xFF]) + head[10:] + body
