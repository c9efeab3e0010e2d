/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings of an xHCI host controller. Pure: memory only; who rings the doorbells calls this.
 *
 * A producer's ring holds commands, or the transfers of one endpoint, of which one is out at a
 * time. The TRBs of a transfer lie beside each other: where it does not fit before the end of the
 * ring, the link back to the beginning comes earlier.
 *
 *     [ x x x x x x x L - - ]       L  link: on to the first one, and the cycle bit turns over
 *           ▲     ▲                 -  not used in this lap, but marked as if, or the next lap
 *         first  last                  would take what it left there for new
 *
 * What the controller writes, into the event ring, is read once and checked: an event of no
 * transfer that is out is none of ours.
 *
 * Locking: the caller's.
 *
 * Source: [xHCI] "TRB Ring", "Event Ring Management", "Transfer Descriptors".
 */
#ifndef DRIVERS_XHCI_RING_H
#define DRIVERS_XHCI_RING_H

#include "drivers/usb.h"
#include "drivers/xhci_regs.h"

#define XHCI_RING_TRBS	256u
#define XHCI_RING_BYTES (XHCI_RING_TRBS * sizeof(struct xhci_trb))
#define XHCI_TD_MAX	(2 * BLOCK_SEGS_MAX) /* TRBs of one transfer */

struct xhci_ring {
	volatile struct xhci_trb *trbs;
	uint64_t hpa;
	uint32_t at; /* where the next one goes */
	bool cycle;
	bool is_out; /* a transfer, from first to last */
	uint32_t first, last;
	uint32_t moved; /* of its data stage, when that was short; else UINT32_MAX */
	uint32_t lens[XHCI_RING_TRBS];
};

/* xhci_ring_init - empty; trbs: XHCI_RING_BYTES, aligned to that; they are zeroed */
void xhci_ring_init(struct xhci_ring *ring, void *trbs, uint64_t hpa);

/* xhci_ring_dequeue - where the controller is to go on, with the cycle bit as it wants it */
uint64_t xhci_ring_dequeue(const struct xhci_ring *ring);

/* xhci_ring_command - a command, with its cycle bit; returns its address, by which it ends */
uint64_t xhci_ring_command(struct xhci_ring *ring, const struct xhci_trb *command);

/* xhci_ring_control - a control transfer, whose data lies at data_hpa */
void xhci_ring_control(struct xhci_ring *ring, const struct usb_setup *setup, uint64_t data_hpa);

/*
 * xhci_ring_bulk - a bulk transfer
 *
 * segs        XHCI_TD_MAX / 2 at most, each of at most 64 KiB and so in two pieces at most: no TRB
 *             may cross a boundary of 64 KiB
 * max_packet  of the endpoint
 */
void xhci_ring_bulk(struct xhci_ring *ring, const struct block_seg *segs, uint32_t nr_segs,
		    uint16_t max_packet, bool is_in);

/* xhci_ring_forget - the transfer that is out will not be waited for */
void xhci_ring_forget(struct xhci_ring *ring);

enum xhci_event_kind { XHCI_EVENT_OTHER, XHCI_EVENT_TRANSFER, XHCI_EVENT_COMMAND, XHCI_EVENT_PORT };

struct xhci_event {
	enum xhci_event_kind kind;
	uint64_t trb;  /* which one ended */
	uint32_t left; /* bytes of it that were not moved */
	uint8_t code, slot, endpoint, port;
};

struct xhci_events {
	volatile struct xhci_trb *trbs; /* XHCI_RING_TRBS */
	uint64_t hpa;
	uint32_t at;
	bool cycle;
};

/* xhci_events_init - empty; as xhci_ring_init() */
void xhci_events_init(struct xhci_events *events, void *trbs, uint64_t hpa);

/* xhci_events_next - the next one; false: there is none yet */
bool xhci_events_next(struct xhci_events *events, struct xhci_event *out);

/* xhci_events_dequeue - the address of the next one, for the controller */
uint64_t xhci_events_dequeue(const struct xhci_events *events);

/*
 * xhci_ring_ended - whether an event ends the ring's transfer, which is not out any more then
 *
 * end, moved  filled if so: how, and how many bytes of data were moved, of no more than there were
 */
bool xhci_ring_ended(struct xhci_ring *ring, const struct xhci_event *event, enum usb_end *end,
		     uint32_t *moved);

#endif
