/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's 82576, I210 and I350: several pairs of queues, over which the card spreads what it
 * receives by a hash of the addresses (RSS), each with a message of its own.
 *
 * With MSI-X a message clears its cause, and nothing is masked: a frame that comes in while its
 * queue's handler runs sends another one.
 *
 * Source: [82576] "Interrupts", "Receive-Side Scaling (RSS)", "Initialization and Reset Operation";
 * [I350] and [I210] "Interrupt Vector Allocation Registers"; [82576] "Software and Firmware
 * Synchronization".
 */
#include "drivers/igb.h"
#include "drivers/intel_nic.h"

#define REG_MDIC       0x0020u
#define REG_SWSM       0x5b50u
#define REG_SW_FW_SYNC 0x5b5cu
#define REG_EICS       0x1520u
#define REG_EIMS       0x1524u
#define REG_EIMC       0x1528u
#define REG_EIAC       0x152cu
#define REG_IAM	       0x1510u /* causes that reading ICR masks: none */
#define REG_GPIE       0x1514u
#define REG_EITR       0x1680u /* and one for each further vector */
#define REG_IVAR       0x1700u /* 8 words of 4 entries */
#define REG_IVAR_MISC  0x1740u

#define EERD_DONE 0x00000002u
#define EERD_ADDR 0x0000fffcu

#define STATUS_LAN_ID	    0x0000000cull /* which of the chip's ports */
#define SWSM_SMBI	    BIT(0)	  /* between drivers: set by the read that finds it clear */
#define SWSM_SWESMBI	    BIT(1) /* between driver and firmware: stays set when it is ours */
#define SYNC_FIRMWARE_SHIFT 16

#define MDIC_PHY_1 BIT(21) /* 82576; the others know their PHY's address */
#define MDIC_WRITE BIT(26)
#define MDIC_READY BIT(28)
#define MDIC_REG   0x001f0000ull

/* [802.3] "Control register (Register 0)" */
#define PHY_CONTROL 0u
#define PHY_AUTONEG 0x1000u
#define PHY_RESTART 0x0200u

/* A millisecond together, as this goes on with interrupts off. */
#define PHY_TAKE_NS (500 * NSEC_PER_USEC)
#define PHY_MDIC_NS (200 * NSEC_PER_USEC)
#define PHY_GIVE_NS (250 * NSEC_PER_USEC)
#define PHY_POLL_NS (10 * NSEC_PER_USEC)

#define GPIE_NSICR	      BIT(0) /* reading the causes clears them */
#define GPIE_MULTIPLE	      BIT(4) /* MSI-X */
#define GPIE_PBA	      BIT(31)
#define IVAR_VALID	      0x80u
#define IVAR_MISC_OTHER_SHIFT 8
#define EITR_50_US	      (50u << 2)

#define SRRCTL	       0x0cu /* of a queue */
#define SRRCTL_2_KIB   2u
#define SRRCTL_ONE_BUF BIT(25) /* advanced descriptors, one buffer each */
#define SRRCTL_DROP    BIT(31) /* a full queue does not stop the others */

#define QUEUE_THRESHOLDS (8u | 1u << 8 | 1u << 16) /* write back each descriptor at once */

#define MRQC_RSS     0x00000002u
#define FCS_BYTES    4u
#define HEADER_BYTES 18u /* Ethernet, and a VLAN tag */

static const struct nic_ops ops = {
	.driver = "igb", .start = intel_nic_start, .send = intel_nic_send};

/* ---- the PHY, which is shared with the card's firmware ---- */

static bool take_semaphore(struct intel_nic *card, uint64_t until_ns)
{
	do {
		if (!(intel_read(card, REG_SWSM) & SWSM_SMBI)) {
			intel_write(card, REG_SWSM, SWSM_SMBI | SWSM_SWESMBI);
			if (intel_read(card, REG_SWSM) & SWSM_SWESMBI)
				return true;
			intel_write(card, REG_SWSM, 0);
		}
		time_busy_wait_ns(PHY_POLL_NS);
	} while (time_now_ns() < until_ns);
	return false;
}

static void give_semaphore(struct intel_nic *card)
{
	intel_write(card, REG_SWSM, 0);
}

