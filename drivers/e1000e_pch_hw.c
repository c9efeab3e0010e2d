/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's LAN built into chipsets: I217, I218, and I219 of the first generation. A MAC like the
 * 82574's, by MSI or INTx, with one queue; what is different is all about its PHY, which it shares
 * with the chipset's management engine (ME): e1000e_pch_phy_hw.c.
 *
 * Its EEPROM is a part of the chipset's flash that the hardware copies; the address is in RAL and
 * RAH behind a reset. Left out, as nothing about it is certain: latency tolerance reporting, energy
 * efficient Ethernet, jumbo frames, TCP cut by the card (I219 overruns buffers with it), what 10
 * Mb/s and half duplex want, and the generations after Sunrise Point.
 *
 * Nobody who wrote this has such a machine, and no emulator has the part: it is untested.
 *
 * Source: [e1000e], as no datasheet tells what is different from the 82574's.
 */
#include "drivers/e1000e_pch_hw.h"

#include "drivers/e1000e_pch_phy.h"
#include "kernel/log.h"

#define REG_FEXTNVM6	0x0010u /* EECD elsewhere */
#define REG_FEXTNVM4	0x0024u
#define REG_KMRNCTRLSTA 0x0034u
#define REG_PCIEANACFG	0x0f18u
#define REG_IOSFPC	0x0f28u
#define REG_PBECCSTS	0x100cu
#define REG_KABGTXD	0x3004u
#define REG_RXDCTL	0x2828u
#define REG_TDLEN	0x3808u
#define REG_TARC0	0x3840u
#define REG_TXDCTL1	0x3928u
#define REG_TARC1	0x3940u
#define REG_GCR		0x5b00u
#define REG_FEXTNVM11	0x5bbcu

#define CTRL_MEHE	     BIT(19) /* memory errors are dealt with */
#define STATUS_LAN_INIT_DONE BIT(9)
#define STATUS_PHYRA	     BIT(10)
#define CTRL_EXT_RO_DIS	     BIT(17)
#define CTRL_EXT_PHYPDEN     BIT(20)
#define CTRL_EXT_MUST	     BIT(22)

#define FEXTNVM4_BEACON	     0x00000007u /* 8 us */
#define FEXTNVM6_REQ_PLL_CLK BIT(8)
#define FEXTNVM6_K1_OFF	     BIT(31) /* and the same of PCIEANACFG */
#define FEXTNVM11_MULR_FIX   BIT(13)
#define IOSFPC_RDMTS	     BIT(16)

#define KMRN_READ	BIT(21)
#define KMRN_REG	0x001f0000ull
#define KMRN_K1_CONFIG	7u
#define KMRN_K1_ENABLE	0x0002u
#define KMRN_SETTLES_NS (2 * NSEC_PER_USEC)

#define RFCTL_NFS_OFF  (BIT(6) | BIT(7))
#define RFCTL_EXSTEN   BIT(15)
#define PBECCSTS_ECC   BIT(16)
#define KABGTXD_BIAS   0x00050000u
#define GCR_NO_SNOOP   0x0000003full
#define TARC0_MUST     (BIT(23) | BIT(24) | BIT(26) | BIT(27))
#define TARC0_REQUESTS 0x30000000ull /* I219: two at a time */
#define TARC1_MUST     (BIT(24) | BIT(26) | BIT(28) | BIT(30))
#define TXDCTL_USED    (BIT(16) | BIT(22) | BIT(24)) /* as the 82574's */
#define TIPG_IPGT      0x000003ffull

#define PHY_AUTONEG    0x1000u
#define PHY_RESTART    0x0200u
#define PORT_HOST_WAKE 0x0010u

/* I219: what of the rings is still in the chip; [PCI] configuration space */
#define CONFIG_RING_STATUS 0xe4u
#define RING_STATUS_FLUSH  0x0100u
#define FLUSH_BYTES	   512u
#define FLUSH_NS	   (250 * NSEC_PER_USEC)
#define RXDCTL_FLUSH	   (31u | 1u << 8 | 1u << 24)
#define RXDCTL_THRESHOLDS  0x3fffull
#define RCTL_EN		   BIT(1)

#define POLL_NS (10 * NSEC_PER_USEC)
#define RUN_NS	NSEC_PER_MSEC /* while it runs, as interrupts are off */

/* ---- before the first reset, and a reset ---- */

static bool is_flush_wanted(struct intel_nic *card)
{
	return pch_part(card)->mac == PCH_SPT && intel_read(card, REG_TDLEN) != 0 &&
	       (pci_machine.read(pci_machine.arg, card->dev->at, CONFIG_RING_STATUS, 2) &
		RING_STATUS_FLUSH);
}

static enum hv_err prepare(struct intel_nic *card)
{
	if (!is_flush_wanted(card))
		return pch_phy_wake(card);
	log_warn("e1000e", "%s: firmware left frames in it, it needs a power cycle",
		 card->nic.location);
	return HV_EIO;
}

