/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATA commands as the registers of a task file, which AHCI carries in a FIS and an IDE channel has
 * as ports. Pure.
 *
 * Source: [ATA] "Command descriptions".
 */
#ifndef DRIVERS_ATA_CMD_H
#define DRIVERS_ATA_CMD_H

#include "drivers/ata_identify.h"

#define ATA_READ_DMA	       0xc8u
#define ATA_READ_DMA_EXT       0x25u
#define ATA_READ_FPDMA_QUEUED  0x60u
#define ATA_WRITE_DMA	       0xcau
#define ATA_WRITE_DMA_EXT      0x35u
#define ATA_WRITE_FPDMA_QUEUED 0x61u
#define ATA_FLUSH_CACHE	       0xe7u
#define ATA_FLUSH_CACHE_EXT    0xeau
#define ATA_DSM		       0x06u /* DATA SET MANAGEMENT */
#define ATA_DSM_TRIM	       0x0001u
#define ATA_IDENTIFY	       0xecu
#define ATA_SMART	       0xb0u
#define ATA_SMART_READ_DATA    0x00d0u
#define ATA_SMART_STATUS       0x00dau	   /* SMART RETURN STATUS */
#define ATA_SMART_KEY	       0xc24f00ull /* in the LBA of each SMART command */
#define ATA_SMART_FAILING      0x2cf400ull /* and there afterwards, when a threshold is exceeded */
#define ATA_SMART_KEY_MASK     0xffff00ull

/* [ATA] "Status register", "Error register" */
#define ATA_STATUS_ERR 0x01u
#define ATA_STATUS_DRQ 0x08u
#define ATA_STATUS_DF  0x20u
#define ATA_STATUS_BSY 0x80u
#define ATA_ERROR_ICRC 0x80u /* the data were damaged on the wire */

#define ATA_DEVICE_LBA 0x40u

#define ATA_SECTORS_28 256u   /* of one command with 28 address bits */
#define ATA_SECTORS_48 65536u /* with 48 */

#define ATA_TRIM_BYTES	     512u
#define ATA_TRIM_SECTORS_MAX (64u * 65535u) /* in the 64 ranges of one block */

struct ata_taskfile {
	uint8_t command, device;
	uint16_t features, count;
	uint64_t lba;
	bool is_48bit; /* the upper halves are used */
};

/*
 * ata_taskfile_of - the command for a request that lies inside the disk
 *
 * tag      of a READ or WRITE that is to be queued, else ATA_PLAIN
 */
#define ATA_PLAIN ~0u
struct ata_taskfile ata_taskfile_of(const struct ata_identity *id, const struct block_request *req,
				    uint32_t tag);

/* ata_trim_fill - the block of ranges for DATA SET MANAGEMENT; at most ATA_TRIM_SECTORS_MAX */
void ata_trim_fill(uint8_t *block, uint64_t sector, uint32_t nr_sectors);

/* ata_status_error - what a status and error register mean for the command that ended with them:
 * HV_OK; HV_EIO: the disk said no; HV_EBUSY: the way there was bad. */
enum hv_err ata_status_error(uint8_t status, uint8_t error);

#endif
