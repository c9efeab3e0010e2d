/* SPDX-License-Identifier: Apache-2.0 */
/* Ends and notes: "billetctl: " and one line, with what a terminal would obey taken out. */
#include "tools/cli/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/cli/units.h"

static void say(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		abort();
	units_printable(text);
	fflush(stdout);
	fprintf(stderr, "billetctl: %s\n", text);
	free(text);
}

void die(enum exit_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	exit(status);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void *xalloc(size_t len_bytes)
{
	void *p = calloc(1, len_bytes ? len_bytes : 1);

	if (!p)
		die(EXIT_REFUSED, "out of memory");
	return p;
}

char *xformat(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		die(EXIT_REFUSED, "out of memory");
	va_end(args);
	return text;
}
