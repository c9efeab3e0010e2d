#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose agent breaks, whose controller dies, and whose network is cut: guests run on, and no
usage is lost or counted twice. A real billetd, the node in an emulator.

Prints "ok - name", "not ok - name" and "skip - name # why" lines; exits 0 when none is "not ok".
"""
import random
import re
import signal
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import tap  # noqa: E402
from nodesite import CLOCK_WAITS, Site, Wire, check, equal, until  # noqa: E402

ENGINES = "bochs", "qemu"

# Of machine time; where the clock goes on, what the emulator waited for a CPU is in it.
BACK_WITHIN_S = 2.0 if CLOCK_WAITS else 8.0
LATE_MOST_US = 20000  # a guest's timer, beside an agent that computes
# Seconds of machine time at which the agent breaks: late enough for the VM to run by then, also where
# the machine's clock goes on without it.
FAULTS = "hang@22, crash@30" if CLOCK_WAITS else "hang@30, crash@40"
KILLS = 20
KILL_WITHIN_S = 0.08  # of a report's first bytes: about as long as billetd takes for one
STAMP = r"^\[ *(\d+\.\d+)\] "


class State:
    """What the tests of this file share, in the order in which they are run: one boot."""


def boot(s):
    s.site.boot(extra=f"test_fault = {FAULTS}")
    s.vm = s.site.vm("web1")
    s.site.until_state("web1", "running")
    s.console = s.site.console("web1")
    s.console.until(r"^beat \d+ late")


def comes_back(s, word):
    """The agent breaks, and reports again in time; gives the place in the log."""
    fault = s.site.wait(STAMP + rf"agent: warning: fault: the agent will {word}, on purpose", 60)
    again = s.site.wait(STAMP + r"agent: report: first report accepted", 60)
    took = float(again[1]) - float(fault[1])
    tap.note(f"{word}: reporting again after {took:.2f} s of machine time")
    lines = s.site.serial()[fault.start():again.end()]
    check(re.search(r"agent: started \(\d+ times before", lines), "the agent was not started anew:\n" + lines)
    check("enrolling anew" not in lines and "enrol: this node is" not in lines, "it had to enrol again:\n" + lines)
    check("sync:" not in lines, "it did something to VMs:\n" + lines)
    check(took <= BACK_WITHIN_S, f"reporting again only after {took:.2f} s:\n{lines}")


@tap.test
def a_hung_agent_is_soon_back(s):
    boot(s)
    comes_back(s, "hang")


@tap.test
def a_crashed_agent_is_soon_back(s):
    comes_back(s, "crash")


def beats_are_whole(s, since=0):
    """No beat is missing on the console. None came late, where only the node can be the cause of that."""
    s.console.until(rf"^beat {s.console.beats()[-1][0] + 3} late.*$", 30)
    beats = [b for b in s.console.beats() if b[0] >= since]
    equal([b[0] for b in beats], list(range(beats[0][0], beats[0][0] + len(beats))), "beats on the console")
    worst = max(beats, key=lambda b: b[1])
    tap.note(f"{len(beats)} beats, the latest {worst[1]} us late, {sum(b[2] for b in beats)} ticks lost")
    check(worst[1] <= LATE_MOST_US or not CLOCK_WAITS, f"a beat was {worst[1]} us late: {worst}")
    return beats


@tap.test
def meanwhile_the_guest_misses_nothing(s):
    beats_are_whole(s)


def counted_s(s):
    """Seconds by the guest's clock: its ticks, and those that it knows it has missed."""
    beats = s.console.beats()
    return beats[-1][0] / 10 + sum(lost for _, _, lost in beats) / 1000


