/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP frames for tests, and whether the sums in one hold. Reckoned byte by byte as the RFCs say it,
 * and sharing nothing with what it tests.
 */
#ifndef TESTS_TCP_FRAME_H
#define TESTS_TCP_FRAME_H

#include "drivers/offload.h"

struct tcp_frame_conf {
	bool is_ipv6;
	uint32_t ip_options, tcp_options; /* words of four bytes */
	uint32_t payload_bytes;
	uint16_t gso_size; /* 0: only the checksum is left to do */
	uint8_t flags;	   /* TCP's */
	uint32_t seq;
	uint16_t id; /* IPv4's */
};

struct tcp_frame {
	uint8_t bytes[OFFLOAD_FRAME_MAX];
	size_t len_bytes;
	uint32_t tcp_at, payload_at;
	struct frame_offload offload;
};

/* A frame from 02:00:00:00:00:03 to 52:55:0a:00:02:02 with the sum of its pseudo header in place:
 * with the length, as a driver leaves it, unless it has gso_size. */
void tcp_frame_make(struct tcp_frame *f, const struct tcp_frame_conf *conf);

/* The sum of its pseudo header, IP's own length in it. */
uint16_t tcp_frame_pseudo_sum(const uint8_t *frame, size_t len_bytes);

/* IPv4's header checksum and TCP's; and that IP's length is the frame's. */
bool tcp_frame_holds(const uint8_t *frame, size_t len_bytes);

#endif
