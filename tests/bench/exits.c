/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one exit costs: instructions from the guest's instruction to its next one, of which Bochs makes
 * TSC ticks. Each operation runs ROUNDS times in a row, without the loop around it being counted.
 */
#include "tests/guest/lib/guest.h"
#include "vmm/layout.h"

#define ROUNDS 1000u
#define VECTOR 0x50

/* Ticks a round; the empty loop is measured the same way and taken off. */
#define MEASURE(name, ...)                                                  \
	do {                                                                \
		uint64_t start, total, empty;                               \
		start = rdtsc();                                            \
		for (volatile uint32_t i = 0; i < ROUNDS; i++)              \
			__asm__ volatile("" : : : "memory");                \
		empty = rdtsc() - start;                                    \
		start = rdtsc();                                            \
		for (volatile uint32_t i = 0; i < ROUNDS; i++) {            \
			__VA_ARGS__;                                        \
		}                                                           \
		total = rdtsc() - start;                                    \
		print_row(name, (total - empty) / ROUNDS);                  \
	} while (0)

/* A virtio device's notification register, found as a driver would: offset in BAR 0, queue 0. */
static uint64_t notify_register(void)
{
	int dev = pci_find(0x1af4, 0x1044);
	uint64_t bar;

	if (dev < 0)
		return 0;
	pci_write((uint32_t)dev, 4, pci_read((uint32_t)dev, 4) | 6);
	bar = (pci_read((uint32_t)dev, 0x10) & ~15u) | (uint64_t)pci_read((uint32_t)dev, 0x14) << 32;
	return bar + 0x3000;
}

static void measure_eoi(const char *name)
{
	irq_on();
	MEASURE(name, apic_send(0, 0x40000 | VECTOR)); /* to itself; the handler's EOI is in it */
	irq_off();
}

void guest_main(void)
{
	uint64_t notify = notify_register();

	MEASURE("cpuid", cpuid(0, 0));
	MEASURE("vmcall", __asm__ volatile("vmcall" : : "a"(0ull) : "memory"));
	MEASURE("rdmsr", rdmsr(0x1b));
	apic_enable(false);
	apic_write(0x320, 0x40000 | VECTOR); /* TSC-deadline mode */
	MEASURE("wrmsr-tsc-deadline", wrmsr(0x6e0, rdtsc() + (1ull << 40)));
	wrmsr(0x6e0, 0);
	MEASURE("out-kernel-device", out8(0x21, 0xff));
	MEASURE("out-unclaimed", out8(0x5000, 0));
	if (notify)
		MEASURE("mmio-virtio-notify", write16(notify, 0));
	MEASURE("mmio-read-ecam", read32(LAYOUT_ECAM));
	MEASURE("lapic-tpr-write", apic_write(0x80, 0));
	MEASURE("lapic-eoi", apic_write(0xb0, 0));
	measure_eoi("self-ipi-and-eoi-xapic");
	apic_enable(true);
	MEASURE("x2apic-eoi", apic_write(0xb0, 0));
	measure_eoi("self-ipi-and-eoi-x2apic");
}
