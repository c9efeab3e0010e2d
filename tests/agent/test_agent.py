#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The agent without the hypervisor: build/agent/agent-test.elf in QEMU, with a node in memory below it
(fake_control.c), against a real billetd, and against servers that misbehave.

    tests/agent/test_agent.py [-v] [WORD...]      runs the tests whose name contains a WORD

Prints "ok - name" or "not ok - name" for each; the exit status is 0 only when all are ok.
"""
import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import results  # noqa: E402
from node import HOST, Controller, Node, configuration  # noqa: E402

TESTS = []
VERBOSE = False


def test(fn):
    TESTS.append(fn)
    return fn


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Bench:
    """A folder, and everything that was started, for one test."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="billet-agent-")
        self.started = []

    def controller(self, **options):
        options.setdefault("folder", self.folder + "/controller")
        made = Controller(echo="billetd" if VERBOSE else None, **options)
        self.started.append(made)
        return made

    def node(self, conf, **options):
        made = Node(self.folder + "/node", conf, echo="node" if VERBOSE else None, **options)
        self.started.append(made)
        return made

    def pair(self):
        c = self.controller()
        n = self.node(configuration(c.ca, c.port, c.join_token()))
        check(n.out.wait("first report accepted"), "no report was accepted:\n" + n.out.text)
        return c, n

    def close(self):
        for one in reversed(self.started):
            one.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def healthy(node):
    check(node.is_alive(), "the agent ended:\n" + node.out.text)
    check("exception" not in node.out.text and "failed:" not in node.out.text, "the agent crashed:\n" + node.out.text)
    check("watchdog" not in node.out.text, "the watchdog would have bitten:\n" + node.out.text)


def make_vm(controller, name="web1", size=300000, **fields):
    data = os.urandom(size)
    sha256 = hashlib.sha256(data).hexdigest()
    check(controller.upload("kernel-" + name, "kernel", data, sha256) == 204, "upload")
    status, vm = controller.ask("POST", "/v1/vms", {"name": name, "kernel": "kernel-" + name, "memory_mib": 64, **fields})
    check(status == 201, f"creating the VM: {vm}")
    return vm, sha256


# ---- with a real controller ---------------------------------------------------------------------


@test
def enrols_and_describes_its_machine(b):
    c, n = b.pair()
    node = c.until("/v1/nodes", lambda a: a["items"] and a["items"][0]["state"] == "ready")["items"][0]
    check(node["cpus"] == 2 and node["virt"] == "vmx" and node["version"] == "0.1-test", f"node: {node}")
    check(node["mitigations"] == ["ibpb", "l1d-flush", "verw"], f"mitigations: {node}")
    check(node["nics"][0]["mac"] == "52:54:00:12:34:56", f"nics: {node}")
    check(node["lease"]["address"] == "10.0.2.15" and node["hostname"] == "host1", f"lease: {node}")
    check("TLSv1.3" in n.out.text, "TLS 1.3 was not used")
    healthy(n)


@test
def waits_for_approval(b):
    c = b.controller()
    n = b.node(configuration(c.ca, c.port, c.join_token(auto_approve=False)))
    found = n.out.wait(r"approve (node_\w+), key fingerprint (\w+)")
    check(found, "it does not say that it waits:\n" + n.out.text)
    status, answer = c.ask("POST", f"/v1/nodes/{found[1]}/approve", {"fingerprint": found[2]})
    check(status == 200, f"approving: {answer}")
    check(n.out.wait("first report accepted"), "approved, but not in:\n" + n.out.text)
    healthy(n)


@test
def makes_a_vm_and_its_image(b):
    c, n = b.pair()
    make_vm(c, size=2500000)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run:\n" + n.out.text)
    check("2500000 bytes" in n.out.text, "the image was not fetched whole:\n" + n.out.text)
    healthy(n)


@test
def shows_a_console_and_takes_input(b):
    c, n = b.pair()
    make_vm(c)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run")
    status, text = c.ask("GET", "/v1/vms/web1/console?wait=20", raw=True)
    check(status == 200 and b"fake guest web1, boot 1" in text, f"console: {status} {text}")
    check(c.ask("POST", "/v1/vms/web1/console", b"hello\n", raw=True)[0] == 204, "input refused")
    end = time.monotonic() + 20
    while b"hello" not in text and time.monotonic() < end:
        text = c.ask("GET", "/v1/vms/web1/console", raw=True)[1]
        time.sleep(0.2)
    check(text.count(b"hello") == 1, f"the echo is missing or doubled: {text}")
    healthy(n)


