/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept on the boot disk: the newest whole copy, whatever became of the other one. */
#include "storage/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint8_t disk[KEPT_COPIES][BOOT_DISK_KEPT_BYTES];
static const uint8_t *const copies[KEPT_COPIES] = {disk[0], disk[1]};
static struct kept kept;

static int start(void **state)
{
	(void)state;
	memset(disk, 0, sizeof(disk));
	return 0;
}

static void look(void)
{
	kept_find(copies, &kept);
}

/* As storage/node_kept.c does. */
static void keep(const char *text)
{
	look();
	kept_write(kept.number, text, (uint32_t)strlen(text),
		   disk[(kept.number + 1) % KEPT_COPIES]);
}

static void expect(const char *text)
{
	look();
	assert_int_equal(kept.len_bytes, strlen(text));
	assert_memory_equal(kept.bytes, text, strlen(text));
}

static void finds_nothing_on_a_new_disk(void **state)
{
	(void)state;
	look();
	assert_int_equal(kept.number, 0);
	assert_int_equal(kept.len_bytes, 0);
}

static void finds_the_newest(void **state)
{
	(void)state;
	keep("one");
	expect("one");
	keep("two");
	expect("two");
	keep("three");
	expect("three");
	assert_int_equal(kept.number, 3);
	assert_int_equal(kept.copy, 1);
}

static void an_empty_one_is_kept_too(void **state)
{
	(void)state;
	keep("one");
	keep("");
	look();
	assert_int_equal(kept.number, 2);
	assert_int_equal(kept.len_bytes, 0);
}

static void falls_back_to_the_copy_before(void **state)
{
	(void)state;
	keep("one");
	keep("two");
	for (size_t i = 0; i < KEPT_HEAD_BYTES + 3; i++) {
		uint8_t was = disk[0][i]; /* number 2 lies in copy 0 */

		disk[0][i] ^= 0x10;
		expect("one");
		disk[0][i] = was;
	}
	expect("two");
}

static void a_half_written_copy_does_not_count(void **state)
{
	uint8_t before[BOOT_DISK_KEPT_BYTES];

	(void)state;
	keep("one");
	keep("two");
	memcpy(before, disk[1], sizeof(before));
	keep("a much longer one than those");
	for (size_t cut = 512; cut < sizeof(before); cut += 512) {
		uint8_t whole[BOOT_DISK_KEPT_BYTES];

		memcpy(whole, disk[1], sizeof(whole));
		memcpy(disk[1] + cut, before + cut, sizeof(before) - cut);
		look(); /* the first sector has all of it, so it is whole: the new one, or the old
			 */
		assert_true(kept.number == 3 || kept.number == 2);
		memcpy(disk[1], whole, sizeof(whole));
	}
	memcpy(disk[1], before, 512);
	expect("two");
}

static void a_copy_in_the_wrong_place_does_not_count(void **state)
{
	(void)state;
	keep("one");
	memcpy(disk[0], disk[1], sizeof(disk[0]));
	memset(disk[1], 0, sizeof(disk[1]));
	look();
	assert_int_equal(kept.number, 0);
}

static void a_length_beyond_the_copy_does_not_count(void **state)
{
	(void)state;
	keep("one");
	disk[1][16] = disk[1][17] = disk[1][18] = disk[1][19] = 0xff;
	look();
	assert_int_equal(kept.number, 0);
}

static void keeps_as_much_as_there_is_room(void **state)
{
	static uint8_t bytes[KEPT_MAX];

	(void)state;
	memset(bytes, 0x5a, sizeof(bytes));
	kept_write(0, bytes, KEPT_MAX, disk[1]);
	look();
	assert_int_equal(kept.len_bytes, KEPT_MAX);
	assert_memory_equal(kept.bytes, bytes, KEPT_MAX);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_nothing_on_a_new_disk),
		TEST(finds_the_newest),
		TEST(an_empty_one_is_kept_too),
		TEST(falls_back_to_the_copy_before),
		TEST(a_half_written_copy_does_not_count),
		TEST(a_copy_in_the_wrong_place_does_not_count),
		TEST(a_length_beyond_the_copy_does_not_count),
		TEST(keeps_as_much_as_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
