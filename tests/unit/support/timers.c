/* SPDX-License-Identifier: Apache-2.0 */
/* Timers on the host. */
#include "kernel/lib/assert.h"
#include "kernel/time_hw.h"
#include "kernel/timer_queue.h"
#include "tests/unit/support/fake_timers.h"

static struct timer_queue queue = {{&queue.timers, &queue.timers}};
static struct timer *running;

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	list_init(&timer->queued);
	timer->fire = fire;
	timer->cpu = NULL;
}

void timer_set(struct timer *timer, uint64_t deadline_tsc)
{
	timer_queue_remove(timer);
	timer->deadline_tsc = deadline_tsc;
	timer_queue_add(&queue, timer);
}

void timer_set_in(struct timer *timer, uint64_t ns)
{
	timer_set(timer, tsc_now() + time_tsc_of_ns(ns));
}

void timer_cancel(struct timer *timer)
{
	ASSERT(running != timer);
	timer_queue_remove(timer);
}

void time_handle_interrupt(void)
{
	struct timer *due;

	while ((due = timer_queue_take_due(&queue, fake_time_ns))) {
		struct timer *outer = running;

		running = due;
		due->fire(due);
		running = outer;
	}
}

void time_busy_wait_ns(uint64_t ns)
{
	fake_time_ns += ns;
}

void fake_time_advance(uint64_t ns)
{
	uint64_t until = fake_time_ns + ns;

	while (timer_queue_next(&queue) <= until) {
		fake_time_ns = MAX(fake_time_ns, timer_queue_next(&queue));
		time_handle_interrupt();
	}
	fake_time_ns = until;
}

void fake_timers_reset(void)
{
	while (timer_queue_take_due(&queue, TIMER_NEVER))
		;
}

bool fake_timers_are_idle(void)
{
	return timer_queue_next(&queue) == TIMER_NEVER;
}
