/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map: order, overlap, joining, and a random run compared with a map of single units. */
#include "boot/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct boot_info info;

static int empty_map(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	return 0;
}

static void add(uint64_t base, uint64_t end, enum boot_range_type type)
{
	assert_int_equal(ranges_add(&info, base, end - base, type), HV_OK);
}

static void expect(uint32_t at, uint64_t base, uint64_t end, enum boot_range_type type)
{
	assert_true(at < info.nr_ranges);
	assert_int_equal(info.ranges[at].base, base);
	assert_int_equal(info.ranges[at].len_bytes, end - base);
	assert_int_equal(info.ranges[at].type, type);
}

static void sorts_whatever_the_order(void **state)
{
	(void)state;
	add(0x5000, 0x6000, RANGE_RAM);
	add(0x1000, 0x2000, RANGE_RESERVED);
	add(0x3000, 0x4000, RANGE_ACPI_NVS);
	assert_int_equal(info.nr_ranges, 3);
	expect(0, 0x1000, 0x2000, RANGE_RESERVED);
	expect(1, 0x3000, 0x4000, RANGE_ACPI_NVS);
	expect(2, 0x5000, 0x6000, RANGE_RAM);
}

static void joins_neighbours_of_one_type(void **state)
{
	(void)state;
	add(0x1000, 0x2000, RANGE_RAM);
	add(0x3000, 0x4000, RANGE_RAM);
	add(0x2000, 0x3000, RANGE_RAM);
	assert_int_equal(info.nr_ranges, 1);
	expect(0, 0x1000, 0x4000, RANGE_RAM);
}

static void lets_reserved_win_over_ram_whichever_came_first(void **state)
{
	(void)state;
	add(0x0000, 0x9000, RANGE_RAM);
	add(0x2000, 0x3000, RANGE_RESERVED);
	add(0x8000, 0xa000, RANGE_ACPI_NVS);
	add(0x1000, 0xb000, RANGE_RAM);
	assert_int_equal(info.nr_ranges, 5);
	expect(0, 0x0000, 0x2000, RANGE_RAM);
	expect(1, 0x2000, 0x3000, RANGE_RESERVED);
	expect(2, 0x3000, 0x8000, RANGE_RAM);
	expect(3, 0x8000, 0xa000, RANGE_ACPI_NVS);
	expect(4, 0xa000, 0xb000, RANGE_RAM);
}

static void covers_several_ranges_with_one(void **state)
{
	(void)state;
	add(0x1000, 0x2000, RANGE_RAM);
	add(0x3000, 0x4000, RANGE_BAD);
	add(0x5000, 0x6000, RANGE_RAM);
	add(0x0000, 0x7000, RANGE_RESERVED);
	assert_int_equal(info.nr_ranges, 3);
	expect(0, 0x0000, 0x3000, RANGE_RESERVED);
	expect(1, 0x3000, 0x4000, RANGE_BAD);
	expect(2, 0x4000, 0x7000, RANGE_RESERVED);
}

static void ignores_nothing_and_cuts_what_wraps(void **state)
{
	(void)state;
	add(0x1000, 0x1000, RANGE_RAM);
	assert_int_equal(info.nr_ranges, 0);
	assert_int_equal(ranges_add(&info, 0xfffffffffffff000, 0x2000, RANGE_RESERVED), HV_OK);
	expect(0, 0xfffffffffffff000, UINT64_MAX, RANGE_RESERVED);
}

static void refuses_one_more_than_fit_and_keeps_the_map(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < BOOT_RANGES_MAX; i++)
		add(i * 0x2000, i * 0x2000 + 0x1000, RANGE_RAM);
	assert_int_equal(ranges_add(&info, 0x800, 0x100, RANGE_RESERVED), HV_ENOMEM);
	assert_int_equal(info.nr_ranges, BOOT_RANGES_MAX);
	expect(0, 0, 0x1000, RANGE_RAM);
	assert_int_equal(ranges_add(&info, 0x1000, 0x1000, RANGE_RAM), HV_OK); /* joins two */
	assert_int_equal(info.nr_ranges, BOOT_RANGES_MAX - 1);
}

