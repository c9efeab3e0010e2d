/* SPDX-License-Identifier: Apache-2.0 */
/* The log's ring: whole lines, sequence numbers, overwriting, readers that ask for anything. */
#include "kernel/log_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"

static int make_ring(void **state)
{
	*state = calloc(1, sizeof(struct log_ring));
	return *state == NULL;
}

static int drop_ring(void **state)
{
	free(*state);
	return 0;
}

static void put(struct log_ring *ring, const char *line)
{
	log_ring_put(ring, line, strlen(line));
}

/* The newest so many numbered lines of 100 bytes. */
static void put_numbered(struct log_ring *ring, unsigned first, unsigned count)
{
	char line[128];

	for (unsigned i = first; i < first + count; i++) {
		snprintf(line, sizeof(line), "line %06u %087d\n", i, 0);
		put(ring, line);
	}
}

static void reads_lines_once_and_in_order(void **state)
{
	struct log_ring *ring = *state;
	char text[64];
	uint64_t seq = 0;

	put(ring, "one\n");
	put(ring, "two\n");
	assert_int_equal(log_ring_read(ring, &seq, text, sizeof(text)), 8);
	assert_memory_equal(text, "one\ntwo\n", 8);
	assert_int_equal(seq, 8);
	assert_int_equal(log_ring_read(ring, &seq, text, sizeof(text)), 0);
	put(ring, "three\n");
	assert_int_equal(log_ring_read(ring, &seq, text, sizeof(text)), 6);
	assert_memory_equal(text, "three\n", 6);
}

static void never_splits_a_line_for_a_small_buffer(void **state)
{
	struct log_ring *ring = *state;
	char text[7];
	uint64_t seq = 0;

	put(ring, "one\n");
	put(ring, "two\n");
	assert_int_equal(log_ring_read(ring, &seq, text, sizeof(text)), 4);
	assert_int_equal(seq, 4);
	assert_int_equal(log_ring_read(ring, &seq, text, 3), 0);
	assert_int_equal(seq, 4);
}

static void skips_what_was_overwritten(void **state)
{
	struct log_ring *ring = *state;
	char text[256];
	uint64_t seq = 0;
	unsigned nr, oldest;

	put_numbered(ring, 0, 1000); /* 100,000 bytes */
	nr = LOG_RING_BYTES / 100;
	oldest = 1000 - nr;
	assert_int_equal(log_ring_read(ring, &seq, text, 100), 100);
	assert_int_equal(seq, (oldest + 1) * 100);
	assert_int_equal(strtoul(text + 5, NULL, 10), oldest);
}

static void holds_as_many_whole_lines_as_fit(void **state)
{
	struct log_ring *ring = *state;
	char *all = malloc(LOG_RING_BYTES);
	uint64_t seq = 0;

	put_numbered(ring, 0, 5000);
	assert_int_equal(log_ring_read(ring, &seq, all, LOG_RING_BYTES),
			 LOG_RING_BYTES / 100 * 100);
	assert_int_equal(strtoul(all + 5, NULL, 10), 5000 - LOG_RING_BYTES / 100);
	assert_int_equal(seq, 500000);
	free(all);
}

static void uses_every_byte_when_lines_divide_it(void **state)
{
	struct log_ring *ring = *state;
	char *all = malloc(LOG_RING_BYTES);
	uint64_t seq = 0;

	for (unsigned i = 0; i < LOG_RING_BYTES / 4; i++)
		put(ring, "abc\n");
	assert_int_equal(log_ring_read(ring, &seq, all, LOG_RING_BYTES), LOG_RING_BYTES);
	free(all);
}

static void answers_any_sequence_number_with_whole_lines(void **state)
{
	struct log_ring *ring = *state;
	char text[256];
	uint64_t seq;

	put_numbered(ring, 0, 700);
	seq = UINT64_MAX;
	assert_int_equal(log_ring_read(ring, &seq, text, sizeof(text)), 0);
	assert_int_equal(seq, 70000);
	seq = 69850; /* in the middle of line 698 */
	assert_int_equal(log_ring_read(ring, &seq, text, sizeof(text)), 100);
	assert_int_equal(strtoul(text + 5, NULL, 10), 699);
}

static void asserts_on_a_line_without_its_newline(void **state)
{
	EXPECT_ASSERT(log_ring_put(*state, "abc", 3));
	EXPECT_ASSERT(log_ring_put(*state, "", 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ring, drop_ring)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_lines_once_and_in_order),
		TEST(never_splits_a_line_for_a_small_buffer),
		TEST(skips_what_was_overwritten),
		TEST(holds_as_many_whole_lines_as_fit),
		TEST(uses_every_byte_when_lines_divide_it),
		TEST(answers_any_sequence_number_with_whole_lines),
		TEST(asserts_on_a_line_without_its_newline),
	};

	return cmocka_run_group_tests_name("log_ring", tests, NULL, NULL);
}
