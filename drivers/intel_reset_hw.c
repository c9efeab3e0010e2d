/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps that bring one of Intel's gigabit cards from any state to sending and receiving, and
 * the watch over it.
 *
 * At boot, attaching waits for the steps up to the PHY, as the card's address is known only then.
 * From there on nobody waits: a timer does each step and is set for the next one, and for a step
 * that has to be tried again. When the card runs, the same timer looks once a second whether it is
 * still there, at the link, and whether sending goes on. A card that does not move is reset by the
 * same steps: what was to be sent is lost and counted, what comes after that is sent.
 *
 * Source: [E1000] "General Initialization and Reset Operation"; [82574] and [82576]
 * "Initialization".
 */
#include "drivers/intel_nic.h"
#include "kernel/log.h"

#define CTRL_FRCSPD BIT(11)
#define CTRL_FRCDPX BIT(12)

#define RCTL_EN	   BIT(1)
#define RCTL_UPE   BIT(3) /* unicast to anybody: the switch sorts them */
#define RCTL_MPE   BIT(4)
#define RCTL_LPE   BIT(5) /* frames longer than 1522 bytes */
#define RCTL_BAM   BIT(15)
#define RCTL_SECRC BIT(26) /* without the FCS; a buffer size of 2048 is the value 0 */

#define WATCH_NS NSEC_PER_SEC
#define TRIES	 200u /* of a step, a millisecond apart */

enum step { STEP_QUIESCE, STEP_RESET, STEP_LINK, STEP_PHY, STEP_CONFIGURE, STEP_GO, NR_STEPS };

/* ---- the steps ---- */

static void allow_queues(struct intel_nic *card, bool is_allowed)
{
	for (uint32_t i = 0; i < card->nr_queues; i++) {
		struct intel_queue *queue = &card->queues[i];

		lock_take(&queue->rx_lock);
		queue->is_receiving = is_allowed;
		lock_release(&queue->rx_lock);
		lock_take(&queue->tx_lock);
		queue->is_sending = is_allowed;
		lock_release(&queue->tx_lock);
	}
}

static void quiesce(struct intel_nic *card)
{
	allow_queues(card, false);
	card->family->irqs_off(card);
	intel_write(card, REG_RCTL, 0);
	intel_write(card, REG_TCTL, 0);
	if (card->family->before_reset)
		card->family->before_reset(card);
	if (card->family->has_express)
		intel_write(card, REG_CTRL, intel_read(card, REG_CTRL) | CTRL_MASTER_DISABLE);
}

static enum hv_err reset(struct intel_nic *card)
{
	enum hv_err err = HV_OK;

	if (card->family->reset)
		err = card->family->reset(card);
	else
		intel_write(card, REG_CTRL, intel_read(card, REG_CTRL) | CTRL_RST);
	lock_take(&card->link_lock);
	card->tuned_mbps = 0;
	lock_release(&card->link_lock);
	return err;
}

static bool is_reset_done(struct intel_nic *card)
{
	uint32_t ctrl = intel_read(card, REG_CTRL);

	if (ctrl == INTEL_GONE || (ctrl & CTRL_RST))
		return false;
	card->family->irqs_off(card);
	(void)intel_read(card, REG_ICR); /* reading clears what is pending */
	return true;
}

static void allow_link(struct intel_nic *card)
{
	uint64_t ctrl = intel_read(card, REG_CTRL);
	uint64_t drop = CTRL_ILOS | CTRL_PHY_RST | CTRL_FRCSPD | CTRL_FRCDPX |
			(card->family->has_express ? CTRL_MASTER_DISABLE : CTRL_LRST);

	intel_write(card, REG_CTRL, (ctrl & ~drop) | card->family->ctrl);
	if (card->family->has_express)
		intel_write(card, REG_CTRL_EXT, intel_read(card, REG_CTRL_EXT) | CTRL_EXT_DRV_LOAD);
}

/* When it is not to be had, the link may come up all the same. */
static enum hv_err start_phy(struct intel_nic *card)
{
	enum hv_err err = card->family->start_phy ? card->family->start_phy(card) : HV_OK;

	if (err == HV_EBUSY && card->nr_tries + 1 < TRIES)
		return HV_EBUSY;
	if (err != HV_OK)
		log_warn(card->nic.ops->driver, "%s: its firmware does not let go of the PHY",
			 card->nic.location);
	return HV_OK;
}

static void configure_ring(struct intel_nic *card, uint32_t at, hpa_t descs)
{
	intel_write(card, at + RING_BAL, descs);
	intel_write(card, at + RING_BAH, descs >> 32);
	intel_write(card, at + RING_LEN, INTEL_RING_BYTES);
	intel_write(card, at + RING_HEAD, 0);
	intel_write(card, at + RING_TAIL, 0);
}

