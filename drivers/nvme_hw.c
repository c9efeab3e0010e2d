/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an NVMe controller: taking it over, its queues, its namespaces, resets, its end. A
 * reset at run time is the same walk through the stages as at boot, by timer.
 *
 * Source: [NVMe] "Controller Initialization", "Controller Shutdown", "Controller Level Reset".
 */
#include "drivers/dev_open.h"
#include "drivers/nvme_priv.h"
#include "kernel/acpi.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/time.h"

#define CONTROLLERS_MAX 16u

#define RESET_STEP_NS	(2 * NSEC_PER_MSEC)
#define WATCH_NS	(1 * NSEC_PER_SEC)
#define READY_UNIT_NS	(500 * NSEC_PER_MSEC) /* of CAP.TO */
#define READY_MOST_NS	(25 * NSEC_PER_SEC)   /* drivers/block.c waits 30 s for a reset */
#define ADMIN_NS	(10 * NSEC_PER_SEC)
#define SHUTDOWN_NS	(10 * NSEC_PER_SEC)
#define HEALTH_EVERY_NS (600 * NSEC_PER_SEC)
#define EVENT_NS	(~0ull >> 1) /* an event comes when there is one */
#define DISCARD_BYTES	(1 * GIB)

#define AQ_SIZES(n) (FIELD_PREP(NVME_AQA_ASQS, (n) - 1) | FIELD_PREP(NVME_AQA_ACQS, (n) - 1))
#define CC_VALUE    (FIELD_PREP(NVME_CC_IOSQES, 6) | FIELD_PREP(NVME_CC_IOCQES, 4) | NVME_CC_EN)

static uint32_t nr_controllers;

static uint32_t reg_read(const struct nvme *ctrl, uint32_t reg)
{
	return *(volatile uint32_t *)(ctrl->registers + reg);
}

static void reg_write(struct nvme *ctrl, uint32_t reg, uint32_t val)
{
	*(volatile uint32_t *)(ctrl->registers + reg) = val;
}

/* In halves, as not every controller takes eight bytes at once. */
static uint64_t reg_read64(const struct nvme *ctrl, uint32_t reg)
{
	return reg_read(ctrl, reg) | (uint64_t)reg_read(ctrl, reg + 4) << 32;
}

static void reg_write64(struct nvme *ctrl, uint32_t reg, uint64_t val)
{
	reg_write(ctrl, reg, (uint32_t)val);
	reg_write(ctrl, reg + 4, (uint32_t)(val >> 32));
}

/* ---- stages ---- */

static uint64_t ready_ns(const struct nvme *ctrl)
{
	return MIN(FIELD_GET(NVME_CAP_TO, ctrl->cap) * READY_UNIT_NS + READY_UNIT_NS,
		   READY_MOST_NS);
}

/* False: another CPU was first with something else. */
static bool enter(struct nvme *ctrl, enum nvme_stage from, enum nvme_stage to, uint64_t within_ns)
{
	bool is_entered;

	lock_take(&ctrl->lock);
	is_entered = ctrl->stage == from;
	if (is_entered) {
		ctrl->stage = to;
		ctrl->deadline_ns = time_now_ns() + within_ns;
	}
	lock_release(&ctrl->lock);
	return is_entered;
}

static enum nvme_stage stage_of(struct nvme *ctrl)
{
	return __atomic_load_n(&ctrl->stage, __ATOMIC_RELAXED);
}

static void forget_commands(struct nvme *ctrl)
{
	struct nvme_pair *admin = &ctrl->pairs[0];

	for (uint32_t i = 1; i <= ctrl->nr_pairs; i++)
		nvme_pair_clear(&ctrl->pairs[i]);
	lock_take(&admin->lock);
	admin->is_on = false;
	ctrl->setup.is_busy = ctrl->log.is_busy = ctrl->event.is_busy = false;
	lock_release(&admin->lock);
}

