/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer: commas, escapes, and memory that ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/protocol/json_out.h"

static void puts_commas_where_they_belong(void **state)
{
	static const char want[] = "{\"a\":1,\"b\":[\"18446744073709551615\",true,{},[]],\"c\":"
				   "null,\"d\":{\"e\":false}}";
	char buf[128];
	struct json_out o = {.at = buf, .cap = sizeof(buf)};

	(void)state;
	json_out_object(&o, NULL);
	json_out_uint(&o, "a", 1);
	json_out_array(&o, "b");
	json_out_u64(&o, NULL, UINT64_MAX);
	json_out_bool(&o, NULL, true);
	json_out_object(&o, NULL);
	json_out_end_object(&o);
	json_out_array(&o, NULL);
	json_out_end_array(&o);
	json_out_end_array(&o);
	json_out_null(&o, "c");
	json_out_object(&o, "d");
	json_out_raw(&o, "e", "false", 5);
	json_out_end_object(&o);
	json_out_end_object(&o);
	assert_false(o.overflow);
	assert_int_equal(o.len, strlen(want));
	assert_memory_equal(buf, want, o.len);
}

static void escapes_what_json_forbids_and_replaces_what_is_not_utf8(void **state)
{
	static const char want[] =
		"[\"q\\\"b\\\\n\\nc\\u0001\",\"\xc3\xa4?\xe2\x82\xac?\",\"??\",null]";
	char buf[128];
	struct json_out o = {.at = buf, .cap = sizeof(buf)};

	(void)state;
	json_out_array(&o, NULL);
	json_out_string(&o, NULL, "q\"b\\n\nc\001");
	json_out_string(&o, NULL, "\xc3\xa4\xff\xe2\x82\xac\xe2");
	json_out_string(&o, NULL, "\xc0\x80"); /* overlong */
	json_out_string(&o, NULL, NULL);
	json_out_end_array(&o);
	assert_int_equal(o.len, strlen(want));
	assert_memory_equal(buf, want, o.len);
}

static void stops_at_the_end_of_its_memory_and_says_so(void **state)
{
	char buf[16];
	struct json_out o = {.at = buf, .cap = 8};

	(void)state;
	memset(buf, '#', sizeof(buf));
	json_out_array(&o, NULL);
	json_out_string(&o, NULL, "longer than eight");
	json_out_end_array(&o);
	assert_true(o.overflow);
	assert_true(o.len <= 8);
	assert_int_equal(buf[8], '#');
}

static char big[64];

static bool grow_once(struct json_out *o, size_t need)
{
	if (need > sizeof(big))
		return false;
	memcpy(big, o->at, o->len);
	o->at = big;
	o->cap = sizeof(big);
	return true;
}

static void grows_when_it_may(void **state)
{
	char small[4];
	struct json_out o = {.at = small, .cap = sizeof(small), .grow = grow_once};

	(void)state;
	json_out_string(&o, NULL, "twenty characters...");
	assert_false(o.overflow);
	assert_int_equal(o.len, 22);
	assert_memory_equal(o.at, "\"twenty characters...\"", 22);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_commas_where_they_belong),
		cmocka_unit_test(escapes_what_json_forbids_and_replaces_what_is_not_utf8),
		cmocka_unit_test(stops_at_the_end_of_its_memory_and_says_so),
		cmocka_unit_test(grows_when_it_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
