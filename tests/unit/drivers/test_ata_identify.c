/* SPDX-License-Identifier: Apache-2.0 */
/* IDENTIFY and SMART data as disks give them, and as no disk should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/ata_cmd.h"
#include "kernel/lib/bytes.h"

static uint8_t data[ATA_DATA_BYTES];
static struct ata_identity id;

static void put(uint32_t word, uint16_t val)
{
	put_le16(data + 2 * (size_t)word, val);
}

/* As in IDENTIFY data: the first of two characters above the second. */
static void put_text(uint32_t word, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[2 * word + (i ^ 1)] = i < strlen(text) ? (uint8_t)text[i] : ' ';
}

static void sign(void)
{
	uint8_t sum = 0;

	data[510] = 0xa5;
	data[511] = 0;
	for (int i = 0; i < 511; i++)
		sum = (uint8_t)(sum + data[i]);
	data[511] = (uint8_t)-sum;
}

/* An SSD of 1 TB with everything. */
static int make_disk(void **state)
{
	(void)state;
	memset(data, 0, sizeof(data));
	put(0, 0x0040);
	put_text(10, "  S4EVNX0R123456", 20);
	put_text(23, "RVT04B6Q", 8);
	put_text(27, "Disk of Glass 1TB", 40);
	put(49, 0x2f00);
	put(60, 0xffff);
	put(61, 0x0fff);
	put(75, 31);
	put(76, 0x010e);
	put(82, 0x0021);
	put(83, 0x7400);
	put(84, 0x4000);
	put(85, 0x0021);
	put(86, 0x3400);
	put(87, 0x4000);
	put_le64(data + 200, 1953525168);
	put(106, 0x4000);
	put(169, 1);
	put(217, 1);
	sign();
	memset(&id, 0, sizeof(id));
	return 0;
}

static void reads_what_a_disk_says(void **state)
{
	(void)state;
	assert_int_equal(ata_identify(data, &id), HV_OK);
	assert_string_equal(id.model, "Disk of Glass 1TB");
	assert_string_equal(id.serial, "S4EVNX0R123456");
	assert_string_equal(id.firmware, "RVT04B6Q");
	assert_int_equal(id.nr_sectors, 1953525168);
	assert_int_equal(id.sector_bytes, 512);
	assert_int_equal(id.queue_depth, 32);
	assert_true(id.has_lba48 && id.has_flush && id.has_trim && id.has_smart);
	assert_true(id.has_volatile_cache);
	assert_false(id.is_rotational);
}

static void reads_sectors_of_4096_bytes(void **state)
{
	(void)state;
	put(106, 0x5000);
	put(117, 2048);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_OK);
	assert_int_equal(id.sector_bytes, 4096);

	put(117, 1024);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_ENOTSUP);
	put(106, 0x9000); /* neither bit pattern of a valid word */
	sign();
	assert_int_equal(ata_identify(data, &id), HV_OK);
	assert_int_equal(id.sector_bytes, 512);
}

static void takes_28_bits_where_there_are_no_more(void **state)
{
	(void)state;
	put(83, 0x4000);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_OK);
	assert_int_equal(id.nr_sectors, 0x0fffffff);
	assert_int_equal(id.queue_depth, 0);
	assert_false(id.has_lba48 || id.has_flush || id.has_trim || id.has_volatile_cache);

	put(61, 0x1fff);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_EPROTO);
}

static void knows_a_cache_that_is_switched_off(void **state)
{
	(void)state;
	put(85, 0x0001);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_OK);
	assert_true(id.has_flush);
	assert_false(id.has_volatile_cache);

	put(82, 0); /* says nothing about a cache, but can flush it */
	put(85, 0);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_OK);
	assert_true(id.has_volatile_cache);
	assert_false(id.has_smart);
}

