/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler of one CPU's vCPUs: proportional share by weight, with caps. Pure: time is an
 * argument, in TSC ticks; the caller holds the queue's lock.
 *
 * Every entity has a home queue. Of the runnable ones the one with the least virtual time runs;
 * virtual time grows by run time divided by weight. One that wakes starts at most a little behind
 * the others, so that sleeping saves nothing up, and preempts one that is ahead of it by more than
 * the wake-up granularity. A capped entity has a budget for each period; when it is used up it
 * waits for the next. With one runnable entity there is no slice and so no tick.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

#define SCHED_WEIGHT_DEFAULT 100u
#define SCHED_WEIGHT_MAX     10000u
#define SCHED_NEVER	     (~0ull)

enum sched_state { SCHED_BLOCKED, SCHED_RUNNABLE, SCHED_RUNNING, SCHED_THROTTLED };

struct sched_entity {
	struct list queued;
	enum sched_state state;
	uint32_t weight;      /* 1 .. SCHED_WEIGHT_MAX */
	uint32_t cap_percent; /* of one CPU; 0: none */
	uint64_t vtime;	      /* ticks scaled by weight */
	uint64_t budget;      /* ticks left in this period, when capped */
	uint64_t debt;	      /* ticks that it ran beyond its budgets; taken off the next ones */
	uint64_t period_end;
	uint64_t ran; /* ticks, only grows */
};

struct sched_queue {
	struct list runnable, throttled; /* by vtime; by period_end */
	struct sched_entity *running;
	uint64_t min_vtime;
	uint64_t slice, period, granularity; /* ticks */
	uint64_t slice_end;		     /* of the running one */
	struct sched_entity *interrupted;    /* put back before that; goes on when nobody is due */
	uint32_t nr_runnable;		     /* with the running one */
};

void sched_queue_init(struct sched_queue *q, uint64_t tsc_khz); /* slice 10 ms, period 100 ms */
void sched_entity_init(struct sched_entity *e, uint32_t weight, uint32_t cap_percent); /* blocked */

/* Blocked to runnable (or throttled). True when the running one should give way. No-op unless
 * blocked. */
bool sched_wake(struct sched_queue *q, struct sched_entity *e, uint64_t now);

/*
 * sched_pick - who runs next; the one running before must have been put back or blocked
 *
 * until   when to call again at the latest: end of slice or budget, or a throttled one's new
 * period; SCHED_NEVER when nothing asks for it returns the entity, now SCHED_RUNNING; NULL: idle
 */
struct sched_entity *sched_pick(struct sched_queue *q, uint64_t now, uint64_t *until);

/* Charge the running one for ran ticks; it stays running. True when its slice or budget is over. */
bool sched_charge(struct sched_queue *q, uint64_t ran, uint64_t now);

void sched_put_back(struct sched_queue *q,
		    uint64_t now); /* running one becomes runnable or throttled */
/* As sched_put_back(), but the next in line comes first, and the rest of the slice is given away.
 */
void sched_give_way(struct sched_queue *q, uint64_t now);
void sched_block(struct sched_queue *q); /* running one becomes blocked */
void sched_remove(struct sched_queue *q,
		  struct sched_entity *e); /* any state but running → blocked */

#endif