static uint32_t phy_bit(struct intel_nic *card)
{
	static const uint32_t bits[] = {0x02, 0x04, 0x20, 0x40};

	return bits[FIELD_GET(STATUS_LAN_ID, intel_read(card, REG_STATUS))];
}

static bool take_phy(struct intel_nic *card, uint64_t until_ns)
{
	uint32_t bit = phy_bit(card), sync;

	while (take_semaphore(card, until_ns)) {
		sync = intel_read(card, REG_SW_FW_SYNC);
		if (!(sync & (bit | bit << SYNC_FIRMWARE_SHIFT)))
			intel_write(card, REG_SW_FW_SYNC, sync | bit);
		give_semaphore(card);
		if (!(sync & (bit | bit << SYNC_FIRMWARE_SHIFT)))
			return true;
		if (time_now_ns() >= until_ns)
			break;
		time_busy_wait_ns(PHY_POLL_NS);
	}
	return false;
}

/* Without the semaphore, too: otherwise firmware would never have its PHY again. */
static void give_phy(struct intel_nic *card, uint64_t until_ns)
{
	bool is_ours = take_semaphore(card, until_ns);

	intel_write(card, REG_SW_FW_SYNC, intel_read(card, REG_SW_FW_SYNC) & ~phy_bit(card));
	if (is_ours)
		give_semaphore(card);
}

/* The link is negotiated anew: some 100 us for the PHY to be told, a millisecond at most. */
static enum hv_err start_phy(struct intel_nic *card)
{
	uint64_t now_ns = time_now_ns();

	if (!take_phy(card, now_ns + PHY_TAKE_NS))
		return HV_EBUSY;
	now_ns = time_now_ns();
	intel_write(card, REG_MDIC,
		    MDIC_WRITE | MDIC_PHY_1 | FIELD_PREP(MDIC_REG, PHY_CONTROL) | PHY_AUTONEG |
			    PHY_RESTART);
	while (!(intel_read(card, REG_MDIC) & MDIC_READY) && time_now_ns() < now_ns + PHY_MDIC_NS)
		time_busy_wait_ns(PHY_POLL_NS);
	give_phy(card, time_now_ns() + PHY_GIVE_NS);
	return HV_OK;
}

/* ---- queues and interrupts ---- */

static void configure(struct intel_nic *card)
{
	bool has_rss = card->nr_queues > 1;

	if (has_rss)
		intel_nic_spread_flows(card, MRQC_RSS, 0);
	intel_write(card, REG_RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | (has_rss ? RXCSUM_PCSD : 0));
	intel_write(card, REG_RLPML, card->mtu + HEADER_BYTES + FCS_BYTES);
}

static void configure_queue(struct intel_queue *queue)
{
	struct intel_nic *card = queue->card;
	uint32_t rx = card->family->rx_regs + queue->index * card->family->queue_stride;
	uint32_t tx = card->family->tx_regs + queue->index * card->family->queue_stride;

	intel_write(card, rx + SRRCTL,
		    SRRCTL_2_KIB | SRRCTL_ONE_BUF | (card->nr_queues > 1 ? SRRCTL_DROP : 0));
	intel_write(card, rx + RING_CTL, QUEUE_THRESHOLDS | RING_CTL_ENABLE);
	intel_write(card, tx + RING_CTL, QUEUE_THRESHOLDS | RING_CTL_ENABLE);
}

/* The 82576's table has queue i and i + 8 in one word, that of the others queues 2i and 2i + 1. */
static void set_ivar(struct intel_nic *card, uint32_t queue, uint32_t vector, bool is_82576)
{
	uint32_t reg = REG_IVAR + 4 * (is_82576 ? queue % 8 : queue / 2);
	uint32_t shift = 16 * (is_82576 ? queue / 8 : queue % 2);
	uint64_t word = intel_read(card, reg) & ~(0xffull << shift);

	intel_write(card, reg, word | (uint64_t)(vector | IVAR_VALID) << shift);
}

