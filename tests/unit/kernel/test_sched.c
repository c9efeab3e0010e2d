/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler on simulated time: a CPU that runs whom it is told to, for as long as it is told
 * to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/sched.h"

#define KHZ 1000000ull /* 1 tick is 1 ns */
#define MS  KHZ

struct task {
	struct sched_entity e;
	uint64_t run_for, sleep_for; /* sleep_for 0: never sleeps */
	uint64_t left, wakes_at;
	uint64_t woke_at, worst_latency, runs;
};

struct sim {
	struct sched_queue q;
	struct task tasks[8];
	unsigned nr_tasks;
	uint64_t now, idle;
};

static struct sim *make(void)
{
	struct sim *s = calloc(1, sizeof(*s));

	sched_queue_init(&s->q, KHZ);
	s->now = 12345;
	return s;
}

static struct task *add(struct sim *s, uint32_t weight, uint32_t cap, uint64_t run_for,
			uint64_t sleep_for)
{
	struct task *t = &s->tasks[s->nr_tasks++];

	sched_entity_init(&t->e, weight, cap);
	t->run_for = run_for;
	t->sleep_for = sleep_for;
	t->left = run_for;
	t->woke_at = s->now;
	sched_wake(&s->q, &t->e, s->now);
	return t;
}

static struct task *next_waker(struct sim *s)
{
	struct task *first = NULL;

	for (unsigned i = 0; i < s->nr_tasks; i++) {
		struct task *t = &s->tasks[i];

		if (t->e.state == SCHED_BLOCKED && (!first || t->wakes_at < first->wakes_at))
			first = t;
	}
	return first;
}

/* Run the entity that was picked until its time, its work or somebody's wake-up ends it. */
static void run_one(struct sim *s, struct task *t, uint64_t until, uint64_t end)
{
	bool is_over = false;

	if (t->woke_at) {
		t->worst_latency = MAX(t->worst_latency, s->now - t->woke_at);
		t->woke_at = 0;
	}
	t->runs++;
	while (!is_over && s->now < end) {
		struct task *waker = next_waker(s);
		uint64_t stop = MIN(until, end), ran;

		if (t->sleep_for)
			stop = MIN(stop, s->now + t->left);
		if (waker)
			stop = MIN(stop, MAX(waker->wakes_at, s->now));
		ran = stop - s->now;
		s->now = stop;
		t->left -= t->sleep_for ? ran : 0;
		is_over = sched_charge(&s->q, ran, s->now) || s->now >= until;
		if (t->sleep_for && t->left == 0) {
			sched_block(&s->q);
			t->wakes_at = s->now + t->sleep_for;
			t->left = t->run_for;
			return;
		}
		if (waker && waker->wakes_at <= s->now) {
			waker->woke_at = s->now;
			is_over |= sched_wake(&s->q, &waker->e, s->now);
		}
	}
	sched_put_back(&s->q, s->now);
}

static void simulate(struct sim *s, uint64_t ticks)
{
	uint64_t end = s->now + ticks;

	while (s->now < end) {
		uint64_t until;
		struct sched_entity *e = sched_pick(&s->q, s->now, &until);
		struct task *waker = next_waker(s);

		assert_true(until > s->now);
		if (e) {
			run_one(s, list_entry(e, struct task, e), until, end);
			continue;
		}
		if (waker)
			until = MIN(until, waker->wakes_at);
		until = MIN(until, end);
		s->idle += until - s->now;
		s->now = until;
		if (waker && waker->wakes_at <= s->now) {
			waker->woke_at = s->now;
			assert_true(sched_wake(&s->q, &waker->e, s->now));
		}
	}
}

static void expect_share(const struct task *t, uint64_t total, double share)
{
	double got = (double)t->e.ran / (double)total;

	if (got < share - 0.02 || got > share + 0.02)
		fail_msg("weight %u, cap %u: got %.3f of the CPU, not %.3f", t->e.weight,
			 t->e.cap_percent, got, share);
}

