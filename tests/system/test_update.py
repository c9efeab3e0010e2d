#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node's own update, from the boot disk's one slot to the other: BIOS and UEFI, on every kind of disk.

The kernel under test is tests/kernel/update_check.c, in both slots. Prints "ok - name" and "not ok - name" lines; exits
0 when none is "not ok".
"""
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tools/emulator"))
sys.path.insert(0, str(REPO / "tests/system/lib"))
import release  # noqa: E402
import tap  # noqa: E402
from machine import Machine, in_debian13  # noqa: E402

KERNEL = REPO / "build/kernel-tests/update_check.elf"
TIMEOUT_S = 60
ID = "00112233445566778899aabbccddeeff"
DISKS = {"ide": ["ide-hd,drive=disk"], "ahci": ["ahci,id=ahci", "ide-hd,drive=disk,bus=ahci.0"],
         "nvme": ["nvme,drive=disk,serial=billet"], "virtio": ["virtio-blk-pci,drive=disk"],
         "usb": ["qemu-xhci", "usb-storage,drive=disk"]}
CONFIG_AT = 0x2400000  # storage/boot_disk.h
ENV_AT = CONFIG_AT + 0x200
SLOT_AT = {"a": 0x2500000, "b": 0x4500000}


class Site:
    """A folder, a release key, and disks whose node.conf is a signed manifest of the kernel."""

    def __init__(self, folder):
        self.folder, self.key = folder, folder / "key.pem"
        release.make_key(self.key)
        self.manifest = folder / "manifest"
        self.manifest.write_bytes(release.manifest(KERNEL.read_bytes(), "new", self.key))
        self.cmdline = f"log=info update_key={release.public_hex(self.key)}"

    def disk(self, cmdline="check=commit", **options):
        """A new one; options as tools/build/disk has them, env a list."""
        out = self.folder / "disk.img"
        words = [w for pair in options.get("env", []) for w in ("--env", pair)]
        if "other" in options:
            words += ["--other", options["other"]]
        subprocess.run(in_debian13([REPO / "tools/build/disk", out, KERNEL, "--conf", self.manifest, "--version", "old",
                                    "--id", options.get("id", ID), "--cmdline", f"{self.cmdline} {cmdline}", *words]),
                       check=True, stdin=subprocess.DEVNULL)
        return out


def machine(disk, kind="ide", firmware="bios", more=(), throttle="", board="pc"):
    devices = [word for device in DISKS[kind] for word in ("-device", device)]
    return Machine("qemu", disk=True, firmware=firmware, nic=False, board=board,
                   extra=["-drive", f"if=none,id=disk,format=raw,file={disk}{throttle}", *devices, *more])


def env(disk):
    return dict(line.split("=", 1) for line in disk.read_bytes()[ENV_AT:ENV_AT + 1024].decode().split("\n")[1:-1])


def expect_grub_reads(site, disk):
    """grub-editenv is GRUB's own reader of what both it and the kernel wrote."""
    block = site.folder / "grubenv"
    block.write_bytes(disk.read_bytes()[ENV_AT:ENV_AT + 1024])
    listed = subprocess.run(in_debian13(["grub-editenv", block, "list"]), stdout=subprocess.PIPE, check=True).stdout
    for line in ("slot=b", "trial=-", "state_a=g", "state_b=g", "attempt=0000000000000007", f"id={ID}"):
        expect(line in listed.decode().splitlines(), f"{line} is not in {listed!r}")


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def says(m, text):
    return m.wait_serial(rf"check: {text}", TIMEOUT_S)


def goes_through(m):
    """From slot a, by installation and trial, into slot b."""
    says(m, r"slot a, attempt 0; a is good \(old\), b is empty \(\) $")
    says(m, r"a wrong signature is refused after \d+ ticks: the release is not signed with this node's update_key$")
    says(m, r"slot a, attempt 0; a is good \(old\), b is whole \(new\) $")
    m.wait_serial(r"slots: \S+: booted from slot b, on trial$", TIMEOUT_S)
    says(m, r"slot b on trial, attempt 7; a is good \(old\), b is tried \(new\) $")


def falls_back(m):
    m.wait_serial(r"slots: \S+: booted from slot a$", TIMEOUT_S, panic_fails=False)
    says(m, r"slot a, attempt 7; a is good \(old\), b is tried \(new\) $")
    m.wait_power_off(TIMEOUT_S)


