/* SPDX-License-Identifier: Apache-2.0 */
/* The spinlock: whether it is held, round the end of its counters, and that nobody is kept from it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/lib/lock.h"

static struct lock lock;
static uint32_t nr_taken; /* under it */
static bool is_over;

static void knows_whether_it_is_held(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * 65536 + 3; i++) {
		assert_false(lock_is_held(&lock));
		if (i % 2)
			lock_take(&lock);
		else
			assert_true(lock_try(&lock));
		assert_true(lock_is_held(&lock));
		assert_false(lock_try(&lock));
		lock_release(&lock);
	}
}

static void *take_often(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < 1000; i++) {
		lock_take(&lock);
		nr_taken++;
		lock_release(&lock);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_RELEASE);
	return NULL;
}

/* As timer_cancel() does while it waits for the other: give it back, take it again. */
static void keeps_nobody_from_it(void **state)
{
	pthread_t other;

	(void)state;
	lock_take(&lock);
	assert_int_equal(pthread_create(&other, NULL, take_often, NULL), 0);
	while (!__atomic_load_n(&is_over, __ATOMIC_ACQUIRE)) {
		lock_release(&lock);
		lock_take(&lock);
	}
	assert_int_equal(nr_taken, 1000);
	lock_release(&lock);
	pthread_join(other, NULL);
	assert_false(lock_is_held(&lock));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_whether_it_is_held),
		cmocka_unit_test(keeps_nobody_from_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
