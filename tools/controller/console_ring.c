/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offsets are 64-bit and only their remainder touches the array, so nothing wraps in any VM's life;
 * offsets from the node are bounded by whoever read them.
 */
#include "tools/controller/console_ring.h"

#include <string.h>

static void copy_in(uint8_t *ring, size_t cap, uint64_t at, const uint8_t *bytes, size_t len)
{
	size_t start = at % cap;
	size_t first = len < cap - start ? len : cap - start;

	memcpy(ring + start, bytes, first);
	memcpy(ring, bytes + first, len - first);
}

static const uint8_t *piece(const uint8_t *ring, size_t cap, uint64_t at, uint64_t end, size_t *len)
{
	size_t start = at % cap;
	uint64_t left = end - at;

	*len = left < cap - start ? (size_t)left : cap - start;
	return ring + start;
}

bool console_out_put(struct console_out *r, uint64_t stream, uint64_t offset, const void *bytes,
		     size_t len)
{
	const uint8_t *from = bytes;
	uint64_t at;

	if (stream < r->stream)
		return false;
	if (stream > r->stream) {
		r->stream = stream;
		r->base = r->end;
	}
	at = r->base + offset;
	if (at + len <= r->end)
		return false;
	if (at < r->end) {
		size_t known = (size_t)(r->end - at);

		from += known;
		len -= known;
	} else if (at > r->end) {
		r->begin = r->end =
			at; /* a gap; what is before it would be taken for what follows */
	}
	if (len > CONSOLE_OUT_MAX) {
		r->end += len - CONSOLE_OUT_MAX;
		from += len - CONSOLE_OUT_MAX;
		len = CONSOLE_OUT_MAX;
	}
	copy_in(r->bytes, CONSOLE_OUT_MAX, r->end, from, len);
	r->end += len;
	if (r->end - r->begin > CONSOLE_OUT_MAX)
		r->begin = r->end - CONSOLE_OUT_MAX;
	return true;
}

const uint8_t *console_out_get(const struct console_out *r, uint64_t *offset, size_t *len)
{
	if (*offset < r->begin || *offset > r->end)
		*offset = r->begin;
	return piece(r->bytes, CONSOLE_OUT_MAX, *offset, r->end, len);
}

bool console_in_put(struct console_in *r, const void *bytes, size_t len)
{
	if (len > CONSOLE_IN_MAX - (r->end - r->begin))
		return false;
	copy_in(r->bytes, CONSOLE_IN_MAX, r->end, bytes, len);
	r->end += len;
	return true;
}

const uint8_t *console_in_get(struct console_in *r, uint64_t *offset, size_t *len)
{
	if (*offset > r->begin && *offset <= r->end)
		r->begin = *offset;
	*offset = r->begin;
	return piece(r->bytes, CONSOLE_IN_MAX, *offset, r->end, len);
}
