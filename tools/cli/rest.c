/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/rest.h"

#include <stdlib.h>
#include <string.h>

#include "tools/cli/die.h"
#include "tools/cli/units.h"

#define BODY_MAX	  (64u << 20)
#define CONNECT_TIMEOUT_S 10L
#define TIMEOUT_S	  60L

static const struct settings *settings;
static struct rest_handle common;

void rest_begin(const struct settings *s)
{
	settings = s;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		die(EXIT_REFUSED, "libcurl does not start");
	rest_open(&common);
}

void rest_open(struct rest_handle *h)
{
	*h = (struct rest_handle){.curl = curl_easy_init()};
	if (!h->curl)
		die(EXIT_REFUSED, "out of memory");
}

static size_t take_body(char *bytes, size_t one, size_t len, void *arg)
{
	struct reply *reply = arg;
	size_t total = one * len;
	char *body;

	if (total > BODY_MAX - reply->len_bytes)
		return 0;
	body = realloc(reply->body, reply->len_bytes + total + 1);
	if (!body)
		return 0;
	memcpy(body + reply->len_bytes, bytes, total);
	reply->body = body;
	reply->len_bytes += total;
	body[reply->len_bytes] = 0;
	return total;
}

static void set_method(CURL *curl, const struct request *r)
{
	if (strcmp(r->method, "GET") == 0)
		return;
	if (strcmp(r->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
		return;
	}
	if (strcmp(r->method, "DELETE") != 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len_bytes);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body ? r->body : "");
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
}

static void add_header(struct rest_handle *h, char *line)
{
	struct curl_slist *longer = curl_slist_append(h->headers, line);

	if (!longer)
		die(EXIT_REFUSED, "out of memory");
	h->headers = longer;
}

static void set_headers(struct rest_handle *h, const struct request *r)
{
	char *line;

	curl_slist_free_all(h->headers);
	h->headers = NULL;
	add_header(h, (char *)"Expect:"); /* no round trip before a body */
	if (settings->token) {
		line = xformat("Authorization: Bearer %s", settings->token);
		add_header(h, line);
		free(line);
	}
	if (r->body) {
		line = xformat("Content-Type: %s", r->type);
		add_header(h, line);
		free(line);
	}
	if (r->header)
		add_header(h, (char *)r->header);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
}

void rest_prepare(struct rest_handle *h, const struct request *r, struct reply *reply)
{
	char *url = xformat("%s%s", settings->server, r->path);
	CURL *curl = h->curl;

	reply_free(reply);
	h->reply = reply;
	curl_easy_reset(curl); /* connections stay */
	curl_easy_setopt(curl, CURLOPT_URL, url);
	free(url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (settings->ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "billetctl/" BILLET_VERSION);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, r->timeout_s ? r->timeout_s : TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	h->error[0] = 0;
	set_method(curl, r);
	set_headers(h, r);
}

void rest_finish(struct rest_handle *h)
{
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &h->reply->status);
	if (!h->reply->body)
		h->reply->body = xalloc(1);
}

CURLcode rest_try(const struct request *request, struct reply *reply)
{
	CURLcode result;

	rest_prepare(&common, request, reply);
	result = curl_easy_perform(common.curl);
	rest_finish(&common);
	return result;
}

void reply_free(struct reply *reply)
{
	free(reply->body);
	*reply = (struct reply){0};
}

bool rest_handle_u64(struct rest_handle *h, const char *name, uint64_t *value)
{
	struct curl_header *header;

	return curl_easy_header(h->curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
	       units_parse_number(header->value, UINT64_MAX, value);
}

bool rest_header_u64(const char *name, uint64_t *value)
{
	return rest_handle_u64(&common, name, value);
}

char *rest_escape(const char *word)
{
	char *escaped = curl_easy_escape(common.curl, word, 0);

	if (!escaped)
		die(EXIT_REFUSED, "out of memory");
	return escaped;
}

void rest_unreachable(CURLcode why)
{
	const char *text = common.error[0] ? common.error : curl_easy_strerror(why);

	switch (why) {
	case CURLE_PEER_FAILED_VERIFICATION:
		die(EXIT_UNREACHABLE,
		    "%s is not to be trusted: %s. Give the CA that made its certificate with --ca.",
		    settings->server, text);
	case CURLE_SSL_CACERT_BADFILE:
		die(EXIT_USAGE, "the CA file %s cannot be read, or is none",
		    settings->ca ? settings->ca : "of the system");
	case CURLE_OPERATION_TIMEDOUT:
		die(EXIT_UNREACHABLE, "%s does not answer: %s", settings->server, text);
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		die(EXIT_UNREACHABLE,
		    "cannot reach %s: %s. Is billetd running there? (--server, BILLET_SERVER)",
		    settings->server, text);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		die(EXIT_UNREACHABLE, "%s broke the connection: %s. Try again.", settings->server,
		    text);
	default:
		die(EXIT_UNREACHABLE, "%s: %s", settings->server, text);
	}
}
