/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one VM's console: the last of its output, and the input that the node has not
 * fetched yet. Pure; offsets are of endless streams of which these hold a window.
 *
 *	output:  0 ........ begin ~~~~~~~~~~ end    a reader's offset is moved up to begin
 *	input:   0 ... begin ~~~~~~ end             the node's offset drops what is before it
 */
#ifndef CONTROLLER_CONSOLE_RING_H
#define CONTROLLER_CONSOLE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_OUT_MAX 262144u
#define CONSOLE_IN_MAX	65536u

struct console_out {
	uint8_t bytes[CONSOLE_OUT_MAX];
	uint64_t begin, end;
	uint64_t stream; /* the node's number for it */
	uint64_t base; /* our offset of the stream's byte 0: our offsets go on when a stream begins
			  anew */
};

struct console_in {
	uint8_t bytes[CONSOLE_IN_MAX];
	uint64_t begin, end;
};

/* console_out_put - output from the node; what is there already is skipped; true when something was
 * new */
bool console_out_put(struct console_out *r, uint64_t stream, uint64_t offset, const void *bytes,
		     size_t len);

/* console_out_get - the longest piece from *offset on that lies in one; *offset is moved up to what
 * there still is, or to begin if it is beyond the end. Borrows until the next put. */
const uint8_t *console_out_get(const struct console_out *r, uint64_t *offset, size_t *len);

/* console_in_put - all or nothing */
bool console_in_put(struct console_in *r, const void *bytes, size_t len);

/* console_in_get - as console_out_get; what is before *offset is dropped */
const uint8_t *console_in_get(struct console_in *r, uint64_t *offset, size_t *len);

#endif