@tap.test
def faults_lose_no_usage_and_count_none_twice(s):
    records = s.site.controller.records(s.vm["id"])
    check(records, "there are no records")
    equal(len({r["boot_id"] for r in records}), 1, "boots of the node")
    s.seq_before = max(int(r["seq"]) for r in records)
    s.site.do("web1", "pause")
    s.site.until_state("web1", "paused")
    newest = until("a record of the pause", 30, lambda: [
        r for r in s.site.controller.records(s.vm["id"]) if int(r["seq"]) > s.seq_before])[-1]
    age_s = int(newest["vcpu_alloc_ns"]) / 1e9
    counted = counted_s(s)
    # Where the machine's clock goes on while the emulator waits for a CPU, ticks come to nothing of which the guest
    # does not know: docs/hardware.md.
    most = 3 if CLOCK_WAITS else 3 + age_s / 8
    check(-3 < age_s - counted < most, f"{age_s:.1f} s of vCPU are reported, the guest counted {counted:.1f} s")
    s.site.do("web1", "resume")
    s.site.until_state("web1", "running")


class Killer:
    """Kills billetd at a random time after the node's next bytes, and starts it again."""

    def __init__(self, site):
        self.site, self.armed, self.killed = site, False, threading.Event()
        site.wire.on_bytes = self.saw

    def arm(self):
        self.killed.clear()
        self.armed = True

    def saw(self, nr_bytes):
        if self.armed and nr_bytes > 300:  # a report, not a poll
            self.armed = False
            threading.Timer(random.random() * KILL_WITHIN_S, self.kill).start()

    def kill(self):
        self.site.controller.stop(signal.SIGKILL)
        self.site.controller.start()
        self.killed.set()


@tap.test
def billetd_killed_while_it_stores_reports_keeps_the_ledger_true(s):
    seed = time.time_ns()
    random.seed(seed)
    killer, verbs = Killer(s.site), ["pause", "resume"]
    for i in range(KILLS):
        state = ("paused", "running")[i % 2]
        until("billetd is asked", 20, lambda: s.site.do("web1", verbs[i % 2]))
        killer.arm()
        check(killer.killed.wait(60), f"no report to kill at, round {i}")
        until(f"web1 is {state}", 60, lambda: s.site.show("web1")["state"] == state)
    s.site.wire.on_bytes = None
    tap.note(f"seed {seed}")
    records = s.site.controller.records(s.vm["id"])
    used = s.site.controller.used(s.vm["id"])
    equal(used["vcpu_alloc_ns"], max((r["vcpu_alloc_ns"] for r in records), key=int), "ledger and counters")


@tap.test
def a_network_that_is_cut_leaves_the_guest_running(s):
    before = len(s.site.controller.records(s.vm["id"]))
    s.console = s.site.console("web1")  # a restarted billetd counts its consoles' bytes anew
    s.console.until(r"^beat \d+ late.*$")
    s.wire_beat = s.console.beats()[-1][0]
    s.site.wire.cut(Wire.SWALLOWS)
    time.sleep(6)
    s.site.wire.cut(Wire.REFUSES)
    time.sleep(6)
    equal(len(s.site.controller.records(s.vm["id"])), before, "records while the network is cut")
    s.site.wire.mend()
    s.site.wait(r"tls: report: connected", 90)
    until("the console goes on", 60, lambda: s.console.poll() and s.console.beats()[-1][0] > s.wire_beat + 100)
    beats_are_whole(s, s.wire_beat)


@tap.test
def the_backlog_arrives_once(s):
    final = s.site.delete("web1")
    s.site.check_ledger(s.vm["id"], final)
    counted = s.console.beats()[-1][0] / 10
    charged = int(final["vcpu_alloc_ns"]) / 1e9
    check(charged >= counted - 0.2, f"{charged:.1f} s of vCPU are charged, the guest counted {counted:.1f} s")
    tap.note(f"{len(s.site.controller.records(s.vm['id']))} records, {charged:.1f} s of vCPU")


def main():
    s = State()
    with Site() as s.site:
        status = tap.main("node", s)
        if status and s.site.machine:
            tap.note(s.site.serial()[-6000:])
    return status


sys.exit(main())