@test
def carries_out_every_wish(b):
    c, n = b.pair()
    make_vm(c)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run")
    for verb, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped"), ("start", "running")):
        status, answer = c.ask("POST", f"/v1/vms/web1/{verb}")
        check(status == 200, f"{verb}: {answer}")
        check(c.until("/v1/vms/web1", lambda v, s=state: v["state"] == s), f"after {verb} it is not {state}:\n" + n.out.text)
    check(c.ask("POST", "/v1/vms/web1/reboot")[0] == 200, "reboot")
    check(n.out.wait("sync: reset"), "it was not reset")
    healthy(n)


@test
def meters_until_the_end(b):
    c, n = b.pair()
    make_vm(c)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run")
    time.sleep(2)
    check(c.ask("DELETE", "/v1/vms/web1")[0] == 204, "delete")
    used = c.until("/v1/usage/records", lambda a: any(r["final"] for r in a["items"]))
    check(used, "no final record:\n" + n.out.text)
    total = c.ask("GET", "/v1/usage")[1]["items"][0]
    check(1.5 < total["vcpu_alloc_seconds"] < 30, f"vCPU seconds: {total}")
    final = [r for r in used["items"] if r["final"]]
    check(len(final) == 1 and final[0]["vcpu_alloc_ns"] == total["vcpu_alloc_ns"], f"ledger and counters differ: {final} {total}")
    healthy(n)


@test
def reports_a_crash_and_leaves_it(b):
    c, n = b.pair()
    make_vm(c)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run")
    c.ask("GET", "/v1/vms/web1/console?wait=10", raw=True)
    c.ask("POST", "/v1/vms/web1/console", b"die\n", raw=True)
    vm = c.until("/v1/vms/web1", lambda v: v["state"] == "crashed")
    check(vm and "triple fault" in vm["reason"], f"the crash is not reported: {vm}")
    check(c.ask("POST", "/v1/vms/web1/start")[0] == 200, "start")
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not start again")
    healthy(n)


@test
def goes_on_after_it_was_reset(b):
    c, n = b.pair()
    make_vm(c)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run")
    c.ask("GET", "/v1/vms/web1/console?wait=10", raw=True)
    here = len(n.out.text)
    c.ask("POST", "/v1/vms/web1/console", b"kill the agent\n", raw=True)
    check(n.out.wait(r"started \(1 times before", 20, here), "it does not come back:\n" + n.out.text)
    check(n.out.wait(r"first report accepted, (\d+) ms", 20, here), "it does not report:\n" + n.out.text)
    text = n.out.text[here:]
    check("enrol:" not in text, "it enrolled anew:\n" + text)
    check("desired state of generation" in text, "it forgot what is desired:\n" + text)
    check("sync:" not in text, "it touched the VM:\n" + text)
    check(c.ask("DELETE", "/v1/vms/web1")[0] == 204, "delete")
    used = c.until("/v1/usage/records", lambda a: any(r["final"] for r in a["items"]))
    check(used and len({r["boot_id"] for r in used["items"]}) == 1, f"no final record, or another boot: {used}")
    check(not [e for e in c.ask("GET", "/v1/events?limit=1000")[1]["items"] if "usage" in e["code"]], "usage was counted wrongly")


@test
def lets_one_vm_fail_alone(b):
    c, n = b.pair()
    make_vm(c, "toobig")
    make_vm(c, "web1")
    vm = c.until("/v1/vms/toobig", lambda v: v["state"] == "failed")
    check(vm and "not enough memory" in vm["reason"], f"no reason: {vm}")
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "the other one does not run")
    healthy(n)


@test
def goes_on_after_the_controller_was_away(b):
    c, n = b.pair()
    make_vm(c)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run")
    c.stop()
    check(n.out.wait("report: connection (refused|lost|reset)|report: the controller closed"), "it notices nothing:\n" + n.out.text)
    time.sleep(2)
    here = len(n.out.text)
    again = b.controller(port=c.port)
    check(n.out.wait("tls: report: connected", 40, here), "it does not come back:\n" + n.out.text)
    check(again.until("/v1/vms/web1", lambda v: v["state"] == "running"), "the VM is not running")
    check("sync:" not in n.out.text[here:], "it changed something:\n" + n.out.text[here:])
    healthy(n)


