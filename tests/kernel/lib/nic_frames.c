/* SPDX-License-Identifier: Apache-2.0 */
/* Sums are taken word by word, unlike in net/offload.c, so that neither hides an error of the
 * other. */
#include "tests/kernel/lib/nic_frames.h"

#include "kernel/cpu.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/power.h"
#include "kernel/time.h"

#define TICK_MS 10u
#define WAIT_MS 20000u

const uint8_t our_mac[6] = {0x02, 0xb1, 0, 0, 0, 1}, peer_mac[6] = {0x02, 0xb1, 0, 0, 0, 2};
const uint8_t our_ip[4] = {10, 0, 2, 15}, gateway_ip[4] = {10, 0, 2, 2};

uint8_t frame[FRAME_ROOM];

/* ---- waiting ---- */

static void nothing(struct timer *timer)
{
	(void)timer;
}

void wait_tick(void)
{
	static struct timer timer;

	if (!timer.fire)
		timer_init(&timer, nothing);
	timer_set_in(&timer, TICK_MS * NSEC_PER_MSEC);
	cpu_idle_wait();
}

bool wait_until(bool (*is_done)(void))
{
	uint64_t end = time_now_ns() + WAIT_MS * NSEC_PER_MSEC;

	while (!is_done()) {
		if (time_now_ns() > end)
			return false;
		wait_tick();
	}
	return true;
}

bool wait_for(const uint32_t *counter, uint32_t wanted)
{
	uint64_t end = time_now_ns() + WAIT_MS * NSEC_PER_MSEC;

	while (__atomic_load_n(counter, __ATOMIC_RELAXED) < wanted) {
		if (time_now_ns() > end)
			return false;
		wait_tick();
	}
	return true;
}

void end_badly(const char *why)
{
	log_err("nics", "gave up: %s", why);
	power_off();
}

/* ---- frames ---- */

uint32_t frame_add(uint32_t sum, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get_be16(at + i);
	return (len & 1) ? sum + ((uint32_t)at[len - 1] << 8) : sum;
}

uint16_t frame_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

void frame_put_ethernet(const uint8_t *to, uint16_t type)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, our_mac, 6);
	put_be16(frame + 12, type);
}

uint8_t frame_pattern(uint32_t stream, uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) + stream);
}

size_t frame_put_ip(bool is_ip4, uint8_t proto, size_t l4_bytes)
{
	uint8_t *ip = frame + ETH_BYTES;
	size_t bytes = is_ip4 ? IP4_BYTES : IP6_BYTES;

	frame_put_ethernet(peer_mac, is_ip4 ? TYPE_IP4 : TYPE_IP6);
	memset(ip, 0, bytes);
	ip[0] = is_ip4 ? 0x45 : 0x60;
	if (is_ip4) {
		put_be16(ip + 2, (uint16_t)(IP4_BYTES + l4_bytes));
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, our_ip, 4);
		memcpy(ip + 16, gateway_ip, 4);
		put_be16(ip + 10, (uint16_t)~frame_fold(frame_add(0, ip, IP4_BYTES)));
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
	uint32_t sum = is_ip4 ? frame_add(0, ip + 12, 8) : frame_add(0, ip + 8, 32);

	return frame_fold(sum + proto + (uint32_t)l4_bytes);
}

size_t frame_make_packet(bool is_ip4, uint8_t proto, uint16_t port, uint32_t at, size_t payload,
			 struct frame_offload *offload)
{
	size_t header = proto == PROTO_TCP ? TCP_BYTES : UDP_BYTES;
	size_t l4 = frame_put_ip(is_ip4, proto, header + payload);
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
		frame[l4 + header + i] = frame_pattern(port, at + (uint32_t)i);
	offload->needs_csum = true;
	offload->csum_start = (uint16_t)l4;
	offload->csum_offset = proto == PROTO_TCP ? 16 : 6;
	offload->hdr_len = (uint16_t)(l4 + header);
	put_be16(frame + l4 + offload->csum_offset,
		 pseudo_sum(is_ip4, proto, is_gso ? 0 : header + payload));
	return l4 + header + payload;
}
