#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cards that come and go while the machine runs, in QEMU's slots of PCI Express, as a person at the rack
would do it: device_add plugs one in, device_del presses its slot's button and waits until the power is
off.

The kernel is tests/kernel/hotplug.c, which works on whatever disk or network card appears. Each case has a
machine of its own, some at a time, as they mostly wait. Prints "ok - name" and "not ok - name" lines; exits 0
when none is "not ok".
"""
import array
import concurrent.futures
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tools/emulator"))
from machine import Machine, MachineError, in_debian13, make_iso  # noqa: E402

KERNEL = REPO / "build/kernel-tests/hotplug.elf"
TIMEOUT_S = 60
ROUNDS = 5
AT_ONCE = 4
SLOTS = 5
DISK_MIB, SPAN_MIB = 16, 4
PATTERN, MASK = 0x9e3779b97f4a7c15, (1 << 64) - 1
RESOURCES = re.compile(r"resources: (\d+) vectors, (\d+) KiB of small blocks, (\d+) pages$", re.MULTILINE)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Rack:
    """A machine, what is plugged into it, and what its kernel says of that. Slot i has bus i + 1, and slot 0 a
    network card. acpi: the slots are QEMU's and ACPI's. boots: what it boots, and further arguments for QEMU."""

    def __init__(self, folder, acpi=False, boots=None, more=()):
        self.folder, self.nr = Path(folder), 0
        extra = [] if acpi else ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
        for i in range(SLOTS):
            extra += ["-device", f"pcie-root-port,id=slot{i},chassis={i + 1},slot={i + 1}"]
        extra += ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,bus=slot0,id=first"]
        boots = boots or {"kernel": KERNEL, "cmdline": "panic=poweroff"}
        self.machine = Machine("qemu", board="q35", nic=False, extra=[*extra, *more], **boots)
        self.machine.start()
        try:
            self.wait("hotplug_check: ready", 0)
            self.wait("nic 01:00.0: answered", 0)
        except MachineError:
            self.machine.kill()
            raise

    def now(self):
        return len(self.machine.serial_text())

    def wait(self, regex, since):
        """The match of regex in what was said since; other than Machine.wait_serial(), in any order."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := re.compile(regex, re.MULTILINE).search(self.machine.serial_text(), since)):
            text = self.machine.serial_text()[since:]
            if "backtrace:" in text or not self.machine.is_running() or time.monotonic() > deadline:
                raise self.machine.error(f"no {regex!r}")
            time.sleep(0.05)
        return found

    def add_disk(self, driver, slot, serial, place="", **options):
        """Its name for QEMU, and the image behind it."""
        self.nr += 1
        name, image = f"card{self.nr}", self.folder / f"{self.nr}.img"
        with open(image, "wb") as out:
            out.truncate(DISK_MIB << 20)
        self.machine.qmp("blockdev-add", driver="file", filename=str(image), **{"node-name": f"{name}-disk"})
        self.machine.qmp("device_add", driver=driver, id=name, bus=f"slot{slot}", drive=f"{name}-disk",
                         serial=serial, **({"addr": place} if place else {}), **options)
        return name, image

    def add_stick(self, serial, port):
        self.nr += 1
        name, image = f"card{self.nr}", self.folder / f"{self.nr}.img"
        with open(image, "wb") as out:
            out.truncate(DISK_MIB << 20)
        self.machine.qmp("blockdev-add", driver="file", filename=str(image), **{"node-name": f"{name}-disk"})
        self.machine.qmp("device_add", driver="usb-storage", id=name, bus="usb.0", port=str(port), serial=serial,
                         drive=f"{name}-disk")
        return name, image

    def add_nic(self, driver, slot, **options):
        self.nr += 1
        name = f"card{self.nr}"
        self.machine.qmp("netdev_add", type="user", id=f"{name}-net")
        self.machine.qmp("device_add", driver=driver, id=name, bus=f"slot{slot}", netdev=f"{name}-net", **options)
        return name

    def press(self, *names):
        for name in names:
            self.machine.qmp("device_del", id=name)

    def wait_deleted(self, *names):
        for name in names:
            self.machine.wait_event("DEVICE_DELETED", TIMEOUT_S, device=name)

    def resources(self):
        """As the kernel says them twice in a row, and so when nothing goes on."""
        since, last = self.now(), None
        while (found := self.wait(RESOURCES.pattern, since)).groups() != last:
            since, last = found.end(), found.groups()
        return last

    def check_image(self, image):
        words = array.array("Q")
        words.frombytes(image.read_bytes()[:SPAN_MIB << 20])
        wrong = [n for n, word in enumerate(words) if word != ((n + 1) * PATTERN) & MASK]
        check(not wrong, f"{len(wrong)} words of {image.name} are wrong, the first at byte {8 * (wrong or [0])[0]}")

    def verified(self, serial, since):
        """The number that the kernel gave to a disk, whose data it has read back."""
        return self.wait(rf"disk (\d+) \S+ {serial}: verified$", since)[1]

    def ended(self, number, since):
        self.wait(rf"disk {number} \S+: ended, 0 wrong$", since)


