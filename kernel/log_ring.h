/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of text in a ring. Each byte ever put has a sequence number, counted from 0; the ring holds
 * the newest whole lines. Pure; the caller locks.
 */
#ifndef KERNEL_LOG_RING_H
#define KERNEL_LOG_RING_H

#include "kernel/lib/types.h"

#define LOG_RING_BYTES 65536u
#define LOG_LINE_MAX   256u /* bytes of a line with its newline */

struct log_ring {
	uint64_t first; /* sequence number of the oldest whole line's first byte */
	uint64_t next;	/* of the byte that will be put next */
	char bytes[LOG_RING_BYTES];
};

/* log_ring_put - one line, ended by its only newline, of at most LOG_LINE_MAX bytes */
void log_ring_put(struct log_ring *ring, const char *line, size_t len_bytes);

/* log_ring_read - as log_read() in kernel/log.h */
size_t log_ring_read(const struct log_ring *ring, uint64_t *seq, char *dst, size_t cap_bytes);

#endif
