# SPDX-License-Identifier: Apache-2.0
"""A real billetd on a free port of 127.0.0.1, and nodes and people that a test program plays against it.

    @test
    def people_are_served(c): ...      c is a Controller of the test's own

    if __name__ == "__main__":
        main(__doc__)
"""
import argparse
import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

ARGS = None
COUNTERS = ["vcpu_alloc_ns", "vcpu_run_ns", "mem_mib_ms", "net_rx_bytes", "net_tx_bytes", "net_rx_packets",
            "net_tx_packets"]
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


class Reply:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]


class Connection:
    """One HTTPS connection, opened when needed."""

    def __init__(self, controller, certificate=None, timeout=20):
        self.controller, self.certificate, self.timeout, self.http = controller, certificate, timeout, None

    def context(self):
        context = ssl.create_default_context(cafile=self.controller.path("ca.crt"))
        if self.certificate:
            context.load_cert_chain(*self.certificate)
        return context

    def call(self, method, path, body=None, headers=None, on_sent=None):
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if self.http is None:
            self.http = http.client.HTTPSConnection("127.0.0.1", self.controller.port, timeout=self.timeout,
                                                    context=self.context())
        try:
            self.http.request(method, path, body=body, headers=headers)
            if on_sent:
                on_sent()
            response = self.http.getresponse()
            return Reply(response, response.read())
        except Exception:
            self.close()
            raise

    def close(self):
        if self.http:
            self.http.close()
        self.http = None