void nvme_give_up(struct nvme *ctrl, const char *why)
{
	bool is_news;

	lock_take(&ctrl->lock);
	is_news = ctrl->stage != NVME_GONE;
	ctrl->stage = NVME_GONE;
	lock_release(&ctrl->lock);
	if (!is_news)
		return;
	log_err("nvme", "%s: %s", ctrl->location, why);
	dev_stop_dma(ctrl->dev);
	forget_commands(ctrl);
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++)
		block_gone(&ctrl->namespaces[i]->block);
}

static void stop_controller(struct nvme *ctrl)
{
	reg_write(ctrl, NVME_REG_CC, reg_read(ctrl, NVME_REG_CC) & ~NVME_CC_EN);
}

/* The timer finds out within WATCH_NS, and goes on. */
void nvme_reset(struct nvme *ctrl, const char *why)
{
	if (!pci_is_present(&pci_machine, ctrl->dev)) {
		nvme_give_up(ctrl, "was pulled out");
		return;
	}
	if (!enter(ctrl, NVME_LIVE, NVME_STOPPING, ready_ns(ctrl)))
		return;
	log_warn("nvme", "%s: %s, status %08x: reset", ctrl->location, why,
		 reg_read(ctrl, NVME_REG_CSTS));
	forget_commands(ctrl); /* and none is accepted from here on */
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++)
		block_resetting(&ctrl->namespaces[i]->block);
	stop_controller(ctrl);
}

static void start_controller(struct nvme *ctrl)
{
	const struct nvme_pair *admin = &ctrl->pairs[0];

	nvme_pair_start(&ctrl->pairs[0]);
	reg_write(ctrl, NVME_REG_AQA, (uint32_t)AQ_SIZES(ctrl->nr_entries));
	reg_write64(ctrl, NVME_REG_ASQ, admin->sq);
	reg_write64(ctrl, NVME_REG_ACQ, admin->cq);
	reg_write(ctrl, NVME_REG_CC, (uint32_t)CC_VALUE);
}

/* ---- the commands of SETUP ---- */

static void setup_done(struct nvme *ctrl, uint16_t status, uint32_t result);

/* Which command a step is: how many queues, then a CQ and an SQ for each pair, then events. */
static struct nvme_command setup_command(const struct nvme *ctrl, uint32_t step)
{
	uint32_t id = (step + 1) / 2, size = FIELD_PREP(NVME_CREATE_SIZE, ctrl->nr_entries - 1);
	const struct nvme_pair *pair = &ctrl->pairs[id];

	if (step == 0)
		return (struct nvme_command){
			.opcode = NVME_SET_FEATURES,
			.cdw10 = NVME_FEATURE_QUEUES,
			.cdw11 = (uint32_t)(FIELD_PREP(NVME_QUEUES_SQ, ctrl->nr_pairs - 1) |
					    FIELD_PREP(NVME_QUEUES_CQ, ctrl->nr_pairs - 1)),
		};
	if (step > 2 * ctrl->nr_pairs)
		return (struct nvme_command){.opcode = NVME_SET_FEATURES,
					     .cdw10 = NVME_FEATURE_EVENTS,
					     .cdw11 = NVME_EVENTS_HEALTH};
	if (step % 2 == 1)
		return (struct nvme_command){
			.opcode = NVME_CREATE_CQ,
			.prp1 = pair->cq,
			.cdw10 = size | id,
			.cdw11 =
				(uint32_t)FIELD_PREP(NVME_CREATE_HIGH, id % ctrl->irqs.nr_vectors) |
				NVME_CREATE_IEN | NVME_CREATE_PC,
		};
	return (struct nvme_command){
		.opcode = NVME_CREATE_SQ,
		.prp1 = pair->sq,
		.cdw10 = size | id,
		.cdw11 = (uint32_t)FIELD_PREP(NVME_CREATE_HIGH, id) | NVME_CREATE_PC,
	};
}