static void shares_by_weight(void **state)
{
	struct sim *s = make();
	struct task *a = add(s, 100, 0, 0, 0), *b = add(s, 200, 0, 0, 0), *c = add(s, 700, 0, 0, 0);

	(void)state;
	simulate(s, 10000 * MS);
	expect_share(a, 10000 * MS, 0.1);
	expect_share(b, 10000 * MS, 0.2);
	expect_share(c, 10000 * MS, 0.7);
	assert_int_equal(s->idle, 0);
	free(s);
}

static void shares_by_extreme_weights_and_starves_nobody(void **state)
{
	struct sim *s = make();
	struct task *light = add(s, 1, 0, 0, 0), *heavy = add(s, SCHED_WEIGHT_MAX, 0, 0, 0);

	(void)state;
	simulate(s, 1000000 * MS);
	assert_true(light->e.ran > 0 && light->runs > 5);
	expect_share(heavy, 1000000 * MS, 0.9999);
	free(s);
}

static void gives_the_rest_to_others_when_one_sleeps(void **state)
{
	struct sim *s = make();
	struct task *busy = add(s, 100, 0, 0, 0), *half = add(s, 100, 0, 2 * MS, 6 * MS);

	(void)state;
	simulate(s, 10000 * MS);
	expect_share(half, 10000 * MS, 0.25);
	expect_share(busy, 10000 * MS, 0.75);
	free(s);
}

static void gains_nothing_by_sleeping_often(void **state)
{
	struct sim *s = make();
	struct task *busy = add(s, 100, 0, 0, 0), *sly = add(s, 100, 0, 9 * MS, 1000);

	(void)state;
	simulate(s, 10000 * MS);
	expect_share(sly, 10000 * MS, 0.5);
	expect_share(busy, 10000 * MS, 0.5);
	free(s);
}

static void honours_caps_on_an_idle_cpu(void **state)
{
	static const uint32_t caps[] = {1, 10, 50, 99};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		struct sim *s = make();
		struct task *t = add(s, 100, caps[i], 0, 0);

		simulate(s, 1000 * MS); /* ten periods */
		expect_share(t, 1000 * MS, caps[i] / 100.0);
		assert_int_equal(s->idle + t->e.ran, 1000 * MS);
		free(s);
	}
}

static void honours_caps_among_others(void **state)
{
	struct sim *s = make();
	struct task *capped = add(s, 1000, 30, 0, 0), *a = add(s, 100, 0, 0, 0),
		    *b = add(s, 100, 0, 0, 0);

	(void)state;
	simulate(s, 1000 * MS);
	expect_share(capped, 1000 * MS, 0.3);
	expect_share(a, 1000 * MS, 0.35);
	expect_share(b, 1000 * MS, 0.35);
	free(s);
}

static void honours_caps_of_one_that_sleeps(void **state)
{
	struct sim *s = make();
	struct task *t = add(s, 100, 20, 3 * MS, 3 * MS);

	(void)state;
	simulate(s, 1000 * MS);
	expect_share(t, 1000 * MS, 0.2);
	free(s);
}

static void takes_overruns_off_the_next_budget(void **state)
{
	struct sched_queue q;
	struct sched_entity e;
	uint64_t until, now = 0;

	(void)state;
	sched_queue_init(&q, KHZ);
	sched_entity_init(&e, 100, 10);
	sched_wake(&q, &e, now);
	while (now < 10000 * MS) {
		if (sched_pick(&q, now, &until)) {
			now += 25 * MS; /* a timer that comes late: 10 were allowed */
			assert_true(sched_charge(&q, 25 * MS, now));
			sched_put_back(&q, now);
		} else {
			now = until;
		}
	}
	assert_true(e.ran <= 1025 * MS && e.ran >= 975 * MS);
}

