/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame and what is said of it, both any: what offload_check() lets through is cut, and every
 * frame that comes of it is no longer than was said, has sums that hold, and carries its part of
 * the payload.
 *
 * Input: {how, csum_start, csum_offset, gso_size, payload length}, then bytes. With bit 0 of how a
 * segment is made, as it should be, and the bytes are pairs of where in it to change what; else
 * they are the frame.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/assert.h"
#include "net/offload.h"
#include "tests/fuzz/input.h"
#include "tests/unit/support/tcp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes);

static struct tcp_frame made;

static void check(bool is_right)
{
	if (!is_right)
		abort();
}

static void make(struct input *in, uint8_t how, struct frame_offload *offload)
{
	bool lies = how & 2;

	tcp_frame_make(&made, &(struct tcp_frame_conf){
				      .is_ipv6 = how & 4,
				      .ip_options = how >> 3 & 3,
				      .tcp_options = how >> 5,
				      .payload_bytes = input_u16(in) % 4096,
				      .gso_size = offload->gso_size,
				      .flags = 0xff,
				      .seq = 0xfffffff0,
				      .id = 0xffff,
			      });
	if (!lies)
		*offload = made.offload;
	while (in->left >= 2) {
		uint8_t at = input_u8(in);

		made.bytes[at] = input_u8(in);
	}
}

static void take(struct input *in)
{
	made.len_bytes = MIN(in->left, sizeof(made.bytes));
	memcpy(made.bytes, in->at, made.len_bytes);
}

static void check_frame(const struct offload_cut *cut, const uint8_t *out, size_t len_bytes,
			size_t payload_at)
{
	size_t header = cut->offload.hdr_len;

	if (cut->offload.gso == OFFLOAD_GSO_NONE)
		return;
	check(memcmp(out + header, cut->frame + payload_at, len_bytes - header) == 0);
	check(memcmp(out, cut->frame, 14) == 0);
	check(cut->leaves_csum || tcp_frame_holds(out, len_bytes));
}

static void cut_all(const uint8_t *frame, size_t frame_bytes, const struct frame_offload *offload,
		    bool leaves_csum)
{
	size_t longest = offload_longest(frame_bytes, offload), at = offload->hdr_len, len;
	uint8_t *out = malloc(longest);
	uint64_t wire_bytes = 0;
	struct offload_cut cut;

	offload_cut_start(&cut, frame, frame_bytes, offload, leaves_csum);
	while ((len = offload_cut_next(&cut, out)) != 0) {
		check(len <= longest);
		check_frame(&cut, out, len, at);
		at += len - offload->hdr_len;
		wire_bytes += len;
	}
	check(cut.nr_made == offload_frames(frame_bytes, offload));
	check(wire_bytes == offload_wire_bytes(frame_bytes, offload));
	check(offload->gso == OFFLOAD_GSO_NONE || at == frame_bytes);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes)
{
	struct input in = {data, len_bytes};
	uint8_t how = input_u8(&in), kind = input_u8(&in), *frame;
	struct frame_offload offload = {
		.needs_csum = kind & 4,
		.gso = (enum offload_gso)((kind & 3) % 3),
		.csum_start = input_u16(&in),
		.csum_offset = input_u16(&in),
		.gso_size = input_u16(&in),
	};

	if (how & 1)
		make(&in, how, &offload);
	else
		take(&in);
	frame = malloc(MAX(made.len_bytes, 1)); /* of this size, so that a read past it is seen */
	memcpy(frame, made.bytes, made.len_bytes);
	if (offload_check(frame, made.len_bytes, &offload) == HV_OK) {
		if (offload.gso == OFFLOAD_GSO_NONE)
			offload.hdr_len = 0;
		cut_all(frame, made.len_bytes, &offload, kind & 8);
	}
	free(frame);
	return 0;
}
