#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The controller from outside: who may join, who may ask, what is refused, and images.

    tests/system/test_controller.py [--billetd build/billetd] [--only WORD] [--keep]

Prints "ok - name", "not ok - name" or "skip - name # why" for each test. Every test has a controller of its own
unless it says otherwise, so that they can be run alone.
"""
import hashlib
import http.client
import os
import random
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import controllersite  # noqa: E402
from controllersite import Connection, Controller, Node, check, equal, generation, openssl, ready_node, test, main  # noqa: E402


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


# ---- the process ---------------------------------------------------------------------------------

@test
def it_starts_stops_and_says_what_is_wrong(c):
    run = lambda *args: subprocess.run([controllersite.ARGS.billetd, *args], capture_output=True, text=True, timeout=20)
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


if __name__ == "__main__":
    main(__doc__)
