#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Machines that cannot be nodes, each in one clear line: no VT-x or AMD-V, VT-x locked off by firmware, one
that lacks what is needed, a configuration that is wrong, a controller that does not know the machine.

Prints "ok - name", "not ok - name" and "skip - name # why" lines; exits 0 when none is "not ok".
"""
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import tap  # noqa: E402
from fakecontroller import Authority  # noqa: E402
from nodesite import EMULATOR, REPO, Site, check, equal, until  # noqa: E402
from machine import Machine, in_debian13  # noqa: E402

ENGINES = "bochs", "qemu"
KERNEL = REPO / "build/billet.elf"
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
TIMEOUT_S = 90
MACHINE_ID = "0b9f5d1e-6f0a-4c2e-9a51-3f4d5c6b7a89"


# ---- VT-x and AMD-V -------------------------------------------------------------------------------


def says(machine, words, module):
    """One line of an error, and the machine stays up for somebody to read it."""
    with machine:
        found = machine.wait_serial(rf"{module}: error: .*{words}.*$", TIMEOUT_S)
        tap.note(found[0])
        machine.wait_serial(r"boot: up after", TIMEOUT_S)
        time.sleep(1)
        text = machine.serial_text()
        check(machine.is_running(), "the machine ended")
    equal(len(re.findall(r"error: ", text)), 1, f"errors in\n{text}")
    check("agent:" not in text and "PANIC" not in text, f"it went on:\n{text}")


CPU_WITHOUT = {"bochs": "athlon64_clawhammer", "qemu": "EPYC,-svm,-npt"}


@tap.test
def a_cpu_without_virtualization_is_one_line():
    says(Machine(EMULATOR, kernel=KERNEL, cpu=CPU_WITHOUT[EMULATOR], cpus=1), "neither VT-x nor AMD-V", "virt")


@tap.test(on="qemu", why="it is about AMD-V")
def amd_v_that_lacks_nested_paging_is_named():
    says(Machine("qemu", kernel=KERNEL, cpu="EPYC,+svm,-npt"), "AMD-V lacks: nested paging", "svm")


@tap.test(on="bochs", why="it is about VT-x")
def vt_x_that_lacks_ept_is_named():
    says(Machine("bochs", kernel=KERNEL, cpu="core2_penryn_t9600", cpus=1), "VT-x lacks: .*enable EPT", "vmx")


@tap.test(on="bochs", why="it is about VT-x; QEMU's firmware cannot lock AMD-V off")
def vt_x_that_firmware_locked_off_is_one_line():
    """The BIOS sets lock and enable bits of IA32_FEATURE_CONTROL by OR EAX, 5; this one sets the lock."""
    bios = subprocess.run(in_debian13(["cat", BIOS]), stdout=subprocess.PIPE, check=True).stdout
    before, after = b"\x83\xc8\x05\x0f\x30", b"\x83\xc8\x01\x0f\x30"
    if before not in bios:
        raise tap.Skip("this BIOS does it in another way")
    with tempfile.NamedTemporaryFile(dir=REPO / "build", suffix=".bios") as file:
        file.write(bios.replace(before, after))
        file.flush()
        says(Machine("bochs", kernel=KERNEL, extra=[f"romimage: file={file.name}, options=fastboot"]),
             "switched off and locked by firmware", "vmx")


# ---- configuration and controller -----------------------------------------------------------------


def refused(site, line, in_billetd=None, **configuration):
    """The node says the line, once; billetd says its own; nobody is let in."""
    site.boot(conf=site.configuration(**configuration), wait=False)
    tap.note(site.wait(rf"agent: .*{line}.*\n", TIMEOUT_S)[0].rstrip())
    if in_billetd:
        found = until(f"billetd says {in_billetd!r}", 10, lambda: re.search(
            rf"^.*{in_billetd}.*$", site.controller.log(), re.MULTILINE))
        tap.note(found[0])
    time.sleep(1)
    equal(len(re.findall(line, site.serial())), 1, f"lines of {line!r}")
    check("enrol: this node is" not in site.serial(), "it was let in")
    site.shut()


@tap.test
def a_wrong_ca_in_the_configuration_is_one_line_at_both_ends():
    with Site() as site:
        refused(site, "enrol: the controller's certificate is not from the configured CA",
                in_billetd="does not trust this controller's certificate",
                ca=Authority(site.folder / "other").pem)
        equal(site.controller.ok("GET", "/v1/nodes")["items"], [], "nodes")


@tap.test
def a_join_token_that_is_unknown_is_one_line_at_both_ends():
    with Site() as site:
        refused(site, "enrol: 403 join_token_unknown", in_billetd="join_token_unknown", token="bjt_" + "0" * 64)
        equal(site.controller.ok("GET", "/v1/nodes")["items"], [], "nodes")


@tap.test
def a_join_token_that_is_used_is_one_line_at_both_ends():
    with Site() as site:
        token = site.controller.join_token(uses=1)
        csr = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                              "-subj", "/CN=x", "-keyout", site.folder / "key"], capture_output=True, check=True).stdout
        first = site.controller.call("POST", "/agent/v1/enroll", {
            "join_token": token, "machine_id": MACHINE_ID, "csr": csr.decode(), "hostname": "other"})
        equal(first.status, 201, f"another machine's enrolment {first.body[:200]!r}")
        refused(site, "enrol: 403 join_token_used", in_billetd="join_token_used", token=token)
        equal([n["machine_id"] for n in site.controller.ok("GET", "/v1/nodes")["items"]], [MACHINE_ID], "nodes")


@tap.test
def a_configuration_that_is_wrong_names_its_line():
    with Site() as site:
        refused(site, "conf: line 4: unknown key", extra="jion_token = bjt_1")


@tap.test
def a_fault_for_tests_does_nothing_without_test_1():
    with Site() as site:
        site.boot(extra="test_fault = crash@5, hang@6", cmdline="log=info panic=halt")
        site.wait("fault: test_fault does nothing: the kernel's command line has no test=1")
        time.sleep(2)
        check("times before since boot" in site.serial() and "(1 times" not in site.serial(), "the agent was started anew")


def main():
    return tap.main("machine")


sys.exit(main())
