/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/units.h"

#define COLUMNS_MAX 16
#define NOTHING	    "-"

/* Numbers come as numbers or, when they have 64 bits, as decimal strings. */
static bool number_of(yyjson_val *val, double *number)
{
	uint64_t parsed;

	if (yyjson_is_num(val)) {
		*number = yyjson_get_num(val);
		return true;
	}
	if (yyjson_is_str(val) && units_parse_number(yyjson_get_str(val), UINT64_MAX, &parsed)) {
		*number = (double)parsed;
		return true;
	}
	return false;
}

static void write_number(FILE *f, yyjson_val *val, enum column_kind kind)
{
	char text[UNITS_TEXT_MAX];
	double number;

	if (!number_of(val, &number) || number < 0) {
		fputs(NOTHING, f);
		return;
	}
	switch (kind) {
	case COLUMN_BYTES:
		fputs(units_bytes((uint64_t)number, text), f);
		break;
	case COLUMN_MIB:
		fputs(units_bytes((uint64_t)number * 1048576, text), f);
		break;
	case COLUMN_SECONDS:
		fprintf(f, number < 100 ? "%.2f s" : "%.0f s", number);
		break;
	case COLUMN_MS:
		fputs(units_duration((int64_t)(number / 1000), text), f);
		break;
	default: /* all digits of 64 bits */
		if (yyjson_is_str(val))
			fputs(yyjson_get_str(val), f);
		else
			fprintf(f, "%.0f", number);
	}
}

static void write_ago(FILE *f, yyjson_val *val, int64_t now)
{
	char text[UNITS_TEXT_MAX];
	int64_t then;

	if (!yyjson_is_str(val) || !units_parse_time(yyjson_get_str(val), &then))
		fputs(NOTHING, f);
	else if (then > now)
		fprintf(f, "in %s", units_duration(then - now, text));
	else
		fprintf(f, "%s ago", units_duration(now - then, text));
}

static void write_scalar(FILE *f, const char *key, yyjson_val *val)
{
	if (yyjson_is_str(val) && yyjson_get_len(val))
		fputs(yyjson_get_str(val), f);
	else if (yyjson_is_bool(val) && key)
		fprintf(f, "%s%s", yyjson_get_bool(val) ? "" : "no ", key);
	else if (yyjson_is_bool(val))
		fputs(yyjson_get_bool(val) ? "yes" : "no", f);
	else if (yyjson_is_num(val))
		fprintf(f, "%.15g%s", yyjson_get_num(val),
			key && strstr(key, "_mbps") ? " Mb/s" : "");
	else
		fputs(NOTHING, f);
}

static void write_values(FILE *f, yyjson_val *object)
{
	size_t i, max;
	yyjson_val *key, *val;

	yyjson_obj_foreach(object, i, max, key, val)
	{
		if (i)
			fputc(' ', f);
		write_scalar(f, yyjson_get_str(key), val);
	}
}

static void write_list(FILE *f, yyjson_val *list, enum column_kind kind)
{
	static const char *const separators[] = {" ", ", ", ","}; /* words, list, names */
	size_t i, max;
	yyjson_val *val;

	if (yyjson_is_obj(list)) {
		write_values(f, list);
		return;
	}
	if (yyjson_arr_size(list) == 0)
		fputs(NOTHING, f);
	yyjson_arr_foreach(list, i, max, val)
	{
		if (i)
			fputs(separators[kind - COLUMN_WORDS], f);
		if (!yyjson_is_obj(val))
			write_scalar(f, NULL, val);
		else if (kind == COLUMN_NAMES)
			write_scalar(f, NULL, yyjson_obj_get(val, "name"));
		else
			write_values(f, val);
	}
}

static yyjson_val *find(yyjson_val *object, const char *key)
{
	const char *dot = strchr(key, '.');

	if (!dot)
		return yyjson_obj_get(object, key);
	return yyjson_obj_get(yyjson_obj_getn(object, key, (size_t)(dot - key)), dot + 1);
}

/* Gives. */
static char *cell(const struct column *c, yyjson_val *object, int64_t now)
{
	yyjson_val *val = find(object, c->key);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	switch (c->kind) {
	case COLUMN_TEXT:
		write_scalar(f, NULL, val);
		break;
	case COLUMN_ADDRESS:
		write_scalar(f, NULL, yyjson_obj_get(val, "address"));
		break;
	case COLUMN_AGO:
		write_ago(f, val, now);
		break;
	case COLUMN_LIST:
	case COLUMN_NAMES:
	case COLUMN_WORDS:
		write_list(f, val, c->kind);
		break;
	default:
		write_number(f, val, c->kind);
	}
	fclose(f);
	units_printable(text);
	return text;
}

static bool is_right(enum column_kind kind)
{
	return kind >= COLUMN_COUNT && kind <= COLUMN_SECONDS;
}

static void pad(FILE *out, size_t n)
{
	fprintf(out, "%*s", (int)n, "");
}

static void print_row(FILE *out, const struct column *columns, char *const *cells,
		      const size_t *widths, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		size_t blank = widths[i] - units_width(cells[i]);

		if (is_right(columns[i].kind))
			pad(out, blank);
		fputs(cells[i], out);
		if (i + 1 < nr)
			pad(out, (is_right(columns[i].kind) ? 0 : blank) + 2);
	}
	fputc('\n', out);
}

void table_print(FILE *out, const struct column *columns, yyjson_val *items, int64_t now)
{
	size_t nr = 0, rows = yyjson_arr_size(items), i, max, widths[COLUMNS_MAX];
	char **cells, *heads[COLUMNS_MAX];
	yyjson_val *object;

	for (; columns[nr].head; nr++) {
		heads[nr] = (char *)columns[nr].head;
		widths[nr] = units_width(heads[nr]);
	}
	cells = calloc(rows * nr + 1, sizeof(*cells));
	if (!cells)
		abort();
	yyjson_arr_foreach(items, i, max, object)
	{
		for (size_t n = 0; n < nr; n++) {
			char *text = cell(&columns[n], object, now);
			size_t width = units_width(text);

			cells[i * nr + n] = text;
			widths[n] = width > widths[n] ? width : widths[n];
		}
	}
	print_row(out, columns, heads, widths, nr);
	for (i = 0; i < rows; i++)
		print_row(out, columns, cells + i * nr, widths, nr);
	for (i = 0; i < rows * nr; i++)
		free(cells[i]);
	free(cells);
}

void table_print_one(FILE *out, const struct column *columns, yyjson_val *object, int64_t now)
{
	size_t width = 0;

	for (const struct column *c = columns; c->head; c++)
		width = units_width(c->head) > width ? units_width(c->head) : width;
	for (const struct column *c = columns; c->head; c++) {
		char *text = cell(c, object, now);

		fprintf(out, "%s", c->head);
		pad(out, width - units_width(c->head) + 2);
		fprintf(out, "%s\n", text);
		free(text);
	}
}
