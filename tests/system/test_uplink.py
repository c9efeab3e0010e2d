#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which of several network cards is the uplink, as links come and go; and what becomes of mtu=.

Prints "ok - name" and "not ok - name" lines; exits 0 when none is "not ok".
"""
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent / "lib"), str(REPO / "tools/emulator")]
import tap  # noqa: E402
from machine import Machine  # noqa: E402

KERNEL = REPO / "build/kernel-tests/nics.elf"
TIMEOUT_S = 120
# Two cards: one on a wire where nobody answers, one that reaches us; and the machine waits for "cont".
CARDS = ["-S", "-netdev", "hubport,hubid=7,id=dead", "-device", "e1000,netdev=dead,addr=10,mac=52:54:00:00:00:01",
         "-netdev", "user,id=live", "-device", "e1000,netdev=live,addr=11,mac=52:54:00:00:00:02"]


def machine_with(cmdline):
    return Machine("qemu", kernel=KERNEL, cmdline=f"panic=poweroff nics=echo {cmdline}", nic=False, extra=CARDS, cpus=1)


def set_links(machine, **links):
    for name, is_up in links.items():
        machine.qmp("set_link", name=name, up=is_up)


@tap.test
def another_card_takes_over_when_the_uplinks_link_goes():
    with machine_with("") as machine:
        set_links(machine, live=False)
        machine.qmp("cont")
        machine.wait_serial(r"net: uplink is 00:10\.0 of 2 network cards$", TIMEOUT_S)
        machine.wait_serial(r"nics: arp sent$", TIMEOUT_S)
        set_links(machine, live=True)
        machine.wait_serial(r"00:11\.0: .*link up", TIMEOUT_S)
        time.sleep(0.5)
        text = machine.serial_text()
        assert "uplink is 00:11.0" not in text, f"it changed while it had a link:\n{text}"
        set_links(machine, dead=False)
        machine.wait_serial(r"net: warning: 00:10\.0 has no link; uplink is 00:11\.0 now$", TIMEOUT_S)
        machine.wait_serial(r"nics: 2000 sent, 2000 echoes, 0 dropped, \d+ ticks$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)


@tap.test
def a_card_without_a_link_at_boot_is_used_when_it_has_one():
    with machine_with("mtu=1501.5") as machine:
        set_links(machine, dead=False, live=False)
        machine.qmp("cont")
        machine.wait_serial(r"net: error: mtu=1501\.5 is not a number from 1500 to 9000; the MTU is 1500$", TIMEOUT_S)
        machine.wait_serial(r"nics: arp ", TIMEOUT_S)
        set_links(machine, live=True)
        machine.wait_serial(r"net: warning: 00:10\.0 has no link; uplink is 00:11\.0 now$", TIMEOUT_S)
        machine.wait_serial(r"nics: 2000 sent, 2000 echoes, 0 dropped, \d+ ticks$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)


def main():
    return tap.main("uplink")


sys.exit(main())