@test
def renews_its_certificate(b):
    c = b.controller(options=("--node-cert-lifetime", "60"))
    n = b.node(configuration(c.ca, c.port, c.join_token()))
    check(n.out.wait("first report accepted"), "no report was accepted")
    here = len(n.out.text)
    check(n.out.wait("enrol: this node is", 70, here), "no renewal:\n" + n.out.text)
    check(n.out.wait("tls: desired: connected", 20, here), "no connection with the new one:\n" + n.out.text)
    healthy(n)


@test
def runs_in_16_mib(b):
    c = b.controller()
    n = b.node(configuration(c.ca, c.port, c.join_token()), ram_mib=16)
    check(n.out.wait("first report accepted"), "no report was accepted:\n" + n.out.text)
    make_vm(c)
    check(c.until("/v1/vms/web1", lambda v: v["state"] == "running"), "it does not run:\n" + n.out.text)
    healthy(n)


@test
def says_what_is_wrong_with_a_join_token(b):
    c = b.controller()
    n = b.node(configuration(c.ca, c.port, "bjt_" + "0" * 64))
    check(n.out.wait("enrol: 403 join_token_unknown"), "no clear line:\n" + n.out.text)
    healthy(n)


# ---- certificates -------------------------------------------------------------------------------


def openssl(*argv):
    subprocess.run(["openssl", *argv], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """A CA of our own, for certificates that billetd would not make."""

    def __init__(self, folder):
        self.at = folder + "/ca"
        os.makedirs(self.at)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=Test CA",
                "-keyout", self.at + "/ca.key", "-out", self.at + "/ca.crt")
        with open(self.at + "/ca.crt", encoding="utf-8") as file:
            self.pem = file.read()

    def issue(self, name, names="IP:" + HOST, dates=("-days", "2")):
        base = f"{self.at}/{name}"
        with open(base + ".ext", "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test", "-keyout", base + ".key",
                "-out", base + ".csr")
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.at + "/ca.crt", "-CAkey", self.at + "/ca.key", "-CAcreateserial",
                "-extfile", base + ".ext", "-out", base + ".crt", *dates)
        return base + ".crt", base + ".key"


