/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment and renewal (docs/protocol.md 2.1, 2.6) as questions and answers: what to send, and
 * what an answer means. Pure; the caller owns the connection, the clock and the waiting.
 */
#ifndef AGENT_ENROL_H
#define AGENT_ENROL_H

#include "agent/identity.h"
#include "agent/protocol/messages.h"

#define ENROL_REFUSED_MS                                                                           \
	60000u /* a refusal does not change by repeating, unless a person changes something */

enum enrol_next {
	ENROL_DONE,    /* reply holds the certificate */
	ENROL_PENDING, /* a person must approve; ask again after wait_ms */
	ENROL_RETRY,   /* something passing; ask again after a backoff */
	ENROL_REFUSED, /* ask again after wait_ms, which is long */
};

struct enrol_answer {
	enum enrol_next next;
	uint32_t wait_ms;
	char text[512]; /* for the log: the fingerprint while pending, else why */
	char fingerprint[SHA256_TEXT_MAX]; /* of the key, while pending */
	struct enroll_reply reply;
};

/* enrol_read_answer - status 0: none came, and error says why */
void enrol_read_answer(unsigned status, const char *body, size_t len_bytes, const char *error,
		       struct enrol_answer *out);

/* error_describe - "403 join_token_used: This token …", or as much of it as the body has */
void error_describe(unsigned status, const char *body, size_t len_bytes, char *out, size_t cap);

#endif
