/* SPDX-License-Identifier: Apache-2.0 */
/* billetctl node */
#include <stdlib.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
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
	{"virtualisation", "virt", COLUMN_TEXT},
	{"memory", "memory_mib", COLUMN_MIB},
	{"memory for guests", "guest_memory_mib", COLUMN_MIB},
	{"memory free", "free_memory_mib", COLUMN_MIB},
	{"memory promised", "reserved_memory_mib", COLUMN_MIB},
	{"VMs", "vms", COLUMN_COUNT},
	{"up for", "uptime_ms", COLUMN_MS},
	{"NICs", "nics", COLUMN_LIST},
	{"address", "lease", COLUMN_LIST},
	{"mitigations", "mitigations", COLUMN_LIST},
	{"generation", "generation", COLUMN_TEXT},
	{"generation applied", "applied_generation", COLUMN_TEXT},
	{0},
};

void node_ls(const struct args *args)
{
	api_show_list(args, api_list(args->values[OPT_ALL] ? "/v1/nodes?all=1" : "/v1/nodes", 0),
		      list_columns);
}

void node_show(const struct args *args)
{
	api_show_one(args, api_call("GET", api_path("/v1/nodes/%s", args->operands[0]), NULL),
		     fields);
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
