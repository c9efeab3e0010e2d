/* SPDX-License-Identifier: Apache-2.0 */
/* The pure half of timers: an ordered list. kernel/time.c drives it from the LAPIC. */
#include "kernel/lib/assert.h"
#include "kernel/timer_queue.h"

static struct timer *timer_at(struct list *at)
{
	return list_entry(at, struct timer, queued);
}

void timer_queue_init(struct timer_queue *queue)
{
	list_init(&queue->timers);
}

void timer_queue_add(struct timer_queue *queue, struct timer *timer)
{
	struct list *after = &queue->timers;

	ASSERT(list_is_empty(&timer->queued));
	/* From the back: a new timer mostly fires last. */
	while (after->prev != &queue->timers &&
	       timer_at(after->prev)->deadline_tsc > timer->deadline_tsc)
		after = after->prev;
	list_add_tail(after, &timer->queued);
}

bool timer_queue_move(struct timer_queue *queue, struct timer *timer, uint64_t deadline_tsc)
{
	struct list *prev = timer->queued.prev, *next = timer->queued.next;
	bool was_first = prev == &queue->timers;

	/* A guest moves its deadline at every tick of its own, mostly without passing another one.
	 */
	if ((was_first || timer_at(prev)->deadline_tsc <= deadline_tsc) &&
	    (next == &queue->timers || timer_at(next)->deadline_tsc > deadline_tsc)) {
		timer->deadline_tsc = deadline_tsc;
		return was_first;
	}
	list_remove(&timer->queued);
	timer->deadline_tsc = deadline_tsc;
	timer_queue_add(queue, timer);
	return true;
}

void timer_queue_remove(struct timer *timer)
{
	list_remove(&timer->queued);
}

struct timer *timer_queue_take_due(struct timer_queue *queue, uint64_t now_tsc)
{
	struct timer *first = timer_at(queue->timers.next);

	if (list_is_empty(&queue->timers) || first->deadline_tsc > now_tsc)
		return NULL;
	list_remove(&first->queued);
	return first;
}

uint64_t timer_queue_next(const struct timer_queue *queue)
{
	if (list_is_empty(&queue->timers))
		return TIMER_NEVER;
	return timer_at(queue->timers.next)->deadline_tsc;
}
