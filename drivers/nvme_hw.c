/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an NVMe controller: its stages, its queues, resets, events, its end. A reset at run
 * time is the same walk through the stages as at the beginning, by timer.
 *
 * Source: [NVMe] "Controller Initialization", "Controller Shutdown", "Controller Level Reset".
 */
#include "drivers/dev_open.h"
#include "drivers/nvme_priv.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/time.h"

#define RESET_STEP_NS	(2 * NSEC_PER_MSEC)
#define WATCH_NS	(1 * NSEC_PER_SEC)
#define READY_UNIT_NS	(500 * NSEC_PER_MSEC) /* of CAP.TO */
#define READY_MOST_NS	(25 * NSEC_PER_SEC)   /* drivers/block.c waits 30 s for a reset */
#define SHUTDOWN_NS	(10 * NSEC_PER_SEC)
#define HEALTH_EVERY_NS (600 * NSEC_PER_SEC)
#define EVENT_NS	(~0ull >> 1) /* an event comes when there is one */

#define AQ_SIZES(n) (FIELD_PREP(NVME_AQA_ASQS, (n) - 1) | FIELD_PREP(NVME_AQA_ACQS, (n) - 1))
#define CC_VALUE    (FIELD_PREP(NVME_CC_IOSQES, 6) | FIELD_PREP(NVME_CC_IOCQES, 4) | NVME_CC_EN)

static void reg_write64(struct nvme *ctrl, uint32_t reg, uint64_t val)
{
	nvme_reg_write(ctrl, reg, (uint32_t)val);
	nvme_reg_write(ctrl, reg + 4, (uint32_t)(val >> 32));
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

void nvme_forget_commands(struct nvme *ctrl)
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
	enum nvme_stage was;

	lock_take(&ctrl->lock);
	was = ctrl->stage;
	ctrl->stage = NVME_GONE;
	lock_release(&ctrl->lock);
	if (was == NVME_GONE)
		return;
	if (was == NVME_SHUT_DOWN)
		log_info("nvme", "%s: %s", ctrl->location, why);
	else
		log_err("nvme", "%s: %s", ctrl->location, why);
	dev_stop_dma(ctrl->dev);
	nvme_forget_commands(ctrl);
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++)
		block_gone(&ctrl->namespaces[i]->block);
}

static void stop_controller(struct nvme *ctrl)
{
	nvme_reg_write(ctrl, NVME_REG_CC, nvme_reg_read(ctrl, NVME_REG_CC) & ~NVME_CC_EN);
}

/* The timer finds out within WATCH_NS, and goes on. */
void nvme_reset(struct nvme *ctrl, const char *why)
{
	if (!pci_is_present(&pci_machine, ctrl->dev)) {
		nvme_give_up(ctrl, "was pulled out");
		return;
	}
	if (!ctrl->is_probed) {
		nvme_give_up(ctrl, why);
		return;
	}
	if (!enter(ctrl, NVME_LIVE, NVME_STOPPING, ready_ns(ctrl)))
		return;
	log_warn("nvme", "%s: %s, status %08x: reset", ctrl->location, why,
		 nvme_reg_read(ctrl, NVME_REG_CSTS));
	nvme_forget_commands(ctrl); /* and none is accepted from here on */
	for (uint32_t i = 0; i < ctrl->nr_namespaces; i++)
		block_resetting(&ctrl->namespaces[i]->block);
	stop_controller(ctrl);
}

static void start_controller(struct nvme *ctrl)
{
	const struct nvme_pair *admin = &ctrl->pairs[0];

	nvme_pair_start(&ctrl->pairs[0]);
	nvme_reg_write(ctrl, NVME_REG_AQA, (uint32_t)AQ_SIZES(ctrl->nr_entries));
	reg_write64(ctrl, NVME_REG_ASQ, admin->sq);
	reg_write64(ctrl, NVME_REG_ACQ, admin->cq);
	nvme_reg_write(ctrl, NVME_REG_CC, (uint32_t)CC_VALUE);
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
	nvme_admin(ctrl, &ctrl->setup, &command, NVME_ADMIN_NS, setup_done);
}

