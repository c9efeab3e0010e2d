/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from the NICs' interrupt handlers into the switch, and from the switch onto the wire.
 *
 * There is one port. The NIC behind it is its owner, which changes under the switch's lock; so
 * deliver() never has a frame for one NIC and the abilities of another. What another NIC receives
 * is dropped. A frame that is just on its way in when the uplink changes may still get in.
 */
#include "net/uplink.h"

#include "drivers/nic.h"
#include "kernel/cmdline.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "net/port.h"
#include "net/uplink_choice.h"

static uint32_t node_mtu = NET_MTU_MIN; /* fixed at boot, with is_started */
static bool is_started[NIC_MAX];

static struct lock lock;     /* whoever changes the uplink; before the switch's lock */
static struct nic *current;  /* atomic, changed under lock */
static struct net_port port; /* attached once there was an uplink; without one, it has no owner */
static bool is_attached;     /* under lock */

uint32_t net_mtu(void)
{
	return node_mtu;
}

struct nic *net_uplink(void)
{
	return __atomic_load_n(&current, __ATOMIC_RELAXED);
}

static bool deliver(struct net_port *to, const void *frame, size_t len_bytes,
		    const struct frame_offload *offload)
{
	struct nic *nic = to->owner;

	return nic && nic->ops->send(nic, frame, len_bytes, offload);
}

/* A card may say that a checksum is right, and a virtual one that a frame is not finished. */
static void received(struct nic *nic, const void *frame, size_t len_bytes,
		     const struct frame_offload *offload)
{
	struct frame_offload checked;

	if (nic != net_uplink())
		return;
	if (offload) {
		checked = *offload;
		if (offload_check(frame, len_bytes, &checked) != HV_OK)
			return;
		offload = &checked;
	}
	net_send(&port, frame, len_bytes, offload);
}

static uint32_t offloads_of(const struct nic *nic)
{
	return (nic->features & NIC_TX_CSUM ? NET_TAKES_CSUM : 0) |
	       (nic->features & NIC_TX_TSO4 ? NET_TAKES_TSO4 : 0) |
	       (nic->features & NIC_TX_TSO6 ? NET_TAKES_TSO6 : 0);
}

static uint32_t mtu_of(const struct nic *nic)
{
	return MIN(node_mtu, nic->mtu_max);
}

/* ---- which one ---- */

static int32_t index_of(const struct nic *nic)
{
	for (uint32_t i = 0; nic && i < nic_count(); i++)
		if (nic_at(i) == nic)
			return (int32_t)i;
	return -1;
}

static struct nic *choose(void)
{
	struct uplink_card cards[NIC_MAX];
	int32_t chosen;

	for (uint32_t i = 0; i < nic_count(); i++) {
		const struct nic *nic = nic_at(i);

		cards[i] = (struct uplink_card){0};
		if (!nic)
			continue;
		cards[i].is_usable =
			is_started[i] && !__atomic_load_n(&nic->is_gone, __ATOMIC_RELAXED);
		cards[i].has_link = __atomic_load_n(&nic->is_link_up, __ATOMIC_RELAXED);
	}
	chosen = uplink_choose(cards, nic_count(), index_of(current));
	return chosen < 0 ? NULL : nic_at((uint32_t)chosen);
}

static void use(struct nic *nic)
{
	net_change(&port, nic, offloads_of(nic), mtu_of(nic));
	__atomic_store_n(&current, nic, __ATOMIC_RELAXED);
}

static void use_none(void)
{
	net_change(&port, NULL, 0, NET_MTU_MIN);
	__atomic_store_n(&current, NULL, __ATOMIC_RELAXED);
}

static void link_changed(struct nic *whose)
{
	struct nic *nic;

	(void)whose; /* all of them are looked at */
	lock_take(&lock);
	nic = choose();
	if (current && nic && nic != current) {
		log_warn("net", "%s has no link; uplink is %s now", current->location,
			 nic->location);
		use(nic);
	}
	lock_release(&lock);
}

/* ---- cards that come and go, at boot all of them ---- */

static void read_mtu(void)
{
	char word[12];
	uint32_t mtu;

	if (!cmdline_get("mtu", word, sizeof(word)))
		return;
	mtu = uplink_mtu(word);
	if (mtu)
		node_mtu = mtu;
	else
		log_err("net", "mtu=%s is not a number from %u to %u; the MTU is %u", word,
			NET_MTU_MIN, NET_MTU_MAX, node_mtu);
}

static void start(uint32_t index)
{
	struct nic *nic = nic_at(index);
	enum hv_err err;

	nic->received = received;
	nic->link_changed = link_changed;
	err = nic->ops->start(nic, mtu_of(nic));
	is_started[index] = err == HV_OK;
	if (err != HV_OK)
		log_err("net", "%s: cannot be started: %s", nic->location, hv_strerror(err));
	else if (mtu_of(nic) < node_mtu)
		log_warn("net", "%s: sends and receives %u bytes at most, the node's MTU is %u",
			 nic->location, mtu_of(nic), node_mtu);
}

/* Under lock: from here on link_changed() may run on another CPU. */
static void attach(struct nic *nic)
{
	enum hv_err err;

	port = (struct net_port){
		.name = "uplink",
		.kind = NET_PORT_UPLINK,
		.mtu = mtu_of(nic),
		.owner = nic,
		.deliver = deliver,
		.slot = -1,
	};
	memcpy(port.mac, nic->mac, sizeof(port.mac));
	err = net_attach(&port);
	if (err != HV_OK) {
		log_err("net", "%s: cannot be the uplink: %s", nic->location, hv_strerror(err));
		return;
	}
	is_attached = true;
	use(nic);
	log_info("net", "uplink is %s of %u network card%s", nic->location, nic_count(),
		 nic_count() == 1 ? "" : "s");
}

static void added(uint32_t index)
{
	struct nic *nic;

	start(index);
	lock_take(&lock);
	nic = choose();
	if (nic && !is_attached) {
		attach(nic);
	} else if (nic && nic != current) {
		log_info("net", "uplink is %s now", nic->location);
		use(nic);
	}
	lock_release(&lock);
}

/* When this returns, no deliver() is inside of the card, and none will be. */
static void removed(const struct nic *gone)
{
	struct nic *nic;

	lock_take(&lock);
	if (gone == current) {
		nic = choose();
		log_warn("net", "%s was taken out; %s%s", gone->location,
			 nic ? "uplink is now " : "there is no uplink", nic ? nic->location : "");
		if (nic)
			use(nic);
		else
			use_none();
	}
	lock_release(&lock);
}

static void changed(struct nic *nic, uint32_t index, bool is_there)
{
	is_started[index] = false;
	if (is_there)
		added(index);
	else
		removed(nic);
}

void net_uplink_init(void)
{
	struct nic *nic;

	read_mtu();
	for (uint32_t i = 0; i < nic_count(); i++)
		start(i);
	lock_take(&lock);
	nic = choose();
	if (nic)
		attach(nic);
	lock_release(&lock);
	nic_watch(changed);
}
