/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pair of NVMe queues: commands go into the submission queue, and what becomes of them comes back
 * in the completion queue, in any order. Pure: memory only; who rings the doorbells calls this.
 *
 *   sq:  [ . . c c c . . . ]          cq:  [ 1 1 1 0 0 0 0 0 ]   phase tags: what has the one that
 *              ▲     ▲                           ▲               this lap has is new
 *         read by    sq_tail                  cq_head
 *         hardware
 *
 * A command is in a slot from nvme_queue_take() until its completion was found; the slot's number
 * is the command's identifier. There is a slot less than the queue has entries, so it is never
 * overrun. What hardware writes is checked: a completion of no command of ours is an error of the
 * controller's, and nothing is looked up by its numbers before.
 *
 * Locking: the caller's, one lock a pair.
 */
#ifndef DRIVERS_NVME_QUEUE_H
#define DRIVERS_NVME_QUEUE_H

#include "drivers/block.h"
#include "drivers/nvme.h"

#define NVME_QUEUE_ENTRIES 64u
#define NVME_QUEUE_SLOTS   (NVME_QUEUE_ENTRIES - 1)
#define NVME_PAGE_BYTES	   4096u
#define NVME_LIST_ENTRIES  128u /* of a slot's PRP list: all pages of a transfer but the first */
#define NVME_LIST_BYTES	   (NVME_LIST_ENTRIES * 8)
#define NVME_LISTS_BYTES   (NVME_QUEUE_ENTRIES * NVME_LIST_BYTES)
#define NVME_BYTES_MAX	   (NVME_LIST_ENTRIES * NVME_PAGE_BYTES)

struct nvme_slot {
	void *owner; /* NULL: free */
	void *context;
};

struct nvme_queue {
	struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	uint64_t *lists; /* NVME_LIST_ENTRIES a slot; NULL: commands without lists */
	uint64_t lists_hpa;
	uint16_t id;
	uint16_t nr_entries; /* 2 to NVME_QUEUE_ENTRIES */
	uint16_t sq_tail, cq_head;
	bool phase;
	uint16_t nr_used, hint; /* slots in use; where to look for a free one */
	struct nvme_slot slots[NVME_QUEUE_SLOTS];
};

/*
 * nvme_queue_init - empty, as after a reset of the controller; forgets all commands
 *
 * Memory of both rings is zeroed; lists may be NULL. Fields are set whatever they were.
 */
void nvme_queue_init(struct nvme_queue *queue, uint16_t id, uint16_t nr_entries, void *sq, void *cq,
		     void *lists, uint64_t lists_hpa);

/* nvme_queue_take - a free slot for an owner (not NULL); false: there is none */
bool nvme_queue_take(struct nvme_queue *queue, void *owner, void *context, uint16_t *slot);

/* nvme_queue_put - the command of a taken slot into the ring; queue->sq_tail is for the doorbell */
void nvme_queue_put(struct nvme_queue *queue, uint16_t slot, const struct nvme_command *command);

enum nvme_found { NVME_NOTHING, NVME_FOUND, NVME_BROKEN };

struct nvme_done {
	void *owner, *context;
	uint32_t result;
	uint16_t status; /* without the phase tag: 0 is success */
};

/*
 * nvme_queue_next - take the next completion; queue->cq_head is for the doorbell
 *
 * NVME_BROKEN: it completes nothing of ours, or its other numbers are impossible. The controller is
 * to be reset; out is left alone.
 */
enum nvme_found nvme_queue_next(struct nvme_queue *queue, struct nvme_done *out);

/* nvme_command_of - a block request, which was checked, as a command; a list is made in its slot */
void nvme_command_of(struct nvme_queue *queue, uint16_t slot, uint32_t nsid,
		     const struct block_request *req, struct nvme_command *out);

/* nvme_status_error - HV_OK; HV_EBUSY: it may succeed when tried again; HV_EIO: it will not */
enum hv_err nvme_status_error(uint16_t status);

#endif
