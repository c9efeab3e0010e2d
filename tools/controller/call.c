/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What handlers use: reading a request's parts and filling in its answer.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/controller/http.h"
#include "tools/controller/util.h"

static bool grow(struct json_out *o, size_t need)
{
	size_t cap = o->cap ? o->cap : 4096;
	char *at;

	while (cap < need)
		cap *= 2;
	at = realloc(o->at, cap);
	if (!at)
		return false;
	o->at = at;
	o->cap = cap;
	return true;
}

static void forget_answer(struct call *c)
{
	c->json.len = 0;
	c->json.overflow = false;
	if (c->raw)
		evbuffer_free(c->raw);
	c->raw = NULL;
	c->topic[0] = 0;
}

struct json_out *call_reply(struct call *c, int status)
{
	forget_answer(c);
	c->status = status;
	c->json.grow = grow;
	return &c->json;
}

struct evbuffer *call_reply_raw(struct call *c, int status, const char *content_type)
{
	forget_answer(c);
	c->status = status;
	c->raw = evbuffer_new();
	call_header(c, "Content-Type", content_type);
	return c->raw;
}

void call_reply_empty(struct call *c, int status)
{
	forget_answer(c);
	c->status = status;
}

void call_error(struct call *c, int status, const char *code, const char *field, const char *format,
		...)
{
	struct json_out *o = call_reply(c, status);
	char message[384];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	json_out_object(o, NULL);
	json_out_object(o, "error");
	json_out_string(o, "code", code);
	json_out_string(o, "message", message);
	if (field && field[0])
		json_out_string(o, "field", field);
	json_out_end_object(o);
	json_out_end_object(o);
}

void call_header(struct call *c, const char *name, const char *value)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(c->req);

	evhttp_remove_header(headers, name);
	evhttp_add_header(headers, name, value);
}

void call_header_u64(struct call *c, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	call_header(c, name, text);
}

const char *call_request_header(struct call *c, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(c->req), name);
}

bool call_decode(struct call *c, const struct schema *schema, void *out)
{
	struct proto_error err;
	bool empty = c->body_len == 0;

	if (schema_decode(schema, empty ? "{}" : c->body, empty ? 2 : c->body_len,
			  (struct proto_scratch){0}, out, &err) == PROTO_OK)
		return true;
	if (err.status == PROTO_NO_MEMORY)
		call_error(c, 503, "storage", NULL,
			   "The controller is short of memory; try again.");
	else
		call_error(c, err.status == PROTO_MALFORMED ? 400 : 422,
			   proto_status_code(err.status), err.field, "The request is refused: %s.",
			   err.message);
	return false;
}

const char *call_query(struct call *c, const char *key)
{
	return evhttp_find_header(&c->query, key);
}

bool call_query_u64(struct call *c, const char *key, uint64_t otherwise, uint64_t max,
		    uint64_t *value)
{
	const char *text = call_query(c, key);

	*value = otherwise;
	if (!text || (form_parse_u64(text, strlen(text), value) && *value <= max))
		return true;
	call_error(c, 400, "bad_query", key,
		   "The query's '%s' must be a whole number from 0 to %llu.", key,
		   (unsigned long long)max);
	return false;
}

void call_wait(struct call *c, const char *topic_kind, const char *topic_id)
{
	forget_answer(c);
	c->status = 0;
	snprintf(c->topic, sizeof(c->topic), "%s %s", topic_kind, topic_id);
}

void call_wake(struct billetd *d, const char *topic_kind, const char *topic_id)
{
	/* More topics than fit at once: an empty one wakes everybody. */
	if (d->nr_wakes == WAKES_MAX)
		d->wakes[0][0] = 0;
	else
		snprintf(d->wakes[d->nr_wakes++], TOPIC_MAX, "%s %s", topic_kind, topic_id);
}

bool page_begin(struct page *p, struct call *c)
{
	uint64_t after;

	*p = (struct page){.c = c};
	if (!call_query_u64(c, "limit", 100, 1000, &p->limit) ||
	    !call_query_u64(c, "after", 0, INT64_MAX, &after))
		return false;
	if (p->limit == 0)
		p->limit = 1;
	p->after = (int64_t)after;
	p->o = call_reply(c, 200);
	json_out_object(p->o, NULL);
	json_out_array(p->o, "items");
	return true;
}

bool page_more(struct page *p, int64_t seq)
{
	if (p->count == p->limit) {
		p->more = true;
		return false;
	}
	p->count++;
	p->last = seq;
	return true;
}

void page_end(struct page *p)
{
	json_out_end_array(p->o);
	if (p->more)
		json_out_u64(p->o, "next", (uint64_t)p->last);
	else
		json_out_null(p->o, "next");
	json_out_end_object(p->o);
}

void json_time(struct json_out *o, const char *key, int64_t ms)
{
	char text[TIME_TEXT_MAX];

	json_out_string(o, key, ms > 0 ? time_text(ms, text) : NULL);
}
