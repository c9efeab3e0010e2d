/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON objects as people read them: many as an aligned table, one as a list of fields. Which keys,
 * and how each is written, is a table of columns. Whatever a terminal might obey is taken out of
 * the values: some come from guests.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdint.h>
#include <stdio.h>
#include <yyjson.h>

enum column_kind {
	COLUMN_TEXT,
	COLUMN_COUNT,	/* a number, right-aligned */
	COLUMN_BYTES,	/* 13.5 MiB */
	COLUMN_MIB,	/* a number of MiB */
	COLUMN_SECONDS, /* 61.3 s */
	COLUMN_MS,	/* a duration */
	COLUMN_AGO,	/* a time: "3 min ago", "in 2 h" */
	COLUMN_WORDS,	/* an array of texts, with spaces between */
	COLUMN_LIST,	/* an array: its texts, or its objects' values in a row */
	COLUMN_NAMES,	/* an array of objects: their "name"s */
	COLUMN_ADDRESS, /* an object: its "address" */
};

struct column {
	const char *head; /* NULL ends the table */
	const char *key;  /* "update.state" is in an object "update" */
	enum column_kind kind;
};

/* now is the time that COLUMN_AGO counts from, in seconds since 1970 */
void table_print(FILE *out, const struct column *columns, yyjson_val *items, int64_t now);
void table_print_one(FILE *out, const struct column *columns, yyjson_val *object, int64_t now);

#endif
