/* SPDX-License-Identifier: Apache-2.0 */
/* One offset to the monotonic clock. */
#include "agent/wall.h"

#include "agent/port/port.h"

#define STEP_MS 250u /* less is the way that the answer took */

static uint64_t offset_ms; /* wall minus monotonic */
static enum wall_source best;

uint64_t wall_ms(void)
{
	return clock_ns() / NSEC_PER_MSEC + offset_ms;
}

void wall_set(uint64_t ms, enum wall_source source)
{
	uint64_t now = wall_ms();

	if (source < best || (source == best && MAX(ms, now) - MIN(ms, now) < STEP_MS))
		return;
	best = source;
	offset_ms = ms - clock_ns() / NSEC_PER_MSEC;
}
