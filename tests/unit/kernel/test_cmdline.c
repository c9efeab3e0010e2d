/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's command line: which word is a key's, and what its value is. */
#include "kernel/cmdline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char buf[8];

static const char *find(const char *cmdline, const char *key)
{
	memset(buf, 'x', sizeof(buf));
	return cmdline_find(cmdline, key, buf, sizeof(buf));
}

static void finds_a_value_anywhere(void **state)
{
	(void)state;
	assert_string_equal(find("log=info", "log"), "info");
	assert_string_equal(find("a=1 log=info b=2", "log"), "info");
	assert_string_equal(find("  a=1   log=info  ", "log"), "info");
	assert_string_equal(find("log=a=b", "log"), "a=b");
}

static void finds_a_word_without_a_value(void **state)
{
	(void)state;
	assert_string_equal(find("a quiet b", "quiet"), "");
	assert_string_equal(find("quiet=", "quiet"), "");
}

static void takes_the_last_of_several(void **state)
{
	(void)state;
	assert_string_equal(find("log=err log=info", "log"), "info");
}

static void is_not_taken_in_by_similar_words(void **state)
{
	(void)state;
	assert_null(find("", "log"));
	assert_null(find("logs=info", "log"));
	assert_null(find("xlog=info", "log"));
	assert_null(find("lo", "log"));
	assert_null(find("a=log=info", "log"));
}

static void cuts_a_long_value(void **state)
{
	char one[1];

	(void)state;
	assert_string_equal(find("log=123456789", "log"), "1234567");
	assert_ptr_equal(cmdline_find("log=1", "log", one, sizeof(one)), one);
	assert_int_equal(one[0], 0);
}

static void reads_numbers_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(cmdline_find_number("a=1 b=42 c", "b", 7), 42);
	assert_int_equal(cmdline_find_number("a=1 b=42 c", "d", 7), 7);
	assert_int_equal(cmdline_find_number("a=1 b=42 c", "c", 7), 7);
	assert_int_equal(cmdline_find_number("b=4x", "b", 7), 7);
	assert_int_equal(cmdline_find_number("b=-4", "b", 7), 7);
	assert_int_equal(cmdline_find_number("b=4294967295", "b", 7), 4294967295u);
	assert_int_equal(cmdline_find_number("b=4294967296", "b", 7), 7);
	assert_int_equal(cmdline_find_number("b=99999999999999999999", "b", 7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_numbers_and_nothing_else),
		cmocka_unit_test(finds_a_value_anywhere),
		cmocka_unit_test(finds_a_word_without_a_value),
		cmocka_unit_test(takes_the_last_of_several),
		cmocka_unit_test(is_not_taken_in_by_similar_words),
		cmocka_unit_test(cuts_a_long_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
