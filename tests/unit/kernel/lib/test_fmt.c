/* SPDX-License-Identifier: Apache-2.0 */
/* fmt: what libc's snprintf makes of the same arguments, and where dst ends. */
#include "kernel/lib/fmt.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Compares with libc, text and returned length. */
#define LIKE_LIBC(...)                                                                             \
	do {                                                                                       \
		char ours[256], libcs[256];                                                        \
		size_t len = fmt(ours, sizeof(ours), __VA_ARGS__);                                 \
		int libcs_len = snprintf(libcs, sizeof(libcs), __VA_ARGS__);                       \
		assert_string_equal(ours, libcs);                                                  \
		assert_int_equal(len, libcs_len);                                                  \
	} while (0)

static void prints_integers_as_libc_does(void **state)
{
	(void)state;
	LIKE_LIBC("%d %i %u", 0, -1, 4000000000u);
	LIKE_LIBC("%d %d", INT_MIN, INT_MAX);
	LIKE_LIBC("%ld %lld %lu", LONG_MIN, LLONG_MAX, ULONG_MAX);
	LIKE_LIBC("%x %X %lx %zx", 0xdeadbeefu, 0xBEEFu, ~0ul, (size_t)0x1234);
	LIKE_LIBC("%zu %llu", (size_t)-1, 42ull);
}

static void pads_to_the_width(void **state)
{
	(void)state;
	LIKE_LIBC("[%5d] [%-5d] [%05d] [%05d]", 42, 42, 42, -42);
	LIKE_LIBC("[%2x] [%016lx] [%*d] [%*d]", 0xabcdu, 0x1234ul, 7, 5, -7, 5);
	LIKE_LIBC("[%8s] [%-8s] [%1s]", "abc", "abc", "abc");
	LIKE_LIBC("[%3c] [%-3c]", 'a', 'b');
}

static void cuts_strings_at_the_precision(void **state)
{
	const char unterminated[3] = {'a', 'b', 'c'};

	(void)state;
	LIKE_LIBC("[%.2s] [%.0s] [%.9s] [%6.2s]", "abc", "abc", "abc", "abc");
	LIKE_LIBC("[%.*s]", 3, unterminated);
}

static void prints_percent_char_and_pointer(void **state)
{
	(void)state;
	LIKE_LIBC("100%% %c %p", 'x', (void *)0x1234);
}

static void shows_a_null_string_as_such(void **state)
{
	char dst[16];
	const char *volatile none = NULL;

	(void)state;
	fmt(dst, sizeof(dst), "%s", none);
	assert_string_equal(dst, "(null)");
}

static void cuts_at_the_capacity_and_returns_the_whole_length(void **state)
{
	char dst[8] = "#######";

	(void)state;
	assert_int_equal(fmt(dst, 4, "%d", 123456), 6);
	assert_string_equal(dst, "123");
	assert_int_equal(dst[4], '#');
}

static void writes_nothing_without_capacity(void **state)
{
	char dst = '#';

	(void)state;
	assert_int_equal(fmt(&dst, 0, "abc"), 3);
	assert_int_equal(dst, '#');
	assert_int_equal(fmt(NULL, 0, "%s", "abcd"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_integers_as_libc_does),
		cmocka_unit_test(pads_to_the_width),
		cmocka_unit_test(cuts_strings_at_the_precision),
		cmocka_unit_test(prints_percent_char_and_pointer),
		cmocka_unit_test(shows_a_null_string_as_such),
		cmocka_unit_test(cuts_at_the_capacity_and_returns_the_whole_length),
		cmocka_unit_test(writes_nothing_without_capacity),
	};

	return cmocka_run_group_tests_name("fmt", tests, NULL, NULL);
}
