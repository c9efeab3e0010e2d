/* SPDX-License-Identifier: Apache-2.0 */
/* Console windows: repeats, gaps, wrapping round, streams that begin anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/controller/console_ring.h"

static struct console_out out;
static struct console_in in;

static int clear(void **state)
{
	(void)state;
	memset(&out, 0, sizeof(out));
	memset(&in, 0, sizeof(in));
	return 0;
}

static void expect_out(uint64_t from, uint64_t begins, const char *text)
{
	const uint8_t *bytes;
	size_t len;

	bytes = console_out_get(&out, &from, &len);
	assert_true(from == begins);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
}

static void skips_what_it_has_already(void **state)
{
	(void)state;
	assert_true(console_out_put(&out, 1, 0, "hello ", 6));
	assert_false(console_out_put(&out, 1, 0, "hello ", 6));
	assert_false(console_out_put(&out, 1, 2, "ll", 2));
	assert_true(console_out_put(&out, 1, 4, "o world", 7));
	expect_out(0, 0, "hello world");
	expect_out(6, 6, "world");
	expect_out(11, 11, "");
	expect_out(12, 0, "hello world"); /* beyond the end: a reader of a time before a restart */
}

static void a_gap_drops_what_was_before_it(void **state)
{
	(void)state;
	console_out_put(&out, 1, 0, "before", 6);
	assert_true(console_out_put(&out, 1, 100, "after", 5));
	expect_out(0, 100, "after");
	expect_out(6, 100, "after");
}

static void goes_on_counting_when_a_stream_begins_anew(void **state)
{
	(void)state;
	console_out_put(&out, 5, 0, "first", 5);
	assert_true(console_out_put(&out, 6, 0, "second", 6));
	expect_out(0, 0, "firstsecond");
	assert_false(console_out_put(&out, 5, 5, "late", 4));
	expect_out(5, 5, "second");
}

static void keeps_the_last_bytes_when_it_is_full(void **state)
{
	static uint8_t big[CONSOLE_OUT_MAX + 10];
	const uint8_t *bytes;
	uint64_t offset = 0;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i % 251);
	assert_true(console_out_put(&out, 1, 0, big, sizeof(big)));
	bytes = console_out_get(&out, &offset, &len);
	assert_int_equal(offset, 10);
	assert_int_equal(len, CONSOLE_OUT_MAX - 10); /* up to the seam */
	assert_memory_equal(bytes, big + 10, len);
	offset += len;
	bytes = console_out_get(&out, &offset, &len);
	assert_int_equal(len, 10);
	assert_memory_equal(bytes, big + CONSOLE_OUT_MAX, len);
}

static void input_waits_until_its_offset_is_passed(void **state)
{
	const uint8_t *bytes;
	uint64_t offset = 0;
	size_t len;

	(void)state;
	assert_true(console_in_put(&in, "ls\n", 3));
	bytes = console_in_get(&in, &offset, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "ls\n", 3);
	offset = 0;
	console_in_get(&in, &offset, &len);
	assert_int_equal(len, 3); /* asked again, given again */
	offset = 2;
	console_in_get(&in, &offset, &len);
	assert_int_equal(len, 1);
	offset = 0;
	console_in_get(&in, &offset, &len);
	assert_true(offset == 2); /* what was acknowledged is gone */
	offset = 99;
	console_in_get(&in, &offset, &len);
	assert_true(offset == 2); /* nobody skips what was not sent */
}

static void input_is_taken_whole_or_not_at_all(void **state)
{
	static const uint8_t keys[CONSOLE_IN_MAX];
	uint64_t offset = 0;
	size_t len;

	(void)state;
	assert_true(console_in_put(&in, "x", 1));
	assert_false(console_in_put(&in, keys, CONSOLE_IN_MAX));
	console_in_get(&in, &offset, &len);
	assert_int_equal(len, 1);
	assert_true(console_in_put(&in, keys, CONSOLE_IN_MAX - 1));
	assert_false(console_in_put(&in, "y", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(skips_what_it_has_already, clear),
		cmocka_unit_test_setup(a_gap_drops_what_was_before_it, clear),
		cmocka_unit_test_setup(goes_on_counting_when_a_stream_begins_anew, clear),
		cmocka_unit_test_setup(keeps_the_last_bytes_when_it_is_full, clear),
		cmocka_unit_test_setup(input_waits_until_its_offset_is_passed, clear),
		cmocka_unit_test_setup(input_is_taken_whole_or_not_at_all, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
