/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler of one CPU: least virtual time first.
 *
 * Virtual time grows by run time * WEIGHT_ONE / weight, and may wrap around: it is only ever
 * compared by difference, and no runnable entity is further from the others than a few slices of
 * the lightest weight. One that slept longer than that is moved up to the others when it wakes.
 *
 * Lists are short (the vCPUs of one CPU), so sorted insertion by walking is what there is.
 */
#include "kernel/sched.h"

#include "kernel/lib/assert.h"

#define WEIGHT_ONE SCHED_WEIGHT_MAX /* the weight whose virtual time is real time */

#define SLICE_MS       10
#define PERIOD_MS      100
#define GRANULARITY_MS 1

static struct sched_entity *entity_of(struct list *node)
{
	return list_entry(node, struct sched_entity, queued);
}

static uint64_t virtual_time(uint64_t ticks, uint32_t weight)
{
	return ticks * WEIGHT_ONE / weight;
}

/* How far a is ahead of b; negative: behind. */
static int64_t ahead(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b);
}

static bool is_capped(const struct sched_entity *e)
{
	return e->cap_percent != 0 && e->cap_percent < 100;
}

void sched_queue_init(struct sched_queue *q, uint64_t tsc_khz)
{
	ASSERT(tsc_khz);
	*q = (struct sched_queue){
		.slice = SLICE_MS * tsc_khz,
		.period = PERIOD_MS * tsc_khz,
		.granularity = GRANULARITY_MS * tsc_khz,
	};
	list_init(&q->runnable);
	list_init(&q->throttled);
}

void sched_entity_init(struct sched_entity *e, uint32_t weight, uint32_t cap_percent)
{
	ASSERT(weight >= 1 && weight <= SCHED_WEIGHT_MAX);
	*e = (struct sched_entity){.weight = weight, .cap_percent = cap_percent};
	list_init(&e->queued);
}

/* ---- caps ---- */

/* A new period when the old one is over. Periods follow each other without a gap while it is used.
 */
static void renew_budget(const struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
	uint64_t full = q->period / 100 * e->cap_percent, paid;

	if (!is_capped(e) || now < e->period_end)
		return;
	e->period_end =
		now - e->period_end < q->period ? e->period_end + q->period : now + q->period;
	paid = MIN(e->debt, full);
	e->debt -= paid;
	e->budget = full - paid;
}

static void use_budget(struct sched_entity *e, uint64_t ran)
{
	uint64_t paid = MIN(e->budget, ran);

	if (!is_capped(e))
		return;
	e->budget -= paid;
	e->debt += ran - paid;
}

static bool is_used_up(const struct sched_entity *e)
{
	return is_capped(e) && e->budget == 0;
}

/* ---- lists ---- */

static void insert_before(struct list *at, struct list *node)
{
	list_add_tail(at,
		      node); /* the tail of a list that begins at its element at: right before it */
}

static void insert_runnable(struct sched_queue *q, struct sched_entity *e)
{
	struct list *at = q->runnable.next;

	while (at != &q->runnable && ahead(entity_of(at)->vtime, e->vtime) <= 0)
		at = at->next;
	insert_before(at, &e->queued);
	e->state = SCHED_RUNNABLE;
	q->nr_runnable++;
}

static void insert_throttled(struct sched_queue *q, struct sched_entity *e)
{
	struct list *at = q->throttled.next;

	while (at != &q->throttled && entity_of(at)->period_end <= e->period_end)
		at = at->next;
	insert_before(at, &e->queued);
	e->state = SCHED_THROTTLED;
}

static void insert(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
	renew_budget(q, e, now);
	if (is_used_up(e))
		insert_throttled(q, e);
	else
		insert_runnable(q, e);
}

/* Only forward, to the one that is furthest behind. */
static void advance_min_vtime(struct sched_queue *q)
{
	const struct sched_entity *least = q->running;

	if (!list_is_empty(&q->runnable)) {
		const struct sched_entity *first = entity_of(q->runnable.next);

		if (!least || ahead(first->vtime, least->vtime) < 0)
			least = first;
	}
	if (least && ahead(least->vtime, q->min_vtime) > 0)
		q->min_vtime = least->vtime;
}

/*
 * After sleeping: a little behind the others, so that it soon runs, but no more than that. The
 * upper bound is for one that slept until the difference wrapped around.
 */
