/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network cards without an agent, in one of these ways that the command line names:
 *
 *   nics=echo   through the switch: ask by ARP who the gateway of the emulators' user network is
 *               and ping it in bursts as large as frames get; for every machine that has a card
 *   nics=card   the driver itself, on a card that is not the uplink, against the peer of
 *               tests/system/test_nics.py, which echoes frames, checks what the card made of them
 * and sends flows; mtu=N; then=hang,link,unplug adds what is to happen to the card
 *   nics=count  for tests/bench/nics.py: how many ticks a frame takes from the switch's port to the
 *               card, and from the card's interrupt to the port
 *
 * All that comes in must come by interrupt: nothing here looks at a ring.
 */
#include "boot/after_boot.h"
#include "drivers/nic.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pci.h"
#include "kernel/power.h"
#include "kernel/time.h"
#include "net/port.h"
#include "net/uplink.h"

#define ETH_BYTES  14u
#define ARP_BYTES  28u
#define IP4_BYTES  20u
#define IP6_BYTES  40u
#define TCP_BYTES  20u
#define UDP_BYTES  8u
#define ICMP_BYTES 8u
#define TYPE_IP4   0x0800u
#define TYPE_ARP   0x0806u
#define TYPE_IP6   0x86ddu
#define TYPE_TEST  0x88b5u /* IEEE Std 802, local experiments; behind it one of these: */
#define PROTO_ICMP 1u
#define PROTO_TCP  6u
#define PROTO_UDP  17u
#define PORT_TSO   7001u /* above it a stream for each try */
#define PORT_CSUM  8001u
#define TICK_MS	   10u
#define WAIT_MS	   20000u
#define ROOM	   65600u

enum op { OP_ECHO = 1, OP_ECHOED, OP_SEND_FLOWS };

static const uint8_t our_mac[6] = {0x02, 0xb1, 0, 0, 0, 1}, our_ip[4] = {10, 0, 2, 15};
static const uint8_t gateway_ip[4] = {10, 0, 2, 2};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t peer_mac[6] = {0x02, 0xb1, 0, 0, 0, 2};

static uint8_t frame[ROOM];

/* ---- waiting ---- */

static void nothing(struct timer *timer)
{
	(void)timer;
}

/* Halts until an interrupt, or a tick of 10 ms, as other CPUs' interrupts do not wake this one. */
static void tick(void)
{
	static struct timer timer;

	if (!timer.fire)
		timer_init(&timer, nothing);
	timer_set(&timer, tsc_now() + time_tsc_of_ns(TICK_MS * NSEC_PER_MSEC));
	cpu_idle_wait();
}

static bool wait_until(bool (*is_done)(void))
{
	uint64_t end = time_now_ns() + WAIT_MS * NSEC_PER_MSEC;

	while (!is_done()) {
		if (time_now_ns() > end)
			return false;
		tick();
	}
	return true;
}

/* Halts until the counter is as large as wanted, or the time is over. */
static bool wait_for(const uint32_t *counter, uint32_t wanted)
{
	uint64_t end = time_now_ns() + WAIT_MS * NSEC_PER_MSEC;

	while (__atomic_load_n(counter, __ATOMIC_RELAXED) < wanted) {
		if (time_now_ns() > end)
			return false;
		tick();
	}
	return true;
}

static void end_badly(const char *why)
{
	log_err("nics", "gave up: %s", why);
	power_off();
}

/* ---- frames ---- */

static uint32_t add(uint32_t sum, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get_be16(at + i);
	return (len & 1) ? sum + ((uint32_t)at[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void put_ethernet(const uint8_t *to, uint16_t type)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, our_mac, 6);
	put_be16(frame + 12, type);
}

/* What the peer expects at this place of a stream. */
static uint8_t pattern(uint32_t stream, uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) + stream);
}

static size_t put_ip(bool is_ip4, uint8_t proto, size_t l4_bytes)
{
	uint8_t *ip = frame + ETH_BYTES;
	size_t bytes = is_ip4 ? IP4_BYTES : IP6_BYTES;

	put_ethernet(peer_mac, is_ip4 ? TYPE_IP4 : TYPE_IP6);
	memset(ip, 0, bytes);
	ip[0] = is_ip4 ? 0x45 : 0x60;
	if (is_ip4) {
		put_be16(ip + 2, (uint16_t)(IP4_BYTES + l4_bytes));
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, our_ip, 4);
		memcpy(ip + 16, gateway_ip, 4);
		put_be16(ip + 10, (uint16_t)~fold(add(0, ip, IP4_BYTES)));
	} else {
		put_be16(ip + 4, (uint16_t)l4_bytes);
		ip[6] = proto;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
	}
	return ETH_BYTES + bytes;
}

