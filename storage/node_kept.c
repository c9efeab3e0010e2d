/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two buffers: what shall be on the disk, and the copy that is on its way there. A write is the
 * copy and then a FLUSH; when that is over and something newer has come, the next one begins.
 */
#include "storage/node_kept.h"

#include "drivers/block.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "storage/kept.h"
#include "storage/node_slots.h"

#define COPY_ORDER 2u

static_assert((PAGE_SIZE << COPY_ORDER) == BOOT_DISK_KEPT_BYTES, "a copy is so many pages");

static struct {
	struct lock lock; /* guards all but what is fixed after node_kept_init() */
	uint8_t *bytes;	  /* KEPT_MAX, what shall be kept */
	uint32_t len_bytes;
	uint64_t number;	   /* of the last copy that was begun */
	bool is_writing, is_newer; /* newer: bytes have changed since that copy was made */

	struct block_dev *dev; /* NULL: nowhere to keep it. Fixed, as the next two */
	uint64_t at;	       /* of the first copy, bytes from the disk's start */
	hpa_t copy;

	struct block_request req;
	struct block_seg seg;
} node;

static void fill_request(enum block_op op, uint32_t copy)
{
	bool has_data = op != BLOCK_FLUSH;

	node.seg = (struct block_seg){.hpa = node.copy, .len_bytes = BOOT_DISK_KEPT_BYTES};
	node.req = (struct block_request){
		.op = op,
		.sector = has_data
				  ? (node.at + copy * BOOT_DISK_KEPT_BYTES) / BOOT_DISK_SECTOR_BYTES
				  : 0,
		.nr_sectors = has_data ? BOOT_DISK_KEPT_BYTES / BOOT_DISK_SECTOR_BYTES : 0,
		.nr_segs = has_data,
		.segs = &node.seg,
	};
}

/* ---- writing ---- */

static void written(struct block_request *req, enum hv_err status);
static void flushed(struct block_request *req, enum hv_err status);

/* Whether there is something to write, and then it is in the copy. */
static bool take_next(void)
{
	bool has_next;

	lock_take(&node.lock);
	has_next = node.is_newer;
	node.is_writing = has_next;
	node.is_newer = false;
	if (has_next)
		kept_write(node.number++, node.bytes, node.len_bytes, hva_of(node.copy));
	lock_release(&node.lock);
	return has_next;
}

static void submit(void (*done)(struct block_request *req, enum hv_err status))
{
	enum hv_err err;

	node.req.done = done;
	err = block_submit(node.dev, &node.req);
	if (err != HV_OK)
		done(&node.req, err);
}

static void go_on(void)
{
	if (!take_next())
		return;
	fill_request(BLOCK_WRITE, (uint32_t)(node.number % KEPT_COPIES));
	submit(written);
}

static void written(struct block_request *req, enum hv_err status)
{
	(void)req;
	if (status != HV_OK) {
		flushed(req, status);
		return;
	}
	fill_request(BLOCK_FLUSH, 0);
	submit(flushed);
}

static void flushed(struct block_request *req, enum hv_err status)
{
	(void)req;
	if (status != HV_OK) {
		log_err("kept", "%s: the node's identity is not kept over a reboot: %s",
			node.dev->name, hv_strerror(status));
		lock_take(&node.lock); /* the next one goes there again, never over the good one */
		node.number--;
		lock_release(&node.lock);
	}
	go_on();
}

void node_kept_write(const void *bytes, uint32_t len_bytes)
{
	bool begins;

	if (!node.dev)
		return;
	if (len_bytes > KEPT_MAX) {
		log_err("kept", "%u bytes are too many to be kept over a reboot", len_bytes);
		return;
	}
	lock_take(&node.lock);
	if (len_bytes > 0)
		memcpy(node.bytes, bytes, len_bytes);
	node.len_bytes = len_bytes;
	node.is_newer = true;
	begins = !node.is_writing;
	node.is_writing = true;
	lock_release(&node.lock);
	if (begins)
		go_on();
}

/* ---- reading ---- */

uint32_t node_kept_read(void *out, uint32_t cap_bytes)
{
	uint32_t len = 0;

	if (!node.dev)
		return 0;
	lock_take(&node.lock);
	if (node.len_bytes <= cap_bytes)
		len = node.len_bytes;
	memcpy(out, node.bytes, len);
	lock_release(&node.lock);
	return len;
}

static enum hv_err read_copies(struct block_dev *dev, uint8_t *room)
{
	const uint8_t *const copies[KEPT_COPIES] = {room, room + BOOT_DISK_KEPT_BYTES};
	enum hv_err err = HV_OK;
	struct kept kept;

	for (uint32_t i = 0; i < KEPT_COPIES && err == HV_OK; i++) {
		fill_request(BLOCK_READ, i);
		err = block_run(dev, &node.req);
		memcpy(room + i * BOOT_DISK_KEPT_BYTES, hva_of(node.copy), BOOT_DISK_KEPT_BYTES);
	}
	if (err != HV_OK)
		return err;
	kept_find(copies, &kept);
	node.number = kept.number;
	node.len_bytes = kept.len_bytes;
	if (kept.len_bytes > 0)
		memcpy(node.bytes, kept.bytes, kept.len_bytes);
	return HV_OK;
}

void node_kept_init(void)
{
	struct block_dev *dev = node_slots_config(&node.at);
	uint8_t *room = dev ? kmem_alloc(KEPT_COPIES * BOOT_DISK_KEPT_BYTES) : NULL;
	enum hv_err err = HV_ENOMEM;

	if (!dev)
		return;
	node.at += BOOT_DISK_KEPT_AT;
	node.bytes = kmem_alloc(KEPT_MAX);
	node.copy = pages_alloc(COPY_ORDER);
	if (room && node.bytes && node.copy != HPA_NONE &&
	    dev->limits.max_bytes >= BOOT_DISK_KEPT_BYTES)
		err = read_copies(dev, room);
	kmem_free(room);
	if (err == HV_OK)
		node.dev = dev;
	else
		log_err("kept", "%s: nothing is kept over a reboot: %s", dev->name,
			hv_strerror(err));
}
