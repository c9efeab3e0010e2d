/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables as they should be, and as somebody might write them who means harm. */
#include "storage/gpt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

#define SECTORS 2048u
#define ENTRIES 128u
#define ENTRY	128u

static uint8_t header[512], table[ENTRIES * ENTRY];
static const uint8_t type_a[GPT_GUID_BYTES] = {1, 2, 3}, type_b[GPT_GUID_BYTES] = {4, 5, 6};

static uint32_t crc32(const uint8_t *at, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < 8 * len; i++) {
		uint32_t bit = (crc ^ at[i / 8] >> i % 8) & 1;

		crc = crc >> 1 ^ (bit ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void seal(void)
{
	put_le32(header + 88, crc32(table, sizeof(table)));
	put_le32(header + 16, 0);
	put_le32(header + 16, crc32(header, get_le32(header + 12)));
}

static void put_partition(uint32_t index, const uint8_t *type, uint64_t first, uint64_t last)
{
	memcpy(table + index * ENTRY, type, GPT_GUID_BYTES);
	put_le64(table + index * ENTRY + 32, first);
	put_le64(table + index * ENTRY + 40, last);
}

static int make(void **state)
{
	(void)state;
	memset(header, 0, sizeof(header));
	memset(table, 0, sizeof(table));
	memcpy(header, "EFI PART", 8);
	put_le32(header + 8, 0x10000);
	put_le32(header + 12, 92);
	put_le64(header + 24, 1);
	put_le64(header + 32, SECTORS - 1);
	put_le64(header + 40, 34);
	put_le64(header + 48, SECTORS - 34);
	put_le64(header + 72, 2);
	put_le32(header + 80, ENTRIES);
	put_le32(header + 84, ENTRY);
	put_partition(3, type_a, 34, 99);
	put_partition(127, type_b, 100, SECTORS - 34);
	seal();
	return 0;
}

static enum hv_err read_header(struct gpt *gpt)
{
	return gpt_read_header(header, sizeof(header), 1, SECTORS, gpt);
}

static void finds_partitions_by_type(void **state)
{
	struct gpt_partition part;
	struct gpt gpt;

	(void)state;
	assert_int_equal(read_header(&gpt), HV_OK);
	assert_int_equal(gpt.table_lba, 2);
	assert_int_equal(gpt_table_bytes(&gpt), sizeof(table));
	assert_int_equal(gpt_check_table(&gpt, table), HV_OK);
	assert_int_equal(gpt_find(&gpt, table, type_a, &part), HV_OK);
	assert_int_equal(part.first_lba, 34);
	assert_int_equal(part.nr_sectors, 66);
	assert_int_equal(gpt_find(&gpt, table, type_b, &part), HV_OK);
	assert_int_equal(part.first_lba, 100);
	assert_int_equal(part.nr_sectors, SECTORS - 34 - 99);
}

static void tells_none_from_a_broken_one(void **state)
{
	struct gpt gpt = {.table_lba = 77};

	(void)state;
	header[0] = 'e';
	assert_int_equal(read_header(&gpt), HV_ENOENT);
	header[0] = 'E';
	for (size_t i = 8; i < 92; i++) {
		header[i] ^= 0x40;
		assert_int_equal(read_header(&gpt), HV_EPROTO);
		header[i] ^= 0x40;
	}
	assert_int_equal(gpt.table_lba, 77); /* untouched on error */
	assert_int_equal(read_header(&gpt), HV_OK);
	table[5000] ^= 1;
	assert_int_equal(gpt_check_table(&gpt, table), HV_EPROTO);
}

/* All with a CRC that is right. */
static void refuses_what_does_not_lie_on_the_disk(void **state)
{
	static const struct {
		size_t at, bytes;
		uint64_t val;
	} rows[] = {
		{8, 4, 0x20000},       /* another revision */
		{12, 4, 91},	       /* too short */
		{12, 4, 513},	       /* longer than a sector */
		{12, 4, UINT32_MAX},   /* and far beyond */
		{24, 8, 2},	       /* the header of another sector */
		{40, 8, SECTORS - 33}, /* first behind last */
		{48, 8, SECTORS},      /* behind the end */
		{48, 8, UINT64_MAX},
		{72, 8, 1},	       /* the table on the header */
		{72, 8, SECTORS - 31}, /* and across the end */
		{72, 8, UINT64_MAX},
		{80, 4, 0},
		{80, 4, 513},	     /* 64 KiB and one more */
		{80, 4, 0x02000000}, /* wraps 32 bits */
		{84, 4, 0},
		{84, 4, 120},
		{84, 4, 132}, /* not a multiple of 8 */
		{84, 4, 0x80000000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct gpt gpt;

		make(state);
		memcpy(header + rows[i].at, &rows[i].val, rows[i].bytes);
		put_le32(header + 16, 0);
		put_le32(header + 16, crc32(header, MIN(get_le32(header + 12), sizeof(header))));
		assert_int_equal(read_header(&gpt), HV_EPROTO);
	}
}

static void refuses_partitions_beyond_the_usable_sectors(void **state)
{
	static const uint64_t rows[][2] = {
		{33, 99}, {34, SECTORS - 33}, {99, 98}, {0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}};
	struct gpt_partition part;
	struct gpt gpt;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make(state);
		put_partition(3, type_a, rows[i][0], rows[i][1]);
		seal();
		assert_int_equal(read_header(&gpt), HV_OK);
		assert_int_equal(gpt_find(&gpt, table, type_a, &part), HV_EPROTO);
		assert_int_equal(gpt_find(&gpt, table, type_b, &part), HV_OK);
	}
}

static void does_not_choose_between_two(void **state)
{
	struct gpt_partition part;
	struct gpt gpt;

	(void)state;
	put_partition(5, type_b, 34, 35);
	put_partition(3, type_b, 36, 37);
	seal();
	assert_int_equal(read_header(&gpt), HV_OK);
	assert_int_equal(gpt_find(&gpt, table, type_b, &part), HV_EEXIST);
	assert_int_equal(gpt_find(&gpt, table, type_a, &part), HV_ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(finds_partitions_by_type, make),
		cmocka_unit_test_setup(tells_none_from_a_broken_one, make),
		cmocka_unit_test_setup(refuses_what_does_not_lie_on_the_disk, make),
		cmocka_unit_test_setup(refuses_partitions_beyond_the_usable_sectors, make),
		cmocka_unit_test_setup(does_not_choose_between_two, make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
