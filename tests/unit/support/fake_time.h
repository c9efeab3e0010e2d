/* SPDX-License-Identifier: Apache-2.0 */
/* The clock on the host stands still until a test sets it. One TSC tick is one nanosecond. */
#ifndef TESTS_FAKE_TIME_H
#define TESTS_FAKE_TIME_H

#include "kernel/time.h"

extern uint64_t fake_time_ns;
extern uint64_t fake_wall_s; /* time_wall_s() at fake_time_ns 0 */

#endif
