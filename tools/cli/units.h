/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, sizes and times as people write and read them. Pure: time is an argument. Texts go to
 * the caller's memory and are always terminated.
 */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT_MAX 32u

const char *units_bytes(uint64_t bytes,
			char text[static UNITS_TEXT_MAX]); /* "13.5 MiB", gives text back */
const char *units_duration(int64_t seconds,
			   char text[static UNITS_TEXT_MAX]); /* "3 s", "4 min", "2 h", "5 d" */

char *units_hex(const uint8_t *bytes, size_t len, char *text); /* 2 * len + 1; gives text back */

bool units_parse_number(const char *text, uint64_t max,
			uint64_t *value);		       /* decimal digits and nothing else */
bool units_parse_mib(const char *text, uint64_t *mib);	       /* "256", "256M", "2G", "2GiB" */
bool units_parse_seconds(const char *text, uint64_t *seconds); /* "90", "90s", "15m", "24h", "7d" */
bool units_parse_time(const char *text,
		      int64_t *seconds); /* "2026-03-01T10:00:00.123Z", to seconds since 1970 */

/*
 * units_unescape - resolve \n \r \t \e \\ and \xHH, in place
 *
 * returns  the length in bytes (a \x00 may be among them), or -1 when an escape is unknown or cut
 * short
 */
ptrdiff_t units_unescape(char *text);

/* units_printable - put '?' in place of control characters, which a terminal might obey */
void units_printable(char *text);

/* units_width - columns on a terminal, taking each UTF-8 character for one */
size_t units_width(const char *text);

#endif
