/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comma is decided by the byte before: after an opening bracket or a colon there is none.
 */
#include "agent/protocol/json_out.h"

#include <string.h>

static void put(struct json_out *o, const char *bytes, size_t len)
{
	if (o->overflow)
		return;
	if (len > o->cap - o->len && (!o->grow || !o->grow(o, o->len + len))) {
		o->overflow = true;
		return;
	}
	memcpy(o->at + o->len, bytes, len);
	o->len += len;
}

static void put_char(struct json_out *o, char c)
{
	put(o, &c, 1);
}

/* How many bytes the UTF-8 sequence at s has; 0 if it is none. Overlong forms and surrogates are
 * none. */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 ? 3 : 0;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80 ? 4
											       : 0;
	}
	return 0;
}

static void put_escape(struct json_out *o, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	switch (c) {
	case '"':
		put(o, "\\\"", 2);
		break;
	case '\\':
		put(o, "\\\\", 2);
		break;
	case '\n':
		put(o, "\\n", 2);
		break;
	case '\t':
		put(o, "\\t", 2);
		break;
	default:
		put(o, u, sizeof(u));
	}
}

static void put_quoted(struct json_out *o, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len;

	put_char(o, '"');
	for (; *s; s += len) {
		len = utf8_len(s);
		if (len == 0) {
			put_char(o, '?');
			len = 1;
		} else if (len == 1 && (*s < 0x20 || *s == 0x7f || *s == '"' || *s == '\\')) {
			put_escape(o, *s);
		} else {
			put(o, (const char *)s, len);
		}
	}
	put_char(o, '"');
}

static void begin_value(struct json_out *o, const char *key)
{
	char last = o->len ? o->at[o->len - 1] : '[';

	if (last != '{' && last != '[' && last != ':')
		put_char(o, ',');
	if (key) {
		put_quoted(o, key);
		put_char(o, ':');
	}
}

void json_out_object(struct json_out *o, const char *key)
{
	begin_value(o, key);
	put_char(o, '{');
}

void json_out_end_object(struct json_out *o)
{
	put_char(o, '}');
}

void json_out_array(struct json_out *o, const char *key)
{
	begin_value(o, key);
	put_char(o, '[');
}

void json_out_end_array(struct json_out *o)
{
	put_char(o, ']');
}

void json_out_string(struct json_out *o, const char *key, const char *text)
{
	if (!text) {
		json_out_null(o, key);
		return;
	}
	begin_value(o, key);
	put_quoted(o, text);
}

static void put_decimal(struct json_out *o, uint64_t value)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(o, digits + i, sizeof(digits) - i);
}

void json_out_uint(struct json_out *o, const char *key, uint64_t value)
{
	begin_value(o, key);
	put_decimal(o, value);
}

void json_out_u64(struct json_out *o, const char *key, uint64_t value)
{
	begin_value(o, key);
	put_char(o, '"');
	put_decimal(o, value);
	put_char(o, '"');
}

void json_out_bool(struct json_out *o, const char *key, bool value)
{
	begin_value(o, key);
	if (value)
		put(o, "true", 4);
	else
		put(o, "false", 5);
}

void json_out_null(struct json_out *o, const char *key)
{
	begin_value(o, key);
	put(o, "null", 4);
}

void json_out_raw(struct json_out *o, const char *key, const char *json, size_t len_bytes)
{
	begin_value(o, key);
	put(o, json, len_bytes);
}

bool json_out_finish(struct json_out *o)
{
	put_char(o, 0);
	if (o->overflow)
		return false;
	o->len--;
	return true;
}
