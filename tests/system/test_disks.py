#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disks of every kind that Billet drives: data verified end to end, by the kernel and in the image
files; errors, lost interrupts, timeouts and removal, each with what must follow and nothing else.

The kernel is tests/kernel/disk_check.c. Each machine has a disk of each kind, so they are also
tested beside each other. Prints "ok - name" and "not ok - name" lines; exits 0 when none is
"not ok".
"""
import array
import concurrent.futures
import re
import socket
import struct
import sys
import tempfile
import threading
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tools/emulator"), str(REPO / "tests/system/lib")]
import tap  # noqa: E402
from machine import Machine  # noqa: E402

KERNEL = REPO / "build/kernel-tests/disk_check.elf"
TIMEOUT_S = 120
DISK_MIB = 16
SPAN_KIB = 8192
PATTERN, MASK = 0x9e3779b97f4a7c15, (1 << 64) - 1

# name: the name its disk has in the kernel; QEMU's devices for it, whose disk is {disk}, whose PCI
# function is where {at} says; whether it can be in a slot of PCI Express
KINDS = {
    "nvme": (r"nvme0n1", ["-device", "nvme,serial=nvme-1,drive={disk}{at}"], True),
    "ahci": (r"ahci0p0", ["-device", "ich9-ahci,id=hba{at}", "-device", "ide-hd,drive={disk},bus=hba.0"], True),
    "usb": (r"usb0d0", ["-device", "qemu-xhci,id=xhci{at}", "-device", "usb-storage,drive={disk},bus=xhci.0"], True),
    "virtio-blk": (r"vblk0", ["-device", "virtio-blk-pci,serial=vblk-1,drive={disk}{at}"], True),
    "ide": (r"ata0m", ["-device", "ide-hd,drive={disk},bus=ide.0,unit=0"], False),
    "ide, second": (r"ata0s", ["-device", "ide-hd,drive={disk},bus=ide.0,unit=1"], False),
}
SUMMARY = (r"disk_check: {name}: (\d+) reads, (\d+) writes, (\d+) flushes, (\d+) discards; "
           r"(\d+) wrong, (\d+) failed, (\d+) gone; (\d+) errors, (\d+) retries, (\d+) resets, "
           r"(\d+) lost interrupts$")
FIELDS = ("reads", "writes", "flushes", "discards", "wrong", "failed", "gone", "errors", "retries",
          "resets", "lost")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def node(kind):
    """A word for QEMU."""
    return re.sub(r"\W+", "-", kind)


class Disks:
    """Image files, one for each kind, and QEMU's arguments for them."""

    def __init__(self, folder, kinds):
        self.folder, self.kinds = folder, kinds
        self.images = {kind: Path(folder) / f"{node(kind)}.img" for kind in kinds}
        for image in self.images.values():
            with open(image, "wb") as out:
                out.truncate(DISK_MIB << 20)

    def file(self, kind):
        return ["-blockdev", f"driver=file,filename={self.images[kind]},node-name={node(kind)}-file,discard=unmap"]

    def devices(self, kind, at="", options=""):
        disk = f"{node(kind)}-disk"
        return [a.format(disk=disk, at=at) + (options if f"drive={disk}" in a.format(disk=disk, at="") else "")
                for a in KINDS[kind][1]]

    def plain(self, kind, at="", options=""):
        return [*self.file(kind), "-blockdev", f"driver=raw,file={node(kind)}-file,node-name={node(kind)}-disk,discard=unmap",
                *self.devices(kind, at, options)]

    def filtered(self, kind, layer):
        """With a layer between the file and the device, as blkdebug."""
        return [*self.file(kind), "-blockdev", layer.format(file=f"{node(kind)}-file", node=f"{node(kind)}-layer"),
                "-blockdev", f"driver=raw,file={node(kind)}-layer,node-name={node(kind)}-disk", *self.devices(kind)]

    def check_images(self, seed, span_kib=SPAN_KIB):
        for kind, image in self.images.items():
            check_pattern(kind, image, seed, span_kib)


def check_pattern(kind, image, seed, span_kib):
    """What disk_check.c says that a disk holds, after it has written."""
    words = array.array("Q")
    words.frombytes((image if isinstance(image, bytearray) else image.read_bytes())[:span_kib << 10])
    base = seed << 48
    wrong = [n for n, word in enumerate(words) if word != ((n + base) * PATTERN) & MASK]
    check(not wrong, f"{kind}: {len(wrong)} words of the image are wrong, the first at byte {8 * (wrong or [0])[0]}")


