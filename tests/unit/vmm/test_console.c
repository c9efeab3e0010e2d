/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest printed and was typed, across the ends of both rings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/console.h"

static struct console c;

static int fresh(void **state)
{
	(void)state;
	memset(&c, 0xee, sizeof(c));
	console_init(&c);
	return 0;
}

static void print(const char *text)
{
	console_print(&c, (const uint8_t *)text, strlen(text));
}

static void reads_what_was_printed_from_any_offset(void **state)
{
	uint8_t got[16];
	uint64_t offset = 0;

	(void)state;
	print("hello");
	assert_int_equal(console_read(&c, &offset, got, 16), 5);
	assert_memory_equal(got, "hello", 5);
	offset = 2;
	assert_int_equal(console_read(&c, &offset, got, 2), 2);
	assert_memory_equal(got, "ll", 2);
	assert_int_equal(offset, 2);
	offset = 5;
	assert_int_equal(console_read(&c, &offset, got, 16), 0);
}

static void moves_a_reader_that_is_too_late_to_the_oldest_byte(void **state)
{
	uint8_t *got = malloc(CONSOLE_OUT_BYTES);
	uint64_t offset = 0;

	(void)state;
	for (uint32_t i = 0; i < CONSOLE_OUT_BYTES; i++)
		print("x");
	print("end");
	assert_int_equal(console_read(&c, &offset, got, CONSOLE_OUT_BYTES), CONSOLE_OUT_BYTES);
	assert_int_equal(offset, 3);
	assert_int_equal(got[0], 'x');
	assert_memory_equal(got + CONSOLE_OUT_BYTES - 3, "end", 3);
	free(got);
}

static void keeps_the_end_of_one_print_larger_than_the_ring(void **state)
{
	uint8_t *data = malloc(CONSOLE_OUT_BYTES + 10), got[4];
	uint64_t offset = 0;

	(void)state;
	memset(data, 'a', CONSOLE_OUT_BYTES + 10);
	data[10] = 'b';
	console_print(&c, data, CONSOLE_OUT_BYTES + 10);
	assert_int_equal(console_read(&c, &offset, got, 4), 4);
	assert_int_equal(offset, 10);
	assert_memory_equal(got, "baaa", 4);
	free(data);
}

static void brings_an_offset_from_the_future_back_to_the_end(void **state)
{
	uint8_t got[4];
	uint64_t offset = UINT64_MAX;

	(void)state;
	print("abc");
	assert_int_equal(console_read(&c, &offset, got, 4), 0);
	assert_int_equal(offset, 3);
}

static void takes_what_is_typed_until_the_queue_is_full(void **state)
{
	uint8_t data[CONSOLE_IN_BYTES], got[CONSOLE_IN_BYTES];

	(void)state;
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	assert_int_equal(console_type(&c, data, 100), 100);
	assert_int_equal(console_type(&c, data + 100, sizeof(data) - 100), CONSOLE_IN_BYTES - 100);
	assert_int_equal(console_type(&c, data, 1), 0);
	assert_int_equal(console_typed(&c, got, 10), 10);
	assert_memory_equal(got, data, 10);
	assert_int_equal(console_type(&c, data, 20), 10); /* round the ring's end */
	assert_int_equal(console_typed(&c, got, sizeof(got)), CONSOLE_IN_BYTES);
	assert_memory_equal(got + CONSOLE_IN_BYTES - 10, data, 10);
	assert_int_equal(console_typed(&c, got, 1), 0);
}

static void tells_the_reader_again_only_after_it_has_read_everything(void **state)
{
	uint64_t offset = 0;
	uint8_t got[4];

	(void)state;
	console_init(&c);
	assert_true(console_print(&c, (const uint8_t *)"abc", 3));
	assert_false(console_print(&c, (const uint8_t *)"def", 3));
	assert_int_equal(console_read(&c, &offset, got, 4), 4);
	assert_false(console_print(&c, (const uint8_t *)"g", 1)); /* it knows that there is more */
	offset += 4;
	assert_int_equal(console_read(&c, &offset, got, 4), 3);
	assert_true(console_print(&c, (const uint8_t *)"h", 1));
	console_not_told(&c);
	assert_true(console_print(&c, (const uint8_t *)"i", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_reader_again_only_after_it_has_read_everything),
		cmocka_unit_test_setup(reads_what_was_printed_from_any_offset, fresh),
		cmocka_unit_test_setup(moves_a_reader_that_is_too_late_to_the_oldest_byte, fresh),
		cmocka_unit_test_setup(keeps_the_end_of_one_print_larger_than_the_ring, fresh),
		cmocka_unit_test_setup(brings_an_offset_from_the_future_back_to_the_end, fresh),
		cmocka_unit_test_setup(takes_what_is_typed_until_the_queue_is_full, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
