/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot is free, or its request's, or for ever the device's, which has no way to write into
 * anything of ours by an answer: its entry names a chain, the chain our slot.
 *
 * How many bytes a device says that it has written is held against what it was given, in the ring,
 * and not used: devices of the field say less than they wrote. A request is done when its status
 * says so, which is set to another value before.
 */
#include "drivers/virtio_blk.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define UNIT_BYTES 512u /* of sector and capacity */
#define SECTOR_MAX 4096u

/* [VIRTIO] "Block Device", "Device Operation" */
#define VIRTIO_BLK_T_IN	     0u
#define VIRTIO_BLK_T_OUT     1u
#define VIRTIO_BLK_T_FLUSH   4u
#define VIRTIO_BLK_T_GET_ID  8u
#define VIRTIO_BLK_T_DISCARD 11u
#define VIRTIO_BLK_S_OK	     0u
#define STATUS_NONE	     0xffu /* not answered yet */

static uint32_t units(uint32_t sector_bytes)
{
	return sector_bytes / UNIT_BYTES;
}

uint64_t virtio_blk_sectors(const struct block_dev *disk, uint64_t capacity)
{
	return capacity / units(disk->sector_bytes);
}

/* 512, or 4096: a multiple of whatever the disk has in between. 0: neither. */
static uint32_t sector_bytes(const struct virtio_blk_config *config)
{
	uint32_t bytes = config->features & VIRTIO_BLK_F_BLK_SIZE ? config->blk_size : UNIT_BYTES;

	if (bytes < UNIT_BYTES || bytes > SECTOR_MAX || (bytes & (bytes - 1)))
		return 0;
	return bytes == UNIT_BYTES ? UNIT_BYTES : SECTOR_MAX;
}

/* Segments are not split, so none may be longer than the device's largest. */
static uint32_t bytes_max(const struct virtio_blk_config *config)
{
	uint32_t bytes = VIRTIO_BLK_BYTES_MAX;

	if (config->features & VIRTIO_BLK_F_SIZE_MAX)
		bytes = MIN(bytes, config->size_max);
	return bytes;
}

enum hv_err virtio_blk_identify(const struct virtio_blk_config *config, uint32_t chain_max,
				struct block_dev *disk)
{
	uint32_t bytes = sector_bytes(config);
	uint32_t segs = config->features & VIRTIO_BLK_F_SEG_MAX ? config->seg_max : 1;

	if (bytes == 0 || chain_max < 3 || segs == 0 || bytes_max(config) < bytes)
		return HV_ENOTSUP;
	disk->sector_bytes = bytes;
	disk->nr_sectors = virtio_blk_sectors(disk, config->capacity);
	disk->has_volatile_cache = config->features & VIRTIO_BLK_F_FLUSH;
	disk->is_read_only = config->features & VIRTIO_BLK_F_RO;
	disk->limits = (struct block_limits){
		.max_bytes = (uint32_t)ALIGN_DOWN(bytes_max(config), bytes),
		.max_segs = MIN(MIN(segs, chain_max - 2), BLOCK_SEGS_MAX),
		.align_bytes = 1,
	};
	if (config->features & VIRTIO_BLK_F_DISCARD)
		disk->limits.max_discard_sectors = config->max_discard_sectors / units(bytes);
	return HV_OK;
}

void virtio_blk_text(const uint8_t id[VIRTIO_BLK_ID_BYTES], char *out, size_t cap)
{
	size_t len = 0;

	ASSERT(cap > 0);
	while (len < MIN(cap - 1, VIRTIO_BLK_ID_BYTES) && id[len] != 0) {
		out[len] = (char)(id[len] >= ' ' && id[len] <= '~' ? id[len] : '?');
		len++;
	}
	out[len] = 0;
}

void virtio_blk_init(struct virtio_blk_queue *queue, struct virtq *q, void *slots,
		     uint64_t slots_bus, uint32_t disk_sector_bytes)
{
	memset(queue, 0, sizeof(*queue));
	queue->q = q;
	queue->slots = slots;
	queue->slots_bus = slots_bus;
	queue->sector_bytes = disk_sector_bytes;
	queue->nr_free = VIRTIO_BLK_SLOTS;
	for (uint32_t i = 0; i < VIRTIO_BLK_SLOTS; i++)
		queue->free[i] = (uint8_t)i;
}

static void add_piece(struct virtio_blk_queue *queue, uint32_t *nr, uint64_t bus,
		      uint32_t len_bytes)
{
	queue->pieces[(*nr)++] = (struct virtq_piece){.bus = bus, .len_bytes = len_bytes};
}

