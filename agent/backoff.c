/* SPDX-License-Identifier: Apache-2.0 */
/* The doubling stops long before the shift could lose bits. */
#include "agent/backoff.h"

#define DOUBLINGS_MAX 6u /* 500 ms << 6 is beyond the cap */

uint32_t backoff_fail(struct backoff *b, uint32_t random)
{
	uint32_t wait_ms = MIN(BACKOFF_FIRST_MS << b->failures, BACKOFF_MAX_MS);

	if (b->failures < DOUBLINGS_MAX)
		b->failures++;
	return wait_ms + random % (wait_ms / 4 + 1);
}

void backoff_reset(struct backoff *b)
{
	b->failures = 0;
}
