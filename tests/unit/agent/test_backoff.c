/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: doubled, capped, and jitter on top of the cap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/backoff.h"

static void doubles_up_to_the_cap(void **state)
{
	static const uint32_t want_ms[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	struct backoff b = {0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(want_ms); i++)
		assert_int_equal(backoff_fail(&b, 0), want_ms[i]);
}

static void adds_jitter_after_the_cap(void **state)
{
	struct backoff b = {.failures = 6};
	uint32_t random, min = UINT32_MAX, max = 0, ms;

	(void)state;
	for (random = 0; random < 20000; random++) {
		ms = backoff_fail(&b, random);
		min = MIN(min, ms);
		max = MAX(max, ms);
	}
	assert_int_equal(min, 30000);
	assert_int_equal(max, 37500);
}

static void starts_again_after_success(void **state)
{
	struct backoff b = {0};

	(void)state;
	backoff_fail(&b, 0);
	backoff_fail(&b, 0);
	backoff_reset(&b);
	assert_int_equal(backoff_fail(&b, 0), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_up_to_the_cap),
		cmocka_unit_test(adds_jitter_after_the_cap),
		cmocka_unit_test(starts_again_after_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
