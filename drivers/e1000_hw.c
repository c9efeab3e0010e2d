/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's 82540EM and 82545EM: conventional PCI, one queue, one interrupt line. Their MSI is left
 * alone, as their errata advise.
 *
 * Source: [E1000] "Register Descriptions", "General Initialization and Reset Operation".
 */
#include "drivers/e1000.h"
#include "drivers/intel_nic.h"

#define TIPG_COPPER (10u | 8u << 10 | 6u << 20)
#define PBA_JUMBO   40u /* KiB of the card's 64 for receiving: the rest holds two long frames */
#define EERD_DONE   0x00000010u
#define EERD_ADDR   0x0000ff00u
#define REG_RDTR    0x2820u /* a delay before a receive interrupt: none */

static void configure(struct intel_nic *card)
{
	if (card->mtu > NIC_MTU)
		intel_write(card, REG_PBA, PBA_JUMBO);
	intel_write(card, REG_RDTR, 0);
	intel_write(card, REG_TIPG, TIPG_COPPER);
	intel_write(card, REG_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
}

static const struct nic_ops ops = {
	.driver = "e1000", .start = intel_nic_start, .send = intel_nic_send};

static const struct intel_family family = {
	.ops = &ops,
	.rx_format = INTEL_RX_LEGACY,
	.tx_format = INTEL_TX_EXTENDED,
	.features = NIC_TX_CSUM | NIC_TX_TSO4 | NIC_RX_CSUM,
	.rx_regs = 0x2800,
	.tx_regs = 0x3800,
	.eerd_done = EERD_DONE,
	.eerd_addr = EERD_ADDR,
	.tctl = TCTL_E1000,
	.ctrl = CTRL_SLU | CTRL_ASDE,
	.nr_mta = 128,
	.irqs_best = DEV_IRQ_INTX,
	.configure = configure,
	.irqs_on = intel_nic_irqs_on,
	.irqs_off = intel_nic_irqs_off,
	.raise = intel_nic_raise,
};

static enum hv_err attach(struct pci_device *dev)
{
	return intel_nic_attach(dev, &family, 1, INTEL_MTU_MAX);
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