static void next_setup(struct nvme *ctrl)
{
	struct nvme_command command = setup_command(ctrl, ctrl->setup_step);

	if (ctrl->setup_step > 0 && ctrl->setup_step <= 2 * ctrl->nr_pairs &&
	    ctrl->setup_step % 2 == 1)
		nvme_pair_start(&ctrl->pairs[(ctrl->setup_step + 1) / 2]);
	nvme_admin(ctrl, &ctrl->setup, &command, ADMIN_NS, setup_done);
}

static void free_pairs(struct nvme *ctrl, uint32_t first)
{
	for (uint32_t i = first; i <= NVME_PAIRS_MAX; i++)
		nvme_pair_free(&ctrl->pairs[i]);
}

/* Vector 0 is the admin queue's; that of pair i is i, as far as there are so many. */
static enum hv_err connect_irqs(struct nvme *ctrl)
{
	struct dev_irq_handler handlers[1 + NVME_PAIRS_MAX];

	for (uint32_t i = 0; i <= ctrl->nr_pairs; i++)
		handlers[i] = (struct dev_irq_handler){nvme_interrupt, &ctrl->pairs[i]};
	return dev_irqs_connect(&ctrl->irqs, ctrl->dev, handlers, ctrl->nr_pairs + 1, DEV_IRQ_MSIX);
}

/* What it grants is for good: as many pairs it must have after each reset. */
static enum hv_err take_grant(struct nvme *ctrl, uint32_t result)
{
	uint32_t granted = (uint32_t)MIN(FIELD_GET(NVME_QUEUES_SQ, result),
					 FIELD_GET(NVME_QUEUES_CQ, result)) +
			   1;

	if (ctrl->irqs.nr_handlers > 0)
		return granted >= ctrl->nr_pairs ? HV_OK : HV_EIO;
	ctrl->nr_pairs = MIN(ctrl->nr_pairs, granted);
	free_pairs(ctrl, ctrl->nr_pairs + 1);
	return connect_irqs(ctrl);
}

static void go_live(struct nvme *ctrl)
{
	if (!enter(ctrl, NVME_SETUP, NVME_LIVE, 0))
		return;
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++)
		block_reset_done(&ctrl->namespaces[i]->block, HV_OK);
}

static void setup_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	bool is_events = ctrl->setup_step > 2 * ctrl->nr_pairs;
	enum hv_err err = nvme_status_error(status);

	if (is_events) { /* may do without */
		ctrl->has_events = err == HV_OK;
		go_live(ctrl);
		return;
	}
	if (err == HV_OK && ctrl->setup_step == 0)
		err = take_grant(ctrl, result);
	if (err != HV_OK) {
		log_err("nvme", "%s: setup command %u ended with status %04x: %s", ctrl->location,
			ctrl->setup_step, status, hv_strerror(err));
		nvme_give_up(ctrl, "could not be set up");
		return;
	}
	ctrl->setup_step++;
	next_setup(ctrl);
}

/* ---- health and events ---- */

static void health_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	uint8_t log[NVME_LOG_BYTES];
	struct block_health health;

	(void)result;
	if (nvme_status_error(status) != HV_OK)
		return;
	memcpy(log, hva_of(ctrl->log_data), sizeof(log));
	nvme_health(log, &health);
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++) {
		struct block_dev *dev = &ctrl->namespaces[i]->block;

		if (health.is_failing && !dev->health.is_failing)
			log_warn("nvme", "%s: %s says that it is failing", ctrl->location,
				 dev->name);
		dev->health = health;
	}
}

/* Any other page is read so that events of its kind come again. */
static void page_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	(void)ctrl;
	(void)status;
	(void)result;
}

static bool ask_log(struct nvme *ctrl, uint8_t page)
{
	struct nvme_command command = {
		.opcode = NVME_GET_LOG_PAGE,
		.nsid = NVME_NSID_ALL,
		.prp1 = ctrl->log_data,
		.cdw10 = (uint32_t)FIELD_PREP(NVME_LOG_NUMDL, NVME_LOG_BYTES / 4 - 1) | page,
	};

	return nvme_admin(ctrl, &ctrl->log, &command, ADMIN_NS,
			  page == NVME_LOG_HEALTH ? health_done : page_done);
}