static void configure(struct intel_nic *card)
{
	const struct intel_family *family = card->family;

	for (uint32_t i = 0; i < family->nr_mta; i++)
		intel_write(card, REG_MTA + 4 * i, 0);
	family->configure(card);
	for (uint32_t i = 0; i < card->nr_queues; i++) {
		struct intel_queue *queue = &card->queues[i];

		intel_rx_restart(&queue->rx);
		intel_count(&card->nic.counters.tx_dropped, intel_tx_restart(&queue->tx));
		configure_ring(card, intel_ring_reg(queue, family->rx_regs, 0), queue->rx_descs);
		configure_ring(card, intel_ring_reg(queue, family->tx_regs, 0), queue->tx_descs);
		if (family->configure_queue)
			family->configure_queue(queue);
	}
}

static void go(struct intel_nic *card)
{
	uint64_t rctl = RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC;

	allow_queues(card, true);
	intel_write(card, REG_TCTL, card->family->tctl);
	intel_write(card, REG_RCTL, rctl | (card->mtu > NIC_MTU ? RCTL_LPE : 0));
	for (uint32_t i = 0; i < card->nr_queues; i++)
		intel_write(card,
			    intel_ring_reg(&card->queues[i], card->family->rx_regs, RING_TAIL),
			    INTEL_RING_ENTRIES - 1);
	card->family->irqs_on(card);
}

static void go_and_look(struct intel_nic *card)
{
	bool is_first = !card->is_started;

	go(card);
	card->is_started = true;
	intel_nic_look_at_link(card);
	if (is_first && !card->nic.is_link_up)
		intel_nic_log_link(card);
}

/* How long to wait behind the step. HV_EBUSY: it is to be tried again then. */
static enum hv_err do_step(struct intel_nic *card, enum step step, uint64_t *wait_ns)
{
	enum hv_err err;

	*wait_ns = NSEC_PER_MSEC;
	switch (step) {
	case STEP_QUIESCE:
		quiesce(card);
		*wait_ns = 10 * NSEC_PER_MSEC; /* what is on the bus ends */
		return HV_OK;
	case STEP_RESET:
		err = reset(card);
		if (err == HV_OK)
			*wait_ns = 30 * NSEC_PER_MSEC; /* it reads its EEPROM */
		return err;
	case STEP_LINK:
		if (!is_reset_done(card))
			return HV_EBUSY;
		allow_link(card);
		return HV_OK;
	case STEP_PHY:
		return start_phy(card);
	case STEP_CONFIGURE:
		configure(card);
		*wait_ns = 2 * NSEC_PER_MSEC; /* queues come on */
		return HV_OK;
	default:
		go_and_look(card);
		*wait_ns = WATCH_NS;
		return HV_OK;
	}
}

enum hv_err intel_reset_at_boot(struct intel_nic *card)
{
	uint64_t wait_ns;

	card->nr_tries = 0;
	for (card->step = STEP_QUIESCE; card->step < STEP_CONFIGURE;) {
		enum hv_err err = do_step(card, card->step, &wait_ns);

		time_busy_wait_ns(wait_ns);
		if (err == HV_OK) {
			card->step++;
			card->nr_tries = 0;
		} else if (++card->nr_tries == TRIES) {
			return HV_EIO;
		}
	}
	card->step = NR_STEPS;
	return HV_OK;
}

/* ---- the timer ---- */

static void set_timer(struct intel_nic *card, uint64_t ns)
{
	timer_set_in(&card->timer, ns);
}

static bool is_stuck(struct intel_nic *card)
{
	bool is_any = false;

	for (uint32_t i = 0; card->is_started && i < card->nr_queues; i++) {
		struct intel_queue *queue = &card->queues[i];

		lock_take(&queue->tx_lock);
		is_any |= intel_tx_is_stuck(&queue->tx);
		lock_release(&queue->tx_lock);
	}
	return is_any && card->nic.is_link_up;
}

static void advance(struct intel_nic *card)
{
	uint64_t wait_ns;
	enum hv_err err = do_step(card, card->step, &wait_ns);

	if (err == HV_OK) {
		card->step++;
		card->nr_tries = 0;
	} else if (++card->nr_tries == TRIES) {
		log_err(card->nic.ops->driver, "%s: its reset does not end", card->nic.location);
		intel_nic_mark_gone(card);
		return;
	}
	set_timer(card, wait_ns);
}

static void watch(struct timer *timer)
{
	struct intel_nic *card = container_of(timer, struct intel_nic, timer);

	if (intel_read(card, REG_STATUS) == INTEL_GONE || !pci_is_present(&pci_machine, card->dev))
		intel_nic_mark_gone(card);
	if (card->nic.is_gone)
		return;
	if (card->step < NR_STEPS) {
		advance(card);
		return;
	}
	intel_nic_look_at_link(card);
	intel_nic_look_at_rings(card);
	if (!is_stuck(card)) {
		set_timer(card, WATCH_NS);
		return;
	}
	card->nr_resets++;
	log_warn(card->nic.ops->driver, "%s: does not send any more, reset %u", card->nic.location,
		 card->nr_resets);
	card->step = STEP_QUIESCE;
	advance(card);
}

void intel_reset_start(struct intel_nic *card)
{
	timer_init(&card->timer, watch);
	card->step = STEP_CONFIGURE;
	advance(card);
}
