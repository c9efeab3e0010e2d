/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ASSERT states what we guarantee; it stays on in release builds and panics. Never for what a
 * guest, a packet or a disk controls: fuzz builds turn it into abort(), so such a one is found.
 */
#ifndef KERNEL_LIB_ASSERT_H
#define KERNEL_LIB_ASSERT_H

#include "kernel/lib/types.h"

NORETURN void assert_fail(const char *cond, const char *file, int line);

#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			assert_fail(#cond, __FILE__, __LINE__);                                    \
	} while (0)

#endif
