/* SPDX-License-Identifier: Apache-2.0 */
/* The board's clocks run at the speed that each should, and so agree. */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define PM_HZ  3579545ull
#define PIT_HZ 1193182ull

static uint32_t pm_timer(void)
{
	return in32(LAYOUT_PM + 8);
}

static bool is_near(uint64_t is, uint64_t should)
{
	return is > should - should / 50 && is < should + should / 50;
}

static void pm(void)
{
	uint32_t first = pm_timer(), passed;
	uint64_t start = rdtsc(), ticks;
	bool is_forward = true;

	wait_us(50000);
	passed = pm_timer() - first;
	ticks = rdtsc() - start;
	EXPECT(is_near(passed, ticks * PM_HZ / (tsc_khz() * 1000)),
	       "TSC and PM timer agree within 2%");
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t now = pm_timer();

		is_forward = is_forward && (int32_t)(now - first) >= 0;
		first = now;
	}
	EXPECT(is_forward, "the PM timer only goes forward");
}

static void pit(void)
{
	uint64_t start, ticks;
	uint32_t count = PIT_HZ / 50; /* 20 ms */

	out8(0x61, (uint8_t)((in8(0x61) & ~2) | 1)); /* gate of counter 2 on, speaker off */
	out8(0x43, 0xb0);			     /* counter 2, both bytes, mode 0 */
	out8(0x42, (uint8_t)count);
	out8(0x42, (uint8_t)(count >> 8));
	start = rdtsc();
	while (!(in8(0x61) & 0x20))
		;
	ticks = rdtsc() - start;
	EXPECT(is_near(ticks, tsc_khz() * 20), "TSC and counter 2 of the PIT agree within 2%");
}

static uint16_t pit_count(void)
{
	uint16_t low;

	out8(0x43, 0x00); /* latch counter 0 */
	low = in8(0x40);
	return (uint16_t)(low | in8(0x40) << 8);
}

static void pit_latch(void)
{
	uint64_t start, ticks;
	uint16_t first, passed;

	out8(0x43, 0x34);
	out8(0x40, 0), out8(0x40, 0); /* 65536: 55 ms */
	first = pit_count();
	start = rdtsc();
	wait_us(30000);
	passed = (uint16_t)(first - pit_count());
	ticks = rdtsc() - start;
	EXPECT(is_near(passed, ticks * PIT_HZ / (tsc_khz() * 1000)),
	       "TSC and counter 0's latch agree within 2%");
}

static void rtc(void)
{
	uint8_t second;
	uint64_t start;

	cmos_write(0x0b, 0x06); /* binary, 24 hours */
	second = cmos_read(0);
	while (cmos_read(0) == second)
		;
	start = rdtsc();
	second = cmos_read(0);
	while (cmos_read(0) == second)
		;
	EXPECT(is_near(rdtsc() - start, tsc_khz() * 1000), "a second of the RTC is a second");
	EXPECT(cmos_read(9) >= 23 && cmos_read(8) >= 1 && cmos_read(8) <= 12 && cmos_read(7) >= 1 &&
		       cmos_read(7) <= 31,
	       "the RTC has today's date");
}

void guest_main(void)
{
	pm();
	pit();
	pit_latch();
	rtc();
}
