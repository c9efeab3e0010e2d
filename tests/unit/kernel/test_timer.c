/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU's timers: the order in which they come due. */
#include "kernel/timer_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"

static struct timer_queue queue;
static struct timer timers[5];

static void add(unsigned i, uint64_t deadline)
{
	list_init(&timers[i].queued);
	timers[i].deadline_tsc = deadline;
	timer_queue_add(&queue, &timers[i]);
}

static int make(void **state)
{
	(void)state;
	timer_queue_init(&queue);
	return 0;
}

static void has_nothing_due_when_empty(void **state)
{
	(void)state;
	assert_int_equal(timer_queue_next(&queue), TIMER_NEVER);
	assert_null(timer_queue_take_due(&queue, TIMER_NEVER));
}

static void gives_timers_by_deadline_and_equal_ones_in_the_order_set(void **state)
{
	const unsigned order[] = {3, 1, 0, 2, 4};

	(void)state;
	add(0, 30);
	add(1, 20);
	add(2, 30);
	add(3, 10);
	add(4, 40);
	assert_int_equal(timer_queue_next(&queue), 10);
	for (unsigned i = 0; i < 5; i++)
		assert_ptr_equal(timer_queue_take_due(&queue, 100), &timers[order[i]]);
	assert_null(timer_queue_take_due(&queue, 100));
}

static void gives_a_timer_at_its_deadline_and_not_before(void **state)
{
	(void)state;
	add(0, 50);
	assert_null(timer_queue_take_due(&queue, 49));
	assert_int_equal(timer_queue_next(&queue), 50);
	assert_ptr_equal(timer_queue_take_due(&queue, 50), &timers[0]);
	assert_int_equal(timer_queue_next(&queue), TIMER_NEVER);
}

static void forgets_what_is_removed_and_takes_it_back(void **state)
{
	(void)state;
	add(0, 10);
	add(1, 20);
	timer_queue_remove(&timers[0]);
	timer_queue_remove(&timers[0]);
	assert_int_equal(timer_queue_next(&queue), 20);
	timers[0].deadline_tsc = 15;
	timer_queue_add(&queue, &timers[0]);
	assert_ptr_equal(timer_queue_take_due(&queue, 15), &timers[0]);
}

static void may_hold_a_timer_only_once(void **state)
{
	(void)state;
	add(0, 10);
	EXPECT_ASSERT((timer_queue_add(&queue, &timers[0]), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(has_nothing_due_when_empty, make),
		cmocka_unit_test_setup(gives_timers_by_deadline_and_equal_ones_in_the_order_set,
				       make),
		cmocka_unit_test_setup(gives_a_timer_at_its_deadline_and_not_before, make),
		cmocka_unit_test_setup(forgets_what_is_removed_and_takes_it_back, make),
		cmocka_unit_test_setup(may_hold_a_timer_only_once, make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
