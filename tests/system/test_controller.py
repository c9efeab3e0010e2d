#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The controller from outside: a real billetd on a free port of 127.0.0.1, nodes and people played by this program.

    tests/system/test_controller.py [--billetd build/billetd] [--kills 100] [--only WORD] [--keep]

Prints "ok - name", "not ok - name" or "skip - name # why" for each test. Every test has a controller of its own
unless it says otherwise, so that they can be run alone.
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
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
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

    def __init__(self, controller, token, machine=None, hostname="host1", curve="P-256"):
        self.controller, self.token, self.hostname = controller, token, hostname
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
                          "speed_mbps": 1000}], "mitigations": ["ibpb"]}

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


def ready_node(controller, name="rack1", hostname="host1"):
    node = Node(controller, controller.join_token(name, auto_approve=True), hostname=hostname)
    equal(node.enroll().status, 201, "enroll")
    equal(node.report().status, 200, "report")
    return node


# ---- joining -------------------------------------------------------------------------------------

@test
def a_machine_waits_for_approval_and_gets_a_certificate_for_its_own_key(c):
    node = Node(c, c.join_token())
    reply = node.enroll()
    equal((reply.status, reply.json["status"]), (202, "pending"))
    equal(reply.json["fingerprint"], node.fingerprint, "fingerprint")
    shown = c.ok("GET", "/v1/nodes")["items"]
    equal([(n["state"], n["fingerprint"], n["cpus"]) for n in shown], [("pending", node.fingerprint, 2)])
    equal(c.call("POST", "/v1/nodes/host1/approve", {"fingerprint": "0" * 64}).code, "fingerprint_changed")
    equal(node.enroll().status, 202, "still pending")
    equal(c.ok("POST", "/v1/nodes/host1/approve", {"fingerprint": node.fingerprint})["state"], "approved")
    equal(c.call("POST", "/v1/nodes/host1/approve", {}).code, "node_not_pending")
    reply = node.enroll()
    equal(reply.status, 201, "approved")
    text = openssl("x509", "-noout", "-subject", "-ext", "extendedKeyUsage", data=reply.json["certificate"].encode())
    check(node.id in text.decode() and "Client Authentication" in text.decode(), text)
    equal(reply.json["ca"], open(c.path("ca.crt"), encoding="ascii").read(), "ca")
    equal(node.report().status, 200, "report")
    shown = c.ok("GET", "/v1/nodes/" + node.id)
    equal((shown["state"], shown["memory_mib"], shown["nics"][0]["driver"]), ("ready", 1024, "e1000"))


@test
def an_approval_is_for_one_key(c):
    node = Node(c, c.join_token())
    node.enroll()
    c.ok("POST", "/v1/nodes/host1/approve", {})
    node.new_key()
    equal(node.enroll().status, 202, "another key than was approved")
    equal(c.ok("GET", "/v1/nodes/host1")["state"], "pending")


@test
def a_stranger_with_a_token_cannot_take_a_nodes_place(c):
    node = ready_node(c)
    thief = Node(c, c.join_token("other", uses=2), machine=node.machine)
    for _ in range(2):
        reply = thief.enroll(node={**thief.info(), "cpus": 64})
        equal((reply.status, reply.json["node_id"]), (202, node.id))
    equal(c.ok("GET", "/v1/join-tokens/other")["used"], 1, "one machine counts once")
    equal(c.ok("GET", "/v1/nodes/host1")["cpus"], 2, "the node is as it was")
    equal(node.report().status, 200, "its certificate counts")
    node.new_key()
    equal(node.enroll().status, 201, "its token does, too")
    equal(c.ok("GET", "/v1/nodes/host1")["state"], "ready")
    thief.enroll()
    c.ok("POST", "/v1/nodes/host1/approve", {"fingerprint": thief.fingerprint})
    equal(thief.enroll().status, 201, "a person said so")
    equal(node.report().code, "certificate_superseded")


@test
def join_tokens_end_by_use_by_time_and_by_hand(c):
    token = c.join_token("once", auto_approve=True)
    first = Node(c, token)
    equal(first.enroll().status, 201)
    equal(Node(c, token).enroll().code, "join_token_used")
    equal(first.enroll().status, 201, "the same machine again")
    equal(Node(c, "bjt_" + "0" * 64).enroll().code, "join_token_unknown")
    c.ok("DELETE", "/v1/join-tokens/once", status=204)
    equal(first.enroll().code, "join_token_revoked")
    late = c.join_token("late", uses=2)
    c.kill()
    db = sqlite3.connect(c.path("billetd.db"))
    db.execute("UPDATE join_tokens SET expires_ms = 1 WHERE name = 'late'")
    db.commit()
    db.close()
    c.start()
    equal(Node(c, late).enroll().code, "join_token_expired")
    equal([t["state"] for t in c.ok("GET", "/v1/join-tokens")["items"]], ["revoked", "expired"])


@test
def unfit_requests_to_join_are_refused(c):
    node = Node(c, c.join_token(auto_approve=True), curve="P-384")
    reply = node.enroll()
    equal((reply.status, reply.json["error"]["field"]), (422, "csr"))
    node.new_key()
    equal(node.enroll(csr="nonsense").status, 422)
    broken = node.csr.splitlines()
    broken[2] = broken[2][::-1]
    equal(node.enroll(csr="\n".join(broken) + "\n").status, 422, "signature broken")
    equal(node.enroll(machine_id="HOST").json["error"]["field"], "machine_id")
    equal(c.ok("GET", "/v1/nodes")["items"], [], "nothing changed")
    equal(node.enroll().status, 201)


