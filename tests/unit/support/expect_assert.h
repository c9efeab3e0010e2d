/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asserts and panics on the host. They abort with a message, unless a test expects one:
 *
 *     EXPECT_ASSERT(buddy_free(&b, page, 0));
 *
 * fails the test when the expression comes back. What it had allocated is lost, so keep it small.
 */
#ifndef TESTS_EXPECT_ASSERT_H
#define TESTS_EXPECT_ASSERT_H

#include <setjmp.h>

#include "kernel/lib/types.h"

extern jmp_buf expected_assert_exit;
extern bool is_assert_expected;

#define EXPECT_ASSERT(expr)                                                                        \
	do {                                                                                       \
		is_assert_expected = true;                                                         \
		if (setjmp(expected_assert_exit) == 0) {                                           \
			(void)(expr);                                                              \
			is_assert_expected = false;                                                \
			fail_msg("no assert fired in: %s", #expr);                                 \
		}                                                                                  \
		is_assert_expected = false;                                                        \
	} while (0)

#endif
