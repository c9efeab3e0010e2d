/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's 82574: PCI Express, two queues, MSI-X with a message for each and one for the rest.
 *
 * With MSI-X, sending the queue's message clears and masks its cause; the handler unmasks it at its
 * end, and a frame that came in meanwhile raises it then. Reading the cause register in the other
 * handler may take the queues' causes with it, so they are raised again. Flows are spread over the
 * two queues with MSI-X only: another kind of interrupt does not say whose it is.
 *
 * Source: [82574] "Interrupts", "Initialization", "Driver Programming Interface"; ASPM and bit 22
 * of TXDCTL: [82574 Errata].
 */
#include "drivers/e1000e.h"
#include "drivers/intel_nic.h"

#define REG_EIAC_82574 0x00dcu
#define REG_IVAR_82574 0x00e4u
#define REG_EITR_82574 0x00e8u /* and one for each further vector */
#define NR_EITR	       5u

#define EERD_DONE 0x00000002u
#define EERD_ADDR 0x0000fffcu

#define CTRL_EXT_PBA_CLR BIT(31)

#define QUEUES	  2u
#define INT_RXQ0  0x00100000u /* and queue 1 in the bit above it */
#define INT_RXQS  0x00300000u
#define INT_OTHER 0x01000000u

#define IVAR_RXQ0  0x0000000full /* and queue 1 in the four bits above it */
#define IVAR_OTHER 0x000f0000ull
#define IVAR_VALID 0x8u

#define MRQC_RSS   0x00000001u
#define RETA_QUEUE 7u /* the bit of an entry that is the queue */

#define RFCTL_EXSTEN BIT(15) /* extended receive descriptors */

#define TXDCTL_WTHRESH_1  BIT(16)
#define TXDCTL_COUNT_DESC BIT(22)
#define TXDCTL_GRAN	  BIT(24)

/* [PCIe] "Link Control Register" */
#define EXPRESS_LINK_CONTROL 0x10u
#define LINK_CONTROL_ASPM    0x0003u

static void configure(struct intel_nic *card)
{
	bool has_rss = card->nr_queues > 1 && card->irqs.kind == DEV_IRQ_MSIX;

	if (has_rss)
		intel_nic_spread_flows(card, MRQC_RSS, RETA_QUEUE);
	intel_write(card, REG_RFCTL, intel_read(card, REG_RFCTL) | RFCTL_EXSTEN);
	intel_write(card, REG_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | (has_rss ? RXCSUM_PCSD : 0));
}

static void configure_queue(struct intel_queue *queue)
{
	intel_write(queue->card, intel_ring_reg(queue, queue->card->family->tx_regs, RING_CTL),
		    TXDCTL_GRAN | TXDCTL_COUNT_DESC | TXDCTL_WTHRESH_1);
}

static uint32_t rx_cause(uint32_t queue)
{
	return INT_RXQ0 << queue;
}

static uint32_t ivar_of(const struct intel_nic *card)
{
	uint64_t ivar =
		FIELD_PREP(IVAR_OTHER, IVAR_VALID | intel_nic_vector(card, card->nr_queues));

	for (uint32_t i = 0; i < card->nr_queues; i++)
		ivar |= FIELD_PREP(IVAR_RXQ0, IVAR_VALID | intel_nic_vector(card, i)) << (4 * i);
	return (uint32_t)ivar;
}

static void irqs_on(struct intel_nic *card)
{
	if (card->irqs.kind != DEV_IRQ_MSIX) {
		intel_nic_irqs_on(card);
		return;
	}
	for (uint32_t i = 0; i < NR_EITR; i++)
		intel_write(card, REG_EITR_82574 + 4 * i, ITR_50_US);
	intel_write(card, REG_IVAR_82574, ivar_of(card));
	intel_write(card, REG_CTRL_EXT, intel_read(card, REG_CTRL_EXT) | CTRL_EXT_PBA_CLR);
	intel_write(card, REG_EIAC_82574, INT_RXQS);
	intel_write(card, REG_IMS, INT_OTHER | INT_LSC | INT_RXQS);
}

static void irqs_off(struct intel_nic *card)
{
	intel_nic_irqs_off(card);
	intel_write(card, REG_EIAC_82574, 0);
}

static void raise(struct intel_queue *queue)
{
	if (queue->card->irqs.kind == DEV_IRQ_MSIX)
		intel_write(queue->card, REG_ICS, rx_cause(queue->index));
	else
		intel_nic_raise(queue);
}

static void queue_done(struct intel_queue *queue)
{
	if (queue->is_receiving)
		intel_write(queue->card, REG_IMS, rx_cause(queue->index));
}

static uint32_t other_causes(struct intel_nic *card)
{
	uint32_t causes = intel_read(card, REG_ICR);

	if (causes == ~0u)
		return causes;
	intel_write(card, REG_ICR, causes & ~INT_RXQS);
	if (causes & INT_RXQS)
		intel_write(card, REG_ICS, causes & INT_RXQS);
	intel_write(card, REG_IMS, INT_OTHER | INT_LSC);
	return causes;
}

static const struct nic_ops ops = {
	.driver = "e1000e", .start = intel_nic_start, .send = intel_nic_send};

static const struct intel_family family = {
	.ops = &ops,
	.rx_format = INTEL_RX_EXTENDED,
	.tx_format = INTEL_TX_EXTENDED,
	.features = NIC_TX_CSUM | NIC_TX_TSO4 | NIC_TX_TSO6 | NIC_RX_CSUM,
	.rx_regs = 0x2800,
	.tx_regs = 0x3800,
	.queue_stride = 0x100,
	.eerd_done = EERD_DONE,
	.eerd_addr = EERD_ADDR,
	.tctl = TCTL_E1000 | TCTL_PSP,
	.ctrl = CTRL_SLU | CTRL_ASDE,
	.nr_mta = 128,
	.irqs_best = DEV_IRQ_MSIX,
	.has_express = true,
	.configure = configure,
	.configure_queue = configure_queue,
	.irqs_on = irqs_on,
	.irqs_off = irqs_off,
	.raise = raise,
	.queue_done = queue_done,
	.other_causes = other_causes,
};

/* The 82574 may hang when its link sleeps. */
static void keep_link_awake(const struct pci_device *dev)
{
	uint8_t cap = pci_find_cap(&pci_machine, dev, PCI_CAP_EXPRESS);
	uint32_t control;

	if (!cap)
		return;
	control = pci_machine.read(pci_machine.arg, dev->at, cap + EXPRESS_LINK_CONTROL, 2);
	pci_machine.write(pci_machine.arg, dev->at, cap + EXPRESS_LINK_CONTROL, 2,
			  control & ~LINK_CONTROL_ASPM);
}

static enum hv_err attach(struct pci_device *dev)
{
	keep_link_awake(dev);
	return intel_nic_attach(dev, &family, QUEUES, INTEL_MTU_MAX);
}

static const struct pci_match matches[] = {
	{0x8086, 0x10d3}, /* 82574L */
};

const struct pci_driver e1000e_driver = {
	.name = "e1000e",
	.base_class = PCI_CLASS_NETWORK,
	.devices = "Intel 82574L",
	.matches = matches,
	.nr_matches = ARRAY_SIZE(matches),
	.attach = attach,
};
