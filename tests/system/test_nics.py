#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every network card that Billet drives and an emulator has, with tests/kernel/nics.c.

Echoes through the switch on every board; then each driver by itself against a peer on the wire
(tests/system/lib/wire.py): all sizes of frames, checksums and segments as the card made them, flows
over several queues, lost interrupts, a card that hangs, a cable pulled, a card pulled out, by each kind of interrupt.

Prints "ok - name" and "not ok - name" lines; exits 0 when none is "not ok". An argument is a regular
expression: only the tests whose names it matches are run.
"""
import re
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tools/emulator"), str(REPO / "tests/system/lib")]
import tap  # noqa: E402
from machine import Machine  # noqa: E402
from wire import FRAMES_A_FLOW, NR_FLOWS, NR_VALID, STREAM_BYTES, Wire  # noqa: E402

KERNEL = REPO / "build/kernel-tests/nics.elf"
TIMEOUT_S = 120
NR_FRAMES = NR_FLOWS * FRAMES_A_FLOW

# Without the ACPI controller a slot's power is switched as on a real board.
SLOTS = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]


class Card:
    """A card under test in QEMU.

    offers  what the card does in QEMU: "sum" (and cut TCP over IPv4), "tso6", "rxsum"
    irqs    kinds of interrupt, as the log calls them, by the command line's name for them
    """

    def __init__(self, device, driver, offers=(), irqs=None, mtu=9000, queues=1, has_slot=True,
                 can_hang=True):
        self.device, self.driver, self.offers, self.irqs = device, driver, offers, irqs or {}
        self.mtu, self.queues, self.has_slot, self.can_hang = mtu, queues, has_slot, can_hang


CARDS = {
    "e1000": Card("e1000", "e1000", ("sum",), has_slot=False),
    "82545EM": Card("e1000-82545em", "e1000", ("sum",), has_slot=False),
    "e1000e": Card("e1000e", "e1000e", ("sum", "tso6", "rxsum"),
                   {"msix": "MSI-X", "msi": "MSI", "intx": "INTx"}, queues=2),
    "igb": Card("igb", "igb", ("sum", "tso6", "rxsum"),
                {"msix": "MSI-X", "msi": "MSI", "intx": "INTx"}, queues=4),
    # With a backend that takes whole frames only, it has nothing to offer.
    "virtio-net": Card("virtio-net-pci", "virtio-net", can_hang=False),
}


def expect(is_so, what):
    if not is_so:
        raise AssertionError(what)


# ---- through the switch -------------------------------------------------------------------------

BRIDGES = ["-netdev", "user,id=wire", "-device", "pcie-root-port,id=root0",
           "-device", "pcie-pci-bridge,id=bridge0,bus=root0",
           "-device", "e1000,netdev=wire,bus=bridge0,addr=3"]


def plain(**options):
    return {"kernel": KERNEL, "cmdline": "panic=poweroff nics=echo", "net": [], **options}


def with_card(card, board="q35"):
    return plain(board=board, nic=False, extra=card)


ECHOES = {
    "bochs: echoes": ("bochs", "e1000", plain()),
    "qemu: echoes": ("qemu", "e1000", plain()),
    "qemu: echoes on q35, configured by ECAM": ("qemu", "e1000", plain(board="q35")),
    "qemu: echoes from a card behind bridges": ("qemu", "e1000", with_card(BRIDGES)),
}


def echoes(emulator, driver, options):
    with Machine(emulator, **options) as machine:
        machine.wait_serial(rf"{driver}: \S+: (..:){{5}}.., link up 1000 Mb/s$", TIMEOUT_S)
        machine.wait_serial(r"nics: gateway found$", TIMEOUT_S)
        machine.wait_serial(r"nics: 2000 sent, 2000 echoes, 0 dropped, \d+ ticks$", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)


def says_that_there_is_no_card():
    with Machine("qemu", **plain(nic=False)) as machine:
        machine.wait_serial(r"drivers: warning: this machine has no network card", TIMEOUT_S)
        machine.wait_power_off(TIMEOUT_S)


# ---- by itself ----------------------------------------------------------------------------------

def start_machine(card, path, cmdline, cpus):
    place = ["-device", "pcie-root-port,id=root0,chassis=1"] if card.has_slot else []
    bus = ",bus=root0" if card.has_slot else ""
    extra = [*SLOTS, "-netdev", f"stream,id=wire,server=off,addr.type=unix,addr.path={path}",
             *place, "-device", f"{card.device},id=card,netdev=wire{bus}"]
    return Machine("qemu", kernel=KERNEL, board="q35", nic=False, extra=extra, cpus=cpus,
                   cmdline=f"panic=poweroff pciehp=off nics=card {cmdline}")


def all_sizes(machine):
    found = machine.wait_serial(r"nics: sizes: (\d+) sent, (\d+) back, (\d+) wrong$", TIMEOUT_S)
    expect(found[1] == found[2] and found[3] == "0", f"of the sizes {found[0]}")


def offloads(card, machine, wire, mtu):
    nr_sums = machine.wait_serial(r"nics: checksums: (\d+) sent$", TIMEOUT_S)[1]
    machine.wait_serial(r"nics: segments: \d+ sent$", TIMEOUT_S)
    flows = machine.wait_serial(
        r"nics: flows: (\d+) frames, (\d+) valid, (\d+) wrongly valid, on CPUs:((?: \d+)+)\n", TIMEOUT_S)
    expect(int(flows[1]) == NR_FRAMES, f"of {NR_FRAMES} frames in flows {flows[1]} came")
    expect(flows[3] == "0", f"a wrong checksum was called valid: {flows[0]}")
    if "rxsum" in card.offers:
        expect(int(flows[2]) == NR_VALID, f"{NR_VALID} checksums are valid, the card says {flows[2]}")
    # The peer has answered for the flows, so it has seen all that was sent before them.
    expect(not wire.wrong, f"{len(wire.wrong)} packets are wrong, as: {wire.wrong[:3]}")
    streams = {7001} if "sum" in card.offers else set()
    streams |= {7002} if "tso6" in card.offers else set()
    expect(set(wire.streams) == streams and set(wire.streams.values()) <= {STREAM_BYTES},
           f"streams of {STREAM_BYTES} bytes came as {wire.streams}")
    longest = {max(lens) for lens in wire.segments.values()}
    expect(longest <= {mtu - 60}, f"segments have up to {longest} bytes")
    expect(wire.nr_sums >= int(nr_sums) and (nr_sums == "200") == ("sum" in card.offers),
           f"of {nr_sums} packets {wire.nr_sums} came")
    return [int(nr) for nr in flows[4].split()]


LOST = r"an interrupt did not arrive; this is looked after every second$"


def survives_lost_interrupts(card, machine):
    """Nothing else comes without one, so the driver's warning stands behind the beginning of this."""
    machine.wait_serial(r"nics: deaf$", TIMEOUT_S)
    expect(not re.search(LOST, machine.serial_text().split("nics: deaf")[0], re.MULTILINE), "an interrupt was lost before")
    if card.driver != "virtio-net":  # which looks every second, and does not ask what came by itself
        machine.wait_serial(rf"{card.driver}: warning: \S+: {LOST}", TIMEOUT_S)
    all_sizes(machine)
    machine.wait_serial(r"nics: not deaf any more$", TIMEOUT_S)
    all_sizes(machine)