class Controller:
    def __init__(self, *options, listen="127.0.0.1:0"):
        self.data = tempfile.mkdtemp(prefix="billetd-test-")
        self.options, self.listen, self.process, self.port = list(options), listen, None, None
        self.people = Connection(self)
        self.start()
        with open(self.path("admin.token"), encoding="ascii") as f:
            self.token = f.read().strip()

    def path(self, name):
        return os.path.join(self.data, name)

    def start(self):
        self.people.close()
        self.log = open(self.path("log"), "ab")
        start = self.log.tell()
        self.process = subprocess.Popen([ARGS.billetd, "--data", self.data, "--listen", self.listen, *self.options],
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            with open(self.path("log"), "rb") as f:
                f.seek(start)
                found = re.search(rb"listens at \S+ port (\d+)", f.read())
            if found:
                break
            check(self.process.poll() is None and time.monotonic() < deadline, "billetd does not start:\n" + self.tail())
            time.sleep(0.005)
        self.port = int(found[1])
        self.listen = f"127.0.0.1:{self.port}"

    def tail(self):
        with open(self.path("log"), "rb") as f:
            return f.read().decode(errors="replace")[-3000:]

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        code = self.process.wait(20)
        self.log.close()
        return code

    def stop(self):
        code = self.kill(signal.SIGTERM) if self.process.poll() is None else self.process.returncode
        if not ARGS.keep:
            shutil.rmtree(self.data)
        return code

    def call(self, method, path, body=None, headers=None, token=None):
        headers = {"Authorization": "Bearer " + (token or self.token), **(headers or {})}
        return self.people.call(method, path, body, headers)

    def ok(self, method, path, body=None, status=200, headers=None):
        reply = self.call(method, path, body, headers)
        equal(reply.status, status, f"{method} {path} {reply.body[:300]!r}")
        return reply.json if reply.body else None

    def join_token(self, name="rack1", **options):
        return self.ok("POST", "/v1/join-tokens", {"name": name, **options}, 201)["secret"]

    def image(self, name, kind="kernel", content=b"kernel bytes"):
        image = self.ok("POST", "/v1/images", {"name": name, "kind": kind, "size": str(len(content)),
                                               "sha256": hashlib.sha256(content).hexdigest()}, 201)
        if image["state"] == "uploading":
            self.ok("PATCH", f"/v1/images/{name}/data", content, 204, {"Upload-Offset": "0"})
        return image

    def vm(self, name, **options):
        return self.ok("POST", "/v1/vms", {"name": name, "kernel": "k", **options}, 201)


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Node:
    """A machine that joins; its key never leaves it."""

    def __init__(self, controller, token, machine=None, hostname="host1", curve="P-256", more=None):
        self.controller, self.token, self.hostname, self.more = controller, token, hostname, more or {}
        self.machine = machine or str(uuid.uuid4())
        self.boot = str(uuid.uuid4())
        self.folder = tempfile.mkdtemp(dir=controller.data)
        self.connection = Connection(controller)
        self.new_key(curve)

    def new_key(self, curve="P-256"):
        self.key = os.path.join(self.folder, f"key-{random.getrandbits(32):x}.pem")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", self.key)
        self.csr = openssl("req", "-new", "-key", self.key, "-subj", "/CN=ignored").decode()
        der = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")
        self.fingerprint = hashlib.sha256(der).hexdigest()

    def info(self):
        return {"version": "0.1.0", "hostname": self.hostname, "cpus": 2, "cpu_model": "Test CPU", "virt": "vmx",
                "memory_mib": 1024, "guest_memory_mib": 900, "free_memory_mib": 900, "uptime_ms": 5,
                "nics": [{"name": "net0", "mac": "52:54:00:ab:cd:ef", "driver": "e1000", "link": True,
                          "speed_mbps": 1000}], "mitigations": ["ibpb"], **self.more}

    def enroll(self, **changes):
        body = {"join_token": self.token, "machine_id": self.machine, "csr": self.csr, "hostname": self.hostname,
                "node": self.info(), **changes}
        reply = Connection(self.controller).call("POST", "/agent/v1/enroll", body)
        if reply.status == 201:
            self.id = reply.json["node_id"]
            self.use(reply.json["certificate"])
        return reply

    def use(self, certificate):
        path = os.path.join(self.folder, f"cert-{random.getrandbits(32):x}.pem")
        with open(path, "w", encoding="ascii") as f:
            f.write(certificate)
        self.connection = Connection(self.controller, (path, self.key))

    def call(self, method, path, body=None, headers=None):
        return self.connection.call(method, "/agent/v1" + path, body, headers)

    def report(self, **more):
        return self.call("POST", "/report", {"node_id": self.id, "boot_id": self.boot, "applied_generation": "0",
                                             "node": self.info(), "vms": [], **more})


def ready_node(controller, name="rack1", hostname="host1", **more):
    """more is what it tells of itself beside the usual."""
    node = Node(controller, controller.join_token(name, auto_approve=True), hostname=hostname, more=more)
    equal(node.enroll().status, 201, "enroll")
    equal(node.report().status, 200, "report")
    return node


def generation(node):
    return node.call("GET", "/desired").json["generation"]


def main(description, **more):
    """Run the tests of the file that calls this; more are options of its own, with their defaults."""
    global ARGS
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--billetd", default=os.path.join(os.path.dirname(__file__), "../../../build/billetd"))
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--only", default="", help="run tests whose name has this in it")
    parser.add_argument("--keep", action="store_true", help="keep the controllers' data folders")
    ARGS = parser.parse_args()
    failed = 0
    for fn in TESTS:
        name = "controller: " + fn.__name__.replace("_", " ")
        if ARGS.only not in fn.__name__:
            continue
        if not os.access(ARGS.billetd, os.X_OK):
            print(f"skip - {name} # {ARGS.billetd} is not built")
            continue
        c = None
        try:
            c = Controller()
            fn(c)
            print(f"ok - {name}", flush=True)
        except Exception as e:
            failed += 1
            where = traceback.extract_tb(e.__traceback__)
            line = next((f.lineno for f in reversed(where) if f.name == fn.__name__), 0)
            print(f"not ok - {name}")
            story = f"line {line}: {type(e).__name__}: {e}\n" + (c.tail()[-1500:] if c else "")
            print("# " + story.strip().replace("\n", "\n# "), flush=True)
        finally:
            if c:
                c.stop()
    sys.exit(1 if failed else 0)

