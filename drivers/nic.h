/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every network card offers to the layer above, whatever its hardware.
 *
 * A driver makes a struct nic and adds it; whoever wants its frames sets received, link_changed and
 * receiver and starts it. received() runs in the interrupt handler, on the CPU that the queue's
 * interrupt is routed to, several queues at once. The driver may hold the receive queue's lock
 * then, which send() never takes; so received() may send. link_changed() is called under no lock of
 * the driver's. One that was pulled out has no link and drops what it is given; it stays in the
 * list unless its driver can be told that its slot is empty.
 */
#ifndef DRIVERS_NIC_H
#define DRIVERS_NIC_H

#include "drivers/offload.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define NIC_MAX	       8u
#define NIC_QUEUES_MAX 8u
#define NIC_MTU	       1500u
#define NIC_MTU_JUMBO  9000u

/* nic->features: what a card does by itself to a frame that it sends, or looks at in one received
 */
#define NIC_TX_CSUM BIT(0) /* needs_csum */
#define NIC_TX_TSO4 BIT(1)
#define NIC_TX_TSO6 BIT(2)
#define NIC_RX_CSUM BIT(3) /* says is_csum_valid */

struct nic;

struct nic_ops {
	const char *driver;
	/* Frames of any destination, of up to mtu bytes of payload behind the Ethernet header and a
	 * VLAN tag; mtu is NIC_MTU to nic->mtu_max. Returns at once, and there is no link until it
	 * has started. Boot CPU, once. HV_ENOMEM. */
	enum hv_err (*start)(struct nic *nic, uint32_t mtu);
	/*
	 * Copies the frame. offload is NULL, or passed offload_check() and asks only for what
	 * nic->features has. False: no room, or too long. Any CPU; takes the driver's lock.
	 */
	bool (*send)(struct nic *nic, const void *frame, size_t len_bytes,
		     const struct frame_offload *offload);
};

struct nic_counters { /* each written under one lock or on one CPU; only grow */
	uint64_t rx_bytes, rx_packets, rx_dropped; /* dropped: errors, or longer than a buffer */
	uint64_t tx_bytes, tx_packets, tx_dropped; /* dropped: the ring was full */
	uint64_t link_changes;
};

struct nic {
	const struct nic_ops *ops;
	char location[16]; /* "00:03.0" */
	uint8_t mac[6];
	uint32_t features;
	uint32_t mtu_max; /* NIC_MTU or more */
	uint32_t nr_rx_queues, nr_tx_queues;
	bool is_link_up;     /* changed by the interrupt handler, with speed_mbps */
	bool is_gone;	     /* pulled out */
	uint32_t speed_mbps; /* 0 without a link, and where the card does not say */
	struct nic_counters counters;

	/* A frame from the wire, borrowed; len_bytes is 14 or more; offload may be NULL. */
	void (*received)(struct nic *nic, const void *frame, size_t len_bytes,
			 const struct frame_offload *offload);
	void (*link_changed)(
		struct nic *nic); /* is_link_up has; in the interrupt handler; may be NULL */
	void *receiver;
};

/* nic_add - keep it in the list, where nic_has_room(). Boot CPU, as nic_remove(). */
void nic_add(struct nic *nic);
bool nic_has_room(void); /* there is when nic_count() is below NIC_MAX */

/* nic_remove - is_gone is set, and the driver takes no frames: it leaves the list, and whoever
 * watches lets go of it. A CPU that is inside of it may still be. */
void nic_remove(struct nic *nic);

/* nic_watch - call fn, on the boot CPU, for each that is added or was removed from now on. One
 * watcher. index is its place in the list. */
void nic_watch(void (*fn)(struct nic *nic, uint32_t index, bool is_there));

/* In the order they were added. The count does not become less; NULL: that one was removed, and
 * another may take its place. A pointer is good until the caller returns to the guest or to idling.
 */
uint32_t nic_count(void);
struct nic *nic_at(uint32_t index); /* below nic_count() */

#endif
