# SPDX-License-Identifier: Apache-2.0
"""The best machine for a node: QEMU with this machine's VT-x where KVM hands it on, else Bochs. On
request, QEMU alone, which emulates AMD-V.

A /dev/kvm that opens does not mean that guests get VT-x, so KVM is asked what CPUID it would show
them: leaf 1, ECX bit 5 is VMX.
"""
import ctypes
import fcntl
import os
import struct

from machine import Machine

NAMES = {"kvm": "QEMU/KVM", "bochs": "Bochs", "qemu": "QEMU"}
CMDLINES = {"kvm": "log=info apicv=on", "bochs": "log=info", "qemu": "log=info"}  # the kernel's; machine.py adds to an emulated one's
MEM_MIB = 1024

KVM_GET_SUPPORTED_CPUID = 0xC008AE05
CPUID_ENTRIES = 256
CPUID_HEADER = struct.Struct("<II")
CPUID_ENTRY = struct.Struct("<10I")  # function, index, flags, eax, ebx, ecx, edx, 3 reserved
LEAF1_ECX_VMX = 1 << 5


def kvm_offers_vmx(fd):
    buffer = ctypes.create_string_buffer(CPUID_HEADER.size + CPUID_ENTRIES * CPUID_ENTRY.size)
    CPUID_HEADER.pack_into(buffer, 0, CPUID_ENTRIES, 0)
    fcntl.ioctl(fd, KVM_GET_SUPPORTED_CPUID, buffer)
    count, _ = CPUID_HEADER.unpack_from(buffer, 0)
    for i in range(count):
        function, _, _, _, _, ecx, *_ = CPUID_ENTRY.unpack_from(
            buffer, CPUID_HEADER.size + i * CPUID_ENTRY.size)
        if function == 1:
            return bool(ecx & LEAF1_ECX_VMX)
    return False


def machine():
    """("kvm" or "bochs", why)"""
    try:
        fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return "bochs", "this machine has no KVM, and Bochs emulates VT-x"
    except OSError as wrong:
        return "bochs", f"/dev/kvm does not open ({wrong.strerror}), and Bochs emulates VT-x"
    try:
        if kvm_offers_vmx(fd):
            return "kvm", "KVM here hands VT-x on to its guests"
        return "bochs", "KVM here hands no VT-x on to its guests, and Bochs emulates it"
    except OSError as wrong:
        return "bochs", f"KVM does not say what it offers ({wrong.strerror}), and Bochs emulates VT-x"
    finally:
        os.close(fd)


def make(kind, iso, serial):
    """A machine, not started: with a network, on which it sees us as 10.0.2.2."""
    if kind == "kvm":
        return Machine("qemu", iso=iso, accel="kvm", cpu="host", mem_mib=MEM_MIB, serial=serial, net=[])
    return Machine(kind, iso=iso, mem_mib=MEM_MIB, serial=serial, net=[])
