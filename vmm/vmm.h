/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's entry points for boot/main.c. */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include "kernel/lib/types.h"

/* Boot CPU: choose and probe the backend, print what it found, turn it on. False: no guests here.
 */
bool vmm_init(void);
/* Every CPU, once, interrupts off: VMXON and the scheduler's queue. */
void vmm_cpu_init(void);
/* Boot CPU, when every CPU is in: create and start the agent's VM. */
void vmm_start(void);
/* Every CPU, last: run vCPUs, scrub pages, idle. */
NORETURN void vmm_cpu_run(void);

#endif
