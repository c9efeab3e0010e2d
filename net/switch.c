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
 *
 * A frame that is not finished goes on so to whom takes it so, and is finished for each of the
 * others, in one buffer under the switch's lock. A large segment goes to one station only.
 */
#include "kernel/lib/bytes.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "net/mac_table.h"
#include "net/offload.h"
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
	uint8_t finished[NET_FRAME_MAX];     /* the frame that is being finished */
} sw;

struct parcel { /* a frame on its way */
	const void *frame;
	size_t len_bytes;
	const struct frame_offload *offload; /* NULL: finished */
	size_t longest;			     /* IP packet that comes of it, without tag */
	uint32_t takes;			     /* NET_TAKES_ what a receiver of it as it is must */
	uint32_t nr_frames;		     /* that a wire would carry, with their bytes */
	uint64_t wire_bytes;
};

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

	ASSERT(port->deliver && port->mtu <= NET_MTU_MAX);
	port->mtu = MAX(port->mtu, NET_MTU_MIN);
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

void net_change(struct net_port *port, void *owner, uint32_t offloads, uint32_t mtu)
{
	lock_take(&sw.lock);
	ASSERT(is_attached(port) && mtu >= NET_MTU_MIN && mtu <= NET_MTU_MAX);
	mac_table_forget_slot(&sw.learned, port->slot);
	port->owner = owner;
	port->mtu = mtu;
	__atomic_store_n(&port->offloads, offloads, __ATOMIC_RELAXED);
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

/* ---- handing over ---- */

static void count_received(struct net_port *to, uint64_t packets, uint64_t bytes)
{
	to->counters.rx_packets += packets;
	to->counters.rx_bytes += bytes;
}

/* Ends at the first frame for which there is no room: where one is lost, TCP sends the rest anew.
 */
static bool hand_over_finished(struct net_port *to, const struct parcel *p, uint32_t offloads)
{
	struct offload_cut cut;
	size_t len_bytes;

	offload_cut_start(&cut, p->frame, p->len_bytes, p->offload, offloads & NET_TAKES_CSUM);
	while ((len_bytes = offload_cut_next(&cut, sw.finished)) != 0) {
		if (!to->deliver(to, sw.finished, len_bytes,
				 cut.left.needs_csum ? &cut.left : NULL)) {
			to->counters.rx_dropped += p->nr_frames - (cut.nr_made - 1);
			return false;
		}
		count_received(to, 1, len_bytes);
	}
	return true;
}

static bool hand_over(struct net_port *to, const struct parcel *p)
{
	uint32_t offloads = __atomic_load_n(&to->offloads, __ATOMIC_RELAXED);

	if (p->longest > to->mtu)
		goto drop;
	if (p->takes & ~offloads)
		return hand_over_finished(to, p, offloads);
	if (!to->deliver(to, p->frame, p->len_bytes, p->offload))
		goto drop;
	count_received(to, p->nr_frames, p->wire_bytes);
	return true;

drop:
	to->counters.rx_dropped += p->nr_frames;
	return false;
}

/* To each port of the network, or each uplink of it. Who has no room misses it. */
static void flood(const struct net_port *from, bool is_for_all, const struct parcel *p)
{
	for (uint32_t i = 0; i < sw.nr_slots; i++) {
		struct net_port *to = sw.ports[i];

		if (!to || to == from || to->network != from->network)
			continue;
		if (to->kind == NET_PORT_UPLINK ? from->kind == NET_PORT_UPLINK : !is_for_all)
			continue;
		hand_over(to, p);
	}
}

static bool forward(struct net_port *from, const struct header *h, const struct parcel *p)
{
	struct net_port *to;
	int32_t slot;

	if (is_multicast(h->dst)) {
		flood(from, true, p);
		return true;
	}

	to = local_find(from->network, h->dst);
	if (!to) {
		slot = mac_table_find(&sw.learned, from->network, h->dst);
		to = slot < 0 ? NULL : sw.ports[slot];
	}
	if (!to) {
		flood(from, false, p);
		return true;
	}
	if (to == from || (to->kind == NET_PORT_UPLINK && from->kind == NET_PORT_UPLINK))
		return true; /* it is where it belongs already */
	return hand_over(to, p);
}

/* ---- sending ---- */

static uint32_t needed_to_take(const struct frame_offload *offload)
{
	static const uint32_t rows[] = {
		[OFFLOAD_GSO_NONE] = 0,
		[OFFLOAD_GSO_TCP4] = NET_TAKES_TSO4,
		[OFFLOAD_GSO_TCP6] = NET_TAKES_TSO6,
	};

	return rows[offload->gso] | (offload->needs_csum ? NET_TAKES_CSUM : 0);
}

static struct parcel make_parcel(const void *frame, size_t len_bytes,
				 const struct frame_offload *offload)
{
	struct parcel p = {
		.frame = frame,
		.len_bytes = len_bytes,
		.offload = offload,
		.longest = len_bytes - NET_FRAME_MIN,
		.nr_frames = 1,
		.wire_bytes = len_bytes,
	};

	if (!offload)
		return p;
	p.longest = offload_longest(len_bytes, offload) - NET_FRAME_MIN;
	p.takes = needed_to_take(offload);
	p.nr_frames = offload_frames(len_bytes, offload);
	p.wire_bytes = offload_wire_bytes(len_bytes, offload);
	return p;
}

/* TCP is with one station; and small segments would make one frame cost as much as a thousand. */
static bool may_be_cut(const struct header *h, const struct frame_offload *offload)
{
	return !is_multicast(h->dst) && offload->gso_size >= NET_GSO_MIN;
}

static bool send_locked(struct net_port *from, const uint8_t *frame, size_t len_bytes,
			const struct frame_offload *offload)
{
	struct parcel p;
	struct header h;

	ASSERT(is_attached(from));
	if (len_bytes < NET_FRAME_MIN || len_bytes > OFFLOAD_FRAME_MAX)
		goto drop;
	header_read(frame, len_bytes, &h);
	p = make_parcel(frame, len_bytes, offload);
	if (h.is_tagged && p.longest >= NET_TAG_BYTES)
		p.longest -= NET_TAG_BYTES;
	if (p.longest > from->mtu || !may_send(from, &h))
		goto drop;
	if (offload && offload->gso != OFFLOAD_GSO_NONE && !may_be_cut(&h, offload))
		goto drop;

	from->counters.tx_packets += p.nr_frames;
	from->counters.tx_bytes += p.wire_bytes;
	if (from->kind == NET_PORT_UPLINK)
		mac_table_learn(&sw.learned, from->network, h.src, from->slot);
	return forward(from, &h, &p);

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