# ---- the cases ----------------------------------------------------------------------------------

def change_again_and_again(rack):
    """A disk of each kind and a network card, all under load, at the same time."""
    left = []
    for turn in range(ROUNDS):
        since = rack.now()
        nvme, first = rack.add_disk("nvme", 1, f"nvme-{turn}")
        blk, second = rack.add_disk("virtio-blk-pci", 2, f"blk-{turn}")
        net = rack.add_nic("virtio-net-pci", 3)
        numbers = [rack.verified(f"{kind}-{turn}", since) for kind in ("nvme", "blk")]
        rack.wait("nic 04:00.0: answered", since)
        rack.press(nvme, blk, net)
        rack.wait_deleted(nvme, blk, net)
        for number in numbers:
            rack.ended(number, since)
        for image in (first, second):
            rack.check_image(image)
            image.unlink()
        left.append(rack.resources())
    # What the first of each kind took for good, as page tables for registers, is found again.
    check(len(set(left[1:])) == 1, f"vectors, KiB and pages that are left: {left}")
    check(left[0][0] == left[-1][0], f"vectors that are left: {left}")


def pull_a_disk(rack):
    """With 16 writes under way, and without a button; the slot can be used again."""
    for driver, slot in (("nvme", 1), ("virtio-blk-pci", 2)):
        since = rack.now()
        rack.add_disk(driver, slot, f"pull-{slot}")
        number = rack.verified(f"pull-{slot}", since)
        rack.wait(f"disk {number} .*: pulled$", since)
        rack.wait(rf"hotplug: warning: slot {slot + 1} at \S+: its card was pulled out$", since)
        rack.ended(number, since)
        rack.wait(rf"hotplug: slot {slot + 1} at \S+: off$", since)
    since = rack.now()
    nvme, image = rack.add_disk("nvme", 1, "after-pull")
    number = rack.verified("after-pull", since)
    rack.press(nvme)
    rack.wait_deleted(nvme)
    rack.ended(number, since)
    rack.check_image(image)


def change_sticks(rack):
    """In a port of USB 3, and in one of USB 2; QEMU asks nobody before it takes one out."""
    left = []
    for turn in range(3):
        since = rack.now()
        sticks = [rack.add_stick(f"usb-{turn}-{port}", port) for port in (1, 4)]
        numbers = [rack.verified(f"usb-{turn}-{port}", since) for port in (1, 4)]
        rack.press(*[name for name, _ in sticks])
        for number, (_, image) in zip(numbers, sticks):
            rack.ended(number, since)
            rack.check_image(image)
            image.unlink()
        left.append(rack.resources())
    check(len(set(left)) == 1, f"vectors, KiB and pages that are left: {left}")
    rack.wait(r"usb: 00:\S+ port \d+: usb0d1: .*, 480 Mbit/s$", 0)
    rack.wait(r"usb: 00:\S+ port \d+: usb0d0: .*, 5 Gbit/s or more$", 0)


def with_usb(folder):
    return Rack(folder, more=["-device", "qemu-xhci,id=usb,p2=4,p3=2"])


def name_what_does_not_fit(rack):
    since = rack.now()
    big, _ = rack.add_disk("nvme", 1, "big", cmb_size_mb=64)
    rack.wait(r"hotplug: error: slot 2 at \S+: the card wants 655\d\d KiB of addresses; firmware has left \d+ KiB", since)
    rack.wait(r"hotplug: error: slot 2 at \S+: there is not enough room for its registers; switched off$", since)
    rack.wait_deleted(big)
    small, _ = rack.add_disk("nvme", 1, "small")
    rack.verified("small", since)
    rack.press(small)
    rack.wait_deleted(small)


def take_a_card_of_several_functions(rack):
    """QEMU tells of it when function 0 is there."""
    since, before = rack.now(), rack.resources()
    disk, image = rack.add_disk("nvme", 1, "second-function", place="0.1", multifunction=True)
    net = rack.add_nic("virtio-net-pci", 1, addr="0.0", multifunction=True)
    number = rack.verified("second-function", since)
    rack.wait("nic 02:00.0: answered", since)
    rack.press(net)
    rack.wait_deleted(net, disk)
    rack.ended(number, since)
    rack.check_image(image)
    check(rack.resources()[:2] == before[:2], f"{before} became {rack.resources()}")


def leave_a_card_whose_driver_cannot(rack):
    since = rack.now()
    net = rack.add_nic("e1000e", 1)
    rack.wait(r"drivers: warning: 02:00.0: e1000e takes no cards that are plugged in while the machine runs", since)
    rack.press(net)
    rack.wait_deleted(net)


def change_the_uplink(rack):
    """The first card is the uplink; another takes over, and in the end there is none, and one again."""
    since = rack.now()
    second = rack.add_nic("virtio-net-pci", 3)
    rack.wait("nic 04:00.0: answered", since)
    rack.press("first")
    rack.wait_deleted("first")
    rack.wait(r"hotplug_check: uplink 04:00.0$", since)
    since = rack.now()
    rack.press(second)
    rack.wait_deleted(second)
    rack.wait(r"hotplug_check: uplink none$", since)
    rack.add_nic("virtio-net-pci", 4)
    rack.wait(r"hotplug_check: uplink 05:00.0$", since)
    rack.wait("nic 05:00.0: answered", since)


