/* SPDX-License-Identifier: Apache-2.0 */
/* Storing events, and showing them. */
#include "tools/controller/audit.h"

#include <stdarg.h>
#include <stdio.h>

#include "tools/controller/say.h"
#include "tools/controller/util.h"

static const enum say_level say_levels[EVENT_LEVELS] = {SAY_INFO, SAY_WARN, SAY_ERR};

void audit_add(struct billetd *d, enum event_level level, const char *code, const char *actor,
	       const char *node, const char *vm, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	db_run(&d->db,
	       "INSERT INTO events(time_ms, level, code, actor, node, vm, message) VALUES(?, ?, ?, "
	       "?, ?, ?, ?)",
	       "ittteet", now_ms(), event_level_names[level], code, actor, node, vm, message);
	say(say_levels[level], "event", "%s by %s: %s", code, actor, message);
}

void audit_add_reported(struct billetd *d, const char *node, const struct report_event *event)
{
	if (db_run(&d->db,
		   "INSERT OR IGNORE INTO events(time_ms, level, code, actor, node, vm, message, "
		   "boot, node_seq)"
		   " VALUES(?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8)",
		   "itttetti", (int64_t)event->wall_ms, event_level_names[event->level],
		   event->code, node, event->vm, event->message, event->boot_id,
		   (int64_t)event->seq))
		say(say_levels[event->level], "event", "%s by %s: %s", event->code, node,
		    event->message);
}
