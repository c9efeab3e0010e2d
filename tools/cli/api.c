/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/cli/api.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/cli/die.h"
#include "tools/cli/units.h"

#define PAGE 200u

char *api_path(const char *format, const char *word)
{
	char *escaped = rest_escape(word);
	char *path = xformat(format, escaped);

	free(escaped);
	return path;
}

void api_refused(const struct reply *reply)
{
	yyjson_doc *doc = yyjson_read(reply->body, reply->len_bytes, 0);
	yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(doc), "error");
	const char *message = yyjson_get_str(yyjson_obj_get(error, "message"));
	enum exit_status status = EXIT_REFUSED;

	if (!message)
		die(EXIT_REFUSED, "status %ld, and no error message: is a billetd there?",
		    reply->status);
	if (reply->status == 401)
		die(EXIT_DENIED,
		    "%s Give a token with --token-file or BILLET_TOKEN, or run 'billetctl login'.",
		    message);
	if (reply->status == 403)
		status = EXIT_DENIED;
	if (reply->status == 404)
		status = EXIT_NOT_FOUND;
	die(status, "%s", message);
}

static yyjson_doc *parse(const struct reply *reply)
{
	yyjson_doc *doc;

	if (reply->len_bytes == 0)
		return NULL;
	doc = yyjson_read(reply->body, reply->len_bytes, 0);
	if (!doc)
		die(EXIT_REFUSED, "the answer is not JSON: is a billetd there?");
	return doc;
}

static yyjson_doc *call(const char *method, const char *path, yyjson_mut_doc *body,
			bool may_be_missing)
{
	struct request request = {.method = method, .path = path, .type = "application/json"};
	struct reply reply = {0};
	char *text = NULL;
	yyjson_doc *doc;
	CURLcode result;

	if (body) {
		text = yyjson_mut_write(body, 0, &request.len_bytes);
		if (!text)
			die(EXIT_USAGE, "the arguments are not valid UTF-8");
		request.body = text;
	}
	result = rest_try(&request, &reply);
	free(text);
	if (result != CURLE_OK)
		rest_unreachable(result);
	if (reply.status == 404 && may_be_missing) {
		reply_free(&reply);
		return NULL;
	}
	if (reply.status < 200 || reply.status > 299)
		api_refused(&reply);
	doc = parse(&reply);
	reply_free(&reply);
	return doc;
}

yyjson_doc *api_call(const char *method, const char *path, yyjson_mut_doc *body)
{
	return call(method, path, body, false);
}

yyjson_doc *api_find(const char *path)
{
	return call("GET", path, NULL, true);
}

static char *page_path(const char *path, uint64_t limit, const char *after)
{
	char *escaped = after ? rest_escape(after) : NULL;
	char *full = xformat("%s%climit=%" PRIu64 "%s%s", path, strchr(path, '?') ? '&' : '?',
			     limit, after ? "&after=" : "", after ? escaped : "");

	free(escaped);
	return full;
}

yyjson_doc *api_list(const char *path, uint64_t max)
{
	yyjson_mut_doc *all = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *items = yyjson_mut_arr(all);
	char *after = NULL;
	yyjson_doc *out;

	do {
		uint64_t left = max ? max - yyjson_mut_arr_size(items) : PAGE;
		char *full = page_path(path, left < PAGE ? left : PAGE, after);
		yyjson_doc *page = api_call("GET", full, NULL);
		yyjson_val *root = yyjson_doc_get_root(page), *next = yyjson_obj_get(root, "next"),
			   *val;
		size_t i, nr;

		free(full);
		yyjson_arr_foreach(yyjson_obj_get(root, "items"), i, nr, val)
			yyjson_mut_arr_append(items, yyjson_val_mut_copy(all, val));
		free(after);
		after = yyjson_is_str(next) ? strdup(yyjson_get_str(next)) : NULL;
		yyjson_doc_free(page);
	} while (after && (!max || yyjson_mut_arr_size(items) < max));
	free(after);
	yyjson_mut_doc_set_root(all, items);
	out = yyjson_mut_doc_imut_copy(all, NULL);
	yyjson_mut_doc_free(all);
	if (!out)
		die(EXIT_REFUSED, "out of memory");
	return out;
}

const char *api_text(yyjson_val *object, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(object, key));

	return text ? text : "";
}

uint64_t api_u64(yyjson_val *object, const char *key)
{
	yyjson_val *val = yyjson_obj_get(object, key);
	uint64_t number = 0;

	if (yyjson_is_uint(val))
		return yyjson_get_uint(val);
	if (yyjson_is_str(val) && units_parse_number(yyjson_get_str(val), UINT64_MAX, &number))
		return number;
	return 0;
}

void api_print_json(yyjson_doc *doc)
{
	char *text = yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);

	if (!text)
		die(EXIT_REFUSED, "out of memory");
	puts(text);
	free(text);
	yyjson_doc_free(doc);
}

void api_show_list(const struct args *args, yyjson_doc *doc, const struct column *columns)
{
	yyjson_val *items = yyjson_doc_get_root(doc), *val;
	size_t i, max;

	if (args->values[OPT_JSON]) {
		api_print_json(doc);
		return;
	}
	if (args->values[OPT_QUIET]) {
		yyjson_arr_foreach(items, i, max, val)
		{
			const char *name = api_text(val, "name");

			puts(*name ? name : api_text(val, "id"));
		}
	} else {
		table_print(stdout, columns, items, time(NULL));
	}
	yyjson_doc_free(doc);
}

void api_show_one(const struct args *args, yyjson_doc *doc, const struct column *columns)
{
	if (args->values[OPT_JSON]) {
		api_print_json(doc);
		return;
	}
	table_print_one(stdout, columns, yyjson_doc_get_root(doc), time(NULL));
	yyjson_doc_free(doc);
}

void api_done(const struct args *args, yyjson_doc *doc, const char *format, ...)
{
	va_list list;
	char *line;

	if (args->values[OPT_JSON]) {
		if (doc)
			api_print_json(doc);
		return;
	}
	va_start(list, format);
	if (vasprintf(&line, format, list) < 0)
		die(EXIT_REFUSED, "out of memory");
	va_end(list);
	units_printable(line);
	puts(line);
	free(line);
	yyjson_doc_free(doc);
}
