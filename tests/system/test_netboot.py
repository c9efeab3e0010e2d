#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes that boot from the network, in QEMU, from dnsmasq (DHCP, TFTP) and lighttpd (HTTP).

All of them live in a network namespace of their own, with a tap device between. Each node has to
come up with its own configuration, which is known by its length. Prints "ok - name", "not ok - name"
and "skip - name # why" lines; exits 0 when none is "not ok".
"""
import os
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
from machine import Machine, MachineError, in_debian13  # noqa: E402

KERNEL = REPO / "build/billet.elf"
INSIDE = "BILLET_NETBOOT_INSIDE"
SERVER, POOL = "10.7.0.1", "10.7.0.50,10.7.0.90"
TIMEOUT_S = 120
MAC, STRANGER = "52:54:00:0b:11:e7", "52:54:00:0b:11:e8"
SERIAL = "RACK3-07"
OWN, BY_SERIAL, FOR_ALL = 71, 83, 97  # bytes of configuration

TFTP_BIOS = ["--dhcp-boot=grub-bios.0"]
TFTP_UEFI = ["--dhcp-boot=grub-x64.efi"]
# The ROM of QEMU's card is iPXE, which asks once more for what it is to do.
IPXE = ["--dhcp-match=set:ipxe,175", f"--dhcp-boot=tag:ipxe,http://{SERVER}/billet.ipxe"]
# OVMF tries PXE first, for minutes, unless it is told that there is none.
NO_PXE = [word for version in (4, 6) for word in ("-fw_cfg", f"name=opt/org.tianocore/IPv{version}PXESupport,string=n")]
HTTP_UEFI = ["--dhcp-match=set:http,option:client-arch,16", "--dhcp-option-force=tag:http,60,HTTPClient",
             f"--dhcp-boot=tag:http,http://{SERVER}/grub-x64.efi"]

# name, firmware, what DHCP says, MAC, serial number, bytes of the node's configuration
CASES = [
    ("BIOS: PXE by TFTP, configured by MAC", "bios", TFTP_BIOS, MAC, None, OWN),
    ("BIOS: iPXE's script by HTTP, configured by serial number", "bios", IPXE, STRANGER, SERIAL, BY_SERIAL),
    ("UEFI: PXE by TFTP, configured as all are", "uefi", TFTP_UEFI, STRANGER, None, FOR_ALL),
    ("UEFI: HTTP boot, configured by MAC rather than serial number", "uefi", HTTP_UEFI, MAC, SERIAL, OWN),
]


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def make_tree(folder):
    tree = folder / "tree"
    run("env", "BILLET_CMDLINE=log=info panic=poweroff", REPO / "tools/build/netboot", tree, KERNEL)
    for name, length in ((f"nodes/{MAC}", OWN), (f"nodes/{SERIAL}", BY_SERIAL), ("node", FOR_ALL)):
        (tree / f"{name}.conf").write_text("#" * (length - 1) + "\n")
    (tree / "nodes/not a name.conf").write_text("#\n")
    run(tree / "index")
    return tree


class Servers:
    """dnsmasq and lighttpd, which end with this."""

    def __init__(self, folder, tree, dhcp):
        self.folder, self.tree, self.dhcp, self.running = folder, tree, dhcp, []

    def __enter__(self):
        (self.folder / "lighttpd.conf").write_text(
            f'server.document-root = "{self.tree}"\nserver.port = 80\nserver.bind = "{SERVER}"\n'
            f'server.modules = ("mod_accesslog")\naccesslog.filename = "{self.folder}/http.log"\n')
        self.start("http.err", "lighttpd", "-D", "-f", self.folder / "lighttpd.conf")
        self.start("dhcp.log", "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root",
                   "--interface=tap0", "--bind-interfaces", f"--dhcp-range={POOL}", "--enable-tftp",
                   f"--tftp-root={self.tree}", f"--dhcp-leasefile={self.folder}/leases", "--log-dhcp", *self.dhcp)
        return self

    def start(self, log, *command):
        with open(self.folder / log, "wb") as output:
            self.running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output))

    def __exit__(self, *exc):
        for server in self.running:
            server.terminate()
            server.wait()

    def logs(self):
        paths = [self.folder / name for name in ("dhcp.log", "http.log", "http.err")]
        return "\n".join(line for path in paths if path.exists()
                         for line in path.read_text(errors="replace").splitlines()[-25:])


def boots(folder, tree, firmware, dhcp, mac, serial, conf_bytes):
    extra = ["-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
             "-device", f"e1000,netdev=net,mac={mac},bootindex=1"]
    extra += ["-smbios", f"type=1,serial={serial}"] if serial else []
    extra += NO_PXE if dhcp is HTTP_UEFI else []
    with Servers(folder, tree, dhcp) as servers:
        with Machine("qemu", disk=True, nic=False, firmware=firmware, board="q35", extra=extra) as machine:
            try:
                machine.wait_serial(r"boot: by multiboot2 from GRUB .*: log=info", TIMEOUT_S)
                machine.wait_serial(rf"boot: module node.conf, {conf_bytes} bytes$", TIMEOUT_S)
                machine.wait_serial(rf"boot: firmware: {firmware.upper()}, screen", TIMEOUT_S)
                machine.wait_serial(r"agent: \d+ KiB of image", TIMEOUT_S)
            except MachineError as wrong:
                raise AssertionError(f"{wrong}\n  servers:\n{servers.logs()}") from None


def run_cases(pattern):
    run("ip", "tuntap", "add", "tap0", "mode", "tap")
    run("ip", "address", "add", f"{SERVER}/24", "dev", "tap0")
    run("ip", "link", "set", "tap0", "up")
    run("ip", "link", "set", "lo", "up")
    failed = 0
    folder = Path(tempfile.mkdtemp(dir=REPO / "build"))
    try:
        tree = make_tree(folder)
        for name, *case in CASES:
            if not pattern.search(name):
                continue
            try:
                boots(folder, tree, *case)
                print(f"ok - {name}", flush=True)
            except AssertionError as wrong:
                failed += 1
                print(f"not ok - {name}", flush=True)
                print("".join(f"# {line}\n" for line in str(wrong).splitlines()), end="", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def namespace():
    """The command that gives another one a network of its own."""
    return ["unshare", "--net"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])


def why_no_network():
    """None when there can be a tap device in a namespace, else what stands against it."""
    tried = subprocess.run([*namespace(), "ip", "tuntap", "add", "tap0", "mode", "tap"],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return None if tried.returncode == 0 else (tried.stderr.strip() or "no reason given").splitlines()[0]


def main():
    if os.environ.get(INSIDE):
        return run_cases(re.compile(sys.argv[1] if len(sys.argv) > 1 else ""))
    why = why_no_network()
    if why:
        for name, *_ in CASES:
            print(f"skip - {name} # no tap device in a network namespace here: {why}")
        return 0
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [*namespace(), sys.executable, *sys.argv])


if in_debian13(["true"]) != ["true"]:
    os.execvp("/bin/sh", ["/bin/sh", "-c", 'exec "$0" "$@"', *in_debian13([Path(__file__).resolve(), *sys.argv[1:]])])
sys.exit(main())
