/* SPDX-License-Identifier: Apache-2.0 */
/* Our bug: registers, a symbolised backtrace, the last exits of this CPU; then reboot or halt. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/lib/types.h"

NORETURN void panic(const char *format, ...) PRINTF(1, 2);

/* One more thing to print while panicking; must take no lock. */
void panic_add_note(void (*print)(void));

/* The rest is for the kernel's trap handling. */

struct trap_frame;

/* panic_trap - the same with the registers of an exception; what may be NULL */
NORETURN void panic_trap(const struct trap_frame *frame, const char *what);

/* From an NMI: does not return when another CPU panics and wants this one stopped. */
void panic_stop_if_asked(void);

enum panic_action { PANIC_REBOOT, PANIC_HALT, PANIC_POWER_OFF };
/* What comes after the last line; PANIC_REBOOT until it is set. */
void panic_set_action(enum panic_action action);

#endif
