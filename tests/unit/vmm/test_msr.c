/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/msr.h"

static void is_sorted_without_overlap(void **state)
{
	(void)state;
	for (size_t i = 0; i < msr_nr_rows(); i++) {
		const struct msr_row *row = msr_row_at(i);

		assert_true(row->nr >= 1 && row->name && row->kind < MSR_KINDS);
		if (i)
			assert_true(msr_row_at(i - 1)->index + msr_row_at(i - 1)->nr <= row->index);
	}
}

static void finds_every_row_and_nothing_between(void **state)
{
	(void)state;
	for (size_t i = 0; i < msr_nr_rows(); i++) {
		const struct msr_row *row = msr_row_at(i);

		assert_ptr_equal(msr_find(row->index), row);
		assert_ptr_equal(msr_find(row->index + row->nr - 1), row);
		if (i + 1 == msr_nr_rows() || msr_row_at(i + 1)->index != row->index + row->nr)
			assert_null(msr_find(row->index + row->nr));
	}
	assert_null(msr_find(0));
	assert_null(msr_find(~0u));
}

static void gives_stored_rows_a_slot_each(void **state)
{
	bool is_used[MSR_STORE_MAX] = {false};

	(void)state;
	for (size_t i = 0; i < msr_nr_rows(); i++) {
		const struct msr_row *row = msr_row_at(i);
		bool needs_slot = row->kind == MSR_STORED || row->kind == MSR_TSC_ADJUST;

		assert_int_equal(row->slot != 0, needs_slot);
		if (!needs_slot)
			continue;
		assert_true(row->slot < MSR_STORE_MAX && !is_used[row->slot]);
		is_used[row->slot] = true;
	}
}

static void resets_to_values_that_could_be_written(void **state)
{
	uint64_t store[MSR_STORE_MAX];

	(void)state;
	memset(store, 0xff, sizeof(store));
	msr_store_reset(store);
	for (size_t i = 0; i < msr_nr_rows(); i++)
		if (msr_row_at(i)->kind == MSR_STORED)
			assert_true(
				msr_may_write(msr_row_at(i), msr_store_read(store, msr_row_at(i))));
	assert_int_equal(msr_store_read(store, msr_find(0x2ff)), 0x806);
}

static void hides_what_cannot_be_kept(void **state)
{
	/* SPEC_CTRL, PRED_CMD, ARCH_CAPABILITIES, perfmon, RAPL, VMX, SMBASE, VM_CR, VM_HSAVE_PA */
	static const uint32_t hidden[] = {0x48,	 0x49,	0x10a, 0xc1,	   0x186,      0x38f, 0x606,
					  0x480, 0x48b, 0x9e,  0xc0010114, 0xc0010117, 0xe7,  0xe8};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		assert_null(msr_find(hidden[i]));
}

static void passes_only_what_the_backend_switches(void **state)
{
	static const uint32_t passed[] = {0x174,      0x175,	  0x176,      0x277,
					  0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
					  0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103};
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < msr_nr_rows(); i++) {
		const struct msr_row *row = msr_row_at(i);

		if (row->kind != MSR_PASS_THROUGH)
			continue;
		assert_int_equal(row->nr, 1);
		assert_true(at < ARRAY_SIZE(passed));
		assert_int_equal(row->index, passed[at++]);
	}
	assert_int_equal(at, ARRAY_SIZE(passed));
}

static void refuses_values_with_reserved_bits(void **state)
{
	uint64_t store[MSR_STORE_MAX];

	(void)state;
	msr_store_reset(store);
	assert_true(msr_store_write(store, msr_find(0x200), 0xc0000006));
	assert_int_equal(msr_store_read(store, msr_find(0x200)), 0xc0000006);
	assert_false(msr_store_write(store, msr_find(0x200), 0xc0000002)); /* no such type */
	assert_false(msr_store_write(store, msr_find(0x200), 0xc0000106));
	assert_false(msr_store_write(store, msr_find(0x250), 0x0606060607060606));
	assert_true(msr_store_write(store, msr_find(0x250), 0x0606060601040506));
	assert_false(msr_store_write(store, msr_find(0xfe), 0x508)); /* read-only */
	assert_false(msr_store_write(store, msr_find(0x3a), 5));
	assert_false(msr_store_write(store, msr_find(0xda0), 1 << 8));
	assert_true(msr_store_write(store, msr_find(0xda0), 0));
	assert_false(msr_may_write(msr_find(MSR_IA32_EFER), 1 << 12)); /* SVME */
	assert_true(msr_may_write(msr_find(MSR_IA32_EFER), 0xd01));
	assert_int_equal(msr_store_read(store, msr_find(0x200)), 0xc0000006);
}

static void swallows_writes_to_ignored_rows(void **state)
{
	uint64_t store[MSR_STORE_MAX];

	(void)state;
	msr_store_reset(store);
	assert_true(msr_store_write(store, msr_find(0x8b), 0));
	assert_int_equal(msr_store_read(store, msr_find(0x8b)), 1ull << 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_sorted_without_overlap),
		cmocka_unit_test(finds_every_row_and_nothing_between),
		cmocka_unit_test(gives_stored_rows_a_slot_each),
		cmocka_unit_test(resets_to_values_that_could_be_written),
		cmocka_unit_test(hides_what_cannot_be_kept),
		cmocka_unit_test(passes_only_what_the_backend_switches),
		cmocka_unit_test(refuses_values_with_reserved_bits),
		cmocka_unit_test(swallows_writes_to_ignored_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
