/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's log: lines that the kernel puts into the node's log. Module first; what happened,
 * then values with units; no newline. Keys, tokens and payloads stay out. Not for pure files: they
 * return what they have to say.
 */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include "kernel/lib/types.h"

enum agent_log_level {
	AGENT_ERR,
	AGENT_WARN,
	AGENT_INFO,
	AGENT_DBG
}; /* as enum log_level, for CTL_LOG_WRITE */

void agent_log(enum agent_log_level level, const char *module, const char *format, ...)
	PRINTF(3, 4);

#define log_err(module, ...)  agent_log(AGENT_ERR, module, __VA_ARGS__)
#define log_warn(module, ...) agent_log(AGENT_WARN, module, __VA_ARGS__)
#define log_info(module, ...) agent_log(AGENT_INFO, module, __VA_ARGS__)

#endif
