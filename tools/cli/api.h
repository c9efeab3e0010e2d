/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's API for people (docs/protocol.md, section 3) as the commands use it: JSON in,
 * JSON out, and an end with the right status when the controller refuses.
 */
#ifndef CLI_API_H
#define CLI_API_H

#include <yyjson.h>

#include "tools/cli/args.h"
#include "tools/cli/rest.h"
#include "tools/cli/table.h"

/* api_path - a path with one word of the user's in it, escaped: api_path("/v1/vms/%s/start", name).
 * Gives. */
char *api_path(const char *format, const char *word) __attribute__((format_arg(1)));

/* api_call - a request whose answer is JSON (or nothing: NULL). Ends the program on a refusal.
 * Gives. */
yyjson_doc *api_call(const char *method, const char *path, yyjson_mut_doc *body);

/* api_find - as a GET; NULL when there is no such thing. Gives. */
yyjson_doc *api_find(const char *path);

/* api_list - all pages of a list, as one array. Gives. max 0: all there is. */
yyjson_doc *api_list(const char *path, uint64_t max);

/* api_refused - say what the controller said, and end */
_Noreturn void api_refused(const struct reply *reply);

const char *api_text(yyjson_val *object, const char *key); /* "" when it is not there */
uint64_t api_u64(yyjson_val *object, const char *key); /* of a number or a decimal string; else 0 */

/* What every `ls` and `show` prints: JSON, names, or people's table. Frees doc. */
void api_show_list(const struct args *args, yyjson_doc *doc, const struct column *columns);
void api_show_one(const struct args *args, yyjson_doc *doc, const struct column *columns);

/* api_print_json - for --json. Frees doc. */
void api_print_json(yyjson_doc *doc);

/*
 * api_done - what a command that changes something says at its end: doc as JSON, or the line. Frees
 * doc, which may be NULL.
 */
void api_done(const struct args *args, yyjson_doc *doc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
