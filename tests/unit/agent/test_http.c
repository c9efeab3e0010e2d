/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP from the client's side: heads written, answers read whole and in every cut, and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http.h"

static char body[4096];
static size_t body_len;
static struct http_reader r;

static bool gather(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg;
	if (len > sizeof(body) - body_len)
		return false;
	memcpy(body + body_len, bytes, len);
	body_len += len;
	return true;
}

static bool refuse(void *arg, const uint8_t *bytes, size_t len)
{
	(void)arg;
	(void)bytes;
	(void)len;
	return false;
}

/* Feeds in pieces of `piece` bytes. */
static enum http_progress read_in(const char *text, size_t piece)
{
	enum http_progress p = HTTP_MORE;
	size_t at, len = strlen(text);

	body_len = 0;
	http_start(&r, gather, NULL);
	for (at = 0; at < len && p == HTTP_MORE; at += piece)
		p = http_feed(&r, (const uint8_t *)text + at, MIN(piece, len - at));
	return p;
}

static void writes_a_head(void **state)
{
	struct http_request req = {.method = "POST",
				   .path = "/a?b=c",
				   .host = "c:1",
				   .content_type = "text/plain",
				   .body_len = 5};
	char out[256];
	size_t len;

	(void)state;
	len = http_write_head(&req, out, sizeof(out));
	assert_true(len > 0 && len < sizeof(out));
	assert_string_equal(out, "POST /a?b=c HTTP/1.1\r\nHost: c:1\r\nUser-Agent: billet-agent\r\n"
				 "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
	req = (struct http_request){.method = "GET",
				    .path = "/",
				    .host = "c",
				    .has_range = true,
				    .range_first = 7,
				    .range_last = 9};
	http_write_head(&req, out, sizeof(out));
	assert_non_null(strstr(out, "\r\nRange: bytes=7-9\r\n\r\n"));
	for (len = 0; len < 70; len++)
		assert_int_equal(http_write_head(&req, out, len), 0);
}

static void reads_an_answer_in_every_cut(void **state)
{
	static const char text[] =
		"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n"
		"Content-Range: bytes 10-14/100\r\nX-Billet-Offset: 42\r\n\r\nhello";
	size_t piece;

	(void)state;
	for (piece = 1; piece <= sizeof(text); piece++) {
		assert_int_equal(read_in(text, piece), HTTP_DONE);
		assert_int_equal(r.status, 206);
		assert_true(r.keep_alive);
		assert_true(r.has_content_range);
		assert_int_equal(r.range_first, 10);
		assert_int_equal(r.range_total, 100);
		assert_true(r.has_offset);
		assert_int_equal(r.offset, 42);
		assert_int_equal(body_len, 5);
		assert_memory_equal(body, "hello", 5);
	}
}

static void reads_chunks(void **state)
{
	(void)state;
	assert_int_equal(read_in("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
				 "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
				 7),
			 HTTP_DONE);
	assert_int_equal(body_len, 5);
	assert_memory_equal(body, "abcde", 5);
}

static void knows_answers_without_a_body(void **state)
{
	(void)state;
	assert_int_equal(read_in("HTTP/1.1 204 No Content\r\n\r\n", 100), HTTP_DONE);
	assert_int_equal(r.status, 204);
}

static void skips_interim_answers(void **state)
{
	(void)state;
	assert_int_equal(read_in("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
				 "1\r\n\r\nx",
				 1),
			 HTTP_DONE);
	assert_int_equal(r.status, 200);
	assert_int_equal(body_len, 1);
}

static void sees_that_the_connection_ends(void **state)
{
	(void)state;
	assert_int_equal(
		read_in("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 100),
		HTTP_DONE);
	assert_false(r.keep_alive);
}

static void refuses(const char *text, const char *why)
{
	size_t piece;

	for (piece = 1; piece < 200; piece += 33) {
		assert_int_equal(read_in(text, piece), HTTP_FAILED);
		assert_non_null(strstr(r.why, why));
	}
}

static void refuses_what_is_not_clear(void **state)
{
	(void)state;
	refuses("HTTP/1.1 200 OK\r\n\r\nbody", "where it ends");
	refuses("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
		"HPE_");
	refuses("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HPE_");
	refuses("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "HPE_");
	refuses("SSH-2.0-x\r\n", "not HTTP (HPE_INVALID_CONSTANT)");
	refuses("HTTP/1.1 206 P\r\nContent-Length: 1\r\nContent-Range: bytes 5-4/9\r\n\r\n",
		"Content-Range");
	refuses("HTTP/1.1 206 P\r\nContent-Length: 1\r\nContent-Range: bytes 0-9/9\r\n\r\n",
		"Content-Range");
	refuses("HTTP/1.1 206 P\r\nContent-Length: 1\r\nContent-Range: items 0-1/9\r\n\r\n",
		"Content-Range");
	refuses("HTTP/1.1 200 P\r\nContent-Length: 1\r\nX-Billet-Offset: -1\r\n\r\n",
		"X-Billet-Offset");
}

static void refuses_bytes_behind_the_answer(void **state)
{
	(void)state;
	assert_int_equal(read_in("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200", 1000),
			 HTTP_FAILED);
	assert_string_equal(r.why, "bytes behind the answer");
}

static void refuses_endless_headers(void **state)
{
	static char text[HTTP_HEADERS_MAX + 4096];
	size_t len = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\n");

	(void)state;
	while (len < HTTP_HEADERS_MAX + 2048)
		len += (size_t)sprintf(text + len, "X-Filler: %032d\r\n", 0);
	assert_int_equal(read_in(text, 100), HTTP_FAILED);
	assert_non_null(strstr(r.why, "16 KiB"));
}

static void stops_when_the_body_is_refused(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";

	(void)state;
	http_start(&r, refuse, NULL);
	assert_int_equal(http_feed(&r, (const uint8_t *)text, strlen(text)), HTTP_FAILED);
	assert_int_equal(http_feed(&r, (const uint8_t *)text, strlen(text)), HTTP_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_a_head),
		cmocka_unit_test(reads_an_answer_in_every_cut),
		cmocka_unit_test(reads_chunks),
		cmocka_unit_test(knows_answers_without_a_body),
		cmocka_unit_test(skips_interim_answers),
		cmocka_unit_test(sees_that_the_connection_ends),
		cmocka_unit_test(refuses_what_is_not_clear),
		cmocka_unit_test(refuses_bytes_behind_the_answer),
		cmocka_unit_test(refuses_endless_headers),
		cmocka_unit_test(stops_when_the_body_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
