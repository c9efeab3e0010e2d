/* SPDX-License-Identifier: Apache-2.0 */
/* Rings, slots and lists of pages: what goes between the driver and the controller in memory. */
#include "drivers/nvme_queue.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

void nvme_queue_init(struct nvme_queue *queue, uint16_t id, uint16_t nr_entries, void *sq, void *cq,
		     void *lists, uint64_t lists_hpa)
{
	ASSERT(nr_entries >= 2 && nr_entries <= NVME_QUEUE_ENTRIES);

	*queue = (struct nvme_queue){.sq = sq,
				     .cq = cq,
				     .lists = lists,
				     .lists_hpa = lists_hpa,
				     .id = id,
				     .nr_entries = nr_entries,
				     .phase = true};
	memset(sq, 0, nr_entries * sizeof(struct nvme_command));
	memset(cq, 0, nr_entries * sizeof(struct nvme_completion));
}

bool nvme_queue_take(struct nvme_queue *queue, void *owner, void *context, uint16_t *slot)
{
	uint16_t nr_slots = queue->nr_entries - 1;

	ASSERT(owner);
	if (queue->nr_used == nr_slots)
		return false;
	while (queue->slots[queue->hint].owner)
		queue->hint = (uint16_t)((queue->hint + 1) % nr_slots);
	*slot = queue->hint;
	queue->slots[*slot] = (struct nvme_slot){owner, context};
	queue->nr_used++;
	return true;
}

void nvme_queue_put(struct nvme_queue *queue, uint16_t slot, const struct nvme_command *command)
{
	struct nvme_command *entry = &queue->sq[queue->sq_tail];

	ASSERT(slot < queue->nr_entries - 1 && queue->slots[slot].owner);
	*entry = *command;
	entry->cid = slot;
	queue->sq_tail = (uint16_t)((queue->sq_tail + 1) % queue->nr_entries);
}

/* One entry, read once. False: hardware has not written it in this lap. */
static bool read_entry(const struct nvme_queue *queue, struct nvme_completion *out)
{
	volatile struct nvme_completion *entry = &queue->cq[queue->cq_head];

	/* The phase tag before the rest of the entry: it is written last. */
	out->status = __atomic_load_n(&entry->status, __ATOMIC_ACQUIRE);
	if (!!(out->status & NVME_CQE_PHASE) != queue->phase)
		return false;
	out->dw0 = entry->dw0;
	out->sq = entry->sq;
	return true;
}

enum nvme_found nvme_queue_next(struct nvme_queue *queue, struct nvme_done *out)
{
	struct nvme_completion entry;
	uint32_t cid;

	if (!read_entry(queue, &entry))
		return NVME_NOTHING;
	queue->cq_head++;
	if (queue->cq_head == queue->nr_entries) {
		queue->cq_head = 0;
		queue->phase = !queue->phase;
	}

	cid = (uint32_t)FIELD_GET(NVME_CQE_CID, entry.status);
	if (FIELD_GET(NVME_CQE_SQID, entry.sq) != queue->id ||
	    FIELD_GET(NVME_CQE_SQHD, entry.sq) >= queue->nr_entries ||
	    cid >= queue->nr_entries - 1u || !queue->slots[cid].owner)
		return NVME_BROKEN;
	*out = (struct nvme_done){.owner = queue->slots[cid].owner,
				  .context = queue->slots[cid].context,
				  .result = entry.dw0,
				  .status = (uint16_t)FIELD_GET(NVME_CQE_STATUS, entry.status)};
	queue->slots[cid].owner = NULL;
	queue->nr_used--;
	return NVME_FOUND;
}

/* All pages but the first, in their order; returns how many. */
static uint32_t fill_list(uint64_t *list, const struct block_request *req)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < req->nr_segs; i++) {
		uint64_t at = req->segs[i].hpa, end = at + req->segs[i].len_bytes;

		if (i == 0)
			at = ALIGN_DOWN(at, NVME_PAGE_BYTES) + NVME_PAGE_BYTES;
		for (; at < end; at += NVME_PAGE_BYTES) {
			ASSERT(nr < NVME_LIST_ENTRIES);
			list[nr++] = at;
		}
	}
	return nr;
}

/* [NVMe] "Physical Region Page Entry and List" */
static void set_pages(struct nvme_queue *queue, uint16_t slot, const struct block_request *req,
		      struct nvme_command *out)
{
	uint64_t *list = queue->lists + slot * NVME_LIST_ENTRIES;
	uint32_t nr = fill_list(list, req);

	out->prp1 = req->segs[0].hpa;
	if (nr == 1)
		out->prp2 = list[0];
	if (nr > 1)
		out->prp2 = queue->lists_hpa + slot * NVME_LIST_BYTES;
}

static void set_range(struct nvme_queue *queue, uint16_t slot, const struct block_request *req,
		      struct nvme_command *out)
{
	struct nvme_range range = {.nr_blocks = req->nr_sectors, .start = req->sector};

	memcpy(queue->lists + slot * NVME_LIST_ENTRIES, &range, sizeof(range));
	out->prp1 = queue->lists_hpa + slot * NVME_LIST_BYTES;
	out->cdw11 = NVME_DATASET_DISCARD; /* cdw10 is 0: one range */
}

void nvme_command_of(struct nvme_queue *queue, uint16_t slot, uint32_t nsid,
		     const struct block_request *req, struct nvme_command *out)
{
	static const uint8_t opcodes[BLOCK_OPS] = {
		[BLOCK_READ] = NVME_READ,
		[BLOCK_WRITE] = NVME_WRITE,
		[BLOCK_FLUSH] = NVME_FLUSH,
		[BLOCK_DISCARD] = NVME_DATASET,
	};

	ASSERT(req->op < BLOCK_OPS && slot < NVME_QUEUE_SLOTS);
	*out = (struct nvme_command){.opcode = opcodes[req->op], .nsid = nsid};
	if (req->op == BLOCK_DISCARD)
		set_range(queue, slot, req, out);
	if (req->op != BLOCK_READ && req->op != BLOCK_WRITE)
		return;
	set_pages(queue, slot, req, out);
	out->cdw10 = (uint32_t)req->sector;
	out->cdw11 = (uint32_t)(req->sector >> 32);
	out->cdw12 = req->nr_sectors - 1;
}

enum hv_err nvme_status_error(uint16_t status)
{
	if (!(status & (NVME_STATUS_SC | NVME_STATUS_SCT)))
		return HV_OK;
	return status & NVME_STATUS_DNR ? HV_EIO : HV_EBUSY;
}
