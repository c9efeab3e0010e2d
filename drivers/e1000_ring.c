/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors are volatile: the card changes them at any time. Each field is read once into a local
 * variable and checked there. Indices are ours and never read back from the card.
 */
#include "drivers/e1000_ring.h"

#include "kernel/lib/string.h"

static uint32_t after(uint32_t index)
{
	return (index + 1) % E1000_RING_ENTRIES;
}

void e1000_rx_init(struct e1000_rx_ring *ring, void *descs, const void *buffers,
		   uint64_t buffers_bus)
{
	*ring = (struct e1000_rx_ring){.descs = descs, .buffers = buffers};
	for (uint32_t i = 0; i < E1000_RING_ENTRIES; i++)
		ring->descs[i].addr = buffers_bus + i * E1000_BUFFER_BYTES;
}

void e1000_tx_init(struct e1000_tx_ring *ring, void *descs, void *buffers, uint64_t buffers_bus)
{
	*ring = (struct e1000_tx_ring){
		.descs = descs, .buffers = buffers, .buffers_bus = buffers_bus};
}

enum e1000_rx e1000_rx_look(struct e1000_rx_ring *ring, const uint8_t **frame, size_t *len_bytes)
{
	volatile struct e1000_rx_desc *desc = &ring->descs[ring->next];
	uint8_t status = desc->status, errors;
	uint16_t len;

	if (!(status & E1000_RXD_DD))
		return E1000_RX_NONE;
	/* The read of status before those of the other fields and of the buffer. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	len = desc->len_bytes;
	errors = desc->errors;

	if (!(status & E1000_RXD_EOP)) {
		ring->is_in_long_frame = true;
		return E1000_RX_PART;
	}
	if (ring->is_in_long_frame) {
		ring->is_in_long_frame = false;
		return E1000_RX_BAD;
	}
	if ((errors & E1000_RXD_ERRORS) || len < E1000_FRAME_MIN || len > E1000_BUFFER_BYTES)
		return E1000_RX_BAD;

	*frame = ring->buffers + ring->next * E1000_BUFFER_BYTES;
	*len_bytes = len;
	return E1000_RX_FRAME;
}

uint32_t e1000_rx_return(struct e1000_rx_ring *ring)
{
	uint32_t returned = ring->next;

	ring->descs[returned].status = 0;
	/* The write of status before that of the tail register, which follows. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	ring->next = after(returned);
	return returned;
}

static void reclaim(struct e1000_tx_ring *ring)
{
	while (ring->oldest != ring->tail && (ring->descs[ring->oldest].status & E1000_TXD_DD))
		ring->oldest = after(ring->oldest);
}

bool e1000_tx_put(struct e1000_tx_ring *ring, const void *frame, size_t len_bytes)
{
	volatile struct e1000_tx_desc *desc = &ring->descs[ring->tail];
	uint8_t *buffer = ring->buffers + ring->tail * E1000_BUFFER_BYTES;
	size_t wire_bytes = MAX(len_bytes, E1000_FRAME_SHORT);

	if (len_bytes < E1000_FRAME_MIN || len_bytes > E1000_BUFFER_BYTES)
		return false;
	reclaim(ring);
	if (after(ring->tail) == ring->oldest)
		return false;

	memcpy(buffer, frame, len_bytes);
	memset(buffer + len_bytes, 0, wire_bytes - len_bytes);
	desc->addr = ring->buffers_bus + ring->tail * E1000_BUFFER_BYTES;
	desc->len_bytes = (uint16_t)wire_bytes;
	desc->checksum_offset = desc->checksum_start = 0;
	desc->special = 0;
	desc->status = 0;
	desc->command = E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_RS;
	/* The frame and its descriptor before the tail register, which the caller writes. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	ring->tail = after(ring->tail);
	return true;
}
