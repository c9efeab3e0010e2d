/* SPDX-License-Identifier: Apache-2.0 */
/* billetctl vm, all but its console. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/deadline.h"
#include "tools/cli/die.h"
#include "tools/cli/units.h"

#define WAIT_POLL_US 500000

static const struct column list_columns[] = {
	{"NAME", "name", COLUMN_TEXT},
	{"STATE", "state", COLUMN_TEXT},
	{"WANTED", "desired_state", COLUMN_TEXT},
	{"NODE", "node_name", COLUMN_TEXT},
	{"VCPUS", "vcpus", COLUMN_COUNT},
	{"MEMORY", "memory_mib", COLUMN_MIB},
	{"KERNEL", "kernel_name", COLUMN_TEXT},
	{"SINCE", "since", COLUMN_AGO},
	{"REASON", "reason", COLUMN_TEXT},
	{0},
};

static const struct column fields[] = {
	{"name", "name", COLUMN_TEXT},
	{"id", "id", COLUMN_TEXT},
	{"node", "node_name", COLUMN_TEXT},
	{"state", "state", COLUMN_TEXT},
	{"wanted", "desired_state", COLUMN_TEXT},
	{"reason", "reason", COLUMN_TEXT},
	{"since", "since", COLUMN_AGO},
	{"vCPUs", "vcpus", COLUMN_COUNT},
	{"memory", "memory_mib", COLUMN_MIB},
	{"weight", "weight", COLUMN_COUNT},
	{"cap, % of a CPU for each vCPU", "cap_percent", COLUMN_COUNT},
	{"TSC, kHz", "tsc_khz", COLUMN_COUNT},
	{"kernel", "kernel_name", COLUMN_TEXT},
	{"initrd", "initrd_name", COLUMN_TEXT},
	{"command line", "cmdline", COLUMN_TEXT},
	{"NICs", "nics", COLUMN_LIST},
	{"restarts asked for", "restart", COLUMN_TEXT},
	{"made", "created_at", COLUMN_TEXT},
	{0},
};

/* Until the VM is in the state; gives its entry. */
static yyjson_doc *wait_for(const struct args *args, const char *vm, const char *wanted)
{
	struct deadline deadline = deadline_begin(args);
	char *path = api_path("/v1/vms/%s", vm);

	for (;;) {
		yyjson_doc *doc = api_call("GET", path, NULL);
		const char *state = api_text(yyjson_doc_get_root(doc), "state");
		const char *reason = api_text(yyjson_doc_get_root(doc), "reason");

		if (strcmp(state, wanted) == 0) {
			free(path);
			return doc;
		}
		if (strcmp(state, "crashed") == 0 || strcmp(state, "failed") == 0)
			die(EXIT_REFUSED, "VM '%s' is %s%s%s", vm, state, *reason ? ": " : "",
			    reason);
		if (deadline_has_passed(&deadline))
			die(EXIT_TIMEOUT, "VM '%s' is %s, not %s, after %s", vm, state, wanted,
			    args->values[OPT_TIMEOUT]);
		yyjson_doc_free(doc);
		deadline_pause();
	}
}

static void add_text(yyjson_mut_doc *body, const struct args *args, enum option_id id,
		     const char *key)
{
	if (args->values[id])
		yyjson_mut_obj_add_str(body, yyjson_mut_doc_get_root(body), key, args->values[id]);
}

static void add_number(yyjson_mut_doc *body, const struct args *args, enum option_id id,
		       const char *key)
{
	const char *text = args->values[id];
	uint64_t value;

	if (!text)
		return;
	if (id == OPT_MEMORY ? !units_parse_mib(text, &value)
			     : !units_parse_number(text, UINT32_MAX, &value))
		die(EXIT_USAGE, "--%s %s: wants %s", option_rows[id].name, text,
		    id == OPT_MEMORY ? "a size such as 256, 512M, 2G" : "a number");
	yyjson_mut_obj_add_uint(body, yyjson_mut_doc_get_root(body), key, value);
}

