/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's string.c against libc's, on the host: its functions are compiled here under other
 * names, over every small length, alignment and overlap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

#define memcpy	our_memcpy
#define memmove our_memmove
#define memset	our_memset
#define memcmp	our_memcmp
#define memchr	our_memchr
#define strlen	our_strlen
#define strnlen our_strnlen
#define strcmp	our_strcmp
#define strncmp our_strncmp
#define strchr	our_strchr
#define strstr	our_strstr
#include "kernel/lib/string.h"

#include "kernel/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strstr

#define AREA	96
#define LONGEST 40

static void fill(uint8_t *area)
{
	for (unsigned i = 0; i < AREA; i++)
		area[i] = (uint8_t)(i * 7 + 1);
}

static void moves_as_libc_at_every_offset_and_length(void **state)
{
	uint8_t ours[AREA], libcs[AREA];

	(void)state;
	for (size_t len = 0; len <= LONGEST; len++)
		for (size_t from = 0; from < AREA - LONGEST; from++)
			for (size_t to = 0; to < AREA - LONGEST; to += 1 + to % 3) {
				fill(ours);
				fill(libcs);
				assert_ptr_equal(our_memmove(ours + to, ours + from, len),
						 ours + to);
				memmove(libcs + to, libcs + from, len);
				assert_memory_equal(ours, libcs, AREA);
			}
}

static void copies_and_touches_nothing_else(void **state)
{
	uint8_t src[AREA], ours[AREA], libcs[AREA];

	(void)state;
	fill(src);
	for (size_t len = 0; len <= LONGEST; len++)
		for (size_t at = 0; at < 16; at++) {
			memset(ours, 0xee, AREA);
			memset(libcs, 0xee, AREA);
			assert_ptr_equal(our_memcpy(ours + at, src + 3, len), ours + at);
			memcpy(libcs + at, src + 3, len);
			assert_memory_equal(ours, libcs, AREA);
		}
}

static void sets_and_touches_nothing_else(void **state)
{
	uint8_t ours[AREA], libcs[AREA];

	(void)state;
	for (size_t len = 0; len <= LONGEST; len++)
		for (size_t at = 0; at < 16; at++) {
			fill(ours);
			fill(libcs);
			assert_ptr_equal(our_memset(ours + at, 0x1a5, len), ours + at);
			memset(libcs + at, 0x1a5, len);
			assert_memory_equal(ours, libcs, AREA);
		}
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void compares_by_the_first_difference_as_unsigned_bytes(void **state)
{
	uint8_t a[LONGEST], b[LONGEST];

	(void)state;
	for (size_t len = 0; len <= LONGEST; len++)
		for (size_t differs = 0; differs < LONGEST; differs++) {
			memset(a, 0x55, sizeof(a));
			memset(b, 0x55, sizeof(b));
			b[differs] = 0xf0;
			assert_int_equal(sign(our_memcmp(a, b, len)), sign(memcmp(a, b, len)));
			assert_int_equal(sign(our_memcmp(b, a, len)), sign(memcmp(b, a, len)));
		}
}

static void compares_strings(void **state)
{
	static const char *const words[] = {"", "a", "ab", "abc", "abd", "b", "\xff"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		for (size_t j = 0; j < ARRAY_SIZE(words); j++) {
			assert_int_equal(sign(our_strcmp(words[i], words[j])),
					 sign(strcmp(words[i], words[j])));
			for (size_t max = 0; max < 5; max++)
				assert_int_equal(sign(our_strncmp(words[i], words[j], max)),
						 sign(strncmp(words[i], words[j], max)));
		}
}

static void measures_and_searches(void **state)
{
	const char *text = "one two two";

	(void)state;
	assert_int_equal(our_strlen(""), 0);
	assert_int_equal(our_strlen(text), 11);
	assert_int_equal(our_strnlen(text, 4), 4);
	assert_int_equal(our_strnlen(text, 40), 11);
	assert_ptr_equal(our_strchr(text, 't'), text + 4);
	assert_ptr_equal(our_strchr(text, '\0'), text + 11);
	assert_null(our_strchr(text, 'x'));
	assert_ptr_equal(our_memchr(text, 'w', 11), text + 5);
	assert_null(our_memchr(text, 'w', 5));
	assert_ptr_equal(our_strstr(text, "two"), text + 4);
	assert_ptr_equal(our_strstr(text, ""), text);
	assert_null(our_strstr(text, "two three"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_as_libc_at_every_offset_and_length),
		cmocka_unit_test(copies_and_touches_nothing_else),
		cmocka_unit_test(sets_and_touches_nothing_else),
		cmocka_unit_test(compares_by_the_first_difference_as_unsigned_bytes),
		cmocka_unit_test(compares_strings),
		cmocka_unit_test(measures_and_searches),
	};

	return cmocka_run_group_tests_name("string", tests, NULL, NULL);
}
