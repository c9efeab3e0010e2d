/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a GUID partition table. Pure: the caller reads sectors, first the header's, then the
 * table that it names. What is on a disk is hostile: everything that comes out of here lies on the
 * disk.
 *
 * Source: [UEFI] "GUID Partition Table (GPT) Disk Layout".
 */
#ifndef STORAGE_GPT_H
#define STORAGE_GPT_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define GPT_GUID_BYTES	16u
#define GPT_TABLE_MAX	65536u /* bytes of entries that we read; 16 KiB are usual */
#define GPT_PRIMARY_LBA 1u     /* the other one is in the disk's last sector */

struct gpt {
	uint64_t table_lba;
	uint32_t nr_entries, entry_bytes, table_crc;
	uint64_t first_lba, last_lba; /* partitions lie in between, both included */
};

struct gpt_partition {
	uint64_t first_lba, nr_sectors;
};

/*
 * gpt_read_header - check the header in this sector
 *
 * lba, nr_sectors  where it was read, and of how many sectors
 * Errors:          HV_ENOENT - there is none; HV_EPROTO - there is one, and it is broken
 */
MUST_CHECK enum hv_err gpt_read_header(const uint8_t *sector, uint32_t sector_bytes, uint64_t lba,
				       uint64_t nr_sectors, struct gpt *out);

/* Of the table that a header names; at most GPT_TABLE_MAX. */
uint32_t gpt_table_bytes(const struct gpt *gpt);

/* gpt_check_table - gpt_table_bytes() from table_lba on. HV_EPROTO: not what the header says. */
MUST_CHECK enum hv_err gpt_check_table(const struct gpt *gpt, const uint8_t *table);

/* gpt_find - the partition of this type. HV_ENOENT: none; HV_EEXIST: several; HV_EPROTO: not on the
 * disk. */
MUST_CHECK enum hv_err gpt_find(const struct gpt *gpt, const uint8_t *table,
				const uint8_t type[GPT_GUID_BYTES], struct gpt_partition *out);

#endif
