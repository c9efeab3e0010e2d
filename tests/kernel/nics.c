/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network cards without an agent, in one of these ways that the command line names:
 *
 *   nics=echo   through the switch: ask by ARP who the gateway of the emulators' user network is
 *               and ping it in bursts as large as frames get; for every machine that has a card
 *   nics=card   the driver itself, on a card that is not the uplink, against the peer of
 *               tests/system/test_nics.py (tests/kernel/lib/nic_card.h); mtu=N;
 *               then=deaf,hang,link,unplug: what is to happen to the card
 *   nics=count  for tests/bench/nics.py: how many ticks a frame takes from the switch's port to the
 *               card, and from the card's interrupt to the port
 *
 * All that comes in must come by interrupt, or a driver's watch says that it did not: nothing here
 * looks at a ring.
 */
#include "boot/after_boot.h"
#include "kernel/cmdline.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pci.h"
#include "kernel/power.h"
#include "kernel/time.h"
#include "net/port.h"
#include "net/uplink.h"
#include "tests/kernel/lib/deaf.h"
#include "tests/kernel/lib/nic_card.h"
#include "tests/kernel/lib/nic_frames.h"

#define ARP_BYTES  28u
#define ICMP_BYTES 8u

/* ---- nics=echo ---- */

#define PINGS	    2000u
#define BURST	    20u /* as many are on their way at once */
#define PING_BYTES  1400u
#define ARP_TICKS   50u
#define START_TICKS 5u
#define PING_FRAME  (ETH_BYTES + IP4_BYTES + ICMP_BYTES + PING_BYTES)

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static struct net_port port;
static uint8_t gateway_mac[6]; /* written by deliver(), with these */
static uint32_t nr_arp_replies, nr_pongs;

/* In the interrupt handler, under the switch's lock: only look. */
static bool deliver(struct net_port *to, const void *data, size_t len_bytes,
		    const struct frame_offload *offload)
{
	const uint8_t *from = data;
	uint16_t type = get_be16(from + 12);

	(void)to;
	(void)offload;
	if (type == TYPE_ARP && len_bytes >= ETH_BYTES + ARP_BYTES && get_be16(from + 20) == 2) {
		memcpy(gateway_mac, from + 22, sizeof(gateway_mac));
		nr_arp_replies++;
	}
	if (type == TYPE_IP4 && len_bytes == PING_FRAME && from[23] == PROTO_ICMP &&
	    from[34] == 0 && memcmp(from + 42, frame + 42, PING_BYTES) == 0)
		nr_pongs++;
	return true;
}

static bool send_arp(void)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, 1};

	frame_put_ethernet(broadcast, TYPE_ARP);
	memcpy(frame + 14, head, sizeof(head));
	memcpy(frame + 22, our_mac, 6);
	memcpy(frame + 28, our_ip, 4);
	memset(frame + 32, 0, 6);
	memcpy(frame + 38, gateway_ip, 4);
	return net_send(&port, frame, ETH_BYTES + ARP_BYTES, NULL);
}

static void make_ping(void)
{
	size_t icmp = frame_put_ip(true, PROTO_ICMP, ICMP_BYTES + PING_BYTES);

	memcpy(frame, gateway_mac, 6);
	memset(frame + icmp, 0, ICMP_BYTES);
	frame[icmp] = 8; /* echo request */
	for (uint32_t i = 0; i < PING_BYTES; i++)
		frame[icmp + ICMP_BYTES + i] = frame_pattern(0, i);
	put_be16(frame + icmp + 2,
		 (uint16_t)~frame_fold(frame_add(0, frame + icmp, ICMP_BYTES + PING_BYTES)));
}

static uint64_t nr_dropped(void)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < nic_count(); i++)
		nr += nic_at(i)->counters.rx_dropped + nic_at(i)->counters.tx_dropped;
	return nr;
}

/* For as long as it takes, as the uplink may have no link yet; the cards start meanwhile. */
static void find_gateway(void)
{
	for (uint32_t i = 0; i < START_TICKS; i++)
		wait_tick();
	log_info("nics", "arp %s", send_arp() ? "sent" : "dropped");
	for (uint32_t i = 1; __atomic_load_n(&nr_arp_replies, __ATOMIC_RELAXED) == 0; i++) {
		wait_tick();
		if (i % ARP_TICKS == 0)
			send_arp();
	}
	log_info("nics", "gateway found");
}

