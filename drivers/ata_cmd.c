/* SPDX-License-Identifier: Apache-2.0 */
/* Which command a request becomes, with 28 address bits, with 48, or queued. */
#include "drivers/ata_cmd.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define TRIM_RANGE_SECTORS 65535u
#define TRIM_RANGE_SHIFT   48
#define TAG_SHIFT	   3 /* of the tag in the count */
#define DEVICE_LBA27_24	   0x0f000000ull

static struct ata_taskfile queued(const struct block_request *req, uint32_t tag)
{
	return (struct ata_taskfile){
		.command = req->op == BLOCK_READ ? ATA_READ_FPDMA_QUEUED : ATA_WRITE_FPDMA_QUEUED,
		.device = ATA_DEVICE_LBA,
		.features = (uint16_t)req->nr_sectors, /* 65536 is 0 */
		.count = (uint16_t)(tag << TAG_SHIFT),
		.lba = req->sector,
		.is_48bit = true,
	};
}

static struct ata_taskfile plain(const struct ata_identity *id, const struct block_request *req)
{
	bool is_read = req->op == BLOCK_READ;

	if (id->has_lba48)
		return (struct ata_taskfile){
			.command = is_read ? ATA_READ_DMA_EXT : ATA_WRITE_DMA_EXT,
			.device = ATA_DEVICE_LBA,
			.count = (uint16_t)req->nr_sectors,
			.lba = req->sector,
			.is_48bit = true,
		};
	return (struct ata_taskfile){
		.command = is_read ? ATA_READ_DMA : ATA_WRITE_DMA,
		.device = (uint8_t)(ATA_DEVICE_LBA | FIELD_GET(DEVICE_LBA27_24, req->sector)),
		.count = (uint8_t)req->nr_sectors, /* 256 is 0 */
		.lba = req->sector & 0xffffff,
	};
}

struct ata_taskfile ata_taskfile_of(const struct ata_identity *id, const struct block_request *req,
				    uint32_t tag)
{
	switch (req->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return tag == ATA_PLAIN ? plain(id, req) : queued(req, tag);
	case BLOCK_DISCARD:
		return (struct ata_taskfile){.command = ATA_DSM,
					     .device = ATA_DEVICE_LBA,
					     .features = ATA_DSM_TRIM,
					     .count = 1,
					     .is_48bit = true};
	default:
		return (struct ata_taskfile){
			.command = id->has_lba48 ? ATA_FLUSH_CACHE_EXT : ATA_FLUSH_CACHE,
			.device = ATA_DEVICE_LBA,
			.is_48bit = id->has_lba48,
		};
	}
}

void ata_trim_fill(uint8_t *block, uint64_t sector, uint32_t nr_sectors)
{
	ASSERT(nr_sectors <= ATA_TRIM_SECTORS_MAX);

	memset(block, 0, ATA_TRIM_BYTES);
	for (; nr_sectors > 0; block += 8) {
		uint32_t nr = MIN(nr_sectors, TRIM_RANGE_SECTORS);

		put_le64(block, sector | (uint64_t)nr << TRIM_RANGE_SHIFT);
		sector += nr;
		nr_sectors -= nr;
	}
}

enum hv_err ata_status_error(uint8_t status, uint8_t error)
{
	if (!(status & (ATA_STATUS_ERR | ATA_STATUS_DF)))
		return HV_OK;
	return (status & ATA_STATUS_ERR) && (error & ATA_ERROR_ICRC) ? HV_EBUSY : HV_EIO;
}
