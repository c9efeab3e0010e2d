/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers, interrupts and timer of all of Intel's gigabit cards.
 *
 * With MSI-X a queue's handler looks at its ring and at no register; the last handler is for the
 * rest. Else one handler reads the cause register first, which clears it, and then looks at every
 * ring: a frame that comes in meanwhile sets it again. A handler stops after as many frames as a
 * ring has, and raises its own interrupt for those behind them.
 *
 * Once a second a timer looks whether the card is still there, at the link, and whether sending
 * goes on. A card that does not move is reset, in steps with the timer between them: what was to be
 * sent is lost and counted, what comes after that is sent.
 *
 * Source: [E1000] "General Initialization and Reset Operation"; [82574] and [82576]
 * "Initialization".
 */
#include "drivers/intel_nic.h"

#include "drivers/dev_open.h"
#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define REGISTERS_BYTES 0x20000u

#define CTRL_FRCSPD BIT(11)
#define CTRL_FRCDPX BIT(12)

#define STATUS_LU    0x00000002u
#define STATUS_SPEED 0x000000c0u /* 0 is 10, 1 is 100, 2 and 3 are 1000 Mb/s */

#define EERD_START 0x00000001u
#define EERD_DATA  0xffff0000u

#define RAH_VALID 0x80000000u

#define RCTL_EN	   BIT(1)
#define RCTL_UPE   BIT(3) /* unicast to anybody: the switch sorts them */
#define RCTL_MPE   BIT(4)
#define RCTL_LPE   BIT(5) /* frames longer than 1522 bytes */
#define RCTL_BAM   BIT(15)
#define RCTL_SECRC BIT(26) /* without the FCS; a buffer size of 2048 is the value 0 */

#define GONE	      (~0u)
#define OVERHEAD      18u		 /* Ethernet header and a VLAN tag */
#define RX_BUDGET     INTEL_RING_ENTRIES /* descriptors in one interrupt */
#define WATCH_NS      NSEC_PER_SEC
#define EERD_NS	      (20 * NSEC_PER_MSEC)
#define RESET_TRIES   10u
#define RING_ORDER    0
#define BUFFERS_ORDER 7
#define WHOLE_ORDER   2
static_assert((PAGE_SIZE << RING_ORDER) >= INTEL_RING_BYTES, "a ring fits its pages");
static_assert((PAGE_SIZE << BUFFERS_ORDER) >= INTEL_BUFFERS_BYTES, "buffers fit their pages");
static_assert((PAGE_SIZE << WHOLE_ORDER) >= INTEL_FRAME_MAX, "a long frame fits its pages");
static_assert(INTEL_MTU_MAX + OVERHEAD <= INTEL_FRAME_MAX, "all frames fit");

enum step { STEP_QUIESCE, STEP_RESET, STEP_LINK, STEP_CONFIGURE, STEP_GO, NR_STEPS };

/* ---- what is seen of the card ---- */

static void mark_gone(struct intel_nic *card)
{
	if (__atomic_exchange_n(&card->nic.is_gone, true, __ATOMIC_RELAXED))
		return;
	card->nic.is_link_up = false;
	card->nic.speed_mbps = 0;
	log_err(card->nic.ops->driver, "%s: does not answer any more", card->nic.location);
	if (card->nic.link_changed)
		card->nic.link_changed(&card->nic);
}

static void log_link(const struct intel_nic *card)
{
	const uint8_t *mac = card->nic.mac;
	char link[32];

	if (card->nic.is_link_up)
		fmt(link, sizeof(link), "link up %u Mb/s", card->nic.speed_mbps);
	else
		fmt(link, sizeof(link), "no link");
	log_info(card->nic.ops->driver, "%s: %02x:%02x:%02x:%02x:%02x:%02x, %s", card->nic.location,
		 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], link);
}

