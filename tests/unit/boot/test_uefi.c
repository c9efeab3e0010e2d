/* SPDX-License-Identifier: Apache-2.0 */
/* A memory map and a system table as UEFI leaves them, and broken ones. */
#include "boot/uefi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

#define MEMORY_HPA 0x7f000000ull

static struct boot_info info;
static uint8_t memory[1024];

static int start(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	memset(memory, 0, sizeof(memory));
	return 0;
}

/* ---- the memory map ---- */

struct row {
	uint32_t type;
	uint64_t base, nr_pages;
};

static enum hv_err add(const struct row *rows, size_t nr, uint32_t stride)
{
	uint8_t *map = calloc(nr, stride);
	enum hv_err err;

	for (size_t i = 0; i < nr; i++) {
		put_le32(map + i * stride, rows[i].type);
		put_le64(map + i * stride + 8, rows[i].base);
		put_le64(map + i * stride + 24, rows[i].nr_pages);
	}
	err = uefi_add_map(&info, map, nr * stride, stride);
	free(map);
	return err;
}

static void has_nothing_to_say_about_ram(void **state)
{
	static const struct row rows[] = {
		{1, 0x1000, 1}, {2, 0x2000, 1}, {3, 0x3000, 1}, {4, 0x4000, 1}, {7, 0x100000, 256}};

	(void)state;
	assert_int_equal(add(rows, ARRAY_SIZE(rows), 48), HV_OK);
	assert_int_equal(info.nr_ranges, 0);
}

static void keeps_what_firmware_keeps(void **state)
{
	static const struct row rows[] = {{5, 0x100000, 1}, {6, 0x200000, 1},  {8, 0x300000, 1},
					  {9, 0x400000, 1}, {10, 0x500000, 1}, {11, 0x600000, 1},
					  {0, 0x700000, 1}, {99, 0x800000, 1}};
	static const enum boot_range_type types[] = {
		RANGE_RESERVED, RANGE_RESERVED, RANGE_BAD,	RANGE_ACPI_RECLAIM,
		RANGE_ACPI_NVS, RANGE_RESERVED, RANGE_RESERVED, RANGE_RESERVED};

	(void)state;
	assert_int_equal(add(rows, ARRAY_SIZE(rows), 40), HV_OK);
	assert_int_equal(info.nr_ranges, ARRAY_SIZE(rows));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(info.ranges[i].base, rows[i].base);
		assert_int_equal(info.ranges[i].len_bytes, 4096);
		assert_int_equal(info.ranges[i].type, types[i]);
	}
}

static void cuts_what_would_wrap_and_refuses_short_descriptors(void **state)
{
	static const struct row row = {5, 0x100000, 0xffffffffffffffff};

	(void)state;
	assert_int_equal(add(&row, 1, 48), HV_OK);
	assert_int_equal(info.ranges[0].base + info.ranges[0].len_bytes, UINT64_MAX);
	assert_int_equal(uefi_add_map(&info, memory, sizeof(memory), 39), HV_EPROTO);
	assert_int_equal(uefi_add_map(&info, memory, sizeof(memory), 0), HV_EPROTO);
	assert_int_equal(uefi_add_map(&info, memory, 39, 40), HV_OK); /* none whole */
}

/* ---- the tables ---- */

static const void *map(void *arg, uint64_t hpa, uint64_t len_bytes)
{
	(void)arg;
	if (hpa < MEMORY_HPA || !range_fits(hpa - MEMORY_HPA, len_bytes, sizeof(memory)))
		return NULL;
	return memory + (hpa - MEMORY_HPA);
}

enum guid { ACPI10, ACPI20, SMBIOS2, SMBIOS3, OTHER };

/* As their texts are written: the first three fields are little-endian in memory. */
static const struct {
	uint32_t a;
	uint16_t b, c;
	uint8_t d[8];
} guids[] = {
	[ACPI10] = {0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0, 0x90, 0x27, 0x3f, 0xc1, 0x4d}},
	[ACPI20] = {0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0, 0x80, 0xc7, 0x3c, 0x88, 0x81}},
	[SMBIOS2] = {0xeb9d2d31, 0x2d88, 0x11d3, {0x9a, 0x16, 0, 0x90, 0x27, 0x3f, 0xc1, 0x4d}},
	[SMBIOS3] = {0xf2fd1544, 0x9794, 0x4a2c, {0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94}},
	[OTHER] = {0x49152e77, 0x1ada, 0x4764, {0xb7, 0xa2, 0x7a, 0xfe, 0xfe, 0xd9, 0x5e, 0x8b}},
};