@test
def joining_again_supersedes_the_old_certificate(c):
    node = ready_node(c)
    old, first_id = node.connection, node.id
    node.new_key()
    equal(node.enroll().status, 201)
    equal(node.id, first_id, "the same node")
    equal(node.report().status, 200)
    reply = old.call("GET", "/agent/v1/desired")
    equal((reply.status, reply.code), (403, "certificate_superseded"))


@test
def a_renewed_certificate_takes_over_when_it_is_used(c):
    node = ready_node(c)
    old, key = node.connection, node.key
    reply = node.call("POST", "/renew", {"csr": node.csr})
    equal(reply.status, 201)
    equal(old.call("GET", "/agent/v1/desired").status, 200, "old one before the new one is used")
    node.key = key
    node.use(reply.json["certificate"])
    equal(node.call("GET", "/desired").status, 200)
    equal(old.call("GET", "/agent/v1/desired").code, "certificate_superseded")


@test
def nodes_must_show_a_certificate_of_this_controller(c):
    node = ready_node(c)
    reply = Connection(c).call("GET", "/agent/v1/desired")
    equal((reply.status, reply.code), (401, "certificate_missing"))
    other = Controller()
    try:
        stranger = ready_node(other)
        path = stranger.connection.certificate
        reply = Connection(c, path).call("GET", "/agent/v1/desired")
        equal((reply.status, reply.code), (401, "certificate_untrusted"))
        wrong = Connection(c)
        wrong.context = lambda: ssl.create_default_context(cafile=other.path("ca.crt"))
        try:
            wrong.call("GET", "/healthz")
            raise AssertionError("a client with another CA was content")
        except ssl.SSLCertVerificationError:
            pass
    finally:
        other.stop()
    forged = os.path.join(node.folder, "forged.pem")
    openssl("req", "-x509", "-new", "-key", node.key, "-subj", "/O=Billet/CN=" + node.id, "-days", "1", "-out", forged)
    reply = Connection(c, (forged, node.key)).call("GET", "/agent/v1/desired")
    equal((reply.status, reply.code), (401, "certificate_untrusted"))
    server = (c.path("server.crt"), c.path("server.key"))
    equal(Connection(c, server).call("GET", "/agent/v1/desired").code, "certificate_untrusted", "server's own")
    equal(node.report(node_id="node_" + "0" * 16).code, "node_mismatch")


@test
def the_controllers_name_is_in_its_certificate(c):
    names = openssl("x509", "-in", c.path("server.crt"), "-noout", "-ext", "subjectAltName").decode()
    check("localhost" in names and "127.0.0.1" in names and "10.0.2.2" not in names, names)
    check(subprocess.run(["openssl", "verify", "-CAfile", c.path("ca.crt"), "-verify_ip", "10.0.2.2", c.path("server.crt")],
                         capture_output=True).returncode != 0, "valid for a wrong address")
    for name in ("ca.key", "server.key", "admin.token", "billetd.db"):
        equal(os.stat(c.path(name)).st_mode & 0o77, 0, "mode of " + name)
    before = open(c.path("ca.crt"), "rb").read()
    c.kill(signal.SIGTERM)
    c.options += ["--name", "10.0.2.2"]
    c.start()
    names = openssl("x509", "-in", c.path("server.crt"), "-noout", "-ext", "subjectAltName").decode()
    check("10.0.2.2" in names, names)
    equal(open(c.path("ca.crt"), "rb").read(), before, "the CA stays")


@test
def expired_certificates_are_refused(c):
    c.kill(signal.SIGTERM)
    c.options += ["--node-cert-lifetime", "2"]
    c.start()
    node = ready_node(c)
    time.sleep(3.2)
    reply = node.call("GET", "/desired")
    equal((reply.status, reply.code), (401, "certificate_expired"))
    equal(node.enroll().status, 201)
    equal(node.call("GET", "/desired").status, 200, "after enrolling again")


@test
def a_removed_node_is_out_at_once(c):
    node = ready_node(c)
    result = []
    thread = threading.Thread(target=lambda: result.append(node.call("GET", "/desired?wait=20&gen=" + generation(node))))
    thread.start()
    time.sleep(0.3)
    c.ok("DELETE", "/v1/nodes/host1", status=204)
    thread.join(5)
    equal((result[0].status, result[0].code), (403, "certificate_revoked"))
    equal(node.enroll().code, "node_removed")
    equal(c.ok("GET", "/v1/nodes")["items"], [])
    equal(c.ok("GET", "/v1/nodes?all=1")["items"][0]["state"], "removed")


# ---- what is not well formed ---------------------------------------------------------------------

@test
def malformed_and_oversized_bodies_are_refused(c):
    node = ready_node(c)
    for body, status, code in [(b"{", 400, "malformed_json"), (b"[]", 400, "malformed_json"), (b"\xff\xfe", 400, "malformed_json"),
                               (b'{"node_id":7}', 422, "invalid_field"), (b"{}", 422, "missing_field"),
                               (b"[" * 100000, 400, "malformed_json"), (b" " * (1 << 20) + b"{}", 413, "body_too_large")]:
        reply = node.call("POST", "/report", body)
        equal((reply.status, reply.code), (status, code), repr(body[:20]))
    reply = node.call("POST", "/report", b'{"node_id": nope}')
    check("byte 12" in reply.json["error"]["message"], reply.body)
    equal(c.call("POST", "/v1/vms", {"name": "Bad Name"}).json["error"]["field"], "name")
    equal(c.call("GET", "/v1/vms?limit=x").code, "bad_query")
    equal(c.call("GET", "/v1/nothing").code, "not_found")
    equal(c.call("PUT", "/v1/vms").code, "method_not_allowed")
    big = Connection(c)
    try:
        reply = big.call("POST", "/agent/v1/enroll", b"x" * (20 << 20))
        equal(reply.status, 413)
    except OSError:
        pass  # it hangs up while we are still sending
    huge = Connection(c)
    try:
        check(huge.call("GET", "/healthz", headers={"X-Long": "y" * 40000}).status >= 400, "headers beyond the limit")
    except (OSError, http.client.HTTPException):
        pass
    equal(Connection(c).call("GET", "/healthz").json, {"status": "ok"})