void nvme_ask_health(struct nvme *ctrl)
{
	(void)ask_log(ctrl, NVME_LOG_HEALTH); /* one that is asked already will be answered */
}

static void event_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	if (nvme_status_error(status) != HV_OK) {
		ctrl->has_events = false;
		return;
	}
	ctrl->event_log = (uint8_t)FIELD_GET(NVME_EVENT_LOG, result);
	ctrl->event_due = true; /* looked at by the timer: not more often than that */
}

static void look_after_events(struct nvme *ctrl)
{
	static const struct nvme_command command = {.opcode = NVME_ASYNC_EVENT};

	if (ctrl->event_due)
		ctrl->event_due = !ask_log(ctrl, ctrl->event_log);
	else if (ctrl->has_events)
		nvme_admin(ctrl, &ctrl->event, &command, EVENT_NS, event_done);
}

/* ---- the timer ---- */

static void watch(struct nvme *ctrl, uint32_t csts)
{
	uint64_t now_ns = time_now_ns();

	nvme_process(&ctrl->pairs[0]); /* it is seldom used, so a lost interrupt costs little */
	/* Behind some bridges what was pulled out reads as zero: not ready. */
	if (csts & NVME_CSTS_CFS || !(csts & NVME_CSTS_RDY)) {
		nvme_reset(ctrl, "has had a fatal error");
		return;
	}
	if (ctrl->log.is_busy && now_ns > ctrl->log.deadline_ns) {
		nvme_reset(ctrl, "does not answer an admin command");
		return;
	}
	look_after_events(ctrl);
	if (now_ns >= ctrl->health_due_ns) {
		ctrl->health_due_ns = now_ns + HEALTH_EVERY_NS;
		nvme_ask_health(ctrl);
	}
}

static bool is_late(const struct nvme *ctrl)
{
	return time_now_ns() > ctrl->deadline_ns;
}

static void step(struct nvme *ctrl)
{
	uint32_t csts = reg_read(ctrl, NVME_REG_CSTS);
	enum nvme_stage stage = stage_of(ctrl);

	if (stage == NVME_SHUT_DOWN)
		return;
	if (csts == NVME_CSTS_GONE) {
		nvme_give_up(ctrl, "was pulled out");
		return;
	}
	if (stage == NVME_LIVE) {
		watch(ctrl, csts);
		return;
	}
	if (stage == NVME_STOPPING && !(csts & NVME_CSTS_RDY)) {
		if (enter(ctrl, NVME_STOPPING, NVME_STARTING, ready_ns(ctrl)))
			start_controller(ctrl);
		return;
	}
	if (stage == NVME_STARTING && csts & NVME_CSTS_RDY) {
		ctrl->setup_step = 0;
		if (enter(ctrl, NVME_STARTING, NVME_SETUP, ADMIN_NS))
			next_setup(ctrl);
		return;
	}
	if (stage == NVME_SETUP)
		nvme_process(&ctrl->pairs[0]);
	if (stage_of(ctrl) == stage && is_late(ctrl))
		nvme_give_up(ctrl, "does not become ready");
}

static void set_timer(struct nvme *ctrl)
{
	uint64_t ns = stage_of(ctrl) == NVME_LIVE ? WATCH_NS : RESET_STEP_NS;

	timer_set(&ctrl->timer, tsc_now() + time_tsc_of_ns(ns));
}

static void fire(struct timer *timer)
{
	struct nvme *ctrl = container_of(timer, struct nvme, timer);

	step(ctrl);
	if (stage_of(ctrl) != NVME_GONE)
		set_timer(ctrl);
}

/* ---- the end ---- */

