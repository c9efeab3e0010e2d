/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one exit costs: instructions from the guest's instruction to its next one, of which Bochs
 * makes TSC ticks. Each operation runs ROUNDS times in a row, without the loop around it being
 * counted.
 */
#include "tests/guest/lib/guest.h"
#include "vmm/layout.h"

#define ROUNDS		  1000u
#define WAKES		  400u /* more than an idle CPU has blocks to scrub in 512 MiB */
#define WAKE_TICKS	  20000u
#define VECTOR		  0x50
#define AUTHENTIC_AMD_EBX 0x68747541u

/* [VIRTIO] "Virtio Structure PCI Capabilities", "Common configuration structure layout" */
#define RNG_DEVICE	     0x1044
#define CAP_VENDOR	     9
#define CFG_COMMON	     1
#define CFG_NOTIFY	     2
#define COMMON_FEATURE_PICK  0x08
#define COMMON_FEATURE	     0x0c
#define COMMON_STATUS	     0x14
#define COMMON_QUEUE_SIZE    0x18
#define COMMON_QUEUE_ENABLE  0x1c
#define COMMON_QUEUE_DESC    0x20
#define STATUS_FEATURES_OK   0x0b /* with ACKNOWLEDGE and DRIVER */
#define STATUS_DRIVER_OK     0x0f
#define PCI_MEMORY_IO_MASTER 7

/* Ticks a round; the empty loop is measured the same way and taken off. */
#define MEASURE(name, ...)                                                                         \
	do {                                                                                       \
		uint64_t start, total, empty;                                                      \
		start = rdtsc();                                                                   \
		for (volatile uint32_t i = 0; i < ROUNDS; i++)                                     \
			__asm__ volatile("" : : : "memory");                                       \
		empty = rdtsc() - start;                                                           \
		start = rdtsc();                                                                   \
		for (volatile uint32_t i = 0; i < ROUNDS; i++) {                                   \
			__VA_ARGS__;                                                               \
		}                                                                                  \
		total = rdtsc() - start;                                                           \
		print_row(name, (total - empty) / ROUNDS);                                         \
	} while (0)

static struct {
	uint8_t desc[4096], driver[4096], device[4096];
} queue __attribute__((aligned(4096)));
static uint64_t notify_mmio;
static uint16_t notify_port;
static uint64_t deadline, late_min = ~0ull, late_max;

/* ---- a virtio device as its driver sets it up, with an empty queue ---- */

static void set_up(uint64_t common)
{
	write8(common + COMMON_STATUS, 0);
	write32(common + COMMON_FEATURE_PICK, 1);
	write32(common + COMMON_FEATURE, 1); /* VIRTIO_F_VERSION_1 */
	write8(common + COMMON_STATUS, STATUS_FEATURES_OK);
	write16(common + COMMON_QUEUE_SIZE, 16);
	write64(common + COMMON_QUEUE_DESC, (uint64_t)queue.desc);
	write64(common + COMMON_QUEUE_DESC + 8, (uint64_t)queue.driver);
	write64(common + COMMON_QUEUE_DESC + 16, (uint64_t)queue.device);
	write16(common + COMMON_QUEUE_ENABLE, 1);
	write8(common + COMMON_STATUS, STATUS_DRIVER_OK);
}

static void find_notify(uint64_t bar, uint32_t low, uint32_t offset)
{
	if (low & 1)
		notify_port = (uint16_t)((low & ~3u) + offset);
	else
		notify_mmio = bar + offset;
}

static void open_rng(void)
{
	int found = pci_find(0x1af4, RNG_DEVICE);
	uint32_t dev = (uint32_t)found;

	if (found < 0)
		return;
	pci_write(dev, 4, pci_read(dev, 4) | PCI_MEMORY_IO_MASTER);
	for (uint32_t at = pci_find_cap(dev, CAP_VENDOR, 0); at;
	     at = pci_find_cap(dev, CAP_VENDOR, at)) {
		uint32_t type = pci_read(dev, at) >> 24, bar = pci_read(dev, at + 4) & 0xff;
		uint32_t offset = pci_read(dev, at + 8);

		if (type == CFG_COMMON)
			set_up(pci_bar(dev, bar) + offset);
		if (type == CFG_NOTIFY)
			find_notify(pci_bar(dev, bar), pci_read(dev, 0x10 + 4 * bar), offset);
	}
}

/* ---- interrupts ---- */

static void note_lateness(uint8_t vector)
{
	uint64_t late = rdtsc() - deadline;

	if (vector != VECTOR)
		return;
	late_min = late < late_min ? late : late_min;
	late_max = late > late_max ? late : late_max;
}

/* From the deadline that a halted guest has set to its interrupt handler. */
static void measure_wake(void)
{
	irq_hook = note_lateness;
	for (uint32_t i = 0; i < WAKES; i++) {
		deadline = rdtsc() + WAKE_TICKS;
		wrmsr(0x6e0, deadline);
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
	irq_hook = NULL;
	print_row("hlt-wake-min", late_min);
	print_row("hlt-wake-max", late_max);
}

static void measure_self_ipi(const char *name)
{
	irq_on();
	MEASURE(name, apic_send(0, 0x40000 | VECTOR)); /* to itself; the handler's EOI is in it */
	irq_off();
}

void guest_main(void)
{
	open_rng();
	MEASURE("cpuid", cpuid(0, 0));
	if (cpuid(0, 0).ebx == AUTHENTIC_AMD_EBX)
		MEASURE("vmcall", __asm__ volatile("vmmcall" : : "a"(0ull) : "memory"));
	else
		MEASURE("vmcall", __asm__ volatile("vmcall" : : "a"(0ull) : "memory"));
	MEASURE("rdmsr", rdmsr(0x1b));
	apic_enable(false);
	apic_write(0x320, 0x40000 | VECTOR); /* TSC-deadline mode */
	MEASURE("wrmsr-tsc-deadline", wrmsr(0x6e0, rdtsc() + (1ull << 40)));
	wrmsr(0x6e0, 0);
	MEASURE("out-kernel-device", out8(0x21, 0xff));
	MEASURE("out-unclaimed", out8(0x5000, 0));
	if (notify_port)
		MEASURE("out-virtio-notify", out16(notify_port, 0));
	if (notify_mmio)
		MEASURE("mmio-virtio-notify", write16(notify_mmio, 0));
	MEASURE("mmio-read-ecam", read32(LAYOUT_ECAM));
	MEASURE("lapic-tpr-write", apic_write(0x80, 0));
	MEASURE("lapic-eoi", apic_write(0xb0, 0));
	measure_self_ipi("self-ipi-xapic");
	measure_wake();
	apic_enable(true);
	MEASURE("x2apic-eoi", apic_write(0xb0, 0));
	measure_self_ipi("self-ipi-x2apic");
}
