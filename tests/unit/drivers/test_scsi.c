/* SPDX-License-Identifier: Apache-2.0 */
/* Commands byte by byte, and answers, which may be too short or nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/scsi.h"

static void builds_reads_and_writes(void **state)
{
	static const uint8_t read10[] = {0x28, 0, 0x01, 0x23, 0x45, 0x67, 0, 0, 0x80, 0};
	static const uint8_t write16[] = {0x8a, 0,    0,    0, 0, 0x12, 0x34,
					  0x56, 0x78, 0x9a, 0, 0, 0,	16};
	struct scsi_command command;

	(void)state;
	scsi_read_write(&command, false, 0x01234567, 128, 512, false);
	assert_memory_equal(command.cdb, read10, sizeof(read10));
	assert_int_equal(command.cdb_bytes, 10);
	assert_int_equal(command.data_bytes, 65536);
	assert_true(command.is_in);
	scsi_read_write(&command, true, 0x123456789aull, 16, 4096, true);
	assert_memory_equal(command.cdb, write16, sizeof(write16));
	assert_int_equal(command.cdb_bytes, 16);
	assert_int_equal(command.data_bytes, 65536);
	assert_false(command.is_in);
}

static void builds_the_questions(void **state)
{
	struct scsi_command command;

	(void)state;
	scsi_inquiry(&command);
	assert_int_equal(command.cdb[0], 0x12);
	assert_int_equal(command.cdb[4], 36);
	assert_int_equal(command.data_bytes, 36);
	scsi_request_sense(&command);
	assert_int_equal(command.cdb[4], 18);
	scsi_read_capacity16(&command);
	assert_int_equal(command.cdb[0], 0x9e);
	assert_int_equal(command.cdb[1], 0x10);
	assert_int_equal(command.cdb[13], 32);
	scsi_test_unit_ready(&command);
	assert_int_equal(command.data_bytes, 0);
	assert_false(command.is_in);
}

static void reads_who_it_is(void **state)
{
	uint8_t bytes[36] = {0, 0x80, 4, 2, 31};
	struct scsi_inquiry inquiry;

	(void)state;
	memcpy(bytes + 8, "Vendor  A stick\x01        1.00", 28);
	assert_int_equal(scsi_inquiry_parse(bytes, sizeof(bytes), &inquiry), HV_OK);
	assert_int_equal(inquiry.type, SCSI_TYPE_DISK);
	assert_true(inquiry.is_removable);
	assert_string_equal(inquiry.model, "Vendor A stick?");
	assert_string_equal(inquiry.firmware, "1.00");
	bytes[0] = 0x05;
	assert_int_equal(scsi_inquiry_parse(bytes, sizeof(bytes), &inquiry), HV_OK);
	assert_int_equal(inquiry.type, SCSI_TYPE_CD);
	bytes[0] = 0x20; /* could be there, is not */
	assert_int_equal(scsi_inquiry_parse(bytes, sizeof(bytes), &inquiry), HV_OK);
	assert_int_equal(inquiry.type, 0x1f);
	assert_int_equal(scsi_inquiry_parse(bytes, 35, &inquiry), HV_EPROTO);
	memset(bytes, ' ', sizeof(bytes));
	assert_int_equal(scsi_inquiry_parse(bytes, sizeof(bytes), &inquiry), HV_OK);
	assert_string_equal(inquiry.model, "");
}

static void reads_how_large_it_is(void **state)
{
	uint8_t ten[8] = {0, 0, 0x7f, 0xff, 0, 0, 2, 0};
	uint8_t sixteen[32] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x10, 0};
	struct scsi_capacity capacity;

	(void)state;
	assert_int_equal(scsi_capacity10_parse(ten, 8, &capacity), HV_OK);
	assert_int_equal(capacity.nr_sectors, 32768);
	assert_int_equal(capacity.sector_bytes, 512);
	assert_int_equal(scsi_capacity10_parse(ten, 7, &capacity), HV_EPROTO);
	ten[6] = 8;
	assert_int_equal(scsi_capacity10_parse(ten, 8, &capacity), HV_ENOTSUP);
	ten[6] = 0;
	assert_int_equal(scsi_capacity10_parse(ten, 8, &capacity), HV_EPROTO);
	memset(ten, 0xff, 4);
	assert_int_equal(scsi_capacity10_parse(ten, 8, &capacity), HV_EAGAIN);
	assert_int_equal(scsi_capacity16_parse(sixteen, 32, &capacity), HV_OK);
	assert_int_equal(capacity.nr_sectors, 0x100000001ull);
	assert_int_equal(capacity.sector_bytes, 4096);
	assert_int_equal(scsi_capacity16_parse(sixteen, 11, &capacity), HV_EPROTO);
	memset(sixteen, 0xff, 8); /* one more would be none */
	assert_int_equal(scsi_capacity16_parse(sixteen, 32, &capacity), HV_EPROTO);
	sixteen[0] = 0x7f; /* more bytes than can be counted */
	assert_int_equal(scsi_capacity16_parse(sixteen, 32, &capacity), HV_EPROTO);
}