@test
def garbage_on_the_port_harms_nobody(c):
    node = ready_node(c)
    for seed in range(20):
        noise = random.Random(seed)
        with socket.create_connection(("127.0.0.1", c.port)) as s:
            s.sendall(noise.randbytes(500))
    tls = ssl._create_unverified_context()
    for seed in range(40):
        noise = random.Random(seed)
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", c.port))) as s:
            try:
                s.sendall(b"POST /agent/v1/enroll HTTP/1.1\r\nContent-Length: " + noise.choice(
                    [b"-1", b"99999999999999999999", b"5\r\nTransfer-Encoding: chunked", b"\x00", b"3"]) +
                    b"\r\n\r\n" + noise.randbytes(200))
            except OSError:
                pass
    equal(node.report().status, 200)


@test
def people_must_show_a_token_and_roles_hold(c):
    reply = c.people.call("GET", "/v1/vms")
    equal((reply.status, reply.code), (401, "token_missing"))
    equal(c.call("GET", "/v1/vms", token="bat_" + "0" * 64).code, "token_invalid")
    viewer = c.ok("POST", "/v1/tokens", {"name": "v", "role": "viewer"}, 201)["secret"]
    operator = c.ok("POST", "/v1/tokens", {"name": "o", "role": "operator"}, 201)["secret"]
    equal(c.call("GET", "/v1/vms", token=viewer).status, 200)
    equal(c.call("DELETE", "/v1/vms/x", token=viewer).code, "role_forbidden")
    equal(c.call("DELETE", "/v1/vms/x", token=operator).code, "vm_not_found")
    equal(c.call("GET", "/v1/join-tokens", token=operator).code, "role_forbidden")
    c.ok("DELETE", "/v1/tokens/v", status=204)
    equal(c.call("GET", "/v1/vms", token=viewer).code, "token_invalid")
    equal(c.call("DELETE", "/v1/tokens/admin").code, "token_last")
    stored = sqlite3.connect(c.path("billetd.db")).execute("SELECT group_concat(hash) FROM tokens").fetchone()[0]
    check(c.token not in stored and hashlib.sha256(c.token.encode()).hexdigest() in stored, "tokens are stored as hashes")
    node = ready_node(c)
    reply = Connection(c, node.connection.certificate).call("GET", "/v1/vms")
    equal(reply.code, "token_missing", "a node's certificate is no token")


# ---- images --------------------------------------------------------------------------------------

@test
def an_upload_goes_on_where_it_was_cut_off(c):
    content = random.Random(1).randbytes(3 << 20)
    c.ok("POST", "/v1/images", {"name": "k", "kind": "kernel", "size": len(content),
                                "sha256": hashlib.sha256(content).hexdigest()}, 201)
    c.ok("PATCH", "/v1/images/k/data", content[:1 << 20], 204, {"Upload-Offset": "0"})
    reply = c.call("PATCH", "/v1/images/k/data", content[:10], {"Upload-Offset": "5"})
    equal((reply.status, reply.code, reply.headers["Upload-Offset"]), (409, "upload_offset", str(1 << 20)))
    c.kill()
    c.start()
    reply = c.call("HEAD", "/v1/images/k/data")
    equal((reply.headers["Upload-Offset"], reply.headers["Upload-Length"]), (str(1 << 20), str(3 << 20)))
    equal(c.call("POST", "/v1/vms", {"name": "v", "kernel": "k"}).code, "image_not_ready")
    equal(c.call("PATCH", "/v1/images/k/data", content, {"Upload-Offset": str(1 << 20)}).code, "bad_request", "too long")
    c.ok("PATCH", "/v1/images/k/data", content[1 << 20:], 204, {"Upload-Offset": str(1 << 20)})
    equal(c.ok("GET", "/v1/images/k")["state"], "ready")
    again = c.ok("POST", "/v1/images", {"name": "k2", "kind": "kernel", "size": len(content),
                                        "sha256": hashlib.sha256(content).hexdigest()}, 201)
    equal(again["state"], "ready", "the same bytes are there already")
    c.ok("DELETE", "/v1/images/k", status=204)
    equal(len(os.listdir(c.path("blobs"))), 1, "k2 still needs them")
    c.ok("DELETE", "/v1/images/k2", status=204)
    equal(os.listdir(c.path("blobs")), [])


@test
def an_image_with_the_wrong_hash_is_rejected(c):
    c.ok("POST", "/v1/images", {"name": "k", "kind": "kernel", "size": "5", "sha256": "0" * 64}, 201)
    reply = c.call("PATCH", "/v1/images/k/data", b"12345", {"Upload-Offset": "0"})
    equal((reply.status, reply.code), (422, "image_hash_mismatch"))
    equal(c.ok("GET", "/v1/images/k")["state"], "rejected")
    equal(os.listdir(c.path("uploads")) + os.listdir(c.path("blobs")), [])
    equal(c.call("PATCH", "/v1/images/k/data", b"12345", {"Upload-Offset": "0"}).code, "upload_offset")
    c.ok("DELETE", "/v1/images/k", status=204)


