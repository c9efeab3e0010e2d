/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An innocent neighbour: works for seconds=, says so ten times a second, and looks whether its
 * memory, its results and its turns are what they should be. None of its rounds, of some 10 ms in
 * an emulator, may take longer than gap_ms=.
 */
#include "tests/guest/lib/guest.h"

#define WORDS	 65536u
#define CHECKSUM 0xb8f89f695a8a9f92ull /* of the sequence below, computed elsewhere */
#define GAP_MS	 300u

static uint64_t words[WORDS];

static uint64_t checksum(void)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	for (uint32_t i = 0; i < WORDS; i++)
		sum = (sum ^ words[i]) * 0x100000001b3ull;
	return sum;
}

static uint64_t longest;

/* What has taken until now began at begin. */
static uint64_t end_round(uint64_t begin)
{
	uint64_t now = rdtsc();

	longest = now - begin > longest ? now - begin : longest;
	return now;
}

void guest_main(void)
{
	uint64_t seed = 42, ms = tsc_khz(), start = rdtsc(), now = start, beat = start;
	uint64_t end = start + option("seconds", 4) * 1000 * ms, gap_ms = option("gap_ms", GAP_MS);
	uint32_t nr_rounds = 0;
	bool is_right = true;

	for (uint32_t i = 0; i < WORDS; i++)
		words[i] = random_next(&seed);
	now = end_round(now);
	while (now < end) {
		is_right = is_right && checksum() == CHECKSUM;
		nr_rounds++;
		apic_write(0xb0, 0);
		now = end_round(now);
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
	EXPECT(longest < gap_ms * ms, "it was never kept waiting for longer than it bears");
}