static void reads_whether_it_is_protected(void **state)
{
	uint8_t bytes[4] = {3, 0, 0x80, 0};

	(void)state;
	assert_true(scsi_is_protected(bytes, 4));
	assert_false(scsi_is_protected(bytes, 3));
	bytes[2] = 0;
	assert_false(scsi_is_protected(bytes, 4));
}

static void reads_sense_of_both_formats(void **state)
{
	uint8_t fixed[18] = {0x70, 0, 0xf2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 0x01};
	uint8_t descriptor[8] = {0x72, 0x05, 0x20, 0x00};
	struct scsi_sense sense;

	(void)state;
	assert_int_equal(scsi_sense_parse(fixed, 18, &sense), HV_OK);
	assert_int_equal(sense.key, 2);
	assert_int_equal(sense.asc, 4);
	assert_int_equal(sense.ascq, 1);
	assert_int_equal(scsi_sense_parse(fixed, 13, &sense), HV_OK);
	assert_int_equal(sense.asc, 0);
	assert_int_equal(scsi_sense_parse(fixed, 2, &sense), HV_EPROTO);
	assert_int_equal(scsi_sense_parse(descriptor, 8, &sense), HV_OK);
	assert_int_equal(sense.key, 5);
	assert_int_equal(sense.asc, 0x20);
	assert_int_equal(scsi_sense_parse(descriptor, 3, &sense), HV_EPROTO);
	assert_int_equal(scsi_sense_parse(descriptor, 0, &sense), HV_EPROTO);
	descriptor[0] = 0x55;
	assert_int_equal(scsi_sense_parse(descriptor, 8, &sense), HV_EPROTO);
	assert_int_equal(sense.key, 0);
}

static void judges_what_follows(void **state)
{
	static const struct {
		struct scsi_sense sense;
		enum scsi_verdict verdict;
	} rows[] = {
		{{0x0, 0, 0}, SCSI_AGAIN},	  {{0x1, 0x17, 0}, SCSI_GOOD},
		{{0x2, 0x04, 1}, SCSI_NOT_YET},	  {{0x2, 0x3a, 0}, SCSI_NO_MEDIUM},
		{{0x2, 0x30, 0}, SCSI_BAD},	  {{0x3, 0x11, 0}, SCSI_BAD},
		{{0x4, 0x44, 0}, SCSI_BAD},	  {{0x5, 0x20, 0}, SCSI_UNKNOWN},
		{{0x5, 0x24, 0}, SCSI_UNKNOWN},	  {{0x5, 0x21, 0}, SCSI_BAD},
		{{0x6, 0x28, 0}, SCSI_CHANGED},	  {{0x6, 0x29, 0}, SCSI_AGAIN},
		{{0x6, 0x3a, 0}, SCSI_NO_MEDIUM}, {{0x7, 0x27, 0}, SCSI_BAD},
		{{0xb, 0x00, 6}, SCSI_AGAIN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(scsi_judge(&rows[i].sense), rows[i].verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_reads_and_writes),
		cmocka_unit_test(builds_the_questions),
		cmocka_unit_test(reads_who_it_is),
		cmocka_unit_test(reads_how_large_it_is),
		cmocka_unit_test(reads_whether_it_is_protected),
		cmocka_unit_test(reads_sense_of_both_formats),
		cmocka_unit_test(judges_what_follows),
	};

	return cmocka_run_group_tests_name("scsi", tests, NULL, NULL);
}
