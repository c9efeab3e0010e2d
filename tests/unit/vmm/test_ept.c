/* SPDX-License-Identifier: Apache-2.0 */
/* Nested page tables in an arena of pages that counts them and can run out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/ept.h"

#define ARENA_PAGES 128
#define ARENA_HPA   0x7000000000ull
#define RWX	    (EPT_READ | EPT_WRITE | EPT_EXEC)

struct arena {
	uint8_t pages[ARENA_PAGES][4096];
	bool is_taken[ARENA_PAGES];
	unsigned nr_taken, limit;
};

static uint64_t arena_take(void *arg)
{
	struct arena *a = arg;

	for (unsigned i = 0; i < ARENA_PAGES && a->nr_taken < a->limit; i++) {
		if (a->is_taken[i])
			continue;
		a->is_taken[i] = true;
		a->nr_taken++;
		memset(a->pages[i], 0, 4096);
		return ARENA_HPA + i * 4096;
	}
	return ~0ull;
}

static void arena_give_back(void *arg, uint64_t hpa)
{
	struct arena *a = arg;
	uint64_t i = (hpa - ARENA_HPA) / 4096;

	assert_true(i < ARENA_PAGES && a->is_taken[i]);
	a->is_taken[i] = false;
	a->nr_taken--;
}

static void *arena_hva_of(void *arg, uint64_t hpa)
{
	struct arena *a = arg;
	uint64_t i = (hpa - ARENA_HPA) / 4096;

	assert_true(i < ARENA_PAGES && a->is_taken[i]);
	return a->pages[i];
}

struct fixture {
	struct arena arena;
	struct ept *ept;
};

static struct fixture *make(const struct ept_format *format, enum ept_flags flags)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ept_pages pages = {arena_take, arena_give_back, arena_hva_of, &f->arena};

	f->arena.limit = ARENA_PAGES;
	assert_int_equal(ept_create(&pages, format, flags, &f->ept), HV_OK);
	return f;
}

static void drop(struct fixture *f)
{
	ept_destroy(f->ept);
	assert_int_equal(f->arena.nr_taken, 0);
	free(f);
}

/* The raw entry that maps gpa, found by hand. */
static uint64_t raw_entry(struct fixture *f, uint64_t gpa, unsigned level)
{
	uint64_t hpa = ept_root(f->ept), entry = 0;

	for (unsigned at = 4; at-- > level;) {
		entry = ((uint64_t *)arena_hva_of(&f->arena, hpa))[(gpa >> (12 + 9 * at)) & 511];
		hpa = entry & 0x000ffffffffff000ull;
	}
	return entry;
}

static void uses_the_largest_leaf_that_alignment_allows(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);
	struct ept_leaf leaf;

	(void)state;
	/* 4 KiB before a 2 MiB border, up to 4 KiB behind 2 GiB: every size on the way. */
	assert_int_equal(ept_map(f->ept, GIB - 2 * MIB - 4096, 5 * GIB - 2 * MIB - 4096,
				 GIB + 2 * MIB + 8192, RWX, EPT_WRITE_BACK),
			 HV_OK);
	assert_true(ept_translate(f->ept, GIB - 2 * MIB - 1, &leaf));
	assert_int_equal(leaf.size_bytes, 4096);
	assert_int_equal(leaf.hpa, 5 * GIB - 2 * MIB - 1);
	assert_true(ept_translate(f->ept, GIB - 1, &leaf));
	assert_int_equal(leaf.size_bytes, 2 * MIB);
	assert_true(ept_translate(f->ept, GIB + 12345, &leaf));
	assert_int_equal(leaf.size_bytes, GIB);
	assert_int_equal(leaf.hpa, 5 * GIB + 12345);
	assert_true(ept_translate(f->ept, 2 * GIB + 4095, &leaf));
	assert_int_equal(leaf.size_bytes, 4096);
	assert_false(ept_is_mapped(f->ept, 2 * GIB + 4096));
	assert_false(ept_is_mapped(f->ept, GIB - 2 * MIB - 4097));
	drop(f);
}

static void uses_no_1g_leaf_where_the_cpu_has_none(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITHOUT_1G);
	struct ept_leaf leaf;

	(void)state;
	assert_int_equal(ept_map(f->ept, 0, GIB, GIB, RWX, EPT_WRITE_BACK), HV_OK);
	assert_true(ept_translate(f->ept, 123, &leaf));
	assert_int_equal(leaf.size_bytes, 2 * MIB);
	drop(f);
}