/* Returns whether it has changed. */
static bool read_link(struct intel_nic *card)
{
	static const uint32_t speeds[] = {10, 100, 1000, 1000};
	uint32_t status, speed;
	bool is_up, was_up;

	lock_take(&card->link_lock);
	status = intel_read(card, REG_STATUS);
	is_up = status != GONE && (status & STATUS_LU);
	speed = is_up ? speeds[FIELD_GET(STATUS_SPEED, status)] : 0;
	was_up = card->nic.is_link_up;
	card->nic.is_link_up = is_up;
	card->nic.speed_mbps = speed;
	lock_release(&card->link_lock);
	return is_up != was_up;
}

static void look_at_link(struct intel_nic *card)
{
	if (!read_link(card))
		return;
	card->nic.counters.link_changes++;
	log_link(card);
	if (card->nic.link_changed)
		card->nic.link_changed(&card->nic);
}

/* ---- frames ---- */

static void count(uint64_t *counter, uint64_t by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

static void receive_one(struct intel_nic *card, enum intel_rx kind,
			const struct intel_rx_frame *frame)
{
	struct frame_offload offload = {.is_csum_valid = true};
	struct nic *nic = &card->nic;

	if (kind == INTEL_RX_BAD)
		count(&nic->counters.rx_dropped, 1);
	if (kind != INTEL_RX_FRAME)
		return;
	count(&nic->counters.rx_packets, 1);
	count(&nic->counters.rx_bytes, frame->len_bytes);
	nic->received(nic, frame->data, frame->len_bytes, frame->is_csum_valid ? &offload : NULL);
}

static uint32_t ring_reg(const struct intel_nic *card, uint32_t base,
			 const struct intel_queue *queue, uint32_t reg)
{
	return base + queue->index * card->family->queue_stride + reg;
}

static void receive(struct intel_queue *queue)
{
	struct intel_nic *card = queue->card;
	struct intel_rx_frame frame = {0};
	uint32_t tail = 0, done = 0;
	enum intel_rx kind;

	lock_take(&queue->rx_lock);
	for (; queue->is_receiving && done < RX_BUDGET; done++) {
		kind = intel_rx_look(&queue->rx, &frame);
		if (kind == INTEL_RX_NONE)
			break;
		receive_one(card, kind, &frame);
		tail = intel_rx_return(&queue->rx);
	}
	if (done > 0)
		intel_write(card, ring_reg(card, card->family->rx_regs, queue, RING_TAIL), tail);
	if (done == RX_BUDGET)
		card->family->raise(queue); /* the rest in an interrupt of its own */
	lock_release(&queue->rx_lock);
}

bool intel_nic_send(struct nic *nic, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload)
{
	struct intel_nic *card = container_of(nic, struct intel_nic, nic);
	struct intel_queue *queue = &card->queues[this_cpu()->index % card->nr_queues];
	bool is_sent;

	lock_take(&queue->tx_lock);
	is_sent = queue->is_sending && nic->is_link_up &&
		  intel_tx_put(&queue->tx, frame, len_bytes, offload);
	if (is_sent)
		intel_write(card, ring_reg(card, card->family->tx_regs, queue, RING_TAIL),
			    queue->tx.tail);
	lock_release(&queue->tx_lock);
	count(is_sent ? &nic->counters.tx_packets : &nic->counters.tx_dropped, 1);
	if (is_sent)
		count(&nic->counters.tx_bytes, len_bytes);
	return is_sent;
}

/* ---- interrupts ---- */

static void handle_causes(struct intel_nic *card)
{
	uint32_t causes = intel_read(card, REG_ICR); /* clears them, and lowers the line */

	if (causes == GONE) {
		mark_gone(card);
		return;
	}
	if (causes & INT_LSC)
		look_at_link(card);
	for (uint32_t i = 0; causes != 0 && i < card->nr_queues; i++)
		receive(&card->queues[i]);
}

static void handle_queue(void *arg)
{
	struct intel_queue *queue = arg;
	struct intel_nic *card = queue->card;

	if (card->nic.is_gone)
		return;
	if (card->irqs.kind == DEV_IRQ_MSIX) {
		receive(queue);
		if (card->family->queue_done)
			card->family->queue_done(queue);
	} else if (queue->index == 0) {
		handle_causes(card);
	}
}

static void handle_other(void *arg)
{
	struct intel_nic *card = arg;
	uint32_t causes;

	if (card->irqs.kind != DEV_IRQ_MSIX || card->nic.is_gone)
		return;
	causes = card->family->other_causes(card);
	if (causes == GONE)
		mark_gone(card);
	else if (causes & INT_LSC)
		look_at_link(card);
}

uint32_t intel_nic_vector(const struct intel_nic *card, uint32_t handler)
{
	return handler % card->irqs.nr_vectors;
}

static enum hv_err connect_interrupts(struct intel_nic *card)
{
	struct dev_irq_handler handlers[NIC_QUEUES_MAX + 1];

	for (uint32_t i = 0; i < card->nr_queues; i++)
		handlers[i] = (struct dev_irq_handler){handle_queue, &card->queues[i]};
	handlers[card->nr_queues] = (struct dev_irq_handler){handle_other, card};
	return dev_irqs_connect(&card->irqs, card->dev, handlers, card->nr_queues + 1,
				card->family->irqs_best);
}

/* ---- the steps of a reset ---- */

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
	if (card->family->has_express)
		intel_write(card, REG_CTRL, intel_read(card, REG_CTRL) | CTRL_MASTER_DISABLE);
}

