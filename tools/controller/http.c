/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the route, checking the caller, the transaction around the handler, and sending the
 * answer.
 */
#include "tools/controller/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>

#include "tools/controller/auth.h"
#include "tools/controller/idempotency.h"
#include "tools/controller/say.h"
#include "tools/controller/upload.h"
#include "tools/controller/util.h"

/* ---- routes --------------------------------------------------------------------------------- */

/* A star in the pattern stands for one segment, which is copied out. */
static bool path_matches(const char *pattern, const char *path, char *param, size_t cap)
{
	const char *star = strchr(pattern, '*');
	size_t prefix, len;

	if (!star)
		return strcmp(pattern, path) == 0;
	prefix = (size_t)(star - pattern);
	if (strncmp(pattern, path, prefix) != 0)
		return false;
	path += prefix;
	len = strcspn(path, "/");
	if (len == 0 || len >= cap || strcmp(path + len, star + 1) != 0)
		return false;
	memcpy(param, path, len);
	param[len] = 0;
	return true;
}

static const struct route *find_route(struct call *c, const char *path, enum evhttp_cmd_type method)
{
	bool known = false;

	for (const struct route *const *table = route_tables; *table; table++) {
		for (const struct route *r = *table; r->handle; r++) {
			if (!path_matches(r->pattern, path, c->param, sizeof(c->param)))
				continue;
			if (r->method == method)
				return r;
			known = true;
		}
	}
	if (known)
		call_error(c, 405, "method_not_allowed", NULL,
			   "This path does not take this method; see docs/protocol.md.");
	else
		call_error(c, 404, "not_found", NULL,
			   "There is nothing at '%.200s'; paths begin with /v1/ or /agent/v1/.",
			   path);
	return NULL;
}

/* ---- running -------------------------------------------------------------------------------- */

static bool parse_target(struct call *c)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(c->req);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;

	TAILQ_INIT(&c->query);
	if (!path || strlen(path) >= sizeof(c->path) ||
	    (query && evhttp_parse_query_str(query, &c->query) != 0)) {
		call_error(c, 400, "bad_request", NULL,
			   "The request's path or query cannot be read.");
		return false;
	}
	strcpy(c->path, path);
	c->route = find_route(c, c->path, evhttp_request_get_command(c->req));
	return c->route != NULL;
}

static bool take_body(struct call *c)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
	size_t max = c->route->body_max ? c->route->body_max : PROTO_JSON_MAX;

	c->body_len = evbuffer_get_length(in);
	if (c->body_len > max) {
		call_error(c, 413, "body_too_large", NULL,
			   "The body has %zu bytes; at most %zu are taken here.", c->body_len, max);
		return false;
	}
	c->body = c->body_len ? (const char *)evbuffer_pullup(in, -1) : "";
	if (!c->body)
		call_error(c, 503, "storage", NULL,
			   "The controller is short of memory; try again.");
	return c->body != NULL;
}

static void run_handler(struct call *c)
{
	bool keep;

	if (!(c->route->flags & ROUTE_WRITES)) {
		c->route->handle(c);
		if (c->d->db.failed)
			call_error(c, 503, "storage", NULL,
				   "The database did not answer; try again.");
		c->d->db.failed = false;
		return;
	}
	db_begin(&c->d->db);
	if (!(c->route->flags & ROUTE_IDEMPOTENT) || !idempotency_replay(c)) {
		c->route->handle(c);
		if (c->route->flags & ROUTE_IDEMPOTENT)
			idempotency_keep(c);
	}
	keep = c->status < 400 || c->keeps_changes;
	if (c->d->db.failed || (keep && !db_commit(&c->d->db))) {
		call_error(c, 503, "storage", NULL,
			   "The database could not store this; nothing was changed. Try again.");
		keep = false;
	}
	if (!keep) {
		db_rollback(&c->d->db);
		c->d->nr_wakes = 0;
	} else if (c->d->unlink_after_commit[0]) {
		blob_delete(c->d, c->d->unlink_after_commit);
	}
	c->d->unlink_after_commit[0] = 0;
}

static void send_answer(struct call *c)
{
	struct evbuffer *out = c->raw ? c->raw : evbuffer_new();

	if (!c->raw && c->json.len > 0) {
		call_header(c, "Content-Type", "application/json");
		if (c->json.overflow || !out || evbuffer_add(out, c->json.at, c->json.len) != 0)
			c->status = 500;
	}
	call_header(c, "Cache-Control", "no-store");
	say(c->status >= 500 ? SAY_ERR : SAY_DBG, "http", "%d %s %s", c->status, c->path, c->actor);
	evhttp_send_reply(c->req, c->status, NULL, out);
	if (out)
		evbuffer_free(out);
	c->raw = NULL;
}

static int64_t deadline_of(struct call *c)
{
	uint64_t wait_s;

	if (!call_query_u64(c, "wait", 0, 3600, &wait_s))
		return 0;
	return now_ms() + (int64_t)(wait_s < PROTO_WAIT_MAX_S ? wait_s : PROTO_WAIT_MAX_S) * 1000;
}

void http_run(struct billetd *d, struct evhttp_request *req, int64_t deadline_ms, bool can_wait)
{
	struct call c = {.d = d, .req = req, .can_wait = can_wait && !d->is_stopping};

	/* Whoever hung up while waiting is not answered; this gives the request's memory back. */
	if (!evhttp_request_get_connection(req)) {
		evhttp_send_reply(req, 204, NULL, NULL);
		return;
	}
	if (parse_target(&c) && take_body(&c) && auth_check(&c)) {
		if (deadline_ms == 0)
			deadline_ms = deadline_of(&c);
		if (deadline_ms <= now_ms())
			c.can_wait = false;
		if (c.status == 0)
			run_handler(&c);
	} else if (d->db.failed) {
		/* The caller could not be checked; that is no fault of the caller's. */
		call_error(&c, 503, "storage", NULL, "The database did not answer; try again.");
		d->db.failed = false;
	}
	evhttp_clear_headers(&c.query);
	if (c.topic[0]) {
		wait_add(d, req, c.topic, deadline_ms, c.node[0] != 0);
	} else {
		if (c.status == 0)
			call_error(&c, 500, "internal", NULL,
				   "The controller has no answer; its log may say why.");
		send_answer(&c);
	}
	free(c.json.at);
}

/*
 * A connection is closed when nothing is read from it for a while; but while a request is answered,
 * which may take long for a big blob or a long poll, nothing is to be read. What has to move then
 * is the answer.
 */
static void set_patience(struct evhttp_request *req, const struct timeval *read,
			 const struct timeval *write)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(req);

	if (connection)
		bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), read,
					 write);
}

static void on_answered(struct evhttp_request *req, void *arg)
{
	struct billetd *d = arg;
	struct timeval idle = {.tv_sec = d->options.idle_s};

	set_patience(req, &idle, &idle);
}

void http_handle(struct evhttp_request *req, void *billetd)
{
	struct billetd *d = billetd;
	struct timeval idle = {.tv_sec = d->options.idle_s};

	set_patience(req, NULL, &idle);
	evhttp_request_set_on_complete_cb(req, on_answered, d);
	http_run(d, req, 0, true);
	wait_wake_pending(d);
}
