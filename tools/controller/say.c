/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is put together in memory and written at once, so that lines of several writers to one
 * terminal or journal do not mix. Control characters are replaced: what a line quotes may come from
 * anywhere.
 */
#include "tools/controller/say.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/controller/util.h"

static enum say_level max_level = SAY_INFO;
static const char *const level_names[SAY_LEVELS] = {"err", "warn", "info", "dbg"};

void say(enum say_level level, const char *module, const char *format, ...)
{
	char line[1024], time[TIME_TEXT_MAX];
	va_list args;
	size_t len;
	int n;

	if (level > max_level)
		return;
	n = snprintf(line, sizeof(line), "%s %s %s: ", time_text(now_ms(), time),
		     level_names[level], module);
	len = (size_t)n;
	va_start(args, format);
	n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	if (n > 0)
		len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n : sizeof(line) - len - 2;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* nobody is left to tell */
}

void say_set_level(enum say_level max)
{
	max_level = max;
}

bool say_parse_level(const char *text, enum say_level *level)
{
	for (unsigned int i = 0; i < SAY_LEVELS; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum say_level)i;
			return true;
		}
	}
	return false;
}
