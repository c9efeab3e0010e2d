/* SPDX-License-Identifier: Apache-2.0 */
/* billetctl image */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/api.h"
#include "tools/cli/commands.h"
#include "tools/cli/file.h"
#include "tools/cli/upload.h"

static const struct column list_columns[] = {
	{"NAME", "name", COLUMN_TEXT},
	{"ID", "id", COLUMN_TEXT},
	{"KIND", "kind", COLUMN_TEXT},
	{"SIZE", "size", COLUMN_BYTES},
	{"STATE", "state", COLUMN_TEXT},
	{"UPLOADED", "uploaded", COLUMN_BYTES},
	{"MADE", "created_at", COLUMN_AGO},
	{"SHA-256", "sha256", COLUMN_TEXT},
	{0},
};

static const struct column fields[] = {
	{"name", "name", COLUMN_TEXT},		{"id", "id", COLUMN_TEXT},
	{"kind", "kind", COLUMN_TEXT},		{"size", "size", COLUMN_BYTES},
	{"SHA-256", "sha256", COLUMN_TEXT},	{"state", "state", COLUMN_TEXT},
	{"uploaded", "uploaded", COLUMN_BYTES}, {"made", "created_at", COLUMN_TEXT},
	{"ready", "ready_at", COLUMN_TEXT},	{0},
};

/* [Linux boot protocol] a bzImage has "HdrS" at 0x202. */
static const char *guess_kind(const struct upload_file *f)
{
	char magic[4];

	return file_read_at(f->fd, f->path, magic, 4, 0x202) == 4 && memcmp(magic, "HdrS", 4) == 0
		       ? "kernel"
		       : "initrd";
}

void image_upload(const struct args *args)
{
	const char *name = args->operands[0];
	struct upload_file f;
	yyjson_doc *doc;

	upload_open(&f, args->operands[1]);
	f.kind = args->values[OPT_KIND] ? args->values[OPT_KIND] : guess_kind(&f);
	doc = upload_image(&f, name, NULL);
	api_done(args, doc, "image '%s' is ready: %s, %" PRIu64 " bytes, SHA-256 %s", name, f.kind,
		 f.size, f.sha256);
	close(f.fd);
}

void image_ls(const struct args *args)
{
	api_show_list(args, api_list("/v1/images", 0), list_columns);
}

void image_show(const struct args *args)
{
	api_show_one(args, api_call("GET", api_path("/v1/images/%s", args->operands[0]), NULL),
		     fields);
}

void image_rm(const struct args *args)
{
	for (int i = 0; i < args->nr_operands; i++) {
		yyjson_doc_free(
			api_call("DELETE", api_path("/v1/images/%s", args->operands[i]), NULL));
		api_done(args, NULL, "image '%s' is deleted", args->operands[i]);
	}
}
