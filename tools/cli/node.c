/* SPDX-License-Identifier: Apache-2.0 */
/* billetctl node */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/deadline.h"
#include "tools/cli/die.h"

static const struct column list_columns[] = {
	{"NAME", "name", COLUMN_TEXT},
	{"ID", "id", COLUMN_TEXT},
	{"STATE", "state", COLUMN_TEXT},
	{"CPUS", "cpus", COLUMN_COUNT},
	{"MEMORY", "memory_mib", COLUMN_MIB},
	{"FREE", "free_memory_mib", COLUMN_MIB},
	{"VIRT", "virt", COLUMN_TEXT},
	{"NICS", "nics", COLUMN_NAMES},
	{"ADDRESS", "lease", COLUMN_ADDRESS},
	{"VERSION", "version", COLUMN_TEXT},
	{"VMS", "vms", COLUMN_COUNT},
	{"SEEN", "last_seen_at", COLUMN_AGO},
	{"MITIGATIONS", "mitigations", COLUMN_LIST},
	{0},
};

static const struct column fields[] = {
	{"name", "name", COLUMN_TEXT},
	{"id", "id", COLUMN_TEXT},
	{"state", "state", COLUMN_TEXT},
	{"fingerprint of its key", "fingerprint", COLUMN_TEXT},
	{"machine id", "machine_id", COLUMN_TEXT},
	{"join token", "join_token", COLUMN_TEXT},
	{"dials from", "address", COLUMN_TEXT},
	{"first seen", "created_at", COLUMN_TEXT},
	{"approved", "approved_at", COLUMN_TEXT},
	{"last seen", "last_seen_at", COLUMN_AGO},
	{"certificate ends", "certificate_expires_at", COLUMN_AGO},
	{"version", "version", COLUMN_TEXT},
	{"host name", "hostname", COLUMN_TEXT},
	{"CPUs", "cpus", COLUMN_COUNT},
	{"CPU model", "cpu_model", COLUMN_TEXT},
	{"TSC, kHz", "tsc_khz", COLUMN_COUNT},
	{"virtualisation", "virt", COLUMN_TEXT},
	{"virtualisation's features", "virt_features", COLUMN_WORDS},
	{"memory", "memory_mib", COLUMN_MIB},
	{"memory for guests", "guest_memory_mib", COLUMN_MIB},
	{"memory free", "free_memory_mib", COLUMN_MIB},
	{"memory promised", "reserved_memory_mib", COLUMN_MIB},
	{"VMs", "vms", COLUMN_COUNT},
	{"up for", "uptime_ms", COLUMN_MS},
	{"machine", "machine", COLUMN_TEXT},
	{"firmware", "firmware", COLUMN_TEXT},
	{"reset by its watchdog", "watchdog_reset", COLUMN_TEXT},
	{"boots slot", "update.slot", COLUMN_TEXT},
	{"update wanted", "release", COLUMN_TEXT},
	{"update", "update.state", COLUMN_TEXT},
	{"update's error", "update.error", COLUMN_TEXT},
	{"address", "lease", COLUMN_LIST},
	{"CPU features", "cpu_features", COLUMN_WORDS},
	{"mitigations", "mitigations", COLUMN_WORDS},
	{"generation", "generation", COLUMN_TEXT},
	{"generation applied", "applied_generation", COLUMN_TEXT},
	{0},
};

static const struct column nic_columns[] = {
	{"NIC", "name", COLUMN_TEXT},
	{"DRIVER", "driver", COLUMN_TEXT},
	{"AT", "location", COLUMN_TEXT},
	{"MAC", "mac", COLUMN_TEXT},
	{"LINK", "link", COLUMN_TEXT},
	{"MB/S", "speed_mbps", COLUMN_COUNT},
	{"UPLINK", "uplink", COLUMN_TEXT},
	{"MTU", "mtu", COLUMN_COUNT},
	{"QUEUES", "queues", COLUMN_COUNT},
	{"RECEIVED", "rx_bytes", COLUMN_BYTES},
	{"SENT", "tx_bytes", COLUMN_BYTES},
	{"LOST IN", "rx_dropped", COLUMN_COUNT},
	{"LOST OUT", "tx_dropped", COLUMN_COUNT},
	{"OFFLOADS", "offloads", COLUMN_TEXT},
	{0},
};

static const struct column disk_columns[] = {
	{"DISK", "name", COLUMN_TEXT},
	{"DRIVER", "driver", COLUMN_TEXT},
	{"AT", "location", COLUMN_TEXT},
	{"MODEL", "model", COLUMN_TEXT},
	{"SERIAL", "serial", COLUMN_TEXT},
	{"SIZE", "size", COLUMN_BYTES},
	{"HEALTH", "health", COLUMN_TEXT},
	{"BOOT", "boot", COLUMN_TEXT},
	{"DEG C", "temperature_c", COLUMN_COUNT},
	{"WORN %", "used_percent", COLUMN_COUNT},
	{"HOURS", "power_on_hours", COLUMN_COUNT},
	{"MEDIA ERRORS", "media_errors", COLUMN_COUNT},
	{"ERRORS", "errors", COLUMN_COUNT},
	{0},
};

