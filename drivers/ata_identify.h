/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ATA disk says of itself: its 512 bytes of IDENTIFY data, and its SMART data. Pure; both
 * come from the disk and may hold anything.
 *
 * Source: [ATA] "IDENTIFY DEVICE", "SMART READ DATA"; [SATA] "IDENTIFY DEVICE".
 */
#ifndef DRIVERS_ATA_IDENTIFY_H
#define DRIVERS_ATA_IDENTIFY_H

#include "drivers/block.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define ATA_DATA_BYTES	    512u
#define ATA_QUEUE_DEPTH_MAX 32u

struct ata_identity {
	char model[41], serial[21], firmware[9]; /* printable, without blanks at the ends */
	uint64_t nr_sectors;
	uint32_t sector_bytes;
	uint32_t queue_depth; /* 1..32 with NCQ; 0: has none */
	bool has_lba48, has_flush, has_trim, has_smart;
	bool has_volatile_cache; /* or says nothing about it, and has FLUSH CACHE */
	bool is_rotational, is_removable;
};

/*
 * ata_identify - read what we want to know out of IDENTIFY data
 *
 * data     ATA_DATA_BYTES
 * Errors:  HV_EPROTO - a wrong checksum, no sectors, more than 48 bits of them; HV_ENOTSUP - not an
 *          ATA disk, or without LBA, DMA or sectors of 512 to 4096 bytes.
 */
MUST_CHECK enum hv_err ata_identify(const uint8_t *data, struct ata_identity *out);

/* ata_is_same - whether this is the disk that was there before */
bool ata_is_same(const struct ata_identity *a, const struct ata_identity *b);

/* ata_describe - fill in what a block device shows of it, but for limits, name and location */
void ata_describe(const struct ata_identity *id, struct block_dev *dev);

/*
 * ata_smart_data - temperature and hours out of SMART data; others are left alone
 *
 * Attributes are each vendor's own; 9, 190 and 194 mean the same with all who have them. A value
 * that makes no sense counts as absent. Errors: HV_EPROTO - a wrong checksum.
 */
MUST_CHECK enum hv_err ata_smart_data(const uint8_t *data, struct block_health *health);

#endif