def use_what_uefi_left(rack):
    """Other windows, by other firmware."""
    for turn in range(2):
        since = rack.now()
        disk, image = rack.add_disk("nvme", 1, f"uefi-{turn}")
        number = rack.verified(f"uefi-{turn}", since)
        rack.press(disk)
        rack.wait_deleted(disk)
        rack.ended(number, since)
        rack.check_image(image)


def with_uefi(folder):
    iso = folder / "boot.iso"
    make_iso(iso, KERNEL, "panic=poweroff")
    return Rack(folder, boots={"iso": iso, "firmware": "uefi"})


def take_out_the_boot_disk(rack):
    """Updates are refused from then on, and another disk in its slot is another disk."""
    since = rack.now()
    rack.press("boot0")
    rack.wait_deleted("boot0")
    rack.wait(r"hotplug_check: boot disk nvme0n1: gone, ", since)
    rack.wait(r"slots: error: nvme0n1: ", since)
    rack.add_disk("nvme", 1, "another")
    number = rack.verified("another", since)
    rack.wait(rf"disk {number} nvme1n1 another: verified$", since)
    rack.resources()
    check("the other slot, for a trial" not in rack.machine.serial_text(), "it went on with the trial")


def with_boot_disk(folder):
    disk = folder / "boot.img"
    subprocess.run(in_debian13([REPO / "tools/build/disk", disk, KERNEL, "--other", KERNEL, "--cmdline",
                                "log=info panic=poweroff"]), check=True, stdin=subprocess.DEVNULL)
    return Rack(folder, boots={"disk": True}, more=["-drive", f"if=none,id=boot,format=raw,file={disk}", "-device",
                                                    "nvme,drive=boot,serial=boot,bus=slot1,id=boot0"])


def use_the_slots_of_a_switch(rack):
    """And take the switch itself out, with a disk in it."""
    for serial in ("first", "second"):
        since = rack.now()
        disk, image = rack.add_disk("nvme", 9, serial)
        number = rack.verified(serial, since)
        rack.press(disk if serial == "first" else "switch")
        rack.wait_deleted(disk)
        rack.ended(number, since)
        rack.check_image(image)
    rack.wait_deleted("switch")
    rack.resources()


def with_switch(folder):
    return Rack(folder, more=["-device", "x3130-upstream,id=switch,bus=slot4", "-device",
                              "xio3130-downstream,id=slot9,bus=switch,chassis=10,slot=10"])


def leave_slots_that_are_acpis(rack):
    """QEMU says nothing to their ports, not even that there is a card."""
    rack.wait(r"hotplug: 00:02.0: says that it is empty, but it has a card: not served$", 0)
    rack.resources()
    check("pulled out" not in rack.machine.serial_text(), "the card was taken for pulled out")


def with_acpi(folder):
    return Rack(folder, acpi=True)


CASES = {
    "cards are changed again and again under load, and nothing is lost": (change_again_and_again, Rack),
    "disks are pulled out with writes under way": (pull_a_disk, Rack),
    "sticks are changed again and again under load": (change_sticks, with_usb),
    "a card that is too large is named and left off": (name_what_does_not_fit, Rack),
    "a card of several functions comes and goes": (take_a_card_of_several_functions, Rack),
    "a card whose driver cannot take it is left": (leave_a_card_whose_driver_cannot, Rack),
    "the uplink is changed": (change_the_uplink, Rack),
    "the slots of a switch are used": (use_the_slots_of_a_switch, with_switch),
    "UEFI's windows are used": (use_what_uefi_left, with_uefi),
    "the boot disk is taken out": (take_out_the_boot_disk, with_boot_disk),
    "slots that are ACPI's are left alone": (leave_slots_that_are_acpis, with_acpi),
}


def run(case, make, base):
    """None, or what went wrong."""
    folder, rack = Path(tempfile.mkdtemp(prefix="hotplug-", dir=base)), None
    try:
        rack = make(folder)
        case(rack)
        complaint = re.search(r"hotplug_check: error: .*", rack.machine.serial_text())
        check(not complaint, complaint and complaint[0])
        return None
    except (AssertionError, MachineError, OSError, subprocess.SubprocessError) as wrong:
        return str(wrong)
    finally:
        if rack:
            rack.machine.kill()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    base = REPO / "build/machines"
    base.mkdir(parents=True, exist_ok=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ran = {name: pool.submit(run, *case, base) for name, case in CASES.items() if pattern.search(name)}
        for name, done in ran.items():
            wrong = done.result()
            failed += wrong is not None
            print(f"{'ok' if wrong is None else 'not ok'} - {name}", flush=True)
            if wrong is not None:
                print("".join(f"# {line}\n" for line in wrong.splitlines()), end="", flush=True)
    return 1 if failed else 0


sys.exit(main())
