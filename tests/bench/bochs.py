# SPDX-License-Identifier: Apache-2.0
"""Bochs as a measuring instrument: one CPU, where each instruction is one tick of the TSC.

A Watched machine stops at addresses, and at an exchange of BX with itself, without any code of its
guest being changed; Bochs' debugger notes the tick of each stop.
"""
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tools/emulator"))
import machine as machines  # noqa: E402

BUILD = REPO / "build"
FOLDER = BUILD / "bench"
KERNEL = FOLDER / "billet.elf"  # what is measured, with symbols beside it
KERNEL_SYMBOLS = FOLDER / "billet.elf.debug"
AGENT_SYMBOLS = FOLDER / "agent.elf.debug"
TICKS_PER_US = 50  # ips in tools/emulator/machine.py
STOP = re.compile(r"^Next at t=(\d+)\n\(0\) \[\S+\] [0-9a-f]+:([0-9a-f]+) ", re.M)
INIT = 0x401003  # behind the first instruction of tests/bench/linux/init.S


def keep_what_is_measured():
    """Copies, so that all figures are of one build even if somebody builds meanwhile."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("billet.elf", "billet.elf.debug", "agent/agent.elf.debug"):
        shutil.copy(BUILD / name, FOLDER)


def symbols(elf, source=None):
    """Addresses by name; of the local ones those of one source file."""
    table, file = {}, None
    done = subprocess.run(["readelf", "-sW", elf], check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        words = line.split()
        if len(words) != 8 or not words[0][:-1].isdigit():
            continue
        value, kind, binding, name = words[1], words[3], words[4], words[7]
        if kind == "FILE":
            file = name
        elif binding == "GLOBAL" or source is None or file == source:
            table[name] = int(value, 16)
    return table


def make_iso(out, modules, cmdline="guests=only"):
    """An ISO of Billet with these (file, text) as boot modules."""
    # No interrupt of the node's own, for the serial port, in the middle of what is measured.
    command = ["env", f"BILLET_CMDLINE={cmdline} serial=sync", REPO / "tools/build/iso", out, KERNEL]
    for file, text in modules:
        command += ["--module", file, text]
    subprocess.run([str(c) for c in command], check=True, stdin=subprocess.DEVNULL)


class Watched(machines.Machine):
    """commands: what the debugger is told, line by line; a "c" runs to the next stop."""

    def __init__(self, iso, commands, extra=(), **more):
        super().__init__("bochs", iso=iso, cpus=1,
                         extra=["magic_break: enabled=1 bx", *extra], **more)
        self.commands = commands

    def _bochs(self):
        command = super()._bochs()
        (self.folder / "debugger").write_text("\n".join([*self.commands, "quit"]) + "\n")
        return ["stdbuf", "-oL", command[0], "-debugger", *command[1:]]

    def stops(self):
        """(tick, address) of each stop so far, but the first, which is at power-on."""
        text = (self.folder / "output.txt").read_bytes().decode(errors="replace").replace("\r", "")
        return [(int(tick), int(address, 16)) for tick, address in STOP.findall(text)][1:]

    def wait_stop(self, wanted, timeout_s):
        """The first stop for which wanted(tick, address) is true."""
        deadline = time.monotonic() + timeout_s
        while True:
            was_running = self.is_running()
            for tick, address in self.stops():
                if wanted(tick, address):
                    return tick
            if not was_running:
                raise self.error("ended before the debugger stopped it where it should")
            if time.monotonic() > deadline:
                raise self.error(f"did not come where it should stop within {timeout_s} s")
            time.sleep(0.1)