def survives_a_hang(card, machine):
    machine.wait_serial(r"nics: hung$", TIMEOUT_S)
    machine.wait_serial(rf"{card.driver}: warning: \S+: does not send any more, reset 1$", TIMEOUT_S)
    all_sizes(machine)


def sees_the_cable(card, machine):
    machine.wait_serial(r"nics: pull the cable$", TIMEOUT_S)
    machine.qmp("set_link", name="card", up=False)
    machine.wait_serial(rf"{card.driver}: \S+: (..:){{5}}.., no link$", TIMEOUT_S)
    machine.wait_serial(r"nics: link down, ", TIMEOUT_S)
    machine.qmp("set_link", name="card", up=True)
    machine.wait_serial(rf"{card.driver}: \S+: (..:){{5}}.., link up( 1000 Mb/s)?$", TIMEOUT_S)
    machine.wait_serial(r"nics: link up, \d+ Mb/s$", TIMEOUT_S)
    all_sizes(machine)


def is_pulled_out(card, machine):
    machine.wait_serial(r"nics: press the button$", TIMEOUT_S)
    machine.qmp("device_del", id="card")
    machine.wait_serial(rf"{card.driver}: error: \S+: (does not answer any more|is lost: .*)$", TIMEOUT_S)
    machine.wait_serial(r"nics: gone, link down, not sent$", TIMEOUT_S)


def by_itself(card, mtu, irqs=None, then=(), cpus=2):
    cmdline = " ".join([f"mtu={mtu}", *([f"irqs={irqs}"] if irqs else []), *([f"then={','.join(then)}"] if then else [])])
    with tempfile.TemporaryDirectory(prefix="wire-", dir=REPO / "build") as folder:
        wire = Wire(Path(folder) / "socket", mtu + 18)
        try:
            with start_machine(card, wire.path, cmdline, cpus) as machine:
                if irqs:
                    machine.wait_serial(rf"{card.driver}: \S+: 8086:\S+, \d+ queues?, {card.irqs[irqs]}$", TIMEOUT_S)
                queues = min(card.queues, cpus)
                machine.wait_serial(rf"nics: {card.driver}, {queues} queues, mtu {mtu}$", TIMEOUT_S)
                all_sizes(machine)
                per_cpu = offloads(card, machine, wire, mtu)
                if queues > 1 and irqs == "msix":
                    expect(min(per_cpu[:queues]) > NR_FRAMES // queues // 4,
                           f"flows are spread badly over the CPUs: {per_cpu}")
                for what, look in (("deaf", survives_lost_interrupts), ("hang", survives_a_hang), ("link", sees_the_cable),
                                   ("unplug", is_pulled_out)):
                    if what in then:
                        look(card, machine)
                machine.wait_serial(rf"nics: {card.driver}: done, 0 received dropped$", TIMEOUT_S)
                machine.wait_power_off(TIMEOUT_S)
        finally:
            wire.close()


def cases():
    for name, arguments in ECHOES.items():
        yield name, lambda arguments=arguments: echoes(*arguments)
    yield "qemu: says that there is no card", says_that_there_is_no_card
    for name, card in CARDS.items():
        events = [what for what, can in (("deaf", True), ("hang", card.can_hang), ("link", True), ("unplug", card.has_slot)) if can]
        irqs = list(card.irqs)
        yield (f"{name}: all sizes, offloads, flows, {', '.join(events)}",
               lambda card=card, irqs=irqs, events=events:
               by_itself(card, card.mtu, irqs[0] if irqs else None, events, card.queues if card.queues > 1 else 2))
        for kind in irqs[1:]:
            yield (f"{name}: all sizes, offloads, flows, deaf by {card.irqs[kind]}",
                   lambda card=card, kind=kind: by_itself(card, 1500, kind, ["deaf"]))


sys.exit(tap.cases(cases()))
