/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Characters are compared, not asked of ctype.h: the answer must not depend on a locale, nor on
 * whether char is signed.
 */
#include "agent/protocol/form.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool all_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_hex(text[i]))
			return false;
	return true;
}

static bool is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_name(const char *text, size_t len)
{
	if (len == 0 || len >= NAME_TEXT_MAX || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_lower(text[i]) && !is_digit(text[i]) && text[i] != '-')
			return false;
	return true;
}

static bool is_uuid(const char *text, size_t len)
{
	if (len != UUID_TEXT_MAX - 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !is_hex(text[i]))
			return false;
	}
	return true;
}

static bool is_mac(const char *text, size_t len)
{
	if (len != MAC_TEXT_MAX - 1)
		return false;
	for (size_t i = 0; i < len; i++)
		if (i % 3 == 2 ? text[i] != ':' : !is_hex(text[i]))
			return false;
	if (strchr("13579bdf", text[1])) /* the group bit */
		return false;
	return memcmp(text, "00:00:00:00:00:00", len) != 0;
}

static bool is_ipv4(const char *text, size_t len)
{
	unsigned int parts = 0, value = 0, digits = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i == len || text[i] == '.') {
			if (digits == 0 || ++parts > 4)
				return false;
			value = digits = 0;
		} else if (is_digit(text[i])) {
			if (digits > 0 && value == 0)
				return false;
			value = value * 10 + (unsigned int)(text[i] - '0');
			if (value > 255)
				return false;
			digits++;
		} else {
			return false;
		}
	}
	return parts == 4;
}

static bool is_id(const char *text, size_t len)
{
	size_t prefix = 0;

	while (prefix < len && is_lower(text[prefix]))
		prefix++;
	return prefix >= 2 && prefix <= 5 && len == prefix + 17 && text[prefix] == '_' &&
	       all_hex(text + prefix + 1, 16);
}

static bool is_secret(const char *text, size_t len)
{
	return len == SECRET_TEXT_MAX - 1 && text[0] == 'b' && is_lower(text[1]) &&
	       is_lower(text[2]) && text[3] == '_' && all_hex(text + 4, 64);
}

static bool is_word(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_lower(text[i]) && !is_digit(text[i]) &&
		    !(text[i] >= 'A' && text[i] <= 'Z') && text[i] != '.' && text[i] != '_' &&
		    text[i] != '-')
			return false;
	return len > 0;
}

static bool is_sha256(const char *text, size_t len)
{
	return len == SHA256_TEXT_MAX - 1 && all_hex(text, len);
}

static bool is_signature(const char *text, size_t len)
{
	return len == SIGNATURE_TEXT_MAX - 1 && all_hex(text, len);
}

static const struct {
	bool (*matches)(const char *text, size_t len);
	const char *description;
} forms[FORM_KINDS] = {
	[FORM_TEXT] = {is_text, "text without control characters"},
	[FORM_NAME] = {is_name, "1 to 63 of a-z, 0-9 and '-', with no '-' first or last"},
	[FORM_UUID] = {is_uuid, "a UUID in lower case"},
	[FORM_SHA256] = {is_sha256, "64 hexadecimal digits in lower case"},
	[FORM_MAC] = {is_mac, "an Ethernet address such as 52:54:00:12:34:56"},
	[FORM_IPV4] = {is_ipv4, "an IPv4 address"},
	[FORM_ID] = {is_id, "an id: a prefix, '_' and 16 hexadecimal digits"},
	[FORM_SECRET] = {is_secret, "a token as it was given out, 68 characters"},
	[FORM_WORD] = {is_word, "a word of letters, digits, '.', '_' and '-'"},
	[FORM_SIGNATURE] = {is_signature,
			    "a signature on P-256: 128 hexadecimal digits in lower case"},
};

bool form_matches(enum form form, const char *text, size_t len_bytes)
{
	return forms[form].matches(text, len_bytes);
}

const char *form_describe(enum form form)
{
	return forms[form].description;
}

bool form_parse_u64(const char *text, size_t len_bytes, uint64_t *value)
{
	uint64_t v = 0;

	if (len_bytes == 0 || len_bytes > 20 || (len_bytes > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len_bytes; i++) {
		unsigned int digit = (unsigned int)(text[i] - '0');

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}
