/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall clock: the machine's RTC (unauthenticated) until the controller has answered over TLS
 * that was verified, then the controller's time; between, the TSC.
 */
#ifndef AGENT_WALL_H
#define AGENT_WALL_H

#include "kernel/lib/types.h"

/* wall_ms - milliseconds since 1970 */
uint64_t wall_ms(void);

/* wall_set - it is `ms` now. Once the controller has set it, the RTC's word no longer counts. */
enum wall_source { WALL_RTC, WALL_CONTROLLER };
void wall_set(uint64_t ms, enum wall_source source);

#endif
