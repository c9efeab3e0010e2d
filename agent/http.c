/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llhttp hands over names and values in pieces; they are gathered in two small buffers, and a
 * header that does not fit there is one that we do not know.
 */
#include "agent/http.h"

#include <stdio.h>
#include <string.h>

#include "agent/protocol/form.h"

size_t http_write_head(const struct http_request *req, char *out, size_t cap)
{
	int len = snprintf(out, cap, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: billet-agent\r\n",
			   req->method, req->path, req->host);

	if (req->content_type && len > 0 && (size_t)len < cap)
		len += snprintf(out + len, cap - (size_t)len,
				"Content-Type: %s\r\nContent-Length: %llu\r\n", req->content_type,
				(unsigned long long)req->body_len);
	if (req->has_range && len > 0 && (size_t)len < cap)
		len += snprintf(out + len, cap - (size_t)len, "Range: bytes=%llu-%llu\r\n",
				(unsigned long long)req->range_first,
				(unsigned long long)req->range_last);
	if (len > 0 && (size_t)len < cap)
		len += snprintf(out + len, cap - (size_t)len, "\r\n");
	return len > 0 && (size_t)len < cap ? (size_t)len : 0;
}

static struct http_reader *reader(llhttp_t *parser)
{
	return parser->data;
}

static int stop(struct http_reader *r, const char *why)
{
	r->why = why;
	return HPE_USER;
}

static int count_header(struct http_reader *r, size_t len)
{
	r->header_bytes += len;
	return r->header_bytes > HTTP_HEADERS_MAX ? stop(r, "more than 16 KiB of headers") : 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
	struct http_reader *r = reader(parser);

	if (len > sizeof(r->field) - r->field_len)
		r->field_long = true;
	else
		memcpy(r->field + r->field_len, at, len),
			r->field_len = (uint8_t)(r->field_len + len);
	return count_header(r, len);
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct http_reader *r = reader(parser);

	if (len > sizeof(r->value) - r->value_len)
		r->value_long = true;
	else
		memcpy(r->value + r->value_len, at, len),
			r->value_len = (uint8_t)(r->value_len + len);
	return count_header(r, len);
}

static bool is_field(const struct http_reader *r, const char *name)
{
	size_t i, len = strlen(name);

	if (r->field_long || r->field_len != len)
		return false;
	for (i = 0; i < len; i++) {
		char c = r->field[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 'a' - 'A');
		if (c != name[i])
			return false;
	}
	return true;
}

/* "bytes FIRST-LAST/TOTAL" */
static bool parse_content_range(const char *text, size_t len, uint64_t *first, uint64_t *total)
{
	static const char unit[] = "bytes ";
	const char *dash, *slash;
	uint64_t last;

	if (len < sizeof(unit) || memcmp(text, unit, sizeof(unit) - 1) != 0)
		return false;
	text += sizeof(unit) - 1;
	len -= sizeof(unit) - 1;
	dash = memchr(text, '-', len);
	slash = memchr(text, '/', len);
	if (!dash || !slash || slash < dash)
		return false;
	return form_parse_u64(text, (size_t)(dash - text), first) &&
	       form_parse_u64(dash + 1, (size_t)(slash - dash - 1), &last) &&
	       form_parse_u64(slash + 1, len - (size_t)(slash + 1 - text), total) &&
	       *first <= last && last < *total;
}

static int on_value_complete(llhttp_t *parser)
{
	struct http_reader *r = reader(parser);
	int result = 0;

	if (is_field(r, "content-range")) {
		r->has_content_range =
			!r->value_long && parse_content_range(r->value, r->value_len,
							      &r->range_first, &r->range_total);
		if (!r->has_content_range)
			result = stop(r, "Content-Range makes no sense");
	} else if (is_field(r, "x-billet-offset")) {
		r->has_offset =
			!r->value_long && form_parse_u64(r->value, r->value_len, &r->offset);
		if (!r->has_offset)
			result = stop(r, "X-Billet-Offset is no number");
	}
	r->field_len = r->value_len = 0;
	r->field_long = r->value_long = false;
	return result;
}

static int on_headers_complete(llhttp_t *parser)
{
	struct http_reader *r = reader(parser);
	unsigned status = parser->status_code;

	if (status < 200)
		return 0;
	if (status != 204 && status != 304 && !(parser->flags & (F_CONTENT_LENGTH | F_CHUNKED)))
		return stop(r, "the answer does not say where it ends");
	r->status = status;
	r->is_head_done = true;
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct http_reader *r = reader(parser);

	return r->body(r->arg, (const uint8_t *)at, len) ? 0 : stop(r, "the body was refused");
}

static int on_message_complete(llhttp_t *parser)
{
	struct http_reader *r = reader(parser);

	if (!r->is_head_done)
		return 0; /* 1xx: the real one follows */
	r->is_done = true;
	r->keep_alive = llhttp_should_keep_alive(parser);
	return HPE_PAUSED;
}

void http_start(struct http_reader *r, http_body_fn *body, void *arg)
{
	memset(r, 0, sizeof(*r));
	llhttp_settings_init(&r->settings);
	r->settings.on_header_field = on_field;
	r->settings.on_header_value = on_value;
	r->settings.on_header_value_complete = on_value_complete;
	r->settings.on_headers_complete = on_headers_complete;
	r->settings.on_body = on_body;
	r->settings.on_message_complete = on_message_complete;
	llhttp_init(&r->parser, HTTP_RESPONSE, &r->settings);
	r->parser.data = r;
	r->body = body;
	r->arg = arg;
}

enum http_progress http_feed(struct http_reader *r, const uint8_t *bytes, size_t len_bytes)
{
	llhttp_errno_t err;

	if (r->why || r->is_done)
		return HTTP_FAILED;
	err = llhttp_execute(&r->parser, (const char *)bytes, len_bytes);
	if (err == HPE_PAUSED && r->is_done) {
		if (llhttp_get_error_pos(&r->parser) == (const char *)bytes + len_bytes)
			return HTTP_DONE;
		r->why = "bytes behind the answer";
		return HTTP_FAILED;
	}
	if (err == HPE_OK)
		return HTTP_MORE;
	if (!r->why) {
		snprintf(r->why_text, sizeof(r->why_text), "the answer is not HTTP (%s)",
			 llhttp_errno_name(err));
		r->why = r->why_text;
	}
	return HTTP_FAILED;
}
