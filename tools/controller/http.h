/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request from arrival to answer. A route names a handler, who may call it, and whether it
 * writes; then
 *
 *	size and caller are checked  →  BEGIN (if it writes)  →  handler fills in the answer  →
 *	COMMIT, or ROLLBACK for 400 and above  →  the answer is sent  →  waiters are woken
 *
 * so that nothing is ever acknowledged that is not on disk. A handler that has nothing to say yet
 * calls call_wait(); it is run again from the start when its topic is woken, and a last time, with
 * can_wait false, when the time is up.
 */
#ifndef CONTROLLER_HTTP_H
#define CONTROLLER_HTTP_H

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>

#include "agent/protocol/messages.h"
#include "tools/controller/billetd.h"

enum route_auth { AUTH_NONE, AUTH_NODE, AUTH_VIEWER, AUTH_OPERATOR, AUTH_ADMIN };

enum route_flags {
	ROUTE_WRITES = 1,     /* runs in a transaction */
	ROUTE_IDEMPOTENT = 2, /* understands Idempotency-Key */
};

struct call {
	struct billetd *d;
	struct evhttp_request *req;
	const struct route *route;
	char param[SHA256_TEXT_MAX]; /* what stood for '*' in the path */
	char path[256];
	struct evkeyvalq query;
	const char *body;
	size_t body_len;

	char actor[160]; /* for events: "tok_… name", or a node's id */
	char token_id[ID_TEXT_MAX];
	char node[ID_TEXT_MAX]; /* the calling node */

	int status; /* 0: no answer yet */
	struct json_out json;
	struct evbuffer *raw; /* instead of json */
	bool keeps_changes;   /* commit in spite of an error */
	bool can_wait;
	char topic[TOPIC_MAX]; /* what it waits for */
};

typedef void handler_fn(struct call *c);

struct route {
	enum evhttp_cmd_type method;
	const char *pattern; /* a star stands for one segment */
	handler_fn *handle;
	enum route_auth auth;
	unsigned int flags;
	size_t body_max; /* bytes; 0: PROTO_JSON_MAX */
};

/* Tables, each ending with a row whose handler is NULL; the list of them, in routes.c, ends with
 * NULL. */
extern const struct route *const route_tables[];

void http_handle(struct evhttp_request *req, void *billetd);

/* ---- for handlers --------------------------------------------------------------------------- */

/* call_reply - begin an answer; JSON goes into what is returned */
struct json_out *call_reply(struct call *c, int status);

/* call_reply_raw - begin an answer of bytes */
struct evbuffer *call_reply_raw(struct call *c, int status, const char *content_type);

/* call_reply_empty - an answer without a body: 204, 304 */
void call_reply_empty(struct call *c, int status);

/* call_error - answer with an error; what was answered before is forgotten. field may be NULL. */
void call_error(struct call *c, int status, const char *code, const char *field, const char *format,
		...) __attribute__((format(printf, 5, 6)));

void call_header(struct call *c, const char *name, const char *value);
void call_header_u64(struct call *c, const char *name, uint64_t value);
const char *call_request_header(struct call *c, const char *name); /* or NULL */

/* call_decode - the JSON body into a struct; false after answering what is wrong with it. An empty
 * body is {}. */
bool call_decode(struct call *c, const struct schema *schema, void *out);

/* call_query - a query parameter or NULL; call_query_u64: false after answering that it is no
 * number up to max */
const char *call_query(struct call *c, const char *key);
bool call_query_u64(struct call *c, const char *key, uint64_t otherwise, uint64_t max,
		    uint64_t *value);

/* call_wait - answer later: when `topic` is woken, or when the request's wait= is over. One waiter
 * for a topic and caller: an earlier one of the same node is let go. */
void call_wait(struct call *c, const char *topic_kind, const char *topic_id);

/* call_wake - let those who wait for a topic look again, after the commit */
void call_wake(struct billetd *d, const char *topic_kind, const char *topic_id);

/* Lists: page_begin() reads limit= and after= and opens {"items":[; page_more() is asked before
 * each row with its seq, and page_end() closes. */
struct page {
	struct call *c;
	struct json_out *o;
	int64_t after;
	uint64_t limit, count;
	int64_t last;
	bool more;
};
bool page_begin(struct page *p, struct call *c);
bool page_more(struct page *p, int64_t seq);
void page_end(struct page *p);

/* A time as text, null for 0. */
void json_time(struct json_out *o, const char *key, int64_t ms);

/* ---- between http.c, wait.c and server.c ---------------------------------------------------- */

/* http_run - run the handler of a request; deadline_ms 0: first time, it is set from wait= */
void http_run(struct billetd *d, struct evhttp_request *req, int64_t deadline_ms, bool can_wait);

void wait_add(struct billetd *d, struct evhttp_request *req, const char *topic, int64_t deadline_ms,
	      bool is_node);
void wait_wake_pending(struct billetd *d); /* those that call_wake() named */
void wait_end_all(struct billetd *d);

#endif
