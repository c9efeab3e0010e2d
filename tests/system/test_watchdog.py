#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hardware's watchdog: QEMU's q35 has Intel's TCO timer, and a WDAT that drives it is put in from outside.

The machines count instructions, and their clock jumps ahead when all CPUs are halted, as those are that stand still: so
timeouts of minutes take none of them. Prints "ok - name" and "not ok - name" lines; exits 0 when none is "not ok".
"""
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tools/emulator"))
sys.path.insert(0, str(REPO / "tests/system/lib"))
import tap  # noqa: E402
import wdat  # noqa: E402
from machine import Machine  # noqa: E402

NODE = REPO / "build/billet.elf"
KERNEL = REPO / "build/kernel-tests/watchdog_check.elf"
TIMEOUT_S = 120
TCO, WDAT = r"TCO of 8086:2918", r"ACPI's WDAT"
HPET_COUNTER, HPET_HZ = 0xFED000F0, 100_000_000
DEFAULT_S = r"300 s for each step of the boot, 60 s from then on$"


def machine(cmdline, board="q35", table=None, extra=(), kernel=KERNEL, **options):
    if table:
        extra = ["-acpitable", f"file={table}"]
    return Machine("qemu", kernel=kernel, cmdline=f"log=info {cmdline}", board=board, nic=False, extra=extra,
                   **{"cpus": 2, "mem_mib": 256, "icount": True, **options})


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def says(m, text, **options):
    return m.wait_serial(text, TIMEOUT_S, **options)


def seconds_at(m, line):
    """When the kernel logged what matches line, on its clock."""
    return float(says(m, rf"^\[ *(\d+\.\d+)\] {line}")[1])


def is_reset(m, name=TCO):
    says(m, r"boot: Billet ")
    says(m, rf"watchdog: warning: {name} reset this machine, which had stood still$")
    says(m, rf"watchdog: {name}: ")


def stays(m, name=TCO):
    says(m, rf"watchdog: {name}: {DEFAULT_S}")
    says(m, r"check: still here after 1000 s$")
    m.wait_power_off(TIMEOUT_S)
    expect("reset this machine" not in m.serial_text(), "it says that it was reset")


@tap.test
def lets_a_healthy_node_be(site):
    with machine("", reboots=False) as m:
        stays(m)


def monitor(m, command):
    return m.qmp("human-monitor-command", **{"command-line": command}).split()[-1]


@tap.test
def lets_a_real_node_be(site):
    with machine("", kernel=NODE, reboots=False) as m:
        says(m, rf"watchdog: {TCO}: {DEFAULT_S}")
        says(m, r"agent: error: conf: this node has no configuration file")
        deadline = time.monotonic() + TIMEOUT_S
        while int(monitor(m, f"xp /1gx {HPET_COUNTER:#x}"), 16) < 400 * HPET_HZ:
            expect(time.monotonic() < deadline, "its clock does not get to 400 s")
            time.sleep(0.2)

@tap.test
def resets_a_node_that_hangs_in_its_boot(site):
    with machine("check=boot") as m:
        says(m, rf"watchdog: {TCO}: {DEFAULT_S}")
        says(m, r"check: CPU 0 stands still$")
        is_reset(m)


@tap.test
def resets_a_node_whose_boot_cpu_hangs(site):
    with machine("check=first") as m:
        says(m, r"check: CPU 0 stands still$")
        is_reset(m)


@tap.test
def resets_a_node_of_which_another_cpu_hangs(site):
    with machine("check=last") as m:
        hung = seconds_at(m, r"check: CPU 1 stands still$")
        seen = seconds_at(m, r"watchdog: error: CPU 1 stands still: if it goes on so, the machine is reset$")
        expect(0 < seen - hung <= 30, f"it hung at {hung} s and was seen at {seen} s")
        is_reset(m)
        m.skip_serial()
    expect("still here" not in m.serial_text(), "it went on")


@tap.test
def keeps_the_times_of_the_command_line(site):
    with machine("check=last watchdog=8") as m:
        says(m, rf"watchdog: {TCO}: 8 s for each step of the boot, 8 s from then on$")
        hung = seconds_at(m, r"check: CPU 1 stands still$")
        expect(0 < seconds_at(m, r"watchdog: error: CPU 1 stands still") - hung <= 4, "it was seen late")
        is_reset(m)


@tap.test
def is_off_when_the_command_line_says_so(site):
    with machine("check=last watchdog=off", reboots=False) as m:
        says(m, rf"watchdog: {TCO}: off, as watchdog=off says$")
        says(m, r"check: CPU 1 stands still$")
        says(m, r"check: still here after 1000 s$")
        m.wait_power_off(TIMEOUT_S)


@tap.test
def lets_cpus_work_for_long_with_interrupts_off(site):
    with machine("check=busy watchdog=5 stay=13", icount=False, reboots=False) as m:
        for _ in range(2):
            says(m, r"check: CPU [01] was busy$")
        says(m, r"check: still here after \d+ s$")
        m.wait_power_off(TIMEOUT_S)


@tap.test
def leaves_a_node_halted_that_is_to_halt_after_a_panic(site):
    with machine("check=panic panic=halt") as m:
        says(m, rf"watchdog: {TCO}: ")
        says(m, r"panic: halted$", panic_fails=False)
        time.sleep(2)  # its clock jumps to whatever is due
        expect(m.is_running() and m.serial_text().count("boot: Billet") == 1, "it did not stay halted")


@tap.test
def is_stopped_before_the_machine_goes_down(site):
    for end in ("poweroff", "reboot"):
        with machine(f"stay=5 end={end}", extra=["-action", "reboot=shutdown,shutdown=pause"]) as m:
            says(m, r"check: still here after 5 s$")
            deadline = time.monotonic() + TIMEOUT_S
            while m.qmp("query-status")["running"]:
                expect(time.monotonic() < deadline, f"no {end}")
                time.sleep(0.1)
            count = monitor(m, f"i /hx {wdat.TCO + 8:#x}")
            expect(int(count, 16) & 0x800, f"TCO1_CNT is {count} at the end: {end}")


@tap.test
def is_not_missed_on_a_board_without_one(site):
    with machine("stay=10", board="pc") as m:
        says(m, r"watchdog: none: nothing resets this machine when it stands still$")
        says(m, r"check: still here after 10 s$")
        m.wait_power_off(TIMEOUT_S)


@tap.test
def does_what_firmwares_table_says(site):
    table = site / "wdat"
    table.write_bytes(wdat.table())
    with machine("", table=table, reboots=False) as m:
        stays(m, WDAT)
    with machine("check=last", table=table) as m:
        says(m, r"check: CPU 1 stands still$")
        is_reset(m, WDAT)


@tap.test
def does_not_do_all_that_a_table_says(site):
    table = site / "wdat"
    in_ram = wdat.entry(wdat.RESET, wdat.WRITE_VALUE, wdat.MEMORY, 0x100000, 32, 0, 1, 1)
    table.write_bytes(wdat.table([*wdat.TCO_ENTRIES, in_ram]))
    with machine("stay=10", table=table) as m:
        says(m, r"watchdog: warning: ACPI's WDAT is not used: a register lies in memory$")
        says(m, rf"watchdog: {TCO}: {DEFAULT_S}")
        m.wait_power_off(TIMEOUT_S)


def main():
    with tempfile.TemporaryDirectory(dir=REPO / "build") as folder:
        return tap.main("watchdog", Path(folder))


sys.exit(main())
