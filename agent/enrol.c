/* SPDX-License-Identifier: Apache-2.0 */
/* Every status that the protocol lists has its line here; all others mean: try again. */
#include "agent/enrol.h"

#include <stdio.h>
#include <string.h>

#define PENDING_MIN_S 1u
#define PENDING_MAX_S 300u

void error_describe(unsigned status, const char *body, size_t len_bytes, char *out, size_t cap)
{
	struct error_reply reply = {0};
	struct proto_error err;

	if (schema_decode(&error_reply_schema, body, len_bytes, (struct proto_scratch){0}, &reply,
			  &err) == PROTO_OK &&
	    reply.has_error)
		snprintf(out, cap, "%u %s: %s", status, reply.error.code, reply.error.message);
	else
		snprintf(out, cap, "status %u", status);
}

static void read_certificate(const char *body, size_t len, struct enrol_answer *out)
{
	struct proto_error err;

	if (schema_decode(&enroll_reply_schema, body, len, (struct proto_scratch){0}, &out->reply,
			  &err) == PROTO_OK) {
		out->next = ENROL_DONE;
		return;
	}
	snprintf(out->text, sizeof(out->text), "the controller's answer is wrong: %s", err.message);
}

static void read_pending(const char *body, size_t len, struct enrol_answer *out)
{
	struct enroll_pending pending = {0};
	struct proto_error err;

	if (schema_decode(&enroll_pending_schema, body, len, (struct proto_scratch){0}, &pending,
			  &err) != PROTO_OK) {
		snprintf(out->text, sizeof(out->text), "the controller's answer is wrong: %s",
			 err.message);
		return;
	}
	out->next = ENROL_PENDING;
	out->wait_ms = MAX(PENDING_MIN_S, MIN(pending.retry_s, PENDING_MAX_S)) * 1000;
	memcpy(out->fingerprint, pending.fingerprint, sizeof(out->fingerprint));
	snprintf(out->text, sizeof(out->text),
		 "waiting for a person to approve %s, key fingerprint %s", pending.node_id,
		 pending.fingerprint);
}

void enrol_read_answer(unsigned status, const char *body, size_t len_bytes, const char *error,
		       struct enrol_answer *out)
{
	memset(out, 0, sizeof(*out));
	out->next = ENROL_RETRY;
	switch (status) {
	case 0:
		snprintf(out->text, sizeof(out->text), "%s", error);
		break;
	case 201:
		read_certificate(body, len_bytes, out);
		break;
	case 202:
		read_pending(body, len_bytes, out);
		break;
	default:
		error_describe(status, body, len_bytes, out->text, sizeof(out->text));
		if (status >= 400 && status < 500 && status != 429) {
			out->next = ENROL_REFUSED;
			out->wait_ms = ENROL_REFUSED_MS;
		}
	}
}
