/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of the e1000: reset, address, rings, interrupt.
 *
 * Receiving happens in the interrupt handler and on its CPU only, so it needs no lock, and the
 * handler may call into the switch. Sending comes from any CPU, under tx_lock. Frames are copied
 * into the transmit ring, so nobody waits for their completion and its interrupt stays off: each
 * send takes back what the card is done with. A card that was pulled out reads all ones and is left
 * alone from then on.
 *
 * Source: [E1000] "Register Descriptions", "General Initialization and Reset Operation".
 */
#include "drivers/e1000.h"
#include "drivers/e1000_ring.h"
#include "drivers/nic.h"
#include "kernel/irq.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/time.h"

#define REGISTERS_BYTES 0x20000u

#define REG_CTRL   0x0000u
#define REG_STATUS 0x0008u
#define REG_EERD   0x0014u
#define REG_ICR	   0x00c0u
#define REG_ITR	   0x00c4u
#define REG_ICS	   0x00c8u
#define REG_IMS	   0x00d0u
#define REG_IMC	   0x00d8u
#define REG_RCTL   0x0100u
#define REG_TCTL   0x0400u
#define REG_TIPG   0x0410u
#define REG_RDBAL  0x2800u
#define REG_RDBAH  0x2804u
#define REG_RDLEN  0x2808u
#define REG_RDH	   0x2810u
#define REG_RDT	   0x2818u
#define REG_RDTR   0x2820u
#define REG_TDBAL  0x3800u
#define REG_TDBAH  0x3804u
#define REG_TDLEN  0x3808u
#define REG_TDH	   0x3810u
#define REG_TDT	   0x3818u
#define REG_MTA	   0x5200u /* 128 words */
#define REG_RAL0   0x5400u
#define REG_RAH0   0x5404u

#define CTRL_ASDE    BIT(5) /* speed as the PHY found it */
#define CTRL_SLU     BIT(6) /* set link up */
#define CTRL_RST     BIT(26)
#define CTRL_PHY_RST BIT(31)
#define CTRL_LRST    BIT(3)
#define CTRL_ILOS    BIT(7)

#define STATUS_LU    0x00000002u
#define STATUS_SPEED 0x000000c0u /* 0 is 10, 1 is 100, 2 and 3 are 1000 Mb/s */

#define EERD_START 0x00000001u
#define EERD_DONE  0x00000010u
#define EERD_ADDR  0x0000ff00u
#define EERD_DATA  0xffff0000u

#define RAH_VALID 0x80000000u

#define INT_LSC	   0x0004u /* link status change */
#define INT_RXDMT0 0x0010u /* few receive descriptors left */
#define INT_RXO	   0x0040u /* receiver overrun */
#define INT_RXT0   0x0080u /* frames were received */
#define INT_USED   (INT_LSC | INT_RXDMT0 | INT_RXO | INT_RXT0)

#define ITR_50_US 195u /* in units of 256 ns: at most 20,000 interrupts a second */

#define RCTL_EN	   BIT(1)
#define RCTL_UPE   BIT(3) /* unicast to anybody: the switch sorts them */
#define RCTL_MPE   BIT(4)
#define RCTL_BAM   BIT(15)
#define RCTL_SECRC BIT(26) /* without the FCS; a buffer size of 2048 is the value 0 */

#define TCTL_EN	     BIT(1)
#define TCTL_CT_15   (0x0full << 4)
#define TCTL_COLD_FD (0x40ull << 12)
#define TIPG_COPPER  (10u | 8u << 10 | 6u << 20)

#define RESET_NS   (5 * NSEC_PER_MSEC) /* the card reads its EEPROM meanwhile */
#define TIMEOUT_NS (20 * NSEC_PER_MSEC)
#define RX_BUDGET  E1000_RING_ENTRIES /* frames in one interrupt */

#define RING_ORDER    0
#define BUFFERS_ORDER 7
static_assert((PAGE_SIZE << RING_ORDER) >= E1000_RING_BYTES, "a ring fits its pages");
static_assert((PAGE_SIZE << BUFFERS_ORDER) >= E1000_BUFFERS_BYTES, "buffers fit their pages");

