/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the machine on the host: hooks are kept, and run when a test says so. */
#ifndef TESTS_FAKE_POWER_H
#define TESTS_FAKE_POWER_H

#include "kernel/power.h"

/* Run all hooks, the last added first; they stay. */
void fake_power_end(void);

#endif
