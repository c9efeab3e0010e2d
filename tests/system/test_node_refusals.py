#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a node refuses, on a whole machine: a controller that cannot be reached or proven, documents and
answers that are wrong. Each is one clear line in the node's log, and the guest that it has runs on. The
controller is a fake that lies as told; the node in its emulator is booted once.

Prints "ok - name", "not ok - name" and "skip - name # why" lines; exits 0 when none is "not ok".
"""
import copy
import hashlib
import re
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))
import tap  # noqa: E402
from fakecontroller import NODE, FakeController, answer, refusal  # noqa: E402
from nodesite import BEAT, COUNTERS, Site, check, equal, until  # noqa: E402

ENGINES = "bochs", "qemu"

TOKEN = "bjt_" + "1" * 64
VM = "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4e"
OTHER = "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4f"


class State:
    """What the tests of this file share: one boot, one fake controller."""


def vm(s, identity=VM, name="web1", **changes):
    return {"id": identity, "name": name, "state": "running", "restart": "1", "epoch": "1", "vcpus": 1,
            "memory_mib": 32, "weight": 100, "cap_percent": 0,
            "boot": {"kind": "linux", "kernel": s.kernel, "cmdline": "mute=1"},
            "nics": [{"mac": "52:54:00:12:34:57", "network": "default"}], "console": None, **changes}


def said(s, regex, timeout_s=40):
    """The line of the node's log that matches."""
    mark = s.site.serial_mark
    found = until(f"a line {regex!r}", timeout_s, lambda: re.compile(rf"^.*{regex}.*\n", re.MULTILINE).search(
        s.site.serial(), mark))
    tap.note(found[0].rstrip())
    s.site.serial_mark = found.end()
    return found[0]


def other_vm(s, name, **changes):
    """Another VM, of another id than any before."""
    s.nr_others = getattr(s, "nr_others", 0) + 1
    return vm(s, f"{OTHER[:-4]}{s.nr_others:04x}", name, nics=[], **changes)


# ---- before it is enrolled ---------------------------------------------------------------------


@tap.test
def an_unreachable_controller_is_one_line(s):
    s.site.wire.to = None
    s.site.serial_mark = 0
    s.site.boot(conf=s.site.configuration(token=TOKEN, ca=s.fake.authority.pem), wait=False)
    said(s, r"agent: warning: enrol: (connection re(fused|set)|the controller closed the connection)", 60)
    # From here on it can be reached, with one bad certificate after the other: it would enrol with the good one.
    s.other = FakeController(s.site.folder / "other")
    s.good, s.fake.certificate = s.fake.certificate, s.other.certificate
    s.site.wire.to = s.fake.port


def refuses_certificate(s, line, context):
    s.fake.certificate = context
    said(s, "agent: warning: enrol: the controller's certificate " + line)


@tap.test
def a_certificate_of_another_authority_is_refused(s):
    refuses_certificate(s, "is not from the configured CA", s.other.certificate)
    s.other.close()


@tap.test
def a_certificate_for_another_host_is_refused(s):
    refuses_certificate(s, "is for another host name",
                        s.fake.authority.server("host", names="IP:10.0.2.99,DNS:example.org"))


@tap.test
def an_expired_certificate_is_refused(s):
    refuses_certificate(s, "has expired", s.fake.authority.server("old", dates=(
        "-not_before", "20200101000000Z", "-not_after", "20200201000000Z")))


@tap.test
def nothing_was_asked_of_any_of_them(s):
    equal((s.fake.enrolled, s.fake.polls, s.fake.reports), (0, 0, []), "requests so far")


@tap.test
def then_it_enrols_and_runs_a_guest(s):
    s.fake.certificate = s.good
    s.kernel = s.fake.add_blob(BEAT.read_bytes())
    s.generation = 10
    s.fake.offer(s.generation, vm(s))
    s.site.wait(r"report: first report accepted", 90)
    until("the guest is reported running", 60, lambda: state_of(s) == "running")


def state_of(s, identity=VM):
    if not s.fake.reports:
        return None
    return next((v["state"] for v in s.fake.reports[-1].get("vms", []) if v["id"] == identity), None)


# ---- documents ---------------------------------------------------------------------------------