struct e1000 {
	struct nic nic;
	volatile uint32_t *registers;
	bool is_gone;					  /* reads all ones */
	hpa_t rx_descs, rx_buffers, tx_descs, tx_buffers; /* HPA_NONE: not taken */
	struct e1000_rx_ring rx;			  /* the interrupt handler's */
	struct lock tx_lock;
	struct e1000_tx_ring tx; /* under tx_lock */
};

static uint32_t reg_read(struct e1000 *card, uint32_t reg)
{
	return card->registers[reg / 4];
}

static void reg_write(struct e1000 *card, uint32_t reg, uint64_t val)
{
	card->registers[reg / 4] = (uint32_t)val;
}

static void wait_ns(uint64_t ns)
{
	uint64_t start = time_now_ns();

	while (time_now_ns() - start < ns)
		__builtin_ia32_pause();
}

static enum hv_err reset(struct e1000 *card)
{
	uint64_t start;

	reg_write(card, REG_IMC, ~0u);
	reg_write(card, REG_RCTL, 0);
	reg_write(card, REG_TCTL, 0);
	reg_write(card, REG_CTRL, reg_read(card, REG_CTRL) | CTRL_RST);
	wait_ns(RESET_NS);
	start = time_now_ns();
	while (reg_read(card, REG_CTRL) & CTRL_RST)
		if (time_now_ns() - start > TIMEOUT_NS)
			return HV_EIO;
	reg_write(card, REG_IMC, ~0u);
	(void)reg_read(card, REG_ICR); /* reading clears what is pending */
	return HV_OK;
}

static enum hv_err eeprom_read(struct e1000 *card, uint32_t word, uint16_t *out)
{
	uint64_t start = time_now_ns();
	uint32_t val;

	reg_write(card, REG_EERD, EERD_START | FIELD_PREP(EERD_ADDR, word));
	while (!((val = reg_read(card, REG_EERD)) & EERD_DONE))
		if (time_now_ns() - start > TIMEOUT_NS)
			return HV_EIO;
	*out = (uint16_t)FIELD_GET(EERD_DATA, val);
	return HV_OK;
}

