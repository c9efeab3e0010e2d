/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the watchdog's keeper decides (kernel/watchdog.h): how long it waits, and whether the node
 * is alive. Pure.
 *
 * A node is alive when the timers of all its CPUs run: the kernel has its interrupts off, so a CPU
 * whose timer fires has come out of whatever it did. Each CPU counts its own; the boot CPU looks
 * whether all counts moved since it looked last, and kicks only then. That the boot CPU looks is
 * its own proof.
 */
#ifndef KERNEL_WATCHDOG_RULES_H
#define KERNEL_WATCHDOG_RULES_H

#include "kernel/cpu.h"

#define WATCHDOG_BOOT_S	     300u /* longer than any step of a boot between two kicks */
#define WATCHDOG_RUN_S	     60u
#define WATCHDOG_SECONDS_MIN 5u
#define WATCHDOG_SECONDS_MAX 3600u

struct watchdog_times {
	bool is_off;
	uint32_t boot_s, run_s; /* timeouts, while the machine boots and from then on */
	uint32_t look_ms;	/* the boot CPU looks, and kicks, so often: four times in run_s */
	uint32_t beat_ms;	/* the others count so often: twice between two looks */
};

/*
 * watchdog_choose - what watchdog= means for hardware that can wait min_s to max_s seconds
 *
 * word     the option's value; NULL: there is none
 * returns  false for a word that means nothing, which is taken as auto
 */
bool watchdog_choose(const char *word, uint32_t min_s, uint32_t max_s, struct watchdog_times *out);

struct watchdog_beats {
	uint32_t counted[CPU_MAX]; /* each written by its CPU, only grows (and wraps) */
	uint32_t seen[CPU_MAX];	   /* the boot CPU's, as the next */
};

/* watchdog_beat - a timer of that CPU fired. Context: that CPU. */
void watchdog_beat(struct watchdog_beats *beats, uint32_t cpu);

/* watchdog_find_dead - the first of CPUs 1 to nr_cpus - 1 that did not count since the last call;
 * 0: all did. Context: boot CPU. */
uint32_t watchdog_find_dead(struct watchdog_beats *beats, uint32_t nr_cpus);

#endif