static void keeps_to_small_leaves_when_hpa_is_not_aligned(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);
	struct ept_leaf leaf;

	(void)state;
	assert_int_equal(ept_map(f->ept, 2 * MIB, 4096, 2 * MIB, RWX, EPT_WRITE_BACK), HV_OK);
	assert_true(ept_translate(f->ept, 4 * MIB - 1, &leaf));
	assert_int_equal(leaf.size_bytes, 4096);
	assert_int_equal(leaf.hpa, 2 * MIB + 4095);
	drop(f);
}

static void writes_entries_as_the_sdm_lays_them_out(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);

	(void)state;
	assert_int_equal(ept_map(f->ept, 0, 8 * GIB, 2 * MIB, RWX, EPT_WRITE_BACK), HV_OK);
	assert_int_equal(
		ept_map(f->ept, 2 * MIB, 0xfee00000, 4096, EPT_READ | EPT_WRITE, EPT_UNCACHED),
		HV_OK);
	assert_int_equal(raw_entry(f, 0, 1), 8 * GIB | 0xb7);	       /* large, WB, RWX */
	assert_int_equal(raw_entry(f, 2 * MIB, 0), 0xfee00000 | 0x03); /* UC, RW */
	assert_int_equal(raw_entry(f, 0, 2) & 0xfff, 0x07);
	assert_int_equal(raw_entry(f, 4 * MIB, 1), 0); /* L1TF: no frame in what is not present */
	drop(f);
}

static void writes_entries_as_the_apm_lays_them_out(void **state)
{
	struct fixture *f = make(&ept_format_amd, EPT_WITH_1G);
	struct ept_leaf leaf;

	(void)state;
	assert_int_equal(ept_map(f->ept, 0, 8 * GIB, 2 * MIB, RWX, EPT_WRITE_BACK), HV_OK);
	assert_int_equal(ept_map(f->ept, 2 * MIB, 0xfee00000, 4096, EPT_READ, EPT_UNCACHED), HV_OK);
	assert_int_equal(raw_entry(f, 0, 1), 8 * GIB | 0x87);
	assert_int_equal(raw_entry(f, 2 * MIB, 0),
			 BIT(63) | 0xfee00000 | 0x1d); /* NX PCD PWT U P */
	assert_int_equal(raw_entry(f, 0, 2) & 0xfff, 0x07);
	assert_true(ept_translate(f->ept, 2 * MIB, &leaf));
	assert_int_equal(leaf.hpa, 0xfee00000);
	assert_int_equal(leaf.perms, EPT_READ);
	assert_int_equal(leaf.memtype, EPT_UNCACHED);
	assert_true(ept_translate(f->ept, 0, &leaf));
	assert_int_equal(leaf.perms, RWX);
	assert_int_equal(leaf.memtype, EPT_WRITE_BACK);
	drop(f);
}

static void refuses_to_map_what_is_mapped(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);
	unsigned nr_taken;

	(void)state;
	assert_int_equal(ept_map(f->ept, 8 * MIB, 8 * MIB, 4 * MIB, RWX, EPT_WRITE_BACK), HV_OK);
	nr_taken = f->arena.nr_taken;
	/* below a large leaf, over a table, ending in it, beginning in it */
	assert_int_equal(ept_map(f->ept, 8 * MIB + 4096, 0, 4096, RWX, EPT_WRITE_BACK), HV_EEXIST);
	assert_int_equal(ept_map(f->ept, 0, 0, GIB, RWX, EPT_WRITE_BACK), HV_EEXIST);
	assert_int_equal(ept_map(f->ept, 0, 0, 8 * MIB + 4096, RWX, EPT_WRITE_BACK), HV_EEXIST);
	assert_int_equal(ept_map(f->ept, 12 * MIB - 4096, 0, MIB, RWX, EPT_WRITE_BACK), HV_EEXIST);
	assert_int_equal(f->arena.nr_taken, nr_taken);
	assert_false(ept_is_mapped(f->ept, 0));
	assert_false(ept_is_mapped(f->ept, 12 * MIB));
	drop(f);
}

static void refuses_addresses_beyond_four_levels(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);

	(void)state;
	assert_int_equal(ept_map(f->ept, BIT(48) - 4096, 0, 8192, RWX, EPT_WRITE_BACK), HV_EINVAL);
	assert_int_equal(ept_map(f->ept, 0ull - 4096, 0, 4096, RWX, EPT_WRITE_BACK), HV_EINVAL);
	assert_int_equal(ept_unmap(f->ept, BIT(48), 4096), HV_EINVAL);
	assert_int_equal(ept_map(f->ept, BIT(48) - 4096, 0, 4096, RWX, EPT_WRITE_BACK), HV_OK);
	assert_true(ept_is_mapped(f->ept, BIT(48) - 1));
	assert_false(ept_is_mapped(f->ept, BIT(48)));
	assert_false(ept_is_mapped(f->ept, ~0ull));
	drop(f);
}