def nothing_changes(s, what, lie, line, event=True):
    """With lie for an answer to its polls the node says line and does nothing; then it takes the truth."""
    mark, s.site.serial_mark = len(s.site.serial()), len(s.site.serial())
    reports = len(s.fake.reports)
    s.fake.desired = lie
    said(s, line)
    if event:
        until(f"{what}: the controller is told", 20, lambda: any(
            e["code"] == "desired_refused" for r in s.fake.reports[reports:] for e in r.get("events", [])))
    s.fake.desired = s.fake.hand_out
    polls = s.fake.polls
    until(f"{what}: a good document is asked for", 60, lambda: s.fake.polls > polls + 1)
    doings = re.findall(r"^.*(?:sync:|control: vm).*$", s.site.serial()[mark:], re.MULTILINE)
    equal(doings, [], f"{what}: what the node did")
    equal(state_of(s), "running", f"{what}: the guest")
    equal(s.fake.reports[-1]["applied_generation"], str(s.generation), f"{what}: the generation applied")


def lying(s, change):
    document = copy.deepcopy(s.fake.document)
    document["generation"] = str(s.generation + 1)
    change(document)
    return lambda request: answer(200, document)


def wrong_documents(s):
    def put(key, value):
        return lambda d: d["vms"][0].__setitem__(key, value)

    no_such = "ab" * 32
    boot = {"kind": "linux", "kernel": no_such, "cmdline": ""}
    return {
        "for another node": (lambda d: d.__setitem__("node_id", "node_0000000000000000"),
                             rf"nothing changed: the desired state is for node node_0000000000000000, this is {NODE}"),
        "without a generation": (lambda d: d.pop("generation"), "nothing changed: 'generation' is missing"),
        "with no vCPU": (put("vcpus", 0), r"nothing changed: 'vms\[0\]\.vcpus'"),
        "with 33 vCPUs": (put("vcpus", 33), r"nothing changed: 'vms\[0\]\.vcpus'"),
        "with odd memory": (put("memory_mib", 33), r"nothing changed: 'vms\[0\]\.memory_mib'"),
        "with a name twice": (lambda d: d["vms"].append(vm(s, OTHER)), r"nothing changed: 'vms\[1\]\.name'"),
        "with an id twice": (lambda d: d["vms"].append(vm(s, name="web2")), r"nothing changed: 'vms\[1\]\.id'"),
        "with an image that it does not list": (put("boot", boot), r"nothing changed: 'vms\[0\]\.boot\.kernel'"),
        "with an unknown way to boot": (put("boot", {**boot, "kind": "punch-cards"}),
                                        r"nothing changed: 'vms\[0\]\.boot\.kind'"),
    }


@tap.test
def documents_that_are_wrong_change_nothing(s):
    for what, (change, line) in wrong_documents(s).items():
        nothing_changes(s, what, lying(s, change), line)


@tap.test
def an_older_document_changes_nothing(s):
    def change(document):
        document["generation"], document["vms"] = str(s.generation - 1), []
    nothing_changes(s, "an older one", lying(s, change), "nothing changed: it is older than the one applied", event=False)


@tap.test
def answers_that_are_no_documents_change_nothing(s):
    for what, lie, line, event in (
            ("cut JSON", answer(200, b'{"node_id": "node_'), "nothing changed: ", True),
            ("deep JSON", answer(200, b"[" * 300000), "nothing changed: ", True),
            ("JSON beyond 1 MiB", answer(200, b" " * 1200000), "desired: the body was refused", False),
            ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", "desired: the answer is not HTTP", False),
            ("endless headers", b"HTTP/1.1 200 X\r\n" + b"X-Filler: " + b"x" * 40000 + b"\r\n\r\n",
             "desired: more than 16 KiB of headers", False),
            ("a failure", refusal(500, "internal", "try again"), "desired: 500 internal: try again", False)):
        nothing_changes(s, what, lambda request, lie=lie: lie, line, event)


@tap.test
def the_same_document_again_does_nothing(s):
    mark, polls = len(s.site.serial()), s.fake.polls
    s.fake.desired = lambda request: (time.sleep(0.5), answer(200, s.fake.document))[1]
    until("five polls", 30, lambda: s.fake.polls >= polls + 5)
    s.fake.desired = s.fake.hand_out
    equal(re.findall(r"^.*(?:sync:|control:|warning:).*$", s.site.serial()[mark:], re.MULTILINE), [], "what the node did")


