/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB's environment block: the same bytes that grub-editenv makes. */
#include "storage/grubenv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "# GRUB Environment Block\n"

static uint8_t block[GRUBENV_BYTES];

static void fill(const char *text)
{
	memset(block, '#', sizeof(block));
	memcpy(block, HEAD, strlen(HEAD));
	memcpy(block + strlen(HEAD), text, strlen(text));
}

static void expect_block(const char *text)
{
	uint8_t want[GRUBENV_BYTES];

	memset(want, '#', sizeof(want));
	memcpy(want, HEAD, strlen(HEAD));
	memcpy(want + strlen(HEAD), text, strlen(text));
	assert_memory_equal(block, want, sizeof(want));
	assert_int_equal(grubenv_check(block), HV_OK);
}

static void expect_text(const char *name, const char *want)
{
	char value[64];

	assert_int_equal(grubenv_get(block, name, value, sizeof(value)), HV_OK);
	assert_string_equal(value, want);
}

static void finds_values_by_their_whole_name(void **state)
{
	char value[8];

	(void)state;
	fill("slot=a\nslots=7\n# slot=x\nempty=\nwords=a=b c\n");
	expect_text("slot", "a");
	expect_text("slots", "7");
	expect_text("empty", "");
	expect_text("words", "a=b c");
	assert_int_equal(grubenv_get(block, "lot", value, sizeof(value)), HV_ENOENT);
	assert_int_equal(grubenv_get(block, "slo", value, sizeof(value)), HV_ENOENT);
	assert_int_equal(grubenv_get(block, "words", value, 5), HV_ENOMEM);
	assert_int_equal(grubenv_get(block, "words", value, 6), HV_OK);
	assert_int_equal(grubenv_get(block, "empty", value, 0), HV_ENOMEM);
}

static void replaces_in_place(void **state)
{
	(void)state;
	fill("slot=a\ntrial=-\ncmdline=x\n");
	assert_int_equal(grubenv_set(block, "trial", "b"), HV_OK);
	expect_block("slot=a\ntrial=b\ncmdline=x\n");
	assert_int_equal(grubenv_place(block, "trial"), strlen(HEAD) + strlen("slot=a\ntrial="));
	assert_int_equal(grubenv_set(block, "slot", "abc"), HV_OK);
	expect_block("slot=abc\ntrial=b\ncmdline=x\n");
	assert_int_equal(grubenv_set(block, "slot", ""), HV_OK);
	expect_block("slot=\ntrial=b\ncmdline=x\n");
}

static void appends_what_is_new(void **state)
{
	(void)state;
	grubenv_init(block);
	expect_block("");
	assert_int_equal(grubenv_set(block, "a", "1"), HV_OK);
	assert_int_equal(grubenv_set(block, "b", "2"), HV_OK);
	expect_block("a=1\nb=2\n");
}

static void escapes_as_grub_does(void **state)
{
	(void)state;
	grubenv_init(block);
	assert_int_equal(grubenv_set(block, "a", "x\\y\nz=1"), HV_OK);
	assert_int_equal(grubenv_set(block, "b", "2"), HV_OK);
	expect_block("a=x\\\\y\\\nz=1\nb=2\n");
	expect_text("a", "x\\y\nz=1");
	expect_text("b", "2");
	assert_int_equal(grubenv_place(block, "z"), 0); /* it is inside a's value */
	assert_int_equal(grubenv_set(block, "a", "-"), HV_OK);
	expect_block("a=-\nb=2\n");
}

static void stops_when_it_is_full(void **state)
{
	char value[GRUBENV_BYTES];
	size_t room = GRUBENV_BYTES - strlen(HEAD) - strlen("a=\n");
	uint8_t before[GRUBENV_BYTES];

	(void)state;
	grubenv_init(block);
	memset(value, 'v', sizeof(value));
	value[room + 1] = 0;
	memcpy(before, block, sizeof(block));
	assert_int_equal(grubenv_set(block, "a", value), HV_ENOMEM);
	assert_memory_equal(block, before, sizeof(block));
	value[room] = 0;
	assert_int_equal(grubenv_set(block, "a", value), HV_OK);
	assert_int_equal(grubenv_check(block), HV_OK);
	assert_int_equal(block[GRUBENV_BYTES - 1], '\n');
	assert_int_equal(grubenv_set(block, "b", ""), HV_ENOMEM);
	assert_int_equal(grubenv_set(block, "a", "1"), HV_OK);
	expect_block("a=1\n");
}

static void refuses_what_grub_would_misread(void **state)
{
	char value[8];

	(void)state;
	fill("slot=a\n");
	block[3] = 'g';
	assert_int_equal(grubenv_check(block), HV_EPROTO);
	assert_int_equal(grubenv_set(block, "slot", "b"), HV_EPROTO);
	fill("slot=a"); /* its line has no end: the padding is its value */
	assert_int_equal(grubenv_check(block), HV_EPROTO);
	assert_int_equal(grubenv_get(block, "slot", value, sizeof(value)), HV_ENOENT);
	fill("slot=a\n");
	block[GRUBENV_BYTES - 7] = 0; /* what is appended would end up beside it */
	assert_int_equal(grubenv_check(block), HV_EPROTO);
	memset(block, 0, sizeof(block));
	assert_int_equal(grubenv_check(block), HV_EPROTO);
	memset(block, '\\', sizeof(block)); /* an escape at the very end */
	memcpy(block, HEAD "a=", strlen(HEAD "a="));
	assert_int_equal(grubenv_check(block), HV_EPROTO);
	assert_int_equal(grubenv_get(block, "a", value, sizeof(value)), HV_ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_values_by_their_whole_name),
		cmocka_unit_test(replaces_in_place),
		cmocka_unit_test(appends_what_is_new),
		cmocka_unit_test(escapes_as_grub_does),
		cmocka_unit_test(stops_when_it_is_full),
		cmocka_unit_test(refuses_what_grub_would_misread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