@test
def blobs_come_in_ranges_to_the_nodes_that_need_them(c):
    node = ready_node(c)
    content = random.Random(2).randbytes(5 << 20)
    digest = hashlib.sha256(content).hexdigest()
    c.image("k", content=content)
    equal(node.call("GET", "/blobs/" + digest).code, "blob_not_found", "no VM needs it yet")
    c.vm("web1")
    reply = node.call("GET", "/blobs/" + digest)
    equal((reply.status, hashlib.sha256(reply.body).hexdigest(), reply.headers["ETag"]), (200, digest, f'"{digest}"'))
    for header, first, last in [("bytes=0-99", 0, 99), ("bytes=5000000-", 5000000, len(content) - 1),
                                ("bytes=-7", len(content) - 7, len(content) - 1),
                                ("bytes=4097-99999999", 4097, len(content) - 1)]:
        reply = node.call("GET", "/blobs/" + digest, headers={"Range": header})
        equal((reply.status, reply.headers["Content-Range"]), (206, f"bytes {first}-{last}/{len(content)}"), header)
        equal(reply.body, content[first:last + 1], header)
    reply = node.call("GET", "/blobs/" + digest, headers={"Range": f"bytes={len(content)}-"})
    equal((reply.status, reply.headers["Content-Range"]), (416, f"bytes */{len(content)}"))
    reply = node.call("HEAD", "/blobs/" + digest)
    equal((reply.status, reply.headers["Content-Length"]), (200, str(len(content))))
    equal(node.call("GET", "/blobs/" + digest, headers={"If-None-Match": f'"{digest}"'}).status, 304)
    equal(node.call("GET", "/blobs/" + digest, headers={"If-Range": '"x"', "Range": "bytes=0-1"}).status, 200)
    equal(node.call("GET", "/blobs/..%2f..%2fca.key").status, 404)
    equal(c.call("DELETE", "/v1/images/k").code, "image_in_use")
    other = ready_node(c, "rack2", "host2")
    equal(other.call("GET", "/blobs/" + digest).code, "blob_not_found", "not its VM")


# ---- VMs -----------------------------------------------------------------------------------------

def generation(node):
    return node.call("GET", "/desired").json["generation"]


@test
def a_long_poll_wakes_at_once(c):
    node = ready_node(c)
    c.image("k")
    before, result = generation(node), []

    def poll():
        result.append((node.call("GET", f"/desired?gen={before}&wait=20"), time.monotonic()))

    thread = threading.Thread(target=poll)
    thread.start()
    time.sleep(0.5)
    check(not result, "nothing has changed yet")
    changed = time.monotonic()
    vm = c.vm("web1", cmdline="console=ttyS0", memory_mib=128)
    thread.join(5)
    reply, at = result[0]
    check(at - changed < 1, f"woke after {at - changed:.3f} s")
    document = reply.json
    equal((document["node_id"], int(document["generation"]) > int(before)), (node.id, True))
    got = document["vms"][0]
    equal((got["id"], got["name"], got["state"], got["boot"]["cmdline"], got["boot"]["initrd"], got["console"]),
          (vm["id"], "web1", "running", "console=ttyS0", None, None))
    equal(document["images"][0]["sha256"], got["boot"]["kernel"])
    start = time.monotonic()
    equal(node.call("GET", f"/desired?gen={document['generation']}&wait=1").status, 204)
    check(0.9 < time.monotonic() - start < 3, "waits as long as it was told")


@test
def a_second_poll_ends_the_first(c):
    node = ready_node(c)
    gen, first = generation(node), []
    other = Connection(c, node.connection.certificate)
    thread = threading.Thread(target=lambda: first.append(other.call("GET", f"/agent/v1/desired?gen={gen}&wait=30")))
    thread.start()
    time.sleep(0.3)
    equal(node.call("GET", f"/desired?gen={gen}&wait=1").status, 204)
    thread.join(2)
    equal(first[0].status, 204)


@test
def pollers_that_hang_up_are_forgotten(c):
    node = ready_node(c)
    c.image("k")
    c.vm("v")
    gen = generation(node)
    for i in range(10):
        gone = Connection(c, node.connection.certificate, timeout=0.1)
        try:
            gone.call("GET", f"/agent/v1/desired?gen={gen}&wait={1 + i % 2}")
        except TimeoutError:
            pass
        looker = Connection(c, timeout=0.1)
        try:
            looker.call("GET", "/v1/vms/v/console?wait=20", headers={"Authorization": "Bearer " + c.token})
        except TimeoutError:
            pass
        gen = generation(node)
    c.ok("POST", "/v1/vms/v/reboot")
    session = node.call("GET", "/desired").json["vms"][0]["console"]["session"]
    vm = c.ok("GET", "/v1/vms/v")["id"]
    equal(node.call("POST", f"/console/{vm}?session={session}&offset=0", b"hello").status, 204)
    time.sleep(2)
    equal(c.call("GET", "/v1/vms/v/console").body, b"hello")


@test
def slow_transfers_and_long_polls_outlast_the_idle_timeout(c):
    c.kill(signal.SIGTERM)
    c.options += ["--idle-timeout", "2"]
    c.start()
    node = ready_node(c)
    content = random.Random(5).randbytes(8 << 20)
    c.image("k", content=content)
    c.vm("v")
    gen = generation(node)
    equal(node.call("GET", f"/desired?gen={gen}&wait=4").status, 204, "a poll longer than the timeout")
    slow = http.client.HTTPSConnection("127.0.0.1", c.port, timeout=10, context=node.connection.context())
    slow.request("GET", "/agent/v1/blobs/" + hashlib.sha256(content).hexdigest())
    response, got = slow.getresponse(), b""
    while piece := response.read(1 << 20):
        got += piece
        time.sleep(0.6)
    check(got == content, f"{len(got)} of {len(content)} bytes came")
    time.sleep(3.5)
    try:
        slow.request("GET", "/healthz")
        slow.getresponse()
        raise AssertionError("an idle connection is still open")
    except (OSError, http.client.HTTPException):
        pass


