#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A node's whole way with its own software, as an operator goes it: a boot disk made by billetctl, enrolment from there,
releases signed and uploaded, and updates that end well, badly, and not at all.

    tests/system/test_node_update.py [REGEX]

One machine for all tests, in their order: it boots by UEFI from an NVMe disk. The emulator is QEMU, since Bochs has
neither; what it runs on makes no difference here.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import tap  # noqa: E402
from nodesite import REPO, Site, check, equal, until  # noqa: E402
from machine import Machine  # noqa: E402

ELF = (REPO / "build/billet.elf").read_bytes()
BOOT_S, UPDATE_S = 120, 240
TRIAL_S = 40  # until a trial that nobody commits is given up; a healthy one needs a few seconds


class Operator:
    """billetctl, and the machine that it makes a disk for."""

    def __init__(self, site):
        self.site, self.folder = site, site.folder
        self.key = self.folder / "release.key"
        self.public = self.run("release", "keygen", self.key).strip()

    def run(self, *args, status=0):
        c = self.site.controller
        done = subprocess.run([REPO / "build/billetctl", *map(str, args)], capture_output=True, text=True, timeout=300,
                              stdin=subprocess.DEVNULL,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "BILLET_TOKEN": c.token,
                                   "BILLET_SERVER": f"https://127.0.0.1:{c.port}", "BILLET_CA": str(c.data / "ca.crt")})
        equal(done.returncode, status, f"billetctl {' '.join(map(str, args))}: {done.stdout}{done.stderr}")
        return done.stdout + (done.stderr if status else "")

    def json(self, *args):
        return json.loads(self.run(*args, "--json"))

    def make_disk(self):
        self.disk = self.folder / "node1.img"
        self.run("node", "install-media", "node1", "--output", self.disk, "--update-key", self.key, "--controller",
                 f"https://10.0.2.2:{self.site.wire.port}", "--cmdline", f"trial-limit={TRIAL_S}")

    def start(self):
        drive = f"if=none,id=boot,format=raw,file={self.disk}"
        self.machine = Machine("qemu", disk=True, firmware="uefi", board="q35", net=[],
                               serial=self.folder / "node.log",
                               extra=["-drive", drive, "-device", "nvme,serial=boot1,drive=boot,bootindex=0"])
        self.machine.start()
        self.site.machine = self.machine

    def release(self, name, elf, key=None):
        path = self.folder / f"{name}.elf"
        path.write_bytes(elf)
        self.run("release", "upload", path, "--key", key or self.key, "--name", name)
        return self.json("release", "show", name)["version"]


def another_version(elf, letter):
    """The same program under another name: the version's first character is changed wherever it stands, into a letter
    that no version begins with. Not the last: the linker keeps one string for all that end alike, so "b" may be the end
    of a version, and slot b would have another name, too."""
    version = re.search(rb"\x01\0\0\0Billet\0\0([^\0]+)\0", elf)
    check(version, "the image says its version in a note")
    old = version[1]
    return elf.replace(old, letter + old[1:])


def known_slot(op):
    """The node as the controller shows it, once it has told its slot: the first report may leave before the disk is read."""
    return until("its slot is known", 30, lambda: (n := op.json("node", "show", "node1"))["update"] and n)


def running(op):
    node = known_slot(op)
    return node["version"], node["update"]["slot"]


