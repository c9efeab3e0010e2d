/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: lines with a level into a ring; the UART, the screen and the agent are readers of it.
 * Module first, then what happened, values with units, one line, no newline. Any context but NMI.
 * Keys and payloads stay out. What a guest can trigger goes through vm_log(), which limits its
 * rate.
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/lib/types.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DBG };

void log_line(enum log_level level, const char *module, const char *format, ...) PRINTF(3, 4);

#define log_err(module, ...)  log_line(LOG_ERR, module, __VA_ARGS__)
#define log_warn(module, ...) log_line(LOG_WARN, module, __VA_ARGS__)
#define log_info(module, ...) log_line(LOG_INFO, module, __VA_ARGS__)
#define log_dbg(module, ...)  log_line(LOG_DBG, module, __VA_ARGS__)

/*
 * One more reader, called with every finished line at or below max. A line reads
 * "[    1.234567] module: text\n", with "error: ", "warning: " or "debug: " before the text. The
 * log is locked meanwhile: a sink must not log.
 */
typedef void log_sink_fn(const char *line, size_t len_bytes);
void log_add_sink(log_sink_fn *sink, enum log_level max);

/* log_set_level - lines above max go nowhere, not even into the ring; LOG_INFO after boot */
void log_set_level(enum log_level max);

/* log_enter_panic - from now on nothing here takes a lock; for panic(), once it owns the machine */
void log_enter_panic(void);

/*
 * log_read - copy whole lines out of the ring
 *
 * seq      in: sequence number of the first byte wanted; out: that of the next one. What was
 *          overwritten meanwhile is skipped.
 * cap      room for one line (LOG_LINE_MAX in kernel/log_ring.h) at least
 * returns  bytes copied; 0 when there is nothing newer
 */
size_t log_read(uint64_t *seq, char *dst, size_t cap_bytes);

#endif
