/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port of the node's switch: the uplink's NIC, the agent, or a guest's virtio-net.
 *
 * Frames are Ethernet without FCS, 14 to NET_FRAME_MAX bytes, borrowed until the call returns.
 * deliver() may run on any CPU, under the switch's lock; it takes its own queue's lock at most,
 * never vm->lock, and never sends.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include "drivers/offload.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define NET_FRAME_MIN 14u
#define NET_FRAME_MAX 1518u /* 1500 of payload, Ethernet header and one VLAN tag */

enum net_port_kind { NET_PORT_UPLINK, NET_PORT_AGENT, NET_PORT_GUEST };

struct net_counters { /* seen from the port's owner; only grow */
	uint64_t rx_bytes, rx_packets, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_dropped;
};

struct net_port {
	const char *name;
	enum net_port_kind kind;
	uint32_t network; /* tenant network; 0 is the node's own, which the uplink is in */
	uint8_t mac[6];	  /* a guest may send from this address only */
	void *owner;
	/* A frame for the owner. False: no room, count it as dropped. */
	bool (*deliver)(struct net_port *port, const void *frame, size_t len_bytes,
			const struct frame_offload *offload);
	struct net_counters counters;
	int32_t slot; /* the switch's; -1 when not attached */
};

/* ---- the switch (net/switch.c) ---- */

MUST_CHECK enum hv_err net_attach(struct net_port *port); /* HV_ENOMEM: all slots taken */
void net_detach(struct net_port *port); /* when it returns no deliver() is running or will run */

/* A frame from the owner. False when it was dropped (short, long, foreign source address, no room).
 */
bool net_send(struct net_port *port, const void *frame, size_t len_bytes,
	      const struct frame_offload *offload);

#endif
