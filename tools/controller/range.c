/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [RFC 9110] "Range Requests": what is malformed, and several ranges, may be answered with the
 * whole.
 */
#include "tools/controller/range.h"

#include <string.h>

#include "agent/protocol/form.h"

enum range_result range_parse(const char *header, uint64_t size, uint64_t *first, uint64_t *last)
{
	uint64_t a = 0, b = UINT64_MAX;
	const char *dash;

	if (!header || strncmp(header, "bytes=", 6) != 0)
		return RANGE_NONE;
	header += 6;
	dash = strchr(header, '-');
	if (!dash || (dash[1] && !form_parse_u64(dash + 1, strlen(dash + 1), &b)))
		return RANGE_NONE;
	if (dash == header) { /* -N: the last N bytes */
		if (!dash[1])
			return RANGE_NONE;
		if (b == 0 || size == 0)
			return RANGE_OUTSIDE;
		*first = b < size ? size - b : 0;
		*last = size - 1;
		return RANGE_PART;
	}
	if (!form_parse_u64(header, (size_t)(dash - header), &a) || b < a)
		return RANGE_NONE;
	if (a >= size)
		return RANGE_OUTSIDE;
	*first = a;
	*last = b < size ? b : size - 1;
	return RANGE_PART;
}