/*
 * I219 hangs for good in a reset while it has descriptors. So it is given one more to send, from
 * the ring's own memory: taking that, it forgets the others. Nothing of the ring is used again.
 */
static void flush_tx(struct intel_nic *card)
{
	struct intel_queue *queue = &card->queues[0];
	volatile struct intel_tx_desc *desc = &queue->tx.descs[queue->tx.tail];

	desc->addr = queue->tx_descs;
	desc->command = INTEL_TXC_IFCS | FLUSH_BYTES;
	desc->status = 0;
	__atomic_thread_fence(__ATOMIC_RELEASE); /* the descriptor before the doorbell */
	intel_write(card, REG_TCTL, card->family->tctl);
	intel_write(card, intel_ring_reg(queue, card->family->tx_regs, RING_TAIL),
		    (queue->tx.tail + 1) % INTEL_RING_ENTRIES);
	time_busy_wait_ns(FLUSH_NS);
	intel_write(card, REG_TCTL, 0);
}

static void flush_rx(struct intel_nic *card)
{
	pch_change(card, REG_RXDCTL, RXDCTL_THRESHOLDS, RXDCTL_FLUSH);
	intel_write(card, REG_RCTL, RCTL_EN);
	time_busy_wait_ns(FLUSH_NS);
	intel_write(card, REG_RCTL, 0);
}

static void flush(struct intel_nic *card)
{
	if (pch_part(card)->mac != PCH_SPT)
		return;
	pch_change(card, REG_FEXTNVM11, 0, FEXTNVM11_MULR_FIX);
	if (card->nr_queues == 0 || !is_flush_wanted(card))
		return;
	flush_tx(card);
	if (is_flush_wanted(card))
		flush_rx(card);
}

/* No register is read for the next 20 ms. The reset gives the semaphore back. */
static enum hv_err reset(struct intel_nic *card)
{
	uint64_t bits = CTRL_RST | (pch_may_reset_phy(card) ? CTRL_PHY_RST : 0);

	if (!pch_phy_take(card, time_now_ns() + RUN_NS))
		return HV_EBUSY;
	intel_write(card, REG_CTRL, intel_read(card, REG_CTRL) | bits);
	return HV_OK;
}

static bool restart_phy(struct intel_nic *card, uint64_t until_ns)
{
	return pch_phy_change(card, PCH_PHY_PORT_CONFIG, (struct pch_bits){PORT_HOST_WAKE, 0},
			      until_ns) &&
	       pch_phy_write(card, PCH_PHY_CONTROL, PHY_AUTONEG | PHY_RESTART, until_ns);
}

/* Where the PHY was not reset, ME uses it, and its link with it. */
static enum hv_err start_phy(struct intel_nic *card)
{
	uint64_t until_ns = time_now_ns() + RUN_NS;
	bool is_done;

	if (!pch_may_reset_phy(card))
		return HV_OK;
	if (!(intel_read(card, REG_STATUS) & STATUS_LAN_INIT_DONE) ||
	    !pch_phy_take(card, until_ns - RUN_NS / 2))
		return HV_EBUSY;
	is_done = restart_phy(card, until_ns);
	pch_phy_give(card);
	if (is_done)
		pch_change(card, REG_STATUS, STATUS_LAN_INIT_DONE | STATUS_PHYRA, 0);
	return is_done ? HV_OK : HV_EBUSY;
}