static void refuses_what_is_no_usable_disk(void **state)
{
	static const struct {
		uint32_t word;
		uint16_t val;
	} rows[] = {{0, 0x8580}, {49, 0x0d00}, {49, 0x0e00}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_disk(state);
		put(rows[i].word, rows[i].val);
		sign();
		assert_int_equal(ata_identify(data, &id), HV_ENOTSUP);
	}
	make_disk(state);
	data[200] ^= 1;
	assert_int_equal(ata_identify(data, &id), HV_EPROTO); /* the sum */
	assert_int_equal(id.nr_sectors, 0);
	put_le64(data + 200, 0);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_EPROTO);
	put_le64(data + 200, (1ull << 48) + 1);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_EPROTO);
	memset(data, 0xff, sizeof(data));
	assert_int_equal(ata_identify(data, &id), HV_ENOTSUP);
	memset(data, 0, sizeof(data));
	assert_int_equal(ata_identify(data, &id), HV_ENOTSUP);
}

static void shows_no_character_that_is_none(void **state)
{
	(void)state;
	put_text(27, "\x01\x1b[2J\xff middle \x7f ", 40);
	sign();
	assert_int_equal(ata_identify(data, &id), HV_OK);
	assert_string_equal(id.model, "[2J  middle");
}

static void tells_disks_apart(void **state)
{
	struct ata_identity other;

	(void)state;
	assert_int_equal(ata_identify(data, &id), HV_OK);
	other = id;
	assert_true(ata_is_same(&id, &other));
	other.serial[0] = 'X';
	assert_false(ata_is_same(&id, &other));
	other = id;
	other.nr_sectors--;
	assert_false(ata_is_same(&id, &other));
}

static void describes_a_block_device(void **state)
{
	struct block_dev dev = {0};

	(void)state;
	assert_int_equal(ata_identify(data, &id), HV_OK);
	ata_describe(&id, &dev);
	assert_string_equal(dev.model, id.model);
	assert_string_equal(dev.serial, id.serial);
	assert_string_equal(dev.firmware, id.firmware);
	assert_int_equal(dev.nr_sectors, id.nr_sectors);
	assert_int_equal(dev.sector_bytes, 512);
	assert_true(dev.has_volatile_cache);
}

static void sign_smart(void)
{
	uint8_t sum = 0;

	data[511] = 0;
	for (int i = 0; i < 511; i++)
		sum = (uint8_t)(sum + data[i]);
	data[511] = (uint8_t)-sum;
}

static void reads_temperature_and_hours(void **state)
{
	struct block_health health = {0};

	(void)state;
	memset(data, 0, sizeof(data));
	data[2] = 9;
	put_le32(data + 2 + 5, 12345);
	data[14] = 190;
	put_le32(data + 14 + 5, 0x1f0a0021); /* 33 degrees, and what it has been */
	sign_smart();
	assert_int_equal(ata_smart_data(data, &health), HV_OK);
	assert_int_equal(health.power_on_hours, 12345);
	assert_int_equal(health.temperature_c, 33);

	data[26] = 194;
	put_le32(data + 26 + 5, 41);
	sign_smart();
	assert_int_equal(ata_smart_data(data, &health), HV_OK);
	assert_int_equal(health.temperature_c, 41);

	put_le32(data + 26 + 5, 0xfe); /* no temperature of a disk */
	put_le32(data + 2 + 5, 0xffffffff);
	sign_smart();
	assert_int_equal(ata_smart_data(data, &health), HV_OK);
	assert_int_equal(health.temperature_c, 33);
	assert_int_equal(health.power_on_hours, 12345);

	data[100] ^= 1;
	assert_int_equal(ata_smart_data(data, &health), HV_EPROTO);
}