static void test_echo(void)
{
	uint64_t dropped_before, start;
	uint32_t nr_sent = 0;

	port = (struct net_port){
		.name = "echo", .kind = NET_PORT_AGENT, .deliver = deliver, .slot = -1};
	memcpy(port.mac, our_mac, sizeof(port.mac));
	if (net_attach(&port) != HV_OK)
		end_badly("the switch has no slot");
	find_gateway();
	make_ping();
	dropped_before = nr_dropped();
	start = tsc_now();
	while (nr_sent < PINGS) {
		for (uint32_t i = 0; i < BURST; i++)
			nr_sent += net_send(&port, frame, PING_FRAME, NULL);
		if (!wait_for(&nr_pongs, nr_sent))
			end_badly("echoes are missing");
	}
	log_info("nics", "%u sent, %u echoes, %lu dropped, %lu ticks", nr_sent, nr_pongs,
		 nr_dropped() - dropped_before, tsc_now() - start);
}

/* ---- nics=card ---- */

static bool is_reset(void)
{
	return card->counters.tx_dropped >= 5;
}

/* All interrupts are lost, and then they come again. */
static void test_deaf(uint32_t mtu)
{
	const struct pci_device *dev = card_device();
	struct deaf before;

	if (!dev)
		end_badly("the card is not among the devices");
	before = deaf_begin(dev);
	log_info("nics", "deaf");
	card_test_sizes(mtu, 1);
	deaf_end(dev, &before);
	log_info("nics", "not deaf any more");
	card_test_sizes(mtu, 2);
}

/* Behind the driver's back, sending is switched off in the card: it stands still. */
static void test_hang(uint32_t mtu)
{
	const struct pci_device *dev = card_device();
	volatile uint32_t *registers = dev ? mmio_map(dev->bars[0].base, PAGE_SIZE) : NULL;

	if (!registers)
		end_badly("the card is not among the devices");
	registers[0x400 / 4] = 0; /* TCTL */
	for (uint32_t i = 0; i < 5; i++)
		card_send_test(OP_ECHO, i, 60);
	log_info("nics", "hung");
	if (!wait_until(is_reset))
		end_badly("nothing was reset");
	for (uint32_t i = 0; i < 50; i++) /* its configuration takes a step or two more */
		wait_tick();
	card_test_sizes(mtu, 2);
}

/* [PCIe] "Slot Control Register", "Slot Status Register" */
#define EXPRESS_SLOT_CONTROL  0x18u
#define EXPRESS_SLOT_STATUS   0x1au
#define SLOT_CONTROL_OFF      0x0700u /* power off, and its indicator */
#define SLOT_STATUS_ATTENTION 0x0001u

static const struct pci_device *slot;
static uint8_t slot_cap;

static bool is_button_pressed(void)
{
	return pci_machine.read(pci_machine.arg, slot->at, slot_cap + EXPRESS_SLOT_STATUS, 2) &
	       SLOT_STATUS_ATTENTION;
}

static bool is_gone(void)
{
	return card->is_gone;
}

static void find_slot(void)
{
	const struct pci_device *dev = card_device();

	for (uint32_t i = 0; dev && i < pci_count(); i++)
		if (pci_at(i)->header_type == 1 &&
		    pci_machine.read(pci_machine.arg, pci_at(i)->at, PCI_REG_SECONDARY, 1) ==
			    dev->at.bus)
			slot = pci_at(i);
	slot_cap = slot ? pci_find_cap(&pci_machine, slot, PCI_CAP_EXPRESS) : 0;
	if (!slot_cap)
		end_badly("the card is in no slot");
}

/* The part of a person who pulls the card out once its lamp is off. */
static void test_unplug(void)
{
	find_slot();
	log_info("nics", "press the button");
	if (!wait_until(is_button_pressed))
		end_badly("nobody pressed it");
	pci_machine.write(pci_machine.arg, slot->at, slot_cap + EXPRESS_SLOT_CONTROL, 2,
			  SLOT_CONTROL_OFF);
	if (!wait_until(is_gone))
		end_badly("nobody saw that it is gone");
	log_info("nics", "gone, link %s, %s", card->is_link_up ? "up" : "down",
		 card_send_test(OP_ECHO, 0, 60) ? "sent" : "not sent");
}

