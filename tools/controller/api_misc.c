/* SPDX-License-Identifier: Apache-2.0 */
/* What the controller says of itself, and what has happened. */
#include "tools/controller/api_misc.h"

#include <string.h>

#include "tools/controller/util.h"

static void write_event(sqlite3_stmt *q, struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_u64(o, "id", (uint64_t)sqlite3_column_int64(q, 0));
	json_time(o, "time", sqlite3_column_int64(q, 1));
	json_out_string(o, "level", db_text_or_null(q, 2));
	json_out_string(o, "code", db_text_or_null(q, 3));
	json_out_string(o, "actor", db_text_or_null(q, 4));
	json_out_string(o, "node", db_text_or_null(q, 5));
	json_out_string(o, "vm", db_text_or_null(q, 6));
	json_out_string(o, "message", db_text_or_null(q, 7));
	json_out_end_object(o);
}

#define EVENT_COLUMNS                                                                              \
	"SELECT seq, time_ms, level, code, actor, node, vm, message FROM events WHERE"             \
	" (?2 IS NULL OR vm = ?2 OR vm IN (SELECT id FROM vms WHERE name = ?2)) AND"               \
	" (?3 IS NULL OR node = ?3 OR node IN (SELECT id FROM nodes WHERE name = ?3)) AND "

/* GET /v1/events?vm=&node=&order=desc */
static void list_events(struct call *c)
{
	const char *order = call_query(c, "order");
	bool newest_first = order && strcmp(order, "desc") == 0;
	struct page p;
	sqlite3_stmt *q;

	if (!page_begin(&p, c))
		return;
	if (newest_first)
		q = db_query(&c->d->db,
			     EVENT_COLUMNS "(?1 = 0 OR seq < ?1) ORDER BY seq DESC LIMIT ?4",
			     "itti", p.after, call_query(c, "vm"), call_query(c, "node"),
			     (int64_t)p.limit + 1);
	else
		q = db_query(&c->d->db, EVENT_COLUMNS "seq > ?1 ORDER BY seq LIMIT ?4", "itti",
			     p.after, call_query(c, "vm"), call_query(c, "node"),
			     (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		if (!page_more(&p, sqlite3_column_int64(q, 0))) {
			db_done(q);
			break;
		}
		write_event(q, p.o);
	}
	page_end(&p);
}

/* GET /v1/version */
static void get_version(struct call *c)
{
	struct json_out *o = call_reply(c, 200);

	json_out_object(o, NULL);
	json_out_string(o, "version", BILLET_VERSION);
	json_out_array(o, "api");
	json_out_string(o, NULL, "v1");
	json_out_end_array(o);
	json_time(o, "time", now_ms());
	json_out_end_object(o);
}

/* GET /v1/ca */
static void get_ca(struct call *c)
{
	evbuffer_add(call_reply_raw(c, 200, "application/x-pem-file"), c->d->ca.pem,
		     strlen(c->d->ca.pem));
}

/* GET /healthz */
static void get_health(struct call *c)
{
	struct json_out *o;

	if (db_number(&c->d->db, 0, "SELECT count(*) FROM tokens", "") == 0)
		return; /* the database failed: 503 */
	o = call_reply(c, 200);
	json_out_object(o, NULL);
	json_out_string(o, "status", "ok");
	json_out_end_object(o);
}

const struct route api_misc_routes[] = {
	{EVHTTP_REQ_GET, "/v1/events", list_events, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_GET, "/v1/version", get_version, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_GET, "/v1/ca", get_ca, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_GET, "/healthz", get_health, AUTH_NONE, 0, 0},
	{0},
};
