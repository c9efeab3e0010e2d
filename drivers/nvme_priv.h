/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the NVMe driver share. nvme_hw.c has the controller's life, nvme_io_hw.c the
 * commands and their ends, nvme_probe_hw.c finds controllers and their disks.
 *
 *   stages:  STOPPING ─► STARTING ─► SETUP ─► LIVE      any of them ─► GONE
 *                ▲        RDY 0       RDY 1     │
 *                └──────────────────────────────┘ nvme_reset()
 *
 * Steps from stage to stage are taken by the controller's timer, or, in attach(), by a loop; the
 * commands of SETUP, and those that find the disks when it is LIVE for the first time,
 * follow each other as they complete. An I/O pair of queues that is not on (all
 * of them but in LIVE) takes no command and completes none: what it had, drivers/block.c repeats.
 */
#ifndef DRIVERS_NVME_PRIV_H
#define DRIVERS_NVME_PRIV_H

#include "drivers/dev_irqs.h"
#include "drivers/nvme_identify.h"
#include "drivers/nvme_queue.h"
#include "kernel/memory.h"

#define NVME_PAIRS_MAX	    16u /* of I/O queues */
#define NVME_NAMESPACES_MAX 16u
#define NVME_ADMIN_NS	    (10 * NSEC_PER_SEC) /* for one command */

struct nvme;

struct nvme_pair {
	struct nvme *ctrl;
	struct lock lock;
	bool is_on; /* under lock, with queue */
	struct nvme_queue queue;
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	hpa_t sq, cq, lists; /* HPA_NONE: not allocated */
};

/* A command of the admin queue; each may be there once. */
struct nvme_op {
	bool is_busy; /* under the admin pair's lock */
	uint64_t deadline_ns;
	void (*done)(struct nvme *ctrl, uint16_t status, uint32_t result); /* under no lock */
};

struct nvme_namespace {
	struct nvme *ctrl;
	uint32_t index; /* among the controller's */
	uint32_t nsid;
	struct block_dev block;
};

enum nvme_stage { NVME_STOPPING, NVME_STARTING, NVME_SETUP, NVME_LIVE, NVME_SHUT_DOWN, NVME_GONE };

struct nvme {
	/* fixed after attach() */
	struct pci_device *dev;
	uint32_t index;
	char location[16];
	volatile uint8_t *registers;
	uint64_t cap;
	uint16_t nr_entries; /* of each queue */
	struct nvme_controller_info info;
	uint32_t nr_pairs; /* of I/O queues: pairs[1] and on; pairs[0] is the admin queue's */
	struct nvme_pair pairs[1 + NVME_PAIRS_MAX];
	uint32_t nr_namespaces;
	struct nvme_namespace *namespaces[NVME_NAMESPACES_MAX];
	struct dev_irqs irqs;

	struct lock lock;
	enum nvme_stage stage; /* under lock */
	uint64_t deadline_ns;  /* of the stage */
	struct timer timer;

	struct nvme_op setup, log, event;
	uint32_t setup_step;
	hpa_t data, log_data; /* a page for what identify says, and one for log pages */
	bool has_events, event_due;
	uint8_t event_log; /* the page that the last event pointed at */
	uint64_t health_due_ns;

	/* Finding its disks. */
	bool is_probed;
	uint8_t *copy; /* of what identify says; NULL: not needed any more */
	uint32_t ids[NVME_NAMESPACES_MAX + 1], nr_ids, next_id;
};

static inline uint32_t nvme_reg_read(const struct nvme *ctrl, uint32_t reg)
{
	return *(volatile uint32_t *)(ctrl->registers + reg);
}

static inline void nvme_reg_write(struct nvme *ctrl, uint32_t reg, uint32_t val)
{
	*(volatile uint32_t *)(ctrl->registers + reg) = val;
}

static inline enum nvme_stage nvme_stage_of(struct nvme *ctrl)
{
	return __atomic_load_n(&ctrl->stage, __ATOMIC_RELAXED);
}

/* ---- nvme_hw.c ---- */

/* nvme_reset - start again, once; what was outstanding is repeated. Any context. */
void nvme_reset(struct nvme *ctrl, const char *why);
/* nvme_give_up - no DMA any more, all namespaces are gone; repeating it is harmless. Any context.
 */
void nvme_give_up(struct nvme *ctrl, const char *why);
void nvme_ask_health(struct nvme *ctrl);
/* nvme_shut_down - before the power goes: takes no commands any more */
void nvme_shut_down(struct nvme *ctrl);
/* nvme_leave - the same of one that is to be taken out, without waiting; nvme_has_left - whether it
 * is over, and no command of its queues will be carried out */
void nvme_leave(struct nvme *ctrl);
bool nvme_has_left(struct nvme *ctrl);

/*
 * nvme_begin - with registers mapped and memory taken, on the way to LIVE; nvme_step goes on, as
 * often as it is called; nvme_go_on has a timer do that from now on. Boot CPU, where the timer and
 * the admin queue's interrupt stay.
 */
void nvme_begin(struct nvme *ctrl);
void nvme_step(struct nvme *ctrl);
void nvme_go_on(struct nvme *ctrl);
void nvme_forget_commands(struct nvme *ctrl);
void nvme_free_pairs(struct nvme *ctrl, uint32_t first);

/* ---- nvme_probe_hw.c ---- */

/* nvme_probe - LIVE for the first time: find its disks */
void nvme_probe(struct nvme *ctrl);

/* ---- nvme_io_hw.c ---- */

extern const struct block_ops nvme_block_ops;

/* nvme_pair_alloc - memory of a pair. HV_ENOMEM, and what it took nvme_pair_free() gives back. */
MUST_CHECK enum hv_err nvme_pair_alloc(struct nvme *ctrl, uint32_t id);
void nvme_pair_free(struct nvme_pair *pair);
/* nvme_pair_clear - forget all commands and be off; nvme_pair_start - empty, and on */
void nvme_pair_clear(struct nvme_pair *pair);
void nvme_pair_start(struct nvme_pair *pair);
/* nvme_process - complete what hardware has finished; returns how many. Any CPU. An irq_fn as well:
 * nvme_interrupt(). */
uint32_t nvme_process(struct nvme_pair *pair);
void nvme_interrupt(void *pair);

/* nvme_admin - start a command; false: op is busy, or the queue is off */
bool nvme_admin(struct nvme *ctrl, struct nvme_op *op, const struct nvme_command *command,
		uint64_t timeout_ns, void (*done)(struct nvme *, uint16_t, uint32_t));

#endif
