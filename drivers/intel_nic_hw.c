/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames, interrupts and bring-up of all of Intel's gigabit cards; their reset and the watch over
 * them are in intel_reset_hw.c.
 *
 * With MSI-X a queue's handler looks at its ring and at no register; the last handler is for the
 * rest. Else one handler reads the cause register first, which clears it, and then looks at every
 * ring: a frame that comes in meanwhile sets it again. A handler stops after as many frames as a
 * ring has, and raises its own interrupt for those behind them.
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

#define STATUS_LU    0x00000002u
#define STATUS_SPEED 0x000000c0u /* 0 is 10, 1 is 100, 2 and 3 are 1000 Mb/s */

#define EERD_START 0x00000001u
#define EERD_DATA  0xffff0000u

#define RAH_VALID 0x80000000u

#define OVERHEAD  18u		     /* Ethernet header and a VLAN tag */
#define RX_BUDGET INTEL_RING_ENTRIES /* descriptors in one interrupt */

#define MRQC_TCP_IP4  BIT(16)
#define MRQC_IP4      BIT(17)
#define MRQC_IP6      BIT(20)
#define MRQC_TCP_IP6  BIT(21)
#define RSS_KEY	      0x6d5a6d5aull /* repeated: both directions of a flow have one hash */
#define RETA_ENTRIES  128u
#define EERD_NS	      (20 * NSEC_PER_MSEC)
#define RING_ORDER    0
#define BUFFERS_ORDER 7
#define WHOLE_ORDER   2
static_assert((PAGE_SIZE << RING_ORDER) >= INTEL_RING_BYTES, "a ring fits its pages");
static_assert((PAGE_SIZE << BUFFERS_ORDER) >= INTEL_BUFFERS_BYTES, "buffers fit their pages");
static_assert((PAGE_SIZE << WHOLE_ORDER) >= INTEL_FRAME_MAX, "a long frame fits its pages");
static_assert(INTEL_MTU_MAX + OVERHEAD <= INTEL_FRAME_MAX, "all frames fit");

/* ---- what is seen of the card ---- */

void intel_nic_mark_gone(struct intel_nic *card)
{
	if (__atomic_exchange_n(&card->nic.is_gone, true, __ATOMIC_RELAXED))
		return;
	card->nic.is_link_up = false;
	card->nic.speed_mbps = 0;
	log_err(card->nic.ops->driver, "%s: does not answer any more", card->nic.location);
	if (card->nic.link_changed)
		card->nic.link_changed(&card->nic);
}

void intel_nic_log_link(const struct intel_nic *card)
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

static bool is_tuned(struct intel_nic *card, uint32_t speed_mbps)
{
	ASSERT_HELD(&card->link_lock);
	if (speed_mbps && speed_mbps != card->tuned_mbps && card->family->tune_link &&
	    card->family->tune_link(card, speed_mbps) != HV_OK)
		speed_mbps = 0;
	card->tuned_mbps = speed_mbps;
	return speed_mbps != 0;
}

/* Returns whether it has changed. Nothing can be sent before the card is started. */
static bool read_link(struct intel_nic *card)
{
	static const uint32_t speeds[] = {10, 100, 1000, 1000};
	uint32_t status, speed;
	bool is_up, was_up;

	lock_take(&card->link_lock);
	status = intel_read(card, REG_STATUS);
	is_up = card->is_started && status != INTEL_GONE && (status & STATUS_LU);
	speed = is_up ? speeds[FIELD_GET(STATUS_SPEED, status)] : 0;
	is_up = is_tuned(card, speed);
	speed = is_up ? speed : 0;
	was_up = card->nic.is_link_up;
	card->nic.is_link_up = is_up;
	card->nic.speed_mbps = speed;
	lock_release(&card->link_lock);
	return is_up != was_up;
}

void intel_nic_look_at_link(struct intel_nic *card)
{
	if (!read_link(card))
		return;
	card->nic.counters.link_changes++;
	intel_nic_log_link(card);
	if (card->nic.link_changed)
		card->nic.link_changed(&card->nic);
}

/* ---- frames ---- */

