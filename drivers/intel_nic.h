/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Intel's gigabit cards have in common, from the 82540 to the I350: registers, queues of two
 * rings, a reset in steps, a watch over hangs and removal. What a family does in its own way is a
 * struct intel_family.
 *
 *     attach:  quiesce ─► reset ─► link ─► PHY ─► address, memory, interrupts   (waits in between)
 *     start:   configure ─► go                                            (a timer in between)
 *     a hang:  quiesce ─► reset ─► link ─► PHY ─► configure ─► go         (a timer in between)
 *
 * Receiving happens in interrupt handlers under the queue's rx_lock, from which the switch may call
 * send(); sending takes a tx_lock and nothing inside it. So rx_lock comes before the switch's lock,
 * and tx_lock is a driver's.
 */
#ifndef DRIVERS_INTEL_NIC_H
#define DRIVERS_INTEL_NIC_H

#include "drivers/dev_irqs.h"
#include "drivers/drivers.h"
#include "drivers/intel_rx.h"
#include "drivers/intel_tx.h"
#include "drivers/nic.h"
#include "kernel/lib/lock.h"
#include "kernel/memory.h"
#include "kernel/time.h"

/* [E1000] "Register Descriptions"; in all families */
#define REG_CTRL     0x0000u
#define REG_STATUS   0x0008u
#define REG_EERD     0x0014u
#define REG_CTRL_EXT 0x0018u
#define REG_ICR	     0x00c0u
#define REG_ITR	     0x00c4u
#define REG_ICS	     0x00c8u
#define REG_IMS	     0x00d0u
#define REG_IMC	     0x00d8u
#define REG_RCTL     0x0100u
#define REG_TCTL     0x0400u
#define REG_TIPG     0x0410u
#define REG_PBA	     0x1000u
#define REG_RXCSUM   0x5000u
#define REG_RLPML    0x5004u
#define REG_RFCTL    0x5008u
#define REG_MTA	     0x5200u
#define REG_RAL0     0x5400u
#define REG_RAH0     0x5404u
#define REG_MRQC     0x5818u /* with the next two: RSS, where there are several queues */
#define REG_RETA     0x5c00u
#define REG_RSSRK    0x5c80u

/* of a queue, from the family's rx_regs or tx_regs and its stride */
#define RING_BAL  0x00u
#define RING_BAH  0x04u
#define RING_LEN  0x08u
#define RING_HEAD 0x10u
#define RING_TAIL 0x18u
#define RING_CTL  0x28u /* RXDCTL, TXDCTL */

#define CTRL_MASTER_DISABLE BIT(2) /* PCI Express only: LRST of older cards is bit 3 */
#define CTRL_LRST	    BIT(3)
#define CTRL_ASDE	    BIT(5) /* speed as the PHY found it */
#define CTRL_SLU	    BIT(6) /* set link up */
#define CTRL_ILOS	    BIT(7)
#define CTRL_RST	    BIT(26)
#define CTRL_PHY_RST	    BIT(31)

#define CTRL_EXT_DRV_LOAD BIT(28) /* tells the card's firmware that there is a driver */

#define INT_LSC	   0x00000004u /* link status change */
#define INT_RXDMT0 0x00000010u /* few receive descriptors left */
#define INT_RXO	   0x00000040u /* receiver overrun */
#define INT_RXT0   0x00000080u /* frames were received */
#define INT_USED   (INT_LSC | INT_RXDMT0 | INT_RXO | INT_RXT0)

#define TCTL_EN	     BIT(1)
#define TCTL_PSP     BIT(3)
#define TCTL_CT_15   (0x0full << 4)
#define TCTL_COLD_FD (0x40ull << 12)
#define TCTL_E1000   (TCTL_EN | TCTL_CT_15 | TCTL_COLD_FD)

#define RXCSUM_IPOFL BIT(8)
#define RXCSUM_TUOFL BIT(9)
#define RXCSUM_PCSD  BIT(13) /* RSS's hash where the sum would be */

#define RING_CTL_ENABLE BIT(25) /* igb's queues; reserved elsewhere */

#define INTEL_MTU_MAX 9000u
#define ITR_50_US     195u /* in units of 256 ns: at most 20,000 interrupts a second */

struct intel_nic;

struct intel_queue {
	struct intel_nic *card;
	uint32_t index;
	hpa_t rx_descs, rx_buffers, rx_whole, tx_descs, tx_buffers; /* HPA_NONE: not taken */

	struct lock rx_lock;
	struct intel_rx_ring rx;
	bool is_receiving;

	struct lock tx_lock;
	struct intel_tx_ring tx;
	bool is_sending;
};

struct intel_family {
	const struct nic_ops *ops;
	enum intel_rx_format rx_format;
	enum intel_tx_format tx_format;
	uint32_t features; /* NIC_* */
	uint32_t rx_regs, tx_regs, queue_stride;
	uint32_t eerd_done, eerd_addr; /* bits of EERD */
	uint32_t tctl;		       /* that sends */
	uint32_t ctrl;		       /* bits of CTRL that let the link come up */
	enum dev_irq_kind irqs_best;
	uint32_t nr_mta;  /* words of the multicast table */
	bool has_express; /* PCI Express: bus mastering is stopped before a reset */

