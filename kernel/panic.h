/* SPDX-License-Identifier: Apache-2.0 */
/* Our bug: registers, a symbolised backtrace, the last exits of this CPU; then reboot or halt. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/lib/types.h"

NORETURN void panic(const char *format, ...) PRINTF(1, 2);

/* One more thing to print while panicking; must take no lock. */
void panic_add_note(void (*print)(void));

#endif