/* The reset has put the EEPROM's address into the first receive address, on cards that work. */
static enum hv_err read_mac(struct e1000 *card)
{
	uint32_t low = reg_read(card, REG_RAL0), high = reg_read(card, REG_RAH0);
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

static void give_pages(hpa_t *hpa, unsigned order)
{
	if (*hpa != HPA_NONE)
		pages_free(*hpa, order);
	*hpa = HPA_NONE;
}

static void free_rings(struct e1000 *card)
{
	give_pages(&card->rx_descs, RING_ORDER);
	give_pages(&card->tx_descs, RING_ORDER);
	give_pages(&card->rx_buffers, BUFFERS_ORDER);
	give_pages(&card->tx_buffers, BUFFERS_ORDER);
}

static enum hv_err alloc_rings(struct e1000 *card)
{
	card->rx_descs = pages_alloc(RING_ORDER);
	card->tx_descs = pages_alloc(RING_ORDER);
	card->rx_buffers = pages_alloc(BUFFERS_ORDER);
	card->tx_buffers = pages_alloc(BUFFERS_ORDER);
	if (card->rx_descs == HPA_NONE || card->tx_descs == HPA_NONE ||
	    card->rx_buffers == HPA_NONE || card->tx_buffers == HPA_NONE) {
		free_rings(card);
		return HV_ENOMEM;
	}
	e1000_rx_init(&card->rx, hva_of(card->rx_descs), hva_of(card->rx_buffers),
		      card->rx_buffers);
	e1000_tx_init(&card->tx, hva_of(card->tx_descs), hva_of(card->tx_buffers),
		      card->tx_buffers);
	return HV_OK;
}

static void set_up(struct e1000 *card)
{
	for (uint32_t i = 0; i < 128; i++)
		reg_write(card, REG_MTA + 4 * i, 0);

	reg_write(card, REG_RDBAL, card->rx_descs);
	reg_write(card, REG_RDBAH, card->rx_descs >> 32);
	reg_write(card, REG_RDLEN, E1000_RING_BYTES);
	reg_write(card, REG_RDH, 0);
	reg_write(card, REG_RDT, E1000_RING_ENTRIES - 1);
	reg_write(card, REG_RDTR, 0);

	reg_write(card, REG_TDBAL, card->tx_descs);
	reg_write(card, REG_TDBAH, card->tx_descs >> 32);
	reg_write(card, REG_TDLEN, E1000_RING_BYTES);
	reg_write(card, REG_TDH, 0);
	reg_write(card, REG_TDT, 0);
	reg_write(card, REG_TIPG, TIPG_COPPER);
	reg_write(card, REG_TCTL, TCTL_EN | TCTL_CT_15 | TCTL_COLD_FD);

	reg_write(card, REG_ITR, ITR_50_US);
	reg_write(card, REG_CTRL,
		  (reg_read(card, REG_CTRL) & ~(CTRL_LRST | CTRL_ILOS | CTRL_PHY_RST)) | CTRL_SLU |
			  CTRL_ASDE);
}

static void read_link(struct e1000 *card)
{
	static const uint32_t speeds[] = {10, 100, 1000, 1000};
	uint32_t status = reg_read(card, REG_STATUS);

	card->nic.is_link_up = status & STATUS_LU;
	card->nic.speed_mbps = card->nic.is_link_up ? speeds[FIELD_GET(STATUS_SPEED, status)] : 0;
}

static void log_link(struct e1000 *card)
{
	const uint8_t *mac = card->nic.mac;
	char link[32];

	if (card->nic.is_link_up)
		fmt(link, sizeof(link), "link up %u Mb/s", card->nic.speed_mbps);
	else
		fmt(link, sizeof(link), "no link");
	log_info("e1000", "%s: %02x:%02x:%02x:%02x:%02x:%02x, %s", card->nic.location, mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5], link);
}

static void receive_one(struct e1000 *card, enum e1000_rx kind, const uint8_t *frame,
			size_t len_bytes)
{
	switch (kind) {
	case E1000_RX_FRAME:
		card->nic.counters.rx_packets++;
		card->nic.counters.rx_bytes += len_bytes;
		card->nic.received(&card->nic, frame, len_bytes, NULL);
		return;
	case E1000_RX_BAD:
		card->nic.counters.rx_dropped++;
		return;
	default:
		return;
	}
}

static void receive(struct e1000 *card)
{
	const uint8_t *frame = NULL;
	uint32_t tail = 0, done = 0;
	enum e1000_rx kind;
	size_t len_bytes = 0;

	for (; done < RX_BUDGET; done++) {
		kind = e1000_rx_look(&card->rx, &frame, &len_bytes);
		if (kind == E1000_RX_NONE)
			break;
		receive_one(card, kind, frame, len_bytes);
		tail = e1000_rx_return(&card->rx);
	}
	if (done > 0)
		reg_write(card, REG_RDT, tail);
	if (done == RX_BUDGET)
		reg_write(card, REG_ICS, INT_RXT0); /* the rest in an interrupt of its own */
}

static void handle_interrupt(void *arg)
{
	struct e1000 *card = arg;
	uint32_t causes;

	if (card->is_gone)
		return;
	causes = reg_read(card, REG_ICR); /* clears them, and lowers the line */
	if (causes == ~0u) {
		card->is_gone = true;
		card->nic.is_link_up = false;
		log_err("e1000", "%s: does not answer any more", card->nic.location);
		return;
	}
	if (causes & INT_LSC) {
		read_link(card);
		log_link(card);
	}
	if (causes & INT_USED)
		receive(card);
}

static enum hv_err start(struct nic *nic, uint32_t mtu)
{
	struct e1000 *card = container_of(nic, struct e1000, nic);

	reg_write(card, REG_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC);
	(void)mtu; /* there is only one */
	reg_write(card, REG_IMS, INT_USED);
	return HV_OK;
}

