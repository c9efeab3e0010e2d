/* SPDX-License-Identifier: Apache-2.0 */
/* The buddy allocator: splitting, merging, cleanness, policy, a long random run with a model. */
#include "kernel/buddy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"

#define PAGES 4096u

static int make_buddy(void **state)
{
	struct buddy *b = malloc(sizeof(*b));

	buddy_init(b, malloc(buddy_array_bytes(PAGES)), PAGES);
	*state = b;
	return 0;
}

static int drop_buddy(void **state)
{
	struct buddy *b = *state;

	free(b->pages);
	free(b);
	return 0;
}

static uint32_t alloc(struct buddy *b, unsigned order)
{
	enum buddy_clean clean;

	return buddy_alloc(b, order, &clean);
}

/* Scrub everything, as idle CPUs would. */
static void scrub_all(struct buddy *b)
{
	unsigned order;
	uint32_t page;

	while ((page = buddy_take_dirty(b, 9, &order)) != BUDDY_NONE)
		buddy_put_clean(b, page, order);
}

static void gives_aligned_blocks_inside_what_it_was_given(void **state)
{
	struct buddy *b = *state;

	buddy_add(b, 1, 1022); /* pages 1 .. 1022 */
	assert_int_equal(b->nr_total, 1022);
	for (unsigned order = 0; order <= 8; order++) {
		uint32_t page = alloc(b, order);

		assert_int_not_equal(page, BUDDY_NONE);
		assert_int_equal(page % (1u << order), 0);
		assert_in_range(page, 1, 1022 - ((1u << order) - 1));
	}
	assert_int_equal(alloc(b, 9), BUDDY_NONE);
	assert_int_equal(b->nr_free, 1022 - 511);
}

static void merges_back_to_what_there_was(void **state)
{
	struct buddy *b = *state;
	uint32_t pages[1024];

	buddy_add(b, 0, 1024);
	for (unsigned i = 0; i < 1024; i++)
		pages[i] = alloc(b, 0);
	assert_int_equal(alloc(b, 0), BUDDY_NONE);
	assert_int_equal(b->nr_free, 0);
	for (unsigned i = 0; i < 1024; i++)
		buddy_free(b, pages[(i * 617) % 1024], 0);
	assert_int_equal(alloc(b, 10), 0);
}

static void never_merges_across_what_it_was_not_given(void **state)
{
	struct buddy *b = *state;

	buddy_add(b, 0, 3);
	assert_int_equal(alloc(b, 1), 0);
	assert_int_equal(alloc(b, 1), BUDDY_NONE);
	assert_int_equal(alloc(b, 0), 2);
}

static void uses_lower_memory_first_when_fresh(void **state)
{
	struct buddy *b = *state;

	buddy_add(b, 512, 512);
	buddy_add(b, 2048, 512);
	assert_int_equal(alloc(b, 0), 512);
	assert_int_equal(alloc(b, 0), 513);
}

static void says_whether_a_block_is_clean(void **state)
{
	struct buddy *b = *state;
	enum buddy_clean clean;
	uint32_t page;

	buddy_add(b, 0, 64);
	page = buddy_alloc(b, 3, &clean);
	assert_int_equal(clean, BUDDY_DIRTY);
	buddy_free(b, page, 3);
	scrub_all(b);
	assert_int_equal(b->nr_dirty, 0);
	page = buddy_alloc(b, 6, &clean);
	assert_int_equal(page, 0);
	assert_int_equal(clean, BUDDY_CLEAN);
	buddy_free(b, page, 6);
	assert_int_equal(b->nr_dirty, 64);
}

static void keeps_scrubbed_memory_clean_beside_a_dirty_page(void **state)
{
	struct buddy *b = *state;
	enum buddy_clean clean;
	uint32_t page;

	buddy_add(b, 0, 1024);
	scrub_all(b);
	page = alloc(b, 0);
	buddy_free(b, page, 0);
	assert_int_equal(b->nr_dirty, 1);
	buddy_alloc(b, 9, &clean);
	assert_int_equal(clean, BUDDY_CLEAN);
}

static void takes_small_blocks_from_small_ones(void **state)
{
	struct buddy *b = *state;

	buddy_add(b, 0, 1024);
	scrub_all(b);
	assert_int_equal(alloc(b, 2), 0);
	assert_int_equal(alloc(b, 2), 4);
	assert_int_equal(alloc(b, 3), 8);
	buddy_free(b, 0, 2); /* four dirty pages; the rest is clean and in larger blocks */
	assert_int_equal(alloc(b, 1), 0);
	assert_int_not_equal(alloc(b, 9), BUDDY_NONE);
}

static void takes_large_blocks_from_clean_memory(void **state)
{
	struct buddy *b = *state;
	enum buddy_clean clean;

	buddy_add(b, 0, 1024);
	scrub_all(b);
	buddy_add(b, 2048, 512); /* dirty, but just the size that is wanted */
	assert_int_equal(buddy_alloc(b, 9, &clean), 0);
	assert_int_equal(clean, BUDDY_CLEAN);
	assert_int_equal(buddy_alloc(b, 9, &clean), 512);
	assert_int_equal(clean, BUDDY_CLEAN);
	assert_int_equal(buddy_alloc(b, 9, &clean), 2048);
	assert_int_equal(clean, BUDDY_DIRTY);
}

static void merges_clean_with_dirty_before_it_fails(void **state)
{
	struct buddy *b = *state;
	enum buddy_clean clean;
	uint32_t page;

	buddy_add(b, 0, 1024);
	scrub_all(b);
	page = alloc(b, 0);
	buddy_free(b, page, 0);
	assert_int_equal(buddy_alloc(b, 10, &clean), 0);
	assert_int_equal(clean, BUDDY_DIRTY);
	assert_int_equal(b->nr_dirty, 0);
	assert_int_equal(b->nr_free, 0);
}