class NbdServer:
    """A disk in memory, by the protocol of network block devices, which can stop answering for a while."""

    def __init__(self, path, size):
        self.path, self.content = path, bytearray(size)
        self.answers, self.is_holding, self.lock = [], False, threading.Lock()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def hold(self):
        self.is_holding = True

    def release(self):
        with self.lock:
            self.is_holding = False
            for answer in self.answers:
                self.client.sendall(answer)
            self.answers = []

    def take(self, layout):
        data = self.stream.read(struct.calcsize(layout))
        if len(data) < struct.calcsize(layout):
            raise EOFError
        return struct.unpack(layout, data)

    def serve(self):
        self.client, _ = self.listening.accept()
        self.stream = self.client.makefile("rb")
        try:
            self.negotiate()
            while True:
                self.answer()
        except (EOFError, OSError):
            pass  # the machine has ended

    def negotiate(self):
        self.client.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        self.take(">I")
        while True:
            _, option, length = self.take(">QII")
            self.stream.read(length)
            head = struct.pack(">QI", 0x3e889045565a9, option)
            if option != 7:  # all but NBD_OPT_GO: not supported
                self.client.sendall(head + struct.pack(">II", 0x80000001, 0))
                continue
            self.client.sendall(head + struct.pack(">IIHQH", 3, 12, 0, len(self.content), 5)
                                + head + struct.pack(">II", 1, 0))
            return

    def answer(self):
        _, _, kind, cookie, at, length = self.take(">IHHQQI")
        reply = struct.pack(">IIQ", 0x67446698, 0, cookie)
        if kind == 0:
            reply += self.content[at:at + length]
        elif kind == 1:
            self.content[at:at + length] = self.stream.read(length)
        with self.lock:
            if self.is_holding:
                self.answers.append(reply)
            else:
                self.client.sendall(reply)