/* A system table at 0x10, and behind it a configuration table for each guid: row i names i + 1. */
static void put_tables(const enum guid *rows, uint64_t nr)
{
	uint8_t *system = memory + 0x10;

	info.efi_system_hpa = MEMORY_HPA + 0x10;
	memcpy(system, "IBI SYST", 8);
	put_le64(system + 104, nr);
	put_le64(system + 112, MEMORY_HPA + 0x100);
	for (size_t i = 0; i < nr && 0x100 + 24 * (i + 1) <= sizeof(memory); i++) {
		uint8_t *at = memory + 0x100 + 24 * i;

		put_le32(at, guids[rows[i]].a);
		put_le16(at + 4, guids[rows[i]].b);
		put_le16(at + 6, guids[rows[i]].c);
		memcpy(at + 8, guids[rows[i]].d, 8);
		put_le64(at + 16, i + 1);
	}
}

static void finds_the_newer_of_each_in_either_order(void **state)
{
	static const enum guid old_first[] = {OTHER, ACPI10, SMBIOS2, SMBIOS3, ACPI20};
	static const enum guid new_first[] = {ACPI20, SMBIOS3, SMBIOS2, ACPI10, OTHER};

	(void)state;
	put_tables(old_first, 5);
	uefi_read_tables(&info, map, NULL);
	assert_int_equal(info.smbios_hpa, 4);
	assert_int_equal(info.rsdp_hpa, 5);
	put_tables(new_first, 5);
	uefi_read_tables(&info, map, NULL);
	assert_int_equal(info.smbios_hpa, 2);
	assert_int_equal(info.rsdp_hpa, 1);
}

static void makes_do_with_the_older_ones(void **state)
{
	static const enum guid rows[] = {SMBIOS2, ACPI10};

	(void)state;
	put_tables(rows, 2);
	uefi_read_tables(&info, map, NULL);
	assert_int_equal(info.smbios_hpa, 1);
	assert_int_equal(info.rsdp_hpa, 2);
}

static void leaves_the_loaders_rsdp(void **state)
{
	static const enum guid rows[] = {SMBIOS3, ACPI20};

	(void)state;
	put_tables(rows, 2);
	info.rsdp_copy_len = 36;
	uefi_read_tables(&info, map, NULL);
	assert_int_equal(info.smbios_hpa, 1);
	assert_int_equal(info.rsdp_hpa, 0);
}

static void finds_nothing_where_there_is_no_system_table(void **state)
{
	static const enum guid rows[] = {SMBIOS3};

	(void)state;
	uefi_read_tables(&info, map, NULL);
	info.efi_system_hpa = 1;
	uefi_read_tables(&info, map, NULL);
	put_tables(rows, 1);
	memory[0x10]++;
	uefi_read_tables(&info, map, NULL);
	info.efi_system_hpa = UINT64_MAX - 8;
	uefi_read_tables(&info, map, NULL);
	assert_int_equal(info.smbios_hpa, 0);
}

static void ends_where_the_memory_does(void **state)
{
	static enum guid rows[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = OTHER;
	rows[0] = SMBIOS2;
	put_tables(rows, 100);
	put_le64(memory + 0x10 + 104, UINT64_MAX);
	uefi_read_tables(&info, map, NULL);
	assert_int_equal(info.smbios_hpa, 1);
	put_le64(memory + 0x10 + 112, UINT64_MAX - 8);
	uefi_read_tables(&info, map, NULL);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(has_nothing_to_say_about_ram),
		TEST(keeps_what_firmware_keeps),
		TEST(cuts_what_would_wrap_and_refuses_short_descriptors),
		TEST(finds_the_newer_of_each_in_either_order),
		TEST(makes_do_with_the_older_ones),
		TEST(leaves_the_loaders_rsdp),
		TEST(finds_nothing_where_there_is_no_system_table),
		TEST(ends_where_the_memory_does),
	};

	return cmocka_run_group_tests_name("uefi", tests, NULL, NULL);
}