void vm_create(const struct args *args)
{
	yyjson_mut_doc *body = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(body);
	yyjson_doc *doc;

	(void)deadline_begin(args); /* a wrong --timeout is said before anything is done */
	yyjson_mut_doc_set_root(body, root);
	yyjson_mut_obj_add_str(body, root, "name", args->operands[0]);
	add_text(body, args, OPT_KERNEL, "kernel");
	add_text(body, args, OPT_INITRD, "initrd");
	add_text(body, args, OPT_CMDLINE, "cmdline");
	add_text(body, args, OPT_NODE, "node");
	add_text(body, args, OPT_NETWORK, "network");
	add_number(body, args, OPT_VCPUS, "vcpus");
	add_number(body, args, OPT_MEMORY, "memory_mib");
	add_number(body, args, OPT_WEIGHT, "weight");
	add_number(body, args, OPT_CAP, "cap_percent");
	add_number(body, args, OPT_TSC_KHZ, "tsc_khz");
	if (args->values[OPT_NO_START])
		yyjson_mut_obj_add_bool(body, root, "start", false);
	doc = api_call("POST", "/v1/vms", body);
	yyjson_mut_doc_free(body);
	if (args->values[OPT_WAIT]) {
		yyjson_doc_free(doc);
		doc = wait_for(args, args->operands[0],
			       args->values[OPT_NO_START] ? "stopped" : "running");
	}

	api_done(args, doc, "VM '%s' is created on node '%s', and %s", args->operands[0],
		 api_text(yyjson_doc_get_root(doc), "node_name"),
		 args->values[OPT_WAIT]	      ? "runs"
		 : args->values[OPT_NO_START] ? "stays stopped"
					      : "is being started");
}

void vm_ls(const struct args *args)
{
	const char *node = args->values[OPT_NODE];

	api_show_list(args, api_list(node ? api_path("/v1/vms?node=%s", node) : "/v1/vms", 0),
		      list_columns);
}

void vm_show(const struct args *args)
{
	api_show_one(args, api_call("GET", api_path("/v1/vms/%s", args->operands[0]), NULL),
		     fields);
}

static void act(const struct args *args, const char *format, const char *done)
{
	for (int i = 0; i < args->nr_operands; i++)
		api_done(args, api_call("POST", api_path(format, args->operands[i]), NULL),
			 "VM '%s' %s", args->operands[i], done);
}

void vm_start(const struct args *args)
{
	act(args, "/v1/vms/%s/start", "is to run");
}

void vm_stop(const struct args *args)
{
	act(args, "/v1/vms/%s/stop", "is to stop");
}

void vm_pause(const struct args *args)
{
	act(args, "/v1/vms/%s/pause", "is to pause");
}

void vm_resume(const struct args *args)
{
	act(args, "/v1/vms/%s/resume", "is to run on");
}

void vm_reboot(const struct args *args)
{
	act(args, "/v1/vms/%s/reboot", "is to reboot");
}

void vm_rm(const struct args *args)
{
	for (int i = 0; i < args->nr_operands; i++) {
		yyjson_doc_free(
			api_call("DELETE", api_path("/v1/vms/%s", args->operands[i]), NULL));
		api_done(args, NULL, "VM '%s' is deleted", args->operands[i]);
	}
}

void vm_wait(const struct args *args)
{
	const char *state = args->values[OPT_STATE] ? args->values[OPT_STATE] : "running";
	static const char *const states[] = {"running", "paused", "stopped",
					     "crashed", "failed", NULL};
	unsigned int i = 0;

	while (states[i] && strcmp(states[i], state) != 0)
		i++;
	if (!states[i])
		die(EXIT_USAGE, "--state %s: wants running, paused, stopped, crashed or failed",
		    state);
	api_done(args, wait_for(args, args->operands[0], state), "VM '%s' is %s", args->operands[0],
		 state);
}