static uint32_t add_segs(struct virtio_blk_queue *queue, uint32_t *nr,
			 const struct block_request *req)
{
	ASSERT(req->nr_segs <= BLOCK_SEGS_MAX);
	for (uint32_t i = 0; i < req->nr_segs; i++)
		add_piece(queue, nr, req->segs[i].hpa, req->segs[i].len_bytes);
	return req->nr_segs;
}

/* What lies between header and status; returns how much of it the device reads. */
static uint32_t add_body(struct virtio_blk_queue *queue, uint32_t *nr, uint64_t slot_bus,
			 struct virtio_blk_slot *slot, const struct block_request *req)
{
	uint64_t sector = req->sector * units(queue->sector_bytes);

	switch (req->op) {
	case BLOCK_READ:
		slot->header.type = VIRTIO_BLK_T_IN;
		slot->header.sector = sector;
		add_segs(queue, nr, req);
		return 0;
	case BLOCK_WRITE:
		slot->header.type = VIRTIO_BLK_T_OUT;
		slot->header.sector = sector;
		return add_segs(queue, nr, req);
	case BLOCK_DISCARD:
		slot->header.type = VIRTIO_BLK_T_DISCARD;
		slot->range = (struct virtio_blk_range){.sector = sector,
							.nr_sectors = req->nr_sectors *
								      units(queue->sector_bytes)};
		add_piece(queue, nr, slot_bus + offsetof(struct virtio_blk_slot, range),
			  sizeof(slot->range));
		return 1;
	default:
		ASSERT(req->op == BLOCK_FLUSH);
		slot->header.type = VIRTIO_BLK_T_FLUSH;
		return 0;
	}
}

/* The chain of a slot, whose header and body are there, and its way into the ring. */
static enum hv_err add_chain(struct virtio_blk_queue *queue, uint32_t index, uint32_t nr_read,
			     uint32_t nr, struct block_request *req)
{
	uint64_t slot_bus = queue->slots_bus + index * sizeof(struct virtio_blk_slot);
	enum hv_err err;

	queue->pieces[0] = (struct virtq_piece){.bus = slot_bus,
						.len_bytes = sizeof(struct virtio_blk_header)};
	add_piece(queue, &nr, slot_bus + offsetof(struct virtio_blk_slot, status), 1);
	queue->slots[index].status = STATUS_NONE;
	err = virtq_add(queue->q, queue->pieces, 1 + nr_read, nr - 1 - nr_read,
			&queue->requests[index]);
	if (err != HV_OK)
		return err;
	queue->requests[index] = req;
	req->slot = index;
	queue->nr_free--;
	return HV_OK;
}

enum hv_err virtio_blk_put(struct virtio_blk_queue *queue, struct block_request *req)
{
	uint32_t index, nr = 1, nr_read;
	struct virtio_blk_slot *slot;

	if (queue->nr_free == 0)
		return HV_EBUSY;
	index = queue->free[queue->nr_free - 1];
	slot = &queue->slots[index];
	slot->header = (struct virtio_blk_header){0};
	nr_read = add_body(queue, &nr, queue->slots_bus + index * sizeof(*slot), slot, req);
	return add_chain(queue, index, nr_read, nr, req);
}

enum hv_err virtio_blk_put_id(struct virtio_blk_queue *queue, struct block_request *req)
{
	uint32_t index, nr = 1;

	if (queue->nr_free == 0)
		return HV_EBUSY;
	index = queue->free[queue->nr_free - 1];
	queue->slots[index].header = (struct virtio_blk_header){.type = VIRTIO_BLK_T_GET_ID};
	memset(queue->slots[index].id, 0, VIRTIO_BLK_ID_BYTES);
	add_piece(queue, &nr,
		  queue->slots_bus + index * sizeof(struct virtio_blk_slot) +
			  offsetof(struct virtio_blk_slot, id),
		  VIRTIO_BLK_ID_BYTES);
	return add_chain(queue, index, 0, nr, req);
}

struct block_request *virtio_blk_take(struct virtio_blk_queue *queue, enum hv_err *status)
{
	struct block_request **entry, *req;
	uint32_t index, written;

	entry = virtq_get(queue->q, &written);
	if (!entry)
		return NULL;
	index = (uint32_t)(entry - queue->requests);
	req = *entry;
	*entry = NULL;
	queue->free[queue->nr_free++] = (uint8_t)index;
	*status = queue->slots[index].status == VIRTIO_BLK_S_OK ? HV_OK : HV_EIO;
	return req;
}
