/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port of the node's switch: the uplink's NIC, the agent, or a guest's virtio-net.
 *
 * Frames are Ethernet without FCS, borrowed until the call returns: 14 bytes to the port's MTU
 * behind an Ethernet header, and a VLAN tag where there is one. With an offload, which has passed
 * offload_check(), a frame may be a TCP segment that becomes several of them. deliver() may run on
 * any CPU, under the switch's lock; it takes its own queue's lock at most, never vm->lock, and
 * never sends.
 *
 * A receiver gets as it is what its port takes; the switch finishes the rest for it. Counters count
 * what a wire would carry: a large segment counts as the frames that it becomes, each with headers
 * of its own, whether or not anybody ever cuts it, so that what a guest pays for does not depend on
 * where its peer is or on what a card can do. A frame longer than the receiving port's MTU is
 * dropped, and counted at the receiver.
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#include "drivers/offload.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define NET_MTU_MIN	 1500u
#define NET_MTU_MAX	 9000u
#define NET_FRAME_MIN	 14u
#define NET_TAG_BYTES	 4u
#define NET_FRAME_MAX	 (NET_MTU_MAX + NET_FRAME_MIN + NET_TAG_BYTES) /* finished, at any MTU */
#define NET_GSO_MIN	 48u /* least gso_size: the least segment that Linux sends */
#define NET_HEAD_BYTES	 12u /* before the frame in a buffer of net_buffer(), for the sender */
#define NET_BUFFER_BYTES (NET_HEAD_BYTES + OFFLOAD_FRAME_MAX)

/* port->offloads: what deliver() takes unfinished */
#define NET_TAKES_CSUM BIT(0) /* needs_csum */
#define NET_TAKES_TSO4 BIT(1) /* and needs_csum */
#define NET_TAKES_TSO6 BIT(2)

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
	uint32_t mtu;	  /* NET_MTU_MIN to NET_MTU_MAX; less is made NET_MTU_MIN by net_attach() */
	uint32_t offloads; /* atomic: the owner may change it, and deliver() then refuses what it
			    * does not take any more */
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

/*
 * net_change - something else is behind the port now: another owner, which takes other offloads and
 * lengths. Addresses learned there are forgotten; deliver() sees all of it or nothing.
 */
void net_change(struct net_port *port, void *owner, uint32_t offloads, uint32_t mtu);

/*
 * net_buffer - NET_BUFFER_BYTES of this CPU's, where a sender that must copy a frame makes it
 *
 * It is the caller's from taking the frame until net_send() returns: nothing interrupts that. NULL
 * before net_cpu_init().
 */
uint8_t *net_buffer(void);

/* net_cpu_init - take that buffer. Once on each CPU that runs guests. HV_ENOMEM. */
MUST_CHECK enum hv_err net_cpu_init(void);

/* net_mtu - the node's, which guests are told; fixed by net_uplink_init() */
uint32_t net_mtu(void);

#endif
