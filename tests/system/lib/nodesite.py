# SPDX-License-Identifier: Apache-2.0
"""A site for tests: a real billetd, a node in an emulator, and between them a wire that can be cut.

    with Site() as site:
        site.boot()
        vm = site.vm("web1", cmdline="mute=1")
        site.until_state("web1", "running")

The node reaches the controller through Wire, so its address stays when billetd is killed and
restarted. Times are of the wall clock. Bochs keeps its own from running ahead of ours, but it may
fall behind; QEMU's clock is ours, and goes on while QEMU waits for a CPU to run on. With BILLET_KEEP
in the environment the site's folder, with its logs, stays; BILLET_EMULATOR says what the node runs
in: bochs, with VT-x, or qemu, with AMD-V.
"""
import hashlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPO / "tools/emulator"))
from machine import Machine  # noqa: E402

EMULATOR = os.environ.get("BILLET_EMULATOR", "bochs")
CLOCK_WAITS = EMULATOR == "bochs"  # the machine's clock stands while the emulator does not run
HOST = "10.0.2.2"  # slirp's name for this machine's loopback
BEAT = REPO / "build/guest-tests/beat.bzimage"
COUNTERS = ["vcpu_alloc_ns", "vcpu_run_ns", "mem_mib_ms", "net_rx_bytes", "net_tx_bytes", "net_rx_packets",
            "net_tx_packets"]


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, want, what):
    check(got == want, f"{what}: is {got!r}, should be {want!r}")