static void runs_one_alone_without_a_tick(void **state)
{
	struct sim *s = make();
	uint64_t until;

	(void)state;
	add(s, 100, 0, 0, 0);
	assert_non_null(sched_pick(&s->q, s->now, &until));
	assert_true(until == SCHED_NEVER);
	assert_false(sched_charge(&s->q, 100000 * MS, s->now + 100000 * MS));
	free(s);
}

static void asks_for_a_new_pick_when_it_is_no_longer_alone(void **state)
{
	struct sim *s = make();
	struct sched_entity late;
	uint64_t until;

	(void)state;
	add(s, 100, 0, 0, 0);
	assert_non_null(sched_pick(&s->q, s->now, &until));
	sched_entity_init(&late, 100, 0);
	assert_true(sched_wake(&s->q, &late, s->now));
	assert_false(sched_wake(&s->q, &late, s->now)); /* it is awake */
	free(s);
}

static void lets_an_interrupted_one_finish_its_slice(void **state)
{
	struct sim *s = make();
	struct sched_entity *first;
	uint64_t until, begin = s->now;

	(void)state;
	add(s, 100, 0, 0, 0);
	add(s, 100, 0, 0, 0);
	first = sched_pick(&s->q, s->now, &until);
	assert_int_equal(until, begin + 10 * MS);
	for (unsigned i = 1; i < 10; i++) { /* a kick each 100 us */
		s->now += MS / 10;
		assert_false(sched_charge(&s->q, MS / 10, s->now));
		sched_put_back(&s->q, s->now);
		assert_ptr_equal(sched_pick(&s->q, s->now, &until), first);
		assert_int_equal(until, begin + 10 * MS);
	}
	s->now = begin + 10 * MS;
	assert_true(sched_charge(&s->q, 9 * MS + MS / 10, s->now));
	sched_put_back(&s->q, s->now);
	assert_ptr_not_equal(sched_pick(&s->q, s->now, &until), first);
	free(s);
}

static void runs_a_waking_one_at_once_among_busy_ones(void **state)
{
	struct sim *s = make();
	struct task *waking;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		add(s, 100, 0, 0, 0);
	waking = add(s, 100, 0, 100000, 20 * MS);
	simulate(s, 100 * MS); /* the first wait, among newcomers, does not count */
	waking->worst_latency = 0;
	simulate(s, 5000 * MS);
	assert_true(waking->runs > 200);
	if (waking->worst_latency > 2 * MS)
		fail_msg("waited %lu us", waking->worst_latency / 1000);
	free(s);
}

static void gives_one_that_slept_for_years_no_years_of_credit(void **state)
{
	static const uint64_t vtimes[] = {0, BIT(62), BIT(63) - 1, BIT(63) + 1, ~0ull - 5};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vtimes); i++) {
		struct sim *s = make();
		struct task *old = add(s, 100, 0, 0, 0), *busy = add(s, 100, 0, 0, 0);

		sched_remove(&s->q, &old->e);
		old->wakes_at = ~0ull;
		simulate(s, 1000 * MS);
		old->e.vtime = vtimes[i];
		old->e.ran = busy->e.ran = 0;
		sched_wake(&s->q, &old->e, s->now);
		simulate(s, 20000 * MS);
		assert_true(old->e.ran >
			    7000 * MS); /* behind by two slices of weight 1 at the worst */
		assert_true(busy->e.ran > 9000 * MS);
		free(s);
	}
}

static void wraps_virtual_time_without_harm(void **state)
{
	struct sim *s = make();
	struct task *a = add(s, 100, 0, 0, 0), *b = add(s, 300, 0, 0, 0);

	(void)state;
	s->q.min_vtime = a->e.vtime = b->e.vtime = ~0ull - 1000 * MS;
	simulate(s, 10000 * MS);
	expect_share(a, 10000 * MS, 0.25);
	expect_share(b, 10000 * MS, 0.75);
	free(s);
}

