#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The machine from power-on to idle, and every way that it ends: GRUB in Bochs, PVH in QEMU.

Prints "ok - name", "not ok - name" and "skip - name # why" lines; exits 0 when none is "not ok".
"""
import fcntl
import os
import re
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
TIMEOUT_S = 120


def boot(emulator, after="", **options):
    cmdline = "log=info panic=poweroff" + (f" after-boot={after}" if after else "")
    return Machine(emulator, kernel=KERNEL, cmdline=cmdline, **{"cpus": 2, **options})


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def comes_up_and_powers_off(emulator):
    with boot(emulator, "poweroff") as machine:
        machine.wait_serial(r"boot: Billet \S+$", TIMEOUT_S)
        machine.wait_serial(r"boot: by (multiboot2|pvh) from .*: log=info", TIMEOUT_S)
        free = machine.wait_serial(r"memory: (\d+) MiB free", TIMEOUT_S)
        expect(1000 <= int(free[1]) < 1024, f"{free[1]} MiB free of 1024")
        machine.wait_serial(r"acpi: \d+ tables, 0 bad, 2 CPUs$", TIMEOUT_S)
        tsc = machine.wait_serial(r"time: TSC (\d+)\.\d+ MHz by (HPET|PM timer)", TIMEOUT_S)
        if emulator == "bochs":
            expect(int(tsc[1]) in (49, 50), f"TSC {tsc[1]} MHz of 50")
        machine.wait_serial(r"cpu: 2 of 2 CPUs online$", TIMEOUT_S)
        machine.wait_serial(r"boot: up after \d+ ms$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)


def its_clocks_and_cpus_work_together(emulator, cpus=2):
    with boot(emulator, "check", cpus=cpus) as machine:
        wall = machine.wait_serial(r"check: the clock says (\d+) s$", TIMEOUT_S)
        expect(abs(int(wall[1]) - time.time()) < 10, f"the clock says {wall[1]} at {time.time()}")
        tap.note(machine.wait_serial(r"check: (it took \d+ us)$", TIMEOUT_S)[1])
        machine.wait_serial(r"check: all hold$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)
        lines = re.findall(r"^\[[ .\d]+\] check: CPU (\d+) writes line (\d+) of (\d+), and the serial port is slower "
                           r"than that$", machine.serial_text(), re.MULTILINE)
        for cpu in range(cpus):
            numbers = [int(nr) for of, nr, _ in lines if int(of) == cpu]
            expect(numbers == list(range(1, int(lines[0][2]) + 1)), f"CPU {cpu} wrote lines {numbers}")


def so_do_many_cpus(emulator):
    its_clocks_and_cpus_work_together(emulator, cpus=8)


def reboots(emulator):
    with boot(emulator, "reboot") as machine:
        machine.wait_serial(r"power: reboot$", TIMEOUT_S)
        machine.wait_serial(r"boot: Billet ", TIMEOUT_S)


def breaks(emulator, after, headline, *symbols):
    """The panic says headline, names the functions on the way there, and the machine goes off; all it said."""
    with boot(emulator, after) as machine:
        machine.wait_serial(rf"PANIC: {headline}", TIMEOUT_S, panic_fails=False)
        machine.wait_serial(r"panic: CPU 0, Billet ", TIMEOUT_S, panic_fails=False)
        machine.wait_serial(r"panic: backtrace:$", TIMEOUT_S, panic_fails=False)
        for symbol in symbols:
            machine.wait_serial(rf"panic:   [0-9a-f]{{16}} {symbol}\+0x", TIMEOUT_S, panic_fails=False)
        machine.wait_power_off(TIMEOUT_S)
        return machine.serial_text()


def prints_a_backtrace(emulator):
    text = breaks(emulator, "panic", r"asked for on the command line$", "break_by_panic", "after_boot", "boot_main")
    lines = re.findall(r"\] (?:boot: line (\d+) of (\d+) before a panic|PANIC:.*)$", text, re.MULTILINE)
    numbers = [int(nr or 0) for nr, _ in lines]
    expect(numbers == [*range(1, int(lines[0][1]) + 1), 0], f"lines before the panic, and the panic: {numbers}")


def tells_what_an_interrupt_interrupted(emulator):
    with boot(emulator, "interrupt") as machine:
        for line in (r"PANIC: exception 14 \(page fault\)", r"panic: gs  [0-9a-f]{16}$",
                     r"panic:   [0-9a-f]{16} break_by_reading_null\+0x", r"panic:   [0-9a-f]{16} trap_common\+0x",
                     r"panic:   ---- vector 0xf0, .* flags [0-9a-f]{5}2[0-9a-f]{2}, cs 8, ",
                     r"panic:   [0-9a-f]{16} (cpu_idle_wait|break_by_interrupt)\+0x", r"after_boot\+0x"):
            machine.wait_serial(line, TIMEOUT_S, panic_fails=False)
        machine.wait_power_off(TIMEOUT_S)


def names_a_failed_assertion(emulator):
    breaks(emulator, "assert", r"boot/after_boot\.c:\d+: assertion failed: is_true$", "break_by_assert")


def faults_at_null(emulator):
    breaks(emulator, "fault", r"exception 14 \(page fault\), error code 0x0$", "break_by_reading_null", "boot_main")


def cannot_write_its_text(emulator):
    breaks(emulator, "write-text", r"exception 14 \(page fault\), error code 0x3$", "break_by_writing_text")


def cannot_run_its_data(emulator):
    breaks(emulator, "run-data", r"exception 14 \(page fault\), error code 0x11$")


def reports_a_stack_overflow(emulator):
    breaks(emulator, "overflow", r"exception 8 \(double fault\)", "break_by_overflow")


def halts_on_demand(emulator):
    with Machine(emulator, kernel=KERNEL, cmdline="panic=halt after-boot=panic") as machine:
        machine.wait_serial(r"panic: halted$", TIMEOUT_S, panic_fails=False)
        time.sleep(0.5)
        expect(machine.is_running(), "it did not stay halted")


def starts_eight_cpus(emulator):
    with boot(emulator, "poweroff", cpus=8) as machine:
        machine.wait_serial(r"cpu: 8 of 8 CPUs online$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)


def finds_memory_above_4_gib(emulator):
    with boot(emulator, "poweroff", mem_mib=6144) as machine:
        free = machine.wait_serial(r"memory: (\d+) MiB free", TIMEOUT_S)
        # Bochs loses what lies under its devices, below 4 GiB; QEMU moves it above.
        expect(int(free[1]) > (5000 if emulator == "bochs" else 6000), f"{free[1]} MiB free of 6144")
        machine.wait_power_off(TIMEOUT_S)


def is_given_the_nodes_configuration(emulator):
    with tempfile.NamedTemporaryFile(dir=REPO / "build", suffix=".conf") as conf:
        conf.write(b"controller = https://controller.example\n")
        conf.flush()
        with boot(emulator, "poweroff", node_conf=conf.name) as machine:
            machine.wait_serial(r"boot: module .*, 40 bytes$", TIMEOUT_S)
            machine.wait_power_off(TIMEOUT_S)


def boots_from_grub_on_q35_with_1g_pages_and_without():
    with tempfile.TemporaryDirectory(dir=REPO / "build") as folder:
        iso = Path(folder) / "billet.iso"
        make_iso(iso, KERNEL, "after-boot=poweroff panic=poweroff")
        for cpu in ("EPYC,+svm,+npt", "EPYC,-pdpe1gb"):
            with Machine("qemu", iso=iso, board="q35", cpu=cpu) as machine:
                machine.wait_serial(r"boot: by multiboot2 from GRUB", TIMEOUT_S)
                machine.wait_serial(r"cpu: 2 of 2 CPUs online$", TIMEOUT_S)
                machine.wait_power_off(TIMEOUT_S)


def refuses(cpu, why):
    with Machine("qemu", kernel=KERNEL, cpu=cpu) as machine:
        machine.wait_serial(why, TIMEOUT_S)


def refuses_a_cpu_without_64_bit_mode():
    refuses("pentium3", r"billet: this CPU has no 64-bit mode")


def refuses_a_cpu_without_nx():
    refuses("EPYC,-nx", r"billet: this CPU has no NX, or firmware switched it off")


def outlives_a_serial_port_that_takes_nothing():
    """As behind a terminal that was stopped: a pipe that nobody reads, and that is soon full."""
    with tempfile.TemporaryDirectory(dir=REPO / "build") as folder:
        path = f"{folder}/com1"
        for end in ("in", "out"):
            os.mkfifo(f"{path}.{end}")
        pipe = os.open(f"{path}.out", os.O_RDWR)
        try:
            size = fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
            with boot("qemu", "check", serial_to=f"pipe:{path}") as machine:
                machine.wait_power_off(TIMEOUT_S)
            text = os.read(pipe, 1 << 20)
        finally:
            os.close(pipe)
        expect(len(text) == size and b"boot: up after" in text, f"{len(text)} bytes of {size}: {text}")


ON_BOTH = [comes_up_and_powers_off, its_clocks_and_cpus_work_together, reboots, prints_a_backtrace,
           tells_what_an_interrupt_interrupted, names_a_failed_assertion, faults_at_null, cannot_write_its_text, cannot_run_its_data, reports_a_stack_overflow,
           halts_on_demand, finds_memory_above_4_gib, is_given_the_nodes_configuration]
ON_QEMU = [starts_eight_cpus, so_do_many_cpus]
ALONE = [boots_from_grub_on_q35_with_1g_pages_and_without, outlives_a_serial_port_that_takes_nothing, refuses_a_cpu_without_64_bit_mode,
         refuses_a_cpu_without_nx]


def cases():
    for emulator, tests in (("bochs", ON_BOTH), ("qemu", ON_BOTH + ON_QEMU)):
        for test in tests:
            yield f"{emulator}: {test.__name__.replace('_', ' ')}", lambda t=test, e=emulator: t(e)
    for test in ALONE:
        yield f"qemu: {test.__name__.replace('_', ' ')}", test


sys.exit(tap.cases(cases()))
