/* SPDX-License-Identifier: Apache-2.0 */
/* A line is one request: the kernel adds time and level. Bytes that a terminal might obey become
 * '?'. */
#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/control.h"

#define LINE_MAX 240

void agent_log(enum agent_log_level level, const char *module, const char *format, ...)
{
	char line[LINE_MAX];
	va_list args;
	int at, len, i;

	at = snprintf(line, sizeof(line), "%s: ", module);
	va_start(args, format);
	len = at + vsnprintf(line + at, sizeof(line) - (size_t)at, format, args);
	va_end(args);
	len = MIN(len, LINE_MAX - 1);
	for (i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	(void)control_call(&(struct control_io){
		.command = CTL_LOG_WRITE, .arg0 = level, .in = line, .in_len = (size_t)len});
}
