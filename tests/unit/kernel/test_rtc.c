/* SPDX-License-Identifier: Apache-2.0 */
/* The real-time clock's forms: BCD and binary, 12 and 24 hours, leap years, nonsense. */
#include "kernel/rtc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define BCD_24H	   0x02
#define BCD_12H	   0x00
#define BINARY_24H 0x06
#define BINARY_12H 0x04

static uint64_t at(uint8_t y, uint8_t mo, uint8_t d, uint8_t h, uint8_t mi, uint8_t s, uint8_t form)
{
	struct rtc_raw raw = {s, mi, h, d, mo, y, form};

	return rtc_decode(&raw);
}

static void reads_bcd(void **state)
{
	(void)state;
	assert_int_equal(at(0x23, 0x11, 0x14, 0x22, 0x13, 0x20, BCD_24H), 1700000000);
	assert_int_equal(at(0x00, 0x01, 0x01, 0x00, 0x00, 0x00, BCD_24H), 946684800);
}

static void reads_binary(void **state)
{
	(void)state;
	assert_int_equal(at(23, 11, 14, 22, 13, 20, BINARY_24H), 1700000000);
}

static void reads_twelve_hours(void **state)
{
	uint64_t midnight = 1699920000;

	(void)state;
	assert_int_equal(at(0x23, 0x11, 0x14, 0x12, 0, 0, BCD_12H), midnight);
	assert_int_equal(at(0x23, 0x11, 0x14, 0x01, 0, 0, BCD_12H), midnight + 3600);
	assert_int_equal(at(0x23, 0x11, 0x14, 0x92, 0, 0, BCD_12H), midnight + 12 * 3600);
	assert_int_equal(at(0x23, 0x11, 0x14, 0x91, 0, 0, BCD_12H), midnight + 23 * 3600);
	assert_int_equal(at(23, 11, 14, 0x80 | 11, 0, 0, BINARY_12H), midnight + 23 * 3600);
	assert_int_equal(at(0x23, 0x11, 0x14, 0x00, 0, 0, BCD_12H), 0);
	assert_int_equal(at(0x23, 0x11, 0x14, 0x13, 0, 0, BCD_12H), 0);
}

/* Every day of the hundred years that it can show, against libc. */
static void counts_days_as_the_calendar_does(void **state)
{
	uint64_t want = 946684800;

	(void)state;
	for (unsigned day = 0; day < 36525; day++, want += 86400) {
		time_t seconds = (time_t)want;
		struct tm tm;

		gmtime_r(&seconds, &tm);
		assert_int_equal(at((uint8_t)(tm.tm_year - 100), (uint8_t)(tm.tm_mon + 1),
				    (uint8_t)tm.tm_mday, 0, 0, 0, BINARY_24H),
				 want);
	}
}

static void refuses_what_is_no_date(void **state)
{
	(void)state;
	assert_int_equal(at(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 0);
	assert_int_equal(at(23, 0, 14, 0, 0, 0, BINARY_24H), 0);
	assert_int_equal(at(23, 13, 14, 0, 0, 0, BINARY_24H), 0);
	assert_int_equal(at(23, 1, 0, 0, 0, 0, BINARY_24H), 0);
	assert_int_equal(at(23, 1, 32, 0, 0, 0, BINARY_24H), 0);
	assert_int_equal(at(23, 1, 1, 24, 0, 0, BINARY_24H), 0);
	assert_int_equal(at(23, 1, 1, 0, 60, 0, BINARY_24H), 0);
	assert_int_equal(at(23, 1, 1, 0, 0, 60, BINARY_24H), 0);
	assert_int_equal(at(100, 1, 1, 0, 0, 0, BINARY_24H), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_bcd),
		cmocka_unit_test(reads_binary),
		cmocka_unit_test(reads_twelve_hours),
		cmocka_unit_test(counts_days_as_the_calendar_does),
		cmocka_unit_test(refuses_what_is_no_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