/* Once for each namespace, of which the first is enough. */
void nvme_shut_down(struct nvme *ctrl)
{
	uint64_t start_ns = time_now_ns();

	if (!enter(ctrl, NVME_LIVE, NVME_SHUT_DOWN, 0))
		return;
	forget_commands(ctrl); /* and so no more are given to it */
	reg_write(ctrl, NVME_REG_CC,
		  reg_read(ctrl, NVME_REG_CC) |
			  (uint32_t)FIELD_PREP(NVME_CC_SHN, NVME_CC_SHN_NORMAL));
	while (FIELD_GET(NVME_CSTS_SHST, reg_read(ctrl, NVME_REG_CSTS)) != NVME_CSTS_SHST_DONE)
		if (time_now_ns() - start_ns > SHUTDOWN_NS) {
			log_warn("nvme", "%s: does not say that it has shut down", ctrl->location);
			return;
		}
}

/* ---- attach ---- */

static enum hv_err map_registers(struct nvme *ctrl)
{
	uint64_t nr_doorbells;
	uint32_t stride;

	ctrl->registers = dev_map(ctrl->dev, 0, NVME_REG_DOORBELL);
	if (!ctrl->registers)
		return HV_EIO;
	ctrl->cap = reg_read64(ctrl, NVME_REG_CAP);
	if (ctrl->cap == ~0ull)
		return HV_EIO;
	if (FIELD_GET(NVME_CAP_MPSMIN, ctrl->cap) != 0 ||
	    !(FIELD_GET(NVME_CAP_CSS, ctrl->cap) & NVME_CAP_CSS_NVM) ||
	    FIELD_GET(NVME_CAP_MQES, ctrl->cap) == 0)
		return HV_ENOTSUP;
	ctrl->nr_entries = (uint16_t)MIN(FIELD_GET(NVME_CAP_MQES, ctrl->cap) + 1,
					 (uint64_t)NVME_QUEUE_ENTRIES);
	/* Its BAR may have doorbells for fewer queues than we have CPUs. */
	stride = 4u << FIELD_GET(NVME_CAP_DSTRD, ctrl->cap);
	nr_doorbells = (ctrl->dev->bars[0].len_bytes - NVME_REG_DOORBELL) / (2 * stride);
	if (nr_doorbells < 2)
		return HV_EIO;
	ctrl->nr_pairs = MIN(MIN(acpi_info.nr_cpus, NVME_PAIRS_MAX), (uint32_t)nr_doorbells - 1);
	ctrl->registers =
		dev_map(ctrl->dev, 0, NVME_REG_DOORBELL + 2ull * stride * (1 + ctrl->nr_pairs));
	return ctrl->registers ? HV_OK : HV_ENOMEM;
}

static enum hv_err alloc_memory(struct nvme *ctrl)
{
	enum hv_err err = HV_OK;

	ctrl->data = pages_alloc(0);
	ctrl->log_data = pages_alloc(0);
	if (ctrl->data == HPA_NONE || ctrl->log_data == HPA_NONE)
		return HV_ENOMEM;
	for (uint32_t i = 0; i <= ctrl->nr_pairs && err == HV_OK; i++)
		err = nvme_pair_alloc(ctrl, i);
	return err;
}

static void free_memory(struct nvme *ctrl)
{
	free_pairs(ctrl, 0);
	if (ctrl->data != HPA_NONE)
		pages_free(ctrl->data, 0);
	if (ctrl->log_data != HPA_NONE)
		pages_free(ctrl->log_data, 0);
}

/* All stages in a row, while nothing else runs yet. */
static enum hv_err start_at_boot(struct nvme *ctrl)
{
	ctrl->stage = NVME_STOPPING;
	ctrl->deadline_ns = time_now_ns() + ready_ns(ctrl);
	stop_controller(ctrl);
	dev_start_dma(ctrl->dev);
	while (stage_of(ctrl) != NVME_LIVE) {
		step(ctrl);
		if (stage_of(ctrl) == NVME_GONE)
			return HV_EIO;
	}
	return HV_OK;
}

static struct {
	bool is_done;
	uint16_t status;
} identified; /* boot CPU only */

static void identify_done(struct nvme *ctrl, uint16_t status, uint32_t result)
{
	(void)ctrl;
	(void)result;
	identified.is_done = true;
	identified.status = status;
}

