/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the xHCI driver share. xhci_hw.c has the controller: finding it, its start, its
 * interrupt and its timer; xhci_port_hw.c what is connected to its ports; xhci_step_hw.c takes the
 * steps that drivers/usb_stick.c says; xhci_block_hw.c passes on what came of them to the disks.
 *
 *     interrupt, timer, poll ─► xhci_process() ─► events ─► xhci_step_ended() ─► usb_stick_next()
 *                                 under the lock                                  │
 *               xhci_deliver() ◄── due ◄── news ◄── xhci_go_on() ◄── next step ◄──┘
 *               under no lock
 *
 * One lock for all of a controller. What a device wants of the world (a disk that is there, resets,
 * is gone; requests that ended) is noted under it and done when it is released, by one CPU at a
 * time, so that it stays in order.
 */
#ifndef DRIVERS_XHCI_PRIV_H
#define DRIVERS_XHCI_PRIV_H

#include "drivers/dev_irqs.h"
#include "drivers/usb_stick.h"
#include "drivers/xhci_caps.h"
#include "drivers/xhci_context.h"
#include "drivers/xhci_ring.h"
#include "kernel/lib/lock.h"
#include "kernel/memory.h"
#include "kernel/time.h"

#define XHCI_DEVICES_MAX 16u /* of one controller */
#define XHCI_SCRIPT_MAX	 4u
#define XHCI_DEV_ORDER	 3 /* pages of a device: as below, and two to spare */
#define XHCI_COMMAND_NS	 (10 * NSEC_PER_SEC)

enum xhci_dev_page {
	XHCI_PAGE_INPUT,
	XHCI_PAGE_OUTPUT,
	XHCI_PAGE_DATA,
	XHCI_PAGE_RING0,
	XHCI_PAGE_RING_IN,
	XHCI_PAGE_RING_OUT,
};

struct xhci;

struct xhci_dev {
	struct xhci *x;
	uint32_t index; /* among the controller's */
	uint8_t port;
	hpa_t pages; /* HPA_NONE: given back */
	struct block_dev block;

	/* under the controller's lock */
	struct usb_stick usb;
	uint64_t deadline_ns; /* of the step; 0: none */
	uint64_t bring_up_ns; /* of all until it is settled */
	bool waits_turn;      /* for its port's reset, until no other has address 0 */
	uint8_t slot;	      /* 0: none */
	bool has_endpoints;
	struct xhci_ring ring0, in, out;
	struct xhci_ring *busy; /* the one with the step's transfer */
	struct xhci_trb script[XHCI_SCRIPT_MAX];
	uint32_t nr_script, script_at;
	uint64_t command; /* the one that is out; 0: none */
	uint64_t command_ns;
	bool is_replaced;  /* by another step, while that command is out */
	bool is_disk;	   /* block_add() was called */
	bool is_kept;	   /* somebody holds the disk, for ever */
	uint32_t due;	   /* USB_NEWS_* */
	struct list batch; /* requests that ended */
};

struct xhci {
	/* fixed after attach() */
	struct pci_device *dev;
	uint32_t index;
	char location[16];
	volatile uint8_t *registers;
	struct xhci_caps caps;
	hpa_t memory, scratch; /* HPA_NONE: not taken */
	struct dev_irqs irqs;
	struct timer timer;

	struct lock lock; /* all below */
	bool is_gone, is_delivering, is_full;
	bool ports_due; /* they are to be looked at */
	struct xhci_ring commands;
	struct xhci_events events;
	struct xhci_dev *devs[XHCI_DEVICES_MAX];
	struct xhci_dev *ports[XHCI_PORTS_MAX + 1];
	struct xhci_dev *at_default; /* from its port's reset until it has an address */
};

static inline volatile uint32_t *xhci_reg(const struct xhci *x, uint32_t offset)
{
	return (volatile uint32_t *)(x->registers + offset);
}

static inline volatile uint32_t *xhci_op(const struct xhci *x, uint32_t reg)
{
	return xhci_reg(x, x->caps.operational + reg);
}

static inline volatile uint32_t *xhci_portsc(const struct xhci *x, uint32_t port)
{
	return xhci_op(x, XHCI_PORTS + XHCI_PORT_BYTES * (port - 1));
}

static inline void xhci_write64(volatile uint32_t *reg, uint64_t val)
{
	reg[0] = (uint32_t)val;
	reg[1] = (uint32_t)(val >> 32);
}

static inline void *xhci_page(const struct xhci_dev *dev, enum xhci_dev_page page)
{
	return hva_of(dev->pages + page * PAGE_SIZE);
}

/* ---- xhci_hw.c ---- */

/* xhci_fits - whether the controller can address it */
bool xhci_fits(const struct xhci *x, uint64_t hpa, uint64_t len_bytes);

/* xhci_process - look at events and ports; returns how many requests ended. Under the lock. */
uint32_t xhci_process(struct xhci *x);

/* xhci_give_up - no DMA any more, all its disks are gone; under the lock */
void xhci_give_up(struct xhci *x, const char *why);

/* xhci_doorbell - 0 is the command ring's; of a device's slot: the endpoint's id */
void xhci_doorbell(struct xhci *x, uint8_t slot, uint32_t target);

/* xhci_set_device - tell the controller where a slot's context is; 0: nowhere */
void xhci_set_device(struct xhci *x, uint8_t slot, uint64_t hpa);

/* ---- xhci_port_hw.c; all under the lock ---- */

/* xhci_power_ports - switch them on; xhci_count_connections - in how many of them something is */
void xhci_power_ports(struct xhci *x);
uint32_t xhci_count_connections(const struct xhci *x);

/* xhci_look_at_ports - whatever has changed */
void xhci_look_at_ports(struct xhci *x);

/* xhci_reset_port - begin */
void xhci_reset_port(struct xhci_dev *dev);

/* ---- xhci_step_hw.c; all under the lock ---- */

/* xhci_go_on - take the step that dev->usb wants now */
void xhci_go_on(struct xhci_dev *dev);
/* xhci_step_ended - so; and on with the next */
void xhci_step_ended(struct xhci_dev *dev, enum usb_end end, uint32_t moved);
/* xhci_drop - as usb_stick_drop() */
void xhci_drop(struct xhci_dev *dev, enum usb_drop why);
/* xhci_take_event - of a transfer or a command */
void xhci_take_event(struct xhci *x, const struct xhci_event *event);
/* xhci_check_deadlines - end what takes too long, and what only had to wait */
void xhci_check_deadlines(struct xhci *x);

/* ---- xhci_block_hw.c ---- */

/* xhci_collect - the news of a device become what is due; returns how many requests ended. Under
 * the lock. */
uint32_t xhci_collect(struct xhci_dev *dev);

/* xhci_deliver - do what is due; under no lock */
void xhci_deliver(struct xhci *x);

/* xhci_reap - give back what is gone. Boot CPU, under no lock. */
void xhci_reap(struct xhci *x);

#endif
