/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler under operations in any order that its contract allows. After each, every entity is
 * where its state says, lists are sorted, counts are right, and nobody has been lost.
 *
 * A byte is an operation and an entity, the next one is how much time passes.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/sched.h"

#define ENTITIES 8
#define KHZ	 1000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	struct sched_queue q;
	struct sched_entity e[ENTITIES];
	uint64_t now, ran;
};

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static unsigned count_list(const struct world *w, const struct list *l, enum sched_state state)
{
	unsigned nr = 0;

	list_for_each (at, l) {
		const struct sched_entity *e = list_entry(at, struct sched_entity, queued);

		expect(e >= w->e && e < w->e + ENTITIES && e->state == state);
		if (at->next != l) {
			const struct sched_entity *next =
				list_entry(at->next, struct sched_entity, queued);

			expect(state == SCHED_RUNNABLE ? (int64_t)(next->vtime - e->vtime) >= 0
						       : next->period_end >= e->period_end);
		}
		expect(++nr <= ENTITIES);
	}
	return nr;
}

static void check(const struct world *w)
{
	unsigned nr[4] = {0};
	uint64_t ran = 0;

	for (unsigned i = 0; i < ENTITIES; i++) {
		const struct sched_entity *e = &w->e[i];

		nr[e->state]++;
		ran += e->ran;
		expect((e->state == SCHED_RUNNING) == (w->q.running == e));
		expect(e->budget <= w->q.period);
	}
	expect(count_list(w, &w->q.runnable, SCHED_RUNNABLE) == nr[SCHED_RUNNABLE]);
	expect(count_list(w, &w->q.throttled, SCHED_THROTTLED) == nr[SCHED_THROTTLED]);
	expect(w->q.nr_runnable == nr[SCHED_RUNNABLE] + nr[SCHED_RUNNING]);
	expect(ran == w->ran);
	expect(!w->q.interrupted || w->q.interrupted->state == SCHED_RUNNABLE);
}

static void pick(struct world *w)
{
	uint64_t until;
	struct sched_entity *e = sched_pick(&w->q, w->now, &until);

	expect(until > w->now);
	expect(e || w->q.nr_runnable == 0);
	if (e && w->q.nr_runnable > 1)
		expect(until <= w->now + w->q.slice);
	if (!e && list_is_empty(&w->q.throttled))
		expect(until == SCHED_NEVER);
}

static void run(struct world *w, uint64_t ticks)
{
	w->now += ticks;
	if (!w->q.running)
		return;
	w->ran += ticks;
	(void)sched_charge(&w->q, ticks, w->now);
}

static void step(struct world *w, uint8_t what, uint8_t how_long)
{
	struct sched_entity *e = &w->e[what % ENTITIES];

	run(w, (uint64_t)how_long * how_long * how_long);
	switch (what / ENTITIES % 4) {
	case 0:
		(void)sched_wake(&w->q, e, w->now);
		break;
	case 1:
		if (w->q.running)
			sched_put_back(&w->q, w->now);
		pick(w);
		break;
	case 2:
		if (w->q.running)
			sched_block(&w->q);
		break;
	case 3:
		if (e != w->q.running)
			sched_remove(&w->q, e);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t weights[ENTITIES] = {1, 50, 100, 100, 200, 1000, 10000, 100};
	static const uint32_t caps[ENTITIES] = {0, 0, 10, 0, 99, 1, 50, 100};
	struct world w = {.now = 1};

	sched_queue_init(&w.q, KHZ);
	for (unsigned i = 0; i < ENTITIES; i++)
		sched_entity_init(&w.e[i], weights[i], caps[i]);
	for (size_t i = 0; i + 1 < len; i += 2) {
		step(&w, data[i], data[i + 1]);
		check(&w);
	}
	return 0;
}
