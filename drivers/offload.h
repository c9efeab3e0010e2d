/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to do to a frame, or was done already, in the words of virtio's network header:
 * the checksum of its transport layer, and cutting a large TCP segment into frames.
 *
 * A frame with gso has one TCP header, whose checksum field holds that of the pseudo header without
 * a length, as the field's hardware wants it, and up to 64 KiB of payload behind it.
 *
 * Source: [VIRTIO] "Network Device", "Packet Transmission".
 */
#ifndef DRIVERS_OFFLOAD_H
#define DRIVERS_OFFLOAD_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define OFFLOAD_FRAME_MAX                                                                          \
	65550u /* an IP packet of 64 KiB - 1 behind an Ethernet header, rounded up */

enum offload_gso { OFFLOAD_GSO_NONE, OFFLOAD_GSO_TCP4, OFFLOAD_GSO_TCP6 };

struct frame_offload {
	bool needs_csum;    /* sum from csum_start to the end, store at csum_start + csum_offset */
	bool is_csum_valid; /* received: the transport checksum has been looked at and is right */
	uint16_t csum_start,
		csum_offset;  /* bytes from the start of the frame; offset from csum_start */
	enum offload_gso gso; /* not NONE: needs_csum is set */
	uint16_t gso_size;    /* payload of each frame, bytes */
	uint16_t hdr_len;     /* Ethernet, IP and TCP headers: where the payload starts */
};

/* What offload_check() holds a segment to, so that nobody need look for its headers again. */
#define OFFLOAD_ETH_BYTES 14u /* no VLAN tag */
#define OFFLOAD_HDR_MAX	  (OFFLOAD_ETH_BYTES + 60 + 60)

/*
 * offload_check - whether a frame is what its offload says, so that drivers need not look again
 *
 * On HV_OK: csum_start is behind the Ethernet header, so that a checksum cannot become part of an
 * address or a type that was looked at before, and csum_start + csum_offset + 2 lies in the frame;
 * with gso the frame is TCP over IPv4 or IPv6 (no fragment, no extension headers, no VLAN tag) as
 * it says, csum_start and csum_offset are those of its TCP header, hdr_len is where that ends (set
 * from the frame's own lengths, whatever the sender gave) and payload follows, gso_size is 1 or
 * more, and the IP length is that of the frame. Pure.
 *
 * Errors:  HV_EPROTO - it is not.
 */
MUST_CHECK enum hv_err offload_check(const void *frame, size_t len_bytes,
				     struct frame_offload *offload);

/*
 * offload_pseudo_sum - what belongs into the checksum field of a frame with gso before its sum is
 * taken, in the byte order of be16
 *
 * tcp_bytes  TCP header and payload; 0 for the sum without a length that hardware wants
 *
 * The frame has passed offload_check(). Pure.
 * Source:  [TCP] "Header Format" and [IPV6] "Upper-Layer Checksums", the pseudo headers.
 */
uint16_t offload_pseudo_sum(const void *frame, const struct frame_offload *offload,
			    uint32_t tcp_bytes);

#endif
