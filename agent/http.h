/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 from the client's side, on llhttp: one request head is written, one response is read.
 * Pure: bytes in, bytes out; whoever owns the connection moves them.
 *
 * A response must say where it ends (Content-Length or chunked), so that a cut connection is never
 * taken for a whole body.
 */
#ifndef AGENT_HTTP_H
#define AGENT_HTTP_H

#include <llhttp.h>

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define HTTP_HEADERS_MAX      16384u /* bytes of names and values */
#define HTTP_REQUEST_HEAD_MAX 1024u

struct http_request {
	const char *method;	  /* "GET", "POST" */
	const char *path;	  /* with the query */
	const char *host;	  /* as in the configuration, with the port */
	const char *content_type; /* of the body; NULL: there is none */
	uint64_t body_len;
	bool has_range;
	uint64_t range_first, range_last; /* "bytes=FIRST-LAST" */
};

/* http_write_head - returns the length; 0 when it does not fit */
size_t http_write_head(const struct http_request *req, char *out, size_t cap);

/* One piece of the response's body; false ends the reading with HTTP_FAILED. */
typedef bool http_body_fn(void *arg, const uint8_t *bytes, size_t len_bytes);

enum http_progress { HTTP_MORE, HTTP_DONE, HTTP_FAILED };

struct http_reader {
	/* For the owner to read. */
	unsigned status;
	bool is_head_done;
	bool keep_alive;
	bool has_content_range;
	uint64_t range_first, range_total; /* "Content-Range: bytes FIRST-LAST/TOTAL" */
	bool has_offset;
	uint64_t offset; /* X-Billet-Offset */
	const char *why; /* of HTTP_FAILED */
	char why_text[64];

	/* Its own. */
	llhttp_t parser;
	llhttp_settings_t settings;
	http_body_fn *body;
	void *arg;
	size_t header_bytes;
	char field[24], value[64];
	uint8_t field_len, value_len;
	bool field_long, value_long;
	bool is_done;
};

/* http_start - get ready for one response; arg is kept until it is read */
void http_start(struct http_reader *r, http_body_fn *body, void *arg);

/*
 * http_feed - take what came
 *
 * A status of 1xx is skipped. Bytes behind the response are an error, as nothing was asked for yet.
 * returns  HTTP_DONE once, with the whole body delivered
 */
enum http_progress http_feed(struct http_reader *r, const uint8_t *bytes, size_t len_bytes);

#endif
