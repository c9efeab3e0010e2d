#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The controller from outside: VMs, what is desired of nodes, consoles.

    tests/system/test_controller_vms.py [--billetd build/billetd] [--only WORD] [--keep]

Prints "ok - name", "not ok - name" or "skip - name # why" for each test. Every test has a controller of its own
unless it says otherwise, so that they can be run alone.
"""
import hashlib
import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
from controllersite import Connection, Node, check, equal, generation, ready_node, test, main  # noqa: E402


# ---- VMs -----------------------------------------------------------------------------------------

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
            ({"cmdline": "x" * 2048}, 422, "invalid_field", "cmdline"), ({"tsc_khz": 99999}, 422, "invalid_field", "tsc_khz"),
            ({"tsc_khz": 10000001}, 422, "invalid_field", "tsc_khz"), ({"tsc_khz": "fast"}, 422, "invalid_field", "tsc_khz"),
             ({"name": ""}, 422, "invalid_field", "name")]:
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
def a_tsc_rate_is_in_the_document_where_one_was_asked_for(c):
    node = ready_node(c, tsc_khz=2500000)
    c.image("k")
    equal((c.vm("v")["tsc_khz"], c.vm("w", tsc_khz=2500000)["tsc_khz"]), (None, 2500000), "as shown")
    desired = {vm["name"]: vm for vm in node.call("GET", "/desired").json["vms"]}
    check("tsc_khz" not in desired["v"], desired["v"])
    equal(desired["w"]["tsc_khz"], 2500000, "desired")


@test
def a_tsc_rate_chooses_among_nodes(c):
    """Each of these would be chosen for a VM without one: it has the most memory left."""
    c.image("k")

    def refused(**options):
        reply = c.call("POST", "/v1/vms", {"name": "w", "kernel": "k", "tsc_khz": 2500000, **options})
        equal((reply.status, reply.code), (409, "no_capacity"), str(options))
        return reply.json["error"]["field"], reply.json["error"]["message"]

    def place(name, khz):
        return c.vm(name, tsc_khz=khz)["node_name"]

    equal(refused()[0], "node", "no node at all")
    ready_node(c, "rack1", "old", guest_memory_mib=9000)
    equal(refused()[0], "tsc_khz", "a node that does not tell its rate")
    ready_node(c, "rack2", "fixed", guest_memory_mib=8000, tsc_khz=2000000, virt_features=["ept", "tsc-offset"])
    field, message = refused()
    check(field == "tsc_khz" and message.startswith("No ready node has a TSC of 2500000 kHz"), message)
    field, message = refused(node="fixed")
    check(field == "tsc_khz" and message.startswith("That node neither has a TSC of 2500000 kHz"), message)
    equal([place("a", 2000000), place("b", 2000500), place("c", 1999500)], ["fixed"] * 3, "250 ppm off at most")
    ready_node(c, "rack3", "scales", guest_memory_mib=1000, tsc_khz=3000000, virt_features=["ept", "tsc-scaling"])
    equal([place("d", 2500000), place("e", 2000501)], ["scales"] * 2, "more than 250 ppm off")
    equal(c.vm("f")["node_name"], "old", "without a rate")
    equal(refused(memory_mib=2000)[0], "memory_mib", "the node that could has no memory")


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


if __name__ == "__main__":
    main(__doc__)