# ---- what only the node can refuse --------------------------------------------------------------


def fails_alone(s, other, words):
    """Beside web1, a VM that cannot be made: one line, and it is reported with the reason."""
    s.generation += 1
    mark = s.site.serial_mark = len(s.site.serial())
    s.fake.offer(s.generation, vm(s), other)
    line = said(s, words)
    reported = until("it is reported failed", 30, lambda: [v for v in s.fake.reports[-1]["vms"] if v["id"] == other["id"] and
                                                           v["state"] in ("failed", "crashed")])
    check(re.search(words, reported[0]["reason"]), f"reason: {reported}, line: {line}")
    equal(state_of(s), "running", "the other guest")
    s.generation += 1
    s.fake.offer(s.generation, vm(s))
    until("it is gone", 30, lambda: state_of(s, other["id"]) is None)
    lines = [line for line in s.site.serial()[mark:].splitlines() if re.search(words, line)]
    equal(len(lines), 1, f"lines of {words!r}: {lines}")


@tap.test
def more_memory_than_there_is_is_one_line(s):
    fails_alone(s, other_vm(s, "big", memory_mib=65536), "memory")


@tap.test
def an_address_that_is_taken_is_one_line(s):
    fails_alone(s, {**other_vm(s, "twin"), "nics": vm(s)["nics"]}, "MAC|address")


@tap.test
def an_image_with_other_bytes_starts_no_guest(s):
    right, wrong = bytes(100000), bytes(99999) + b"\x01"
    sha256 = hashlib.sha256(right).hexdigest()
    s.fake.blobs[sha256] = wrong
    fails_alone(s, other_vm(s, "spoilt", boot={"kind": "linux", "kernel": sha256, "cmdline": ""}), "SHA-256")
    del s.fake.blobs[sha256]


@tap.test
def a_kernel_of_no_known_format_is_one_line(s):
    sha256 = s.fake.add_blob(b"no kernel\n" * 1000)
    fails_alone(s, other_vm(s, "text", boot={"kind": "linux", "kernel": sha256, "cmdline": ""}),
                "not a Linux bzImage")
    del s.fake.blobs[sha256]


# ---- answers to reports -------------------------------------------------------------------------


@tap.test
def answers_to_reports_that_are_wrong_lose_no_usage(s):
    stored = []

    def store(request):
        reply = s.fake.accept(request)
        stored.extend(s.fake.reports[-1].get("usage", []))
        return reply

    for what, lie, line in (
            ("cut JSON", answer(200, b'{"ack_seq": "'), "report: the controller's answer is wrong"),
            ("a wrong type", answer(200, {"ack_seq": 17, "next_ms": "soon"}), "report: the controller's answer is wrong"),
            ("no HTTP", b"220 mail.example ESMTP\r\n", "report: the answer is not HTTP"),
            ("a failure", refusal(503, "storage", "the disk is full"), "report: 503 storage: the disk is full"),
            ("a conflict", refusal(409, "usage_conflict", "other content"), "report: 409 usage_conflict")):
        s.site.serial_mark = len(s.site.serial())
        s.fake.report = lambda request, lie=lie: lie
        said(s, line)
        s.fake.report = store
        reports = len(s.fake.reports)
        until(f"{what}: a report arrives", 90, lambda: len(s.fake.reports) > reports)
    s.generation += 1
    s.fake.offer(s.generation)
    finals = until("the final record", 60, lambda: [r for r in stored if r["final"]])
    rows = sorted((r for r in stored if r["vm"] == VM), key=lambda r: int(r["seq"]))
    for before, after in zip(rows, rows[1:]):
        check(all(int(after[c]) >= int(before[c]) for c in COUNTERS), f"a counter fell: {before} {after}")
    equal(finals[0]["vm"], VM, "whose final record")
    check(int(finals[0]["vcpu_alloc_ns"]) > 10**9, f"final record: {finals[0]}")


def main():
    s = State()
    with Site() as s.site:
        s.fake = FakeController(s.site.folder / "fake")
        status = tap.main("node refuses", s)
        s.fake.close()
        if status and s.site.machine:
            tap.note(s.site.serial()[-6000:])
    return status


sys.exit(main())
