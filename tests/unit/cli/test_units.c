/* SPDX-License-Identifier: Apache-2.0 */
/* tools/cli/units.c: this unit... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tools/cli/units.h"

static void writes_bytes_with_the_unit_that_fits(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {{0, "0 B"},
		    {1023, "1023 B"},
		    {1024, "1 KiB"},
		    {1536, "1.5 KiB"},
		    {1048575, "1.0 MiB"},
		    {268435456, "256 MiB"},
		    {14149568, "13.5 MiB"},
		    {UINT64_MAX, "16 EiB"}};
	char text[UNITS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(units_bytes(rows[i].bytes, text), rows[i].text);
}

static void writes_bytes_as_hex(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
	char text[2 * sizeof(bytes) + 1];

	(void)state;
	assert_string_equal(units_hex(bytes, sizeof(bytes), text), "000fa5ff");
	assert_string_equal(units_hex(bytes, 0, text), "");
}

static void writes_durations(void **state)
{
	char text[UNITS_TEXT_MAX];

	(void)state;
	assert_string_equal(units_duration(-5, text), "0 s");
	assert_string_equal(units_duration(119, text), "119 s");
	assert_string_equal(units_duration(120, text), "2 min");
	assert_string_equal(units_duration(7200, text), "2 h");
	assert_string_equal(units_duration(172800, text), "2 d");
}

static void reads_numbers_and_nothing_else(void **state)
{
	uint64_t value = 7;

	(void)state;
	assert_true(units_parse_number("18446744073709551615", UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
	value = 7;
	assert_false(units_parse_number("18446744073709551616", UINT64_MAX, &value));
	assert_false(units_parse_number("", 9, &value));
	assert_false(units_parse_number("-1", 9, &value));
	assert_false(units_parse_number("1x", 9, &value));
	assert_false(units_parse_number("10", 9, &value));
	assert_false(units_parse_number("5", 4, &value));
	assert_int_equal(value, 7);
}

static void reads_sizes_and_times_with_units(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(units_parse_mib("256", &value) && value == 256);
	assert_true(units_parse_mib("512M", &value) && value == 512);
	assert_true(units_parse_mib("2GiB", &value) && value == 2048);
	assert_false(units_parse_mib("2KiB", &value));
	assert_false(units_parse_mib("G", &value));
	assert_true(units_parse_seconds("90", &value) && value == 90);
	assert_true(units_parse_seconds("15m", &value) && value == 900);
	assert_true(units_parse_seconds("7d", &value) && value == 604800);
	assert_false(units_parse_seconds("1.5h", &value));
}

static void reads_rfc_3339(void **state)
{
	int64_t seconds = 0;

	(void)state;
	assert_true(units_parse_time("2026-03-01T10:00:00.123Z", &seconds));
	assert_int_equal(seconds, 1772359200);
	assert_false(units_parse_time("2026-03-01", &seconds));
	assert_false(units_parse_time("yesterday", &seconds));
}

static void resolves_escapes(void **state)
{
	char text[] = "a\\n\\r\\t\\e\\\\\\x00\\x1dz", cut[] = "\\x1", unknown[] = "\\q",
	     last[] = "x\\";

	(void)state;
	assert_int_equal(units_unescape(text), 9);
	assert_memory_equal(text, "a\n\r\t\033\\\0\x1dz", 10);
	assert_int_equal(units_unescape(cut), -1);
	assert_int_equal(units_unescape(unknown), -1);
	assert_int_equal(units_unescape(last), -1);
}

static void takes_out_what_a_terminal_obeys(void **state)
{
	char text[] = "a\033[2Jb\x7f\xc2\x9b"
		      "1m\n\xc3\xa4";

	(void)state;
	units_printable(text);
	assert_string_equal(text, "a?[2Jb???1m?\xc3\xa4");
}

static void counts_characters_rather_than_bytes(void **state)
{
	(void)state;
	assert_int_equal(units_width("\xc3\xa4"
				     "bc"),
			 3);
	assert_int_equal(units_width(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_bytes_with_the_unit_that_fits),
		cmocka_unit_test(writes_bytes_as_hex),
		cmocka_unit_test(writes_durations),
		cmocka_unit_test(reads_numbers_and_nothing_else),
		cmocka_unit_test(reads_sizes_and_times_with_units),
		cmocka_unit_test(reads_rfc_3339),
		cmocka_unit_test(resolves_escapes),
		cmocka_unit_test(takes_out_what_a_terminal_obeys),
		cmocka_unit_test(counts_characters_rather_than_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