static void forgets_one_that_is_removed_in_any_state(void **state)
{
	struct sched_queue q;
	struct sched_entity runnable, throttled;
	uint64_t until;

	(void)state;
	sched_queue_init(&q, KHZ);
	sched_entity_init(&runnable, 100, 0);
	sched_entity_init(&throttled, 100, 10);
	sched_wake(&q, &throttled, 0);
	assert_ptr_equal(sched_pick(&q, 0, &until), &throttled);
	assert_int_equal(until, 10 * MS);
	sched_charge(&q, 10 * MS, 10 * MS);
	sched_put_back(&q, 10 * MS);
	assert_int_equal(throttled.state, SCHED_THROTTLED);
	assert_null(sched_pick(&q, 10 * MS, &until));
	assert_int_equal(until, 100 * MS);
	sched_wake(&q, &runnable, 10 * MS);
	sched_remove(&q, &throttled);
	sched_remove(&q, &throttled);
	sched_remove(&q, &runnable);
	assert_int_equal(q.nr_runnable, 0);
	assert_null(sched_pick(&q, 1000 * MS, &until));
	assert_true(until == SCHED_NEVER);
}

static struct sched_entity *pick(struct sim *s)
{
	uint64_t until;

	return sched_pick(&s->q, s->now, &until);
}

/* A lock's holder waits for the CPU on which somebody spins for the lock. */
static void gives_the_cpu_to_the_next_when_told_to_yield(void **state)
{
	struct sim *s = make();
	struct sched_entity *a = &add(s, 100, 0, MS, 0)->e, *b = &add(s, 100, 0, MS, 0)->e,
			    *first = pick(s), *other = first == a ? b : a;

	(void)state;
	s->now += MS / 100;
	sched_charge(&s->q, MS / 100, s->now);
	sched_put_back(&s->q, s->now);
	assert_ptr_equal(pick(s), first); /* only interrupted: it keeps its slice */
	sched_give_way(&s->q, s->now);
	assert_ptr_equal(pick(s), other);
	sched_give_way(&s->q, s->now); /* though it has had nothing yet */
	assert_ptr_equal(pick(s), first);
	free(s);
}

static void goes_on_with_one_that_yields_to_nobody(void **state)
{
	struct sim *s = make();
	struct sched_entity *a = &add(s, 100, 0, MS, 0)->e;
	uint64_t vtime = a->vtime;

	(void)state;
	assert_ptr_equal(pick(s), a);
	sched_give_way(&s->q, s->now);
	assert_ptr_equal(pick(s), a);
	assert_int_equal(a->vtime, vtime);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_by_weight),
		cmocka_unit_test(shares_by_extreme_weights_and_starves_nobody),
		cmocka_unit_test(gives_the_rest_to_others_when_one_sleeps),
		cmocka_unit_test(gains_nothing_by_sleeping_often),
		cmocka_unit_test(honours_caps_on_an_idle_cpu),
		cmocka_unit_test(honours_caps_among_others),
		cmocka_unit_test(honours_caps_of_one_that_sleeps),
		cmocka_unit_test(takes_overruns_off_the_next_budget),
		cmocka_unit_test(runs_one_alone_without_a_tick),
		cmocka_unit_test(asks_for_a_new_pick_when_it_is_no_longer_alone),
		cmocka_unit_test(lets_an_interrupted_one_finish_its_slice),
		cmocka_unit_test(runs_a_waking_one_at_once_among_busy_ones),
		cmocka_unit_test(gives_one_that_slept_for_years_no_years_of_credit),
		cmocka_unit_test(wraps_virtual_time_without_harm),
		cmocka_unit_test(forgets_one_that_is_removed_in_any_state),
		cmocka_unit_test(gives_the_cpu_to_the_next_when_told_to_yield),
		cmocka_unit_test(goes_on_with_one_that_yields_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
