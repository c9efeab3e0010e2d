/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers say of themselves, true and made up. */
#include "drivers/nvme_identify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

static uint8_t data[NVME_IDENTIFY_BYTES];

static int make_controller(void **state)
{
	(void)state;
	memset(data, 0, sizeof(data));
	memset(data + 4, ' ', 68);
	memcpy(data + 4, "  S4EWNX0M", 10);
	memcpy(data + 24, "Samsung SSD 970 EVO", 19);
	memcpy(data + 64, "2B2QEXE7", 8);
	data[77] = 5;
	data[512] = 0x66;
	data[513] = 0x44;
	put_le32(data + 516, 3);
	put_le16(data + 520, 0x5f);
	data[525] = 1;
	return 0;
}

static void reads_a_controllers_identity(void **state)
{
	struct nvme_controller_info info;

	(void)state;
	assert_int_equal(nvme_identify_controller(data, &info), HV_OK);
	assert_string_equal(info.serial, "S4EWNX0M");
	assert_string_equal(info.model, "Samsung SSD 970 EVO");
	assert_string_equal(info.firmware, "2B2QEXE7");
	assert_int_equal(info.max_bytes, 128 * KIB);
	assert_int_equal(info.nr_namespaces, 3);
	assert_true(info.has_volatile_cache && info.can_discard);
	data[525] = data[520] = 0;
	assert_int_equal(nvme_identify_controller(data, &info), HV_OK);
	assert_false(info.has_volatile_cache || info.can_discard);
}

static void shows_only_what_can_be_printed(void **state)
{
	struct nvme_controller_info info;

	(void)state;
	memcpy(data + 24, "a\033[2Jb\n\xff", 8);
	memset(data + 4, 0, 20);
	assert_int_equal(nvme_identify_controller(data, &info), HV_OK);
	assert_memory_equal(info.model, "a?[2Jb??", 8);
	assert_string_equal(info.serial, "");
	memset(data + 24, 'm', 40);
	assert_int_equal(nvme_identify_controller(data, &info), HV_OK);
	assert_int_equal(strlen(info.model), 40);
}

static void takes_no_limit_for_one_that_is_beyond_use(void **state)
{
	struct nvme_controller_info info;

	(void)state;
	data[77] = 0;
	assert_int_equal(nvme_identify_controller(data, &info), HV_OK);
	assert_int_equal(info.max_bytes, UINT32_MAX);
	data[77] = 255;
	assert_int_equal(nvme_identify_controller(data, &info), HV_OK);
	assert_int_equal(info.max_bytes, UINT32_MAX);
	data[77] = 1;
	assert_int_equal(nvme_identify_controller(data, &info), HV_OK);
	assert_int_equal(info.max_bytes, 8192);
}

static void refuses_queue_entries_of_other_sizes(void **state)
{
	struct nvme_controller_info info;

	(void)state;
	data[512] = 0x67;
	assert_int_equal(nvme_identify_controller(data, &info), HV_ENOTSUP);
}

static int make_namespace(void **state)
{
	(void)state;
	memset(data, 0, sizeof(data));
	put_le64(data, 1000);
	data[25] = 1;
	put_le32(data + 128, 9u << 16);
	put_le32(data + 132, 12u << 16);
	return 0;
}

static void reads_the_format_in_use(void **state)
{
	struct nvme_namespace_info info;

	(void)state;
	assert_int_equal(nvme_identify_namespace(data, &info), HV_OK);
	assert_int_equal(info.sector_bytes, 512);
	assert_int_equal(info.nr_sectors, 1000);
	assert_false(info.is_read_only);
	data[26] = 0x11; /* the second; where metadata would go does not matter */
	data[99] = 1;
	assert_int_equal(nvme_identify_namespace(data, &info), HV_OK);
	assert_int_equal(info.sector_bytes, 4096);
	assert_true(info.is_read_only);
	data[25] = 31; /* more than sixteen formats: two bits more choose */
	data[26] = 0x22;
	put_le32(data + 128 + 4 * 18, 12u << 16);
	assert_int_equal(nvme_identify_namespace(data, &info), HV_OK);
	assert_int_equal(info.sector_bytes, 4096);
}

static void refuses_formats_that_are_not_plain_sectors(void **state)
{
	struct nvme_namespace_info info;

	(void)state;
	put_le32(data + 128, 9u << 16 | 8);
	assert_int_equal(nvme_identify_namespace(data, &info), HV_ENOTSUP);
	assert_int_equal(info.metadata_bytes, 8);
	put_le32(data + 128, 13u << 16);
	assert_int_equal(nvme_identify_namespace(data, &info), HV_ENOTSUP);
	assert_int_equal(info.sector_bytes, 8192);
	put_le32(data + 128, 0xffu << 16);
	assert_int_equal(nvme_identify_namespace(data, &info), HV_ENOTSUP);
	data[26] = 2; /* of two formats the third */
	assert_int_equal(nvme_identify_namespace(data, &info), HV_EPROTO);
}

static void finds_no_namespace_where_none_is_active(void **state)
{
	struct nvme_namespace_info info;

	(void)state;
	memset(data, 0, sizeof(data));
	assert_int_equal(nvme_identify_namespace(data, &info), HV_ENOENT);
}

static void refuses_more_bytes_than_can_be_counted(void **state)
{
	struct nvme_namespace_info info;

	(void)state;
	put_le64(data, UINT64_MAX >> 9);
	assert_int_equal(nvme_identify_namespace(data, &info), HV_OK);
	put_le64(data, (UINT64_MAX >> 9) + 1);
	assert_int_equal(nvme_identify_namespace(data, &info), HV_EPROTO);
}

static void reads_the_health_log(void **state)
{
	struct block_health health;

	(void)state;
	memset(data, 0, NVME_LOG_BYTES);
	put_le16(data + 1, 273 + 41);
	data[3] = 99;
	data[5] = 107;
	put_le64(data + 128, 8760);
	put_le64(data + 144, 12);
	put_le64(data + 160, 3);
	nvme_health(data, &health);
	assert_true(health.is_known);
	assert_false(health.is_failing);
	assert_int_equal(health.temperature_c, 41);
	assert_int_equal(health.spare_percent, 99);
	assert_int_equal(health.used_percent, 107);
	assert_int_equal(health.power_on_hours, 8760);
	assert_int_equal(health.unsafe_shutdowns, 12);
	assert_int_equal(health.media_errors, 3);

	data[0] = 0x02; /* too hot is not failing */
	put_le16(data + 1, 0);
	data[160 + 8] = 1;
	nvme_health(data, &health);
	assert_false(health.is_failing);
	assert_int_equal(health.temperature_c, 0);
	assert_int_equal(health.media_errors, UINT64_MAX);
	data[0] = 0x08;
	nvme_health(data, &health);
	assert_true(health.is_failing);
}

#define CTRL(name) cmocka_unit_test_setup(name, make_controller)
#define NS(name)   cmocka_unit_test_setup(name, make_namespace)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CTRL(reads_a_controllers_identity),
		CTRL(shows_only_what_can_be_printed),
		CTRL(takes_no_limit_for_one_that_is_beyond_use),
		CTRL(refuses_queue_entries_of_other_sizes),
		NS(reads_the_format_in_use),
		NS(refuses_formats_that_are_not_plain_sectors),
		NS(finds_no_namespace_where_none_is_active),
		NS(refuses_more_bytes_than_can_be_counted),
		NS(reads_the_health_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