static void test_card(void)
{
	char then[64] = "";
	uint32_t mtu;

	card = nic_at(0);
	mtu = MIN(net_mtu(), card->mtu_max);
	card->received = card_received; /* in place of the uplink, which has started it */
	card->link_changed = card_link_changed;
	if (!wait_until(card_has_link))
		end_badly("no link");
	log_info("nics", "%s, %u queues, mtu %u", card->ops->driver, card->nr_rx_queues, mtu);
	card_test_sizes(mtu, 20);
	card_test_checksums();
	card_test_segments(mtu);
	card_test_flows();
	cmdline_get("then", then, sizeof(then));
	if (strstr(then, "deaf"))
		test_deaf(mtu);
	if (strstr(then, "hang"))
		test_hang(mtu);
	if (strstr(then, "link"))
		card_test_link(mtu);
	if (strstr(then, "unplug"))
		test_unplug();
	log_info("nics", "%s: done, %lu received dropped", card->ops->driver,
		 card->counters.rx_dropped);
}

/* ---- nics=count ---- */

#define ROUNDS	    20u
#define SEND_BURST  50u /* fits every ring */
#define LOOPS	    15000000ull
#define QUIET_TICKS 150u	/* QEMU's e1000 receives nothing in its first second */
#define PAUSE	    20000000ull /* in which a ring is emptied */

static uint32_t nr_flows_seen;

static bool deliver_flow(struct net_port *to, const void *data, size_t len_bytes,
			 const struct frame_offload *offload)
{
	uint16_t type = get_be16((const uint8_t *)data + 12);

	(void)to;
	(void)len_bytes;
	(void)offload;
	nr_flows_seen += type == TYPE_IP4 || type == TYPE_IP6;
	return true;
}

/* With the door open for interrupts. Returns the ticks it took. */
static uint64_t spin(uint64_t loops)
{
	uint64_t start = tsc_now();

	for (uint64_t i = 0; i < loops; i++)
		cpu_take_interrupts();
	return tsc_now() - start;
}

static void measure_sends(size_t len_bytes)
{
	uint64_t ticks = 0, start;

	for (uint32_t round = 0; round <= ROUNDS; round++) { /* the first is not counted */
		start = tsc_now();
		for (uint32_t i = 0; i < SEND_BURST; i++)
			if (!net_send(&port, frame, len_bytes, NULL))
				end_badly("a frame was not sent");
		if (round > 0)
			ticks += tsc_now() - start;
		spin(PAUSE / 10);
	}
	log_info("nics", "send of %lu bytes: %lu ticks", len_bytes, ticks / ROUNDS / SEND_BURST);
}

/* What a loop takes longer when frames come in meanwhile is the work of their interrupts. */
static void measure_receives(void)
{
	uint64_t base = spin(LOOPS), with;

	nr_flows_seen = 0;
	frame[14] = OP_SEND_FLOWS;
	if (!net_send(&port, frame, 60, NULL))
		end_badly("the flows cannot be asked for");
	with = spin(LOOPS);
	log_info("nics", "received %u: %lu ticks each", nr_flows_seen,
		 nr_flows_seen ? (with - base) / nr_flows_seen : 0);
}

static void count_ticks(void)
{
	port = (struct net_port){
		.name = "count", .kind = NET_PORT_AGENT, .deliver = deliver_flow, .slot = -1};
	memcpy(port.mac, our_mac, sizeof(port.mac));
	card = nic_at(0);
	if (net_attach(&port) != HV_OK || !wait_until(card_has_link))
		end_badly("the switch has no slot, or the card no link");
	for (uint32_t i = 0; i < QUIET_TICKS; i++)
		wait_tick();
	frame_put_ethernet(peer_mac, TYPE_TEST);
	measure_sends(60);
	measure_sends(1514);
	for (uint32_t i = 0; i < 3; i++)
		measure_receives();
}

void after_boot(void)
{
	char mode[16] = "";

	cmdline_get("nics", mode, sizeof(mode));
	if (nic_count() > 0 && strcmp(mode, "card") == 0)
		test_card();
	else if (nic_count() > 0 && strcmp(mode, "count") == 0)
		count_ticks();
	else if (nic_count() > 0)
		test_echo();
	power_off();
}
