/* SPDX-License-Identifier: Apache-2.0 */
/* A state machine that is moved on by the loop: open, send, read, and idle again. */
#include "agent/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "agent/protocol/messages.h"
#include "kernel/lib/assert.h"

#define READ_PIECE     4096u
#define PIECES_A_POLL  16u /* then the others have their turn */
#define BODY_FIRST_CAP 4096u

bool client_init(struct client *c, const char *name, const char *host, uint16_t port)
{
	memset(c, 0, sizeof(*c));
	c->name = name;
	c->host = host;
	c->port = port;
	snprintf(c->host_header, sizeof(c->host_header), "%s:%u", host, port);
	c->tls = tls_create();
	return c->tls != NULL;
}

static bool gather(void *arg, const uint8_t *bytes, size_t len)
{
	struct client *c = arg;
	size_t need = c->body_len + len + 1, cap = c->body_cap ? c->body_cap : BODY_FIRST_CAP;
	char *grown;

	if (need > PROTO_JSON_MAX + 1)
		return false;
	while (cap < need)
		cap *= 2;
	if (cap > c->body_cap) {
		grown = realloc(c->body, cap);
		if (!grown)
			return false;
		c->body = grown;
		c->body_cap = cap;
	}
	memcpy(c->body + c->body_len, bytes, len);
	c->body_len += len;
	c->body[c->body_len] = 0;
	return true;
}

static void drop_body(struct client *c)
{
	free(c->body);
	c->body = NULL;
	c->body_len = c->body_cap = 0;
}

static void open_when_due(struct client *c, uint64_t now_ms)
{
	if (c->state != CLIENT_OPENING || tls_poll(c->tls) != TLS_CLOSED || !tls_may_open())
		return;
	c->open_ms = now_ms;
	tls_open(c->tls, c->host, c->port);
}

static void begin(struct client *c, uint64_t now_ms)
{
	c->sent = 0;
	c->got_any = false;
	drop_body(c);
	http_start(&c->reader, c->req.sink ? c->req.sink : gather, c->req.sink ? c->req.arg : c);
	c->is_reused = tls_poll(c->tls) == TLS_OPEN;
	c->state = c->is_reused ? CLIENT_SENDING : CLIENT_OPENING;
	if (!c->is_reused)
		tls_close(c->tls);
	open_when_due(c, now_ms);
}

void client_send(struct client *c, const struct client_request *req, uint64_t now_ms)
{
	struct http_request head = {.method = req->method,
				    .host = c->host_header,
				    .content_type = req->content_type,
				    .body_len = req->body_len,
				    .has_range = req->has_range,
				    .range_first = req->range_first,
				    .range_last = req->range_last};

	ASSERT(c->state == CLIENT_IDLE);
	c->req = *req;
	head.path = c->req.path;
	c->head_len = http_write_head(&head, c->head, sizeof(c->head));
	ASSERT(c->head_len > 0);
	c->deadline_ms = now_ms + req->timeout_ms;
	begin(c, now_ms);
}

/* The body is handed over and freed only afterwards, though done() may begin the next request. */
static void finish(struct client *c, unsigned status, const char *error)
{
	struct client_request req = c->req;
	struct client_result result = {.status = status,
				       .reader = &c->reader,
				       .body = c->body ? c->body : "",
				       .body_len = c->body_len,
				       .error = error};
	char *body = c->body;

	c->body = NULL;
	c->body_len = c->body_cap = 0;
	c->state = CLIENT_IDLE;
	req.done(req.arg, &result);
	free(body);
}

static void fail(struct client *c, const char *error, uint64_t now_ms)
{
	char text[160];

	if (c->is_reused && !c->got_any && now_ms < c->deadline_ms) {
		tls_close(c->tls);
		begin(c, now_ms);
		return;
	}
	snprintf(text, sizeof(text), "%s",
		 error[0] ? error : "the controller closed the connection");
	tls_close(c->tls);
	finish(c, 0, text);
}

static bool send_some(struct client *c)
{
	size_t n;

	if (c->sent < c->head_len)
		n = tls_write(c->tls, c->head + c->sent, c->head_len - c->sent);
	else
		n = tls_write(c->tls, (const char *)c->req.body + (c->sent - c->head_len),
			      c->head_len + c->req.body_len - c->sent);
	c->sent += n;
	if (c->sent == c->head_len + c->req.body_len)
		c->state = CLIENT_READING;
	return n > 0;
}

static bool read_some(struct client *c, uint64_t now_ms)
{
	static uint8_t piece[READ_PIECE]; /* one loop, one piece at a time */
	unsigned i;
	size_t n;

	for (i = 0; i < PIECES_A_POLL; i++) {
		n = tls_read(c->tls, piece, sizeof(piece));
		if (n == 0)
			return i > 0;
		c->got_any = true;
		switch (http_feed(&c->reader, piece, n)) {
		case HTTP_MORE:
			break;
		case HTTP_DONE:
			if (!c->reader.keep_alive)
				tls_close(c->tls);
			finish(c, c->reader.status, NULL);
			return true;
		case HTTP_FAILED:
			fail(c, c->reader.why, now_ms);
			return true;
		}
	}
	return true;
}

bool client_poll(struct client *c, uint64_t now_ms)
{
	enum tls_state state = tls_poll(c->tls);

	open_when_due(c, now_ms);
	if (c->state == CLIENT_IDLE) {
		if (state == TLS_FAILED)
			tls_close(c->tls);
		return false;
	}
	if (state == TLS_FAILED) {
		fail(c, tls_error(c->tls), now_ms);
		return true;
	}
	if (now_ms >= c->deadline_ms) {
		c->is_reused = false;
		fail(c, "the controller did not answer in time", now_ms);
		return true;
	}
	if (c->state == CLIENT_OPENING && state == TLS_OPEN) {
		log_info("tls", "%s: connected in %u ms, %s", c->name,
			 (unsigned)(now_ms - c->open_ms), tls_describe(c->tls));
		c->state = CLIENT_SENDING;
		return true;
	}
	if (c->state == CLIENT_SENDING)
		return send_some(c);
	if (c->state == CLIENT_READING)
		return read_some(c, now_ms);
	return tls_progressed(c->tls);
}

void client_close(struct client *c)
{
	tls_close(c->tls);
	drop_body(c);
	c->state = CLIENT_IDLE;
}
