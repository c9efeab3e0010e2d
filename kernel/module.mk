# SPDX-License-Identifier: Apache-2.0

# kernel/lib, memory, log, ACPI
pure-y += kernel/lib/err.c kernel/lib/fmt.c
pure-y += kernel/log_ring.c kernel/buddy.c kernel/slab.c kernel/ram_plan.c kernel/acpi.c
kernel-y += kernel/lib/string.c kernel/lib/err.c kernel/lib/fmt.c
kernel-y += kernel/log.c kernel/log_ring.c kernel/acpi.c
kernel-y += kernel/memory.c kernel/buddy.c kernel/ram_plan.c kernel/kmem.c kernel/slab.c

# string.c's loops must not become calls of themselves.
FLAGS_kernel/lib/string := -fno-tree-loop-distribute-patterns

# this machine: CPUs, page tables, interrupts, time, the end
pure-y += kernel/pagetable.c kernel/timer.c kernel/rtc.c
kernel-y += kernel/pagetable.c kernel/paging.c kernel/gdt.c kernel/idt.c kernel/idt_stubs.S
kernel-y += kernel/cpu.c kernel/cpu_start.c kernel/ap_trampoline.S kernel/apic.c kernel/ioapic.c kernel/irq.c
kernel-y += kernel/time.c kernel/timer.c kernel/rtc.c kernel/rtc_hw.c
pure-y += kernel/cmdline.c kernel/serial_queue.c
kernel-y += kernel/cmdline.c kernel/serial.c kernel/serial_queue.c kernel/power.c kernel/panic.c kernel/ksyms.c

# PCI, firmware's SMBIOS, and what of the side channels is closed
pure-y += kernel/pci.c kernel/pci_slot.c kernel/pci_assign.c kernel/smbios.c kernel/mitigations.c kernel/mitigations_amd.c kernel/cpu_words.c
kernel-y += kernel/pci.c kernel/pci_slot.c kernel/pci_assign.c kernel/pci_hw.c
kernel-y += kernel/smbios.c kernel/cpu_words.c kernel/mitigations.c kernel/mitigations_amd.c kernel/mitigations_hw.c

# the hardware's watchdog
pure-y += kernel/watchdog_rules.c
kernel-y += kernel/watchdog.c kernel/watchdog_rules.c

# the vCPU scheduler
kernel-y += kernel/sched.c
pure-y += kernel/sched.c

# random numbers
kernel-y += kernel/random.c kernel/chacha.c
pure-y += kernel/chacha.c