static void splits_a_large_dirty_block_for_the_scrubber(void **state)
{
	struct buddy *b = *state;
	unsigned order, rounds = 0;
	uint32_t page;

	buddy_add(b, 0, 4096);
	while ((page = buddy_take_dirty(b, 9, &order)) != BUDDY_NONE) {
		assert_int_equal(order, 9);
		assert_int_equal(b->nr_free, 4096); /* still counted while it is out */
		buddy_put_clean(b, page, order);
		rounds++;
	}
	assert_int_equal(rounds, 8);
	assert_int_equal(b->nr_dirty, 0);
	assert_int_equal(alloc(b, 12), 0);
}

static void asserts_on_a_double_free_and_on_a_wrong_order(void **state)
{
	struct buddy *b = *state;
	uint32_t page;

	buddy_add(b, 0, 1024);
	page = alloc(b, 3);
	EXPECT_ASSERT(buddy_free(b, page, 2));
	EXPECT_ASSERT(buddy_free(b, page, 4));
	EXPECT_ASSERT(buddy_free(b, page + 1, 0));
	EXPECT_ASSERT(buddy_free(b, PAGES + 5, 0));
	EXPECT_ASSERT(buddy_put_clean(b, page, 3));
	buddy_free(b, page, 3);
	EXPECT_ASSERT(buddy_free(b, page, 3));
	EXPECT_ASSERT(alloc(b, BUDDY_ORDER_MAX + 1));
	EXPECT_ASSERT(buddy_add(b, PAGES - 1, 2));
}

static void knows_the_order_of_allocated_blocks_only(void **state)
{
	struct buddy *b = *state;
	uint32_t page;

	buddy_add(b, 0, 1024);
	page = alloc(b, 5);
	assert_int_equal(buddy_order_of(b, page), 5);
	assert_int_equal(buddy_order_of(b, page + 1), -1);
	assert_int_equal(buddy_order_of(b, PAGES), -1);
	buddy_free(b, page, 5);
	assert_int_equal(buddy_order_of(b, page), -1);
}

/* A model beside it: which pages are handed out, and which were zeroed since they were last. */
struct model {
	bool is_used[PAGES], is_clean[PAGES];
	struct {
		uint32_t page;
		unsigned order;
	} blocks[512];
	unsigned nr_blocks;
};

static void model_alloc(struct model *m, struct buddy *b, unsigned order)
{
	enum buddy_clean clean;
	uint32_t page = buddy_alloc(b, order, &clean);

	if (page == BUDDY_NONE)
		return;
	for (uint32_t i = page; i < page + (1u << order); i++) {
		assert_false(m->is_used[i]);
		if (clean == BUDDY_CLEAN)
			assert_true(m->is_clean[i]);
		m->is_used[i] = true;
		m->is_clean[i] = false;
	}
	m->blocks[m->nr_blocks].page = page;
	m->blocks[m->nr_blocks++].order = order;
}

static void model_free(struct model *m, struct buddy *b, unsigned which)
{
	uint32_t page = m->blocks[which].page;
	unsigned order = m->blocks[which].order;

	buddy_free(b, page, order);
	memset(m->is_used + page, 0, 1u << order);
	m->blocks[which] = m->blocks[--m->nr_blocks];
}

static void model_scrub(struct model *m, struct buddy *b)
{
	unsigned order;
	uint32_t page = buddy_take_dirty(b, 4, &order);

	if (page == BUDDY_NONE)
		return;
	memset(m->is_clean + page, 1, 1u << order);
	buddy_put_clean(b, page, order);
}

static void model_check_counts(const struct model *m, const struct buddy *b)
{
	uint64_t nr_used = 0;

	for (uint32_t i = 0; i < PAGES; i++)
		nr_used += m->is_used[i];
	assert_int_equal(b->nr_free, 4000 - nr_used);
	assert_true(b->nr_dirty <= b->nr_free);
}

static void agrees_with_a_model_over_a_long_random_run(void **state)
{
	struct buddy *b = *state;
	struct model *m = calloc(1, sizeof(*m));

	srand(1);
	buddy_add(b, 50, 4000);
	for (unsigned step = 0; step < 50000; step++) {
		unsigned what = (unsigned)rand() % 8;

		if (what < 4 && m->nr_blocks < 512)
			model_alloc(m, b, (unsigned)rand() % 10);
		else if (what < 7 && m->nr_blocks > 0)
			model_free(m, b, (unsigned)rand() % m->nr_blocks);
		else
			model_scrub(m, b);
		if (step % 500 == 0)
			model_check_counts(m, b);
	}
	while (m->nr_blocks > 0)
		model_free(m, b, 0);
	model_check_counts(m, b);
	assert_int_equal(alloc(b, 10), 1024); /* all came together again */
	free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_buddy, drop_buddy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gives_aligned_blocks_inside_what_it_was_given),
		TEST(merges_back_to_what_there_was),
		TEST(never_merges_across_what_it_was_not_given),
		TEST(uses_lower_memory_first_when_fresh),
		TEST(says_whether_a_block_is_clean),
		TEST(keeps_scrubbed_memory_clean_beside_a_dirty_page),
		TEST(takes_small_blocks_from_small_ones),
		TEST(takes_large_blocks_from_clean_memory),
		TEST(merges_clean_with_dirty_before_it_fails),
		TEST(splits_a_large_dirty_block_for_the_scrubber),
		TEST(asserts_on_a_double_free_and_on_a_wrong_order),
		TEST(knows_the_order_of_allocated_blocks_only),
		TEST(agrees_with_a_model_over_a_long_random_run),
	};

	return cmocka_run_group_tests_name("buddy", tests, NULL, NULL);
}