static uint16_t pseudo_sum(bool is_ip4, uint8_t proto, size_t l4_bytes)
{
	const uint8_t *ip = frame + ETH_BYTES;
	uint32_t sum = is_ip4 ? add(0, ip + 12, 8) : add(0, ip + 8, 32);

	return fold(sum + proto + (uint32_t)l4_bytes);
}

/* A segment or datagram of a stream, from a place in it on, whose sum is left to the card. */
static size_t make_packet(bool is_ip4, uint8_t proto, uint16_t port, uint32_t at, size_t payload,
			  struct frame_offload *offload)
{
	size_t header = proto == PROTO_TCP ? TCP_BYTES : UDP_BYTES;
	size_t l4 = put_ip(is_ip4, proto, header + payload);
	bool is_gso = offload->gso != OFFLOAD_GSO_NONE;

	memset(frame + l4, 0, header);
	put_be16(frame + l4, 5000);
	put_be16(frame + l4 + 2, port);
	if (proto == PROTO_TCP) {
		put_be32(frame + l4 + 4, at);
		frame[l4 + 12] = 5 << 4;
		frame[l4 + 13] = 0x18; /* ACK, PSH */
	} else {
		put_be16(frame + l4 + 4, (uint16_t)(UDP_BYTES + payload));
	}
	for (size_t i = 0; i < payload; i++)
		frame[l4 + header + i] = pattern(port, at + (uint32_t)i);
	offload->needs_csum = true;
	offload->csum_start = (uint16_t)l4;
	offload->csum_offset = proto == PROTO_TCP ? 16 : 6;
	offload->hdr_len = (uint16_t)(l4 + header);
	put_be16(frame + l4 + offload->csum_offset,
		 pseudo_sum(is_ip4, proto, is_gso ? 0 : header + payload));
	return l4 + header + payload;
}

/* ---- nics=echo ---- */

#define PINGS	    2000u
#define BURST	    20u /* as many are on their way at once */
#define PING_BYTES  1400u
#define ARP_TICKS   50u
#define START_TICKS 5u
#define PING_FRAME  (ETH_BYTES + IP4_BYTES + ICMP_BYTES + PING_BYTES)

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

	put_ethernet(broadcast, TYPE_ARP);
	memcpy(frame + 14, head, sizeof(head));
	memcpy(frame + 22, our_mac, 6);
	memcpy(frame + 28, our_ip, 4);
	memset(frame + 32, 0, 6);
	memcpy(frame + 38, gateway_ip, 4);
	return net_send(&port, frame, ETH_BYTES + ARP_BYTES, NULL);
}

