/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU's timers in the order of their deadlines; equal ones in the order they were set. A list is
 * enough: a CPU has a timer or two for each of its vCPUs. Pure; the caller locks.
 */
#ifndef KERNEL_TIMER_QUEUE_H
#define KERNEL_TIMER_QUEUE_H

#include "kernel/time.h"

#define TIMER_NEVER (~0ull)

struct timer_queue {
	struct list timers;
};

void timer_queue_init(struct timer_queue *queue);

/* timer must be on no queue; its deadline_tsc says where it goes. Keeps it until removed or taken.
 */
void timer_queue_add(struct timer_queue *queue, struct timer *timer);

/*
 * timer_queue_move - give a timer on this queue another deadline
 *
 * returns  whether the queue's first deadline may be another one now
 */
bool timer_queue_move(struct timer_queue *queue, struct timer *timer, uint64_t deadline_tsc);

void timer_queue_remove(struct timer *timer);

/* Takes the first timer off whose deadline is at or before now_tsc; NULL when there is none. */
struct timer *timer_queue_take_due(struct timer_queue *queue, uint64_t now_tsc);

/* Deadline of the first timer, TIMER_NEVER when there is none. */
uint64_t timer_queue_next(const struct timer_queue *queue);

#endif
