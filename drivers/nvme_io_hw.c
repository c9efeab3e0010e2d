/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands to an NVMe controller and their ends. Each CPU submits to a pair of queues of its own,
 * as far as there are so many, and the pair's interrupt comes to the same CPU. A request is taken
 * out of its slot and off the disk's list under the pair's lock, so that a reset finds it either
 * outstanding or finished.
 */
#include "drivers/nvme_priv.h"
#include "kernel/cpu.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/time.h"

#define RING_ORDER  0 /* 64 entries of 64 bytes, and of 16 */
#define LISTS_ORDER 4

static_assert(NVME_QUEUE_ENTRIES * sizeof(struct nvme_command) <= PAGE_SIZE << RING_ORDER,
	      "a submission queue fits its pages");
static_assert(NVME_LISTS_BYTES <= PAGE_SIZE << LISTS_ORDER, "PRP lists fit their pages");

static volatile uint32_t *doorbell(const struct nvme *ctrl, uint32_t index)
{
	uint32_t stride = 4u << FIELD_GET(NVME_CAP_DSTRD, ctrl->cap);

	return (volatile uint32_t *)(ctrl->registers + NVME_REG_DOORBELL + index * stride);
}

enum hv_err nvme_pair_alloc(struct nvme *ctrl, uint32_t id)
{
	struct nvme_pair *pair = &ctrl->pairs[id];

	pair->ctrl = ctrl;
	pair->sq_doorbell = doorbell(ctrl, 2 * id);
	pair->cq_doorbell = doorbell(ctrl, 2 * id + 1);
	pair->sq = pages_alloc(RING_ORDER);
	pair->cq = pages_alloc(RING_ORDER);
	pair->lists = pages_alloc(LISTS_ORDER);
	return pair->sq == HPA_NONE || pair->cq == HPA_NONE || pair->lists == HPA_NONE ? HV_ENOMEM
										       : HV_OK;
}

static void give_pages(hpa_t *hpa, unsigned order)
{
	if (*hpa != HPA_NONE)
		pages_free(*hpa, order);
	*hpa = HPA_NONE;
}

void nvme_pair_free(struct nvme_pair *pair)
{
	if (!pair->ctrl)
		return;
	give_pages(&pair->sq, RING_ORDER);
	give_pages(&pair->cq, RING_ORDER);
	give_pages(&pair->lists, LISTS_ORDER);
}

void nvme_pair_clear(struct nvme_pair *pair)
{
	lock_take(&pair->lock);
	pair->is_on = false;
	lock_release(&pair->lock);
}

void nvme_pair_start(struct nvme_pair *pair)
{
	uint16_t id = (uint16_t)(pair - pair->ctrl->pairs);

	lock_take(&pair->lock);
	nvme_queue_init(&pair->queue, id, pair->ctrl->nr_entries, hva_of(pair->sq),
			hva_of(pair->cq), hva_of(pair->lists), pair->lists);
	pair->is_on = true;
	lock_release(&pair->lock);
}

/* What was found in one go at a completion queue. */
struct found {
	uint32_t nr;
	bool is_broken;
	uint32_t namespaces; /* a bit for each whose batch is not empty, or that may go on */
	struct list batches[NVME_NAMESPACES_MAX];
	uint32_t nr_ops;
	struct {
		struct nvme_op *op;
		uint16_t status;
		uint32_t result;
	} ops[3]; /* setup, log, event: each is there once */
};

static void keep_request(struct found *found, const struct nvme_done *done)
{
	struct nvme_namespace *ns = done->context;

	if (!(found->namespaces & BIT(ns->index)))
		list_init(&found->batches[ns->index]);
	found->namespaces |= (uint32_t)BIT(ns->index);
	block_finish(&ns->block, done->owner, nvme_status_error(done->status),
		     &found->batches[ns->index]);
}

static void keep_op(struct found *found, const struct nvme_done *done)
{
	struct nvme_op *op = done->owner;

	ASSERT(found->nr_ops < ARRAY_SIZE(found->ops));
	op->is_busy = false;
	found->ops[found->nr_ops].op = op;
	found->ops[found->nr_ops].status = done->status;
	found->ops[found->nr_ops++].result = done->result;
}

/*
 * All that is there, once: what comes later brings an interrupt of its own. As many as a queue has
 * slots, and no more, even when the controller writes faster than we read.
 */
