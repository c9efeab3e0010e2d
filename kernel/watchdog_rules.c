/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog's times, and who is alive. */
#include "kernel/watchdog_rules.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define LOOKS_IN_A_TIMEOUT 4u
#define BEATS_IN_A_LOOK	   2u

static uint32_t within(uint32_t val, uint32_t min, uint32_t max)
{
	return MAX(min, MIN(val, max));
}

/* Decimal digits only, and a timeout that makes sense; 0 when it is none. */
static uint32_t seconds_in(const char *word)
{
	uint32_t val = 0;

	for (; *word; word++) {
		if (*word < '0' || *word > '9' || val > WATCHDOG_SECONDS_MAX)
			return 0;
		val = val * 10 + (uint32_t)(*word - '0');
	}
	return val >= WATCHDOG_SECONDS_MIN && val <= WATCHDOG_SECONDS_MAX ? val : 0;
}

bool watchdog_choose(const char *word, uint32_t min_s, uint32_t max_s, struct watchdog_times *out)
{
	bool is_known = !word || !strcmp(word, "auto") || !strcmp(word, "off");
	uint32_t asked = is_known ? 0 : seconds_in(word);

	ASSERT(min_s <= max_s && max_s <= UINT32_MAX / 1000);
	out->is_off = word && !strcmp(word, "off");
	out->boot_s = within(asked ? asked : WATCHDOG_BOOT_S, min_s, max_s);
	out->run_s = within(asked ? asked : WATCHDOG_RUN_S, min_s, max_s);
	out->look_ms = out->run_s * 1000 / LOOKS_IN_A_TIMEOUT;
	out->beat_ms = out->look_ms / BEATS_IN_A_LOOK;
	return is_known || asked;
}

void watchdog_beat(struct watchdog_beats *beats, uint32_t cpu)
{
	ASSERT(cpu < CPU_MAX);
	__atomic_fetch_add(&beats->counted[cpu], 1, __ATOMIC_RELAXED);
}

uint32_t watchdog_find_dead(struct watchdog_beats *beats, uint32_t nr_cpus)
{
	uint32_t dead = 0;

	ASSERT(nr_cpus <= CPU_MAX);
	for (uint32_t cpu = nr_cpus; cpu-- > 1;) {
		uint32_t counted = __atomic_load_n(&beats->counted[cpu], __ATOMIC_RELAXED);

		if (counted == beats->seen[cpu])
			dead = cpu;
		beats->seen[cpu] = counted;
	}
	return dead;
}