static void msix_on(struct intel_nic *card, bool is_82576)
{
	uint32_t other = intel_nic_vector(card, card->nr_queues);
	uint64_t vectors = BIT(other);

	intel_write(card, REG_GPIE, GPIE_NSICR | GPIE_MULTIPLE | GPIE_PBA);
	intel_write(card, REG_IAM, 0);
	for (uint32_t i = 0; i < card->nr_queues; i++) {
		uint32_t vector = intel_nic_vector(card, i);

		set_ivar(card, i, vector, is_82576);
		intel_write(card, REG_EITR + 4 * vector, EITR_50_US);
		vectors |= BIT(vector);
	}
	intel_write(card, REG_IVAR_MISC, (other | IVAR_VALID) << IVAR_MISC_OTHER_SHIFT);
	intel_write(card, REG_EIAC, vectors);
	intel_write(card, REG_EIMS, vectors);
	intel_write(card, REG_IMS, INT_LSC);
}

static void irqs_on(struct intel_nic *card, bool is_82576)
{
	if (card->irqs.kind == DEV_IRQ_MSIX) {
		msix_on(card, is_82576);
		return;
	}
	intel_write(card, REG_GPIE, GPIE_NSICR);
	intel_write(card, REG_IAM, 0);
	intel_write(card, REG_EITR, EITR_50_US);
	intel_write(card, REG_IMS, INT_USED);
}

static void irqs_on_82576(struct intel_nic *card)
{
	irqs_on(card, true);
}

static void irqs_on_i350(struct intel_nic *card)
{
	irqs_on(card, false);
}

static void irqs_off(struct intel_nic *card)
{
	intel_nic_irqs_off(card);
	intel_write(card, REG_EIMC, ~0u);
}

static void raise(struct intel_queue *queue)
{
	struct intel_nic *card = queue->card;

	if (card->irqs.kind == DEV_IRQ_MSIX)
		intel_write(card, REG_EICS, BIT(intel_nic_vector(card, queue->index)));
	else
		intel_nic_raise(queue);
}

static uint32_t other_causes(struct intel_nic *card)
{
	return intel_read(card, REG_ICR);
}

#define IGB_FAMILY(irqs_on_fn)                                                                     \
	{                                                                                          \
		.ops = &ops,                                                                       \
		.rx_format = INTEL_RX_EXTENDED,                                                    \
		.tx_format = INTEL_TX_ADVANCED,                                                    \
		.features = NIC_TX_CSUM | NIC_TX_TSO4 | NIC_TX_TSO6 | NIC_RX_CSUM,                 \
		.rx_regs = 0xc000,                                                                 \
		.tx_regs = 0xe000,                                                                 \
		.queue_stride = 0x40,                                                              \
		.eerd_done = EERD_DONE,                                                            \
		.eerd_addr = EERD_ADDR,                                                            \
		.tctl = TCTL_E1000 | TCTL_PSP,                                                     \
		.ctrl = CTRL_SLU | CTRL_ASDE,                                                      \
		.nr_mta = 128,                                                                     \
		.irqs_best = DEV_IRQ_MSIX,                                                         \
		.has_express = true,                                                               \
		.start_phy = start_phy,                                                            \
		.configure = configure,                                                            \
		.configure_queue = configure_queue,                                                \
		.irqs_on = (irqs_on_fn),                                                           \
		.irqs_off = irqs_off,                                                              \
		.raise = raise,                                                                    \
		.other_causes = other_causes,                                                      \
	}

static const struct intel_family family_82576 = IGB_FAMILY(irqs_on_82576);
static const struct intel_family family_i350 = IGB_FAMILY(irqs_on_i350);

static const struct card {
	const struct intel_family *family;
	uint16_t device;
	uint32_t nr_queues;
} cards[] = {
	{&family_82576, 0x10c9, 16},
	{&family_i350, 0x1521, 8}, /* I350 */
	{&family_i350, 0x1533, 4}, /* I210 */
	{&family_i350, 0x157b, 4}, /* I210 without flash */
};

static enum hv_err attach(struct pci_device *dev)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(cards); i++)
		if (cards[i].device == dev->device)
			return intel_nic_attach(dev, cards[i].family, cards[i].nr_queues,
						INTEL_MTU_MAX);
	return HV_ENOTSUP;
}

static const struct pci_match matches[] = {
	{0x8086, 0x10c9},
	{0x8086, 0x1521},
	{0x8086, 0x1533},
	{0x8086, 0x157b},
};

const struct pci_driver igb_driver = {
	.name = "igb",
	.base_class = PCI_CLASS_NETWORK,
	.devices = "Intel 82576, I210 and I350",
	.matches = matches,
	.nr_matches = ARRAY_SIZE(matches),
	.attach = attach,
};
