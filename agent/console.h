/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console sessions (docs/protocol.md 2.5): which VM's output is to be sent next and from which
 * byte, and from which VM input is awaited. The kernel keeps the output, the controller the input;
 * here are only offsets, so nothing is lost or doubled when the agent is reset. Pure.
 */
#ifndef AGENT_CONSOLE_H
#define AGENT_CONSOLE_H

#include "agent/protocol/messages.h"
#include "agent/sync.h"
#include "kernel/lib/types.h"

#define CONSOLE_SESSIONS_MAX 8u
#define CONSOLE_PATH_MAX     256u

struct console_session {
	bool is_used, is_over; /* over: the controller said so */
	char vm[UUID_TEXT_MAX], session[ID_TEXT_MAX];
	uint32_t handle;
	uint64_t stream, end; /* of the output that the kernel has */
	uint64_t out_offset;  /* of the next byte to send */
	uint64_t in_offset;   /* of the next byte for the guest */
};

struct console {
	struct console_session sessions[CONSOLE_SESSIONS_MAX];
	unsigned last_in, last_out; /* each has its turn */
};

/* console_update - sessions begin and end as desired, and learn how much output there is */
void console_update(struct console *c, const struct desired *desired,
		    const struct sync_actual *actual, const struct sync_memory *memory);

/* console_is_for - whether the slot still holds this session, after an answer took its time */
bool console_is_for(const struct console_session *s, const char *session);

/* console_next_output - a session with output to send; NULL: none */
struct console_session *console_next_output(struct console *c);
void console_output_path(const struct console_session *s, uint64_t offset,
			 char path[CONSOLE_PATH_MAX]);

/* console_output_done - status of having sent len bytes from offset on */
void console_output_done(struct console_session *s, uint64_t offset, size_t len, unsigned status);

/* console_nr_inputs - how many sessions there are to ask for input */
unsigned console_nr_inputs(const struct console *c);
/* console_next_input - the one after the last; NULL: none */
struct console_session *console_next_input(struct console *c);
void console_input_path(const struct console_session *s, unsigned wait_s,
			char path[CONSOLE_PATH_MAX]);

/*
 * console_take_input - an answer to that question
 *
 * offset   of the first byte of the body (X-Billet-Offset)
 * returns  how many bytes to skip at its beginning because the guest has had them; the caller gives
 * the rest to the guest and adds what was taken to in_offset
 */
size_t console_take_input(struct console_session *s, unsigned status, uint64_t offset, size_t len);

#endif
