/* SPDX-License-Identifier: Apache-2.0 */
/* Small blocks: sizes, alignment, zeroing, pages given back, and our own mistakes caught. */
#include "kernel/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"

struct source {
	struct slab_heap heap;
	unsigned nr_pages; /* out */
	unsigned max_pages;
};

static void *page_alloc(void *arg)
{
	struct source *s = arg;

	if (s->nr_pages == s->max_pages)
		return NULL;
	s->nr_pages++;
	return memset(aligned_alloc(4096, 4096), 0, 4096);
}

static void page_free(void *arg, void *page)
{
	struct source *s = arg;

	s->nr_pages--;
	free(page);
}

static int make_heap(void **state)
{
	struct source *s = calloc(1, sizeof(*s));

	s->max_pages = 1000;
	slab_init(&s->heap, page_alloc, page_free, s);
	*state = s;
	return 0;
}

static int drop_heap(void **state)
{
	struct source *s = *state;

	assert_int_equal(s->nr_pages, 0);
	assert_int_equal(s->heap.in_use_bytes, 0);
	free(s);
	return 0;
}

static bool is_zero(const uint8_t *block, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (block[i] != 0)
			return false;
	return true;
}

static void serves_every_size_zeroed_and_aligned(void **state)
{
	struct source *s = *state;

	for (size_t len = 0; len <= SLAB_BYTES_MAX; len++) {
		uint8_t *block = slab_alloc(&s->heap, len);

		assert_non_null(block);
		assert_int_equal((uintptr_t)block % 16, 0);
		assert_int_not_equal((uintptr_t)block % 4096, 0);
		assert_true(4096 - (uintptr_t)block % 4096 >= len);
		assert_true(is_zero(block, len));
		memset(block, 0xff, len);
		slab_free(&s->heap, block);
	}
}

static void zeroes_a_block_that_was_used_before(void **state)
{
	struct source *s = *state;
	uint8_t *keep = slab_alloc(&s->heap, 100), *block = slab_alloc(&s->heap, 100);

	memset(block, 0xff, 100);
	slab_free(&s->heap, block);
	block = slab_alloc(&s->heap, 100);
	assert_true(is_zero(block, 100));
	slab_free(&s->heap, block);
	slab_free(&s->heap, keep);
}

static void hands_out_no_byte_twice(void **state)
{
	struct source *s = *state;
	uint8_t *blocks[600];

	for (unsigned i = 0; i < 600; i++) {
		blocks[i] = slab_alloc(&s->heap, 8 + i);
		memset(blocks[i], (int)i, 8 + i);
	}
	for (unsigned i = 0; i < 600; i++) {
		for (unsigned j = 0; j < 8 + i; j++)
			assert_int_equal(blocks[i][j], (uint8_t)i);
		slab_free(&s->heap, blocks[i]);
	}
}

static void packs_252_blocks_of_16_bytes_into_a_page(void **state)
{
	struct source *s = *state;
	void *blocks[253];

	for (unsigned i = 0; i < 252; i++)
		blocks[i] = slab_alloc(&s->heap, 16);
	assert_int_equal(s->nr_pages, 1);
	assert_int_equal(s->heap.in_use_bytes, 252 * 16);
	slab_free(&s->heap, blocks[100]); /* the full page takes blocks again */
	blocks[100] = slab_alloc(&s->heap, 16);
	assert_int_equal(s->nr_pages, 1);
	blocks[252] = slab_alloc(&s->heap, 16);
	assert_int_equal(s->nr_pages, 2);
	for (unsigned i = 0; i < 253; i++)
		slab_free(&s->heap, blocks[i]);
}

static void says_when_there_is_no_page(void **state)
{
	struct source *s = *state;

	s->max_pages = 0;
	assert_null(slab_alloc(&s->heap, 16));
}

static void asserts_on_a_double_free(void **state)
{
	struct source *s = *state;
	void *keep = slab_alloc(&s->heap, 16), *block = slab_alloc(&s->heap, 16);

	slab_free(&s->heap, block);
	EXPECT_ASSERT(slab_free(&s->heap, block));
	slab_free(&s->heap, keep);
}

static void asserts_on_foreign_and_inner_pointers(void **state)
{
	struct source *s = *state;
	char *block = slab_alloc(&s->heap, 64), *foreign = aligned_alloc(4096, 4096);

	memset(foreign, 0, 4096);
	EXPECT_ASSERT(slab_free(&s->heap, block + 16));
	EXPECT_ASSERT(slab_free(&s->heap, (void *)ALIGN_DOWN((uintptr_t)block, 4096)));
	EXPECT_ASSERT(slab_free(&s->heap, (char *)ALIGN_DOWN((uintptr_t)block, 4096) + 16));
	EXPECT_ASSERT(slab_free(&s->heap, foreign + 64));
	EXPECT_ASSERT(slab_alloc(&s->heap, SLAB_BYTES_MAX + 1));
	slab_free(&s->heap, block);
	free(foreign);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_heap, drop_heap)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves_every_size_zeroed_and_aligned),
		TEST(zeroes_a_block_that_was_used_before),
		TEST(hands_out_no_byte_twice),
		TEST(packs_252_blocks_of_16_bytes_into_a_page),
		TEST(says_when_there_is_no_page),
		TEST(asserts_on_a_double_free),
		TEST(asserts_on_foreign_and_inner_pointers),
	};

	return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
