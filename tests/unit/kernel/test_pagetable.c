/* SPDX-License-Identifier: Apache-2.0 */
/* Page tables: which page sizes are chosen, what is found again, and what is refused. */
#include "kernel/pagetable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NR_PAGES 16
#define VA	 0xffff800000000000ull

static struct tables {
	struct pagetable pt;
	uint64_t (*pages)[512]; /* the page at "physical" n * 4096 */
	unsigned used, max;
} t;

static uint64_t take_page(void *arg)
{
	(void)arg;
	return t.used < t.max ? t.used++ * 4096ull : ~0ull;
}

static void *hva_of(void *arg, uint64_t hpa)
{
	(void)arg;
	assert_true(hpa / 4096 < t.used);
	return t.pages[hpa / 4096];
}

static int make(void **state)
{
	(void)state;
	t.pages = aligned_alloc(4096, NR_PAGES * 4096);
	memset(t.pages, 0, NR_PAGES * 4096);
	t.used = 1; /* the root */
	t.max = NR_PAGES;
	t.pt = (struct pagetable){0, true, take_page, hva_of, NULL};
	return 0;
}

static int drop(void **state)
{
	(void)state;
	free(t.pages);
	return 0;
}

static void maps_a_single_page(void **state)
{
	uint64_t hpa, flags;

	(void)state;
	assert_int_equal(pagetable_map(&t.pt, VA + 0x5000, 0x123000, 4096, PTE_W | PTE_NX), HV_OK);
	assert_int_equal(t.used, 4);
	assert_true(pagetable_find(&t.pt, VA + 0x5678, &hpa, &flags));
	assert_int_equal(hpa, 0x123678);
	assert_int_equal(flags, PTE_W | PTE_NX);
	assert_false(pagetable_find(&t.pt, VA + 0x4fff, NULL, NULL));
	assert_false(pagetable_find(&t.pt, VA + 0x6000, NULL, NULL));
	assert_false(pagetable_find(&t.pt, 0, NULL, NULL));
}

static void writes_entries_as_the_manual_has_them(void **state)
{
	(void)state;
	assert_int_equal(pagetable_map(&t.pt, VA, 0x40000000, GIB, PTE_NX), HV_OK);
	assert_int_equal(t.pages[0][256], 0x1003);
	assert_int_equal(t.pages[1][0], 0x8000000040000081ull);
	assert_int_equal(pagetable_map(&t.pt, VA + GIB, 0x200000, 2 * MIB, PTE_W), HV_OK);
	assert_int_equal(t.pages[1][1], 0x2003);
	assert_int_equal(t.pages[2][0], 0x200083);
	assert_int_equal(pagetable_map(&t.pt, VA + GIB + 2 * MIB, 0x7000, 4096, 0), HV_OK);
	assert_int_equal(t.pages[2][1], 0x3003);
	assert_int_equal(t.pages[3][0], 0x7001);
}

static void uses_the_largest_pages_that_fit(void **state)
{
	uint64_t hpa;

	(void)state;
	/* From 1 GiB - 2 MiB - 4 KiB to 2 GiB + 4 KiB: one of each size below, one of 1 GiB, one
	 * above. */
	assert_int_equal(
		pagetable_map(&t.pt, VA + 0x3fdff000, 0x3fdff000, 0x80001000 - 0x3fdff000, 0),
		HV_OK);
	assert_int_equal(t.used, 6); /* root, PDPT, PD and PT below, PD and PT above */
	for (uint64_t at = 0x3fdff000; at < 0x80001000; at += 0x1ff000) {
		assert_true(pagetable_find(&t.pt, VA + at, &hpa, NULL));
		assert_int_equal(hpa, at);
	}
	assert_false(pagetable_find(&t.pt, VA + 0x3fdfefff, NULL, NULL));
	assert_false(pagetable_find(&t.pt, VA + 0x80001000, NULL, NULL));
}

static void does_without_1g_pages_where_the_cpu_has_none(void **state)
{
	(void)state;
	t.pt.has_1g_pages = false;
	assert_int_equal(pagetable_map(&t.pt, VA, 0, GIB, 0), HV_OK);
	assert_int_equal(t.used, 3);
	assert_int_equal(t.pages[2][511], 0x3fe00081);
}

static void keeps_to_small_pages_when_the_two_addresses_are_out_of_step(void **state)
{
	uint64_t hpa;

	(void)state;
	assert_int_equal(pagetable_map(&t.pt, VA, 0x1000, 2 * MIB, 0), HV_OK);
	assert_int_equal(t.used, 4);
	assert_true(pagetable_find(&t.pt, VA + 0x1ff123, &hpa, NULL));
	assert_int_equal(hpa, 0x200123);
}

static void refuses_what_is_mapped_already(void **state)
{
	(void)state;
	assert_int_equal(pagetable_map(&t.pt, VA, 0, 2 * MIB, 0), HV_OK);
	assert_int_equal(pagetable_map(&t.pt, VA, 0, 2 * MIB, 0), HV_EEXIST);
	assert_int_equal(pagetable_map(&t.pt, VA + 0x1000, 0, 4096, 0), HV_EEXIST);
	assert_int_equal(pagetable_map(&t.pt, VA + 2 * MIB, 0, 4096, 0), HV_OK);
	assert_int_equal(pagetable_map(&t.pt, VA + 2 * MIB, 0, 4096, 0), HV_EEXIST);
	assert_int_equal(pagetable_map(&t.pt, VA + 2 * MIB, 0, 2 * MIB, 0), HV_EEXIST);
}

static void says_when_there_is_no_page_for_a_table(void **state)
{
	(void)state;
	t.max = 3;
	assert_int_equal(pagetable_map(&t.pt, VA, 0, 4096, 0), HV_ENOMEM);
	t.max = 4;
	assert_int_equal(pagetable_map(&t.pt, VA, 0, 4096, 0), HV_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(maps_a_single_page, make, drop),
		cmocka_unit_test_setup_teardown(writes_entries_as_the_manual_has_them, make, drop),
		cmocka_unit_test_setup_teardown(uses_the_largest_pages_that_fit, make, drop),
		cmocka_unit_test_setup_teardown(does_without_1g_pages_where_the_cpu_has_none, make,
						drop),
		cmocka_unit_test_setup_teardown(
			keeps_to_small_pages_when_the_two_addresses_are_out_of_step, make, drop),
		cmocka_unit_test_setup_teardown(refuses_what_is_mapped_already, make, drop),
		cmocka_unit_test_setup_teardown(says_when_there_is_no_page_for_a_table, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
