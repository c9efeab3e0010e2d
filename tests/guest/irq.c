/* SPDX-License-Identifier: Apache-2.0 */
/* The board's interrupts: PIT, RTC and UART by way of the IOAPIC, edge and level, and of the PICs.
 */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define PIT_HZ	   1193182u
#define LEVEL	   0x8000u
#define MASKED	   0x10000u
#define REMOTE_IRR 0x4000u

#define UART (LAYOUT_COM1)

static uint32_t ioapic_read(uint32_t index)
{
	write32(LAYOUT_IOAPIC, index);
	return read32(LAYOUT_IOAPIC + 0x10);
}

static void ioapic_write(uint32_t index, uint32_t val)
{
	write32(LAYOUT_IOAPIC, index);
	write32(LAYOUT_IOAPIC + 0x10, val);
}

static void route(uint32_t pin, uint32_t low)
{
	ioapic_write(0x11 + 2 * pin, 0);
	ioapic_write(0x10 + 2 * pin, low);
}

static void pit_rate(uint32_t hz)
{
	uint32_t count = PIT_HZ / hz;

	out8(0x43, 0x34); /* counter 0, both bytes, rate generator */
	out8(0x40, (uint8_t)count);
	out8(0x40, (uint8_t)(count >> 8));
}

static void pit_stop(void)
{
	out8(0x43, 0x30); /* mode 0: waits for its count */
}

static void ioapic_registers(void)
{
	EXPECT_EQ(ioapic_read(1) >> 16 & 0xff, 23, "the IOAPIC has 24 pins");
	ioapic_write(0, 0x0f000000);
	EXPECT_EQ(ioapic_read(0), 0x0f000000, "its ID can be written");
	ioapic_write(0, 0);
	EXPECT(ioapic_read(0x10) & MASKED, "pins are masked after reset");
	route(20, 0x1afff);
	EXPECT_EQ(ioapic_read(0x10 + 40), 0x1afff & ~0x5000u,
		  "entries keep all but their status bits");
	route(20, MASKED);
}

static void pit_by_ioapic(void)
{
	uint64_t start, ticks;
	bool has_come;

	route(LAYOUT_GSI_PIT, 0x40);
	pit_rate(500);
	start = rdtsc();
	has_come = WAIT_FOR(irq_count[0x40] >= 20, 200000);
	ticks = rdtsc() - start;
	EXPECT(has_come, "the PIT interrupts by pin 2 of the IOAPIC");
	EXPECT(ticks > tsc_khz() * 38 && ticks < tsc_khz() * 44, "20 ticks of 2 ms take 40 ms");
	route(LAYOUT_GSI_PIT, MASKED | 0x40);
	irq_on(); /* for one that came meanwhile */
	irq_off();
	irq_count[0x40] = 0;
	WAIT_FOR(irq_count[0x40], 6000);
	EXPECT_EQ(irq_count[0x40], 0, "a masked pin does not interrupt");
	pit_stop();
}

static void rtc_took(uint8_t vector)
{
	if (vector == 0x41)
		cmos_read(0x0c);
}

static void rtc_by_ioapic(void)
{
	uint64_t start, ticks;
	bool has_come;

	irq_hook = rtc_took;
	route(LAYOUT_IRQ_RTC, 0x41);
	cmos_write(0x0a, 0x26);
	cmos_write(0x0b, 0x42); /* periodic interrupt, 24 hours */
	cmos_read(0x0c);
	start = rdtsc();
	has_come = WAIT_FOR(irq_count[0x41] >= 41, 200000);
	ticks = rdtsc() - start;
	EXPECT(has_come, "the RTC interrupts by pin 8 at 1024 Hz");
	EXPECT(ticks > tsc_khz() * 38 && ticks < tsc_khz() * 44, "41 of them take 40 ms");
	cmos_write(0x0b, 0x02);
	cmos_read(0x0c);
	route(LAYOUT_IRQ_RTC, MASKED);
	irq_hook = NULL;
}

static volatile uint32_t entry_inside, irr_after_eoi, nr_level;

