/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's switch.
 *
 *                      local address of this network ──► that guest or the agent, nobody else
 *   frame ──► checks ──► learned behind an uplink ─────► that uplink
 *                      unknown unicast ────────────────► every uplink of the network
 *                      broadcast, multicast ───────────► every other port of the network
 *
 * Every guest's and the agent's address is known when it attaches, so unknown unicast can only be
 * for stations outside: guests never see each other's. Nothing goes from one uplink to another; two
 * NICs on one wire would make a loop otherwise. What comes from a guest is checked harder than
 * what comes from outside: its own source address only, no VLAN tags (no hopping into a VLAN of the
 * provider's), and none of the addresses that steer bridges.
 */
#include "kernel/lib/bytes.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "net/mac_table.h"
#include "net/port.h"

#define SWITCH_PORTS_MAX 256u
#define LOCAL_SLOTS	 1024u /* of the hash of local addresses: never more than a quarter full */

/* [802.3] "MAC frame format", [802.1Q] "Tag formats": tag types, and the tag's VLAN identifier */
#define ETH_TYPE_VLAN	   0x8100u
#define ETH_TYPE_VLAN_OUT  0x88a8u
#define ETH_TYPE_VLAN_OLD  0x9100u
#define ETH_VLAN_ID	   0x0fffu
#define ETH_VLAN_FRAME_MIN 18u

static struct {
	struct lock lock;  /* guards all of this and every attached port's counters and slot */
	uint32_t nr_slots; /* slots at and above have no port */
	struct net_port *ports[SWITCH_PORTS_MAX];
	struct net_port *local[LOCAL_SLOTS]; /* agent and guests, open addressing by mac_hash() */
	struct mac_table learned;	     /* stations behind uplinks */
} sw;

struct header { /* of one frame, read once */
	uint8_t dst[MAC_LEN], src[MAC_LEN];
	bool is_tagged;
	uint16_t vlan;
};

static bool is_multicast(const uint8_t *mac)
{
	return mac[0] & 1;
}

static bool is_zero(const uint8_t *mac)
{
	return (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) == 0;
}

/* [802.1Q] "Reserved addresses": spanning tree, LACP, LLDP, pause. No bridge passes them on. */
static bool is_bridge_reserved(const uint8_t *mac)
{
	static const uint8_t prefix[] = {0x01, 0x80, 0xc2, 0x00, 0x00};

	return memcmp(mac, prefix, sizeof(prefix)) == 0 && mac[5] < 0x10;
}

static struct net_port *local_find(uint32_t network, const uint8_t *mac)
{
	uint32_t at = mac_hash(network, mac) % LOCAL_SLOTS;

	for (; sw.local[at]; at = (at + 1) % LOCAL_SLOTS)
		if (sw.local[at]->network == network &&
		    memcmp(sw.local[at]->mac, mac, MAC_LEN) == 0)
			return sw.local[at];
	return NULL;
}

static void local_add(struct net_port *port)
{
	uint32_t at = mac_hash(port->network, port->mac) % LOCAL_SLOTS;

	while (sw.local[at])
		at = (at + 1) % LOCAL_SLOTS;
	sw.local[at] = port;
}

/* Open addressing cannot just drop one: those that probed past it would be lost. */
static void local_rebuild(void)
{
	memset(sw.local, 0, sizeof(sw.local));
	for (uint32_t i = 0; i < sw.nr_slots; i++)
		if (sw.ports[i] && sw.ports[i]->kind != NET_PORT_UPLINK)
			local_add(sw.ports[i]);
}

static int32_t free_slot(const struct net_port *port)
{
	int32_t found = -1;

	for (uint32_t i = 0; i < SWITCH_PORTS_MAX; i++) {
		ASSERT(sw.ports[i] != port);
		if (!sw.ports[i] && found < 0)
			found = (int32_t)i;
	}
	return found;
}

static enum hv_err attach_locked(struct net_port *port)
{
	int32_t slot = free_slot(port);

	if (slot < 0)
		return HV_ENOMEM;
	if (port->kind != NET_PORT_UPLINK && local_find(port->network, port->mac))
		return HV_EEXIST;

	sw.ports[slot] = port;
	sw.nr_slots = MAX(sw.nr_slots, (uint32_t)slot + 1);
	port->slot = slot;
	if (port->kind != NET_PORT_UPLINK)
		local_add(port);
	return HV_OK;
}

enum hv_err net_attach(struct net_port *port)
{
	enum hv_err err;

	ASSERT(port->deliver);
	if (port->kind != NET_PORT_UPLINK && (is_multicast(port->mac) || is_zero(port->mac)))
		return HV_EINVAL;

	lock_take(&sw.lock);
	err = attach_locked(port);
	lock_release(&sw.lock);
	return err;
}

static bool is_attached(const struct net_port *port)
{
	return port->slot >= 0 && (uint32_t)port->slot < SWITCH_PORTS_MAX &&
	       sw.ports[port->slot] == port;
}

void net_detach(struct net_port *port)
{
	lock_take(&sw.lock);
	ASSERT(is_attached(port));
	mac_table_forget_slot(&sw.learned, port->slot);
	sw.ports[port->slot] = NULL;
	while (sw.nr_slots > 0 && !sw.ports[sw.nr_slots - 1])
		sw.nr_slots--;
	local_rebuild();
	port->slot = -1;
	lock_release(&sw.lock);
}

static void header_read(const uint8_t *frame, size_t len_bytes, struct header *out)
{
	uint16_t type;

	memcpy(out->dst, frame, MAC_LEN);
	memcpy(out->src, frame + MAC_LEN, MAC_LEN);
	type = get_be16(frame + 2 * MAC_LEN);
	out->is_tagged =
		type == ETH_TYPE_VLAN || type == ETH_TYPE_VLAN_OUT || type == ETH_TYPE_VLAN_OLD;
	out->vlan = ETH_VLAN_ID; /* a tag that was cut off is nobody's */
	if (out->is_tagged && len_bytes >= ETH_VLAN_FRAME_MIN)
		out->vlan = get_be16(frame + 14) & ETH_VLAN_ID;
}

static bool may_send(const struct net_port *from, const struct header *h)
{
	if (is_bridge_reserved(h->dst))
		return false;
	if (from->kind != NET_PORT_UPLINK)
		return !h->is_tagged && memcmp(h->src, from->mac, MAC_LEN) == 0;

	/* VLAN 0 is only a priority. A local source is a frame of ours that came back. */
	return !is_multicast(h->src) && !is_zero(h->src) && (!h->is_tagged || h->vlan == 0) &&
	       !local_find(from->network, h->src);
}

static bool hand_over(struct net_port *to, const void *frame, size_t len_bytes,
		      const struct frame_offload *offload)
{
	if (!to->deliver(to, frame, len_bytes, offload)) {
		to->counters.rx_dropped++;
		return false;
	}
	to->counters.rx_packets++;
	to->counters.rx_bytes += len_bytes;
	return true;
}

/* To each port of the network, or each uplink of it. Who has no room misses it. */
static void flood(const struct net_port *from, bool is_for_all, const void *frame, size_t len_bytes,
		  const struct frame_offload *offload)
{
	for (uint32_t i = 0; i < sw.nr_slots; i++) {
		struct net_port *to = sw.ports[i];

		if (!to || to == from || to->network != from->network)
			continue;
		if (to->kind == NET_PORT_UPLINK ? from->kind == NET_PORT_UPLINK : !is_for_all)
			continue;
		hand_over(to, frame, len_bytes, offload);
	}
}

static bool forward(struct net_port *from, const struct header *h, const void *frame,
		    size_t len_bytes, const struct frame_offload *offload)
{
	struct net_port *to;
	int32_t slot;

	if (is_multicast(h->dst)) {
		flood(from, true, frame, len_bytes, offload);
		return true;
	}

	to = local_find(from->network, h->dst);
	if (!to) {
		slot = mac_table_find(&sw.learned, from->network, h->dst);
		to = slot < 0 ? NULL : sw.ports[slot];
	}
	if (!to) {
		flood(from, false, frame, len_bytes, offload);
		return true;
	}
	if (to == from || (to->kind == NET_PORT_UPLINK && from->kind == NET_PORT_UPLINK))
		return true; /* it is where it belongs already */
	return hand_over(to, frame, len_bytes, offload);
}

static bool send_locked(struct net_port *from, const uint8_t *frame, size_t len_bytes,
			const struct frame_offload *offload)
{
	struct header h;

	ASSERT(is_attached(from));
	if (len_bytes < NET_FRAME_MIN || len_bytes > NET_FRAME_MAX)
		goto drop;
	header_read(frame, len_bytes, &h);
	if (!may_send(from, &h))
		goto drop;

	from->counters.tx_packets++;
	from->counters.tx_bytes += len_bytes;
	if (from->kind == NET_PORT_UPLINK)
		mac_table_learn(&sw.learned, from->network, h.src, from->slot);
	return forward(from, &h, frame, len_bytes, offload);

drop:
	from->counters.tx_dropped++;
	return false;
}

bool net_send(struct net_port *port, const void *frame, size_t len_bytes,
	      const struct frame_offload *offload)
{
	bool is_sent;

	lock_take(&sw.lock);
	is_sent = send_locked(port, frame, len_bytes, offload);
	lock_release(&sw.lock);
	return is_sent;
}