static bool send(struct nic *nic, const void *frame, size_t len_bytes,
		 const struct frame_offload *offload)
{
	struct e1000 *card = container_of(nic, struct e1000, nic);
	bool is_sent;

	(void)offload; /* none is offered */
	lock_take(&card->tx_lock);
	is_sent = !card->is_gone && e1000_tx_put(&card->tx, frame, len_bytes);
	if (is_sent) {
		reg_write(card, REG_TDT, card->tx.tail);
		nic->counters.tx_packets++;
		nic->counters.tx_bytes += len_bytes;
	} else {
		nic->counters.tx_dropped++;
	}
	lock_release(&card->tx_lock);
	return is_sent;
}

static const struct nic_ops e1000_ops = {.driver = "e1000", .start = start, .send = send};

static enum hv_err map_registers(struct e1000 *card, struct pci_device *dev)
{
	enum hv_err err = pci_size_bars(&pci_machine, dev);

	if (err != HV_OK)
		return err;
	if (dev->bars[0].is_io || dev->bars[0].base == 0 ||
	    dev->bars[0].len_bytes < REGISTERS_BYTES)
		return HV_EIO;
	pci_command(&pci_machine, dev, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
		    PCI_COMMAND_INTX_DISABLE);
	card->registers = mmio_map(dev->bars[0].base, REGISTERS_BYTES);
	return card->registers ? HV_OK : HV_ENOMEM;
}

/* By message where the card can, else by the IOAPIC pin that firmware wired its INTx line to. */
static enum hv_err connect_interrupt(struct e1000 *card, const struct pci_device *dev)
{
	uint8_t vector;
	uint64_t addr;
	uint32_t data;
	enum hv_err err = irq_vector_take(handle_interrupt, card, &vector);

	if (err != HV_OK)
		return err;
	irq_msi_message(0, vector, &addr, &data);
	if (pci_msi_enable(&pci_machine, dev, addr, data) == HV_OK)
		return HV_OK;
	if (dev->irq_pin == 0)
		return HV_EIO;
	return irq_route_gsi(dev->irq_line, vector, IRQ_LEVEL_LOW);
}

static enum hv_err bring_up(struct e1000 *card, struct pci_device *dev)
{
	enum hv_err err = map_registers(card, dev);

	if (err == HV_OK)
		err = reset(card);
	if (err == HV_OK)
		err = read_mac(card);
	if (err == HV_OK)
		err = alloc_rings(card);
	if (err == HV_OK) /* last: a handler cannot be taken back */
		err = connect_interrupt(card, dev);
	return err;
}

static enum hv_err attach(struct pci_device *dev)
{
	struct e1000 *card = nic_count() < NIC_MAX ? kmem_alloc(sizeof(*card)) : NULL;
	enum hv_err err;

	if (!card)
		return HV_ENOMEM;
	card->rx_descs = card->rx_buffers = card->tx_descs = card->tx_buffers = HPA_NONE;
	card->nic.ops = &e1000_ops;
	card->nic.mtu_max = NIC_MTU;
	card->nic.nr_rx_queues = card->nic.nr_tx_queues = 1;
	fmt(card->nic.location, sizeof(card->nic.location), "%02x:%02x.%u", dev->at.bus,
	    dev->at.dev, dev->at.fn);

	err = bring_up(card, dev);
	if (err != HV_OK)
		goto free_card;

	set_up(card);
	nic_add(&card->nic);
	read_link(card);
	log_link(card);
	return HV_OK;

free_card:
	pci_command(&pci_machine, dev, 0, PCI_COMMAND_MASTER);
	free_rings(card);
	kmem_free(card);
	return err;
}

static const struct pci_match matches[] = {
	{0x8086, 0x100e}, /* 82540EM */
	{0x8086, 0x100f}, /* 82545EM */
};

const struct pci_driver e1000_driver = {
	.name = "e1000",
	.base_class = PCI_CLASS_NETWORK,
	.devices = "Intel 82540EM and 82545EM",
	.matches = matches,
	.nr_matches = ARRAY_SIZE(matches),
	.attach = attach,
};
