/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's memory. `first` always stands at the start of a line, because a put that needs room
 * drops whole lines; so a reader never sees half of one.
 */
#include "kernel/log_ring.h"

#include "kernel/lib/assert.h"

static char byte_at(const struct log_ring *ring, uint64_t seq)
{
	return ring->bytes[seq % LOG_RING_BYTES];
}

/* Sequence number behind the newline of the line that seq lies in. */
static uint64_t line_end(const struct log_ring *ring, uint64_t seq)
{
	while (seq < ring->next && byte_at(ring, seq) != '\n')
		seq++;
	return MIN(seq + 1, ring->next);
}

void log_ring_put(struct log_ring *ring, const char *line, size_t len_bytes)
{
	ASSERT(len_bytes > 0 && len_bytes <= LOG_LINE_MAX && line[len_bytes - 1] == '\n');

	while (ring->next + len_bytes - ring->first > LOG_RING_BYTES)
		ring->first = line_end(ring, ring->first);
	for (size_t i = 0; i < len_bytes; i++)
		ring->bytes[(ring->next + i) % LOG_RING_BYTES] = line[i];
	ring->next += len_bytes;
}

/* The first line start at or behind what the reader asks for; it may ask for anything. */
static uint64_t line_start(const struct log_ring *ring, uint64_t seq)
{
	if (seq <= ring->first)
		return ring->first;
	if (seq >= ring->next)
		return ring->next;
	return byte_at(ring, seq - 1) == '\n' ? seq : line_end(ring, seq);
}

size_t log_ring_read(const struct log_ring *ring, uint64_t *seq, char *dst, size_t cap_bytes)
{
	uint64_t start = line_start(ring, *seq), end = start, next;

	while (end < ring->next) {
		next = line_end(ring, end);
		if (next - start > cap_bytes)
			break;
		end = next;
	}
	for (uint64_t at = start; at < end; at++)
		*dst++ = byte_at(ring, at);
	*seq = end;
	return end - start;
}
