/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a frame what its sender says of it? The headers are walked once, from the outside in, and each
 * length is held against those around it; what the sender gave is only ever compared.
 */
#include "drivers/offload.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"

/* [802.3] "MAC frame format": the type, and its values */
#define ETH_TYPE      12u
#define ETH_TYPE_IPV4 0x0800u
#define ETH_TYPE_IPV6 0x86ddu

/* [IPV4] "Internet Header Format" */
#define IPV4_BYTES	   20u
#define IPV4_LENGTH	   2u
#define IPV4_FRAGMENT	   6u
#define IPV4_FRAGMENT_MASK 0x3fffu /* more fragments, and the offset */
#define IPV4_PROTOCOL	   9u
#define IPV4_ADDRESSES	   12u

/* [IPV6] "IPv6 Header Format" */
#define IPV6_BYTES     40u
#define IPV6_LENGTH    4u /* of what follows the header */
#define IPV6_NEXT      6u
#define IPV6_ADDRESSES 8u

/* [TCP] "Header Format" */
#define TCP_PROTOCOL 6u
#define TCP_BYTES    20u
#define TCP_WORDS    12u /* the header's length, in the upper half of the byte */
#define TCP_CSUM     16u

/* Where the TCP header begins, or 0: this is no packet of it that fills the frame. */
static size_t find_tcp4(const uint8_t *frame, size_t len_bytes)
{
	const uint8_t *ip = frame + OFFLOAD_ETH_BYTES;
	size_t ip_bytes = len_bytes - OFFLOAD_ETH_BYTES, header;

	if (ip_bytes < IPV4_BYTES || get_be16(frame + ETH_TYPE) != ETH_TYPE_IPV4 || ip[0] >> 4 != 4)
		return 0;
	header = (ip[0] & 0x0fu) * 4u;
	if (header < IPV4_BYTES || header > ip_bytes || get_be16(ip + IPV4_LENGTH) != ip_bytes)
		return 0;
	if (get_be16(ip + IPV4_FRAGMENT) & IPV4_FRAGMENT_MASK || ip[IPV4_PROTOCOL] != TCP_PROTOCOL)
		return 0;
	return OFFLOAD_ETH_BYTES + header;
}

static size_t find_tcp6(const uint8_t *frame, size_t len_bytes)
{
	const uint8_t *ip = frame + OFFLOAD_ETH_BYTES;
	size_t ip_bytes = len_bytes - OFFLOAD_ETH_BYTES;

	if (ip_bytes < IPV6_BYTES || get_be16(frame + ETH_TYPE) != ETH_TYPE_IPV6 || ip[0] >> 4 != 6)
		return 0;
	if (get_be16(ip + IPV6_LENGTH) != ip_bytes - IPV6_BYTES || ip[IPV6_NEXT] != TCP_PROTOCOL)
		return 0;
	return OFFLOAD_ETH_BYTES + IPV6_BYTES;
}

static enum hv_err check_segment(const uint8_t *frame, size_t len_bytes,
				 struct frame_offload *offload)
{
	size_t tcp, header;

	if (len_bytes < OFFLOAD_ETH_BYTES || !offload->needs_csum || offload->gso_size == 0)
		return HV_EPROTO;
	tcp = offload->gso == OFFLOAD_GSO_TCP4 ? find_tcp4(frame, len_bytes)
					       : find_tcp6(frame, len_bytes);
	if (tcp == 0 || len_bytes - tcp < TCP_BYTES)
		return HV_EPROTO;
	header = (frame[tcp + TCP_WORDS] >> 4) * 4u;
	if (header < TCP_BYTES || header >= len_bytes - tcp)
		return HV_EPROTO;
	if (offload->csum_start != tcp || offload->csum_offset != TCP_CSUM)
		return HV_EPROTO;
	offload->hdr_len = (uint16_t)(tcp + header);
	return HV_OK;
}

enum hv_err offload_check(const void *frame, size_t len_bytes, struct frame_offload *offload)
{
	if (offload->needs_csum && (offload->csum_start < OFFLOAD_ETH_BYTES ||
				    offload->csum_start + offload->csum_offset + 2u > len_bytes))
		return HV_EPROTO;
	if (offload->gso == OFFLOAD_GSO_NONE)
		return HV_OK;
	return check_segment(frame, len_bytes, offload);
}

uint16_t offload_pseudo_sum(const void *frame, const struct frame_offload *offload,
			    uint32_t tcp_bytes)
{
	bool is_ipv4 = offload->gso == OFFLOAD_GSO_TCP4;
	const uint8_t *at = (const uint8_t *)frame + OFFLOAD_ETH_BYTES +
			    (is_ipv4 ? IPV4_ADDRESSES : IPV6_ADDRESSES);
	uint32_t nr_words = is_ipv4 ? 4 : 16; /* two addresses */
	uint32_t sum = TCP_PROTOCOL + (tcp_bytes >> 16) + (tcp_bytes & 0xffff);

	ASSERT(offload->gso != OFFLOAD_GSO_NONE);
	for (uint32_t i = 0; i < nr_words; i++)
		sum += get_be16(at + 2 * i);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}