static void makes_commands(void **state)
{
	struct block_request req = {.op = BLOCK_WRITE, .sector = 0x123456789a, .nr_sectors = 65536};
	struct ata_taskfile tf;

	(void)state;
	assert_int_equal(ata_identify(data, &id), HV_OK);
	tf = ata_taskfile_of(&id, &req, 31);
	assert_int_equal(tf.command, 0x61);
	assert_int_equal(tf.count, 31 << 3);
	assert_int_equal(tf.features, 0); /* 65536 */
	assert_int_equal(tf.lba, 0x123456789a);
	tf = ata_taskfile_of(&id, &req, ATA_PLAIN);
	assert_int_equal(tf.command, 0x35);
	assert_int_equal(tf.count, 0);
	assert_true(tf.is_48bit);

	req = (struct block_request){.op = BLOCK_READ, .sector = 0xabcdef1, .nr_sectors = 7};
	tf = ata_taskfile_of(&id, &req, 0);
	assert_int_equal(tf.command, 0x60);
	assert_int_equal(tf.features, 7);
	id.has_lba48 = false;
	tf = ata_taskfile_of(&id, &req, ATA_PLAIN);
	assert_int_equal(tf.command, 0xc8);
	assert_int_equal(tf.device, 0x4a); /* LBA, and its bits 27 to 24 */
	assert_int_equal(tf.lba, 0xbcdef1);
	assert_int_equal(tf.count, 7);
	assert_false(tf.is_48bit);

	req = (struct block_request){.op = BLOCK_FLUSH};
	assert_int_equal(ata_taskfile_of(&id, &req, ATA_PLAIN).command, 0xe7);
	id.has_lba48 = true;
	assert_int_equal(ata_taskfile_of(&id, &req, ATA_PLAIN).command, 0xea);
	req.op = BLOCK_DISCARD;
	tf = ata_taskfile_of(&id, &req, ATA_PLAIN);
	assert_int_equal(tf.command, 0x06);
	assert_int_equal(tf.features, 1);
	assert_int_equal(tf.count, 1);
}

static void cuts_a_discard_into_ranges(void **state)
{
	uint8_t block[ATA_TRIM_BYTES];
	uint64_t covered = 0;

	(void)state;
	ata_trim_fill(block, 0x10, 65536);
	assert_true(get_le64(block) == (0xffffull << 48 | 0x10));
	assert_true(get_le64(block + 8) == (1ull << 48 | (0x10 + 65535)));
	assert_true(get_le64(block + 16) == 0);

	ata_trim_fill(block, 5, ATA_TRIM_SECTORS_MAX);
	for (size_t i = 0; i < 64; i++)
		covered += get_le64(block + 8 * i) >> 48;
	assert_int_equal(covered, ATA_TRIM_SECTORS_MAX);
}

static void tells_errors_of_the_disk_from_those_of_the_way(void **state)
{
	(void)state;
	assert_int_equal(ata_status_error(0x50, 0), HV_OK);
	assert_int_equal(ata_status_error(0x50, 0xff), HV_OK); /* valid with ERR only */
	assert_int_equal(ata_status_error(0x51, 0x40), HV_EIO);
	assert_int_equal(ata_status_error(0x51, 0x84), HV_EBUSY);
	assert_int_equal(ata_status_error(0x70, 0x84), HV_EIO); /* device fault */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_what_a_disk_says, make_disk),
		cmocka_unit_test_setup(reads_sectors_of_4096_bytes, make_disk),
		cmocka_unit_test_setup(takes_28_bits_where_there_are_no_more, make_disk),
		cmocka_unit_test_setup(knows_a_cache_that_is_switched_off, make_disk),
		cmocka_unit_test_setup(refuses_what_is_no_usable_disk, make_disk),
		cmocka_unit_test_setup(shows_no_character_that_is_none, make_disk),
		cmocka_unit_test_setup(tells_disks_apart, make_disk),
		cmocka_unit_test_setup(describes_a_block_device, make_disk),
		cmocka_unit_test(reads_temperature_and_hours),
		cmocka_unit_test_setup(makes_commands, make_disk),
		cmocka_unit_test(cuts_a_discard_into_ranges),
		cmocka_unit_test(tells_errors_of_the_disk_from_those_of_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
