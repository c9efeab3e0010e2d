/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in SCSI are big-endian, and texts are filled up with blanks. */
#include "drivers/scsi.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [SPC] "Commands for all device types", [SBC] "Commands for direct-access block devices" */
#define TEST_UNIT_READY	    0x00u
#define REQUEST_SENSE	    0x03u
#define INQUIRY		    0x12u
#define MODE_SENSE_6	    0x1au
#define READ_CAPACITY_10    0x25u
#define READ_10		    0x28u
#define WRITE_10	    0x2au
#define SYNCHRONIZE_CACHE   0x35u
#define READ_16		    0x88u
#define WRITE_16	    0x8au
#define SERVICE_ACTION_IN   0x9eu
#define READ_CAPACITY_16    0x10u /* its service action */
#define ALL_MODE_PAGES	    0x3fu
#define CAPACITY10_BYTES    8u
#define CAPACITY16_BYTES    32u
#define CAPACITY10_TOO_LONG 0xffffffffu

#define INQUIRY_TYPE	  0x1fu
#define INQUIRY_QUALIFIER 0xe0u /* not 0: no device is there */
#define INQUIRY_NONE	  0x1fu
#define INQUIRY_REMOVABLE 0x80u
#define MODE_PROTECTED	  0x80u

/* [SPC] "Sense keys and sense code definitions" */
#define NO_SENSE	0x0u
#define RECOVERED_ERROR 0x1u
#define NOT_READY	0x2u
#define ILLEGAL_REQUEST 0x5u
#define UNIT_ATTENTION	0x6u
#define ABORTED_COMMAND 0xbu
#define ASC_NOT_READY	0x04u
#define ASC_OPCODE	0x20u
#define ASC_CDB		0x24u
#define ASC_CHANGED	0x28u
#define ASC_NO_MEDIUM	0x3au

/* [SPC] "Sense data": the format is in the lower seven bits of the first byte */
#define SENSE_FORMAT	 0x7fu
#define SENSE_FIXED	 0x70u /* and 0x71, for what was put off */
#define SENSE_DESCRIPTOR 0x72u

static void command(struct scsi_command *out, uint8_t opcode, uint8_t cdb_bytes,
		    uint32_t data_bytes)
{
	*out = (struct scsi_command){.cdb = {opcode},
				     .cdb_bytes = cdb_bytes,
				     .is_in = data_bytes > 0,
				     .data_bytes = data_bytes};
}

void scsi_test_unit_ready(struct scsi_command *out)
{
	command(out, TEST_UNIT_READY, 6, 0);
}

void scsi_request_sense(struct scsi_command *out)
{
	command(out, REQUEST_SENSE, 6, SCSI_SENSE_BYTES);
	out->cdb[4] = SCSI_SENSE_BYTES;
}

void scsi_inquiry(struct scsi_command *out)
{
	command(out, INQUIRY, 6, SCSI_INQUIRY_BYTES);
	out->cdb[4] = SCSI_INQUIRY_BYTES;
}

void scsi_read_capacity10(struct scsi_command *out)
{
	command(out, READ_CAPACITY_10, 10, CAPACITY10_BYTES);
}

void scsi_read_capacity16(struct scsi_command *out)
{
	command(out, SERVICE_ACTION_IN, 16, CAPACITY16_BYTES);
	out->cdb[1] = READ_CAPACITY_16;
	put_be32(out->cdb + 10, CAPACITY16_BYTES);
}

void scsi_mode_sense(struct scsi_command *out)
{
	command(out, MODE_SENSE_6, 6, SCSI_MODE_BYTES);
	out->cdb[2] = ALL_MODE_PAGES;
	out->cdb[4] = SCSI_MODE_BYTES;
}

void scsi_synchronize_cache(struct scsi_command *out)
{
	command(out, SYNCHRONIZE_CACHE, 10, 0); /* from sector 0 to the last one */
}

void scsi_read_write(struct scsi_command *out, bool is_write, uint64_t sector, uint32_t nr,
		     uint32_t sector_bytes, bool is_16)
{
	if (is_16) {
		command(out, is_write ? WRITE_16 : READ_16, 16, nr * sector_bytes);
		put_be32(out->cdb + 2, (uint32_t)(sector >> 32));
		put_be32(out->cdb + 6, (uint32_t)sector);
		put_be32(out->cdb + 10, nr);
	} else {
		command(out, is_write ? WRITE_10 : READ_10, 10, nr * sector_bytes);
		put_be32(out->cdb + 2, (uint32_t)sector);
		put_be16(out->cdb + 7, (uint16_t)nr);
	}
	out->is_in = !is_write;
}

