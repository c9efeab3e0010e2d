/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail: what people did, what nodes said, what was refused. Each event is also a line in
 * the log. */
#ifndef CONTROLLER_AUDIT_H
#define CONTROLLER_AUDIT_H

#include "agent/protocol/messages.h"
#include "tools/controller/billetd.h"

/* audit_add - in the caller's transaction; node and vm may be NULL or empty */
void audit_add(struct billetd *d, enum event_level level, const char *code, const char *actor,
	       const char *node, const char *vm, const char *format, ...)
	__attribute__((format(printf, 7, 8)));

/* audit_add_reported - one that a node reports; a repeat changes nothing */
void audit_add_reported(struct billetd *d, const char *node, const struct report_event *event);

#endif
