/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON into memory of the caller, without allocating. Commas and escapes are put where they
 * belong; nesting is the caller's business. A text that does not fit sets `overflow` and the rest
 * is dropped, so a caller checks once, at the end:
 *
 *	struct json_out o = {.at = buf, .cap = sizeof(buf)};
 *
 *	json_out_object(&o, NULL);
 *	json_out_string(&o, "name", "web1");
 *	json_out_end_object(&o);
 *	if (o.overflow)
 *		...
 *
 * A key is NULL inside an array and for the outermost value. Any context.
 */
#ifndef AGENT_PROTOCOL_JSON_OUT_H
#define AGENT_PROTOCOL_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_out {
	char *at;
	size_t cap, len; /* bytes; a closing zero only by json_out_finish() */
	bool overflow;
	bool (*grow)(struct json_out *o,
		     size_t need); /* optional: makes cap at least need, or says no */
};

void json_out_object(struct json_out *o, const char *key);
void json_out_end_object(struct json_out *o);
void json_out_array(struct json_out *o, const char *key);
void json_out_end_array(struct json_out *o);

/* Bytes that are no valid UTF-8 are written as '?'; a NULL text as null. */
void json_out_string(struct json_out *o, const char *key, const char *text);

void json_out_uint(struct json_out *o, const char *key, uint64_t value); /* 17 */
void json_out_u64(struct json_out *o, const char *key, uint64_t value);	 /* "17" */
void json_out_bool(struct json_out *o, const char *key, bool value);
void json_out_null(struct json_out *o, const char *key);

/* A value that is JSON already. */
void json_out_raw(struct json_out *o, const char *key, const char *json, size_t len_bytes);

/* json_out_finish - put a zero behind the text, not counted in len; false when something did not
 * fit */
bool json_out_finish(struct json_out *o);

#endif
