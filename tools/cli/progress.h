/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a long piece of work has come: bytes, rate, time left. On a terminal one line that is
 * drawn anew a few times a second; elsewhere a plain line every few seconds and one at the end.
 * Standard error, so that output stays clean.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_TEXT_MAX 256u

struct progress {
	const char *what;	     /* borrowed until progress_end() */
	uint64_t total, first, done; /* bytes; first: those that were there at the beginning */
	int64_t began_ms, shown_ms;
	bool is_terminal;
	size_t width; /* of what stands on the terminal's line */
};

void progress_begin(struct progress *p, const char *what, uint64_t first, uint64_t total);
void progress_at(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

/* progress_text - the line. Pure. */
void progress_text(const struct progress *p, int64_t now_ms, char text[static PROGRESS_TEXT_MAX]);

#endif
