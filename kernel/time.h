/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of this machine is its invariant TSC; timers fire on the CPU that set them, from its
 * LAPIC's deadline timer, in interrupt context (interrupts off).
 */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

uint64_t tsc_now(void);			 /* ticks */
uint64_t tsc_khz(void);			 /* ticks a millisecond; fixed after boot */
uint64_t time_now_ns(void);		 /* nanoseconds since tsc_init */
uint64_t time_ns_of_tsc(uint64_t ticks); /* durations: from ticks ... */
uint64_t time_tsc_of_ns(uint64_t ns);	 /* ... and to ticks */
uint64_t time_tsc_at(uint64_t now_ns);	 /* a deadline: what the TSC reads at that time_now_ns() */
/* Spin. For waits of the hardware, at boot and at the end; before time_init one tick passes for 1
 * ns. */
void time_busy_wait_ns(uint64_t ns);

/* Seconds since 1970 that the RTC showed at boot, plus what passed since; unauthenticated. */
uint64_t time_wall_s(void);

struct timer {
	struct list queued; /* on its CPU's queue, by deadline */
	uint64_t deadline_tsc;
	void (*fire)(struct timer *timer);
	struct cpu *cpu; /* whose queue; NULL when not set */
};

void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
/* On this CPU, replacing an earlier deadline wherever that was set. A past deadline fires at once.
 */
void timer_set(struct timer *timer, uint64_t deadline_tsc);
void timer_set_in(struct timer *timer, uint64_t ns); /* the same, so long from now */
/* From any CPU. When it returns, fire() is not running and will not run. Never from fire() itself.
 */
void timer_cancel(struct timer *timer);

#endif
