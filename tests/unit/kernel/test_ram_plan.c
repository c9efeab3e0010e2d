/* SPDX-License-Identifier: Apache-2.0 */
/* What the allocator gets of a memory map: a PC's, a sparse one, and nonsense. */
#include "kernel/ram_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint64_t twelve_bytes_each(uint64_t nr_pages)
{
	return nr_pages * 12;
}

static void add(struct boot_info *info, uint64_t base, uint64_t end, enum boot_range_type type)
{
	info->ranges[info->nr_ranges++] = (struct boot_range){base, end - base, type};
}

static uint64_t bytes_of(const struct ram_plan *plan)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < plan->nr_spans; i++)
		bytes += plan->spans[i].end - plan->spans[i].base;
	return bytes;
}

static bool holds(const struct ram_plan *plan, uint64_t hpa)
{
	for (uint32_t i = 0; i < plan->nr_spans; i++)
		if (hpa >= plan->spans[i].base && hpa < plan->spans[i].end)
			return true;
	return false;
}

static struct ram_plan plan;

static void leaves_out_what_is_taken_and_its_own_array(void **state)
{
	struct boot_info info = {0};
	const struct ram_span taken[] = {
		{0, MIB}, {2 * MIB, 5 * MIB + 1}, {64 * MIB + 100, 64 * MIB + 200}};

	(void)state;
	add(&info, 0, 0x9fc00, RANGE_RAM);
	add(&info, 0x9fc00, 0xa0000, RANGE_RESERVED);
	add(&info, MIB, 128 * MIB, RANGE_RAM);
	add(&info, 128 * MIB, 129 * MIB, RANGE_ACPI_RECLAIM);
	assert_int_equal(ram_plan_make(&info, taken, 3, twelve_bytes_each, &plan), HV_OK);

	assert_int_equal(plan.nr_pages, 128 * MIB / 4096);
	assert_int_equal(plan.array_hpa, MIB);
	assert_false(holds(&plan, 0x1000));
	assert_false(holds(&plan, MIB)); /* the array: 384 KiB */
	assert_false(holds(&plan, MIB + 383 * KIB));
	assert_true(holds(&plan, MIB + 384 * KIB));
	assert_false(holds(&plan, 2 * MIB));
	assert_false(holds(&plan, 5 * MIB)); /* shares a page with the hole */
	assert_true(holds(&plan, 5 * MIB + 4096));
	assert_false(holds(&plan, 64 * MIB));
	assert_true(holds(&plan, 64 * MIB - 1));
	assert_true(holds(&plan, 64 * MIB + 4096));
	assert_false(holds(&plan, 128 * MIB));
	assert_int_equal(bytes_of(&plan), 127 * MIB - 384 * KIB - 3 * MIB - 2 * 4096);
}

static void uses_whole_pages_only(void **state)
{
	struct boot_info info = {0};

	(void)state;
	add(&info, 16 * MIB + 1, 17 * MIB - 1, RANGE_RAM);
	add(&info, 17 * MIB - 1, 17 * MIB, RANGE_RESERVED);
	assert_int_equal(ram_plan_make(&info, NULL, 0, twelve_bytes_each, &plan), HV_OK);
	assert_int_equal(plan.array_hpa, 16 * MIB + 4096);
	assert_int_equal(plan.spans[0].end, 17 * MIB - 4096);
}

static void leaves_out_ram_whose_place_would_cost_more_than_it_brings(void **state)
{
	struct boot_info info = {0};

	(void)state;
	add(&info, MIB, 256 * MIB, RANGE_RAM);
	add(&info, 15ull << 40, (15ull << 40) + MIB, RANGE_RAM);
	assert_int_equal(ram_plan_make(&info, NULL, 0, twelve_bytes_each, &plan), HV_OK);
	assert_int_equal(plan.nr_pages, 256 * MIB / 4096);
	assert_false(holds(&plan, 15ull << 40));
}

static void bounds_the_number_of_pages_for_absurd_sizes(void **state)
{
	struct boot_info info = {0};

	(void)state;
	add(&info, MIB, UINT64_MAX, RANGE_RAM);
	assert_int_equal(ram_plan_make(&info, NULL, 0, twelve_bytes_each, &plan), HV_OK);
	assert_int_equal(plan.nr_pages, RAM_END_MAX / 4096);
	assert_true(plan.nr_pages <= 0xffffffff);
}

static void survives_ranges_at_the_end_of_the_address_space(void **state)
{
	struct boot_info info = {0};

	(void)state;
	add(&info, MIB, 64 * MIB, RANGE_RAM);
	add(&info, UINT64_MAX - 100, UINT64_MAX, RANGE_RAM);
	assert_int_equal(ram_plan_make(&info, NULL, 0, twelve_bytes_each, &plan), HV_OK);
	assert_int_equal(plan.nr_spans, 1);
	assert_int_equal(plan.nr_pages, 64 * MIB / 4096);
}

static void takes_several_spans_away_at_once(void **state)
{
	struct boot_info info = {0};
	const struct ram_span taken = {MIB, 8 * MIB};

	(void)state;
	for (uint64_t i = 1; i < 12; i += 2)
		add(&info, i * MIB, (i + 1) * MIB, RANGE_RAM);
	assert_int_equal(ram_plan_make(&info, &taken, 1, twelve_bytes_each, &plan), HV_OK);
	assert_int_equal(plan.nr_spans, 2);
	assert_false(holds(&plan, 7 * MIB));
	assert_true(holds(&plan, 10 * MIB - 1));
}

static void says_when_there_is_no_room(void **state)
{
	struct boot_info info = {0};
	const struct ram_span all = {0, 64 * MIB};

	(void)state;
	add(&info, MIB, 64 * MIB, RANGE_RAM);
	assert_int_equal(ram_plan_make(&info, &all, 1, twelve_bytes_each, &plan), HV_ENOMEM);
}

static void cuts_every_hole_out_of_a_full_map(void **state)
{
	struct boot_info info = {0};
	struct ram_span taken[RAM_TAKEN_MAX - 1];

	(void)state;
	for (uint64_t i = 0; i < BOOT_RANGES_MAX; i++)
		add(&info, (2 * i + 2) * MIB, (2 * i + 3) * MIB, RANGE_RAM);
	for (uint64_t i = 0; i < RAM_TAKEN_MAX - 1; i++)
		taken[i] = (struct ram_span){(2 * i + 2) * MIB + 8192, (2 * i + 2) * MIB + 12288};
	assert_int_equal(ram_plan_make(&info, taken, RAM_TAKEN_MAX - 1, twelve_bytes_each, &plan),
			 HV_OK);
	for (uint32_t i = 0; i < RAM_TAKEN_MAX - 1; i++)
		assert_false(holds(&plan, taken[i].base));
	assert_int_equal(plan.nr_spans, BOOT_RANGES_MAX + RAM_TAKEN_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_out_what_is_taken_and_its_own_array),
		cmocka_unit_test(uses_whole_pages_only),
		cmocka_unit_test(leaves_out_ram_whose_place_would_cost_more_than_it_brings),
		cmocka_unit_test(bounds_the_number_of_pages_for_absurd_sizes),
		cmocka_unit_test(survives_ranges_at_the_end_of_the_address_space),
		cmocka_unit_test(takes_several_spans_away_at_once),
		cmocka_unit_test(says_when_there_is_no_room),
		cmocka_unit_test(cuts_every_hole_out_of_a_full_map),
	};

	return cmocka_run_group_tests_name("ram_plan", tests, NULL, NULL);
}