def until(what, timeout_s, probe, every_s=0.1):
    """What probe answers, as soon as that is true."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s")
        time.sleep(every_s)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]


class Wire:
    """A TCP relay from a port of an address, mostly 127.0.0.1, to one of 127.0.0.1, in one of three conditions."""

    PASSES, REFUSES, SWALLOWS = range(3)

    def __init__(self, address="127.0.0.1"):
        self.condition, self.to, self.on_bytes = Wire.PASSES, None, None
        self.accepting = socket.create_server((address, 0))
        self.port = self.accepting.getsockname()[1]
        self.pairs, self.lock = [], threading.Lock()
        self.is_open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.is_open:
            try:
                near, _ = self.accepting.accept()
            except OSError:
                return
            try:
                if self.condition == Wire.REFUSES or self.to is None:
                    raise OSError
                far = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                self.reset(near)
                continue
            with self.lock:
                self.pairs.append((near, far))
            threading.Thread(target=self.relay, args=(near, far), daemon=True).start()

    @staticmethod
    def reset(end):
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        except OSError:
            pass
        end.close()

    def relay(self, near, far):
        ends = {near: far, far: near}
        try:
            while True:
                ready, _, _ = select.select(list(ends), [], [], 0.2)
                if self.condition == Wire.SWALLOWS:  # what is sent waits, as on a dead link
                    time.sleep(0.1)
                    continue
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        raise OSError
                    if end is near and self.on_bytes:
                        self.on_bytes(len(data))
                    ends[end].sendall(data)
        except (OSError, ValueError):
            for end in ends:
                self.reset(end)
            with self.lock:
                self.pairs = [p for p in self.pairs if p[0] is not near]

    def cut(self, condition):
        """From now on; connections that are there break when it is REFUSES."""
        self.condition = condition
        if condition == Wire.REFUSES:
            with self.lock:
                pairs = list(self.pairs)
            for end in (end for pair in pairs for end in pair):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has just broken by itself

    def mend(self):
        self.condition = Wire.PASSES

    def close(self):
        self.is_open = False
        self.accepting.close()


class Controller:
    """billetd, which may be killed and started again on the same data."""

    def __init__(self, folder, *options):
        self.data, self.options = Path(folder) / "data", options
        self.log_path = Path(folder) / "billetd.log"
        self.listen, self.process, self.port = "127.0.0.1:0", None, None
        self.start()
        self.token = (self.data / "admin.token").read_text().strip()
        self.ca = (self.data / "ca.crt").read_text()
        self.context = ssl.create_default_context(cadata=self.ca)

    def start(self):
        with open(self.log_path, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                [REPO / "build/billetd", "--data", self.data, "--listen", self.listen, "--name", HOST,
                 "--report-interval", "1000", *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        found = until("billetd starts", 20, lambda: re.search(
            rb"listens at \S+ port (\d+)", self.log_path.read_bytes()[begin:]), 0.01)
        self.port = int(found[1])
        self.listen = f"127.0.0.1:{self.port}"

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(20)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def call(self, method, path, body=None, headers=None, timeout=70):
        headers = {"Authorization": "Bearer " + self.token, **(headers or {})}
        if isinstance(body, (dict, list)):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def ok(self, method, path, body=None, status=200, headers=None):
        answer = self.call(method, path, body, headers)
        equal(answer.status, status, f"{method} {path} {answer.body[:300]!r}")
        return answer.json if answer.body and status != 204 else None

    def join_token(self, **options):
        name = f"t{time.monotonic_ns()}"
        return self.ok("POST", "/v1/join-tokens", {"name": name, "auto_approve": True, **options}, 201)["secret"]

    def image(self, name, content, kind="kernel"):
        image = self.ok("POST", "/v1/images", {"name": name, "kind": kind, "size": str(len(content)),
                                               "sha256": hashlib.sha256(content).hexdigest()}, 201)
        for at in range(0, len(content) if image["state"] == "uploading" else 0, 1 << 20):
            self.ok("PATCH", f"/v1/images/{name}/data", content[at:at + (1 << 20)], 204,
                    {"Upload-Offset": str(at), "Content-Type": "application/octet-stream"})
        return image

    def events(self, **where):
        query = "&".join(f"{key}={value}" for key, value in {"limit": 1000, "order": "desc", **where}.items())
        return self.ok("GET", f"/v1/events?{query}")["items"]

    def records(self, vm):
        """All raw records of a VM, in the order in which they came."""
        found, after = [], ""
        while True:
            page = self.ok("GET", f"/v1/usage/records?vm={vm}&limit=1000{after}")
            found += page["items"]
            if not page["next"]:
                return found
            after = f"&after={page['next']}"

    def used(self, vm):
        items = self.ok("GET", f"/v1/usage?vm={vm}")["items"]
        return items[0] if items else None


class Site:
    """See the head of this file."""

    def __init__(self, *options, keep="BILLET_KEEP" in os.environ):
        base = REPO / "build/sites"
        base.mkdir(parents=True, exist_ok=True)
        self.folder, self.keep = Path(tempfile.mkdtemp(dir=base)), keep
        self.machine = None
        self.controller = Controller(self.folder, *options)
        self.wire = Wire()
        self.wire.to = self.controller.port

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.machine:
            self.machine.kill()
        self.wire.close()
        self.controller.stop(signal.SIGKILL)
        if self.keep:
            print(f"# kept {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the node -------------------------------------------------------------------------------

    def configuration(self, token=None, extra="", ca=None, host=HOST, port=None):
        token = token or self.controller.join_token()
        return (f"controller = https://{host}:{port or self.wire.port}\njoin_token = {token}\nhostname = node1\n"
                f"{extra}\n{ca or self.controller.ca}")

    def boot(self, conf=None, cmdline="log=info panic=halt test=1", extra="", wait=True, **options):
        """Boot a node, and wait until the controller has its first report."""
        path = self.folder / "node.conf"
        path.write_text(conf or self.configuration(extra=extra))
        self.machine = Machine(EMULATOR, kernel=REPO / "build/billet.elf", cmdline=cmdline, node_conf=path,
                               serial=self.folder / "node.log", net=[], **{"cpus": 2, **options})
        self.machine.start()
        if wait:
            self.wait(r"report: first report accepted", 120)

    def shut(self):
        self.machine.kill()
        self.machine = None

    def wait(self, regex, timeout_s=60):
        """The match of regex in what the node's log got since the last wait."""
        try:
            return self.machine.wait_serial(regex, timeout_s)
        except Exception as wrong:
            raise AssertionError(str(wrong)) from None

    def serial(self):
        return self.machine.serial_text()

    def node(self):
        nodes = self.controller.ok("GET", "/v1/nodes")["items"]
        return nodes[0] if nodes else None

    # ---- VMs ------------------------------------------------------------------------------------

    def beat_image(self):
        if self.controller.call("GET", "/v1/images/beat").status == 404:
            self.controller.image("beat", BEAT.read_bytes())

    def vm(self, name, **options):
        """Where others want the CPUs, a node in an emulator may be late with its reports and counted as lost for a while."""
        self.beat_image()
        until("the node is ready", 60, lambda: self.node()["state"] == "ready")
        return self.controller.ok("POST", "/v1/vms", {"name": name, "kernel": "beat", "memory_mib": 32, **options}, 201)

    def show(self, name):
        return self.controller.ok("GET", f"/v1/vms/{name}")

    def do(self, name, verb):
        return self.controller.ok("POST", f"/v1/vms/{name}/{verb}")

    def until_state(self, name, state, timeout_s=60):
        def probe():
            vm = self.show(name)
            if vm["state"] in ("failed", "crashed") and vm["state"] != state:
                raise AssertionError(f"{name} is {vm['state']}: {vm['reason']}")
            return vm if vm["state"] == state else None
        return until(f"{name} is {state}", timeout_s, probe)

    def delete(self, name, timeout_s=60):
        """Delete a VM and wait for its last counters; gives that record."""
        vm = self.show(name)["id"]
        self.controller.ok("DELETE", f"/v1/vms/{name}", status=204)
        finals = until(f"final record of {name}", timeout_s,
                       lambda: [r for r in self.controller.records(vm) if r["final"]])
        equal(len(finals), 1, f"final records of {name}")
        return finals[0]

    def clear(self):
        """No VMs any more: what a failed test left behind."""
        for vm in self.controller.ok("GET", "/v1/vms")["items"]:
            self.controller.ok("DELETE", f"/v1/vms/{vm['id']}", status=204)
        until("the node has no VMs", 60, lambda: self.node()["applied_generation"] == self.node()["generation"])

    def check_ledger(self, vm, final):
        """What the node counted last, what was stored and what is charged are one."""
        records = self.controller.records(vm)
        used = self.controller.used(vm)
        keys = [(r["node"], r["boot_id"], r["seq"]) for r in records]
        equal(len(set(keys)), len(keys), "usage records stored twice")
        in_order = sorted(records, key=lambda r: int(r["seq"]))
        for before, after in zip(in_order, in_order[1:]):
            for counter in COUNTERS:
                check(int(after[counter]) >= int(before[counter]), f"{counter} fell: {before} {after}")
        for counter in COUNTERS:
            equal(used[counter], final[counter], f"ledger and the node's last {counter}")
            equal(int(used[counter]), max(int(r[counter]) for r in records), f"ledger and highest record, {counter}")
        bad = [e for e in self.controller.events() if e["code"].startswith("usage")]
        equal(bad, [], "events about usage")

    def console(self, name):
        return Console(self.controller, name)


class Console:
    """A VM's output, collected while it is asked for."""

    def __init__(self, controller, name):
        self.controller, self.name, self.text, self.next = controller, name, "", None
        self.poll()

    def poll(self):
        query = f"?offset={self.next}" if self.next is not None else ""
        answer = self.controller.call("GET", f"/v1/vms/{self.name}/console{query}")
        if answer.status in (200, 204):
            self.next = answer.headers["X-Billet-Next"]
            self.text += answer.body.decode(errors="replace")
        return self.text

    def type(self, text):
        equal(self.controller.call("POST", f"/v1/vms/{self.name}/console", text.encode()).status, 204, "typing")

    def until(self, regex, timeout_s=30, start=0):
        return until(f"{regex!r} on {self.name}'s console", timeout_s,
                     lambda: re.compile(regex, re.MULTILINE).search(self.poll(), start), 0.2)

    def beats(self):
        """[(number, latest in µs, lost)] of whole lines."""
        return [tuple(map(int, b)) for b in re.findall(r"^beat (\d+) late (\d+) lost (\d+)$", self.text, re.MULTILINE)]
