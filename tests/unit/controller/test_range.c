/* SPDX-License-Identifier: Apache-2.0 */
/* The Range header, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/controller/range.h"

static void reads_one_range_and_ignores_what_http_lets_it_ignore(void **state)
{
	static const struct {
		const char *header;
		uint64_t size;
		enum range_result result;
		uint64_t first, last;
	} rows[] = {
		{NULL, 100, RANGE_NONE, 0, 0},
		{"bytes=0-0", 100, RANGE_PART, 0, 0},
		{"bytes=10-19", 100, RANGE_PART, 10, 19},
		{"bytes=10-", 100, RANGE_PART, 10, 99},
		{"bytes=10-1000", 100, RANGE_PART, 10, 99},
		{"bytes=-1", 100, RANGE_PART, 99, 99},
		{"bytes=-1000", 100, RANGE_PART, 0, 99},
		{"bytes=99-99", 100, RANGE_PART, 99, 99},
		{"bytes=100-", 100, RANGE_OUTSIDE, 0, 0},
		{"bytes=-0", 100, RANGE_OUTSIDE, 0, 0},
		{"bytes=0-", 0, RANGE_OUTSIDE, 0, 0},
		{"bytes=20-10", 100, RANGE_NONE, 0, 0},
		{"bytes=-", 100, RANGE_NONE, 0, 0},
		{"bytes=", 100, RANGE_NONE, 0, 0},
		{"bytes=a-b", 100, RANGE_NONE, 0, 0},
		{"bytes=0-1,5-6", 100, RANGE_NONE, 0, 0},
		{"bytes=99999999999999999999-", 100, RANGE_NONE, 0, 0},
		{"items=0-1", 100, RANGE_NONE, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t first = 0, last = 0;

		if (range_parse(rows[i].header, rows[i].size, &first, &last) != rows[i].result ||
		    first != rows[i].first || last != rows[i].last)
			fail_msg("row %zu: %s", i, rows[i].header);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_one_range_and_ignores_what_http_lets_it_ignore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