/* Boot only: into a copy, as the page is the controller's to write. */
static enum hv_err identify(struct nvme *ctrl, uint32_t cns, uint32_t nsid, uint8_t *out)
{
	struct nvme_command command = {
		.opcode = NVME_IDENTIFY, .nsid = nsid, .prp1 = ctrl->data, .cdw10 = cns};
	uint64_t start_ns = time_now_ns();

	identified.is_done = false;
	if (!nvme_admin(ctrl, &ctrl->setup, &command, ADMIN_NS, identify_done))
		return HV_EIO;
	while (!identified.is_done) {
		nvme_process(&ctrl->pairs[0]);
		if (time_now_ns() - start_ns > ADMIN_NS)
			return HV_EIO;
	}
	if (nvme_status_error(identified.status) != HV_OK)
		return HV_ENOENT;
	memcpy(out, hva_of(ctrl->data), NVME_IDENTIFY_BYTES);
	return HV_OK;
}

static void fill_block(struct nvme *ctrl, struct nvme_namespace *ns,
		       const struct nvme_namespace_info *info)
{
	struct block_dev *dev = &ns->block;

	dev->ops = &nvme_block_ops;
	fmt(dev->name, sizeof(dev->name), "nvme%un%u", ctrl->index, ns->nsid);
	memcpy(dev->location, ctrl->location, sizeof(dev->location));
	memcpy(dev->model, ctrl->info.model, sizeof(dev->model));
	memcpy(dev->serial, ctrl->info.serial, sizeof(dev->serial));
	memcpy(dev->firmware, ctrl->info.firmware, sizeof(dev->firmware));
	dev->sector_bytes = info->sector_bytes;
	dev->nr_sectors = info->nr_sectors;
	dev->has_volatile_cache = ctrl->info.has_volatile_cache;
	dev->is_read_only = info->is_read_only;
	dev->limits = (struct block_limits){
		.max_bytes = MIN(ctrl->info.max_bytes, NVME_BYTES_MAX),
		.max_segs = BLOCK_SEGS_MAX,
		.align_bytes = 4,
		.boundary_bytes = NVME_PAGE_BYTES,
		.max_discard_sectors =
			ctrl->info.can_discard ? (uint32_t)(DISCARD_BYTES / info->sector_bytes) : 0,
	};
}

static void add_namespace(struct nvme *ctrl, uint32_t nsid, uint8_t *data)
{
	struct nvme_namespace_info info = {0};
	struct nvme_namespace *ns;
	enum hv_err err = identify(ctrl, NVME_CNS_NAMESPACE, nsid, data);

	if (err == HV_OK)
		err = nvme_identify_namespace(data, &info);
	if (err == HV_ENOENT)
		return;
	if (err != HV_OK) {
		log_warn(
			"nvme",
			"%s: namespace %u is left out: %s (sectors of %u bytes and %u of metadata; "
			"512 or 4096 and none are wanted)",
			ctrl->location, nsid, hv_strerror(err), info.sector_bytes,
			info.metadata_bytes);
		return;
	}
	ns = ctrl->nr_namespaces < NVME_NAMESPACES_MAX ? kmem_alloc(sizeof(*ns)) : NULL;
	if (!ns) {
		log_warn("nvme", "%s: no room for namespace %u", ctrl->location, nsid);
		return;
	}
	ns->ctrl = ctrl;
	ns->index = ctrl->nr_namespaces;
	ns->nsid = nsid;
	fill_block(ctrl, ns, &info);
	if (block_add(&ns->block) != HV_OK) {
		log_warn("nvme", "%s: no room for another disk", ctrl->location);
		kmem_free(ns);
		return;
	}
	ctrl->namespaces[ctrl->nr_namespaces++] = ns;
	log_info("nvme", "%s: %s, %lu sectors of %u bytes", ctrl->location, ns->block.name,
		 info.nr_sectors, info.sector_bytes);
}