static void make_ping(void)
{
	size_t icmp = put_ip(true, PROTO_ICMP, ICMP_BYTES + PING_BYTES);

	memcpy(frame, gateway_mac, 6);
	memset(frame + icmp, 0, ICMP_BYTES);
	frame[icmp] = 8; /* echo request */
	for (uint32_t i = 0; i < PING_BYTES; i++)
		frame[icmp + ICMP_BYTES + i] = pattern(0, i);
	put_be16(frame + icmp + 2, (uint16_t)~fold(add(0, frame + icmp, ICMP_BYTES + PING_BYTES)));
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
		tick();
	log_info("nics", "arp %s", send_arp() ? "sent" : "dropped");
	for (uint32_t i = 1; __atomic_load_n(&nr_arp_replies, __ATOMIC_RELAXED) == 0; i++) {
		tick();
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

static struct nic *nic;
static uint32_t nr_echoed, nr_wrong, nr_link_changes;
static uint32_t nr_flow_frames, nr_valid, nr_wrongly_valid, per_cpu[CPU_MAX];

static void count(uint32_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* The peer's flows are TCP; the first byte of payload says whether the checksum is wrong. */
static void receive_flow(const uint8_t *data, size_t len_bytes, bool is_ip4, bool is_valid)
{
	size_t payload = ETH_BYTES + (is_ip4 ? IP4_BYTES : IP6_BYTES) + TCP_BYTES;

	if (len_bytes <= payload)
		return;
	if (is_valid)
		count(data[payload] ? &nr_wrongly_valid : &nr_valid);
	count(&per_cpu[this_cpu()->index]);
	count(&nr_flow_frames);
}

/* On any CPU. An echo has its number and length behind the type, and then the pattern. */
static void received(struct nic *from, const void *bytes, size_t len_bytes,
		     const struct frame_offload *offload)
{
	const uint8_t *data = bytes;
	uint16_t type = get_be16(data + 12);
	bool is_valid = offload && offload->is_csum_valid;
	uint32_t nr;

	(void)from;
	if (type == TYPE_IP4 || type == TYPE_IP6)
		receive_flow(data, len_bytes, type == TYPE_IP4, is_valid);
	if (type != TYPE_TEST || data[14] != OP_ECHOED)
		return;
	nr = get_be32(data + 16);
	if (get_be32(data + 20) != len_bytes)
		count(&nr_wrong);
	for (size_t i = 24; i < len_bytes; i++)
		if (data[i] != pattern(nr, (uint32_t)i)) {
			count(&nr_wrong);
			break;
		}
	count(&nr_echoed);
}

static bool has_link(void)
{
	return nic->is_link_up;
}

static void link_changed(struct nic *of)
{
	(void)of;
	count(&nr_link_changes);
}

static bool send_test(enum op op, uint32_t nr, size_t len_bytes)
{
	put_ethernet(peer_mac, TYPE_TEST);
	frame[14] = (uint8_t)op;
	frame[15] = 0;
	put_be32(frame + 16, nr);
	put_be32(frame + 20, (uint32_t)len_bytes);
	for (size_t i = 24; i < len_bytes; i++)
		frame[i] = pattern(nr, (uint32_t)i);
	return nic->ops->send(nic, frame, len_bytes, NULL);
}

/* The ring may be full for a moment, as nothing tells when it is not. */
static void send_sure(size_t len_bytes, const struct frame_offload *offload)
{
	for (uint32_t i = 0; i < 100; i++) {
		if (nic->ops->send(nic, frame, len_bytes, offload))
			return;
		tick();
	}
	end_badly("a frame cannot be sent");
}

static void test_sizes(uint32_t mtu, uint32_t rounds)
{
	static const uint16_t sizes[] = {60,   61,   64,   600,	 1514, 1518, 2047, 2048,
					 2049, 4096, 4097, 6000, 8000, 9014, 9018};
	uint32_t nr_sent = 0, before = nr_echoed;

	for (uint32_t i = 0; i < rounds * ARRAY_SIZE(sizes); i++) {
		size_t len = sizes[i % ARRAY_SIZE(sizes)];

		if (len <= mtu + ETH_BYTES) {
			if (!send_test(OP_ECHO, i, len))
				end_badly("a frame of the sizes cannot be sent");
			nr_sent++;
		}
		if (i % 10 == 9 && !wait_for(&nr_echoed, before + nr_sent))
			break;
	}
	wait_for(&nr_echoed, before + nr_sent);
	log_info("nics", "sizes: %u sent, %u back, %u wrong", nr_sent, nr_echoed - before,
		 nr_wrong);
}

static void test_checksums(void)
{
	uint32_t nr_sent = 0;

	for (uint32_t i = 0; (nic->features & NIC_TX_CSUM) && i < 4 * 50; i++) {
		bool is_ip4 = i & 1;
		uint8_t proto = (i & 2) ? PROTO_TCP : PROTO_UDP;
		struct frame_offload offload = {0};
		size_t len = make_packet(is_ip4, proto, PORT_CSUM, 0, 1 + i * 7 % 1400, &offload);

		send_sure(len, &offload);
		nr_sent++;
	}
	log_info("nics", "checksums: %u sent", nr_sent);
}

static void test_segments(uint32_t mtu)
{
	static const uint32_t sizes[] = {1000, 1449, 2000, 10000, 40000, 65000};
	uint32_t nr_sent = 0;

	for (uint32_t kind = 0; kind < 2; kind++) {
		bool is_ip4 = kind == 0;
		uint32_t at = 0;

		if (!(nic->features & (is_ip4 ? NIC_TX_TSO4 : NIC_TX_TSO6)))
			continue;
		for (uint32_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct frame_offload offload = {
				.gso = is_ip4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6,
				.gso_size = (uint16_t)(i == 4 ? 536 : mtu - 60)};
			size_t len = make_packet(is_ip4, PROTO_TCP, (uint16_t)(PORT_TSO + kind), at,
						 sizes[i], &offload);

			send_sure(len, &offload);
			at += sizes[i];
			nr_sent++;
		}
	}
	log_info("nics", "segments: %u sent", nr_sent);
}

static void test_flows(void)
{
	char text[128];
	size_t at = 0;

	if (!send_test(OP_SEND_FLOWS, 0, 60))
		end_badly("the flows cannot be asked for");
	wait_for(&nr_flow_frames, 400);
	for (uint32_t i = 0; i < cpu_count(); i++)
		at += fmt(text + at, sizeof(text) - at, " %u", per_cpu[i]);
	log_info("nics", "flows: %u frames, %u valid, %u wrongly valid, on CPUs:%s", nr_flow_frames,
		 nr_valid, nr_wrongly_valid, text);
}

static struct pci_device *device_of(const struct nic *of)
{
	char at[16];

	for (uint32_t i = 0; i < pci_count(); i++) {
		struct pci_device *dev = pci_at(i);

		fmt(at, sizeof(at), "%02x:%02x.%u", dev->at.bus, dev->at.dev, dev->at.fn);
		if (strcmp(at, of->location) == 0)
			return dev;
	}
	return NULL;
}

static bool is_reset(void)
{
	return nic->counters.tx_dropped >= 5;
}

/* Behind the driver's back, sending is switched off in the card: it stands still. */
static void test_hang(uint32_t mtu)
{
	const struct pci_device *dev = device_of(nic);
	volatile uint32_t *registers = dev ? mmio_map(dev->bars[0].base, PAGE_SIZE) : NULL;

	if (!registers)
		end_badly("the card is not among the devices");
	registers[0x400 / 4] = 0; /* TCTL */
	for (uint32_t i = 0; i < 5; i++)
		send_test(OP_ECHO, i, 60);
	log_info("nics", "hung");
	if (!wait_until(is_reset))
		end_badly("nothing was reset");
	for (uint32_t i = 0; i < 50; i++) /* its configuration takes a step or two more */
		tick();
	test_sizes(mtu, 2);
}

static void test_link(uint32_t mtu)
{
	uint32_t before = nr_link_changes;

	log_info("nics", "pull the cable");
	if (!wait_for(&nr_link_changes, before + 1))
		end_badly("nobody pulled it");
	log_info("nics", "link %s, %s", nic->is_link_up ? "up" : "down",
		 send_test(OP_ECHO, 0, 60) ? "sent" : "not sent");
	if (!wait_for(&nr_link_changes, before + 2))
		end_badly("nobody plugged it in");
	log_info("nics", "link %s, %u Mb/s", nic->is_link_up ? "up" : "down", nic->speed_mbps);
	test_sizes(mtu, 2);
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
	return nic->is_gone;
}

static void find_slot(void)
{
	const struct pci_device *dev = device_of(nic);

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
	log_info("nics", "gone, link %s, %s", nic->is_link_up ? "up" : "down",
		 send_test(OP_ECHO, 0, 60) ? "sent" : "not sent");
}

static void test_card(void)
{
	char then[64] = "";
	uint32_t mtu;

	nic = nic_at(0);
	mtu = MIN(net_mtu(), nic->mtu_max);
	nic->received = received; /* in place of the uplink, which has started it */
	nic->link_changed = link_changed;
	if (!wait_until(has_link))
		end_badly("no link");
	log_info("nics", "%s, %u queues, mtu %u", nic->ops->driver, nic->nr_rx_queues, mtu);
	test_sizes(mtu, 20);
	test_checksums();
	test_segments(mtu);
	test_flows();
	cmdline_get("then", then, sizeof(then));
	if (strstr(then, "hang"))
		test_hang(mtu);
	if (strstr(then, "link"))
		test_link(mtu);
	if (strstr(then, "unplug"))
		test_unplug();
	log_info("nics", "%s: done, %lu received dropped", nic->ops->driver,
		 nic->counters.rx_dropped);
}

/* ---- nics=count ---- */

#define ROUNDS	    20u
#define SEND_BURST  50u /* fits every ring */
#define LOOPS	    15000000ull
#define QUIET_TICKS 150u	/* QEMU's e1000 receives nothing in its first second */
#define PAUSE	    20000000ull /* in which a ring is emptied */

static bool deliver_flow(struct net_port *to, const void *data, size_t len_bytes,
			 const struct frame_offload *offload)
{
	uint16_t type = get_be16((const uint8_t *)data + 12);

	(void)to;
	(void)len_bytes;
	(void)offload;
	nr_flow_frames += type == TYPE_IP4 || type == TYPE_IP6;
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

	nr_flow_frames = 0;
	frame[14] = OP_SEND_FLOWS;
	if (!net_send(&port, frame, 60, NULL))
		end_badly("the flows cannot be asked for");
	with = spin(LOOPS);
	log_info("nics", "received %u: %lu ticks each", nr_flow_frames,
		 nr_flow_frames ? (with - base) / nr_flow_frames : 0);
}

static void count_ticks(void)
{
	port = (struct net_port){
		.name = "count", .kind = NET_PORT_AGENT, .deliver = deliver_flow, .slot = -1};
	memcpy(port.mac, our_mac, sizeof(port.mac));
	nic = nic_at(0);
	if (net_attach(&port) != HV_OK || !wait_until(has_link))
		end_badly("the switch has no slot, or the card no link");
	for (uint32_t i = 0; i < QUIET_TICKS; i++)
		tick();
	put_ethernet(peer_mac, TYPE_TEST);
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