def run(cmdline, extra, board="pc", during=None):
    """The text of a machine that has switched itself off."""
    with Machine("qemu", kernel=KERNEL, cmdline=f"panic=poweroff {cmdline}", board=board, nic=False,
                 extra=extra) as machine:
        if during:
            during(machine)
        machine.wait_serial(r"disk_check: done, \d+ disks$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)
        text = machine.serial_text()
    complaint = re.search(r"disk_check: error: .*", text)
    check(not complaint, complaint and complaint[0])
    return text


def summary(text, kind):
    found = re.search(SUMMARY.format(name=KINDS[kind][0]), text, re.MULTILINE)
    check(found, f"{kind}: no summary in\n{text}")
    return dict(zip(FIELDS, map(int, found.groups())))


def expect(text, kind, **wanted):
    got = summary(text, kind)
    for field, value in wanted.items():
        is_right = value(got[field]) if callable(value) else got[field] == value
        check(is_right, f"{kind}: {field} is {got[field]} in {got}")


# That an interrupt was lost may also mean that a busy host took more than a second.
CLEAN = {"wrong": 0, "failed": 0, "gone": 0, "errors": 0, "retries": 0, "resets": 0}


def some(number):
    return number > 0


# ---- the cases ----------------------------------------------------------------------------------

def keeps_what_is_written(disks):
    """Over a reboot and on another board, and as the image files show."""
    extra = [a for kind in disks.kinds for a in disks.plain(kind)]
    text = run(f"disk-count={len(disks.kinds)} disk-seed=7", extra)
    for kind in disks.kinds:
        expect(text, kind, **CLEAN, reads=some, writes=some, discards=0 if kind == "usb" else some)
    # What QEMU's disk says of itself by SMART.
    check(re.search(r"disk_check: ahci0p0: health: good, 31 degrees$", text, re.MULTILINE), "ahci: no health")
    disks.check_images(7)
    kinds = [kind for kind in disks.kinds if not kind.startswith("ide")]  # q35 has none
    extra = [a for kind in kinds for a in disks.plain(kind)]
    extra = [a.replace("id=hba", "id=hba,addr=0x1e") for a in extra]
    text = run("disk-check=verify disk-seed=7", extra, board="q35").replace("ahci1p0", "ahci0p0")
    for kind in kinds:
        expect(text, kind, **CLEAN, writes=0, reads=some)


def fails_where_the_disk_does(disks):
    """Those sectors and no other; what could be written is there."""
    layer = ("driver=blkdebug,image={file},node-name={node},"
             "inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=1000,"
             "inject-error.1.event=none,inject-error.1.iotype=write,inject-error.1.sector=5001")
    extra = [a for kind in disks.kinds for a in disks.filtered(kind, layer)]
    text = run("disk-check=errors disk-seed=3", extra)
    for kind in disks.kinds:
        name = KINDS[kind][0]
        failed = re.findall(rf"disk_check: {name}: (read|write) failed at sector (\d+)$", text, re.MULTILINE)
        check(sorted(failed) == [("read", "1000"), ("write", "5001")], f"{kind}: failed: {failed}")
        wrong = re.findall(rf"disk_check: {name}: wrong data in sector (\d+)$", text, re.MULTILINE)
        check(wrong == ["5001"], f"{kind}: wrong: {wrong}")
        expect(text, kind, failed=2, wrong=1, gone=0)


def beside_each_other(fn, items):
    """fn of each, in a machine of its own: they mostly wait."""
    with concurrent.futures.ThreadPoolExecutor(len(items)) as pool:
        for done in [pool.submit(fn, item) for item in items]:
            done.result()


def finds_what_ended_without_an_interrupt(disks):
    """A stick, which has one request after the other, and little time here, has a machine of its own."""
    def try_some(kinds, words, span_kib):
        extra = [a for kind in kinds for a in disks.plain(kind)]
        text = run(f"disk-deaf=1 disk-seed=4 disk-span={span_kib} {words}", extra)
        for kind in kinds:
            expect(text, kind, **{**CLEAN, "lost": some})
            check(f"{KINDS[kind][0]}: finished without an interrupt" in text, f"{kind}: nothing was said")
            check_pattern(kind, disks.images[kind], 4, span_kib)

    beside_each_other(lambda how: try_some(*how), [
        ([kind for kind in disks.kinds if kind != "usb"], "disk-lanes=4", 128),
        (["usb"], "disk-lanes=1 disk-check=errors", 16)])


def resets_what_does_not_answer(disks):
    """Requests that stay without an answer until the disk is reset: then all are tried again."""
    def try_one(kind):
        server = NbdServer(Path(disks.folder) / f"{node(kind)}.nbd", DISK_MIB << 20)

        def during(machine):
            machine.wait_serial(r"disk_check: \S+: \S+ '", TIMEOUT_S)
            server.hold()
            machine.wait_serial(r"block: warning: \S+: \d+ requests? without an answer, reset$", TIMEOUT_S)
            server.release()

        extra = ["-blockdev", f"driver=nbd,server.type=unix,server.path={server.path},node-name={node(kind)}-disk",
                 *disks.devices(kind)]
        text = run("disk-seed=5 disk-span=4096", extra, during=during)
        expect(text, kind, wrong=0, failed=0, gone=0, errors=0, resets=some, retries=some)
        check_pattern(kind, server.content, 5, 4096)

    beside_each_other(try_one, disks.kinds)


def gives_up_what_never_answers_in_time(disks):
    """Two reads from a disk that takes longer than it may, each time. A stick has one after the other, and would
    take twice as long as all else here; resets_what_does_not_answer has its way to a reset."""
    def try_one(kind):
        extra = ["-blockdev", f"driver=null-co,size=16777216,read-zeroes=on,latency-ns=6500000000,node-name={node(kind)}-disk",
                 *disks.devices(kind)]
        text = run("disk-check=verify disk-span=1 disk-lanes=2", extra)
        expect(text, kind, failed=2, errors=2, wrong=0, gone=0, resets=some, retries=some)

    beside_each_other(try_one, [kind for kind in disks.kinds if kind != "usb"])


def survives_disks_that_are_pulled_out(disks):
    """Each from its slot of PCI Express, in the midst of 32 writes, and its driver finds out by itself.
    Another goes on."""
    kinds = [kind for kind in disks.kinds if KINDS[kind][2]]
    extra = ["-blockdev", "driver=null-co,size=16777216,read-zeroes=on,node-name=stays",
             "-device", "ide-hd,drive=stays,bus=ide.0"]
    for nr, kind in enumerate(kinds):
        extra += ["-device", f"pcie-root-port,id=slot{nr},chassis={nr + 1}", *disks.plain(kind, f",bus=slot{nr}")]
    text = run("pciehp=off disk-check=pull disk-span=4096", extra, board="q35")
    for kind in kinds:
        name = KINDS[kind][0].replace("ahci0", "ahci1")
        found = re.search(SUMMARY.format(name=name), text, re.MULTILINE)
        check(found, f"{kind}: no summary in\n{text}")
        got = dict(zip(FIELDS, map(int, found.groups())))
        check(got["gone"] > 0 and got["failed"] == got["wrong"] == 0, f"{kind}: {got}")
        check(f"block: error: {name}: gone" in text, f"{kind}: nothing was said")
    expect(text, "ahci", **CLEAN, writes=some)


def has_sectors_of_4096_bytes(disks):
    size = ",logical_block_size=4096,physical_block_size=4096"
    kinds = [kind for kind in disks.kinds if kind in ("nvme", "usb", "virtio-blk")]  # QEMU's ide-hd has 512 only
    extra = [a for kind in kinds for a in disks.plain(kind, options=size)]
    text = run("disk-seed=6", extra)
    for kind in kinds:
        check(re.search(rf"disk_check: {KINDS[kind][0]}: .* sectors of 4096 bytes$", text, re.MULTILINE), kind)
        expect(text, kind, **CLEAN, reads=some, writes=some)
        check_pattern(kind, disks.images[kind], 6, SPAN_KIB)


def works_by_line_interrupts(disks):
    extra = [a for kind in disks.kinds for a in disks.plain(kind)]
    text = run("irqs=intx disk-seed=8 disk-span=2048", extra)
    for kind in disks.kinds:
        expect(text, kind, **CLEAN, reads=some, writes=some)
    disks.check_images(8, 2048)


def works_in_every_port(disks):
    """Of USB 2 and of USB 3, of two controllers, one of them by MSI, beside what is no disk."""
    for board, irqs, controller, speed in (("q35", "msix", "qemu-xhci,id=xhci,p2=4,p3=1", "480 Mbit/s"),
                                           ("pc", "msi", "nec-usb-xhci,id=xhci,p2=4,p3=4", "5 Gbit/s or more")):
        port = 3 if board == "q35" else 2
        others = [word for name in ("usb-kbd", "usb-hub") for word in ("-device", name)] if board == "q35" else [
            "-device", "usb-bot,id=bot", "-blockdev", "driver=null-co,size=1048576,node-name=cd",
            "-device", "scsi-cd,bus=bot.0,drive=cd,lun=0"]
        extra = [*disks.file("usb"), "-blockdev", "driver=raw,file=usb-file,node-name=usb-disk", "-device", controller,
                 *others, "-device", f"usb-storage,drive=usb-disk,bus=xhci.0,port={port}"]
        text = run(f"irqs={irqs} disk-count=1 disk-seed=10 disk-span=1024", extra, board=board)
        check(re.search(rf"usb: .*sectors of 512 bytes, {speed}$", text, re.MULTILINE), f"not of {speed}:\n{text}")
        names = [f"usb0d{n}" for n in range(4) if f"disk_check: usb0d{n}: usb " in text]
        check(len(names) == 1, f"disks: {names}")
        expect(text.replace(names[0], "usb0d0"), "usb", **CLEAN, reads=some, writes=some)
        check_pattern("usb", disks.images["usb"], 10, 1024)
        left = ("a keyboard, mouse or the like, .*", "a hub, .*") if board == "q35" else ("a CD drive .*",)
        for what in left:
            check(re.search(rf"usb: 00:\S+ port \d+: {what}: left alone", text), f"{what} is not named")


def works_in_bochs_beside_the_cd_drive(disks):
    image = disks.images["ide"]
    with Machine("bochs", kernel=KERNEL, cmdline="panic=poweroff disk-seed=9 disk-span=4096",
                 extra=[f"ata0-slave: type=disk, path={image}, mode=flat"]) as machine:
        machine.wait_serial(r"ata: ata0m: an ATAPI device, left alone$", TIMEOUT_S)
        machine.wait_serial(r"disk_check: done, 1 disks$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)
        text = machine.serial_text().replace("ata0s", "ata0m")
    expect(text, "ide", **CLEAN, reads=some, writes=some)
    check_pattern("ide", image, 9, 4096)


CASES = {
    "qemu: keep what is written, over a reboot": keeps_what_is_written,
    "qemu: fail where the disk does, and only there": fails_where_the_disk_does,
    "qemu: end although interrupts are lost": finds_what_ended_without_an_interrupt,
    "qemu: are reset when they do not answer": resets_what_does_not_answer,
    "qemu: are given up when they never do": gives_up_what_never_answers_in_time,
    "qemu: may be pulled out": survives_disks_that_are_pulled_out,
    "qemu: may have sectors of 4096 bytes": has_sectors_of_4096_bytes,
    "qemu: work by line interrupts": works_by_line_interrupts,
    "qemu: are sticks in ports of any speed": works_in_every_port,
    "bochs: IDE beside the CD drive": works_in_bochs_beside_the_cd_drive,
}


def run_case(case):
    base = REPO / "build/machines"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="disks-", dir=base) as folder:
        case(Disks(folder, list(KINDS)))


sys.exit(tap.cases((name, lambda case=case: run_case(case)) for name, case in CASES.items()))
