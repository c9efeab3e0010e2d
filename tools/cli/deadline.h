/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for something on the controller, for as long as --timeout allows. */
#ifndef CLI_DEADLINE_H
#define CLI_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/cli/args.h"

struct deadline {
	int64_t began_s;
	uint64_t timeout_s; /* 0: for ever */
};

/* deadline_begin - from now on; ends the program when --timeout makes no sense */
struct deadline deadline_begin(const struct args *args);
bool deadline_has_passed(const struct deadline *d);

/* deadline_pause - a moment between two looks */
void deadline_pause(void);

#endif
