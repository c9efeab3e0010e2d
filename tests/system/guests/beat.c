/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest of the node's tests: a clock that beats. A timer interrupt comes every millisecond of
 * the guest's TSC; each 100 of them are a line
 *
 *     beat N late L lost M
 *
 * with the latest that one of them came, in microseconds, and how many did not come in their own
 * millisecond, since the last line. One letter typed on its console has it do something else:
 *
 *     o  power off     r  reset     t  triple fault     s  spin with interrupts off     p  print
 * much
 *
 * On its command line: beats=N, power off after so many lines; mute=1, print only every 50th.
 */
#include "tests/guest/lib/guest.h"

#include "vmm/layout.h"

#define VECTOR	     0x40
#define LVT_TIMER    0x320
#define TSC_DEADLINE (2u << 17)
#define MSR_DEADLINE 0x6e0
#define TICKS_A_LINE 100
#define FLOOD_LINES  2000

static uint64_t tick, deadline, latest; /* TSC */
static volatile uint64_t nr_ticks, lost;

static void on_tick(uint8_t vector)
{
	uint64_t late = rdtsc() - deadline;

	if (vector != VECTOR)
		return;
	if (late > latest)
		latest = late;
	lost += late / tick;
	deadline += (late / tick + 1) * tick;
	nr_ticks++;
	wrmsr(MSR_DEADLINE, deadline);
}

static void say(uint64_t beat)
{
	uint64_t was_latest = latest, was_lost = lost;

	latest = lost = 0;
	print("beat ");
	print_number(beat);
	print(" late ");
	print_number(was_latest * 1000 / tsc_khz());
	print(" lost ");
	print_number(was_lost);
	print("\n");
}

static void triple_fault(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} none = {0, 0};

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static void flood(void)
{
	for (uint32_t i = 0; i < FLOOD_LINES; i++)
		print("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n");
}

static void obey(void)
{
	if (!(in8(LAYOUT_COM1 + 5) & 1))
		return;
	switch (in8(LAYOUT_COM1)) {
	case 'o':
		power_off();
	case 'r':
		reset();
	case 't':
		triple_fault();
		break;
	case 's':
		irq_off();
		for (;;)
			__asm__ volatile("pause");
	case 'p':
		flood();
		break;
	}
}

void guest_main(void)
{
	uint64_t beats = option("beats", 0), every = option("mute", 0) ? 50 : 1;

	print("beat: begin, TSC ");
	print_number(tsc_khz());
	print(" kHz\n");
	tick = tsc_khz();
	irq_hook = on_tick;
	apic_enable(true);
	apic_write(LVT_TIMER, TSC_DEADLINE | VECTOR);
	deadline = rdtsc() + tick;
	wrmsr(MSR_DEADLINE, deadline);
	for (uint64_t beat = 1; beats == 0 || beat <= beats; beat++) {
		uint64_t end = nr_ticks + TICKS_A_LINE;

		while (nr_ticks < end) {
			__asm__ volatile("sti; hlt" : : : "memory");
			obey();
		}
		irq_off();
		if (beat % every == 0)
			say(beat);
	}
}
