/* SPDX-License-Identifier: Apache-2.0 */
/* How this machine goes down. Both wait for the UART to finish first. Any context, even a panic. */
#ifndef KERNEL_POWER_H
#define KERNEL_POWER_H

#include "kernel/lib/types.h"

/*
 * Who is told first when the machine goes down on purpose, the last added first: disks, so that
 * they write back what they cache. Not in a panic, when nobody knows what may still be relied on.
 */
struct power_hook {
	void (*end)(struct power_hook *hook); /* interrupts off; may spin for seconds */
	struct power_hook *next;
};

/* power_at_end - keep a hook for ever; boot CPU, or whoever finds a device later */
void power_at_end(struct power_hook *hook);
/* power_skip_hooks - from now on nobody is told; for panic() */
void power_skip_hooks(void);

/* ACPI S5; a machine that does not do it is halted. */
NORETURN void power_off(void);
/* The firmware's reset register, port 0xcf9, the keyboard controller, a triple fault: what works.
 */
NORETURN void power_reboot(void);

#endif
