/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before trying again: 500 ms, doubled with each failure in a row up to half a
 * minute, and then up to a quarter more at random, so that a thousand nodes whose controller was
 * restarted do not come back in step. The jitter is added after the cap, or there would be none
 * left.
 */
#ifndef AGENT_BACKOFF_H
#define AGENT_BACKOFF_H

#include "kernel/lib/types.h"

#define BACKOFF_FIRST_MS 500u
#define BACKOFF_MAX_MS	 30000u

struct backoff {
	uint32_t failures; /* in a row */
};

/* backoff_fail - count one more failure; returns the ms to wait, random being any number */
uint32_t backoff_fail(struct backoff *b, uint32_t random);

void backoff_reset(struct backoff *b);

#endif
