/* SPDX-License-Identifier: Apache-2.0 */
/* assert_fail() and panic() on the host: abort, or go back to the test that expects it. */
#include "kernel/panic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/lib/assert.h"
#include "tests/unit/support/expect_assert.h"

jmp_buf expected_assert_exit;
bool is_assert_expected;

static NORETURN void end(void)
{
	if (is_assert_expected)
		longjmp(expected_assert_exit, 1);
	abort();
}

void assert_fail(const char *cond, const char *file, int line)
{
	if (!is_assert_expected)
		fprintf(stderr, "%s:%d: ASSERT(%s) failed\n", file, line, cond);
	end();
}

void panic(const char *format, ...)
{
	va_list args;

	if (!is_assert_expected) {
		va_start(args, format);
		fprintf(stderr, "panic: ");
		vfprintf(stderr, format, args);
		fprintf(stderr, "\n");
		va_end(args);
	}
	end();
}