static void reset(struct intel_nic *card)
{
	intel_write(card, REG_CTRL, intel_read(card, REG_CTRL) | CTRL_RST);
}

static bool is_reset_done(struct intel_nic *card)
{
	uint32_t ctrl = intel_read(card, REG_CTRL);

	if (ctrl == GONE || (ctrl & CTRL_RST))
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

	intel_write(card, REG_CTRL, (ctrl & ~drop) | CTRL_SLU | CTRL_ASDE);
	if (card->family->has_express)
		intel_write(card, REG_CTRL_EXT, intel_read(card, REG_CTRL_EXT) | CTRL_EXT_DRV_LOAD);
	if (card->family->start_phy)
		card->family->start_phy(card);
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

	for (uint32_t i = 0; i < 128; i++)
		intel_write(card, REG_MTA + 4 * i, 0);
	family->configure(card);
	for (uint32_t i = 0; i < card->nr_queues; i++) {
		struct intel_queue *queue = &card->queues[i];

		intel_rx_restart(&queue->rx);
		count(&card->nic.counters.tx_dropped, intel_tx_restart(&queue->tx));
		configure_ring(card, ring_reg(card, family->rx_regs, queue, 0), queue->rx_descs);
		configure_ring(card, ring_reg(card, family->tx_regs, queue, 0), queue->tx_descs);
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
			    ring_reg(card, card->family->rx_regs, &card->queues[i], RING_TAIL),
			    INTEL_RING_ENTRIES - 1);
	card->family->irqs_on(card, true);
}

/* How long to wait behind the step. HV_EBUSY: it is to be tried again then. */
static enum hv_err do_step(struct intel_nic *card, enum step step, uint64_t *wait_ns)
{
	switch (step) {
	case STEP_QUIESCE:
		quiesce(card);
		*wait_ns = 10 * NSEC_PER_MSEC; /* what is on the bus ends */
		return HV_OK;
	case STEP_RESET:
		reset(card);
		*wait_ns = 30 * NSEC_PER_MSEC; /* it reads its EEPROM */
		return HV_OK;
	case STEP_LINK:
		*wait_ns = NSEC_PER_MSEC;
		if (!is_reset_done(card))
			return HV_EBUSY;
		allow_link(card);
		return HV_OK;
	case STEP_CONFIGURE:
		*wait_ns = 2 * NSEC_PER_MSEC; /* queues come on */
		configure(card);
		return HV_OK;
	default:
		*wait_ns = WATCH_NS;
		go(card);
		return HV_OK;
	}
}

/* ---- the timer ---- */

