/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finishing in software what a receiver cannot take: filling in a checksum, and cutting a large TCP
 * segment into frames. Pure, and takes no memory: each frame is made in the caller's.
 *
 *    offload_cut_start(&cut, frame, len_bytes, offload, leaves_csum);
 *    while ((len = offload_cut_next(&cut, scratch)) != 0)
 *            … scratch is a frame of len bytes, cut.left what is still to do to it …
 */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include "drivers/offload.h"

/* offload_frames - how many frames it becomes on a wire; 1 without gso. offload may be NULL. */
uint32_t offload_frames(size_t len_bytes, const struct frame_offload *offload);

/* offload_wire_bytes - the bytes of all of them, each with headers of its own */
uint64_t offload_wire_bytes(size_t len_bytes, const struct frame_offload *offload);

/* offload_longest - the bytes of the longest of them */
size_t offload_longest(size_t len_bytes, const struct frame_offload *offload);

struct offload_cut {	      /* one frame's way through it; the caller's memory */
	const uint8_t *frame; /* borrowed until the end */
	size_t len_bytes;
	struct frame_offload offload;
	size_t at; /* of the payload, the next byte to go out */
	uint32_t nr_made;
	bool leaves_csum, is_over;
	struct frame_offload left; /* of the frame made last: needs_csum, or nothing */
};

/*
 * offload_cut_start - begin with the first frame
 *
 * frame        has passed offload_check() with this offload, which is copied
 * leaves_csum  the receiver sums by itself: checksum fields get the sum of the pseudo header
 */
void offload_cut_start(struct offload_cut *cut, const void *frame, size_t len_bytes,
		       const struct frame_offload *offload, bool leaves_csum);

/*
 * offload_cut_next - make the next frame in out, which has offload_longest() bytes; 0 when there is
 * none
 *
 * Of a large segment: sequence numbers and IPv4 identifications count on, PSH and FIN are in the
 * last frame only, CWR in the first only, lengths and IPv4's header checksum are each frame's own.
 * Source:  [TCP] "Header Format", [IPV4] "Internet Header Format", [ECN] "The TCP Sender" for CWR.
 */
size_t offload_cut_next(struct offload_cut *cut, uint8_t *out);

#endif
