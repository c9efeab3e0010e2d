#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames from the switch to the wire and back by interrupt, on every board that has our cards.

Prints "ok - name" and "not ok - name" lines; exits 0 when none is "not ok".
"""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tools/emulator"))
from machine import Machine, MachineError  # noqa: E402

KERNEL = REPO / "build/kernel-tests/net_echo.elf"
TIMEOUT_S = 120
CARD_BEHIND_BRIDGES = ["-netdev", "user,id=wire", "-device", "pcie-root-port,id=root0",
                       "-device", "pcie-pci-bridge,id=bridge0,bus=root0",
                       "-device", "e1000,netdev=wire,bus=bridge0,addr=3"]
OTHER_CARD = ["-nic", "user,model=e1000-82545em"]


class MachineWithCard(Machine):
    """A machine with these arguments in place of its card."""

    def __init__(self, card, **options):
        super().__init__("qemu", **options)
        self.card = card

    def _qemu(self):
        command = super()._qemu()
        at = command.index("-nic")
        return command[:at] + self.card + command[at + 2:]


OPTIONS = {"kernel": KERNEL, "cmdline": "panic=poweroff", "net": []}
CASES = {
    "bochs: echoes": lambda: Machine("bochs", **OPTIONS),
    "qemu: echoes": lambda: Machine("qemu", **OPTIONS),
    "qemu: echoes on q35, configured by ECAM": lambda: Machine("qemu", board="q35", **OPTIONS),
    "qemu: echoes from a card behind bridges":
        lambda: MachineWithCard(CARD_BEHIND_BRIDGES, board="q35", **OPTIONS),
    "qemu: echoes from an 82545EM": lambda: MachineWithCard(OTHER_CARD, **OPTIONS),
    "qemu: says that there is no card": lambda: MachineWithCard(["-nic", "none"], **OPTIONS),
}


def echoes(machine):
    machine.wait_serial(r"e1000: \S+: (..:){5}.., link up 1000 Mb/s$", TIMEOUT_S)
    machine.wait_serial(r"net: uplink is \S+ of 1 network card$", TIMEOUT_S)
    machine.wait_serial(r"net_echo: gateway found$", TIMEOUT_S)
    machine.wait_serial(r"net_echo: 2000 sent, 2000 echoes, \d+ wakes, 0 dropped$", TIMEOUT_S)
    machine.wait_power_off(TIMEOUT_S)


def says_that_there_is_no_card(machine):
    machine.wait_serial(r"drivers: warning: this machine has no network card", TIMEOUT_S)
    machine.wait_power_off(TIMEOUT_S)


def main():
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    failed = 0
    for name, make in CASES.items():
        if not pattern.search(name):
            continue
        try:
            with make() as machine:
                (echoes if "echoes" in name else says_that_there_is_no_card)(machine)
            print(f"ok - {name}", flush=True)
        except (AssertionError, MachineError) as wrong:
            failed += 1
            print(f"not ok - {name}", flush=True)
            print("".join(f"# {line}\n" for line in str(wrong).splitlines()), end="", flush=True)
    return 1 if failed else 0


sys.exit(main())
