/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page allocator over a machine of 64 MiB that is an array here, full of what firmware left.
 * Its functions have other names, since the host's fake pages are linked as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/paging.h"

static uint8_t *ram;

#undef DIRECT_MAP
#define DIRECT_MAP  ((uint64_t)ram)
#define pages_alloc our_pages_alloc
#define pages_free  our_pages_free
#define pages_stats our_pages_stats
#define hva_of	    our_hva_of
#define hpa_of	    our_hpa_of
#include "kernel/memory.c"

#include "tests/unit/support/expect_assert.h"

#define RAM_BYTES (64 * MIB)

uint64_t paging_image_start(void)
{
	return 2 * MIB;
}

uint64_t paging_image_end(void)
{
	return 3 * MIB;
}

static struct boot_info info;

static int start(void **state)
{
	(void)state;
	ram = aligned_alloc(2 * MIB, RAM_BYTES);
	memset(ram, 0xaa, RAM_BYTES);
	memset(&info, 0, sizeof(info));
	info.nr_ranges = 1;
	info.ranges[0] = (struct boot_range){0, RAM_BYTES, RANGE_RAM};
	info.nr_modules = 1;
	info.modules[0] = (struct boot_module){8 * MIB, 5000, "node.conf"};
	memory_init(&info);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

static bool is_all(hpa_t hpa, uint64_t len_bytes, uint8_t byte)
{
	for (uint64_t i = 0; i < len_bytes; i++)
		if (ram[hpa + i] != byte)
			return false;
	return true;
}

static void counts_what_is_left_of_ram(void **state)
{
	struct pages_stats s;
	uint64_t array_pages =
		ALIGN_UP(buddy_array_bytes(RAM_BYTES / PAGE_SIZE), PAGE_SIZE) / PAGE_SIZE;

	(void)state;
	pages_stats(&s);
	assert_int_equal(s.total, (RAM_BYTES - 2 * MIB) / PAGE_SIZE - 2 - array_pages);
	assert_int_equal(s.free, s.total);
	assert_int_equal(s.dirty, s.total);
}

static void hands_out_all_of_it_zero_and_nothing_that_is_taken(void **state)
{
	hpa_t hpa;

	(void)state;
	while ((hpa = pages_alloc(0)) != HPA_NONE) {
		assert_true(hpa >= MIB && hpa + PAGE_SIZE <= RAM_BYTES);
		assert_true(is_all(hpa, PAGE_SIZE, 0));
		memset(hva_of(hpa), 0xbb, PAGE_SIZE);
	}
	assert_true(is_all(0, MIB, 0xaa));
	assert_true(is_all(2 * MIB, MIB, 0xaa));  /* the image */
	assert_true(is_all(8 * MIB, 8192, 0xaa)); /* the module */
}

static void gives_back_zeroed_pages_that_somebody_used(void **state)
{
	struct pages_stats before, after;
	hpa_t hpa;

	(void)state;
	pages_stats(&before);
	for (unsigned i = 0; i < 100; i++) {
		hpa = pages_alloc(PAGE_ORDER_2M);
		assert_true(IS_ALIGNED(hpa, 2 * MIB));
		assert_true(is_all(hpa, 2 * MIB, 0));
		memset(hva_of(hpa), 0xcc, 2 * MIB);
		pages_free(hpa, PAGE_ORDER_2M);
	}
	pages_stats(&after);
	assert_int_equal(after.free, before.free);
}

static void scrubs_until_all_is_clean(void **state)
{
	struct pages_stats s;
	hpa_t hpa;

	(void)state;
	while (pages_scrub_some())
		;
	pages_stats(&s);
	assert_int_equal(s.dirty, 0);
	assert_int_equal(s.free, s.total);
	hpa = pages_alloc(PAGE_ORDER_2M + 3);
	assert_int_not_equal(hpa, HPA_NONE);
	assert_true(is_all(hpa, 16 * MIB, 0));
	pages_free(hpa, PAGE_ORDER_2M + 3);
	pages_stats(&s);
	assert_int_equal(s.dirty, 16 * MIB / PAGE_SIZE);
}

static void does_not_zero_clean_memory_again(void **state)
{
	hpa_t hpa;

	(void)state;
	while (pages_scrub_some())
		;
	ram[32 * MIB] = 1; /* what nobody may do: to see who clears it */
	while ((hpa = pages_alloc(PAGE_ORDER_2M)) != HPA_NONE)
		;
	assert_int_equal(ram[32 * MIB], 1);
}

static void translates_addresses_both_ways(void **state)
{
	(void)state;
	assert_ptr_equal(hva_of(0x1234), ram + 0x1234);
	assert_int_equal(hpa_of(ram + 0x1234), 0x1234);
	assert_int_equal(hpa_of((void *)(KERNEL_BASE + 0x200000)), 0x200000);
	EXPECT_ASSERT(hva_of(DIRECT_MAP_BYTES));
}

static void asserts_on_a_double_free_and_knows_orders(void **state)
{
	hpa_t hpa = pages_alloc(2);

	(void)state;
	assert_int_equal(pages_order_of(hpa), 2);
	assert_int_equal(pages_order_of(0), -1);
	pages_free(hpa, 2);
	EXPECT_ASSERT(pages_free(hpa, 2));
	lock_release(&lock); /* the assert fired under it */
	EXPECT_ASSERT(pages_free(hpa + 1, 0));
}

static void panics_when_there_is_no_room(void **state)
{
	(void)state;
	info.modules[0] = (struct boot_module){0, RAM_BYTES, "all"};
	EXPECT_ASSERT((memory_init(&info), 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_what_is_left_of_ram),
		TEST(hands_out_all_of_it_zero_and_nothing_that_is_taken),
		TEST(gives_back_zeroed_pages_that_somebody_used),
		TEST(scrubs_until_all_is_clean),
		TEST(does_not_zero_clean_memory_again),
		TEST(translates_addresses_both_ways),
		TEST(asserts_on_a_double_free_and_knows_orders),
		TEST(panics_when_there_is_no_room),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
