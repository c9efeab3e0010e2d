/* SPDX-License-Identifier: Apache-2.0 */
/* Who a machine is, in tables as firmware makes them, and in broken ones. */
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

static uint8_t table[256];
static size_t table_len;

/* A structure of len bytes in all, its fields from body on, and its strings. */
static void put_struct(uint8_t type, uint8_t len, const uint8_t *body, size_t body_len,
		       const char *const *strings)
{
	uint8_t *at = table + table_len;

	memset(at, 0, len);
	at[0] = type;
	at[1] = len;
	memcpy(at + 4, body, body_len);
	at += len;
	for (; *strings; strings++)
		at = (uint8_t *)memcpy(at, *strings, strlen(*strings) + 1) + strlen(*strings) + 1;
	if (at == table + table_len + len)
		*at++ = 0;
	*at++ = 0;
	table_len = (size_t)(at - table);
}

/* A BIOS structure, then a system structure with this UUID as stored, as firmware has them. */
static void put_table(const uint8_t raw[16])
{
	static const uint8_t bios[] = {1, 3, 0, 0, 2};
	uint8_t system[20] = {1, 2, 0, 3};

	table_len = 0;
	memcpy(system + 4, raw, 16);
	put_struct(0, 0x18, bios, sizeof(bios),
		   (const char *const[]){"EFI Development Kit", "02/02/2022", "1.2.3", NULL});
	put_struct(1, 0x1b, system, sizeof(system),
		   (const char *const[]){"ACME  ", "Anvil\t9000", "4711", NULL});
}

static struct smbios_info info;

/* An exactly sized copy, so that reading past it is seen. */
static void parse(size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, table, len);
	memset(&info, 0xee, sizeof(info));
	smbios_parse(copy, len, &info);
	free(copy);
}

/* The example of [SMBIOS] "System — UUID": 00112233-4455-6677-8899-AABBCCDDEEFF. */
static const uint8_t raw_uuid[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
				     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static void reads_the_uuid_in_network_order(void **state)
{
	static const uint8_t expected[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

	(void)state;
	put_table(raw_uuid);
	parse(table_len);
	assert_true(info.has_uuid);
	assert_memory_equal(info.uuid, expected, 16);
}

static void reads_the_names_of_firmware_and_machine(void **state)
{
	(void)state;
	put_table(raw_uuid);
	parse(table_len);
	assert_string_equal(info.bios_vendor, "EFI Development Kit");
	assert_string_equal(info.bios_version, "1.2.3");
	assert_string_equal(info.manufacturer, "ACME");
	assert_string_equal(info.product, "Anvil?9000");
}

static void has_empty_texts_for_strings_that_are_not_there(void **state)
{
	static const uint8_t bios[] = {0, 9}, system[] = {1, 255};

	(void)state;
	table_len = 0;
	put_struct(0, 0x18, bios, sizeof(bios), (const char *const[]){"x", NULL});
	put_struct(1, 6, system, sizeof(system), (const char *const[]){NULL});
	parse(table_len);
	assert_string_equal(info.bios_vendor, "");
	assert_string_equal(info.bios_version, "");
	assert_string_equal(info.manufacturer, "");
	assert_string_equal(info.product, "");
	assert_false(info.has_uuid); /* from before there were UUIDs */
}

static void cuts_long_strings(void **state)
{
	static const uint8_t bios[] = {1};
	char text[100];

	(void)state;
	memset(text, 'v', sizeof(text));
	text[99] = '\0';
	table_len = 0;
	put_struct(0, 0x18, bios, sizeof(bios), (const char *const[]){text, NULL});
	parse(table_len);
	assert_int_equal(strlen(info.bios_vendor), sizeof(info.bios_vendor) - 1);
}

static void takes_all_zeros_and_all_ones_as_no_uuid(void **state)
{
	uint8_t raw[16];

	(void)state;
	memset(raw, 0, 16);
	put_table(raw);
	parse(table_len);
	assert_false(info.has_uuid);
	memset(raw, 0xff, 16);
	put_table(raw);
	parse(table_len);
	assert_false(info.has_uuid);
	assert_string_equal(info.manufacturer, "ACME");
}

static void reads_nothing_behind_the_end_wherever_that_is(void **state)
{
	struct smbios_entry entry;
	uint8_t *bytes = calloc(1, 24);

	(void)state;
	memcpy(bytes, "_SM3_", 5);
	bytes[6] = 255;
	assert_false(smbios_find(bytes, 24, &entry));
	free(bytes);
	put_table(raw_uuid);
	for (size_t len = 0; len < table_len; len++)
		parse(len);
}

static void ends_on_a_structure_shorter_than_its_header(void **state)
{
	(void)state;
	memset(table, 0, sizeof(table));
	table[0] = 2;
	parse(16);
	assert_false(info.has_uuid);
}

/* Memory with an entry point at 0x20 of some page, and a table behind it. */
static uint64_t map_base;

static const void *map(void *arg, uint64_t hpa, uint64_t len_bytes)
{
	(void)arg;
	if (hpa < map_base || !range_fits(hpa - map_base, len_bytes, sizeof(area)))
		return NULL;
	return area + (hpa - map_base);
}

static void follows_the_address_that_uefi_gives(void **state)
{
	(void)state;
	map_base = 0x7f000000;
	put_table(raw_uuid);
	put_entry2(0x20);
	put_le16(area + 0x20 + 22, (uint16_t)table_len);
	put_le32(area + 0x20 + 24, (uint32_t)map_base + 0x50);
	close_sum(area + 0x20, 31, 4);
	memcpy(area + 0x50, table, table_len);
	assert_true(smbios_read(map_base + 0x20, map, NULL, &info));
	assert_string_equal(info.manufacturer, "ACME");

	assert_false(smbios_read(map_base + 0x30, map, NULL, &info));
	assert_string_equal(info.manufacturer, "");
	assert_false(smbios_read(0x1000, map, NULL, &info));
	assert_false(smbios_read(0, map, NULL, &info)); /* no BIOS area in this memory */
	put_le32(area + 0x20 + 24, 0x1000);
	close_sum(area + 0x20, 31, 4);
	assert_false(smbios_read(map_base + 0x20, map, NULL, &info));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_32_bit_entry_point),
		cmocka_unit_test(finds_the_64_bit_entry_point_and_bounds_its_table),
		cmocka_unit_test(wants_alignment_and_checksum),
		cmocka_unit_test(reads_the_uuid_in_network_order),
		cmocka_unit_test(reads_the_names_of_firmware_and_machine),
		cmocka_unit_test(has_empty_texts_for_strings_that_are_not_there),
		cmocka_unit_test(cuts_long_strings),
		cmocka_unit_test(takes_all_zeros_and_all_ones_as_no_uuid),
		cmocka_unit_test(reads_nothing_behind_the_end_wherever_that_is),
		cmocka_unit_test(ends_on_a_structure_shorter_than_its_header),
		cmocka_unit_test(follows_the_address_that_uefi_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
