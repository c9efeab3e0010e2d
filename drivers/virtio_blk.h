/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device of virtio as its driver sees it: what its configuration means, and a queue of
 * requests with a slot each for what the device reads and writes beside the data. Pure; the owner
 * locks each queue.
 *
 *    a chain:   slot: header ─► segments, or the slot's range ─► slot: status
 *
 * Source: [VIRTIO] "Block Device".
 */
#ifndef DRIVERS_VIRTIO_BLK_H
#define DRIVERS_VIRTIO_BLK_H

#include "drivers/block.h"
#include "drivers/virtio_queue.h"

/* [VIRTIO] "Block Device", "Feature bits" */
#define VIRTIO_BLK_F_SIZE_MAX BIT(1)
#define VIRTIO_BLK_F_SEG_MAX  BIT(2)
#define VIRTIO_BLK_F_RO	      BIT(5)
#define VIRTIO_BLK_F_BLK_SIZE BIT(6)
#define VIRTIO_BLK_F_FLUSH    BIT(9)
#define VIRTIO_BLK_F_MQ	      BIT(12)
#define VIRTIO_BLK_F_DISCARD  BIT(13)

#define VIRTIO_BLK_SLOTS     64u /* requests in one queue */
#define VIRTIO_BLK_PIECES    (BLOCK_SEGS_MAX + 2)
#define VIRTIO_BLK_BYTES_MAX (1u * 1024 * 1024) /* of one request */
#define VIRTIO_BLK_ID_BYTES  20u

struct virtio_blk_config {	     /* what the device said; 0 where it has no such feature */
	uint64_t features, capacity; /* in units of 512 bytes, whatever blk_size is */
	uint32_t size_max, seg_max, blk_size, max_discard_sectors;
};

/*
 * virtio_blk_identify - size, limits and abilities of a disk into *disk
 *
 * chain_max  descriptors in one chain, at most
 * Errors:    HV_ENOTSUP - sectors of more than 4 KiB, or chains too short for any data.
 */
MUST_CHECK enum hv_err virtio_blk_identify(const struct virtio_blk_config *config,
					   uint32_t chain_max, struct block_dev *disk);

/* virtio_blk_sectors - how many whole sectors of the disk its capacity is */
uint64_t virtio_blk_sectors(const struct block_dev *disk, uint64_t capacity);

/* virtio_blk_text - the disk's identity as text: printable, ended */
void virtio_blk_text(const uint8_t id[VIRTIO_BLK_ID_BYTES], char *out, size_t cap);

struct virtio_blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
static_assert(sizeof(struct virtio_blk_header) == 16, "[VIRTIO] struct virtio_blk_req");

struct virtio_blk_range {
	uint64_t sector;
	uint32_t nr_sectors, flags;
};
static_assert(sizeof(struct virtio_blk_range) == 16,
	      "[VIRTIO] struct virtio_blk_discard_write_zeroes");

struct virtio_blk_slot { /* the device's memory too; 64 bytes */
	struct virtio_blk_header header;
	union {
		struct virtio_blk_range range;
		uint8_t id[VIRTIO_BLK_ID_BYTES];
	};
	volatile uint8_t status;
} __attribute__((aligned(64)));

#define VIRTIO_BLK_SLOTS_BYTES (VIRTIO_BLK_SLOTS * sizeof(struct virtio_blk_slot))

struct virtio_blk_queue {
	struct virtq *q;
	struct virtio_blk_slot *slots;
	uint64_t slots_bus;
	uint32_t sector_bytes, nr_free;
	uint8_t free[VIRTIO_BLK_SLOTS]; /* the first nr_free */
	struct block_request *requests[VIRTIO_BLK_SLOTS];
	struct virtq_piece pieces[VIRTIO_BLK_PIECES];
};

/* virtio_blk_init - an empty queue on an empty ring; slots: VIRTIO_BLK_SLOTS_BYTES, 64-aligned */
void virtio_blk_init(struct virtio_blk_queue *queue, struct virtq *q, void *slots,
		     uint64_t slots_bus, uint32_t sector_bytes);

/*
 * virtio_blk_put - a request, which has been checked against the disk's limits, into the ring
 *
 * Errors:  HV_EBUSY - no slot or no descriptors. HV_EIO - the ring is broken.
 */
MUST_CHECK enum hv_err virtio_blk_put(struct virtio_blk_queue *queue, struct block_request *req);

/* virtio_blk_put_id - ask who the disk is; *req stands for it, and its slot has the answer */
MUST_CHECK enum hv_err virtio_blk_put_id(struct virtio_blk_queue *queue, struct block_request *req);

/*
 * virtio_blk_take - the next request that is finished; NULL: none
 *
 * status   HV_OK, or HV_EIO
 */
struct block_request *virtio_blk_take(struct virtio_blk_queue *queue, enum hv_err *status);

#endif
