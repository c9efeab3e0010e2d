/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors are volatile: the card changes them at any time. Each word is read once into a local
 * variable and checked there. Indices are ours and never read back from the card.
 */
#include "drivers/intel_rx.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

static void arm(struct intel_rx_ring *ring, uint32_t index)
{
	volatile struct intel_rx_desc *desc = &ring->descs[index];
	uint64_t addr = ring->buffers_bus + index * INTEL_BUFFER_BYTES;

	desc->words[0] = (uint32_t)addr;
	desc->words[1] = (uint32_t)(addr >> 32);
	desc->words[2] = 0;
	desc->words[3] = 0;
}

void intel_rx_restart(struct intel_rx_ring *ring)
{
	ring->next = 0;
	ring->whole_bytes = 0;
	ring->is_in_long_frame = ring->is_dropping = ring->was_filled = false;
	for (uint32_t i = 0; i < INTEL_RING_ENTRIES; i++)
		arm(ring, i);
}

void intel_rx_init(struct intel_rx_ring *ring, enum intel_rx_format format, void *descs,
		   const void *buffers, uint64_t buffers_bus, void *whole, size_t frame_max)
{
	ASSERT(frame_max <= INTEL_FRAME_MAX);
	*ring = (struct intel_rx_ring){.descs = descs,
				       .buffers = buffers,
				       .buffers_bus = buffers_bus,
				       .whole = whole,
				       .frame_max = frame_max,
				       .format = format};
	intel_rx_restart(ring);
}

static uint32_t status_of(const struct intel_rx_ring *ring, volatile struct intel_rx_desc *desc)
{
	uint32_t word;

	if (ring->format == INTEL_RX_EXTENDED)
		return desc->words[2];
	word = desc->words[3];
	return (uint32_t)(FIELD_GET(INTEL_RXL3_STATUS, word) | FIELD_GET(INTEL_RXL3_ERRORS, word)
								       << 24);
}

static size_t length_of(const struct intel_rx_ring *ring, volatile struct intel_rx_desc *desc)
{
	return ring->format == INTEL_RX_EXTENDED ? FIELD_GET(INTEL_RXE3_LEN, desc->words[3])
						 : FIELD_GET(INTEL_RXL2_LEN, desc->words[2]);
}

/* One more part; a frame of which one part is wrong is dropped as a whole. */
static void append(struct intel_rx_ring *ring, const uint8_t *part, size_t len_bytes)
{
	ring->is_in_long_frame = true;
	if (len_bytes > INTEL_BUFFER_BYTES || ring->whole_bytes + len_bytes > ring->frame_max)
		ring->is_dropping = true;
	if (ring->is_dropping)
		return;
	memcpy(ring->whole + ring->whole_bytes, part, len_bytes);
	ring->whole_bytes += len_bytes;
}

static void end_long_frame(struct intel_rx_ring *ring)
{
	ring->is_in_long_frame = ring->is_dropping = false;
	ring->whole_bytes = 0;
}

enum intel_rx intel_rx_look(struct intel_rx_ring *ring, struct intel_rx_frame *out)
{
	volatile struct intel_rx_desc *desc = &ring->descs[ring->next];
	const uint8_t *buffer = ring->buffers + ring->next * INTEL_BUFFER_BYTES;
	uint32_t status = status_of(ring, desc);
	struct intel_rx_frame frame = {.data = buffer};
	bool is_dropped;

	if (!(status & INTEL_RX_DD))
		return INTEL_RX_NONE;
	/* The read of status before those of the length and of the buffer. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	frame.len_bytes = length_of(ring, desc);
	is_dropped = (status & INTEL_RX_ERRORS) || frame.len_bytes > INTEL_BUFFER_BYTES;

	if (ring->is_in_long_frame || !(status & INTEL_RX_EOP)) {
		append(ring, buffer, frame.len_bytes);
		if (!(status & INTEL_RX_EOP))
			return INTEL_RX_PART;
		is_dropped |= ring->is_dropping;
		frame.data = ring->whole;
		frame.len_bytes = ring->whole_bytes;
		end_long_frame(ring);
	}
	if (is_dropped || frame.len_bytes < INTEL_FRAME_MIN || frame.len_bytes > ring->frame_max)
		return INTEL_RX_BAD;

	frame.is_csum_valid =
		(status & (INTEL_RX_IXSM | INTEL_RX_L4CS | INTEL_RX_L4E)) == INTEL_RX_L4CS;
	*out = frame;
	return INTEL_RX_FRAME;
}

uint32_t intel_rx_return(struct intel_rx_ring *ring)
{
	uint32_t returned = ring->next;

	arm(ring, returned);
	/* The write of the descriptor before that of the tail register, which follows. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	ring->next = (returned + 1) % INTEL_RING_ENTRIES;
	return returned;
}

bool intel_rx_is_waiting(struct intel_rx_ring *ring)
{
	bool is_filled = status_of(ring, &ring->descs[ring->next]) & INTEL_RX_DD;
	bool is_waiting = is_filled && ring->was_filled && ring->watched_next == ring->next;

	ring->was_filled = is_filled;
	ring->watched_next = ring->next;
	return is_waiting;
}