void nvme_free_pairs(struct nvme *ctrl, uint32_t first)
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
	nvme_free_pairs(ctrl, ctrl->nr_pairs + 1);
	return connect_irqs(ctrl);
}

static void go_live(struct nvme *ctrl)
{
	if (!enter(ctrl, NVME_SETUP, NVME_LIVE, 0))
		return;
	if (!ctrl->is_probed)
		nvme_probe(ctrl);
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

	return nvme_admin(ctrl, &ctrl->log, &command, NVME_ADMIN_NS,
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
	if ((ctrl->log.is_busy && now_ns > ctrl->log.deadline_ns) ||
	    (ctrl->setup.is_busy && now_ns > ctrl->setup.deadline_ns)) {
		nvme_reset(ctrl, "does not answer an admin command");
		return;
	}
	if (!ctrl->is_probed)
		return;
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

void nvme_step(struct nvme *ctrl)
{
	uint32_t csts = nvme_reg_read(ctrl, NVME_REG_CSTS);
	enum nvme_stage stage = nvme_stage_of(ctrl);

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
		if (enter(ctrl, NVME_STARTING, NVME_SETUP, NVME_ADMIN_NS))
			next_setup(ctrl);
		return;
	}
	if (stage == NVME_SETUP)
		nvme_process(&ctrl->pairs[0]);
	if (nvme_stage_of(ctrl) == stage && is_late(ctrl))
		nvme_give_up(ctrl, "does not become ready");
}

static void set_timer(struct nvme *ctrl)
{
	uint64_t ns = nvme_stage_of(ctrl) == NVME_LIVE ? WATCH_NS : RESET_STEP_NS;

	timer_set_in(&ctrl->timer, ns);
}

static void fire(struct timer *timer)
{
	struct nvme *ctrl = container_of(timer, struct nvme, timer);

	nvme_step(ctrl);
	if (nvme_stage_of(ctrl) != NVME_GONE)
		set_timer(ctrl);
}

void nvme_begin(struct nvme *ctrl)
{
	ctrl->stage = NVME_STOPPING;
	ctrl->deadline_ns = time_now_ns() + ready_ns(ctrl);
	stop_controller(ctrl);
	dev_start_dma(ctrl->dev);
}

void nvme_go_on(struct nvme *ctrl)
{
	timer_init(&ctrl->timer, fire);
	set_timer(ctrl);
}

/* ---- the end ---- */

static void say_shut_down(struct nvme *ctrl)
{
	nvme_reg_write(ctrl, NVME_REG_CC,
		       nvme_reg_read(ctrl, NVME_REG_CC) |
			       (uint32_t)FIELD_PREP(NVME_CC_SHN, NVME_CC_SHN_NORMAL));
}

static bool has_shut_down(const struct nvme *ctrl)
{
	return FIELD_GET(NVME_CSTS_SHST, nvme_reg_read(ctrl, NVME_REG_CSTS)) == NVME_CSTS_SHST_DONE;
}

/* Once for each namespace, of which the first is enough. */
void nvme_shut_down(struct nvme *ctrl)
{
	uint64_t start_ns = time_now_ns();

	if (!enter(ctrl, NVME_LIVE, NVME_SHUT_DOWN, 0))
		return;
	nvme_forget_commands(ctrl); /* and so no more are given to it */
	say_shut_down(ctrl);
	while (!has_shut_down(ctrl))
		if (time_now_ns() - start_ns > SHUTDOWN_NS) {
			log_warn("nvme", "%s: does not say that it has shut down", ctrl->location);
			return;
		}
}

void nvme_leave(struct nvme *ctrl)
{
	if (!enter(ctrl, NVME_LIVE, NVME_SHUT_DOWN, 0))
		return;
	nvme_forget_commands(ctrl);
	say_shut_down(ctrl);
}

bool nvme_has_left(struct nvme *ctrl)
{
	return nvme_stage_of(ctrl) != NVME_SHUT_DOWN || has_shut_down(ctrl) ||
	       !pci_is_present(&pci_machine, ctrl->dev);
}
