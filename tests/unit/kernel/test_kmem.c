/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's heap over the host's fake pages: which blocks are slabs and which pages, and the
 * counter. Its functions have other names here, since the host's own kmem is linked as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define kmem_alloc  our_kmem_alloc
#define kmem_free   our_kmem_free
#define kmem_in_use our_kmem_in_use
#include "kernel/kmem.c"

#include "tests/unit/support/expect_assert.h"
#include "tests/unit/support/fake_memory.h"

/* The one large block that a test has. */
static struct {
	hpa_t hpa;
	int order;
} large = {HPA_NONE, -1};

int pages_order_of(hpa_t hpa)
{
	return hpa == large.hpa ? large.order : -1;
}

static int check_nothing_is_left(void **state)
{
	(void)state;
	assert_int_equal(kmem_in_use(), 0);
	assert_int_equal(fake_pages_in_use, 0);
	return 0;
}

static void serves_small_blocks_from_one_page(void **state)
{
	void *a = kmem_alloc(100), *b = kmem_alloc(128);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(fake_pages_in_use, 1);
	assert_int_equal(kmem_in_use(), 256);
	kmem_free(a);
	kmem_free(b);
}

static void serves_large_blocks_as_aligned_pages(void **state)
{
	static const struct {
		size_t len;
		int order;
	} rows[] = {{SLAB_BYTES_MAX + 1, 0}, {4096, 0}, {4097, 1}, {2 * MIB, 9}, {2 * MIB + 1, 10}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *block = kmem_alloc(rows[i].len);

		assert_non_null(block);
		assert_true(IS_ALIGNED(block, PAGE_SIZE));
		assert_int_equal(fake_pages_in_use, 1u << rows[i].order);
		assert_int_equal(kmem_in_use(), PAGE_SIZE << rows[i].order);
		large.hpa = hpa_of(block);
		large.order = rows[i].order;
		kmem_free(block);
	}
}

static void says_when_there_is_no_memory(void **state)
{
	(void)state;
	fake_memory_fail_after = 0;
	assert_null(kmem_alloc(16));
	fake_memory_fail_after = 0;
	assert_null(kmem_alloc(8192));
	assert_null(kmem_alloc((4096ull << PAGE_ORDER_MAX) + 1));
	assert_null(kmem_alloc(SIZE_MAX));
}

static void takes_null_back(void **state)
{
	(void)state;
	kmem_free(NULL);
}

static void asserts_on_pages_that_it_did_not_give(void **state)
{
	(void)state;
	EXPECT_ASSERT(kmem_free((void *)0x7000));
}

#define TEST(name) cmocka_unit_test_teardown(name, check_nothing_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves_small_blocks_from_one_page),
		TEST(serves_large_blocks_as_aligned_pages),
		TEST(says_when_there_is_no_memory),
		TEST(takes_null_back),
		TEST(asserts_on_pages_that_it_did_not_give),
	};

	return cmocka_run_group_tests_name("kmem", tests, NULL, NULL);
}
