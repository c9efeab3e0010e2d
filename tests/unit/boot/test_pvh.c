/* SPDX-License-Identifier: Apache-2.0 */
/* A PVH start info in a few KiB of physical memory at 0x10000. */
#include "boot/pvh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_phys.h"

#define BASE	0x10000u
#define INFO	0x10000u
#define MMAP	0x10100u
#define MODULES 0x10800u
#define CMDLINE 0x11000u
#define NAME	(CMDLINE + 0xf00u)

static uint8_t bytes[0x20000];
static struct fake_phys phys = {.base = BASE, .len_bytes = sizeof(bytes), .bytes = bytes};
static struct boot_info info;

static uint8_t *at(uint64_t hpa)
{
	return bytes + (hpa - BASE);
}

static void put_range(unsigned index, uint64_t base, uint64_t len_bytes, uint32_t type)
{
	put_le64(at(MMAP) + 24 * index, base);
	put_le64(at(MMAP) + 24 * index + 8, len_bytes);
	put_le32(at(MMAP) + 24 * index + 16, type);
}

/* What qemu -kernel -initrd gives. */
static int start(void **state)
{
	(void)state;
	memset(bytes, 0, sizeof(bytes));
	memset(&info, 0xee, sizeof(info));
	put_le32(at(INFO), 0x336ec578);
	put_le32(at(INFO) + 4, 1); /* version */
	put_le32(at(INFO) + 12, 1);
	put_le64(at(INFO) + 16, MODULES);
	put_le64(at(INFO) + 24, CMDLINE);
	put_le64(at(INFO) + 32, 0xf5ad0);
	put_le64(at(INFO) + 40, MMAP);
	put_le32(at(INFO) + 48, 3);
	put_range(0, 0, 0x9fc00, 1);
	put_range(1, 0x100000, 0x7ee0000, 1);
	put_range(2, 0xfffc0000, 0x40000, 2);
	put_le64(at(MODULES), 0x7000000);
	put_le64(at(MODULES) + 8, 1234);
	put_le64(at(MODULES) + 16, NAME);
	strcpy((char *)at(CMDLINE), "log=debug");
	strcpy((char *)at(NAME), "node.conf");
	return 0;
}

static enum hv_err parse(void)
{
	enum hv_err err = pvh_parse(INFO, fake_phys_map, &phys, &info);

	fake_phys_unmap(&phys);
	return err;
}

static void reads_what_qemu_leaves(void **state)
{
	(void)state;
	assert_int_equal(parse(), HV_OK);
	assert_string_equal(info.protocol, "pvh");
	assert_string_equal(info.cmdline, "log=debug");
	assert_int_equal(info.rsdp_hpa, 0xf5ad0);
	assert_int_equal(info.nr_ranges, 3);
	assert_int_equal(info.ranges[1].len_bytes, 0x7ee0000);
	assert_int_equal(info.ranges[2].type, RANGE_RESERVED);
	assert_int_equal(info.nr_modules, 1);
	assert_int_equal(info.modules[0].hpa, 0x7000000);
	assert_int_equal(info.modules[0].len_bytes, 1234);
	assert_string_equal(info.modules[0].name, "node.conf");
}

static void takes_no_modules_and_no_command_line(void **state)
{
	(void)state;
	put_le32(at(INFO) + 12, 0);
	put_le64(at(INFO) + 24, 0);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_modules, 0);
	assert_string_equal(info.cmdline, "");
}

static void cuts_text_where_memory_or_room_ends(void **state)
{
	(void)state;
	memset(at(CMDLINE), 'x', 0x1000); /* and the name */
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(strlen(info.cmdline), sizeof(info.cmdline) - 1);
	assert_int_equal(strlen(info.modules[0].name), sizeof(info.modules[0].name) - 1);
	start(state);
	put_le64(at(INFO) + 24, BASE + sizeof(bytes) - 3);
	memset(at(BASE + sizeof(bytes) - 3), 'y', 3);
	assert_int_equal(parse(), HV_OK);
	assert_string_equal(info.cmdline, "yyy");
}

static void refuses_a_wrong_magic_and_version_0(void **state)
{
	(void)state;
	put_le32(at(INFO) + 4, 0);
	assert_int_equal(parse(), HV_ENOTSUP);
	put_le32(at(INFO), 0x336ec579);
	assert_int_equal(parse(), HV_EPROTO);
}

static void refuses_tables_outside_of_memory(void **state)
{
	static const struct {
		unsigned field;
		uint64_t hpa;
	} rows[] = {{40, 0}, {40, BASE + sizeof(bytes) - 71}, {40, UINT64_MAX - 8},
		    {16, 0}, {16, BASE + sizeof(bytes) - 31}, {16, UINT64_MAX - 8}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(state);
		put_le64(at(INFO) + rows[i].field, rows[i].hpa);
		assert_int_equal(parse(), HV_EPROTO);
	}
	assert_int_equal(pvh_parse(BASE + sizeof(bytes) - 55, fake_phys_map, &phys, &info),
			 HV_EPROTO);
	fake_phys_unmap(&phys);
}

static void refuses_an_absurd_or_empty_memory_map(void **state)
{
	(void)state;
	put_le32(at(INFO) + 48, 0);
	assert_int_equal(parse(), HV_EPROTO);
	put_le32(at(INFO) + 48, 0xffffffff);
	assert_int_equal(parse(), HV_EPROTO);
	start(state);
	put_le32(at(INFO) + 12, 0);
	put_le32(at(INFO) + 48, 4097); /* they would all fit in memory */
	put_le64(at(INFO) + 24, 0);
	assert_int_equal(parse(), HV_EPROTO);
	start(state);
	for (unsigned i = 0; i < 3; i++)
		put_range(i, 0x1000, 0, 1);
	assert_int_equal(parse(), HV_EPROTO);
}

static void bounds_the_number_of_modules(void **state)
{
	(void)state;
	put_le32(at(INFO) + 12, 0xffffffff);
	for (unsigned i = 0; i < BOOT_MODULES_MAX; i++) {
		put_le64(at(MODULES) + 32 * i, 0x200000 + i * 0x1000);
		put_le64(at(MODULES) + 32 * i + 8, 0x1000);
	}
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_modules, BOOT_MODULES_MAX);
}

static void leaves_out_modules_that_wrap_or_are_not_in_ram(void **state)
{
	(void)state;
	put_le64(at(MODULES) + 8, UINT64_MAX);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_modules, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_what_qemu_leaves),
		TEST(takes_no_modules_and_no_command_line),
		TEST(cuts_text_where_memory_or_room_ends),
		TEST(refuses_a_wrong_magic_and_version_0),
		TEST(refuses_tables_outside_of_memory),
		TEST(refuses_an_absurd_or_empty_memory_map),
		TEST(bounds_the_number_of_modules),
		TEST(leaves_out_modules_that_wrap_or_are_not_in_ram),
	};

	return cmocka_run_group_tests_name("pvh", tests, NULL, NULL);
}
