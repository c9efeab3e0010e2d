#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The controller from outside: usage and events, counted once whatever happens.

    tests/system/test_controller_usage.py [--billetd build/billetd] [--kills 100] [--only WORD] [--keep]

Prints "ok - name", "not ok - name" or "skip - name # why" for each test. Every test has a controller of its own
unless it says otherwise, so that they can be run alone.
"""
import http.client
import random
import signal
import sqlite3
import sys
import threading
import time
import uuid
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import controllersite  # noqa: E402
from controllersite import COUNTERS, check, equal, ready_node, test, main  # noqa: E402


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


@test
def each_boot_of_a_node_is_an_event(c):
    node = ready_node(c)
    node.report()
    node.boot = str(uuid.uuid4())
    for _ in range(2):
        node.report(node={**node.info(), "watchdog_reset": True})
    events = [(e["level"], e["code"]) for e in c.ok("GET", "/v1/events?node=host1")["items"]]
    equal([e for e in events if e[1] in ("node_booted", "node_reset")], [("info", "node_booted"), ("warn", "node_reset")])
    equal(c.ok("GET", "/v1/nodes/host1")["watchdog_reset"], True)


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
    while kills < controllersite.ARGS.kills or (not meter.repeated and kills < controllersite.ARGS.kills + 1000):
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
    check(meter.cut_off >= controllersite.ARGS.kills / 10, f"only {meter.cut_off} reports were cut off by {kills} kills")
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


if __name__ == "__main__":
    main(__doc__, kills=100)
