/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI as a driver sees it, [VIRTIO] "Virtio Over PCI Bus": the modern interface only
 * (version 1.0 and later). A driver of one kind of device (disk, network card) embeds struct
 * virtio_dev and goes, at boot and after each reset, through the steps of [VIRTIO] "Device
 * Initialization":
 *
 *    open ─► negotiate ─► (config) ─► alloc_ring ─► connect ─► enable_ring … ─► driver_ok
 *                ▲                                                  ▲
 *                └──────────── reset ─► done() ─────────────────────┘  (the same features, rings)
 *
 * Rings are the driver's to lock. A device that was pulled out reads all ones, or nothing in its
 * configuration space; it is_gone from then on and left alone.
 */
#ifndef DRIVERS_VIRTIO_PCI_HW_H
#define DRIVERS_VIRTIO_PCI_HW_H

#include "drivers/dev_irqs.h"
#include "drivers/virtio_caps.h"
#include "drivers/virtio_queue.h"
#include "kernel/memory.h"
#include "kernel/time.h"

#define VIRTIO_PCI_VENDOR    0x1af4u
#define VIRTIO_PCI_OLD_NET   0x1000u /* transitional devices */
#define VIRTIO_PCI_OLD_BLOCK 0x1001u
#define VIRTIO_PCI_NET	     0x1041u /* 0x1040 and the device type */
#define VIRTIO_PCI_BLOCK     0x1042u

/* [VIRTIO] "Reserved Feature Bits" */
#define VIRTIO_F_INDIRECT_DESC	 BIT(28)
#define VIRTIO_F_EVENT_IDX	 BIT(29)
#define VIRTIO_F_VERSION_1	 BIT(32)
#define VIRTIO_F_ACCESS_PLATFORM BIT(33)
#define VIRTIO_F_ORDER_PLATFORM	 BIT(36)

#define VIRTIO_LINES_MAX (DEV_IRQS_MAX - 1)
#define VIRTIO_NO_LINE	 0xffffffffu /* a ring that never interrupts */

struct virtio_dev;

struct virtio_dev_ops { /* in the interrupt handler, under no lock; a spurious call is normal */
	void (*line)(struct virtio_dev *dev, uint32_t line);
	void (*config_changed)(struct virtio_dev *dev); /* or the device wants to be reset */
};

struct virtio_line {
	struct virtio_dev *dev;
	uint32_t index;
};

struct virtio_dev {
	const struct virtio_dev_ops *ops;
	struct pci_device *pci;
	char location[16];
	uint64_t features; /* agreed on */
	bool is_gone;

	volatile uint8_t *parts[VIRTIO_PARTS];
	struct virtio_caps caps;
	struct dev_irqs irqs;
	struct virtio_line lines[VIRTIO_LINES_MAX + 1]; /* the last is for the configuration */
	uint32_t nr_lines;
	uint32_t config_interrupts; /* INTx: seen in ISR, not yet told */

	struct timer reset_timer;
	uint64_t reset_deadline_ns;
	void (*reset_done)(struct virtio_dev *dev, enum hv_err err);
};

struct virtio_ring {
	struct virtq q;
	hpa_t memory; /* HPA_NONE: not taken */
	unsigned order;
	uint16_t index;
	struct virtq_shape shape;
	volatile uint16_t *notify;
};

/*
 * virtio_dev_open - map the registers, reset it, and tell it that there is a driver
 *
 * dev      zeroed, kept; ops set by the caller
 * Errors:  HV_ENOTSUP - it has the legacy interface only; said in the log. HV_EPROTO - capabilities
 *          that cannot be. HV_EIO - it does not come out of its reset.
 * Context: attach().
 */
MUST_CHECK enum hv_err virtio_dev_open(struct virtio_dev *dev, struct pci_device *pci);

/* virtio_dev_offers - all features that it has */
uint64_t virtio_dev_offers(struct virtio_dev *dev);

/*
 * virtio_dev_negotiate - agree on those of the wanted features that it offers, and the ring's
 *
 * Errors:  HV_ENOTSUP - it is not of version 1, or does not go with this choice.
 */
MUST_CHECK enum hv_err virtio_dev_negotiate(struct virtio_dev *dev, uint64_t wanted);

/* The configuration of its kind: values of 1, 2, 4 and 8 bytes, and of the same moment inside
 * virtio_dev_config(). What lies outside of it, or is gone, reads all ones. */
uint64_t virtio_dev_config(struct virtio_dev *dev, uint32_t offset, uint32_t size);

/*
 * virtio_dev_alloc_ring - memory for a queue of as many entries as the device has, at most
 * VIRTQ_SIZE_MAX
 *
 * table_max, nr_tables   as in struct virtq_shape; indirect tables are left out where the device
 *                        cannot have them, and made no longer than the queue
 * Errors:  HV_ENOENT - it has no such queue; HV_ENOMEM.
 */
MUST_CHECK enum hv_err virtio_dev_alloc_ring(struct virtio_dev *dev, struct virtio_ring *ring,
					     uint16_t index, uint16_t table_max,
					     uint16_t nr_tables);
void virtio_dev_free_ring(struct virtio_ring *ring);

/* virtio_dev_connect - interrupts for so many lines, and the configuration. As dev_irqs_connect().
 */
MUST_CHECK enum hv_err virtio_dev_connect(struct virtio_dev *dev, uint32_t nr_lines);

/* virtio_dev_enable_ring - empty it, and give it to the device. HV_EIO: it does not take it. */
MUST_CHECK enum hv_err virtio_dev_enable_ring(struct virtio_dev *dev, struct virtio_ring *ring,
					      uint32_t line);

/* virtio_dev_ok - interrupts of the configuration on, and go. HV_EIO: it wants a reset instead. */
MUST_CHECK enum hv_err virtio_dev_ok(struct virtio_dev *dev);

/* virtio_dev_kick - there is something new in a ring, if virtq_show() says that it wants to know */
static inline void virtio_dev_kick(struct virtio_ring *ring)
{
	if (virtq_show(&ring->q))
		*ring->notify = ring->index;
}

/* virtio_dev_close - reset it; memory that it was given may be freed, interrupts are ignored. In
 * attach(). */
void virtio_dev_close(struct virtio_dev *dev);

/* virtio_dev_abandon - no DMA and no interrupts any more, whatever it does. Any context. */
void virtio_dev_abandon(struct virtio_dev *dev);

/*
 * For one that is to be taken out: virtio_dev_leave - begin its last reset; virtio_dev_has_left -
 * whether that is over, or it is gone. virtio_dev_release - its power is off: when this returns, no
 * interrupt comes from it any more, no CPU is in a handler of its, and no timer of a reset is set.
 * Boot CPU.
 */
void virtio_dev_leave(struct virtio_dev *dev);
bool virtio_dev_has_left(struct virtio_dev *dev);
void virtio_dev_release(struct virtio_dev *dev);

/* virtio_dev_look - whether it is there and well. HV_ENOENT: gone. HV_EIO: it wants a reset. */
enum hv_err virtio_dev_look(struct virtio_dev *dev);

/*
 * virtio_dev_reset - end all DMA, and begin anew
 *
 * done     once, perhaps before this returns: HV_OK: it has been reset, knows us again, and has the
 *          same features; what follows is virtio_dev_enable_ring(). HV_ENOENT: it is gone. HV_EIO:
 *          it does not come out of its reset, or has changed; it is to be abandoned.
 * Context: any CPU; goes on by timers there.
 */
void virtio_dev_reset(struct virtio_dev *dev,
		      void (*done)(struct virtio_dev *dev, enum hv_err err));

#endif
