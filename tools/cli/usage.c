/* SPDX-License-Identifier: Apache-2.0 */
/* billetctl usage, events and version: what the controller knows of the past and of itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/die.h"
#include "tools/cli/units.h"

#define LIMIT_DEFAULT 50u
#define LIMIT_MAX     1000000u

static const struct column usage_columns[] = {
	{"VM", "vm_name", COLUMN_TEXT},
	{"VCPU-SECONDS", "vcpu_alloc_seconds", COLUMN_SECONDS},
	{"RUN", "vcpu_run_seconds", COLUMN_SECONDS},
	{"MIB-SECONDS", "mem_mib_seconds", COLUMN_COUNT},
	{"IN", "net_rx_bytes", COLUMN_BYTES},
	{"OUT", "net_tx_bytes", COLUMN_BYTES},
	{"PACKETS IN", "net_rx_packets", COLUMN_COUNT},
	{"PACKETS OUT", "net_tx_packets", COLUMN_COUNT},
	{"RECORDS", "records", COLUMN_COUNT},
	{"LAST", "last_at", COLUMN_AGO},
	{0},
};

static const struct column record_columns[] = {
	{"RECEIVED", "received_at", COLUMN_TEXT},
	{"VM", "vm", COLUMN_TEXT},
	{"NODE", "node", COLUMN_TEXT},
	{"SEQ", "seq", COLUMN_COUNT},
	{"EPOCH", "epoch", COLUMN_COUNT},
	{"VCPU NS", "vcpu_alloc_ns", COLUMN_COUNT},
	{"RUN NS", "vcpu_run_ns", COLUMN_COUNT},
	{"MIB MS", "mem_mib_ms", COLUMN_COUNT},
	{"IN", "net_rx_bytes", COLUMN_COUNT},
	{"OUT", "net_tx_bytes", COLUMN_COUNT},
	{"FINAL", "final", COLUMN_TEXT},
	{0},
};

static const struct column event_columns[] = {
	{"TIME", "time", COLUMN_TEXT},	     {"LEVEL", "level", COLUMN_TEXT},
	{"CODE", "code", COLUMN_TEXT},	     {"ACTOR", "actor", COLUMN_TEXT},
	{"MESSAGE", "message", COLUMN_TEXT}, {0},
};

static uint64_t limit_of(const struct args *args)
{
	uint64_t limit = LIMIT_DEFAULT;

	if (args->values[OPT_LIMIT] &&
	    (!units_parse_number(args->values[OPT_LIMIT], LIMIT_MAX, &limit) || limit == 0))
		die(EXIT_USAGE, "--limit %s: wants a number from 1 to %u", args->values[OPT_LIMIT],
		    LIMIT_MAX);
	return limit;
}

/* "PATH?key=value&…" of those that are given. */
static char *add_query(char *path, const char *key, const char *value)
{
	char *escaped, *longer;

	if (!value)
		return path;
	escaped = rest_escape(value);
	longer = xformat("%s%c%s=%s", path, strchr(path, '?') ? '&' : '?', key, escaped);
	free(escaped);
	free(path);
	return longer;
}

void usage_show(const struct args *args)
{
	bool is_raw = args->values[OPT_RECORDS] != NULL;
	char *path = add_query(xformat(is_raw ? "/v1/usage/records" : "/v1/usage"), "vm",
			       args->values[OPT_VM]);

	api_show_list(args, api_list(path, is_raw ? limit_of(args) : 0),
		      is_raw ? record_columns : usage_columns);
	free(path);
}

/* The newest N come first from the controller; people read downwards. */
static yyjson_doc *reversed(yyjson_doc *doc)
{
	yyjson_mut_doc *turned = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *items = yyjson_mut_arr(turned);
	yyjson_doc *out;
	yyjson_val *val;
	size_t i, max;

	yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, val)
		yyjson_mut_arr_prepend(items, yyjson_val_mut_copy(turned, val));
	yyjson_mut_doc_set_root(turned, items);
	out = yyjson_mut_doc_imut_copy(turned, NULL);
	yyjson_mut_doc_free(turned);
	yyjson_doc_free(doc);
	if (!out)
		die(EXIT_REFUSED, "out of memory");
	return out;
}

void events_show(const struct args *args)
{
	char *path = add_query(xformat("/v1/events?order=desc"), "vm", args->values[OPT_VM]);

	path = add_query(path, "node", args->values[OPT_NODE]);
	api_show_list(args, reversed(api_list(path, limit_of(args))), event_columns);
	free(path);
}

void version_show(const struct args *args)
{
	yyjson_doc *doc = api_call("GET", "/v1/version", NULL);
	yyjson_val *root = yyjson_doc_get_root(doc);

	if (args->values[OPT_JSON]) {
		yyjson_mut_doc *both = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *out = yyjson_mut_obj(both);

		yyjson_mut_doc_set_root(both, out);
		yyjson_mut_obj_add_str(both, out, "billetctl", BILLET_VERSION);
		yyjson_mut_obj_add_val(both, out, "controller", yyjson_val_mut_copy(both, root));
		yyjson_doc_free(doc);
		doc = yyjson_mut_doc_imut_copy(both, NULL);
		yyjson_mut_doc_free(both);
	}
	if (!args->values[OPT_JSON])
		puts("billetctl " BILLET_VERSION);
	api_done(args, doc, "billetd %s at %s", api_text(root, "version"), settings_now.server);
}
