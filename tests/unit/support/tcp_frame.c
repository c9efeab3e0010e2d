/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of 16-bit words in the order of the wire, one by one. */
#include "tests/unit/support/tcp_frame.h"

#include <string.h>

#include "kernel/lib/bytes.h"

static uint32_t add_words(uint32_t sum, const uint8_t *at, size_t len_bytes)
{
	for (size_t i = 0; i < len_bytes; i++) {
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
		sum = sum % 65536 + sum / 65536;
	}
	return sum;
}

static bool is_ipv6(const uint8_t *frame)
{
	return frame[12] == 0x86 && frame[13] == 0xdd;
}

static size_t tcp_at(const uint8_t *frame)
{
	return is_ipv6(frame) ? 14 + 40 : 14 + 4u * (frame[14] & 15);
}

uint16_t tcp_frame_pseudo_sum(const uint8_t *frame, size_t len_bytes)
{
	uint32_t sum = 6 + (uint32_t)(len_bytes - tcp_at(frame));

	sum = sum % 65536 + sum / 65536;
	return (uint16_t)(is_ipv6(frame) ? add_words(sum, frame + 14 + 8, 32)
					 : add_words(sum, frame + 14 + 12, 8));
}

bool tcp_frame_holds(const uint8_t *frame, size_t len_bytes)
{
	size_t tcp = tcp_at(frame);

	if (is_ipv6(frame)) {
		if (get_be16(frame + 18) != len_bytes - 54)
			return false;
	} else if (get_be16(frame + 16) != len_bytes - 14 ||
		   add_words(0, frame + 14, tcp - 14) != 0xffff) {
		return false;
	}
	return add_words(tcp_frame_pseudo_sum(frame, len_bytes), frame + tcp, len_bytes - tcp) ==
	       0xffff;
}

static void put_ipv4(struct tcp_frame *f, const struct tcp_frame_conf *conf)
{
	uint8_t *ip = f->bytes + 14;

	put_be16(f->bytes + 12, 0x0800);
	ip[0] = (uint8_t)(0x45 + conf->ip_options);
	put_be16(ip + 2, (uint16_t)(f->len_bytes - 14));
	put_be16(ip + 4, conf->id);
	put_be16(ip + 6, 0x4000); /* do not fragment */
	ip[8] = 64;
	ip[9] = 6;
	put_be32(ip + 12, 0x0a00020f);
	put_be32(ip + 16, 0xc0a8fffe);
	memset(ip + 20, 1, 4 * conf->ip_options);
	put_be16(ip + 10, (uint16_t)~add_words(0, ip, f->tcp_at - 14));
}

static void put_ipv6(struct tcp_frame *f)
{
	uint8_t *ip = f->bytes + 14;

	put_be16(f->bytes + 12, 0x86dd);
	ip[0] = 0x60;
	put_be16(ip + 4, (uint16_t)(f->len_bytes - 54));
	ip[6] = 6;
	ip[7] = 64;
	for (uint32_t i = 0; i < 32; i++)
		ip[8 + i] = (uint8_t)(0xfe - 9 * i);
}

static void put_tcp(struct tcp_frame *f, const struct tcp_frame_conf *conf)
{
	uint8_t *tcp = f->bytes + f->tcp_at;
	uint32_t sum;

	put_be16(tcp, 40000);
	put_be16(tcp + 2, 80);
	put_be32(tcp + 4, conf->seq);
	put_be32(tcp + 8, 0x01020304);
	tcp[12] = (uint8_t)((5 + conf->tcp_options) << 4);
	tcp[13] = conf->flags;
	put_be16(tcp + 14, 0xfaf0);
	memset(tcp + 20, 1, 4 * conf->tcp_options);
	for (uint32_t i = 0; i < conf->payload_bytes; i++)
		f->bytes[f->payload_at + i] = (uint8_t)(i * 7 + i / 251);
	sum = tcp_frame_pseudo_sum(f->bytes, f->len_bytes);
	if (conf->gso_size) /* without the length: its ones' complement is added */
		sum += 0xffff - (uint32_t)((f->len_bytes - f->tcp_at) % 65535);
	put_be16(tcp + 16, (uint16_t)(sum % 65536 + sum / 65536));
}

void tcp_frame_make(struct tcp_frame *f, const struct tcp_frame_conf *conf)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->bytes, (const uint8_t[]){0x52, 0x55, 0x0a, 0, 2, 2, 2, 0, 0, 0, 0, 3}, 12);
	f->tcp_at = 14 + (conf->is_ipv6 ? 40 : 20 + 4 * conf->ip_options);
	f->payload_at = f->tcp_at + 20 + 4 * conf->tcp_options;
	f->len_bytes = f->payload_at + conf->payload_bytes;
	if (conf->is_ipv6)
		put_ipv6(f);
	else
		put_ipv4(f, conf);
	put_tcp(f, conf);
	f->offload = (struct frame_offload){
		.needs_csum = true,
		.csum_start = (uint16_t)f->tcp_at,
		.csum_offset = 16,
		.gso = !conf->gso_size ? OFFLOAD_GSO_NONE
		       : conf->is_ipv6 ? OFFLOAD_GSO_TCP6
				       : OFFLOAD_GSO_TCP4,
		.gso_size = conf->gso_size,
		.hdr_len = (uint16_t)f->payload_at,
	};
}
