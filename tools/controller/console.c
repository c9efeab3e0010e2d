/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session a VM, shared by all who look. The window of output outlives the session, so that who
 * comes later sees what was there; it lives in memory alone.
 */
#include "tools/controller/console.h"

#include <stdlib.h>
#include <string.h>

#include "tools/controller/console_ring.h"
#include "tools/controller/desired.h"
#include "tools/controller/util.h"
#include "tools/controller/vm.h"

#define IDLE_MS	      60000
#define OFFSET_MAX    (UINT64_MAX >> 2)
#define PEOPLE_IN_MAX 16384u

struct console {
	LIST_ENTRY(console) link;
	char vm[UUID_TEXT_MAX];
	char node[ID_TEXT_MAX];
	char session[ID_TEXT_MAX]; /* empty: nobody looks */
	int64_t looked_ms;
	struct console_out out;
	struct console_in in;
};

static struct console *find(struct billetd *d, const char *vm)
{
	struct console *con;

	LIST_FOREACH(con, &d->consoles, link)
	if (strcmp(con->vm, vm) == 0)
		return con;
	return NULL;
}

bool console_session(struct billetd *d, const char *vm, char session[static ID_TEXT_MAX])
{
	struct console *con = find(d, vm);

	if (!con || !con->session[0])
		return false;
	strcpy(session, con->session);
	return true;
}

void console_forget(struct billetd *d, const char *vm)
{
	struct console *con = find(d, vm);

	if (!con)
		return;
	LIST_REMOVE(con, link);
	free(con);
}

void console_expire(struct billetd *d)
{
	int64_t now = now_ms();
	struct console *con;

	LIST_FOREACH(con, &d->consoles, link)
	{
		if (!con->session[0] || now - con->looked_ms < IDLE_MS)
			continue;
		con->session[0] = 0;
		desired_touch(d, con->node);
	}
}

void console_free_all(struct billetd *d)
{
	struct console *con;

	while ((con = LIST_FIRST(&d->consoles))) {
		LIST_REMOVE(con, link);
		free(con);
	}
}

/* ---- people --------------------------------------------------------------------------------- */

/* Somebody looks: the console with a session, or NULL after an error. */
static struct console *look(struct call *c)
{
	char vm[UUID_TEXT_MAX], node[ID_TEXT_MAX];
	struct console *con;

	if (!vm_find(c, vm, node))
		return NULL;
	con = find(c->d, vm);
	if (!con) {
		con = calloc(1, sizeof(*con));
		if (!con) {
			call_error(c, 503, "storage", NULL,
				   "The controller is short of memory; try again.");
			return NULL;
		}
		strcpy(con->vm, vm);
		LIST_INSERT_HEAD(&c->d->consoles, con, link);
	}
	strcpy(con->node, node);
	con->looked_ms = now_ms();
	if (!con->session[0]) {
		random_id("cs_", con->session);
		con->in.begin = con->in.end = 0;
		desired_touch(c->d, node);
	}
	return con;
}

/* GET /v1/vms/<id>/console?offset=N&wait=S */
static void get_console(struct call *c)
{
	const uint8_t *bytes;
	struct evbuffer *out;
	struct console *con;
	uint64_t offset, at;
	size_t len;

	if (!call_query_u64(c, "offset", 0, OFFSET_MAX, &offset))
		return;
	con = look(c);
	if (!con)
		return;
	bytes = console_out_get(&con->out, &offset, &len);
	if (len == 0 && c->can_wait) {
		call_wait(c, "console", con->vm);
		return;
	}
	call_header_u64(c, "X-Billet-Offset", offset);
	call_header_u64(c, "X-Billet-Next", con->out.end);
	if (len == 0) {
		call_reply_empty(c, 204);
		return;
	}
	out = call_reply_raw(c, 200, "application/octet-stream");
	evbuffer_add(out, bytes, len);
	at = offset + len;
	bytes = console_out_get(&con->out, &at, &len); /* the rest, behind the ring's seam */
	if (len > 0 && at > offset)
		evbuffer_add(out, bytes, len);
}

/* POST /v1/vms/<id>/console */
static void post_console(struct call *c)
{
	struct console *con = look(c);

	if (!con)
		return;
	if (!console_in_put(&con->in, c->body, c->body_len)) {
		call_error(c, 429, "console_input_full", NULL,
			   "The node has not fetched earlier input yet; try again in a moment.");
		return;
	}
	call_wake(c->d, "input", con->vm);
	call_reply_empty(c, 204);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static struct console *find_session(struct call *c)
{
	const char *session = call_query(c, "session");
	struct console *con = find(c->d, c->param);

	if (db_number(&c->d->db, 0,
		      "SELECT 1 FROM vms WHERE id = ? AND node = ? AND deleted_ms IS NULL", "tt",
		      c->param, c->node) == 0) {
		call_error(c, 404, "vm_not_found", NULL, "VM '%s' is not on this node.", c->param);
		return NULL;
	}
	if (con && con->session[0] && session && strcmp(session, con->session) == 0)
		return con;
	call_error(c, 409, "console_session", "session", "This console session has ended.");
	return NULL;
}

/* POST /agent/v1/console/<vm>?session=S&stream=T&offset=N */
static void post_output(struct call *c)
{
	uint64_t stream, offset;
	struct console *con;

	if (!call_query_u64(c, "stream", 0, PROTO_COUNTER_MAX, &stream) ||
	    !call_query_u64(c, "offset", 0, OFFSET_MAX, &offset))
		return;
	con = find_session(c);
	if (!con)
		return;
	if (con->out.end > OFFSET_MAX) {
		call_error(c, 400, "bad_query", "offset", "The console's offsets are used up.");
		return;
	}
	if (console_out_put(&con->out, stream, offset, c->body, c->body_len))
		call_wake(c->d, "console", con->vm);
	call_reply_empty(c, 204);
}

/* GET /agent/v1/console/<vm>/input?session=S&offset=N&wait=S */
static void get_input(struct call *c)
{
	const uint8_t *bytes;
	struct console *con;
	uint64_t offset;
	size_t len;

	if (!call_query_u64(c, "offset", 0, OFFSET_MAX, &offset))
		return;
	con = find_session(c);
	if (!con)
		return;
	bytes = console_in_get(&con->in, &offset, &len);
	if (len == 0 && c->can_wait) {
		call_wait(c, "input", con->vm);
		return;
	}
	call_header_u64(c, "X-Billet-Offset", offset);
	if (len == 0)
		call_reply_empty(c, 204);
	else
		evbuffer_add(call_reply_raw(c, 200, "application/octet-stream"), bytes, len);
}

const struct route console_routes[] = {
	{EVHTTP_REQ_GET, "/v1/vms/*/console", get_console, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/v1/vms/*/console", post_console, AUTH_OPERATOR, ROUTE_WRITES,
	 PEOPLE_IN_MAX},
	{EVHTTP_REQ_POST, "/agent/v1/console/*", post_output, AUTH_NODE, 0, PROTO_CONSOLE_MAX},
	{EVHTTP_REQ_GET, "/agent/v1/console/*/input", get_input, AUTH_NODE, 0, 0},
	{0},
};