static void receive_one(struct intel_nic *card, enum intel_rx kind,
			const struct intel_rx_frame *frame)
{
	struct frame_offload offload = {.is_csum_valid = true};
	struct nic *nic = &card->nic;

	if (kind == INTEL_RX_BAD)
		intel_count(&nic->counters.rx_dropped, 1);
	if (kind != INTEL_RX_FRAME)
		return;
	intel_count(&nic->counters.rx_packets, 1);
	intel_count(&nic->counters.rx_bytes, frame->len_bytes);
	nic->received(nic, frame->data, frame->len_bytes, frame->is_csum_valid ? &offload : NULL);
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
		intel_write(card, intel_ring_reg(queue, card->family->rx_regs, RING_TAIL), tail);
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
		intel_write(card, intel_ring_reg(queue, card->family->tx_regs, RING_TAIL),
			    queue->tx.tail);
	lock_release(&queue->tx_lock);
	intel_count(is_sent ? &nic->counters.tx_packets : &nic->counters.tx_dropped, 1);
	if (is_sent)
		intel_count(&nic->counters.tx_bytes, len_bytes);
	return is_sent;
}

/* ---- interrupts ---- */

static void handle_causes(struct intel_nic *card)
{
	uint32_t causes = intel_read(card, REG_ICR); /* clears them, and lowers the line */

	if (causes == INTEL_GONE) {
		intel_nic_mark_gone(card);
		return;
	}
	if (causes & INT_LSC)
		intel_nic_look_at_link(card);
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
	if (causes == INTEL_GONE)
		intel_nic_mark_gone(card);
	else if (causes & INT_LSC)
		intel_nic_look_at_link(card);
}

static bool is_waiting(struct intel_queue *queue)
{
	bool is_waiting;

	lock_take(&queue->rx_lock);
	is_waiting = queue->is_receiving && intel_rx_is_waiting(&queue->rx);
	lock_release(&queue->rx_lock);
	return is_waiting;
}

/* What the handlers would have done: it also lets the card raise the next one. */
void intel_nic_look_at_rings(struct intel_nic *card)
{
	bool is_any = false;

	for (uint32_t i = 0; i < card->nr_queues; i++) {
		if (!is_waiting(&card->queues[i]))
			continue;
		is_any = true;
		if (card->irqs.kind == DEV_IRQ_MSIX)
			handle_queue(&card->queues[i]);
		else
			receive(&card->queues[i]);
	}
	if (!is_any)
		return;
	if (card->irqs.kind == DEV_IRQ_MSIX)
		handle_other(card);
	else
		handle_causes(card);
	if (card->nr_lost_irqs++ == 0)
		log_warn(card->nic.ops->driver,
			 "%s: an interrupt did not arrive; this is looked after every second",
			 card->nic.location);
}

void intel_nic_irqs_on(struct intel_nic *card)
{
	intel_write(card, REG_ITR, ITR_50_US);
	intel_write(card, REG_IMS, INT_USED);
}

void intel_nic_irqs_off(struct intel_nic *card)
{
	intel_write(card, REG_IMC, ~0u);
}

void intel_nic_raise(struct intel_queue *queue)
{
	intel_write(queue->card, REG_ICS, INT_RXT0);
}

void intel_nic_spread_flows(struct intel_nic *card, uint32_t rss, uint32_t shift)
{
	for (uint32_t i = 0; i < 10; i++)
		intel_write(card, REG_RSSRK + 4 * i, RSS_KEY);
	for (uint32_t i = 0; i < RETA_ENTRIES; i += 4) {
		uint32_t word = 0;

		for (uint32_t j = 0; j < 4; j++)
			word |= (i + j) % card->nr_queues << (8 * j + shift);
		intel_write(card, REG_RETA + i, word);
	}
	intel_write(card, REG_MRQC, rss | MRQC_TCP_IP4 | MRQC_IP4 | MRQC_IP6 | MRQC_TCP_IP6);
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

	card->mtu = mtu;
	init_rings(card);
	intel_reset_start(card);
	return HV_OK;
}

static enum hv_err bring_up(struct intel_nic *card, uint32_t queues_max)
{
	enum hv_err err = dev_open(card->dev);

	if (err != HV_OK)
		return err;
	card->registers = dev_map(card->dev, 0, REGISTERS_BYTES);
	if (!card->registers)
		return HV_EIO;
	if (card->family->prepare)
		err = card->family->prepare(card);
	if (err == HV_OK)
		err = intel_reset_at_boot(card);
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
	log_info(family->ops->driver, "%s: %04x:%04x, %u queue%s, %s", card->nic.location,
		 dev->vendor, dev->device, card->nr_queues, card->nr_queues == 1 ? "" : "s",
		 kinds[card->irqs.kind]);
	return HV_OK;
}
