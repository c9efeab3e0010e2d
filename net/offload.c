/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums are taken in the machine's byte order, eight bytes at a time: a ones' complement sum of
 * 16-bit words is the same in either order but for the order of its own bytes, and a carry out of
 * any multiple of 16 bits counts as one. [CSUM] "Computing the Internet Checksum".
 */
#include "net/offload.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [IPV4] "Internet Header Format"; [IPV6] "IPv6 Header Format" */
#define IPV4_LENGTH 2u
#define IPV4_ID	    4u
#define IPV4_CSUM   10u
#define IPV6_LENGTH 4u
#define IPV6_BYTES  40u

/* [TCP] "Header Format" */
#define TCP_SEQ	  4u
#define TCP_FLAGS 13u
#define TCP_CSUM  16u
#define TCP_FIN	  0x01u
#define TCP_PSH	  0x08u
#define TCP_CWR	  0x80u

/* ---- sums ---- */

static uint64_t sum_words(uint64_t sum, const uint8_t *at, size_t nr_words)
{
	for (; nr_words; nr_words--, at += 8) {
		uint64_t word = get_le64(at);

		sum += word;
		sum += sum < word; /* the carry */
	}
	return sum;
}

static uint16_t sum_of(const uint8_t *at, size_t len_bytes)
{
	uint64_t sum = sum_words(0, at, len_bytes / 8), rest = 0;

	memcpy(&rest, at + ALIGN_DOWN(len_bytes, 8), len_bytes % 8);
	sum += rest;
	sum += sum < rest;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/*
 * What makes the sum over a range all ones, its field being part of it. Where the answer is 0 it is
 * all ones, which is the same to whoever adds it up, while to UDP a field of 0 is no checksum.
 */
static void fill_sum(uint8_t *from, size_t len_bytes, uint8_t *field)
{
	uint16_t csum = (uint16_t)~sum_of(from, len_bytes);

	put_le16(field, csum ? csum : 0xffff);
}

/* ---- how many, how long ---- */

static bool is_segment(const struct frame_offload *offload)
{
	return offload && offload->gso != OFFLOAD_GSO_NONE;
}

uint32_t offload_frames(size_t len_bytes, const struct frame_offload *offload)
{
	if (!is_segment(offload))
		return 1;
	return (uint32_t)((len_bytes - offload->hdr_len + offload->gso_size - 1) /
			  offload->gso_size);
}

uint64_t offload_wire_bytes(size_t len_bytes, const struct frame_offload *offload)
{
	if (!is_segment(offload))
		return len_bytes;
	return len_bytes + (offload_frames(len_bytes, offload) - 1) * (uint64_t)offload->hdr_len;
}

size_t offload_longest(size_t len_bytes, const struct frame_offload *offload)
{
	if (!is_segment(offload))
		return len_bytes;
	return MIN(len_bytes, (size_t)offload->hdr_len + offload->gso_size);
}

/* ---- cutting ---- */

void offload_cut_start(struct offload_cut *cut, const void *frame, size_t len_bytes,
		       const struct frame_offload *offload, bool leaves_csum)
{
	*cut = (struct offload_cut){
		.frame = frame,
		.len_bytes = len_bytes,
		.offload = *offload,
		.at = offload->hdr_len,
		.leaves_csum = leaves_csum,
	};
	cut->left.csum_start = offload->csum_start;
	cut->left.csum_offset = offload->csum_offset;
	cut->left.needs_csum = offload->needs_csum && leaves_csum;
}

static void fix_ip(const struct offload_cut *cut, uint8_t *out, size_t len_bytes)
{
	uint8_t *ip = out + OFFLOAD_ETH_BYTES;
	size_t ip_bytes = len_bytes - OFFLOAD_ETH_BYTES;

	if (cut->offload.gso == OFFLOAD_GSO_TCP6) {
		put_be16(ip + IPV6_LENGTH, (uint16_t)(ip_bytes - IPV6_BYTES));
		return;
	}
	put_be16(ip + IPV4_LENGTH, (uint16_t)ip_bytes);
	put_be16(ip + IPV4_ID, (uint16_t)(get_be16(ip + IPV4_ID) + cut->nr_made));
	put_be16(ip + IPV4_CSUM, 0);
	fill_sum(ip, cut->offload.csum_start - OFFLOAD_ETH_BYTES, ip + IPV4_CSUM);
}

static void fix_tcp(const struct offload_cut *cut, uint8_t *out, size_t len_bytes)
{
	uint8_t *tcp = out + cut->offload.csum_start;
	uint32_t tcp_bytes = (uint32_t)(len_bytes - cut->offload.csum_start);
	uint32_t done = (uint32_t)(cut->at - cut->offload.hdr_len);

	put_be32(tcp + TCP_SEQ, get_be32(tcp + TCP_SEQ) + done);
	if (!cut->is_over)
		tcp[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
	if (cut->nr_made > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	put_be16(tcp + TCP_CSUM, offload_pseudo_sum(out, &cut->offload, tcp_bytes));
	if (!cut->leaves_csum)
		fill_sum(tcp, tcp_bytes, tcp + TCP_CSUM);
}

static size_t next_segment(struct offload_cut *cut, uint8_t *out)
{
	size_t header = cut->offload.hdr_len;
	size_t part = MIN(cut->len_bytes - cut->at, (size_t)cut->offload.gso_size);

	memcpy(out, cut->frame, header);
	memcpy(out + header, cut->frame + cut->at, part);
	cut->is_over = cut->at + part == cut->len_bytes;
	fix_ip(cut, out, header + part);
	fix_tcp(cut, out, header + part);
	cut->at += part;
	cut->nr_made++;
	return header + part;
}

static size_t whole_frame(struct offload_cut *cut, uint8_t *out)
{
	const struct frame_offload *offload = &cut->offload;

	memcpy(out, cut->frame, cut->len_bytes);
	if (offload->needs_csum && !cut->leaves_csum)
		fill_sum(out + offload->csum_start, cut->len_bytes - offload->csum_start,
			 out + offload->csum_start + offload->csum_offset);
	cut->is_over = true;
	cut->nr_made++;
	return cut->len_bytes;
}

size_t offload_cut_next(struct offload_cut *cut, uint8_t *out)
{
	if (cut->is_over)
		return 0;
	return is_segment(&cut->offload) ? next_segment(cut, out) : whole_frame(cut, out);
}
