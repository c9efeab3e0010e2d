/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forms that texts of the protocol have: names, ids, hashes. Pure questions; any context.
 */
#ifndef AGENT_PROTOCOL_FORM_H
#define AGENT_PROTOCOL_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With the closing zero. */
#define NAME_TEXT_MAX	   64u
#define UUID_TEXT_MAX	   37u
#define SHA256_TEXT_MAX	   65u
#define MAC_TEXT_MAX	   18u
#define IPV4_TEXT_MAX	   16u
#define ID_TEXT_MAX	   24u /* "node_" and the like, and 16 hexadecimal digits */
#define SIGNATURE_TEXT_MAX 129u
#define SECRET_TEXT_MAX	   69u /* "bjt_" or "bat_", and 64 hexadecimal digits */

enum form {
	FORM_TEXT,	/* any UTF-8 without control characters but newline and tab */
	FORM_NAME,	/* [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])? */
	FORM_UUID,	/* lower case, with dashes */
	FORM_SHA256,	/* 64 lower-case hexadecimal digits */
	FORM_MAC,	/* 52:54:00:12:34:56, lower case, not a group address, not zero */
	FORM_IPV4,	/* dotted quad without leading zeros */
	FORM_ID,	/* [a-z]{2,5}_ and 16 lower-case hexadecimal digits */
	FORM_SECRET,	/* b[a-z]{2}_ and 64 lower-case hexadecimal digits */
	FORM_WORD,	/* [A-Za-z0-9._-]+ */
	FORM_SIGNATURE, /* 128 lower-case hexadecimal digits: r and s on P-256 */
	FORM_KINDS
};

bool form_matches(enum form form, const char *text, size_t len_bytes);

/* "a UUID in lower case", to be put behind "must be " */
const char *form_describe(enum form form);

/* form_parse_u64 - 1 to 20 decimal digits without a leading zero, and nothing else; value only set
 * when true */
bool form_parse_u64(const char *text, size_t len_bytes, uint64_t *value);

#endif
