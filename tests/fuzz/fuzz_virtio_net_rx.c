/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio network card that fills buffers and their headers with whatever it likes: no frame lies
 * outside of what was received, none is longer than a frame can be, what its offload says is true,
 * and no buffer is lost.
 *
 * Input: a byte for what was agreed on, then for each buffer its length and the bytes that it
 * begins with.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtio_net_rings.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE   32u
#define BUFFER 4096u
#define HEAD   96u

static uint64_t seen_bytes;

static void check(bool is_true)
{
	if (!is_true)
		abort();
}

static void use(const struct virtio_net_frame *frame)
{
	struct frame_offload offload = frame->offload;

	check(frame->len_bytes >= VIRTIO_NET_FRAME_MIN && frame->len_bytes <= OFFLOAD_FRAME_MAX);
	for (size_t i = 0; i < frame->len_bytes; i++)
		seen_bytes += frame->data[i] != 0;
	if (frame->has_offload)
		check(offload_check(frame->data, frame->len_bytes, &offload) == HV_OK);
}

static void fill(struct virtq *q, uint8_t *buffers, uint16_t *used, struct input *in)
{
	uint16_t head = q->avail[VIRTQ_RING + used[VIRTQ_IDX] % SIZE];
	uint32_t *entry = (uint32_t *)(used + VIRTQ_RING) + 2 * (used[VIRTQ_IDX] % SIZE);
	uint8_t *buffer = buffers + q->descs[head].bus;
	size_t len = MIN(in->left, HEAD);

	entry[0] = head;
	entry[1] = input_u16(in) % (BUFFER + 2);
	len = MIN(len, in->left);
	memcpy(buffer, in->at, len);
	in->at += len;
	in->left -= len;
	used[VIRTQ_IDX]++;
}

static void look(struct virtio_net_rx *rx)
{
	struct virtio_net_frame frame;
	enum virtio_net_rx_kind kind;

	while ((kind = virtio_net_rx_look(rx, &frame)) != VIRTIO_NET_RX_NONE) {
		if (kind == VIRTIO_NET_RX_FRAME)
			use(&frame);
		virtio_net_rx_return(rx);
	}
	check(rx->q->is_broken || rx->q->nr_out == SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtq_shape shape = {.size = SIZE};
	struct virtq_layout layout = virtq_layout(&shape);
	uint8_t *memory = calloc(1, layout.len_bytes), *buffers = calloc(SIZE, BUFFER);
	uint8_t *large = malloc(OFFLOAD_FRAME_MAX);
	struct input in = {data, size};
	uint8_t how = input_u8(&in);
	static struct virtq q;
	struct virtio_net_rx rx = {.q = &q,
				   .buffers = buffers,
				   .buffer_bytes = BUFFER,
				   .has_merge = how & 1,
				   .has_offload = how & 2,
				   .large = large};

	virtq_init(&q, memory, 0, &shape);
	virtio_net_rx_fill(&rx);
	while (in.left && !q.is_broken) {
		fill(&q, buffers, (uint16_t *)(memory + layout.used), &in);
		look(&rx);
	}
	free(memory);
	free(buffers);
	free(large);
	return 0;
}