@test
def common_clients_are_served(c):
    def run(*args, **options):
        return subprocess.run(args, capture_output=True, timeout=20, **options)

    base = ["curl", "-sS", "--cacert", c.path("ca.crt"), "-H", "Authorization: Bearer " + c.token]
    url = f"https://localhost:{c.port}"
    for version in ("--tlsv1.3", "--tls-max=1.2"):
        got = run(*base, *version.replace("=", " ").split(), url + "/v1/version")
        equal(json.loads(got.stdout)["api"], ["v1"], version + got.stderr.decode())
    content = bytes(8 << 20)
    image = {"name": "k", "kind": "kernel", "size": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
    run(*base, "--json", json.dumps(image), url + "/v1/images")
    got = run(*base, "-X", "PATCH", "-H", "Upload-Offset: 0", "-H", "Expect: 100-continue", "--data-binary", "@-",
              url + "/v1/images/k/data", input=content)
    equal((got.returncode, got.stdout), (0, b""), got.stderr.decode())
    equal(c.ok("GET", "/v1/images/k")["state"], "ready")
    equal(run(*base, "--tls-max", "1.1", url + "/healthz").returncode, 35, "TLS 1.1 is refused")
    equal(run("curl", "-sS", url + "/healthz").returncode, 60, "a client without our CA refuses")
    equal(run(*base, "--resolve", f"node.example:{c.port}:127.0.0.1", f"https://node.example:{c.port}/healthz").returncode,
          60, "a client refuses another host name")
    plain = run("curl", "-sS", f"http://localhost:{c.port}/healthz")
    check(plain.returncode != 0, "HTTP without TLS is not served")


@test
def vms_are_checked_before_they_are_made(c):
    equal(c.call("POST", "/v1/vms", {"name": "v", "kernel": "k"}).code, "image_not_found")
    c.image("k")
    c.image("i", "initrd", b"initrd")
    equal(c.call("POST", "/v1/vms", {"name": "v", "kernel": "k"}).code, "no_capacity", "no node")
    ready_node(c)
    for body, status, code, field in [
            ({"vcpus": 0}, 422, "invalid_field", "vcpus"), ({"vcpus": 33}, 422, "invalid_field", "vcpus"),
            ({"vcpus": 3}, 422, "invalid_field", "vcpus"), ({"memory_mib": 8}, 422, "invalid_field", "memory_mib"),
            ({"memory_mib": 129}, 422, "invalid_field", "memory_mib"), ({"memory_mib": 902}, 409, "no_capacity", "memory_mib"),
            ({"kernel": "i"}, 422, "invalid_field", "kernel"), ({"initrd": "none"}, 404, "image_not_found", "initrd"),
            ({"node": "nowhere"}, 404, "node_not_found", "node"), ({"cmdline": "a\nb"}, 422, "invalid_field", "cmdline"),
            ({"cmdline": "x" * 2048}, 422, "invalid_field", "cmdline"), ({"name": ""}, 422, "invalid_field", "name")]:
        reply = c.call("POST", "/v1/vms", {"name": "v", "kernel": "k", **body})
        equal((reply.status, reply.code, reply.json["error"].get("field")), (status, code, field), str(body))
    equal(c.ok("GET", "/v1/vms")["items"], [])
    c.vm("v", memory_mib=600, initrd="i")
    equal(c.call("POST", "/v1/vms", {"name": "v", "kernel": "k"}).code, "vm_name_taken")
    equal(c.call("POST", "/v1/vms", {"name": "w", "kernel": "k", "memory_mib": 302}).code, "no_capacity", "promised already")
    c.vm("w", memory_mib=300)
    c.ok("DELETE", "/v1/vms/v", status=204)
    c.vm("v", memory_mib=600)


@test
def the_emptiest_node_is_chosen(c):
    a, b = ready_node(c, "rack1", "a"), ready_node(c, "rack2", "b")
    c.image("k")
    placed = [c.vm(f"v{i}", memory_mib=100)["node"] for i in range(4)]
    equal(sorted(placed), sorted([a.id, b.id] * 2))
    equal(c.vm("w", node="b")["node_name"], "b")


@test
def commands_change_what_is_desired(c):
    node = ready_node(c)
    c.image("k")
    vm = c.vm("v")
    equal((vm["state"], vm["desired_state"]), ("scheduled", "running"))

    def reported(state):
        node.report(vms=[{"id": vm["id"], "state": state, "reason": "", "since_ms": "5"}])
        return c.ok("GET", "/v1/vms/v")["state"]

    def command(word):
        got = c.ok("POST", f"/v1/vms/v/{word}")
        return got["desired_state"], got["restart"]

    equal(reported("running"), "running")
    before = generation(node)
    equal(command("start"), ("running", "0"), "running already")
    equal(generation(node), before, "nothing changed")
    equal(command("pause"), ("paused", "0"))
    equal(command("resume"), ("running", "0"))
    equal(command("reboot"), ("running", "1"))
    equal(command("reboot"), ("running", "2"))
    reported("crashed")
    equal(command("start"), ("running", "3"), "a crashed one starts anew")
    equal(command("stop"), ("stopped", "3"))
    equal(c.call("POST", "/v1/vms/v/pause").code, "vm_state")
    equal(c.call("POST", "/v1/vms/v/reboot").code, "vm_state")
    equal(c.call("POST", "/v1/vms/v/explode").code, "not_found")
    equal(reported("stopped"), "stopped")
    equal(node.call("GET", "/desired").json["vms"][0]["state"], "stopped")
    c.ok("DELETE", "/v1/vms/v", status=204)
    equal(node.call("GET", "/desired").json["vms"], [])


@test
def a_repeated_create_gives_the_first_answer(c):
    ready_node(c)
    c.image("k")
    body, key = {"name": "v", "kernel": "k"}, {"Idempotency-Key": "abc"}
    first = c.ok("POST", "/v1/vms", body, 201, key)
    again = c.call("POST", "/v1/vms", body, key)
    equal((again.status, again.json, again.headers["Idempotent-Replay"]), (201, first, "true"))
    equal(c.call("POST", "/v1/vms", {**body, "name": "w"}, key).code, "idempotency_key_reused")
    equal(len(c.ok("GET", "/v1/vms")["items"]), 1)


@test
def a_node_that_falls_silent_is_lost(c):
    c.kill(signal.SIGTERM)
    c.options += ["--report-interval", "200"]
    c.start()
    node = ready_node(c)
    c.image("k")
    vm = c.vm("v")
    node.report(vms=[{"id": vm["id"], "state": "running"}])
    equal(c.ok("GET", "/v1/nodes/host1")["state"], "ready")
    time.sleep(1)
    equal(c.ok("GET", "/v1/nodes/host1")["state"], "lost")
    equal(c.ok("GET", "/v1/vms/v")["state"], "unknown")
    equal(c.call("POST", "/v1/vms", {"name": "w", "kernel": "k"}).code, "no_capacity")
    node.report(vms=[{"id": vm["id"], "state": "running"}])
    equal(c.ok("GET", "/v1/vms/v")["state"], "running")


@test
def what_is_taken_missing_or_in_use_is_said(c):
    node = ready_node(c)
    for path in ("/v1/nodes/none", "/v1/vms/none", "/v1/images/none", "/v1/join-tokens/none"):
        equal(c.call("GET", path).status, 404, path)
    for path in ("/v1/join-tokens/none", "/v1/tokens/none", "/v1/nodes/none"):
        equal(c.call("DELETE", path).status, 404, path)
    c.image("k")
    equal(c.call("POST", "/v1/images", {"name": "k", "kind": "kernel", "size": 1, "sha256": "0" * 64}).code,
          "image_name_taken")
    equal(c.call("POST", "/v1/join-tokens", {"name": "rack1"}).code, "token_name_taken")
    equal(c.call("POST", "/v1/tokens", {"name": "admin", "role": "viewer"}).code, "token_name_taken")
    equal([t["name"] for t in c.ok("GET", "/v1/tokens")["items"]], ["admin"])
    equal(c.ok("GET", "/v1/join-tokens/rack1")["state"], "used")
    equal(c.call("GET", "/v1/ca").body, open(c.path("ca.crt"), "rb").read())
    second = Node(c, c.join_token("rack2"), hostname="host1")
    second.enroll()
    equal(c.ok("GET", "/v1/nodes/host1-2")["state"], "pending", "a name that is taken gets a number")
    equal(c.call("POST", "/v1/nodes/host1-2/approve", {"name": "host1"}).code, "node_name_taken")
    equal(c.ok("POST", "/v1/nodes/host1-2/approve", {"name": "host2"})["name"], "host2")
    equal(node.call("POST", "/renew", {"csr": "x"}).json["error"]["field"], "csr")
    c.vm("v")
    equal(c.call("DELETE", "/v1/nodes/host1").code, "node_in_use")
    c.ok("DELETE", "/v1/nodes/host1?force=1", status=204)
    equal(c.ok("GET", "/v1/vms")["items"], [])


@test
def generations_never_go_back(c):
    node = ready_node(c)
    lease = {"address": "10.0.2.15", "prefix": 24, "gateway": "10.0.2.2", "dns": ["10.0.2.3"], "expires_s": 86000}
    equal(node.report(applied_generation="1000", lease=lease).status, 200)
    check(int(generation(node)) > 1000, "as after a restore from a backup")
    equal(c.ok("GET", "/v1/nodes/host1")["lease"], lease)
    before = int(generation(node))
    c.kill()
    c.start()
    node.connection.close()
    check(int(generation(node)) > before, "after a restart")


@test
def lists_come_in_pages(c):
    for i in range(7):
        c.ok("POST", "/v1/images", {"name": f"i{i}", "kind": "kernel", "size": "1", "sha256": f"{i:064x}"}, 201)
    got, after = [], "0"
    while after:
        page = c.ok("GET", f"/v1/images?limit=3&after={after}")
        got += [i["name"] for i in page["items"]]
        after = page["next"]
    equal(got, [f"i{i}" for i in range(7)])
    newest = c.ok("GET", "/v1/events?order=desc&limit=1")["items"][0]
    check("i6" in newest["message"], newest)


# ---- consoles ------------------------------------------------------------------------------------

@test
def a_console_carries_bytes_both_ways(c):
    node = ready_node(c)
    c.image("k")
    vm = c.vm("v")["id"]
    equal(node.call("POST", f"/console/{vm}?session=cs_{'0' * 16}&offset=0", b"x").code, "console_session")
    reply = c.call("GET", "/v1/vms/v/console")
    equal((reply.status, reply.headers["X-Billet-Next"]), (204, "0"))
    session = node.call("GET", "/desired").json["vms"][0]["console"]["session"]

    def output(offset, data, stream=1):
        return node.call("POST", f"/console/{vm}?session={session}&stream={stream}&offset={offset}", data).status

    equal(output(0, b"Linux "), 204)
    equal(output(0, b"Linux "), 204, "again")
    equal(output(3, b"ux version\n"), 204, "overlapping")
    reply = c.call("GET", "/v1/vms/v/console")
    equal((reply.body, reply.headers["X-Billet-Offset"], reply.headers["X-Billet-Next"]), (b"Linux version\n", "0", "14"))
    result = []
    waiting = threading.Thread(target=lambda: result.append(c.call("GET", "/v1/vms/v/console?offset=14&wait=10")))
    waiting.start()
    time.sleep(0.3)
    equal(output(0, b"again: ", stream=2), 204, "the VM was made anew")
    waiting.join(3)
    equal((result[0].body, result[0].headers["X-Billet-Next"]), (b"again: ", "21"))
    equal(output(100, b"after a gap", stream=2), 204)
    reply = c.call("GET", "/v1/vms/v/console?offset=21")
    equal((reply.body, reply.headers["X-Billet-Offset"]), (b"after a gap", "114"))
    for i in range(5):
        equal(output(111 + i * 65536, bytes([65 + i]) * 65536, stream=2), 204)
    reply = c.call("GET", "/v1/vms/v/console?offset=0")
    equal((len(reply.body), reply.body[:1], reply.body[-1:]), (262144, b"B", b"E"))
    equal(output(0, b"x" * 65537), 413)

    result = []
    fetch = threading.Thread(target=lambda: result.append(
        node.call("GET", f"/console/{vm}/input?session={session}&offset=0&wait=10")))
    fetch.start()
    time.sleep(0.3)
    c.ok("POST", "/v1/vms/v/console", b"ls\n", 204)
    fetch.join(3)
    equal((result[0].body, result[0].headers["X-Billet-Offset"]), (b"ls\n", "0"))
    c.ok("POST", "/v1/vms/v/console", b"pwd\n", 204)
    reply = node.call("GET", f"/console/{vm}/input?session={session}&offset=3")
    equal((reply.body, reply.headers["X-Billet-Offset"]), (b"pwd\n", "3"))
    equal(node.call("GET", f"/console/{vm}/input?session={session}&offset=7").status, 204)
    for _ in range(4):
        c.ok("POST", "/v1/vms/v/console", b"y" * 16384, 204)
    equal(c.call("POST", "/v1/vms/v/console", b"z").code, "console_input_full")
    other = ready_node(c, "rack2", "host2")
    equal(other.call("GET", f"/console/{vm}/input?session={session}&offset=0").code, "vm_not_found")


# ---- usage ---------------------------------------------------------------------------------------

def record(node, vm, seq, value, **changes):
    return {"boot_id": node.boot, "seq": str(seq), "mono_ns": str(seq * 1000), "wall_ms": "1772359200000", "vm": vm,
            "epoch": "1", "vcpus": 1, "memory_mib": 256, "final": False, **{k: str(value) for k in COUNTERS}, **changes}


@test
def usage_is_counted_once(c):
    node = ready_node(c)
    c.image("k")
    vm = c.vm("v")["id"]

    def total():
        items = c.ok("GET", "/v1/usage?vm=v")["items"]
        return int(items[0]["net_tx_bytes"]) if items else 0

    reply = node.report(usage=[record(node, vm, 1, 100), record(node, vm, 2, 250)])
    equal((reply.json["ack_seq"], total()), ("2", 250))
    equal(node.report(usage=[record(node, vm, 2, 250)]).json["ack_seq"], "2")
    equal(total(), 250, "a repeat adds nothing")
    node.report(usage=[record(node, vm, 9, 400)])
    node.report(usage=[record(node, vm, 5, 300)])
    equal(total(), 400, "a late one adds nothing")
    reply = node.report(usage=[record(node, vm, 10, 500), record(node, vm, 9, 401)])
    equal((reply.status, reply.code, reply.json["ack_seq"]), (409, "usage_conflict", "9"))
    equal(total(), 400, "nothing of that report is stored")
    node.report(usage=[record(node, vm, 10, 350)])
    equal(total(), 400, "a decrease is no reset")
    node.report(usage=[record(node, vm, 11, 450)])
    equal(total(), 450)
    node.report(usage=[record(node, vm, 12, 7, epoch="2", final=True)])
    equal(total(), 457, "a new epoch begins at zero")
    node.boot = str(uuid.uuid4())
    equal(node.report().json["ack_seq"], "0", "a new boot")
    node.report(usage=[record(node, vm, 1, 3)])
    equal(total(), 460)
    codes = [e["code"] for e in c.ok("GET", "/v1/events?node=host1")["items"]]
    check("usage_conflict" in codes and "usage_decreased" in codes, codes)
    other = ready_node(c, "rack2", "host2")
    reply = other.report(usage=[record(other, vm, 1, 999999)])
    equal((reply.status, reply.json["refused"], total()), (200, 1, 460), "another node's VM")
    equal(len(c.ok("GET", "/v1/usage/records?vm=v&limit=1000")["items"]), 8)
    c.ok("DELETE", "/v1/vms/v", status=204)
    equal(node.report(usage=[record(node, vm, 2, 5, final=True)]).json["refused"], 0, "the last record of a deleted VM")
    equal(c.ok("GET", "/v1/usage?vm=" + vm)["items"][0]["net_rx_bytes"], "462")


@test
def events_of_nodes_are_stored_once(c):
    node = ready_node(c)
    event = {"boot_id": node.boot, "seq": "3", "wall_ms": "5", "level": "error", "code": "agent_reset", "message": "hung"}
    for _ in range(3):
        equal(node.report(events=[event]).json["ack_event_seq"], "3")
    equal(len([e for e in c.ok("GET", "/v1/events?node=host1")["items"] if e["code"] == "agent_reset"]), 1)


class Meter(threading.Thread):
    """A node that meters: counters that grow, a backlog that is sent until it is acknowledged."""

    def __init__(self, node, vms):
        super().__init__(daemon=True)
        self.node, self.vms = node, vms
        self.sent, self.done = threading.Event(), threading.Event()
        self.random = random.Random(3)
        self.backlog, self.seq, self.error = [], 0, None
        self.acknowledged = self.cut_off = self.repeated = 0
        self.totals = {vm: dict.fromkeys(COUNTERS, 0) for vm in vms}
        self.new_boot()

    def new_boot(self):
        self.node.boot = str(uuid.uuid4())
        self.now = {vm: dict.fromkeys(COUNTERS, 0) for vm in self.vms}
        self.seq = 0

    def measure(self):
        for vm in self.vms:
            self.seq += 1
            for key in COUNTERS:
                gain = self.random.randrange(1 << 30)
                self.now[vm][key] += gain
                self.totals[vm][key] += gain
            self.backlog.append(record(self.node, vm, self.seq, 0, **{k: str(v) for k, v in self.now[vm].items()}))

    def send(self):
        batch = self.backlog[:self.random.randrange(1, 40)]
        body = {"node_id": self.node.id, "boot_id": self.node.boot, "applied_generation": "0", "usage": batch}
        in_flight = []

        def on_sent():
            in_flight.append(True)
            self.sent.set()

        try:
            reply = self.node.connection.call("POST", "/agent/v1/report", body, on_sent=on_sent)
        except (OSError, http.client.HTTPException):
            self.cut_off += len(in_flight)
            time.sleep(0.002)
            return
        equal(reply.status, 200, repr(reply.body[:300]))
        self.acknowledged += len(batch)
        self.repeated += reply.json["repeated"]
        del self.backlog[:len(batch)]

    def run(self):
        try:
            while not self.done.is_set() or self.backlog:
                if not self.done.is_set():
                    self.measure()
                    if self.random.randrange(200) == 0:
                        self.new_boot()
                self.send()
        except Exception as e:  # told by the test, in the main thread
            self.error = e


@test
def the_ledger_equals_the_counters_after_many_kills(c):
    node = ready_node(c)
    c.image("k")
    vms = [c.vm(f"v{i}", memory_mib=64)["id"] for i in range(3)]
    meter, chance = Meter(node, vms), random.Random(4)
    meter.start()
    kills = 0
    # As many as asked for, and on until one fell between a commit and its acknowledgement.
    while kills < ARGS.kills or (not meter.repeated and kills < ARGS.kills + 1000):
        kills += 1
        if kills % 4:
            meter.sent.clear()
            meter.sent.wait(5)  # aim between a report's arrival and its acknowledgement
            time.sleep(chance.random() ** 2 * 0.004)
        else:
            time.sleep(chance.random() * 0.1)
        c.kill()
        c.start()
    meter.done.set()
    meter.join(60)
    if meter.error:
        raise meter.error
    check(not meter.is_alive(), "the backlog does not get through")
    check(meter.cut_off >= ARGS.kills / 10, f"only {meter.cut_off} reports were cut off by {kills} kills")
    check(meter.repeated, "no kill fell between a commit and its acknowledgement")
    got = {u["vm"]: {k: int(u[k]) for k in COUNTERS} for u in c.ok("GET", "/v1/usage")["items"]}
    equal(got, meter.totals, "ledger")
    c.kill(signal.SIGTERM)
    db = sqlite3.connect(c.path("billetd.db"))
    stored, = db.execute("SELECT count(*) FROM usage_records").fetchone()
    twice, = db.execute("SELECT count(*) FROM (SELECT 1 FROM usage_records GROUP BY node, boot, seq HAVING count(*) > 1)"
                        ).fetchone()
    intact, = db.execute("PRAGMA integrity_check").fetchone()
    db.close()
    equal((stored, twice, intact), (meter.acknowledged, 0, "ok"), "records")
    print(f"# {kills} kills, {meter.cut_off} reports cut off, {stored} records, {meter.repeated} came again and counted once", flush=True)


# ---- the process ---------------------------------------------------------------------------------

@test
def it_starts_stops_and_says_what_is_wrong(c):
    run = lambda *args: subprocess.run([ARGS.billetd, *args], capture_output=True, text=True, timeout=20)
    check("--listen" in run("--help").stdout, "--help")
    check(run("--version").stdout.startswith("billetd "), "--version")
    equal(run("--nonsense").returncode, 2)
    equal(run("--report-interval", "5").returncode, 2)
    second = run("--data", c.data, "--listen", "127.0.0.1:0")
    check(second.returncode == 1 and "another billetd" in second.stderr, second.stderr)
    with tempfile.TemporaryDirectory() as folder:
        taken = run("--data", folder, "--listen", f"127.0.0.1:{c.port}")
        check(taken.returncode == 1 and "cannot listen" in taken.stderr, taken.stderr)
    poll = Connection(c, ready_node(c).connection.certificate)
    gen = poll.call("GET", "/agent/v1/desired").json["generation"]
    answers = []
    thread = threading.Thread(target=lambda: answers.append(poll.call("GET", f"/agent/v1/desired?gen={gen}&wait=30")))
    thread.start()
    time.sleep(0.2)
    start = time.monotonic()
    equal(c.kill(signal.SIGTERM), 0, "SIGTERM")
    check(time.monotonic() - start < 3, "stops in spite of a long poll")
    thread.join(3)
    equal(answers[0].status, 204, "the long poll was answered")
    c.start()
    equal(c.kill(signal.SIGINT), 0, "SIGINT")


@test
def it_takes_no_more_connections_than_it_may(c):
    c.kill(signal.SIGTERM)
    c.options += ["--max-connections", "8"]
    c.start()
    held = [Connection(c) for _ in range(8)]
    for connection in held:
        equal(connection.call("GET", "/healthz").status, 200)
    late = Connection(c, timeout=1)
    try:
        late.call("GET", "/healthz")
        raise AssertionError("a ninth connection was served")
    except OSError:
        pass
    for connection in held:
        connection.close()
    equal(Connection(c).call("GET", "/healthz").status, 200, "room again")


def main():
    global ARGS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--billetd", default=os.path.join(os.path.dirname(__file__), "../../build/billetd"))
    parser.add_argument("--kills", type=int, default=100)
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


if __name__ == "__main__":
    main()
