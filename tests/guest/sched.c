/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a CPU this guest gets: it counts for seconds= of the clock and says which share of
 * that time it ran, in thousandths. Guests that compete are compared by tests/guest/run.
 */
#include "tests/guest/lib/guest.h"

#define BLOCK 2000u

static __attribute__((noinline)) uint64_t block(void)
{
	uint64_t start = rdtsc();

	for (uint32_t i = 0; i < BLOCK; i++)
		__asm__ volatile("" : : : "memory");
	return rdtsc() - start;
}

void guest_main(void)
{
	uint64_t least = ~0ull, nr_blocks = 0, start, now, longest = 0, end;

	for (uint32_t i = 0; i < 200; i++) {
		uint64_t ticks = block();

		least = ticks < least ? ticks : least;
	}
	start = now = rdtsc();
	end = start + option("seconds", 3) * tsc_khz() * 1000;
	while (now < end) {
		uint64_t before = now;

		block();
		nr_blocks++;
		now = rdtsc();
		longest = now - before > longest ? now - before : longest;
	}
	print_row("share", nr_blocks * least * 1000 / (now - start));
	print_row("longest-gap-us", longest * 1000 / tsc_khz());
	EXPECT(nr_blocks > 0, "the guest gets its turn");
}