static void level_took(uint8_t vector)
{
	if (vector != 0x42)
		return;
	entry_inside = ioapic_read(0x10 + 2 * LAYOUT_IRQ_COM1);
	if (++nr_level == 3)
		out8(UART + 1, 0); /* the line goes low */
}

static void level_by_uart(void)
{
	nr_level = 0;
	irq_hook = level_took;
	out8(UART + 4, 8); /* OUT2 lets the interrupt out */
	route(LAYOUT_IRQ_COM1, LEVEL | 0x42);
	out8(UART + 1, 2); /* transmitter empty: high at once, until it is switched off */
	EXPECT(WAIT_FOR(nr_level == 3, 50000),
	       "a level that stays high interrupts again after each EOI");
	EXPECT(entry_inside & REMOTE_IRR, "remote IRR is set in the handler");
	WAIT_FOR(nr_level > 3, 3000);
	EXPECT_EQ(nr_level, 3, "and stops when the line is low");
	EXPECT(!(ioapic_read(0x10 + 2 * LAYOUT_IRQ_COM1) & REMOTE_IRR),
	       "remote IRR is clear at the end");
	route(LAYOUT_IRQ_COM1, MASKED);
	irq_hook = NULL;
}

static void edge_by_uart(void)
{
	irq_count[0x43] = 0;
	route(LAYOUT_IRQ_COM1, 0x43);
	out8(UART + 1, 2);
	WAIT_FOR(irq_count[0x43] == 1, 50000);
	WAIT_FOR(irq_count[0x43] > 1, 3000);
	out8(UART + 1, 0); /* before anything is printed */
	EXPECT_EQ(irq_count[0x43], 1, "an edge interrupts once, though the line stays high");
	route(LAYOUT_IRQ_COM1, MASKED);
}

static void pic_took(uint8_t vector)
{
	if (vector >= 0x38)
		out8(0xa0, 0x20);
	out8(0x20, 0x20);
	if (vector == 0x38)
		cmos_read(0x0c);
}

static void by_the_pics(void)
{
	uint64_t start, ticks;
	bool has_come;

	irq_without_eoi = true;
	irq_hook = pic_took;
	out8(0x20, 0x11), out8(0x21, 0x30), out8(0x21, 4), out8(0x21, 1);
	out8(0xa0, 0x11), out8(0xa1, 0x38), out8(0xa1, 2), out8(0xa1, 1);
	out8(0x21, 0xfe), out8(0xa1, 0xff);
	EXPECT_EQ(in8(0x21), 0xfe, "the PIC's mask reads back");
	apic_write(0x350, 0x700); /* LINT0: ExtINT */
	irq_count[0x30] = 0;
	pit_rate(500);
	start = rdtsc();
	has_come = WAIT_FOR(irq_count[0x30] >= 20, 200000);
	ticks = rdtsc() - start;
	EXPECT(has_come, "the PIT interrupts by the PIC, as on old PCs");
	EXPECT(ticks > tsc_khz() * 38 && ticks < tsc_khz() * 44, "20 ticks of 2 ms take 40 ms");
	apic_write(0x350, MASKED | 0x700);
	irq_count[0x30] = 0;
	WAIT_FOR(irq_count[0x30], 6000);
	EXPECT_EQ(irq_count[0x30], 0, "not while LINT0 is masked");
	apic_write(0x350, 0x700);
	EXPECT(WAIT_FOR(irq_count[0x30] >= 1, 6000), "and again when it is not");
	pit_stop();
	out8(0x21, 0xfb), out8(0xa1, 0xfe);
	cmos_write(0x0b, 0x42);
	cmos_read(0x0c);
	EXPECT(WAIT_FOR(irq_count[0x38] >= 10, 100000), "the RTC interrupts by the second PIC");
	cmos_write(0x0b, 0x02);
	irq_without_eoi = false;
	irq_hook = NULL;
	out8(0x21, 0xff), out8(0xa1, 0xff);
}

void guest_main(void)
{
	apic_enable(false);
	ioapic_registers();
	pit_by_ioapic();
	rtc_by_ioapic();
	level_by_uart();
	edge_by_uart();
	by_the_pics();
}
