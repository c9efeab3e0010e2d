/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's HTTP reader. The first byte says into which pieces the rest is cut; whatever the cut,
 * the outcome, the status and the body must be those of reading it in one piece.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http.h"

struct outcome {
	enum http_progress progress;
	unsigned status;
	size_t len;
	uint64_t sum;
};

static bool count(void *arg, const uint8_t *bytes, size_t len)
{
	struct outcome *o = arg;

	o->len += len;
	while (len-- > 0)
		o->sum = o->sum * 31 + *bytes++;
	return true;
}

static struct outcome read_in(const uint8_t *bytes, size_t len, size_t piece)
{
	struct outcome o = {.progress = HTTP_MORE};
	static struct http_reader r;
	size_t at;

	http_start(&r, count, &o);
	for (at = 0; at < len && o.progress == HTTP_MORE; at += piece)
		o.progress = http_feed(&r, bytes + at, MIN(piece, len - at));
	/* What lies behind the end in a piece of its own has not been looked at yet. */
	if (o.progress == HTTP_DONE && at < len)
		o.progress = http_feed(&r, bytes + at, len - at);
	if (o.progress == HTTP_FAILED && !r.why && !r.is_done)
		abort();
	o.status = r.status;
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut;

	if (size < 2)
		return 0;
	whole = read_in(data + 1, size - 1, size);
	cut = read_in(data + 1, size - 1, (size_t)data[0] + 1);
	if (whole.progress != cut.progress || whole.status != cut.status)
		abort();
	if (whole.progress == HTTP_DONE && (whole.len != cut.len || whole.sum != cut.sum))
		abort();
	return 0;
}