@tap.test
def enrols_from_the_disk_that_billetctl_made(op):
    op.make_disk()
    op.start()
    row = until("the node asks to be let in", BOOT_S, lambda: op.json("node", "ls"))[0]
    equal(row["state"], "pending", "its state")
    shown = op.site.wait(r"key fingerprint ([0-9a-f]{64})", 30)[1]
    op.run("node", "approve", row["id"], "--fingerprint", shown, "--name", "node1")
    until("the node reports", BOOT_S, lambda: op.json("node", "show", "node1")["state"] == "ready")
    op.run("join-token", "rm", "node1")  # from here on the node has nothing but what its disk has kept
    node = known_slot(op)
    equal((node["update"]["state"], node["update"]["slot"]), ("none", "a"), "slot")
    disk = node["disks"][0]
    equal((disk["driver"], disk["serial"], disk["boot"], disk["sector_bytes"]), ("nvme", "boot1", True, 512), "its disk")
    equal(int(disk["size"]), op.disk.stat().st_size, "the disk's size")
    check(node["firmware"].startswith("UEFI"), node["firmware"])
    check("svm" in node["cpu_features"], f"CPU features: {node['cpu_features']}")
    nic = node["nics"][0]
    equal((nic["driver"], nic["link"], nic["uplink"], nic["speed_mbps"]), ("e1000", True, True, 1000), "its network card")
    text = op.run("node", "show", "node1")
    check(re.search(r"^nvme0n1 +nvme ", text, re.MULTILINE) and re.search(r"^net0 +e1000 ", text, re.MULTILINE), text)


@tap.test
def runs_a_release_and_keeps_it(op):
    version = op.release("r2", another_version(ELF, b"p"))
    before = running(op)
    done = op.run("node", "update", "node1", "--release", "r2", "--wait", "--timeout", f"{UPDATE_S}s")
    check("runs release 'r2'" in done, done)
    equal(running(op), (version, "b"), "what runs after the update")
    check(before[0] != version, "another version than before")
    codes = [e["code"] for e in op.site.controller.events()]
    equal((codes.count("node_update_ordered"), codes.count("node_updated")), (1, 1), "events")
    equal(len(op.json("node", "ls")), 1, "it is the same node as before")
    enrolled = re.findall(r"enrol: this node is", op.site.serial())
    equal(len(enrolled), 1, "how often it enrolled: its identity is on the disk")


@tap.test
def keeps_it_after_the_next_boot(op):
    version = running(op)
    op.machine.skip_serial()
    op.machine.qmp("system_reset")
    op.site.wait(r"boot: Billet p\S+$", BOOT_S)
    op.site.wait(r"report: first report accepted", BOOT_S)
    equal(running(op), version, "what runs after a reset")
    boots = [e["message"] for e in op.site.controller.events() if e["code"] == "node_booted"]
    equal(boots.count(f"node has booted {version[0]}"), 2, f"of {boots} those of this release: after the update and now")


@tap.test
def refuses_what_another_key_has_signed(op):
    other = op.folder / "other.key"
    op.run("release", "keygen", other)
    op.release("r3", another_version(ELF, b"q"), other)
    before = running(op)
    said = op.run("node", "update", "node1", "--release", "r3", "--wait", "--timeout", f"{UPDATE_S}s", status=1)
    check("not signed with this node's update_key" in said, said)
    equal(running(op), before, "what runs")


@tap.test
def returns_from_a_release_whose_agent_never_starts(op):
    """The kernel boots, but its agent is no program: only the trial's end can help."""
    broken = another_version(ELF, b"r")
    agents = [m.start() for m in re.finditer(rb"\x7fELF\x02\x01\x01", broken)][1:]
    equal(len(agents), 1, "the agent's image is in the kernel's")
    broken = broken[:agents[0]] + b"\0\0\0\0" + broken[agents[0] + 4:]
    op.release("r4", broken)
    before = running(op)
    said = op.run("node", "update", "node1", "--release", "r4", "--wait", "--timeout", f"{UPDATE_S}s", status=1)
    check("before it runs again" in said, said)
    equal(running(op), before, "what runs")
    failed = [e for e in op.site.controller.events() if e["code"] == "node_update_failed"]
    equal([e["level"] for e in failed], ["error", "error"], "events of this and of the unsigned one")


@tap.test
def returns_to_the_first_release_when_asked(op):
    version = op.release("r1", ELF)
    op.run("node", "update", "node1", "--release", "r1", "--wait", "--timeout", f"{UPDATE_S}s")
    equal(running(op), (version, "a"), "what runs")


def main():
    with Site() as site:
        return tap.main("node update", Operator(site))


sys.exit(main())
