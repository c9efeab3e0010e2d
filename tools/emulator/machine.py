# SPDX-License-Identifier: Apache-2.0
"""Whole machines in an emulator, for tests and for people.

    with Machine("bochs", iso="build/billet.iso", cpus=2) as machine:
        machine.wait_serial(r"cpu: 2 of 2 CPUs online", 120)

A machine has a folder of its own below build/machines, which goes when it ends, and all its
processes end with it, even when this one is killed. The emulators run in the Debian 13 that
tools/build/root keeps; on Debian 13 itself, directly.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import tty
import threading
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
POLL_S = 0.05
TAIL_LINES = 40
PR_SET_PDEATHSIG = 1

BOCHS_CPU = "corei7_skylake_x"
BOCHS_AMD_CPU = "ryzen"
BOCHS_POWER_OFF = "ACPI control: soft power off"
BOCHS_HOST_MIB_MAX = 2048
QEMU_CPU = "EPYC,+svm,+npt"
OVMF = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
PANIC = re.compile(r"PANIC: .*")


class MachineError(Exception):
    """What went wrong, and below it the ends of the serial output and of the emulator's log."""


def in_debian13(command):
    """The command line that runs command in the Debian 13 root."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines()
                   if "=" in line)
    if (release.get("ID"), release.get("VERSION_ID", "").strip('"')) == ("debian", "13"):
        return [str(c) for c in command]
    return [str(REPO / "tools/build/root"), "run", *(str(c) for c in command)]


# Bochs 3.0 delivers a pending virtual interrupt, whatever the guest's IF says, when a physical one
# comes, and lets IF mask interrupts that should end a guest's run (docs/hardware.md).
EMULATED = "apicv=registers backstop=2"


def make_iso(out, kernel, cmdline="log=info", node_conf=None):
    """A bootable image of a kernel with this command line, for an emulated machine."""
    if "apicv=" not in cmdline:
        cmdline += " " + EMULATED
    command = ["env", f"BILLET_CMDLINE={cmdline}", REPO / "tools/build/iso", out, kernel]
    subprocess.run(in_debian13(command + ([node_conf] if node_conf else [])), cwd=REPO, check=True,
                   stdin=subprocess.DEVNULL)


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Machine:
    """One emulated machine, off until start().

    emulator   "bochs" or "qemu"
    iso        boot this CD image; or
    kernel     boot this ELF: QEMU by PVH, Bochs from a CD image that is made of it with cmdline
               and node_conf
    net        None: a NIC without a cable; else a list of forwards, each
               "HOST_PORT-GUEST_IP:GUEST_PORT", on 127.0.0.1. The machine sees us as 10.0.2.2.
    cpu        the emulator's name of a CPU model
    real_time  Bochs: keep the clock from running ahead of ours; wanted with a peer on the net
    icount     QEMU: one tick an instruction, repeatable
    accel      QEMU: "tcg" or "kvm"
    cpus       default: 2 in QEMU, 1 in Bochs. With two, Bochs 3.0 now and then loses the RIP of a guest
               that was just given an exception when an interrupt ends its run (docs/hardware.md)
    reboots    False: a reboot ends the machine
    firmware   "bios", or QEMU: "uefi" (OVMF, with variables of its own that nothing keeps)
    disk       QEMU: neither iso nor kernel but the devices in extra, in the order of their bootindex
    nic        QEMU: False: no network card but those in extra
    serial     a file that keeps what the serial port says
    serial_to  QEMU: a character device instead, as "pipe:PATH"; nothing is read of it here
    extra      further arguments for QEMU, further lines for bochsrc
    """

    def __init__(self, emulator, iso=None, kernel=None, cmdline="log=info", node_conf=None, cpus=None,
                 mem_mib=1024, serial=None, net=None, cpu=None, real_time=None, icount=False,
                 accel="tcg", board="pc", reboots=True, firmware="bios", disk=False, nic=True,
                 extra=(), serial_to=None):
        if emulator not in ("bochs", "qemu"):
            raise ValueError(f"emulator {emulator!r} is neither bochs nor qemu")
        if [iso is not None, kernel is not None, bool(disk)].count(True) != 1:
            raise ValueError("a machine boots an iso, a kernel or a disk, and one of them only")
        if emulator == "bochs" and (firmware != "bios" or disk or not nic or serial_to):
            raise ValueError("firmware, disk, nic and serial_to are options of QEMU machines")
        self.emulator, self.cmdline, self.mem_mib, self.accel = emulator, cmdline, mem_mib, accel
        self.cpus = cpus or (1 if emulator == "bochs" else 2)
        self.iso = Path(iso).resolve() if iso else None
        self.kernel = Path(kernel).resolve() if kernel else None
        self.node_conf = Path(node_conf).resolve() if node_conf else None
        self.net, self.cpu, self.icount, self.board = net, cpu, icount, board
        self.real_time = net is not None if real_time is None else real_time
        self.reboots, self.extra = reboots, list(extra)
        self.firmware, self.has_nic, self.serial_to = firmware, nic, serial_to
        self._keep_serial = Path(serial).resolve() if serial else None
        self.folder = self.process = self._qmp = None
        self._events = []
        self._seen = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.kill()

    # ---- life -----------------------------------------------------------------------------------

    def start(self):
        base = REPO / "build/machines"
        base.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.emulator}-", dir=base))
        self.serial, self.log = self.folder / "serial.txt", self.folder / "emulator.log"
        if self._keep_serial:
            self._keep_serial.write_bytes(b"")
            self.serial = self._keep_serial
        try:
            command = self._bochs() if self.emulator == "bochs" else self._qemu()
            with open(self.folder / "output.txt", "wb") as output:
                self.process = subprocess.Popen(
                    in_debian13(command), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_die_with_parent,
                    env={**os.environ, "TERM": "xterm"})
        except BaseException:
            self.kill()
            raise
        if self.emulator == "bochs":
            threading.Thread(target=self._look_at_screen, args=(self.folder,), daemon=True).start()
        return self

    @staticmethod
    def _look_at_screen(folder):
        """Bochs draws on a pseudo-terminal, and stands still when nobody reads that: after seven minutes of a
        blinking cursor it would be full."""
        try:
            while not (found := re.search(rb'connected to screen "(/dev/pts/\d+)"',
                                          (folder / "output.txt").read_bytes())):
                time.sleep(0.2)
            screen = os.open(found[1], os.O_RDWR | os.O_NOCTTY)
            tty.setraw(screen)
            while os.read(screen, 65536):
                pass
        except OSError:
            pass  # the machine has ended, and its folder and screen with it

    def kill(self):
        """End it, and remove its folder. Any number of times."""
        if self._qmp:
            self._qmp.close()
            self._qmp = None
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.process = None
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    # ---- what can be seen -----------------------------------------------------------------------

    def serial_text(self):
        try:
            return self.serial.read_bytes().decode(errors="replace").replace("\r", "")
        except FileNotFoundError:
            return ""

    def log_text(self):
        texts = [p.read_bytes().decode(errors="replace")
                 for p in (self.folder / "output.txt", self.log) if p.exists()]
        if self.emulator == "bochs":
            texts = texts[1:]  # the first is its text-mode screen
        # Of a CPU model that TCG cannot give in full, QEMU complains in dozens of lines.
        return "\n".join(line for text in texts for line in text.splitlines()
                         if "warning: TCG doesn't support" not in line)

    def wait_serial(self, regex, timeout_s, panic_fails=True):
        """The match of regex in what came since the last match; MachineError when it does not come."""
        wanted, deadline = re.compile(regex, re.MULTILINE), time.monotonic() + timeout_s
        while True:
            was_running = self.is_running()
            text = self.serial_text()
            found = wanted.search(text, self._seen)
            if found:
                self._seen = found.end()
                return found
            panic = PANIC.search(text, self._seen)
            if panic and panic_fails and text.endswith("\n") and "backtrace:" in text[panic.end():]:
                time.sleep(4 * POLL_S)
                raise self.error(f"{panic[0]} while waiting for {regex!r}")
            if not was_running:
                raise self.error(f"ended while waiting for {regex!r}")
            if time.monotonic() > deadline:
                raise self.error(f"no {regex!r} within {timeout_s} s")
            time.sleep(POLL_S)

    def skip_serial(self):
        """What came so far is not waited for any more."""
        self._seen = len(self.serial_text())

    def wait_power_off(self, timeout_s):
        """Until the machine has switched itself off; MachineError when it ends otherwise, or not."""
        deadline = time.monotonic() + timeout_s
        while self.is_running():
            if time.monotonic() > deadline:
                raise self.error(f"not off within {timeout_s} s")
            time.sleep(POLL_S)
        if self.emulator == "bochs":
            is_clean = BOCHS_POWER_OFF in self.log_text()
        else:
            is_clean = self.process.returncode == 0
        if not is_clean:
            raise self.error("ended without switching itself off")

    # ---- what can be done to it (QEMU) ----------------------------------------------------------

    def qmp(self, command, timeout_s=20, **arguments):
        """What QEMU answers to a command of its machine protocol, as machine.qmp("device_del", id="disk0")."""
        if not self._qmp:
            self._qmp = self._qmp_connect(timeout_s)
            self.qmp("qmp_capabilities", timeout_s)
        request = {"execute": command, "arguments": arguments}
        self._qmp.write(json.dumps(request).encode() + b"\n")
        self._qmp.flush()
        while True:
            line = self._qmp.readline()
            if not line:
                raise self.error(f"ended while it was asked {command!r}")
            answer = json.loads(line)
            if "error" in answer:
                raise self.error(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
            if "event" in answer:
                self._events.append(answer)  # what is neither is the greeting

    def wait_event(self, name, timeout_s, **data):
        """The first event of this name, with these among its data, that was not waited for yet."""
        deadline = time.monotonic() + timeout_s
        while True:
            for event in self._events:
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    self._events.remove(event)
                    return event
            if time.monotonic() > deadline:
                raise self.error(f"no event {name} with {data} within {timeout_s} s")
            time.sleep(POLL_S)
            self.qmp("query-status")

    def _qmp_connect(self, timeout_s):
        deadline = time.monotonic() + timeout_s
        while True:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(timeout_s)
            try:
                connection.connect(str(self.folder / "qmp"))
                return connection.makefile("rwb")
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                if time.monotonic() > deadline or not self.is_running():
                    raise self.error("does not answer on its machine protocol") from None
                time.sleep(POLL_S)

    def error(self, what):
        def tail(text):
            return "\n".join(f"    {line}" for line in text.splitlines()[-TAIL_LINES:]) or "    (nothing)"
        return MachineError(f"{self.emulator}: {what}\n  serial:\n{tail(self.serial_text())}\n"
                            f"  emulator's log:\n{tail(self.log_text())}")

    # ---- the emulators --------------------------------------------------------------------------

    def _bochs(self):
        iso = self.iso
        if self.kernel:
            iso = self.folder / "boot.iso"
            make_iso(iso, self.kernel, self.cmdline, self.node_conf)
        ethernet = "null"
        if self.net is not None:
            ethernet = "slirp, script=slirp.conf"
            forwards = [f"hostfwd = tcp:127.0.0.1:{f}" for f in self.net]
            (self.folder / "slirp.conf").write_text("\n".join(
                ["net = 10.0.2.0", "mask = 255.255.255.0", "host = 10.0.2.2",
                 "dhcpstart = 10.0.2.15", "dns = 10.0.2.3", *forwards]) + "\n")
        cpus_ignored = ", ".join(f"cpu{i}=ignore" for i in range(self.cpus))
        lines = [
            "display_library: term",
            "romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot",
            "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
            f"cpu: model={self.cpu or BOCHS_CPU}, count={self.cpus}, ips=50000000, "
            "reset_on_triple_fault=0, ignore_bad_msrs=1",
            f"memory: guest={self.mem_mib}, host={min(self.mem_mib, BOCHS_HOST_MIB_MAX)}",
            "pci: enabled=1, chipset=i440fx, slot1=e1000",
            f"e1000: enabled=1, mac=52:54:00:12:34:56, ethmod={ethernet}",
            f"clock: sync={'slowdown' if self.real_time else 'none'}, time0={int(time.time())}",
            f"ata0-master: type=cdrom, path={iso}, status=inserted",
            "boot: cdrom",
            f"com1: enabled=1, mode=file, dev={self.serial}",
            f"log: {self.log}",
            "panic: action=fatal",
            *([f"error: action=report, {cpus_ignored}"] if self.cpu == BOCHS_AMD_CPU else []),  # each #VMEXIT is one
            *self.extra,
        ]
        (self.folder / "bochsrc").write_text("\n".join(lines) + "\n")
        (self.folder / "debugger").write_text("c\n")
        return ["bochs", "-q", "-f", "bochsrc", "-rc", "debugger"]

    def _qemu(self):
        nic = "none"
        if self.net is None:
            nic = "hubport,model=e1000,hubid=0"
        else:
            nic = ",".join(["user,model=e1000", *(f"hostfwd=tcp:127.0.0.1:{f}" for f in self.net)])
        command = ["qemu-system-x86_64", "-accel", self.accel, "-machine", self.board,
                   "-cpu", self.cpu or QEMU_CPU, "-smp", self.cpus, "-m", self.mem_mib,
                   "-display", "none", "-monitor", "none", "-qmp", "unix:qmp,server=on,wait=off",
                   "-serial", self.serial_to or f"file:{self.serial}", *(["-nic", nic] if self.has_nic else ["-nic", "none"])]
        if self.firmware == "uefi":
            command += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF[0]}",
                        "-drive", f"if=pflash,format=raw,unit=1,snapshot=on,file={OVMF[1]}"]
        if self.icount:
            command += ["-icount", "shift=0,sleep=off"]
        if not self.reboots:
            command.append("-no-reboot")
        if self.kernel:
            command += ["-kernel", self.kernel, "-append", self.cmdline]
            if self.node_conf:
                command += ["-initrd", self.node_conf]
        elif self.iso:
            command += ["-cdrom", self.iso, "-boot", "d"]
        return command + self.extra
