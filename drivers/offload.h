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

/*
 * offload_check - whether a frame is what its offload says, so that drivers need not look again
 *
 * On HV_OK: csum_start + csum_offset + 2 lies in the frame; with gso the frame is TCP over IPv4 or
 * IPv6 (without extension headers) as it says, hdr_len is where the TCP header ends (set from the
 * frame's own lengths, whatever the sender gave), gso_size is 1 or more, and the IP length covers
 * the frame. Pure.
 *
 * Errors:  HV_EPROTO - it is not.
 */
MUST_CHECK enum hv_err offload_check(const void *frame, size_t len_bytes,
				     struct frame_offload *offload);

#endif