static void set_timer(struct intel_nic *card, uint64_t ns)
{
	timer_set(&card->timer, tsc_now() + time_tsc_of_ns(ns));
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
	} else if (++card->nr_tries == RESET_TRIES) {
		log_err(card->nic.ops->driver, "%s: its reset does not end", card->nic.location);
		mark_gone(card);
		return;
	}
	set_timer(card, wait_ns);
}

static void watch(struct timer *timer)
{
	struct intel_nic *card = container_of(timer, struct intel_nic, timer);

	if (intel_read(card, REG_STATUS) == GONE || !pci_is_present(&pci_machine, card->dev))
		mark_gone(card);
	if (card->nic.is_gone)
		return;
	if (card->step < NR_STEPS) {
		advance(card);
		return;
	}
	look_at_link(card);
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

static enum hv_err step_at_boot(struct intel_nic *card, enum step step)
{
	enum hv_err err = HV_EBUSY;
	uint64_t wait_ns;

	for (uint32_t i = 0; err == HV_EBUSY && i < RESET_TRIES; i++) {
		err = do_step(card, step, &wait_ns);
		time_busy_wait_ns(wait_ns);
	}
	return err == HV_EBUSY ? HV_EIO : err;
}

/* ---- bring-up ---- */

static enum hv_err eeprom_read(struct intel_nic *card, uint32_t word, uint16_t *out)
{
	const struct intel_family *family = card->family;
	uint64_t start = time_now_ns();
	uint32_t val;

	if (family->eerd_done == 0)
		return HV_ENOTSUP;
	intel_write(card, REG_EERD, EERD_START | FIELD_PREP((uint64_t)family->eerd_addr, word));
	while (!((val = intel_read(card, REG_EERD)) & family->eerd_done))
		if (time_now_ns() - start > EERD_NS)
			return HV_EIO;
	*out = (uint16_t)FIELD_GET(EERD_DATA, val);
	return HV_OK;
}

/* The reset has put the EEPROM's address into the first receive address, on cards that work. */
static enum hv_err read_mac(struct intel_nic *card)
{
	uint32_t low = intel_read(card, REG_RAL0), high = intel_read(card, REG_RAH0);
	uint16_t words[3] = {(uint16_t)low, (uint16_t)(low >> 16), (uint16_t)high};
	enum hv_err err = HV_OK;

	if (!(high & RAH_VALID))
		for (uint32_t i = 0; i < 3 && err == HV_OK; i++)
			err = eeprom_read(card, i, &words[i]);
	if (err != HV_OK)
		return err;
	if ((words[0] & 1) || !(words[0] | words[1] | words[2]))
		return HV_EIO;
	memcpy(card->nic.mac, words, sizeof(card->nic.mac));
	return HV_OK;
}

static void give_pages(hpa_t hpa, unsigned order)
{
	if (hpa != HPA_NONE)
		pages_free(hpa, order);
}

static void free_queues(struct intel_nic *card)
{
	for (uint32_t i = 0; i < card->nr_queues; i++) {
		struct intel_queue *queue = &card->queues[i];

		give_pages(queue->rx_descs, RING_ORDER);
		give_pages(queue->tx_descs, RING_ORDER);
		give_pages(queue->rx_buffers, BUFFERS_ORDER);
		give_pages(queue->tx_buffers, BUFFERS_ORDER);
		give_pages(queue->rx_whole, WHOLE_ORDER);
	}
	card->nr_queues = 0;
}

static bool alloc_queue(struct intel_nic *card, struct intel_queue *queue)
{
	queue->card = card;
	queue->index = (uint32_t)(queue - card->queues);
	queue->rx_descs = pages_alloc(RING_ORDER);
	queue->tx_descs = pages_alloc(RING_ORDER);
	queue->rx_buffers = pages_alloc(BUFFERS_ORDER);
	queue->tx_buffers = pages_alloc(BUFFERS_ORDER);
	queue->rx_whole = pages_alloc(WHOLE_ORDER);
	return queue->rx_descs != HPA_NONE && queue->tx_descs != HPA_NONE &&
	       queue->rx_buffers != HPA_NONE && queue->tx_buffers != HPA_NONE &&
	       queue->rx_whole != HPA_NONE;
}

static void init_rings(struct intel_nic *card)
{
	size_t frame_max = card->mtu + OVERHEAD;

	for (uint32_t i = 0; i < card->nr_queues; i++) {
		struct intel_queue *queue = &card->queues[i];

		intel_rx_init(&queue->rx, card->family->rx_format, hva_of(queue->rx_descs),
			      hva_of(queue->rx_buffers), queue->rx_buffers, hva_of(queue->rx_whole),
			      frame_max);
		intel_tx_init(&queue->tx, card->family->tx_format, hva_of(queue->tx_descs),
			      hva_of(queue->tx_buffers), queue->tx_buffers, frame_max);
	}
}

static enum hv_err alloc_queues(struct intel_nic *card, uint32_t queues_max)
{
	uint32_t wanted = MIN(MIN(queues_max, NIC_QUEUES_MAX), acpi_info.nr_cpus);

	while (card->nr_queues < wanted)
		if (!alloc_queue(card, &card->queues[card->nr_queues++])) {
			free_queues(card);
			return HV_ENOMEM;
		}
	card->nic.nr_rx_queues = card->nic.nr_tx_queues = card->nr_queues;
	init_rings(card);
	return HV_OK;
}

enum hv_err intel_nic_start(struct nic *nic, uint32_t mtu)
{
	struct intel_nic *card = container_of(nic, struct intel_nic, nic);
	enum hv_err err;

	card->mtu = mtu;
	init_rings(card);
	err = step_at_boot(card, STEP_CONFIGURE);
	if (err == HV_OK)
		err = step_at_boot(card, STEP_GO);
	card->is_started = err == HV_OK;
	return err;
}

static enum hv_err bring_up(struct intel_nic *card, uint32_t queues_max)
{
	enum hv_err err = dev_open(card->dev);

	if (err != HV_OK)
		return err;
	card->registers = dev_map(card->dev, 0, REGISTERS_BYTES);
	if (!card->registers)
		return HV_EIO;
	err = step_at_boot(card, STEP_QUIESCE);
	if (err == HV_OK)
		err = step_at_boot(card, STEP_RESET);
	if (err == HV_OK)
		err = step_at_boot(card, STEP_LINK);
	if (err == HV_OK)
		err = read_mac(card);
	if (err == HV_OK)
		err = alloc_queues(card, queues_max);
	if (err != HV_OK)
		return err;
	dev_start_dma(card->dev);
	err = connect_interrupts(card); /* last: a handler cannot be taken back */
	if (err != HV_OK)
		dev_stop_dma(card->dev);
	return err;
}

enum hv_err intel_nic_attach(struct pci_device *dev, const struct intel_family *family,
			     uint32_t queues_max, uint32_t mtu_max)
{
	static const char *const kinds[] = {"no interrupt", "INTx", "MSI", "MSI-X"};
	struct intel_nic *card = nic_count() < NIC_MAX ? kmem_alloc(sizeof(*card)) : NULL;
	enum hv_err err;

	if (!card)
		return HV_ENOMEM;
	card->family = family;
	card->dev = dev;
	card->step = NR_STEPS;
	card->mtu = NIC_MTU;
	card->nic.ops = family->ops;
	card->nic.features = family->features;
	card->nic.mtu_max = mtu_max;
	dev_name(dev, card->nic.location, sizeof(card->nic.location));

	err = bring_up(card, queues_max);
	if (err != HV_OK) {
		free_queues(card);
		kmem_free(card);
		return err;
	}
	nic_add(&card->nic);
	read_link(card);
	log_link(card);
	log_info(family->ops->driver, "%s: %04x:%04x, %u queue%s, %s", card->nic.location,
		 dev->vendor, dev->device, card->nr_queues, card->nr_queues == 1 ? "" : "s",
		 kinds[card->irqs.kind]);
	family->irqs_on(card, false);
	timer_init(&card->timer, watch);
	set_timer(card, WATCH_NS);
	return HV_OK;
}
