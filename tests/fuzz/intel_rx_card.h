/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card that writes whatever it likes into the receive ring: no frame may lie outside the ring's
 * memory, and the ring goes round one descriptor at a time.
 *
 * Input: the longest frame, 2 bytes; then for each descriptor in turn a whole one, 16 bytes.
 */
#ifndef TESTS_FUZZ_INTEL_RX_CARD_H
#define TESTS_FUZZ_INTEL_RX_CARD_H

#include <stdlib.h>
#include <string.h>

#include "drivers/intel_rx.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seen_bytes;

static void use(const struct intel_rx_frame *frame, const struct intel_rx_ring *ring)
{
	if (frame->len_bytes < INTEL_FRAME_MIN || frame->len_bytes > ring->frame_max)
		abort();
	for (size_t i = 0; i < frame->len_bytes; i++)
		seen_bytes += frame->data[i] != 0;
}

/* False: the card is not done with the descriptor, and so the input ends. */
static bool take(struct intel_rx_ring *ring, uint32_t index)
{
	struct intel_rx_frame frame = {0};
	enum intel_rx kind = intel_rx_look(ring, &frame);

	if (kind == INTEL_RX_NONE)
		return false;
	if (kind == INTEL_RX_FRAME)
		use(&frame, ring);
	if (intel_rx_return(ring) != index)
		abort();
	return true;
}

static void fuzz(enum intel_rx_format format, const uint8_t *data, size_t size)
{
	struct intel_rx_desc *descs = calloc(INTEL_RING_ENTRIES, sizeof(*descs));
	uint8_t *buffers = calloc(1, INTEL_BUFFERS_BYTES), *whole = calloc(1, INTEL_FRAME_MAX);
	struct input in = {data, size};
	struct intel_rx_ring ring;
	uint32_t at = 0;

	intel_rx_init(&ring, format, descs, buffers, 0, whole, input_u16(&in) % INTEL_FRAME_MAX);
	do {
		for (uint32_t i = 0; i < 4; i++)
			descs[at % INTEL_RING_ENTRIES].words[i] = input_u32(&in);
	} while (take(&ring, at++ % INTEL_RING_ENTRIES));
	free(descs);
	free(buffers);
	free(whole);
}

#endif
