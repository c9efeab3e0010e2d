/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTPS connection to the controller: one request at a time, kept open between requests. A
 * request that fails on a connection that had been idle is tried once more on a fresh one (the peer
 * may have closed it just then); everything that the agent asks for may be repeated.
 */
#ifndef AGENT_CLIENT_H
#define AGENT_CLIENT_H

#include "agent/http.h"
#include "agent/tls.h"

#define CLIENT_PATH_MAX 256u

struct client_result {
	unsigned status;		  /* 0: no answer came; error says why */
	const struct http_reader *reader; /* headers */
	const char *body;		  /* when no sink was given; zero-terminated */
	size_t body_len;
	const char *error;
};

struct client_request {
	const char *method;
	char path[CLIENT_PATH_MAX];
	const char *content_type; /* NULL: no body */
	const void *body;	  /* kept until done */
	size_t body_len;
	bool has_range;
	uint64_t range_first, range_last;
	uint32_t timeout_ms;
	http_body_fn *sink; /* NULL: the body is gathered, up to PROTO_JSON_MAX */
	/* Called once, from client_poll; may start the next request. */
	void (*done)(void *arg, const struct client_result *result);
	void *arg; /* of sink and done */
};

enum client_state { CLIENT_IDLE, CLIENT_OPENING, CLIENT_SENDING, CLIENT_READING };

struct client {
	const char *name; /* for the log */
	const char *host;
	uint16_t port;
	enum client_state state;
	struct tls *tls;
	struct client_request req;
	struct http_reader reader;
	char host_header[280];
	char head[HTTP_REQUEST_HEAD_MAX];
	size_t head_len, sent; /* sent: of head and body together */
	uint64_t deadline_ms, open_ms;
	bool is_reused, got_any;
	char *body;
	size_t body_len, body_cap;
};

/* client_init - host is kept; false: no memory */
bool client_init(struct client *c, const char *name, const char *host, uint16_t port);

/* client_send - begin a request; the client must be idle */
void client_send(struct client *c, const struct client_request *req, uint64_t now_ms);

/* client_poll - move on; returns true when it did something and should soon be asked again */
bool client_poll(struct client *c, uint64_t now_ms);

/* client_close - drop the connection and what was asked, without a word to done() */
void client_close(struct client *c);

static inline bool client_is_idle(const struct client *c)
{
	return c->state == CLIENT_IDLE;
}

#endif
