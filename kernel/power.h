/* SPDX-License-Identifier: Apache-2.0 */
/* How this machine goes down. Both wait for the UART to finish first. Any context, even a panic. */
#ifndef KERNEL_POWER_H
#define KERNEL_POWER_H

#include "kernel/lib/types.h"

/* ACPI S5; a machine that does not do it is halted. */
NORETURN void power_off(void);
/* The firmware's reset register, port 0xcf9, the keyboard controller, a triple fault: what works.
 */
NORETURN void power_reboot(void);

#endif
