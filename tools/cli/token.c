/* SPDX-License-Identifier: Apache-2.0 */
/* billetctl join-token, for machines, and billetctl token, for people and their programs. */
#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/die.h"
#include "tools/cli/units.h"

static const struct column join_columns[] = {
	{"NAME", "name", COLUMN_TEXT},
	{"ID", "id", COLUMN_TEXT},
	{"STATE", "state", COLUMN_TEXT},
	{"USES", "uses", COLUMN_COUNT},
	{"USED", "used", COLUMN_COUNT},
	{"AUTO-APPROVE", "auto_approve", COLUMN_TEXT},
	{"MADE", "created_at", COLUMN_AGO},
	{"EXPIRES", "expires_at", COLUMN_AGO},
	{0},
};

static const struct column token_columns[] = {
	{"NAME", "name", COLUMN_TEXT},
	{"ID", "id", COLUMN_TEXT},
	{"ROLE", "role", COLUMN_TEXT},
	{"MADE", "created_at", COLUMN_AGO},
	{"EXPIRES", "expires_at", COLUMN_AGO},
	{"USED", "last_used_at", COLUMN_AGO},
	{0},
};

static yyjson_mut_doc *new_body(const struct args *args)
{
	yyjson_mut_doc *body = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(body);
	uint64_t seconds;

	yyjson_mut_doc_set_root(body, root);
	yyjson_mut_obj_add_str(body, root, "name", args->operands[0]);
	if (args->values[OPT_EXPIRES]) {
		if (!units_parse_seconds(args->values[OPT_EXPIRES], &seconds))
			die(EXIT_USAGE, "--expires %s: wants a time such as 90s, 15m, 24h, 7d",
			    args->values[OPT_EXPIRES]);
		yyjson_mut_obj_add_uint(body, root, "expires_s", seconds);
	}
	return body;
}

/* The secret alone on standard output, so that it can be kept with '>'. */
static void show_secret(const struct args *args, yyjson_doc *doc, const char *what)
{
	yyjson_val *root = yyjson_doc_get_root(doc);

	if (!args->values[OPT_JSON])
		note("%s '%s' (%s) is made; this is its secret, which is not shown again:", what,
		     api_text(root, "name"), api_text(root, "id"));
	api_done(args, doc, "%s", api_text(root, "secret"));
}

void join_token_create(const struct args *args)
{
	yyjson_mut_doc *body = new_body(args);
	yyjson_mut_val *root = yyjson_mut_doc_get_root(body);
	uint64_t uses;

	if (args->values[OPT_USES]) {
		if (!units_parse_number(args->values[OPT_USES], UINT32_MAX, &uses))
			die(EXIT_USAGE, "--uses %s: wants a number", args->values[OPT_USES]);
		yyjson_mut_obj_add_uint(body, root, "uses", uses);
	}
	if (args->values[OPT_AUTO_APPROVE])
		yyjson_mut_obj_add_bool(body, root, "auto_approve", true);
	show_secret(args, api_call("POST", "/v1/join-tokens", body), "join token");
	yyjson_mut_doc_free(body);
}

void join_token_ls(const struct args *args)
{
	api_show_list(args, api_list("/v1/join-tokens", 0), join_columns);
}

void join_token_rm(const struct args *args)
{
	for (int i = 0; i < args->nr_operands; i++) {
		yyjson_doc_free(api_call("DELETE",
					 api_path("/v1/join-tokens/%s", args->operands[i]), NULL));
		api_done(args, NULL, "join token '%s' is revoked", args->operands[i]);
	}
}

void token_create(const struct args *args)
{
	yyjson_mut_doc *body = new_body(args);

	yyjson_mut_obj_add_str(body, yyjson_mut_doc_get_root(body), "role", args->values[OPT_ROLE]);
	show_secret(args, api_call("POST", "/v1/tokens", body), "API token");
	yyjson_mut_doc_free(body);
}

void token_ls(const struct args *args)
{
	api_show_list(args, api_list("/v1/tokens", 0), token_columns);
}

void token_rm(const struct args *args)
{
	for (int i = 0; i < args->nr_operands; i++) {
		yyjson_doc_free(
			api_call("DELETE", api_path("/v1/tokens/%s", args->operands[i]), NULL));
		api_done(args, NULL, "API token '%s' is deleted", args->operands[i]);
	}
}
