/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the wire and back without an agent: a port of the switch asks by ARP who the gateway
 * of the emulators' user network is, pings it in bursts as large as frames get, and powers off. All
 * that comes in must come by interrupt, since nothing here polls: a CPU halts until it is woken.
 */
#include "boot/after_boot.h"
#include "drivers/nic.h"
#include "kernel/cpu.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/power.h"
#include "net/port.h"

#define PINGS	    2000u
#define BURST	    20u /* as many are on their way at once */
#define PING_BYTES  1400u
#define ETH_BYTES   14u
#define ARP_BYTES   28u
#define IP_BYTES    20u
#define ICMP_BYTES  8u
#define TYPE_IP	    0x0800u
#define TYPE_ARP    0x0806u
#define ARP_REQUEST 1u
#define ARP_REPLY   2u
#define PROTO_ICMP  1u

static const uint8_t our_mac[6] = {0x02, 0xb1, 0, 0, 0, 1}, our_ip[4] = {10, 0, 2, 15};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		     gateway_ip[4] = {10, 0, 2, 2};

static struct net_port port;
static uint8_t frame[ETH_BYTES + IP_BYTES + ICMP_BYTES + PING_BYTES];
static uint8_t gateway_mac[6]; /* these two are written by deliver() */
static uint32_t nr_arp_replies, nr_echoes;

/* In the interrupt handler, under the switch's lock: only look. */
static bool deliver(struct net_port *to, const void *data, size_t len_bytes,
		    const struct frame_offload *offload)
{
	const uint8_t *from = data;
	uint16_t type = get_be16(from + 12);

	(void)to;
	(void)offload;
	if (type == TYPE_ARP && len_bytes >= ETH_BYTES + ARP_BYTES &&
	    get_be16(from + 20) == ARP_REPLY) {
		memcpy(gateway_mac, from + 22, sizeof(gateway_mac));
		nr_arp_replies++;
	}
	if (type == TYPE_IP && len_bytes == sizeof(frame) && from[23] == PROTO_ICMP &&
	    from[34] == 0 && memcmp(from + 42, frame + 42, PING_BYTES) == 0)
		nr_echoes++;
	return true;
}

static void put_ethernet(const uint8_t *to, uint16_t type)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, our_mac, 6);
	put_be16(frame + 12, type);
}

static bool send_arp(void)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, ARP_REQUEST};

	put_ethernet(broadcast, TYPE_ARP);
	memcpy(frame + 14, head, sizeof(head));
	memcpy(frame + 22, our_mac, 6);
	memcpy(frame + 28, our_ip, 4);
	memset(frame + 32, 0, 6);
	memcpy(frame + 38, gateway_ip, 4);
	return net_send(&port, frame, ETH_BYTES + ARP_BYTES, NULL);
}

static uint16_t checksum(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += get_be16(at + i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~((sum & 0xffff) + (sum >> 16));
}

static void make_ping(void)
{
	put_ethernet(gateway_mac, TYPE_IP);
	memset(frame + 14, 0, IP_BYTES + ICMP_BYTES);
	frame[14] = 0x45; /* version 4, five words of header */
	put_be16(frame + 16, IP_BYTES + ICMP_BYTES + PING_BYTES);
	frame[22] = 64;
	frame[23] = PROTO_ICMP;
	memcpy(frame + 26, our_ip, 4);
	memcpy(frame + 30, gateway_ip, 4);
	put_be16(frame + 24, checksum(frame + 14, IP_BYTES));
	frame[34] = 8; /* echo request */
	for (uint32_t i = 0; i < PING_BYTES; i++)
		frame[42 + i] = (uint8_t)(i * 7);
	put_be16(frame + 36, checksum(frame + 34, ICMP_BYTES + PING_BYTES));
}

/* Halts until an interrupt has made *counter at least wanted; returns how often it was woken. */
static uint32_t wait_for(const uint32_t *counter, uint32_t wanted)
{
	uint32_t nr_wakes = 0;

	while (__atomic_load_n(counter, __ATOMIC_RELAXED) < wanted) {
		cpu_idle_wait();
		nr_wakes++;
	}
	return nr_wakes;
}

static void attach(void)
{
	enum hv_err err;

	port = (struct net_port){
		.name = "echo", .kind = NET_PORT_AGENT, .deliver = deliver, .slot = -1};
	memcpy(port.mac, our_mac, sizeof(port.mac));
	err = net_attach(&port);
	if (err != HV_OK)
		log_err("net_echo", "cannot attach: %s", hv_strerror(err));
}

void after_boot(void)
{
	uint32_t nr_wakes = 0, nr_sent = 0;

	if (nic_count() == 0)
		power_off();
	attach();
	log_info("net_echo", "arp %s", send_arp() ? "sent" : "dropped");
	wait_for(&nr_arp_replies, 1);
	log_info("net_echo", "gateway found");
	make_ping();
	while (nr_sent < PINGS) {
		for (uint32_t i = 0; i < BURST; i++)
			nr_sent += net_send(&port, frame, sizeof(frame), NULL);
		nr_wakes += wait_for(&nr_echoes, nr_sent);
	}
	log_info("net_echo", "%u sent, %u echoes, %u wakes, %lu dropped", nr_sent, nr_echoes,
		 nr_wakes, nic_at(0)->counters.rx_dropped + nic_at(0)->counters.tx_dropped);
	power_off();
}
