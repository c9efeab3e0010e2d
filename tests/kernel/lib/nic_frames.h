/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of network cards share: waiting with interrupts on, and frames as the peers of
 * tests/system/lib/wire.py expect them.
 */
#ifndef TESTS_KERNEL_LIB_NIC_FRAMES_H
#define TESTS_KERNEL_LIB_NIC_FRAMES_H

#include "drivers/offload.h"
#include "kernel/lib/types.h"

#define ETH_BYTES  14u
#define IP4_BYTES  20u
#define IP6_BYTES  40u
#define TCP_BYTES  20u
#define UDP_BYTES  8u
#define TYPE_IP4   0x0800u
#define TYPE_ARP   0x0806u
#define TYPE_IP6   0x86ddu
#define TYPE_TEST  0x88b5u /* IEEE Std 802, local experiments; behind it an enum op */
#define PROTO_ICMP 1u
#define PROTO_TCP  6u
#define PROTO_UDP  17u
#define PORT_TSO   7001u /* above it a stream for each try */
#define PORT_CSUM  8001u
#define FRAME_ROOM 65600u

enum op { OP_ECHO = 1, OP_ECHOED, OP_SEND_FLOWS, OP_SEND_STREAMS };

extern const uint8_t our_mac[6], peer_mac[6], our_ip[4], gateway_ip[4];
extern uint8_t frame[FRAME_ROOM]; /* the one that is being made */

/* wait_tick - until an interrupt, or for 10 ms, as other CPUs' interrupts do not wake this one */
void wait_tick(void);
/* wait_until, wait_for - false when the time is over; a counter is done when it is as large */
bool wait_until(bool (*is_done)(void));
bool wait_for(const uint32_t *counter, uint32_t wanted);

/* end_badly - say why, and switch the machine off */
void end_badly(const char *why);

uint32_t frame_add(uint32_t sum, const uint8_t *at, size_t len);
uint16_t frame_fold(uint32_t sum);

/* frame_pattern - what the peer expects at this place of a stream */
uint8_t frame_pattern(uint32_t stream, uint32_t at);

void frame_put_ethernet(const uint8_t *to, uint16_t type);

/* frame_put_ip - headers up to and with IP's, to the peer; returns their length */
size_t frame_put_ip(bool is_ip4, uint8_t proto, size_t l4_bytes);

/*
 * frame_make_packet - a segment or datagram of a stream, from a place in it on, whose sum is left
 * to the card
 *
 * offload  has gso and gso_size; the rest is filled in
 * returns  its length
 */
size_t frame_make_packet(bool is_ip4, uint8_t proto, uint16_t port, uint32_t at, size_t payload,
			 struct frame_offload *offload);

#endif