def updates(kind, firmware):
    """The test of that name for a kind of disk and firmware."""
    def test(site):
        disk = site.disk()
        with machine(disk, kind, firmware) as m:
            goes_through(m)
            says(m, r"slot b, attempt 7; a is good \(old\), b is good \(new\) $")
            m.wait_power_off(TIMEOUT_S)
        image = KERNEL.read_bytes()
        with open(disk, "rb") as file:
            file.seek(SLOT_AT["b"])
            expect(file.read(len(image)) == image, "slot b does not hold the image")
        expect_grub_reads(site, disk)
    test.__name__ = f"updates_itself_from_{kind}_with_{firmware}"
    tap.test(test)


for disk_kind in DISKS:
    for its_firmware in ("bios", "uefi"):
        updates(disk_kind, its_firmware)


@tap.test
def goes_back_from_a_release_that_panics(site):
    with machine(site.disk("check=panic panic=halt")) as m:
        goes_through(m)
        m.wait_serial(r"PANIC: check: a bad release", TIMEOUT_S, panic_fails=False)
        falls_back(m)


@tap.test
def goes_back_from_a_release_that_nobody_commits(site):
    with machine(site.disk("check=hang trial-limit=3")) as m:
        goes_through(m)
        says(m, r"[12] s are left$")
        m.wait_serial(r"slots: error: this slot was not found healthy in time", TIMEOUT_S)
        falls_back(m)


@tap.test
def goes_back_from_a_release_that_stands_still(site):
    with machine(site.disk("check=stop watchdog=8"), board="q35") as m:
        goes_through(m)
        says(m, r"standing still$")
        m.wait_serial(r"watchdog: warning: TCO of 8086:2918 reset this machine, which had stood still$", TIMEOUT_S)
        falls_back(m)


@tap.test
def goes_back_from_a_trial_that_loses_power(site):
    disk = site.disk("check=hang")
    with machine(disk) as m:
        goes_through(m)
        m.kill()
    with machine(disk) as m:
        falls_back(m)


@tap.test
def boots_what_it_has_when_power_goes_while_it_writes(site):
    for after_s in (0.05, 0.2, 0.4):
        disk = site.disk()
        with machine(disk, throttle=",throttling.bps-write=1500000") as m:
            says(m, r"installing \d+ bytes$")
            time.sleep(after_s)
            m.kill()
        expect(env(disk)["state_b"] == "e", f"after {after_s} s the slot was written already")
    with machine(disk) as m:
        goes_through(m)
        m.wait_power_off(TIMEOUT_S)
    with machine(disk) as m:
        says(m, r"slot b, attempt 7; a is good \(old\), b is good \(new\) $")
        m.wait_power_off(TIMEOUT_S)


@tap.test
def boots_the_other_slot_when_one_cannot_be_loaded(site):
    broken = site.folder / "broken"
    broken.write_bytes(b"not an ELF file" * 1000)
    for firmware, variables, state in (("uefi", ["trial=b"], "tried"), ("bios", ["slot=b", "state_b=g"], "good")):
        with machine(site.disk(other=broken, env=variables), firmware=firmware) as m:
            says(m, rf"slot a, attempt 0; a is good \(old\), b is {state}")
            m.wait_power_off(TIMEOUT_S)


@tap.test
def knows_its_disk_among_others(site):
    other = site.folder / "other.img"
    shutil.copy(site.disk(id="f" * 32), other)
    disk = site.disk(env=["slot=a", "state_b=t"])
    beside = ["-drive", f"if=none,id=beside,format=raw,file={other}", "-device", "nvme,drive=beside,serial=other"]
    with machine(disk, "virtio", more=beside) as m:
        m.wait_serial(r"slots: vblk0: booted from slot a$", TIMEOUT_S)
        m.wait_power_off(TIMEOUT_S)
    shutil.copy(disk, other)
    with machine(disk, "virtio", more=beside) as m:
        m.wait_serial(rf"slots: warning: \S+ and \S+ both have the ID {ID}: the node cannot be updated$", TIMEOUT_S)


def main():
    with tempfile.TemporaryDirectory(dir=REPO / "build") as folder:
        return tap.main("update", Site(Path(folder)))


sys.exit(main())