/* Printable, without blanks at the ends; returns how long it is. */
static size_t copy_text(char *out, size_t cap, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (len > 0 && (bytes[len - 1] == ' ' || bytes[len - 1] == 0))
		len--;
	for (size_t i = 0; i < len && at + 1 < cap; i++)
		if (at > 0 || bytes[i] != ' ')
			out[at++] = (char)(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?');
	out[at] = 0;
	return at;
}

enum hv_err scsi_inquiry_parse(const uint8_t *bytes, size_t len, struct scsi_inquiry *out)
{
	size_t at;

	*out = (struct scsi_inquiry){.type = INQUIRY_NONE};
	if (len < SCSI_INQUIRY_BYTES)
		return HV_EPROTO;
	if (!(bytes[0] & INQUIRY_QUALIFIER))
		out->type = bytes[0] & INQUIRY_TYPE;
	out->is_removable = bytes[1] & INQUIRY_REMOVABLE;
	at = copy_text(out->model, sizeof(out->model), bytes + 8, 8);
	if (at > 0)
		out->model[at++] = ' ';
	copy_text(out->model + at, sizeof(out->model) - at, bytes + 16, 16);
	copy_text(out->firmware, sizeof(out->firmware), bytes + 32, 4);
	return HV_OK;
}

static enum hv_err check_capacity(const struct scsi_capacity *capacity)
{
	uint32_t bytes = capacity->sector_bytes;

	if (bytes == 0 || capacity->nr_sectors == 0 || capacity->nr_sectors > UINT64_MAX / bytes)
		return HV_EPROTO;
	return bytes == 512 || bytes == 4096 ? HV_OK : HV_ENOTSUP;
}

enum hv_err scsi_capacity10_parse(const uint8_t *bytes, size_t len, struct scsi_capacity *out)
{
	if (len < CAPACITY10_BYTES)
		return HV_EPROTO;
	if (get_be32(bytes) == CAPACITY10_TOO_LONG)
		return HV_EAGAIN;
	*out = (struct scsi_capacity){.nr_sectors = (uint64_t)get_be32(bytes) + 1,
				      .sector_bytes = get_be32(bytes + 4)};
	return check_capacity(out);
}

enum hv_err scsi_capacity16_parse(const uint8_t *bytes, size_t len, struct scsi_capacity *out)
{
	if (len < 12)
		return HV_EPROTO;
	*out = (struct scsi_capacity){
		.nr_sectors = ((uint64_t)get_be32(bytes) << 32 | get_be32(bytes + 4)) + 1,
		.sector_bytes = get_be32(bytes + 8)};
	return check_capacity(out);
}

bool scsi_is_protected(const uint8_t *bytes, size_t len)
{
	return len >= 4 && bytes[2] & MODE_PROTECTED;
}

enum hv_err scsi_sense_parse(const uint8_t *bytes, size_t len, struct scsi_sense *out)
{
	uint8_t format = len > 0 ? bytes[0] & SENSE_FORMAT : 0;

	*out = (struct scsi_sense){0};
	if ((format & ~1u) == SENSE_FIXED && len >= 3) {
		out->key = bytes[2] & 0x0f;
		if (len >= 14) {
			out->asc = bytes[12];
			out->ascq = bytes[13];
		}
		return HV_OK;
	}
	if ((format & ~1u) == SENSE_DESCRIPTOR && len >= 4) {
		*out = (struct scsi_sense){bytes[1] & 0x0f, bytes[2], bytes[3]};
		return HV_OK;
	}
	return HV_EPROTO;
}

enum scsi_verdict scsi_judge(const struct scsi_sense *sense)
{
	if (sense->asc == ASC_NO_MEDIUM && sense->key != NO_SENSE)
		return SCSI_NO_MEDIUM;
	switch (sense->key) {
	case RECOVERED_ERROR:
		return SCSI_GOOD;
	case NO_SENSE: /* it failed, and does not say of what */
	case ABORTED_COMMAND:
		return SCSI_AGAIN;
	case NOT_READY:
		return sense->asc == ASC_NOT_READY ? SCSI_NOT_YET : SCSI_BAD;
	case UNIT_ATTENTION:
		return sense->asc == ASC_CHANGED ? SCSI_CHANGED : SCSI_AGAIN;
	case ILLEGAL_REQUEST:
		return sense->asc == ASC_OPCODE || sense->asc == ASC_CDB ? SCSI_UNKNOWN : SCSI_BAD;
	default:
		return SCSI_BAD;
	}
}
