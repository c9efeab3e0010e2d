/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI commands for a disk, and what it answers. Pure.
 *
 * Source: [SPC] "Commands for all device types", "Sense data"; [SBC] "Commands for direct-access
 * block devices".
 */
#ifndef DRIVERS_SCSI_H
#define DRIVERS_SCSI_H

#include "drivers/block.h"

#define SCSI_CDB_BYTES	   16u
#define SCSI_INQUIRY_BYTES 36u
#define SCSI_SENSE_BYTES   18u
#define SCSI_MODE_BYTES	   192u /* as other systems ask, which is all that some sticks know */

#define SCSI_TYPE_DISK 0u /* [SPC] "Peripheral device type" */
#define SCSI_TYPE_CD   5u

struct scsi_command {
	uint8_t cdb[SCSI_CDB_BYTES];
	uint8_t cdb_bytes;
	bool is_in;
	uint32_t data_bytes;
};

void scsi_test_unit_ready(struct scsi_command *out);
void scsi_request_sense(struct scsi_command *out);
void scsi_inquiry(struct scsi_command *out);
void scsi_read_capacity10(struct scsi_command *out);
void scsi_read_capacity16(struct scsi_command *out);
void scsi_mode_sense(struct scsi_command *out);
void scsi_synchronize_cache(struct scsi_command *out);

/* scsi_read_write - of nr sectors, in the form of 10 bytes, or of 16 for a disk that needs it */
void scsi_read_write(struct scsi_command *out, bool is_write, uint64_t sector, uint32_t nr,
		     uint32_t sector_bytes, bool is_16);

struct scsi_inquiry {
	uint8_t type; /* 0x1f: nothing is there */
	bool is_removable;
	char model[BLOCK_TEXT_MAX]; /* vendor and product, without blanks at the ends */
	char firmware[5];
};

/* scsi_inquiry_parse - HV_EPROTO: too short */
MUST_CHECK enum hv_err scsi_inquiry_parse(const uint8_t *bytes, size_t len,
					  struct scsi_inquiry *out);

struct scsi_capacity {
	uint64_t nr_sectors;
	uint32_t sector_bytes;
};

/*
 * scsi_capacity10_parse, scsi_capacity16_parse
 *
 * Errors:  HV_EAGAIN - too large for the form of 10 bytes: ask in the other one. HV_EPROTO - too
 *          short, or no size. HV_ENOTSUP - sectors of neither 512 nor 4096 bytes; out is filled.
 */
MUST_CHECK enum hv_err scsi_capacity10_parse(const uint8_t *bytes, size_t len,
					     struct scsi_capacity *out);
MUST_CHECK enum hv_err scsi_capacity16_parse(const uint8_t *bytes, size_t len,
					     struct scsi_capacity *out);

/* scsi_is_protected - whether the header of MODE SENSE says that nothing can be written */
bool scsi_is_protected(const uint8_t *bytes, size_t len);

struct scsi_sense {
	uint8_t key, asc, ascq;
};

/* scsi_sense_parse - of either format; HV_EPROTO: it is none, and out says no sense */
MUST_CHECK enum hv_err scsi_sense_parse(const uint8_t *bytes, size_t len, struct scsi_sense *out);

enum scsi_verdict {
	SCSI_GOOD,	/* it did it after all */
	SCSI_AGAIN,	/* it may succeed when tried again at once */
	SCSI_NOT_YET,	/* in a while */
	SCSI_NO_MEDIUM, /* nothing is in its slot */
	SCSI_CHANGED,	/* the medium may be another one */
	SCSI_UNKNOWN,	/* does not know the command */
	SCSI_BAD,	/* an error that stays */
};

/* scsi_judge - what follows from the sense data of a command that ended with CHECK CONDITION */
enum scsi_verdict scsi_judge(const struct scsi_sense *sense);

#endif
