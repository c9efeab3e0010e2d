/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's log: one line an event on standard error, with time, level and module. Keys,
 * tokens and payloads stay out.
 */
#ifndef CONTROLLER_SAY_H
#define CONTROLLER_SAY_H

#include <stdbool.h>

enum say_level { SAY_ERR, SAY_WARN, SAY_INFO, SAY_DBG, SAY_LEVELS };

void say(enum say_level level, const char *module, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define say_err(module, ...)  say(SAY_ERR, module, __VA_ARGS__)
#define say_warn(module, ...) say(SAY_WARN, module, __VA_ARGS__)
#define say_info(module, ...) say(SAY_INFO, module, __VA_ARGS__)
#define say_dbg(module, ...)  say(SAY_DBG, module, __VA_ARGS__)

/* Lines above it are dropped; SAY_INFO until set. */
void say_set_level(enum say_level max);

/* say_parse_level - "err", "warn", "info" or "dbg" */
bool say_parse_level(const char *text, enum say_level *level);

#endif