static void take_finished(struct nvme_pair *pair, struct found *found)
{
	struct nvme_done done;

	ASSERT_HELD(&pair->lock);
	while (found->nr < NVME_QUEUE_SLOTS) {
		enum nvme_found kind = nvme_queue_next(&pair->queue, &done);

		if (kind == NVME_NOTHING)
			break;
		found->nr++;
		found->is_broken |= kind == NVME_BROKEN;
		if (kind == NVME_BROKEN)
			continue;
		if (pair->queue.id == 0)
			keep_op(found, &done);
		else
			keep_request(found, &done);
	}
	if (found->nr > 0)
		*pair->cq_doorbell = pair->queue.cq_head;
}

static void deliver(struct nvme *ctrl, struct found *found)
{
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++)
		if (found->namespaces & BIT(i))
			block_end(&ctrl->namespaces[i]->block, &found->batches[i]);
	for (uint32_t i = 0; i < found->nr_ops; i++)
		found->ops[i].op->done(ctrl, found->ops[i].status, found->ops[i].result);
}

uint32_t nvme_process(struct nvme_pair *pair)
{
	struct found found;

	found.nr = found.namespaces = found.nr_ops = 0;
	found.is_broken = false;
	lock_take(&pair->lock);
	if (pair->is_on)
		take_finished(pair, &found);
	lock_release(&pair->lock);
	deliver(pair->ctrl, &found);
	if (found.is_broken)
		nvme_reset(pair->ctrl, "completes commands that it was not given");
	return found.nr;
}

void nvme_interrupt(void *pair)
{
	nvme_process(pair);
}

static void ring(struct nvme_pair *pair, uint16_t slot, const struct nvme_command *command)
{
	nvme_queue_put(&pair->queue, slot, command);
	/* The entry before the doorbell: the compiler keeps their order here, and x86 does. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*pair->sq_doorbell = pair->queue.sq_tail;
}

bool nvme_admin(struct nvme *ctrl, struct nvme_op *op, const struct nvme_command *command,
		uint64_t timeout_ns, void (*done)(struct nvme *, uint16_t, uint32_t))
{
	struct nvme_pair *admin = &ctrl->pairs[0];
	bool is_started = false;
	uint16_t slot;

	lock_take(&admin->lock);
	if (admin->is_on && !op->is_busy && nvme_queue_take(&admin->queue, op, NULL, &slot)) {
		op->is_busy = is_started = true;
		op->deadline_ns = time_now_ns() + timeout_ns;
		op->done = done;
		ring(admin, slot, command);
	}
	lock_release(&admin->lock);
	return is_started;
}

/* The pair whose interrupt comes to this CPU: handler i of dev_irqs is on CPU i, and is pair i's.
 */
static struct nvme_pair *pair_of_this_cpu(struct nvme *ctrl)
{
	uint32_t at = this_cpu()->index % ctrl->nr_pairs;

	return &ctrl->pairs[at == 0 ? ctrl->nr_pairs : at];
}

static enum hv_err submit(struct block_dev *dev, struct block_request *req)
{
	struct nvme_namespace *ns = container_of(dev, struct nvme_namespace, block);
	struct nvme_pair *pair = pair_of_this_cpu(ns->ctrl);
	struct nvme_command command;
	enum hv_err err = HV_EBUSY;
	uint16_t slot;

	lock_take(&pair->lock);
	if (pair->is_on && nvme_queue_take(&pair->queue, req, ns, &slot)) {
		req->slot = slot;
		block_accept(dev, req);
		nvme_command_of(&pair->queue, slot, ns->nsid, req, &command);
		ring(pair, slot, &command);
		err = HV_OK;
	}
	lock_release(&pair->lock);
	return err;
}

static uint32_t poll(struct block_dev *dev)
{
	struct nvme *ctrl = container_of(dev, struct nvme_namespace, block)->ctrl;
	uint32_t nr = 0;

	for (uint32_t i = 1; i <= ctrl->nr_pairs; i++)
		nr += nvme_process(&ctrl->pairs[i]);
	return nr;
}

static void reset(struct block_dev *dev)
{
	nvme_reset(container_of(dev, struct nvme_namespace, block)->ctrl, "does not answer");
}

static void abandon(struct block_dev *dev)
{
	nvme_give_up(container_of(dev, struct nvme_namespace, block)->ctrl, "is given up");
}

static void ask_health(struct block_dev *dev)
{
	nvme_ask_health(container_of(dev, struct nvme_namespace, block)->ctrl);
}

static void shut_down(struct block_dev *dev)
{
	nvme_shut_down(container_of(dev, struct nvme_namespace, block)->ctrl);
}

const struct block_ops nvme_block_ops = {
	.driver = "nvme",
	.submit = submit,
	.poll = poll,
	.reset = reset,
	.abandon = abandon,
	.shut_down = shut_down,
	.ask_health = ask_health,
};
