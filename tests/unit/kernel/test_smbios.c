/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the machine's UUID in tables as firmware makes them, and in broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "kernel/smbios.h"

static uint8_t area[256];

static void close_sum(uint8_t *entry, size_t len, size_t at)
{
	uint8_t sum = 0;

	entry[at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + entry[i]);
	entry[at] = (uint8_t)-sum;
}

static void put_entry2(size_t at)
{
	memset(area, 0, sizeof(area));
	memcpy(area + at, "_SM_", 4);
	area[at + 5] = 31;
	memcpy(area + at + 16, "_DMI_", 5);
	put_le16(area + at + 22, 0x1b0);
	put_le32(area + at + 24, 0x000f5a20);
	close_sum(area + at, 31, 4);
}

static void finds_the_32_bit_entry_point(void **state)
{
	struct smbios_entry entry;

	(void)state;
	put_entry2(0x40);
	assert_true(smbios_find(area, sizeof(area), &entry));
	assert_int_equal(entry.table_hpa, 0xf5a20);
	assert_int_equal(entry.table_bytes, 0x1b0);
}

static void finds_the_64_bit_entry_point_and_bounds_its_table(void **state)
{
	struct smbios_entry entry;

	(void)state;
	memset(area, 0, sizeof(area));
	memcpy(area + 0x20, "_SM3_", 5);
	area[0x26] = 24;
	put_le32(area + 0x2c, 0xffffffff);
	put_le64(area + 0x30, 0x17f000000);
	close_sum(area + 0x20, 24, 5);
	assert_true(smbios_find(area, sizeof(area), &entry));
	assert_int_equal(entry.table_hpa, 0x17f000000);
	assert_int_equal(entry.table_bytes, SMBIOS_TABLE_MAX);
}

static void wants_alignment_and_checksum(void **state)
{
	struct smbios_entry entry;

	(void)state;
	put_entry2(0x48);
	assert_false(smbios_find(area, sizeof(area), &entry));
	put_entry2(0x40);
	area[0x50]++;
	assert_false(smbios_find(area, sizeof(area), &entry));
	put_entry2(0x40);
	assert_false(smbios_find(area, 0x40 + 30, &entry)); /* cut off */
}

/* A BIOS structure with one string, then a system structure with this UUID as stored. */
static size_t put_table(uint8_t *table, const uint8_t raw[16])
{
	static const uint8_t bios[] = {0, 6, 0, 0, 1, 0, 'x', 0, 0};
	size_t at = sizeof(bios);

	memcpy(table, bios, sizeof(bios));
	memset(table + at, 0, 64);
	table[at] = 1;
	table[at + 1] = 0x1b;
	memcpy(table + at + 8, raw, 16);
	return at + 0x1b + 2;
}

static void reads_the_uuid_in_network_order(void **state)
{
	/* The example of [SMBIOS] "System — UUID": 00112233-4455-6677-8899-AABBCCDDEEFF. */
	static const uint8_t raw[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
					0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	static const uint8_t expected[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	uint8_t table[128], uuid[16];
	size_t len;

	(void)state;
	len = put_table(table, raw);
	assert_true(smbios_uuid(table, len, uuid));
	assert_memory_equal(uuid, expected, 16);
	assert_false(smbios_uuid(table, len - 4, uuid));
}

static void takes_all_zeros_and_all_ones_as_none(void **state)
{
	uint8_t table[128], uuid[16], raw[16];

	(void)state;
	memset(raw, 0, 16);
	assert_false(smbios_uuid(table, put_table(table, raw), uuid));
	memset(raw, 0xff, 16);
	assert_false(smbios_uuid(table, put_table(table, raw), uuid));
}

/* On the heap and of just this size, so that a read behind the end is seen. */
static void reads_nothing_behind_the_end(void **state)
{
	static const uint8_t system[10] = {1, 10, 0, 0, 0, 0, 0, 0, 0xaa, 0xaa};
	struct smbios_entry entry;
	uint8_t *bytes = calloc(1, 24), uuid[16];

	(void)state;
	memcpy(bytes, "_SM3_", 5);
	bytes[6] = 255;
	assert_false(smbios_find(bytes, 24, &entry));
	bytes = realloc(bytes, sizeof(system));
	memcpy(bytes, system, sizeof(system));
	assert_false(smbios_uuid(bytes, sizeof(system), uuid)); /* from before there were UUIDs */
	free(bytes);
}

static void ends_on_a_structure_shorter_than_its_header(void **state)
{
	uint8_t table[16] = {2, 0}, uuid[16];

	(void)state;
	assert_false(smbios_uuid(table, sizeof(table), uuid));
	assert_false(smbios_uuid(table, 0, uuid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_32_bit_entry_point),
		cmocka_unit_test(finds_the_64_bit_entry_point_and_bounds_its_table),
		cmocka_unit_test(wants_alignment_and_checksum),
		cmocka_unit_test(reads_the_uuid_in_network_order),
		cmocka_unit_test(takes_all_zeros_and_all_ones_as_none),
		cmocka_unit_test(reads_nothing_behind_the_end),
		cmocka_unit_test(ends_on_a_structure_shorter_than_its_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
