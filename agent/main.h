/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's one loop. */
#ifndef AGENT_MAIN_H
#define AGENT_MAIN_H

#include "kernel/lib/types.h"

/* agent_main - what port/start.c calls when there is memory, time and traps; ends only with the
 * machine */
NORETURN void agent_main(void);

#endif
