/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A card that writes whatever it likes into the receive ring: no frame may lie outside a buffer,
 * and the ring goes round one descriptor at a time.
 *
 * Input: for each descriptor in turn its length, status and errors; 4 bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/e1000_ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seen_bytes;

static void use(const uint8_t *frame, size_t len_bytes)
{
	if (len_bytes < E1000_FRAME_MIN || len_bytes > E1000_BUFFER_BYTES)
		abort();
	for (size_t i = 0; i < len_bytes; i++)
		seen_bytes += frame[i] != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct e1000_rx_desc *descs = calloc(E1000_RING_ENTRIES, sizeof(*descs));
	uint8_t *buffers = calloc(1, E1000_BUFFERS_BYTES);
	struct e1000_rx_ring ring;

	e1000_rx_init(&ring, descs, buffers, 0);
	for (uint32_t i = 0; size >= 4; i = (i + 1) % E1000_RING_ENTRIES, data += 4, size -= 4) {
		const uint8_t *frame = NULL;
		size_t len_bytes = 0;
		enum e1000_rx kind;

		memcpy(&descs[i].len_bytes, data, 2);
		descs[i].status = data[2];
		descs[i].errors = data[3];
		kind = e1000_rx_look(&ring, &frame, &len_bytes);
		if ((kind == E1000_RX_NONE) != !(data[2] & E1000_RXD_DD))
			abort();
		if (kind == E1000_RX_NONE)
			break;
		if (kind == E1000_RX_FRAME)
			use(frame, len_bytes);
		if (e1000_rx_return(&ring) != i)
			abort();
	}
	free(descs);
	free(buffers);
	return 0;
}
