/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers on the host: one CPU's, on the clock of fake_time.h. They fire inside fake_time_advance(),
 * each at its own deadline, and inside time_handle_interrupt(), which real code calls where it
 * waits; time_busy_wait_ns() moves the clock and fires nothing, as on a CPU with interrupts off.
 */
#ifndef TESTS_FAKE_TIMERS_H
#define TESTS_FAKE_TIMERS_H

#include "tests/unit/support/fake_time.h"

void fake_time_advance(uint64_t ns);

/* Forget all timers, as a test does before it makes what they belong to anew. */
void fake_timers_reset(void);
bool fake_timers_are_idle(void); /* none is set */

#endif