/* Those of the list of active ones; old controllers have none, and their namespaces are 1 to nn. */
static void add_namespaces(struct nvme *ctrl, uint8_t *data)
{
	uint32_t ids[NVME_NAMESPACES_MAX + 1], nr = 0;

	if (identify(ctrl, NVME_CNS_ACTIVE, 0, data) == HV_OK)
		while (nr < ARRAY_SIZE(ids) && get_le32(data + 4 * nr) != 0) {
			ids[nr] = get_le32(data + 4 * nr);
			nr++;
		}
	else
		for (; nr < MIN(ctrl->info.nr_namespaces, (uint32_t)ARRAY_SIZE(ids)); nr++)
			ids[nr] = nr + 1;
	for (uint32_t i = 0; i < nr; i++)
		add_namespace(ctrl, ids[i], data);
}

/* With a reset of the whole function when the controller's own does not work. */
static enum hv_err bring_up(struct nvme *ctrl)
{
	enum hv_err err = dev_open(ctrl->dev);

	if (err == HV_OK)
		err = map_registers(ctrl);
	if (err == HV_OK)
		err = alloc_memory(ctrl);
	if (err == HV_OK)
		err = start_at_boot(ctrl);
	if (err == HV_EIO && ctrl->irqs.nr_handlers == 0 && ctrl->data != HPA_NONE &&
	    dev_reset(ctrl->dev) == HV_OK) {
		log_warn("nvme", "%s: once more, after a reset of the function", ctrl->location);
		err = start_at_boot(ctrl);
	}
	return err;
}

static enum hv_err read_identity(struct nvme *ctrl, uint8_t *data)
{
	enum hv_err err = identify(ctrl, NVME_CNS_CONTROLLER, 0, data);

	if (err == HV_OK)
		err = nvme_identify_controller(data, &ctrl->info);
	if (err != HV_OK)
		return err;
	log_info("nvme", "%s: %s, serial %s, firmware %s, %u queue%s", ctrl->location,
		 ctrl->info.model, ctrl->info.serial, ctrl->info.firmware, ctrl->nr_pairs,
		 ctrl->nr_pairs == 1 ? "" : "s");
	return HV_OK;
}

static void forget_pages(struct nvme *ctrl)
{
	ctrl->data = ctrl->log_data = HPA_NONE;
	for (uint32_t i = 0; i <= NVME_PAIRS_MAX; i++)
		ctrl->pairs[i].sq = ctrl->pairs[i].cq = ctrl->pairs[i].lists = HPA_NONE;
}

static enum hv_err attach(struct pci_device *dev)
{
	struct nvme *ctrl = nr_controllers < CONTROLLERS_MAX ? kmem_alloc(sizeof(*ctrl)) : NULL;
	uint8_t *data = kmem_alloc(NVME_IDENTIFY_BYTES);
	enum hv_err err = HV_ENOMEM;

	if (!ctrl || !data)
		goto free_both;
	ctrl->dev = dev;
	ctrl->index = nr_controllers;
	forget_pages(ctrl);
	dev_name(dev, ctrl->location, sizeof(ctrl->location));
	timer_init(&ctrl->timer, fire);

	err = bring_up(ctrl);
	if (err == HV_OK)
		err = read_identity(ctrl, data);
	if (err != HV_OK)
		goto stop;

	nr_controllers++;
	add_namespaces(ctrl, data);
	set_timer(ctrl);
	kmem_free(data);
	return HV_OK;

stop:
	dev_stop_dma(dev);
	forget_commands(ctrl);
	free_memory(ctrl);
	if (ctrl->irqs.nr_handlers > 0)
		ctrl = NULL; /* its interrupt handlers are for ever, and find it switched off */
free_both:
	kmem_free(data);
	kmem_free(ctrl);
	return err;
}

static const struct pci_class_match classes[] = {
	{0x010802, 0xffffff}, /* NVM Express, I/O controller */
};

const struct pci_driver nvme_driver = {
	.name = "nvme",
	.base_class = PCI_CLASS_STORAGE,
	.devices = "NVM Express",
	.classes = classes,
	.nr_classes = ARRAY_SIZE(classes),
	.attach = attach,
};
