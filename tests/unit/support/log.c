/* SPDX-License-Identifier: Apache-2.0 */
/* The log on the host. */
#include "kernel/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/support/fake_log.h"

unsigned fake_log_count[LOG_DBG + 1];
char fake_log_last[256];

void log_line(enum log_level level, const char *module, const char *format, ...)
{
	int len = snprintf(fake_log_last, sizeof(fake_log_last), "%s: ", module);
	va_list args;

	va_start(args, format);
	if (len >= 0 && (size_t)len < sizeof(fake_log_last))
		vsnprintf(fake_log_last + len, sizeof(fake_log_last) - (size_t)len, format, args);
	va_end(args);
	fake_log_count[level]++;
	if (getenv("VERBOSE") != NULL)
		fprintf(stderr, "%s\n", fake_log_last);
}
