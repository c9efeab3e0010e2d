/* SPDX-License-Identifier: Apache-2.0 */
/* tools/cli/table.c and progress.c: these units... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/progress.h"
#include "tools/cli/table.h"

#define NOW 1772359200 /* 2026-03-01T10:00:00Z */

static void expect(const struct column *columns, const char *json, const char *expected)
{
	yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
	yyjson_val *root = yyjson_doc_get_root(doc);
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(doc);
	if (yyjson_is_arr(root))
		table_print(f, columns, root, NOW);
	else
		table_print_one(f, columns, root, NOW);
	fclose(f);
	assert_string_equal(text, expected);
	free(text);
	yyjson_doc_free(doc);
}

static void aligns_texts_left_and_numbers_right(void **state)
{
	static const struct column columns[] = {{"NAME", "name", COLUMN_TEXT},
						{"SIZE", "size", COLUMN_BYTES},
						{"STATE", "state", COLUMN_TEXT},
						{0}};

	(void)state;
	expect(columns,
	       "[{\"name\":\"a\",\"size\":\"14149568\",\"state\":\"ready\"},{\"name\":\"longer\","
	       "\"size\":12,\"state\":null}]",
	       "NAME        SIZE  STATE\n"
	       "a       13.5 MiB  ready\n"
	       "longer      12 B  -\n");
	expect(columns, "[]", "NAME  SIZE  STATE\n");
}

static void writes_every_kind(void **state)
{
	static const struct column columns[] = {
		{"count", "count", COLUMN_COUNT},     {"memory", "memory", COLUMN_MIB},
		{"run", "run", COLUMN_SECONDS},	      {"up", "up", COLUMN_MS},
		{"seen", "seen", COLUMN_AGO},	      {"ends", "ends", COLUMN_AGO},
		{"nics", "nics", COLUMN_LIST},	      {"names", "nics", COLUMN_NAMES},
		{"none", "none", COLUMN_LIST},	      {"lease", "lease", COLUMN_LIST},
		{"address", "lease", COLUMN_ADDRESS}, {0}};

	(void)state;
	expect(columns,
	       "{\"count\":\"18446744073709551\",\"memory\":1024,\"run\":4.125,\"up\":73211,"
	       "\"seen\":\"2026-03-01T09:57:00.500Z\",\"ends\":\"2026-03-04T10:00:00.000Z\","
	       "\"none\":[],"
	       "\"nics\":[{\"name\":\"net0\",\"link\":true,\"speed_mbps\":1000},{\"name\":\"net1\","
	       "\"link\":false,\"speed_mbps\":0}],"
	       "\"lease\":{\"address\":\"10.0.2.15\",\"dns\":[]}}",
	       "count    18446744073709551\n"
	       "memory   1 GiB\n"
	       "run      4.12 s\n"
	       "up       73 s\n"
	       "seen     3 min ago\n"
	       "ends     in 3 d\n"
	       "nics     net0 link 1000 Mb/s, net1 no link 0 Mb/s\n"
	       "names    net0,net1\n"
	       "none     -\n"
	       "lease    10.0.2.15 -\n"
	       "address  10.0.2.15\n");
}

static void survives_values_of_the_wrong_type(void **state)
{
	static const struct column columns[] = {{"a", "a", COLUMN_TEXT},
						{"b", "b", COLUMN_BYTES},
						{"c", "c", COLUMN_AGO},
						{"d", "d", COLUMN_LIST},
						{"e", "e", COLUMN_NAMES},
						{"f", "f", COLUMN_COUNT},
						{0}};

	(void)state;
	expect(columns, "{\"a\":[1],\"b\":\"x\",\"c\":5,\"d\":\"x\",\"e\":[1,null],\"f\":-3}",
	       "a  -\nb  -\nc  -\nd  -\ne  1,-\nf  -\n");
	expect(columns, "[1,null]", "a  b  c  d  e  f\n-  -  -  -  -  -\n-  -  -  -  -  -\n");
}

static void keeps_escape_sequences_from_the_terminal(void **state)
{
	static const struct column columns[] = {{"reason", "reason", COLUMN_TEXT}, {0}};

	(void)state;
	expect(columns, "{\"reason\":\"a\\u001b[2Jb\\nc\"}", "reason  a?[2Jb?c\n");
}

static void says_bytes_rate_and_time_left(void **state)
{
	struct progress p = {.what = "uploading k",
			     .total = 10u << 20,
			     .first = 1u << 20,
			     .done = 5u << 20,
			     .began_ms = 1000};
	char text[PROGRESS_TEXT_MAX];

	(void)state;
	progress_text(&p, 3000, text);
	assert_string_equal(text, "uploading k: 5 MiB of 10 MiB, 50%, 2 MiB/s, 3 s left");
	p.done = p.total;
	progress_text(&p, 3000, text);
	assert_string_equal(text, "uploading k: 10 MiB of 10 MiB, 100%, 4.5 MiB/s");
	p.is_terminal = true;
	p.done = 5u << 20;
	progress_text(&p, 1000, text);
	assert_string_equal(text, "uploading k: [############            ] 5 MiB of 10 MiB, 50%");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligns_texts_left_and_numbers_right),
		cmocka_unit_test(writes_every_kind),
		cmocka_unit_test(survives_values_of_the_wrong_type),
		cmocka_unit_test(keeps_escape_sequences_from_the_terminal),
		cmocka_unit_test(says_bytes_rate_and_time_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
