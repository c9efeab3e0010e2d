/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every network card offers to the layer above, whatever its hardware.
 *
 * A driver makes a struct nic and adds it; whoever wants its frames sets received and receiver and
 * starts it. received() runs in the interrupt handler, on the CPU that the interrupt is routed to,
 * under no lock of the driver's, so it may send. NICs stay for ever.
 */
#ifndef DRIVERS_NIC_H
#define DRIVERS_NIC_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define NIC_MAX 4u

struct nic;

struct nic_ops {
	const char *driver;
	/* Frames of any destination and interrupts, from now on. Once. */
	void (*start)(struct nic *nic);
	/* Copies the frame. False: no room, or too long. Any CPU; takes the driver's lock. */
	bool (*send)(struct nic *nic, const void *frame, size_t len_bytes);
};

struct nic_counters { /* each written under one lock or on one CPU; only grow */
	uint64_t rx_bytes, rx_packets, rx_dropped; /* dropped: errors, or longer than a buffer */
	uint64_t tx_bytes, tx_packets, tx_dropped; /* dropped: the ring was full */
};

struct nic {
	const struct nic_ops *ops;
	char location[16]; /* "00:03.0" */
	uint8_t mac[6];
	bool is_link_up;     /* changed by the interrupt handler, with speed_mbps */
	uint32_t speed_mbps; /* 0 without a link */
	struct nic_counters counters;

	/* A frame from the wire, borrowed; len_bytes is 14 or more. */
	void (*received)(struct nic *nic, const void *frame, size_t len_bytes);
	void *receiver;
};

/* nic_add - keep it in the list, which has room: nic_count() is below NIC_MAX. Boot CPU. */
void nic_add(struct nic *nic);
uint32_t nic_count(void);
struct nic *nic_at(uint32_t index); /* below nic_count() */

#endif
