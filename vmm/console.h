/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's console: a ring of what it printed, with stream offsets that only grow, and a small queue
 * of what was typed. Pure but for its lock; any CPU.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"

#define CONSOLE_OUT_BYTES (64u * 1024u)
#define CONSOLE_IN_BYTES  4096u

struct console {
	struct lock lock;
	uint64_t out_end; /* stream offset behind the last byte printed */
	bool is_told;	  /* the reader knows that there is more than it has read */
	uint32_t in_head, in_tail;
	uint8_t in[CONSOLE_IN_BYTES];
	uint8_t out[CONSOLE_OUT_BYTES];
};

void console_init(struct console *c);
/*
 * console_print - returns whether the reader is to be told: it is told once, and then again after a
 * console_read() that left nothing
 */
bool console_print(struct console *c, const uint8_t *data, size_t len_bytes);
void console_not_told(struct console *c); /* telling it failed: the next output tries again */
/* Bytes from *offset on (moved forward when they are gone already); returns how many. */
size_t console_read(struct console *c, uint64_t *offset, uint8_t *dst, size_t cap_bytes);
size_t console_type(struct console *c, const uint8_t *data,
		    size_t len_bytes); /* how many were taken */
size_t console_typed(struct console *c, uint8_t *dst, size_t cap_bytes);

#endif
