/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes for the UART: in order, whole texts or none, around the ring's end and the counts'. */
#include "kernel/serial_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"

static int make_queue(void **state)
{
	*state = calloc(1, sizeof(struct serial_queue));
	return *state == NULL;
}

static int drop_queue(void **state)
{
	free(*state);
	return 0;
}

static bool put(struct serial_queue *queue, const char *text)
{
	return serial_queue_put(queue, text, strlen(text));
}

static void expect(struct serial_queue *queue, const char *bytes)
{
	for (; *bytes; bytes++)
		assert_int_equal(serial_queue_take(queue), *bytes);
}

static void sends_a_return_with_each_newline(void **state)
{
	assert_true(put(*state, "one\ntwo\n"));
	assert_true(put(*state, "\nthree"));
	expect(*state, "one\r\ntwo\r\n\r\nthree");
	assert_true(serial_queue_is_empty(*state));
	assert_true(put(*state, "four\n"));
	serial_queue_drop(*state);
	assert_true(serial_queue_is_empty(*state));
	assert_true(put(*state, "five"));
	expect(*state, "five");
}

static void takes_a_text_whole_or_not(void **state)
{
	static char text[SERIAL_QUEUE_BYTES];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	assert_false(serial_queue_put(*state, text, sizeof(text))); /* its return has no room */
	assert_true(serial_queue_is_empty(*state));
	assert_true(serial_queue_put(*state, text, sizeof(text) - 1));
	assert_false(put(*state, "ab"));
	assert_false(put(*state, "\n"));
	assert_true(put(*state, "a"));
	assert_false(put(*state, "b"));
	expect(*state, "x");
	assert_true(put(*state, "b"));
	assert_false(serial_queue_is_empty(*state));
}

/* The ring's end, thousands of times, and once that of the counts. */
static void keeps_the_order_around_the_ends(void **state)
{
	struct serial_queue *queue = *state;
	char text[32], wire[32];

	queue->put = queue->taken = UINT32_MAX - 100000;
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "line %u%.*s\n", i, (int)(i % 7), "......");
		snprintf(wire, sizeof(wire), "line %u%.*s\r\n", i, (int)(i % 7), "......");
		assert_true(put(queue, text));
		expect(queue, wire);
	}
	assert_true(queue->put < 1000000);
}

static void asserts_that_there_is_a_byte_to_take(void **state)
{
	EXPECT_ASSERT(serial_queue_take(*state));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_queue, drop_queue)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sends_a_return_with_each_newline),
		TEST(takes_a_text_whole_or_not),
		TEST(keeps_the_order_around_the_ends),
		TEST(asserts_that_there_is_a_byte_to_take),
	};

	return cmocka_run_group_tests_name("serial_queue", tests, NULL, NULL);
}