static void leaves_no_trace_when_pages_run_out_at_any_point(void **state)
{
	(void)state;
	for (unsigned more = 0; more < 12; more++) {
		struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);
		unsigned nr_taken;
		enum hv_err err;

		assert_int_equal(ept_map(f->ept, 4 * GIB, 0, 4096, RWX, EPT_WRITE_BACK), HV_OK);
		nr_taken = f->arena.nr_taken;
		f->arena.limit = nr_taken + more;
		/* across a 512 GiB border, not aligned with hpa: needs 7 tables */
		err = ept_map(f->ept, BIT(39) - 3 * MIB, 4096, 6 * MIB, RWX, EPT_WRITE_BACK);
		if (err == HV_OK) {
			assert_true(more >= 7);
		} else {
			assert_int_equal(err, HV_ENOMEM);
			assert_int_equal(f->arena.nr_taken, nr_taken);
			assert_false(ept_is_mapped(f->ept, BIT(39) - 3 * MIB));
		}
		assert_int_equal(ept_nr_pages(f->ept), f->arena.nr_taken);
		assert_true(ept_is_mapped(f->ept, 4 * GIB));
		drop(f);
	}
}

static void gives_tables_back_when_they_are_empty(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);

	(void)state;
	assert_int_equal(ept_map(f->ept, 2 * MIB - 4096, 4096, 4 * MIB, RWX, EPT_WRITE_BACK),
			 HV_OK);
	assert_int_equal(ept_nr_pages(f->ept), 6);
	assert_int_equal(ept_unmap(f->ept, 2 * MIB - 4096, 4096), HV_OK);
	assert_int_equal(ept_nr_pages(f->ept), 5);
	assert_int_equal(ept_unmap(f->ept, 2 * MIB, 4 * MIB - 4096), HV_OK);
	assert_int_equal(ept_nr_pages(f->ept), 1);
	assert_int_equal(ept_map(f->ept, 0, 0, GIB, RWX, EPT_WRITE_BACK), HV_OK);
	assert_int_equal(ept_nr_pages(f->ept), 2);
	drop(f);
}

static void unmaps_whole_leaves_or_nothing(void **state)
{
	struct fixture *f = make(&ept_format_intel, EPT_WITH_1G);

	(void)state;
	assert_int_equal(ept_map(f->ept, 0, 0, 4 * MIB, RWX, EPT_WRITE_BACK), HV_OK);
	assert_int_equal(ept_unmap(f->ept, 0, 2 * MIB + 4096), HV_EINVAL);
	assert_int_equal(ept_unmap(f->ept, 4096, 2 * MIB), HV_EINVAL);
	assert_int_equal(ept_unmap(f->ept, 0, 6 * MIB), HV_ENOENT);
	assert_true(ept_is_mapped(f->ept, 0));
	assert_int_equal(ept_unmap(f->ept, 0, 2 * MIB), HV_OK);
	assert_false(ept_is_mapped(f->ept, 2 * MIB - 1));
	assert_true(ept_is_mapped(f->ept, 2 * MIB));
	assert_int_equal(raw_entry(f, 0, 1), 0);
	drop(f);
}

static void fails_to_start_without_a_page(void **state)
{
	struct arena *a = calloc(1, sizeof(*a));
	struct ept_pages pages = {arena_take, arena_give_back, arena_hva_of, a};
	struct ept *ept = NULL;

	(void)state;
	assert_int_equal(ept_create(&pages, &ept_format_intel, EPT_WITH_1G, &ept), HV_ENOMEM);
	assert_null(ept);
	ept_destroy(NULL);
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uses_the_largest_leaf_that_alignment_allows),
		cmocka_unit_test(uses_no_1g_leaf_where_the_cpu_has_none),
		cmocka_unit_test(keeps_to_small_leaves_when_hpa_is_not_aligned),
		cmocka_unit_test(writes_entries_as_the_sdm_lays_them_out),
		cmocka_unit_test(writes_entries_as_the_apm_lays_them_out),
		cmocka_unit_test(refuses_to_map_what_is_mapped),
		cmocka_unit_test(refuses_addresses_beyond_four_levels),
		cmocka_unit_test(leaves_no_trace_when_pages_run_out_at_any_point),
		cmocka_unit_test(gives_tables_back_when_they_are_empty),
		cmocka_unit_test(unmaps_whole_leaves_or_nothing),
		cmocka_unit_test(fails_to_start_without_a_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
