/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *units_bytes(uint64_t bytes, char text[static UNITS_TEXT_MAX])
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	unsigned int i = 0;

	while (value >= 1023.95 && i < sizeof(names) / sizeof(names[0]) - 1) {
		value /= 1024;
		i++;
	}
	/* 256 MiB rather than 256.0 MiB. */
	if (i == 0 || value == (double)(uint64_t)value)
		snprintf(text, UNITS_TEXT_MAX, "%.0f %s", value, names[i]);
	else
		snprintf(text, UNITS_TEXT_MAX, "%.1f %s", value, names[i]);
	return text;
}

const char *units_duration(int64_t seconds, char text[static UNITS_TEXT_MAX])
{
	static const struct {
		int64_t below, unit;
		const char *name;
	} rows[] = {{120, 1, "s"},
		    {120 * 60, 60, "min"},
		    {48 * 3600, 3600, "h"},
		    {INT64_MAX, 86400, "d"}};
	unsigned int i = 0;

	if (seconds < 0)
		seconds = 0;
	while (seconds >= rows[i].below && i < sizeof(rows) / sizeof(rows[0]) - 1)
		i++;
	snprintf(text, UNITS_TEXT_MAX, "%lld %s", (long long)(seconds / rows[i].unit),
		 rows[i].name);
	return text;
}

/* The digits at the beginning of text; *rest is what follows them. */
static bool leading_number(const char *text, uint64_t max, uint64_t *value, const char **rest)
{
	uint64_t sum = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (sum > (max - digit) / 10 || digit > max)
			return false;
		sum = sum * 10 + digit;
	}
	if (at == text)
		return false;
	*value = sum;
	*rest = at;
	return true;
}

char *units_hex(const uint8_t *bytes, size_t len, char *text)
{
	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	text[2 * len] = 0;
	return text;
}

bool units_parse_number(const char *text, uint64_t max, uint64_t *value)
{
	const char *rest;
	uint64_t parsed;

	if (!leading_number(text, max, &parsed, &rest) || *rest)
		return false;
	*value = parsed;
	return true;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static bool parse_with_unit(const char *text, const struct unit *units, uint64_t *value)
{
	const char *rest;
	uint64_t number;

	if (!leading_number(text, UINT32_MAX, &number, &rest))
		return false;
	for (; units->name; units++) {
		if (strcmp(rest, units->name) == 0) {
			*value = number * units->factor;
			return true;
		}
	}
	return false;
}

bool units_parse_mib(const char *text, uint64_t *mib)
{
	static const struct unit units[] = {
		{"", 1},       {"M", 1},	   {"MiB", 1},		 {"G", 1024},
		{"GiB", 1024}, {"T", 1024 * 1024}, {"TiB", 1024 * 1024}, {NULL, 0}};

	return parse_with_unit(text, units, mib);
}

bool units_parse_seconds(const char *text, uint64_t *seconds)
{
	static const struct unit units[] = {{"", 1},	 {"s", 1},     {"m", 60},
					    {"h", 3600}, {"d", 86400}, {NULL, 0}};

	return parse_with_unit(text, units, seconds);
}

bool units_parse_time(const char *text, int64_t *seconds)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest || (*rest != '.' && *rest != 'Z'))
		return false;
	*seconds = timegm(&tm);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

ptrdiff_t units_unescape(char *text)
{
	static const char from[] = "nrte\\", to[] = "\n\r\t\033\\";
	char *in = text, *out = text;

	while (*in) {
		const char *found;

		if (*in != '\\') {
			*out++ = *in++;
			continue;
		}
		in++;
		if (*in == 'x') {
			int high = hex_digit(in[1]), low = high < 0 ? -1 : hex_digit(in[2]);

			if (low < 0)
				return -1;
			*out++ = (char)(high << 4 | low);
			in += 3;
			continue;
		}
		found = *in ? strchr(from, *in) : NULL;
		if (!found)
			return -1;
		*out++ = to[found - from];
		in++;
	}
	*out = 0;
	return out - text;
}

void units_printable(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++) {
		/* C1 controls are 0xc2 0x80..0x9f in UTF-8. */
		if (*at < 0x20 || *at == 0x7f)
			*at = '?';
		else if (*at == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
			*at = '?', at[1] = '?';
	}
}

size_t units_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}