	/* At boot before the first reset, and may take long; NULL: nothing. */
	enum hv_err (*prepare)(struct intel_nic *card);
	/* No queue is used any more, bus mastering is on; NULL: nothing. In a millisecond at most,
	 * as all that follows. */
	void (*before_reset)(struct intel_nic *card);
	/* HV_EBUSY: it is to be called again a little later. NULL: CTRL.RST. */
	enum hv_err (*reset)(struct intel_nic *card);
	/* Behind a reset, so that the link comes up; NULL: it does so by itself. HV_EBUSY as
	 * of reset. */
	enum hv_err (*start_phy)(struct intel_nic *card);
	/* Everything but rings, RCTL, TCTL and interrupts. */
	void (*configure)(struct intel_nic *card);
	/* What a queue wants beside its rings' addresses, and what enables it; NULL: nothing. */
	void (*configure_queue)(struct intel_queue *queue);
	/* A link has come up, or has another speed now, under link_lock; HV_EBUSY: there is no link
	 * until it has been called again. NULL: nothing. */
	enum hv_err (*tune_link)(struct intel_nic *card, uint32_t speed_mbps);
	void (*irqs_on)(struct intel_nic *card); /* card->irqs is connected */
	void (*irqs_off)(struct intel_nic *card);
	/* An interrupt of this queue by software. */
	void (*raise)(struct intel_queue *queue);
	/* With MSI-X: in the queue's handler, when it has been looked at; may be NULL. */
	void (*queue_done)(struct intel_queue *queue);
	/* With MSI-X: in the last handler; the causes that are no queue's, ~0 when it is gone. */
	uint32_t (*other_causes)(struct intel_nic *card);
};

struct intel_nic {
	struct nic nic;
	const struct intel_family *family;
	struct pci_device *dev;
	volatile uint32_t *registers;
	struct dev_irqs irqs;
	uint32_t nr_queues, mtu;
	struct intel_queue queues[NIC_QUEUES_MAX];

	struct lock link_lock; /* for nic.is_link_up, nic.speed_mbps, ... */
	uint32_t tuned_mbps;   /* ... and what tune_link() did; 0: nothing */

	struct timer timer; /* the boot CPU's, with what follows */
	uint32_t step;	    /* of a reset; NR_STEPS: none is going on */
	uint32_t nr_tries, nr_resets, nr_lost_irqs;
	bool is_started; /* went through all the steps once */
};

#define INTEL_GONE (~0u) /* what registers that never have it read as when there is no card */

static inline uint32_t intel_read(const struct intel_nic *card, uint32_t reg)
{
	return card->registers[reg / 4];
}

static inline void intel_write(struct intel_nic *card, uint32_t reg, uint64_t val)
{
	card->registers[reg / 4] = (uint32_t)val;
}

/* The address of a queue's register; base is the family's rx_regs or tx_regs. */
static inline uint32_t intel_ring_reg(const struct intel_queue *queue, uint32_t base, uint32_t reg)
{
	return base + queue->index * queue->card->family->queue_stride + reg;
}

static inline void intel_count(uint64_t *counter, uint64_t by)
{
	__atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/*
 * intel_nic_attach - bring up a card of a family; what pci_driver.attach() does
 *
 * queues_max  receive and send queues that the card has; it gets one for each CPU at most
 */
MUST_CHECK enum hv_err intel_nic_attach(struct pci_device *dev, const struct intel_family *family,
					uint32_t queues_max, uint32_t mtu_max);

/* A family's nic_ops */
enum hv_err intel_nic_start(struct nic *nic, uint32_t mtu);
bool intel_nic_send(struct nic *nic, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload);

/* A family's interrupts, where all come by one line or message */
void intel_nic_irqs_on(struct intel_nic *card);
void intel_nic_irqs_off(struct intel_nic *card);
void intel_nic_raise(struct intel_queue *queue);

/* intel_nic_spread_flows - by their RSS hash over all queues; rss is how MRQC has that called, and
 * an entry of RETA has the queue's number from bit shift on */
void intel_nic_spread_flows(struct intel_nic *card, uint32_t rss, uint32_t shift);

/* intel_nic_vector - the index of the message that handler i's interrupts are sent by */
uint32_t intel_nic_vector(const struct intel_nic *card, uint32_t handler);

/* What is seen of a card: under no lock, as they call link_changed(). */
void intel_nic_mark_gone(struct intel_nic *card);
void intel_nic_look_at_link(struct intel_nic *card);
void intel_nic_look_at_rings(
	struct intel_nic *card); /* once a second, for interrupts that got lost */
void intel_nic_log_link(const struct intel_nic *card);

/*
 * intel_reset_at_boot - from any state to one whose address can be read; spins
 *
 * Errors: HV_EIO - the reset does not end.
 */
MUST_CHECK enum hv_err intel_reset_at_boot(struct intel_nic *card);

/* intel_reset_start - bring it to send and receive, from a timer, and watch it. Boot CPU, once. */
void intel_reset_start(struct intel_nic *card);

#endif
