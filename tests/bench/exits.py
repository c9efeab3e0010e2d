# SPDX-License-Identifier: Apache-2.0
"""Figures 1: what one exit costs, and what costs none."""
import re

import bochs

MEM_MIB = 512
TIMEOUT_S = 300
CPU_WITHOUT_APICV = "corei7_ivy_bridge_3770k"
EOI_ROUNDS = 1000
MEMORY_MIB = 64

SENDS = {
    "send-60": "virtio-net: a frame of 60 bytes to the card",
    "send-1514": "virtio-net: a frame of 1514 bytes to the card",
    "send-1514-csum": "virtio-net: the same, its checksum left to the card",
    "send-64k": "virtio-net: a TCP segment of 44 such frames, cut by the card",
}

RAN = r"guest: debug: \"\S+\": ran (\d+) us of (\d+) us$"  # the last line about a guest
OFF, AUTO = "guests=only mitigations=off", "guests=only"

# name in the guest: name, KVM's ticks with mitigations=off and by default, goal
ROWS = {
    "cpuid": ("CPUID", 994, 1122, 80),
    "vmcall": ("VMCALL", 1033, 1165, None),
    "rdmsr": ("RDMSR", 1108, 1233, 100),
    "wrmsr-tsc-deadline": ("WRMSR TSC_DEADLINE", 798, 892, 150),
    "out-kernel-device": ("OUT to an in-kernel device (PIC)", 2188, 2331, 150),
    "out-unclaimed": ("OUT to a port without a device", None, None, None),
    "out-virtio-notify": ("OUT to an ioeventfd: virtio notification", 1296, 1427, 300),
    "mmio-virtio-notify": ("MMIO write to an ioeventfd: virtio notification", 1146, 1270, 300),
    "mmio-read-ecam": ("MMIO read of an in-kernel device (ECAM)", None, None, None),
    "lapic-tpr-write": ("LAPIC TPR write, APICv", None, None, None),
    "lapic-eoi": ("LAPIC EOI write, APICv", None, None, None),
    "self-ipi-xapic": ("IPI to itself, its handler and EOI, xAPIC, APICv", None, None, None),
    "self-ipi-x2apic": ("IPI to itself, its handler and EOI, x2APIC, APICv", None, None, None),
    "hlt-wake-min": ("HLT: from the deadline to the handler, least", None, None, None),
    "hlt-wake-max": ("HLT: from the deadline to the handler, most", None, None, None),
}
ROWS_WITHOUT_APICV = {
    "lapic-tpr-write": ("LAPIC EOI or TPR write (no APICv): TPR", 3900, 8245, 250),
    "lapic-eoi": ("LAPIC EOI or TPR write (no APICv): EOI", 3900, 8245, 250),
    "x2apic-eoi": ("LAPIC EOI, x2APIC (no APICv)", None, None, 250),
    "self-ipi-xapic": ("IPI to itself, its handler and EOI, xAPIC (no APICv)", None, None, None),
}


def guest_rows(text, guest):
    return {name: int(value) for name, value in
            re.findall(rf"\] {guest}: row (\S+) (\d+)$", text, re.MULTILINE)}


def guest_exits(text, guest):
    return {kind: int(nr) for kind, nr in
            re.findall(rf"\] {guest}: exits: (.+) (\d+)$", text, re.MULTILINE)}


def run(modules, cpu=None, cmdline=AUTO):
    iso = bochs.FOLDER / "guests.iso"
    bochs.make_iso(iso, modules, f"{cmdline} log=debug")
    with bochs.machines.Machine("bochs", iso=iso, cpus=1, mem_mib=MEM_MIB, cpu=cpu) as machine:
        for _ in modules:
            machine.wait_serial(RAN, TIMEOUT_S)
        return machine.serial_text()


def guest(name, text):
    return bochs.BUILD / f"guest-tests/{name}.elf", text


def measure_rows(figures, rows, cpu=None):
    """Each operation with mitigations=off, as KVM was measured, and with the node's default."""
    modules = [guest("exits", "guest exits pvh mem=16")]
    off, again, auto = (guest_rows(run(modules, cpu, cmdline), "exits")
                        for cmdline in (OFF, OFF, AUTO))
    for row, (name, kvm, _, goal) in rows.items():
        figures.add(name, off.get(row), "ticks", kvm, goal)
    for row, (name, _, kvm, goal) in rows.items():
        figures.add(f"{name}; mitigations on", auto.get(row), "ticks", kvm, goal)
    figures.add(f"rows above that differ in a second run{' (no APICv)' if cpu else ''}",
                sum(off.get(row) != again.get(row) for row in rows), "rows", None, 0)


def measure_sends(figures):
    rows = guest_rows(run([guest("send", "guest send pvh mem=16")], cmdline=OFF), "send")
    for row, name in SENDS.items():
        figures.add(name, rows.get(row), "ticks")


def exits_not_taken(figures):
    text = run([guest("eoi", "guest none pvh mem=16 -- rounds=0"),
                guest("eoi", f"guest some pvh mem=16 -- rounds={EOI_ROUNDS}"),
                guest("memory", f"guest memory pvh mem={MEMORY_MIB} -- mib={MEMORY_MIB}")])
    none, some, memory = (guest_exits(text, name) for name in ("none", "some", "memory"))
    taken = guest_rows(text, "some").get("taken")
    if taken != EOI_ROUNDS or "pages" not in guest_rows(text, "memory"):
        raise RuntimeError(f"the guests did not do what they should:\n{text}")
    # Host interrupts come by the clock; the console's OUTs differ by the digits printed.
    extra = sum(nr - none.get(kind, 0) for kind, nr in some.items()
                if kind not in ("io", "interrupt", "none"))
    figures.add("LAPIC EOI, APICv: exits for 1000 interrupts taken", extra, "exits", None, 0)
    figures.add("EPT violations of a running guest on its own memory", memory.get("mmio", 0),
                "exits", None, 0)


def measure(figures):
    measure_rows(figures, ROWS)
    measure_rows(figures, ROWS_WITHOUT_APICV, CPU_WITHOUT_APICV)
    measure_sends(figures)
    exits_not_taken(figures)
