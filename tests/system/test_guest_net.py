#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two Linux guests of one node, and this machine outside: bulk transfers by TCP between all of them, with
checksums and large segments left to whoever is next, and what arrives compared by its hash.

Prints "ok - name" and "not ok - name" lines; exits 0 when none is "not ok".
"""
import hashlib
import http.server
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent / "lib"), str(REPO / "tools/emulator")]
import tap  # noqa: E402
from machine import EMULATED, Machine, in_debian13  # noqa: E402

ENGINES = "bochs", "qemu"
EMULATOR = os.environ.get("BILLET_EMULATOR", "bochs")
KERNEL, LINUX, INITRD = (REPO / "build" / name for name in ("billet.elf", "guest/vmlinuz", "guest/initrd.img"))
CMDLINE = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests=1 initcall_blacklist=jent_mod_init"
TIMEOUT_S = 300
BETWEEN_MIB, OUTSIDE_MIB = 4, 2
MTU = 9000 if EMULATOR == "qemu" else 1500  # both are wanted, and one machine has one

# [VIRTIO] "Network Device", "Feature bits": what a Linux must have agreed on
FEATURES = {"CSUM": 0, "GUEST_CSUM": 1, "MTU": 3, "GUEST_TSO4": 7, "GUEST_TSO6": 8, "HOST_TSO4": 11,
            "HOST_TSO6": 12, "MRG_RXBUF": 15}

COMMON = """
sum_of() { md5sum $1 | cut -c 1-32; } # the cheapest that will notice
count() { cat /sys/class/net/eth0/statistics/$1; }
say "features $(cat /sys/class/net/eth0/device/features)"
say "mtu $(cat /sys/class/net/eth0/mtu)"
"""
SERVER = COMMON + f"""
ip address add 192.168.7.1/24 dev eth0
mkdir /srv
dd if=/dev/urandom of=/srv/data bs=1M count={BETWEEN_MIB} 2>/dev/null
say "data $(sum_of /srv/data)"
httpd -p 80 -h /srv
nc -l -p 99 >/dev/null
poweroff -f
"""
CLIENT = COMMON + """
ip address add 192.168.7.2/24 dev eth0
until wget -q -O /tmp/data http://192.168.7.1/data; do sleep 1; done
say "data $(sum_of /tmp/data) in $(count rx_packets) frames"
wget -q -O /tmp/file http://10.0.2.2:WEB/ && say "file $(sum_of /tmp/file)"
before=$(count tx_packets)
nc 10.0.2.2 SINK -e httpd -i -h /tmp # which sends by sendfile(), as much at once as there is
say "sent in $(($(count tx_packets) - before)) frames"
echo bye | nc 192.168.7.1 99
poweroff -f
"""


class Outside:
    """A page to fetch, and a port where the guest, once it is connected, is the one who serves it."""

    def __init__(self):
        self.page, self.got = os.urandom(OUTSIDE_MIB << 20), None
        outside = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", len(outside.page))
                self.end_headers()
                self.wfile.write(outside.page)

            def log_message(self, *_):
                pass

        self.web = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.sink = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        connection, _ = self.sink.accept()
        with connection, connection.makefile("rb") as stream:
            connection.sendall(b"GET /file HTTP/1.0\r\n\r\n")
            self.got = stream.read().partition(b"\r\n\r\n")[2]

    def fill_in(self, script):
        return script.replace("WEB", str(self.web.server_port)).replace("SINK", str(self.sink.getsockname()[1]))


def initrd_with(folder, name, script):
    """The guest's initramfs, with a second one behind it that holds /etc/rc.local."""
    tree = folder / name
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/rc.local").write_text(script)
    more = subprocess.run(in_debian13(["sh", "-c", f"cd {tree} && find etc | cpio --quiet -o -H newc"]),
                          stdout=subprocess.PIPE, check=True, stdin=subprocess.DEVNULL).stdout
    out, base = folder / f"{name}.img", INITRD.read_bytes()
    out.write_bytes(base + bytes(-len(base) % 4) + more)
    return out


def make_iso(folder, scripts):
    iso = folder / "guests.iso"
    cmdline = f"guests=only panic=poweroff mtu={MTU} " + (EMULATED if EMULATOR == "bochs" else "")
    command = ["env", f"BILLET_CMDLINE={cmdline}", REPO / "tools/build/iso", iso, KERNEL]
    for name, script in scripts.items():
        command += ["--module", LINUX, f"guest {name} linux mem=128 -- {CMDLINE}",
                    "--module", initrd_with(folder, name, script), "initrd"]
    subprocess.run(in_debian13(command), cwd=REPO, check=True, stdin=subprocess.DEVNULL)
    return iso


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Run:
    """One boot for all tests: it runs when the first asks for what came of it."""

    def __init__(self):
        self.text = self.outside = self.failed = None

    def look(self):
        if self.text is None and self.failed is None:
            try:
                self.boot()
            except Exception as wrong:  # the first test to ask says so, and so do the others
                self.failed = wrong
        if self.failed:
            raise self.failed
        return self.text

    def boot(self):
        self.outside = Outside()
        with tempfile.TemporaryDirectory(dir=REPO / "build", prefix="guest-net-") as folder:
            iso = make_iso(Path(folder), {"server": SERVER, "client": self.outside.fill_in(CLIENT)})
            with Machine(EMULATOR, iso=iso, net=[], cpus=1) as machine:
                machine.wait_power_off(TIMEOUT_S)
                self.text = machine.serial_text()

    def said(self, guest, what):
        found = re.search(rf"\] {guest}: billet-guest: {what}", self.look(), re.MULTILINE)
        check(found, f"{guest} did not say {what!r}:\n" + "\n".join(self.look().splitlines()[-40:]))
        return found.groups()


run = Run()


@tap.test
def guests_agree_on_offloads_and_the_nodes_mtu():
    for guest in ("server", "client"):
        bits, = run.said(guest, r"features ([01]+)")
        check(all(bits[bit] == "1" for bit in FEATURES.values()), f"{guest} agreed on {bits}")
        mtu, = run.said(guest, r"mtu (\d+)")
        check(int(mtu) == MTU, f"{guest}'s MTU is {mtu}, should be {MTU}")


@tap.test
def guests_get_addresses_by_dhcp():
    leases = re.findall(r"address (10\.0\.2\.\d+)/24 by DHCP", run.look())
    check(len(set(leases)) == 2, f"leases are {leases}")


@tap.test
def guests_exchange_large_segments_without_cutting_them():
    want, = run.said("server", r"data ([0-9a-f]{32})")
    got, frames = run.said("client", r"data ([0-9a-f]{32}) in (\d+) frames")
    check(got == want, f"the client got {got}, the server sent {want}")
    tap.note(f"{BETWEEN_MIB} MiB in {frames} frames")
    check(int(frames) < (BETWEEN_MIB << 20) // MTU * 3 // 4, f"{frames} frames: they were cut")


@tap.test
def a_guest_fetches_from_outside():
    got, = run.said("client", r"file ([0-9a-f]{32})")
    check(got == hashlib.md5(run.outside.page).hexdigest(), "what it got is not what was sent")


@tap.test
def a_guest_sends_large_segments_to_outside():
    frames, = run.said("client", r"sent in (\d+) frames")
    tap.note(f"{OUTSIDE_MIB} MiB in {frames} frames")
    check(run.outside.got == run.outside.page, "what came is not what it sent")
    check(int(frames) < (OUTSIDE_MIB << 20) // 1460 // 2, f"{frames} frames: Linux cut them")


def main():
    return tap.main("guest-net")


sys.exit(main())