static void configure(struct intel_nic *card)
{
	pch_change(card, REG_CTRL_EXT, 0, CTRL_EXT_MUST | CTRL_EXT_PHYPDEN | CTRL_EXT_RO_DIS);
	pch_change(card, REG_KABGTXD, 0, KABGTXD_BIAS);
	pch_change(card, REG_PBECCSTS, 0, PBECCSTS_ECC);
	pch_change(card, REG_CTRL, 0, CTRL_MEHE);
	pch_change(card, REG_GCR, GCR_NO_SNOOP, 0);
	pch_change(card, REG_TARC0, 0, TARC0_MUST);
	pch_change(card, REG_TARC1, 0, TARC1_MUST);
	intel_write(card, REG_TXDCTL1, TXDCTL_USED);
	pch_change(card, REG_RFCTL, 0, RFCTL_NFS_OFF | RFCTL_EXSTEN);
	intel_write(card, REG_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
	if (pch_part(card)->mac == PCH_SPT) {
		pch_change(card, REG_IOSFPC, 0, IOSFPC_RDMTS);
		pch_change(card, REG_TARC0, TARC0_REQUESTS, FIELD_PREP(TARC0_REQUESTS, 2));
	}
}

static void configure_queue(struct intel_queue *queue)
{
	intel_write(queue->card, queue->card->family->tx_regs + RING_CTL, TXDCTL_USED);
}

/* ---- a link of another speed ---- */

/* With K1 off for that moment: the clock is asked for in K1, too. */
static void keep_clock(struct intel_nic *card)
{
	uint64_t config;

	intel_write(card, REG_KMRNCTRLSTA, FIELD_PREP(KMRN_REG, KMRN_K1_CONFIG) | KMRN_READ);
	time_busy_wait_ns(KMRN_SETTLES_NS);
	config = FIELD_PREP(KMRN_REG, KMRN_K1_CONFIG) | (uint16_t)intel_read(card, REG_KMRNCTRLSTA);
	intel_write(card, REG_KMRNCTRLSTA, config & ~(uint64_t)KMRN_K1_ENABLE);
	time_busy_wait_ns(POLL_NS);
	pch_change(card, REG_FEXTNVM6, 0, FEXTNVM6_REQ_PLL_CLK);
	intel_write(card, REG_KMRNCTRLSTA, config);
	time_busy_wait_ns(KMRN_SETTLES_NS);
}

static bool tune_phy(struct intel_nic *card, uint32_t speed_mbps, struct pch_tuning *tuning,
		     uint64_t until_ns)
{
	uint16_t gap = 0;

	if (pch_part(card)->mac == PCH_SPT &&
	    !pch_phy_read(card, PCH_PHY_POINTER_GAP, &gap, until_ns))
		return false;
	pch_tune(pch_part(card), speed_mbps, gap, tuning);
	return pch_phy_change(card, PCH_PHY_PLL_GATE, tuning->pll_gate, until_ns) &&
	       pch_phy_change(card, PCH_PHY_POWER, tuning->power, until_ns) &&
	       pch_phy_change(card, PCH_PHY_POINTER_GAP, tuning->pointer_gap, until_ns);
}

static void tune_mac(struct intel_nic *card, const struct pch_tuning *tuning)
{
	uint64_t k1_off = intel_read(card, REG_PCIEANACFG) & FEXTNVM6_K1_OFF;

	pch_change(card, REG_TIPG, TIPG_IPGT, tuning->ipg);
	pch_change(card, REG_FEXTNVM4, 0, FEXTNVM4_BEACON);
	if (tuning->has_k1_switch && tuning->keep_clock)
		keep_clock(card);
	else if (tuning->has_k1_switch)
		pch_change(card, REG_FEXTNVM6, FEXTNVM6_REQ_PLL_CLK, 0);
	if (pch_part(card)->mac == PCH_SPT)
		pch_change(card, REG_FEXTNVM6, FEXTNVM6_K1_OFF, k1_off);
}

static enum hv_err tune_link(struct intel_nic *card, uint32_t speed_mbps)
{
	uint64_t until_ns = time_now_ns() + RUN_NS;
	struct pch_tuning tuning;
	bool is_done;

	if (!pch_phy_take(card, until_ns - RUN_NS / 2))
		return HV_EBUSY;
	is_done = tune_phy(card, speed_mbps, &tuning, until_ns);
	if (is_done)
		tune_mac(card, &tuning);
	pch_phy_give(card);
	return is_done ? HV_OK : HV_EBUSY;
}

static const struct nic_ops ops = {
	.driver = "e1000e", .start = intel_nic_start, .send = intel_nic_send};

static const struct intel_family family = {
	.ops = &ops,
	.rx_format = INTEL_RX_EXTENDED,
	.tx_format = INTEL_TX_EXTENDED,
	.features = NIC_TX_CSUM | NIC_RX_CSUM,
	.rx_regs = 0x2800,
	.tx_regs = 0x3800,
	.tctl = TCTL_E1000 | TCTL_PSP,
	.ctrl = CTRL_SLU,
	.nr_mta = 32,
	.irqs_best = DEV_IRQ_MSI,
	.has_express = true,
	.prepare = prepare,
	.before_reset = flush,
	.reset = reset,
	.start_phy = start_phy,
	.configure = configure,
	.configure_queue = configure_queue,
	.tune_link = tune_link,
	.irqs_on = intel_nic_irqs_on,
	.irqs_off = intel_nic_irqs_off,
	.raise = intel_nic_raise,
};

static enum hv_err attach(struct pci_device *dev)
{
	return intel_nic_attach(dev, &family, 1, NIC_MTU);
}

static const struct pci_match matches[] = {
	{0x8086, 0x153a}, {0x8086, 0x153b},		      /* I217 */
	{0x8086, 0x155a}, {0x8086, 0x1559}, {0x8086, 0x15a0}, /* I218 */
	{0x8086, 0x15a1}, {0x8086, 0x15a2}, {0x8086, 0x15a3},
	{0x8086, 0x156f}, {0x8086, 0x1570}, {0x8086, 0x15b7}, /* I219 */
	{0x8086, 0x15b8}, {0x8086, 0x15b9}, {0x8086, 0x15d7},
	{0x8086, 0x15d8}, {0x8086, 0x15e3}, {0x8086, 0x15d6},
};

const struct pci_driver e1000e_pch_driver = {
	.name = "e1000e (chipset)",
	.base_class = PCI_CLASS_NETWORK,
	.devices = "Intel I217, I218, I219 (LM to LM5)",
	.matches = matches,
	.nr_matches = ARRAY_SIZE(matches),
	.attach = attach,
};
