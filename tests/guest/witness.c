/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An innocent neighbour: works for seconds=, says so ten times a second, and looks whether its
 * memory, its results and its turns are what they should be.
 */
#include "tests/guest/lib/guest.h"

#define WORDS	 65536u
#define CHECKSUM 0xb8f89f695a8a9f92ull /* of the sequence below, computed elsewhere */
#define GAP_US	 300000u

static uint64_t words[WORDS];

static uint64_t checksum(void)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	for (uint32_t i = 0; i < WORDS; i++)
		sum = (sum ^ words[i]) * 0x100000001b3ull;
	return sum;
}

void guest_main(void)
{
	uint64_t seed = 42, ms = tsc_khz(), start = rdtsc(), now = start, beat = start, longest = 0;
	uint64_t end = start + option("seconds", 4) * 1000 * ms;
	uint32_t nr_rounds = 0;
	bool is_right = true;

	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = random_next(&seed);
	while (now < end) {
		uint64_t before = rdtsc();

		is_right = is_right && checksum() == CHECKSUM;
		nr_rounds++;
		apic_write(0xb0, 0);
		now = rdtsc();
		longest = now - before > longest ? now - before : longest;
		if (now < beat)
			continue;
		print("beat ");
		print_number((now - start) / ms);
		print("\n");
		beat += 100 * ms;
	}
	print_row("rounds", nr_rounds);
	print_row("longest-round-us", longest * 1000 / ms);
	EXPECT(is_right, "its memory and its sums are right throughout");
	EXPECT(longest < GAP_US * ms / 1000, "it was never kept waiting for more than 300 ms");
}