void node_ls(const struct args *args)
{
	api_show_list(args, api_list(args->values[OPT_ALL] ? "/v1/nodes?all=1" : "/v1/nodes", 0),
		      list_columns);
}

static void print_devices(yyjson_doc *doc, const char *key, const struct column *columns)
{
	yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), key);

	if (yyjson_arr_size(list) == 0)
		return;
	putchar('\n');
	table_print(stdout, columns, list, time(NULL));
}

void node_show(const struct args *args)
{
	yyjson_doc *doc = api_call("GET", api_path("/v1/nodes/%s", args->operands[0]), NULL);

	if (args->values[OPT_JSON]) {
		api_print_json(doc);
		return;
	}
	table_print_one(stdout, fields, yyjson_doc_get_root(doc), time(NULL));
	print_devices(doc, "nics", nic_columns);
	print_devices(doc, "disks", disk_columns);
	yyjson_doc_free(doc);
}

void node_approve(const struct args *args)
{
	yyjson_mut_doc *body = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(body);
	yyjson_doc *node;

	yyjson_mut_doc_set_root(body, root);
	if (args->values[OPT_NAME])
		yyjson_mut_obj_add_str(body, root, "name", args->values[OPT_NAME]);
	if (args->values[OPT_FINGERPRINT])
		yyjson_mut_obj_add_str(body, root, "fingerprint", args->values[OPT_FINGERPRINT]);
	node = api_call("POST", api_path("/v1/nodes/%s/approve", args->operands[0]), body);
	yyjson_mut_doc_free(body);
	api_done(args, node, "node '%s' is approved", api_text(yyjson_doc_get_root(node), "name"));
}

void node_rm(const struct args *args)
{
	for (int i = 0; i < args->nr_operands; i++) {
		const char *format =
			args->values[OPT_FORCE] ? "/v1/nodes/%s?force=1" : "/v1/nodes/%s";

		yyjson_doc_free(api_call("DELETE", api_path(format, args->operands[i]), NULL));
		api_done(args, NULL, "node '%s' is removed", args->operands[i]);
	}
}

/* ---- update --------------------------------------------------------------------------------- */

/* Says each step once; false when the update is over, well or not. */
static bool is_under_way(const char *node, yyjson_doc *doc, char shown[static 32])
{
	yyjson_val *root = yyjson_doc_get_root(doc), *update = yyjson_obj_get(root, "update");
	const char *wanted = api_text(root, "release"), *state = api_text(update, "state");

	if (*wanted && strcmp(state, "none") != 0 && strcmp(state, "done") != 0 &&
	    strcmp(state, "failed") != 0 && strcmp(state, shown) != 0) {
		note("node '%s': %s", node, state);
		snprintf(shown, 32, "%s", state);
	}
	return *wanted != 0;
}

/* Until the order is carried out or given up; gives the node. */
static yyjson_doc *wait_for_update(const struct args *args, const struct deadline *deadline,
				   const char *node)
{
	char *path = api_path("/v1/nodes/%s", node), shown[32] = "";
	yyjson_doc *doc = api_call("GET", path, NULL);
	yyjson_val *update;

	while (is_under_way(node, doc, shown)) {
		if (deadline_has_passed(deadline))
			die(EXIT_TIMEOUT, "node '%s' is not updated after %s; it goes on", node,
			    args->values[OPT_TIMEOUT]);
		yyjson_doc_free(doc);
		deadline_pause();
		doc = api_call("GET", path, NULL);
	}
	free(path);
	update = yyjson_obj_get(yyjson_doc_get_root(doc), "update");
	if (strcmp(api_text(update, "state"), "done") != 0)
		die(EXIT_REFUSED, "node '%s' does not run the release: %s", node,
		    *api_text(update, "error") ? api_text(update, "error")
					       : "the order was cancelled");
	return doc;
}

static void update_one(const struct args *args, const struct deadline *deadline, const char *node)
{
	yyjson_mut_doc *body = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(body);
	yyjson_doc *doc;

	yyjson_mut_doc_set_root(body, root);
	yyjson_mut_obj_add_str(body, root, "release", args->values[OPT_RELEASE]);
	if (args->values[OPT_FORCE])
		yyjson_mut_obj_add_bool(body, root, "force", true);
	doc = api_call("POST", api_path("/v1/nodes/%s/update", node), body);
	yyjson_mut_doc_free(body);
	if (args->values[OPT_WAIT]) {
		yyjson_doc_free(doc);
		doc = wait_for_update(args, deadline, node);
	}
	api_done(args, doc, "node '%s' %s release '%s'", node,
		 args->values[OPT_WAIT] ? "runs" : "is to run", args->values[OPT_RELEASE]);
}

void node_update(const struct args *args)
{
	struct deadline deadline = deadline_begin(args);

	if (!args->values[OPT_RELEASE] == !args->values[OPT_CANCEL])
		die(EXIT_USAGE, "say either --release RELEASE or --cancel");
	for (int i = 0; i < args->nr_operands; i++) {
		const char *node = args->operands[i];

		if (args->values[OPT_RELEASE]) {
			update_one(args, &deadline, node);
			continue;
		}
		yyjson_doc_free(api_call("DELETE", api_path("/v1/nodes/%s/update", node), NULL));
		api_done(args, NULL, "node '%s' keeps the release that it has", node);
	}
}