class Server:
    """HTTPS that answers every request with the bytes that answer(head) gives, piece by piece."""

    def __init__(self, certificate, answer, versions=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if versions:
            context.maximum_version = versions
        self.requests, self.answer, self.context = 0, answer, context
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) as connection:
                head, body = b"", 0
                while b"\r\n\r\n" not in head or len(head) < body:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    head += piece
                    length = re.search(rb"Content-Length: (\d+)", head)
                    body = head.find(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
                self.requests += 1
                for piece in self.answer(head):
                    connection.sendall(piece)
        except (OSError, ssl.SSLError):
            pass

    def stop(self):
        self.socket.close()


TOKEN = "bjt_" + "1" * 64


def refused_certificate(b, line, host=HOST, **issue):
    authority = Authority(b.folder)
    server = Server(authority.issue("server", **issue), lambda head: [])
    b.started.append(server)
    n = b.node(configuration(authority.pem, server.port, TOKEN, host=host))
    check(n.out.wait(line), "no clear line:\n" + n.out.text)
    time.sleep(1)
    check(server.requests == 0, "it sent a request all the same")
    healthy(n)


@test
def refuses_a_controller_of_another_ca(b):
    c = b.controller()
    n = b.node(configuration(Authority(b.folder).pem, c.port, c.join_token()))
    check(n.out.wait("enrol: the controller's certificate is not from the configured CA"), "no clear line:\n" + n.out.text)
    check(c.ask("GET", "/v1/nodes")[1]["items"] == [], "it enrolled")
    healthy(n)


@test
def refuses_a_certificate_for_another_host(b):
    refused_certificate(b, "the controller's certificate is for another host name", names="IP:10.0.2.99,DNS:example.org")


@test
def refuses_an_expired_certificate(b):
    refused_certificate(b, "the controller's certificate has expired",
                        dates=("-not_before", "20200101000000Z", "-not_after", "20200201000000Z"))


@test
def refuses_a_certificate_of_the_future(b):
    refused_certificate(b, "the controller's certificate is not valid yet",
                        dates=("-not_before", "20900101000000Z", "-not_after", "20910101000000Z"))


# ---- servers that misbehave ---------------------------------------------------------------------


def json_answer(status, body):
    return f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


BAD_ANSWERS = {
    "no_http_at_all": ([b"SSH-2.0-OpenSSH_9.2\r\n"], "enrol: "),
    "an_early_end": ([b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"], "enrol: the controller closed"),
    "no_length": ([b"HTTP/1.1 201 Created\r\n\r\n{}"], "enrol: the answer does not say where it ends"),
    "endless_headers": ([b"HTTP/1.1 201 Created\r\n"] + [b"X-Filler: " + b"x" * 4000 + b"\r\n"] * 200, "enrol: more than 16 KiB of headers"),
    "a_body_beyond_the_limit": ([b"HTTP/1.1 201 Created\r\nContent-Length: 999999999\r\n\r\n"] + [b"x" * 65536] * 40,
                                "enrol: the body was refused"),
    "broken_json": ([json_answer(201, b'{"node_id": "node_')], "enrol: the controller's answer is wrong"),
    "deep_json": ([json_answer(201, b"[" * 500000)], "enrol: the controller's answer is wrong"),
    "a_wrong_type": ([json_answer(201, b'{"node_id": 5, "certificate": [], "ca": {}}')], "enrol: the controller's answer is wrong: 'node_id'"),
    "a_certificate_that_is_none": ([json_answer(201, b'{"node_id":"node_5f1d6a7c00aa31be","certificate":"C","ca":"A","expires_ms":"3",'
                                                b'"renew_ms":"2","time_ms":"1700000000000"}')],
                                   "enrolling anew: the certificate that the controller issued cannot be read"),
    "a_refusal_in_html": ([json_answer(403, b"<html>no</html>")], "enrol: status 403"),
}


def bad_answer_test(name, pieces, line):
    def run(b):
        authority = Authority(b.folder)
        server = Server(authority.issue("server"), lambda head: pieces)
        b.started.append(server)
        n = b.node(configuration(authority.pem, server.port, TOKEN))
        check(n.out.wait(line), "no clear line:\n" + n.out.text)
        time.sleep(1)
        healthy(n)

    run.__name__ = "survives_" + name
    TESTS.append(run)


for key, (answer_pieces, log_line) in BAD_ANSWERS.items():
    bad_answer_test(key, answer_pieces, log_line)


@test
def speaks_tls_1_2_when_it_must(b):
    authority = Authority(b.folder)
    server = Server(authority.issue("server"), lambda head: [json_answer(403, b'{"error":{"code":"x","message":"y"}}')], ssl.TLSVersion.TLSv1_2)
    b.started.append(server)
    n = b.node(configuration(authority.pem, server.port, TOKEN))
    check(n.out.wait("connected in .* TLSv1.2"), "not over TLS 1.2:\n" + n.out.text)
    check(n.out.wait("enrol: 403 x: y"), "no answer:\n" + n.out.text)
    healthy(n)


# ---- configuration ------------------------------------------------------------------------------


@test
def names_the_line_of_a_bad_configuration(b):
    n = b.node("# node\ncontroller = http://x\n")
    check(n.out.wait("conf: line 2: controller must be https://"), "no clear line:\n" + n.out.text)
    time.sleep(1.5)
    healthy(n)


@test
def takes_a_fixed_address(b):
    c = b.controller()
    n = b.node(configuration(c.ca, c.port, c.join_token(), extra="address = 10.0.2.77/24\ngateway = 10.0.2.2\n"))
    check(n.out.wait(r"net: address 10\.0\.2\.77, gateway 10\.0\.2\.2,"), "another address:\n" + n.out.text)
    check(n.out.wait("first report accepted"), "no report was accepted:\n" + n.out.text)
    healthy(n)


def main():
    global VERBOSE
    words = [w for w in sys.argv[1:] if w != "-v"]
    VERBOSE = "-v" in sys.argv[1:]
    counts = results.Counts()
    for fn in TESTS:
        if words and not any(w in fn.__name__ for w in words):
            continue
        bench = Bench()
        try:
            fn(bench)
            counts.add(1, 0)
            print(f"ok - agent: {fn.__name__}", flush=True)
        except Exception as error:  # a test that breaks is a test that failed
            counts.add(0, 1)
            text = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
            counts.explain(fn.__name__, text.splitlines())
            print(f"not ok - agent: {fn.__name__}", *("     " + line for line in text.splitlines()), sep="\n", flush=True)
        finally:
            bench.close()
    return counts.finish("agent")


if __name__ == "__main__":
    sys.exit(main())
