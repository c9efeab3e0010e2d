/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way to restart a PC. A byte of the clock chip's memory, which survives, counts the boots;
 * what must not survive is changed before each of them.
 */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define COUNT 0x50 /* CMOS */
#define MAGIC 0x51
#define LSTAR 0xc0000082u

static uint32_t kept_in_bss;

static void looks_like_power_on(void)
{
	int dev = pci_find(0x1af4, 0x1044);

	EXPECT_EQ(rdmsr(LSTAR), 0, "LSTAR is 0");
	EXPECT_EQ(rdmsr(0x1b), 0xfee00900, "the APIC is in xAPIC mode");
	EXPECT_EQ(rdmsr(0x277), 0x0007040600070406ull, "PAT is as after reset");
	EXPECT_EQ(read_cr2(), 0, "CR2 is 0");
	EXPECT_EQ(read_cr8(), 0, "CR8 is 0");
	EXPECT_EQ(read32(LAYOUT_LAPIC + 0x380), 0, "the APIC timer is off");
	EXPECT_EQ(pci_read((uint32_t)dev, 4) & 4, 0, "no PCI function is bus master");
	EXPECT_EQ(in8(LAYOUT_COM1 + 1), 0, "the serial port's interrupts are off");
	EXPECT_EQ(kept_in_bss, 0, "memory of the program is fresh");
	write32(LAYOUT_IOAPIC, 0x10 + 2 * 5);
	EXPECT(read32(LAYOUT_IOAPIC + 0x10) & 0x10000, "IOAPIC pins are masked");
}

static void change_everything(void)
{
	int dev = pci_find(0x1af4, 0x1044);

	wrmsr(LSTAR, 0x123456);
	wrmsr(0x277, 0);
	write_cr2(0x55);
	write_cr8(9);
	apic_enable(true);
	apic_write(0x380, 0x7fffffff);
	pci_write((uint32_t)dev, 4, 6);
	out8(LAYOUT_COM1 + 1, 2);
	kept_in_bss = 1;
	write32(LAYOUT_IOAPIC, 0x10 + 2 * 5);
	write32(LAYOUT_IOAPIC + 0x10, 0x45);
}

static void triple_fault(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = {0, 0};

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static void second(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static void restart(uint8_t how)
{
	switch (how) {
	case 0:
		print("ok - it comes up\n");
		reset();
	case 1:
		print("ok - it comes up after port 0xcf9\n");
		triple_fault();
		break;
	case 2:
		print("ok - it comes up after a triple fault\n");
		out8(0x64, 0xfe);
		break;
	case 3:
		print("ok - it comes up after the keyboard controller's reset\n");
		out8(0x92, 1);
		break;
	case 4:
		print("ok - it comes up after the fast reset\n");
		start_second_cpu(second); /* is stopped by the reset, too */
		reset();
	default:
		return;
	}
	for (;;)
		__asm__ volatile("cli; hlt");
}

void guest_main(void)
{
	uint8_t count;

	if (cmos_read(MAGIC) != 0xb1) {
		cmos_write(MAGIC, 0xb1);
		cmos_write(COUNT, 0);
	}
	count = cmos_read(COUNT);
	cmos_write(COUNT, (uint8_t)(count + 1));
	looks_like_power_on();
	change_everything();
	if (count < 5)
		restart(count);
	EXPECT_EQ(count, 5, "it comes up with a second CPU running, after five restarts");
}