static void knows_the_e820_types(void **state)
{
	(void)state;
	assert_int_equal(ranges_type_of_e820(1), RANGE_RAM);
	assert_int_equal(ranges_type_of_e820(2), RANGE_RESERVED);
	assert_int_equal(ranges_type_of_e820(3), RANGE_ACPI_RECLAIM);
	assert_int_equal(ranges_type_of_e820(4), RANGE_ACPI_NVS);
	assert_int_equal(ranges_type_of_e820(5), RANGE_BAD);
	assert_int_equal(ranges_type_of_e820(7), RANGE_RESERVED); /* persistent memory */
	assert_int_equal(ranges_type_of_e820(0), RANGE_RESERVED);
}

static void tells_ram_from_what_is_not_all_ram(void **state)
{
	(void)state;
	add(0x1000, 0x3000, RANGE_RAM);
	add(0x3000, 0x4000, RANGE_RESERVED);
	assert_true(ranges_is_ram(&info, 0x1000, 0x2000));
	assert_false(ranges_is_ram(&info, 0x2000, 0x1001));
	assert_false(ranges_is_ram(&info, 0xfff, 2));
	assert_false(ranges_is_ram(&info, 0x3000, 1));
	assert_false(ranges_is_ram(&info, 0x2000, 0));
	assert_false(ranges_is_ram(&info, 0x2000, UINT64_MAX));
}

static void drops_modules_outside_of_ram_and_keeps_the_others_in_order(void **state)
{
	(void)state;
	add(0x1000, 0x9000, RANGE_RAM);
	info.nr_modules = 3;
	info.modules[0] = (struct boot_module){0x1000, 0x100, "first"};
	info.modules[1] = (struct boot_module){0x8fff, 0x100, "stray"};
	info.modules[2] = (struct boot_module){0x2000, 0x100, "last"};
	ranges_drop_stray_modules(&info);
	assert_int_equal(info.nr_modules, 2);
	assert_string_equal(info.modules[0].name, "first");
	assert_string_equal(info.modules[1].name, "last");
}

/* Ranks as boot/ranges.h orders the types; 0 is no range at all. */
static unsigned rank(enum boot_range_type type)
{
	static const enum boot_range_type order[] = {RANGE_RAM, RANGE_ACPI_RECLAIM, RANGE_ACPI_NVS,
						     RANGE_RESERVED, RANGE_BAD};
	unsigned at = 0;

	while (order[at] != type)
		at++;
	return at + 1;
}

static void agrees_with_a_map_of_single_units(void **state)
{
	(void)state;
	srand(2);
	for (unsigned round = 0; round < 300; round++) {
		unsigned units[100] = {0}, found[100] = {0};

		memset(&info, 0, sizeof(info));
		for (unsigned i = 0; i < 30; i++) {
			unsigned base = (unsigned)rand() % 90, len = (unsigned)rand() % 11;
			enum boot_range_type type = (enum boot_range_type)(rand() % 5);

			assert_int_equal(ranges_add(&info, base, len, type), HV_OK);
			for (unsigned u = base; u < base + len; u++)
				units[u] = MAX(units[u], rank(type));
		}
		for (uint32_t i = 0; i < info.nr_ranges; i++) {
			const struct boot_range *r = &info.ranges[i];

			assert_true(r->len_bytes > 0);
			if (i > 0)
				assert_true(r[-1].base + r[-1].len_bytes <= r->base);
			for (uint64_t u = r->base; u < r->base + r->len_bytes; u++)
				found[u] = rank(r->type);
		}
		assert_memory_equal(units, found, sizeof(units));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sorts_whatever_the_order, empty_map),
		cmocka_unit_test_setup(joins_neighbours_of_one_type, empty_map),
		cmocka_unit_test_setup(lets_reserved_win_over_ram_whichever_came_first, empty_map),
		cmocka_unit_test_setup(covers_several_ranges_with_one, empty_map),
		cmocka_unit_test_setup(ignores_nothing_and_cuts_what_wraps, empty_map),
		cmocka_unit_test_setup(refuses_one_more_than_fit_and_keeps_the_map, empty_map),
		cmocka_unit_test_setup(knows_the_e820_types, empty_map),
		cmocka_unit_test_setup(tells_ram_from_what_is_not_all_ram, empty_map),
		cmocka_unit_test_setup(drops_modules_outside_of_ram_and_keeps_the_others_in_order,
				       empty_map),
		cmocka_unit_test_setup(agrees_with_a_map_of_single_units, empty_map),
	};

	return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}
