#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The controller from outside: releases of the nodes' software, and the orders to run them.

    tests/system/test_controller_updates.py [--billetd build/billetd] [--only WORD] [--keep]

Prints "ok - name", "not ok - name" or "skip - name # why" for each test. Every test has a controller of its own
unless it says otherwise, so that they can be run alone.
"""
import hashlib
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
from controllersite import check, equal, generation, main, ready_node, test  # noqa: E402

CONTENT = b"a release of the node's software"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIGNATURE = "ab" * 64


def release(c, name="r1", version="0.2.0", content=CONTENT):
    made = c.ok("POST", "/v1/images", {"name": name, "kind": "release", "size": str(len(content)), "version": version,
                                       "sha256": hashlib.sha256(content).hexdigest(), "signature": SIGNATURE}, 201)
    if made["state"] == "uploading":
        c.ok("PATCH", f"/v1/images/{name}/data", content, 204, {"Upload-Offset": "0"})
    return made


def says(node, state, attempt, error=""):
    """The node reports how far its update is."""
    info = {**node.info(), "update": {"state": state, "slot": "a", "version": "0.2.0", "attempt": str(attempt),
                                      "error": error}}
    equal(node.report(node=info).status, 200, "report")


@test
def releases_are_signed_images(c):
    wish = {"name": "r1", "kind": "release", "size": "5", "sha256": "0" * 64, "version": "0.2.0", "signature": SIGNATURE}
    for key in ("version", "signature"):
        refused = c.call("POST", "/v1/images", {k: v for k, v in wish.items() if k != key})
        equal((refused.status, refused.code, refused.json["error"]["field"]), (422, "invalid_field", key))
        refused = c.call("POST", "/v1/images", {"name": "k", "kind": "kernel", "size": "5", "sha256": "0" * 64,
                                                key: wish[key]})
        equal((refused.status, refused.json["error"]["field"]), (422, key), "of a kernel")
    equal(c.call("POST", "/v1/images", {**wish, "signature": "ab" * 63}).status, 422, "a short signature")
    release(c)
    c.image("k")
    equal([i["name"] for i in c.ok("GET", "/v1/images?kind=release")["items"]], ["r1"])
    equal(len(c.ok("GET", "/v1/images")["items"]), 2, "without kind: all")
    shown = c.ok("GET", "/v1/images/r1")
    equal((shown["version"], shown["signature"], shown["state"]), ("0.2.0", SIGNATURE, "ready"))
    equal(c.ok("GET", "/v1/images/k")["version"], None)
    ready_node(c)
    refused = c.call("POST", "/v1/vms", {"name": "v", "kernel": "r1"})
    equal(refused.status, 422, "a release is no kernel")


@test
def an_order_stands_until_the_node_says_how_it_ended(c):
    node = ready_node(c)
    release(c)
    before = generation(node)
    equal(node.call("GET", f"/blobs/{SHA256}").status, 404, "not before it is ordered")
    equal(c.ok("POST", f"/v1/nodes/{node.id}/update", {"release": "r1"})["release"], "r1")
    check(generation(node) > before, "a new generation")
    desired = node.call("GET", "/desired").json
    equal(desired["update"], {"version": "0.2.0", "sha256": SHA256, "size": str(len(CONTENT)), "signature": SIGNATURE,
                              "attempt": "1"})
    check(SHA256 in [i["sha256"] for i in desired["images"]], "its bytes are listed")
    equal(node.call("GET", f"/blobs/{SHA256}").body, CONTENT)

    same = generation(node)
    c.ok("POST", f"/v1/nodes/{node.id}/update", {"release": "r1"})
    equal(generation(node), same, "the same order changes nothing")
    equal(c.call("DELETE", "/v1/images/r1").code, "image_in_use")
    for state in ("fetching", "installing", "rebooting", "trial"):
        says(node, state, 1)
    equal(c.ok("GET", f"/v1/nodes/{node.id}")["release"], "r1", "not over yet")
    says(node, "done", 1)
    shown = c.ok("GET", f"/v1/nodes/{node.id}")
    equal((shown["release"], shown["update"]["state"], shown["update"]["slot"]), (None, "done", "a"))
    equal(node.call("GET", "/desired").json["update"], None)
    codes = [e["code"] for e in c.ok("GET", f"/v1/events?node={node.id}")["items"]]
    equal([codes.count(code) for code in ("node_update_ordered", "node_updated")], [1, 1])
    c.ok("DELETE", "/v1/images/r1", status=204)


@test
def a_failed_attempt_is_told_and_can_be_repeated(c):
    node = ready_node(c)
    release(c)
    c.ok("POST", f"/v1/nodes/{node.id}/update", {"release": "r1"})
    says(node, "failed", 1, "it did not reach the controller in time")
    equal(c.ok("GET", f"/v1/nodes/{node.id}")["release"], None, "given up")
    events = c.ok("GET", f"/v1/events?node={node.id}")["items"]
    failed = [e for e in events if e["code"] == "node_update_failed"]
    equal((len(failed), failed[0]["level"]), (1, "error"))
    check("did not reach the controller" in failed[0]["message"], failed[0]["message"])
    c.ok("POST", f"/v1/nodes/{node.id}/update", {"release": "r1"})
    equal(node.call("GET", "/desired").json["update"]["attempt"], "2")
    says(node, "failed", 1, "an old report")
    equal(c.ok("GET", f"/v1/nodes/{node.id}")["release"], "r1", "what was said of attempt 1 ends no attempt 2")
    c.ok("DELETE", f"/v1/nodes/{node.id}/update", status=204)
    equal(node.call("GET", "/desired").json["update"], None, "cancelled")


@test
def orders_that_make_no_sense_are_refused(c):
    node = ready_node(c)
    release(c)
    c.image("k")
    order = lambda **body: c.call("POST", f"/v1/nodes/{node.id}/update", body)
    equal(order().status, 422, "no release")
    equal(order(release="r9").code, "release_not_found")
    equal(order(release="k").code, "release_not_found", "a kernel")
    c.ok("POST", "/v1/images", {"name": "r2", "kind": "release", "size": "5", "sha256": "1" * 64, "version": "0.3.0",
                                "signature": SIGNATURE}, 201)
    equal(order(release="r2").code, "image_not_ready")
    equal(c.call("POST", "/v1/nodes/node_0000000000000000/update", {"release": "r1"}).code, "node_not_found")
    vm = c.vm("web1")
    refused = order(release="r1")
    equal((refused.status, refused.code), (409, "node_in_use"))
    equal(order(release="r1", force=True).status, 200, "force")
    c.ok("DELETE", f"/v1/nodes/{node.id}/update", status=204)
    c.ok("POST", f"/v1/vms/{vm['id']}/stop")
    equal(order(release="r1").status, 200, "its VM is to be stopped")
    operator = c.ok("POST", "/v1/tokens", {"name": "op", "role": "operator"}, 201)["secret"]
    equal(c.call("POST", f"/v1/nodes/{node.id}/update", {"release": "r1"}, token=operator).status, 403, "admins only")


@test
def the_inventory_is_shown_as_it_came(c):
    node = ready_node(c)
    shown = c.ok("GET", f"/v1/nodes/{node.id}")
    equal((shown["disks"], shown["cpu_features"], shown["update"]), ([], [], None), "an old node's")
    disk = {"name": "nvme0n1", "driver": "nvme", "location": "00:04.0", "model": "QEMU NVMe Ctrl", "serial": "s1",
            "size": "1099511627776", "sector_bytes": 4096, "health": "failing", "boot": True, "rotational": False,
            "temperature_c": 41, "used_percent": 3, "power_on_hours": "12", "media_errors": "1", "errors": "2"}
    nic = {"name": "net0", "mac": "52:54:00:ab:cd:ef", "driver": "igb", "location": "01:00.0", "link": True, "uplink": True,
           "speed_mbps": 1000, "mtu": 9000, "queues": 4, "offloads": "tx-csum tso4", "rx_bytes": "10", "tx_bytes": "20",
           "rx_dropped": "0", "tx_dropped": "1"}
    equal(node.report(node={**node.info(), "disks": [disk] * 32, "nics": [nic] * 8, "firmware": "UEFI", "machine": "Acme",
                            "cpu_features": ["svm", "avx2"]}).status, 200)
    shown = c.ok("GET", f"/v1/nodes/{node.id}")
    equal((shown["disks"][31], shown["nics"][0]), (disk, nic))
    equal((shown["firmware"], shown["machine"], shown["cpu_features"]), ("UEFI", "Acme", ["svm", "avx2"]))
    refused = node.report(node={**node.info(), "disks": [{**disk, "health": "splendid"}]})
    equal((refused.status, refused.json["error"]["field"]), (422, "node.disks[0].health"))


if __name__ == "__main__":
    main(__doc__)
