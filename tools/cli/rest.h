/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTPS to one controller, with its certificate and name always verified. Nothing here knows what
 * the paths mean.
 */
#ifndef CLI_REST_H
#define CLI_REST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/cli/settings.h"

struct request {
	const char *method; /* "GET", "HEAD", "POST", "PATCH", "DELETE" */
	const char *path;   /* "/v1/vms?limit=1" */
	const void *body;   /* or NULL; borrowed until the answer is there */
	size_t len_bytes;
	const char *type;   /* of the body */
	const char *header; /* one more, "Upload-Offset: 0"; or NULL */
	long timeout_s;	    /* for all of it; 0: 60 */
};

struct reply {
	long status;
	char *body; /* zero-terminated; never NULL once there is a status */
	size_t len_bytes;
};

/* rest_begin - name the controller; settings are borrowed until the program ends */
void rest_begin(const struct settings *settings);

/*
 * rest_try - one request and its answer
 *
 * reply    gives: reply_free(). An earlier answer in it is freed.
 * returns  CURLE_OK, or why there is no answer
 */
CURLcode rest_try(const struct request *request, struct reply *reply);
void reply_free(struct reply *reply);

/* rest_header_u64 - a number in a header of the last answer that rest_try() got */
bool rest_header_u64(const char *name, uint64_t *value);

/* rest_unreachable - say in one line why there was no answer, and what to do, and end */
_Noreturn void rest_unreachable(CURLcode why);

/*
 * The parts of rest_try(), for who has several requests under way. A handle is kept for the next
 * request of its kind.
 */
struct rest_handle {
	CURL *curl;
	struct curl_slist *headers;
	struct reply *reply;
	char error[CURL_ERROR_SIZE];
};

void rest_open(struct rest_handle *h);
void rest_prepare(struct rest_handle *h, const struct request *request, struct reply *reply);
void rest_finish(struct rest_handle *h); /* the status, and a terminated body, into the reply */
bool rest_handle_u64(struct rest_handle *h, const char *name, uint64_t *value);

/* rest_escape - a word as part of a path or query. Gives. */
char *rest_escape(const char *word);

#endif