static void place(const struct sched_queue *q, struct sched_entity *e)
{
	uint64_t lowest = q->min_vtime - virtual_time(2 * q->granularity, SCHED_WEIGHT_DEFAULT);
	uint64_t highest = q->min_vtime + virtual_time(2 * q->slice, 1);

	if (ahead(e->vtime, lowest) < 0)
		e->vtime = lowest;
	if (ahead(e->vtime, highest) > 0)
		e->vtime = highest;
}

/* Whether e is so far behind the one that has the CPU that it takes it over. */
static bool is_due(const struct sched_queue *q, const struct sched_entity *e,
		   const struct sched_entity *holder)
{
	return ahead(holder->vtime, e->vtime) >
	       (int64_t)virtual_time(q->granularity, SCHED_WEIGHT_DEFAULT);
}

/* ---- the calls ---- */

bool sched_wake(struct sched_queue *q, struct sched_entity *e, uint64_t now)
{
	bool was_alone = q->nr_runnable <= 1;

	if (e->state != SCHED_BLOCKED)
		return false;
	place(q, e);
	insert(q, e, now);
	/* One that was alone runs without a timer: it must be picked anew to get one. */
	if (!q->running || was_alone || e->state == SCHED_THROTTLED)
		return true;
	return is_due(q, e, q->running);
}

static void release_throttled(struct sched_queue *q, uint64_t now)
{
	while (!list_is_empty(&q->throttled)) {
		struct sched_entity *e = entity_of(q->throttled.next);

		if (e->period_end > now)
			return;
		list_remove(&e->queued);
		place(q, e);
		insert(q, e, now);
	}
}

static uint64_t next_look(const struct sched_queue *q, uint64_t now)
{
	uint64_t until = q->nr_runnable > 1 ? q->slice_end : SCHED_NEVER;

	if (q->running && is_capped(q->running))
		until = MIN(until, now + q->running->budget);
	if (!list_is_empty(&q->throttled))
		until = MIN(until, entity_of(q->throttled.next)->period_end);
	return until;
}

/* The least virtual time; but one that was only interrupted keeps its slice, for a change is dear.
 */
static struct sched_entity *choose(struct sched_queue *q, uint64_t now)
{
	struct sched_entity *first = entity_of(q->runnable.next), *last = q->interrupted;

	q->interrupted = NULL;
	if (last && now < q->slice_end && !is_due(q, first, last))
		return last;
	q->slice_end = now + q->slice;
	return first;
}

struct sched_entity *sched_pick(struct sched_queue *q, uint64_t now, uint64_t *until)
{
	ASSERT(!q->running);
	release_throttled(q, now);
	if (!list_is_empty(&q->runnable)) {
		q->running = choose(q, now);
		list_remove(&q->running->queued);
		q->running->state = SCHED_RUNNING;
		advance_min_vtime(q);
	}
	*until = next_look(q, now);
	return q->running;
}

bool sched_charge(struct sched_queue *q, uint64_t ran, uint64_t now)
{
	struct sched_entity *e = q->running;

	ASSERT(e);
	e->ran += ran;
	e->vtime += virtual_time(ran, e->weight);
	use_budget(e, ran);
	advance_min_vtime(q);
	return is_used_up(e) || (q->nr_runnable > 1 && now >= q->slice_end) ||
	       (!list_is_empty(&q->throttled) && entity_of(q->throttled.next)->period_end <= now);
}

static struct sched_entity *stop_running(struct sched_queue *q)
{
	struct sched_entity *e = q->running;

	ASSERT(e && e->state == SCHED_RUNNING);
	q->running = NULL;
	q->nr_runnable--;
	return e;
}

void sched_put_back(struct sched_queue *q, uint64_t now)
{
	struct sched_entity *e = stop_running(q);

	insert(q, e, now);
	q->interrupted = e->state == SCHED_RUNNABLE ? e : NULL;
}

void sched_give_way(struct sched_queue *q, uint64_t now)
{
	struct sched_entity *e = q->running;

	ASSERT(e);
	if (!list_is_empty(&q->runnable)) {
		uint64_t next = entity_of(q->runnable.next)->vtime;

		if (ahead(next, e->vtime) > 0)
			e->vtime = next; /* behind it: insert() puts equals in order of coming */
	}
	sched_put_back(q, now);
	q->interrupted = NULL;
}

void sched_block(struct sched_queue *q)
{
	stop_running(q)->state = SCHED_BLOCKED;
}

void sched_remove(struct sched_queue *q, struct sched_entity *e)
{
	ASSERT(e != q->running);
	if (q->interrupted == e)
		q->interrupted = NULL;
	if (e->state == SCHED_RUNNABLE)
		q->nr_runnable--;
	list_remove(&e->queued);
	e->state = SCHED_BLOCKED;
}
