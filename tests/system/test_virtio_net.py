#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The node's driver of virtio network cards against Linux, with tests/kernel/virtio_nics.c.

Each machine has one card with other features. Its wire is a tap device (tests/system/lib/tapwire.py), so
that checksums and segments that the card leaves to others are finished by Linux, and those that Linux
leaves to it were never finished. Streams go both ways and are compared byte for byte at both ends; that
the work was really left to the other is read from the headers there, and from what the driver hands up.

Prints "ok - name", "not ok - name" and "skip - name # why" lines; exits 0 when none is "not ok". An
argument is a regular expression: only the tests whose names it matches are run.
"""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tools/emulator"), str(REPO / "tests/system/lib")]
import tap  # noqa: E402
from machine import Machine, MachineError  # noqa: E402
from tapwire import FIRST_STREAM, NR_STREAMS, TapWire, Unusable, enter_namespace, netdev  # noqa: E402
from wire import FRAMES_A_FLOW, NR_FLOWS, SEGMENTS, STREAM_BYTES  # noqa: E402

KERNEL = REPO / "build/kernel-tests/virtio_nics.elf"
TIMEOUT_S = 120
NR_FRAMES = NR_FLOWS * FRAMES_A_FLOW
NR_CHECKSUMS = 200
THROUGH_SEGMENTS, THROUGH_BYTES, THROUGH_PACKETS = 4, 20000, 8
GSO_TCP4, GSO_TCP6 = 1, 4


class Card:
    """A card of virtio in QEMU.

    device   options of the device beside the plain ones
    sends    what it may leave to Linux: "sum", "segments"; receives: what Linux may leave to it
    then     what is to happen to it
    says     of it in the log; others are QEMU's devices beside it
    """

    def __init__(self, device, queues=1, cpus=2, mtu=1500, board="q35", cmdline="",
                 sends=("sum", "segments"), receives=("sum", "segments"), then=(), says=None, others=()):
        self.device, self.queues, self.cpus, self.mtu, self.board = device, queues, cpus, mtu, board
        self.cmdline, self.sends, self.receives, self.then = cmdline, sends, receives, then
        self.says, self.others = says, list(others)


# A second card, which Billet refuses.
LEGACY = ["-device", "virtio-net-pci,disable-modern=on,disable-legacy=off,addr=0x10"]

CARDS = {
    "four pairs of rings, jumbo frames": Card(
        "mq=on,vectors=10,host_mtu=9000,speed=10000", queues=4, cpus=4, mtu=9000,
        says=r"virtio-net: \S+: 4 pairs of rings, frames of up to 9000 bytes, sends checksums and segments, checks checksums$",
        then=("deaf", "reset", "nonsense", "link")),
    "INTx, on pc, beside a legacy one": Card(
        "mq=on", queues=2, board="pc", cmdline="irqs=intx", others=LEGACY,
        says=r"virtio: warning: 00:10.0: has the legacy interface only; ", then=("deaf", "reset", "link")),
    "without merged buffers, fewer vectors than rings": Card(
        "mq=on,mrg_rxbuf=off,vectors=2,host_mtu=1400", queues=2, receives=("sum",), then=("deaf", "reset"),
        says=r"virtio-net: warning: \S+: its network carries 1400 bytes, fewer than the 1500 of Ethernet"),
    "without event index, indirect descriptors, control queue": Card(
        "event_idx=off,indirect_desc=off,ctrl_vq=off,rx_queue_size=1024,disable-legacy=on,iommu_platform=on",
        mtu=4000,  # of which nothing tells the driver
        then=("deaf", "nonsense")),
    "without anything": Card(
        "csum=off,guest_csum=off,mrg_rxbuf=off,event_idx=off,ctrl_vq=off,status=off", sends=(), receives=(),
        says=r"virtio-net: \S+: 1 pair of rings, frames of up to 1500 bytes$", then=("reset",)),
}


def expect(is_so, what):
    if not is_so:
        raise AssertionError(what)


def equal(got, want, what):
    expect(got == want, f"{what}: {got}, should be {want}")


def frames_of(size, each):
    return -(-size // each)


class Run:
    """A machine with a card, and what is expected of it."""

    def __init__(self, card, machine, wire):
        self.card, self.machine, self.wire = card, machine, wire
        self.nr_streams, self.per_cpu = 0, [0] * card.cpus

    def wait(self, regex):
        """For the whole line: half of one may be there already."""
        return self.machine.wait_serial(regex + r".*\n", TIMEOUT_S)

    def sizes(self):
        found = self.wait(r"nics: sizes: (\d+) sent, (\d+) back, (\d+) wrong$")
        expect(found[1] == found[2] and found[3] == "0", f"of the sizes {found[0]}")

    def flows(self):
        found = self.wait(r"nics: flows: (\d+) frames, \d+ valid, (\d+) wrongly valid, on CPUs:((?: \d+)+)$")
        equal((int(found[1]), found[2]), (NR_FRAMES, "0"), "frames in flows, and those wrongly called valid")
        self.per_cpu = [old + int(new) for old, new in zip(self.per_cpu, found[3].split())]
        by_rings = self.rings("flows")
        expect(min(by_rings) > NR_FRAMES // len(by_rings) // 4, f"flows are spread badly over the rings: {by_rings}")

    def rings(self, what):
        used = [int(nr) for nr in self.wait(rf"nics: {what} by rings:((?: \d+)+)$")[1].split()]
        equal(len(used), self.card.queues, "rings")
        return used

    def cpus(self):
        """Each ring has a vector, on the CPU of its number. The watch may be first now and then, but not always."""
        if not self.card.cmdline:
            expect(min(self.per_cpu[:self.card.queues]) > 0, f"CPUs get no interrupts: {self.per_cpu}")

    def streams(self, how="streams", takes=None):
        """Of the peer; takes is what the receiver takes so."""
        takes = self.card.receives if takes is None else takes
        found = self.wait(rf"nics: {how}: (\d+) streams, (\d+) bytes, (\d+) large, (\d+) partial, (\d+) finished, "
                          r"longest (\d+), (\d+) wrong: (.*)$")
        sizes, each = self.wire.sizes_of_streams(), self.wire.gso_size
        equal((found[1], found[2]), (str(NR_STREAMS), str(NR_STREAMS * sum(sizes))), f"{how}: streams and bytes")
        equal((found[7], found[8]), ("0", "nothing"), f"{how}: wrong")
        equal(tuple(map(int, found.group(3, 4, 5))),
              tuple(NR_STREAMS * nr for nr in counts(sizes, each, takes)), f"{how}: large, partial, finished")
        self.nr_streams += how == "streams"

    def events(self):
        for event in self.card.then:
            getattr(self, event)()

    def deaf(self):
        self.wait(r"nics: deaf$")
        self.sizes()
        self.wait(r"nics: interrupts are pending$")
        self.sizes()

    def reset(self):
        self.wait(r"nics: the device asks for a reset$")
        self.begins_anew()

    def nonsense(self):
        self.begins_anew()

    def begins_anew(self):
        self.wait(r"virtio-net: error: \S+: asks for a reset, or has written nonsense into a ring; reset$")
        self.sizes()
        self.takes_all_frames()
        self.streams()
        self.flows()

    def takes_all_frames(self):
        """By the commands of the control queue; without one a card passes on what it likes, here all."""
        got = self.machine.qmp("query-rx-filter", name="card")[0]
        equal((got["promiscuous"], got["multicast"]), (True, "normal" if "ctrl_vq=off" in self.card.device else "all"),
              "is promiscuous, multicast")

    def link(self):
        self.wait(r"nics: pull the cable$")
        self.machine.qmp("set_link", name="card", up=False)
        self.wait(r"virtio-net: \S+: (..:){5}.., no link$")
        self.wait(r"nics: link down, ")
        self.machine.qmp("set_link", name="card", up=True)
        speed = int(found[1]) if (found := re.search(r"speed=(\d+)", self.card.device)) else 0
        self.wait(rf"virtio-net: \S+: (..:){{5}}.., link up{f' {speed} Mb/s' if speed else ''}$")
        self.wait(rf"nics: link up, {speed} Mb/s$")
        self.sizes()

    def all(self):
        card = self.card
        if card.says:
            self.wait(card.says)
        self.wait(rf"nics: virtio-net, {card.queues} queues, mtu {card.mtu}$")
        self.sizes()
        self.takes_all_frames()
        equal(int(self.wait(r"nics: checksums: (\d+) sent$")[1]), NR_CHECKSUMS if "sum" in card.sends else 0, "checksums")
        equal(int(self.wait(r"nics: segments: (\d+) sent$")[1]),
              2 * len(SEGMENTS) if "segments" in card.sends else 0, "segments")
        self.flows()
        self.streams()
        sent = self.rings("sent")
        if not card.cmdline:  # by each CPU in a ring of its own
            expect(len(sent) == 1 or sum(sent[1:]) > 0, f"only one ring sends: {sent}")
        self.wait(r"nics: through the switch: \d+ segments, \d+ packets$")
        self.streams("to a port that takes all")
        self.streams("to a port that takes nothing", takes=())
        self.events()
        self.wait(r"nics: done, 0 received dropped$")
        self.machine.wait_power_off(TIMEOUT_S)
        self.cpus()

    def headers(self):
        """What came with the frames of the card: left to Linux was what it may leave, and nothing else."""
        card, wire = self.card, self.wire
        expect(not wire.wrong, f"{len(wire.wrong)} packets are wrong, as: {wire.wrong[:3]}")
        wanted, has_sum = {}, "sum" in card.sends

        def want(port, nr_large, nr_partial, nr_finished):
            gso = GSO_TCP4 if port & 1 else GSO_TCP6
            for key, nr in (((port, gso, True), nr_large), ((port, 0, True), nr_partial), ((port, 0, False), nr_finished)):
                if nr:
                    wanted[key] = nr

        if "segments" in card.sends:
            large = sum(size > (536 if i == 4 else card.mtu - 60) for i, size in enumerate(SEGMENTS))
            want(7001, large, len(SEGMENTS) - large, 0)
            want(7002, large, len(SEGMENTS) - large, 0)
        for port in (7011, 7012):
            want(port, *(THROUGH_SEGMENTS * nr for nr in counts([THROUGH_BYTES], card.mtu - 60, card.sends)))
        nr = THROUGH_PACKETS + (NR_CHECKSUMS if has_sum else 0)
        wanted[8001, 0, has_sum] = nr
        for port in range(FIRST_STREAM, FIRST_STREAM + NR_STREAMS):
            want(port, *(self.nr_streams * nr for nr in counts(wire.sizes_of_streams(), wire.gso_size, card.receives)))
        equal({key: nr for key, nr in wire.headers.items() if key[0] > 7000}, wanted, "headers")
        sent = {7011: THROUGH_SEGMENTS * THROUGH_BYTES, 7012: THROUGH_SEGMENTS * THROUGH_BYTES,
                **({7001: STREAM_BYTES, 7002: STREAM_BYTES} if "segments" in card.sends else {})}
        equal({port: nr for port, nr in wire.streams.items() if port < FIRST_STREAM}, sent, "bytes of streams")
        for port in (7011, 7012):
            equal(max(wire.segments[port]), card.mtu - 60, "the longest that became of a segment")


def counts(sizes, each, takes):
    """How many frames are handed on large, with a sum that is left, and finished."""
    cut = sum(frames_of(size, each) for size in sizes)
    if "segments" in takes:
        nr_large = sum(size > each for size in sizes)
        return nr_large, len(sizes) - nr_large, 0
    return (0, cut, 0) if "sum" in takes else (0, 0, cut)


def run(card):
    wire = TapWire(card.mtu, card.queues)
    try:
        extra = ["-netdev", f"{netdev(card.queues)},id=tap", "-device", f"virtio-net-pci,id=card,netdev=tap,{card.device}",
                 *card.others]
        with Machine("qemu", kernel=KERNEL, board=card.board, nic=False, extra=extra, cpus=card.cpus,
                     cmdline=f"panic=poweroff mtu={card.mtu} then={','.join(card.then)} {card.cmdline}") as machine:
            of = Run(card, machine, wire)
            try:
                of.all()
            except (AssertionError, MachineError) as wrong:
                found = wrong if isinstance(wrong, MachineError) else machine.error(wrong)
                raise AssertionError(f"{found}\n  the peer found wrong: {wire.wrong[:3]}") from None
    finally:
        wire.close()
    of.headers()


def main():
    try:
        enter_namespace()
    except Unusable as why:
        missing = why

        def run_card(card):
            raise tap.Skip(missing)
    else:
        run_card = run
    return tap.cases((name, lambda card=card: run_card(card)) for name, card in CARDS.items())


sys.exit(main())
