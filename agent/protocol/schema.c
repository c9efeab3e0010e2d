/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding walks the rows of the schema, not the keys of the object: what is not asked for is never
 * looked at. Recursion goes as deep as schemas nest (three levels), never as deep as the sender
 * nests.
 */
#include "agent/protocol/schema.h"

#include <stdio.h>
#include <string.h>

#include <yyjson.h>

struct reader {
	struct proto_error *err;
	char path[sizeof(((struct proto_error *)0)->field)]; /* "vms[3]." */
	size_t path_len;
};

static bool fail(struct reader *r, enum proto_status status, const struct field *f,
		 const char *what)
{
	struct proto_error *e = r->err;

	e->status = status;
	snprintf(e->field, sizeof(e->field), "%.*s%s", (int)r->path_len, r->path, f->key);
	snprintf(e->message, sizeof(e->message), "'%s' %s", e->field, what);
	return false;
}

static bool fail_range(struct reader *r, const struct field *f)
{
	char what[80];

	snprintf(what, sizeof(what), "must be %llu to %llu", (unsigned long long)f->min,
		 (unsigned long long)f->max);
	return fail(r, PROTO_INVALID, f, what);
}

/* Adds "key[index]." (or "key." with a negative index) to the path; returns the length to go back
 * to. */
static size_t enter(struct reader *r, const char *key, long index)
{
	size_t before = r->path_len;
	size_t room = sizeof(r->path) - before;
	int n;

	if (index < 0)
		n = snprintf(r->path + before, room, "%s.", key);
	else
		n = snprintf(r->path + before, room, "%s[%ld].", key, index);
	if (n > 0)
		r->path_len += (size_t)n < room ? (size_t)n : room - 1;
	return before;
}

static bool read_text(struct reader *r, const struct field *f, yyjson_val *val, char *dst)
{
	const char *text = yyjson_get_str(val);
	size_t len = yyjson_get_len(val);
	char what[128];

	if (!text)
		return fail(r, PROTO_INVALID, f, "must be a string");
	if (len >= f->size) {
		snprintf(what, sizeof(what), "must be at most %zu bytes long, not %zu", f->size - 1,
			 len);
		return fail(r, PROTO_INVALID, f, what);
	}
	if (memchr(text, 0, len) || !form_matches(f->form, text, len)) {
		snprintf(what, sizeof(what), "must be %s", form_describe(f->form));
		return fail(r, PROTO_INVALID, f, what);
	}
	memcpy(dst, text, len);
	dst[len] = 0;
	return true;
}

static bool read_number(struct reader *r, const struct field *f, yyjson_val *val, uint64_t *value)
{
	if (yyjson_is_uint(val))
		*value = yyjson_get_uint(val);
	else if (f->kind != FIELD_KIND_U64)
		return fail(r, PROTO_INVALID, f, "must be a whole number, not negative");
	else if (!yyjson_is_str(val) ||
		 !form_parse_u64(yyjson_get_str(val), yyjson_get_len(val), value))
		return fail(r, PROTO_INVALID, f,
			    "must be a whole number as a string of decimal digits");
	if (*value < f->min || *value > f->max)
		return fail_range(r, f);
	return true;
}

static bool read_enum(struct reader *r, const struct field *f, yyjson_val *val, void *dst)
{
	const char *text = yyjson_get_str(val);
	char what[160] = "must be one of";
	size_t len = strlen(what);

	for (uint32_t i = 0; text && i < f->max; i++) {
		if (yyjson_equals_str(val, f->names[i])) {
			memcpy(dst, &i, sizeof(i));
			return true;
		}
	}
	for (uint32_t i = 0; i < f->max && len < sizeof(what); i++)
		len += (size_t)snprintf(what + len, sizeof(what) - len, "%s %s", i ? "," : "",
					f->names[i]);
	return fail(r, PROTO_INVALID, f, what);
}

static bool read_struct(struct reader *r, const struct schema *schema, yyjson_val *obj, char *out);

static bool read_items(struct reader *r, const struct field *f, yyjson_val *val, char *items,
		       size_t size, uint64_t cap, uint32_t *nr)
{
	yyjson_arr_iter iter;
	yyjson_val *item;
	char what[64];

	if (!yyjson_is_arr(val))
		return fail(r, PROTO_INVALID, f, "must be an array");
	if (yyjson_arr_size(val) > cap) {
		snprintf(what, sizeof(what), "must have at most %llu entries",
			 (unsigned long long)cap);
		return fail(r, PROTO_INVALID, f, what);
	}
	*nr = 0;
	yyjson_arr_iter_init(val, &iter);
	while ((item = yyjson_arr_iter_next(&iter))) {
		char *dst = items + *nr * size;
		size_t before;
		bool ok;

		memset(dst, 0, size);
		if (f->kind == FIELD_KIND_STRINGS) {
			ok = read_text(r, f, item, dst);
		} else if (!yyjson_is_obj(item)) {
			ok = fail(r, PROTO_INVALID, f, "must hold objects");
		} else {
			before = enter(r, f->key, (long)*nr);
			ok = read_struct(r, f->sub, item, dst);
			r->path_len = before;
		}
		if (!ok)
			return false;
		++*nr;
	}
	return true;
}

static bool read_object(struct reader *r, const struct field *f, yyjson_val *val, char *out)
{
	size_t before;
	bool ok;

	if (!yyjson_is_obj(val))
		return fail(r, PROTO_INVALID, f, "must be an object");
	before = enter(r, f->key, -1);
	ok = read_struct(r, f->sub, val, out + f->offset);
	r->path_len = before;
	*(bool *)(out + f->nr_offset) = ok;
	return ok;
}

static bool read_field(struct reader *r, const struct field *f, yyjson_val *val, char *out)
{
	char *dst = out + f->offset;
	struct proto_list *list;
	uint64_t value;
	uint32_t value32;

	switch (f->kind) {
	case FIELD_KIND_STRING:
		return read_text(r, f, val, dst);
	case FIELD_KIND_U64:
	case FIELD_KIND_NUM:
		if (!read_number(r, f, val, &value))
			return false;
		memcpy(dst, &value, sizeof(value));
		return true;
	case FIELD_KIND_UINT:
		if (!read_number(r, f, val, &value))
			return false;
		value32 = (uint32_t)value;
		memcpy(dst, &value32, sizeof(value32));
		return true;
	case FIELD_KIND_BOOL:
		if (!yyjson_is_bool(val))
			return fail(r, PROTO_INVALID, f, "must be true or false");
		*(bool *)dst = yyjson_get_bool(val);
		return true;
	case FIELD_KIND_ENUM:
		return read_enum(r, f, val, dst);
	case FIELD_KIND_OBJECT:
		return read_object(r, f, val, out);
	case FIELD_KIND_ROWS:
	case FIELD_KIND_STRINGS:
		return read_items(r, f, val, dst, f->size, f->max,
				  (uint32_t *)(out + f->nr_offset));
	case FIELD_KIND_LIST:
		list = (struct proto_list *)dst;
		return read_items(r, f, val, list->at, f->sub->size, list->cap, &list->nr);
	}
	return false;
}

static bool read_struct(struct reader *r, const struct schema *schema, yyjson_val *obj, char *out)
{
	for (size_t i = 0; i < schema->nr_fields; i++) {
		const struct field *f = &schema->fields[i];
		yyjson_val *val = yyjson_obj_get(obj, f->key);

		if (f->kind == FIELD_KIND_LIST)
			((struct proto_list *)(out + f->offset))->nr = 0;
		if (!val || yyjson_is_null(val)) {
			if (f->need == FIELD_NEEDED)
				return fail(r, PROTO_MISSING, f, "is missing");
			continue;
		}
		if (!read_field(r, f, val, out))
			return false;
	}
	return true;
}

enum proto_status schema_decode(const struct schema *schema, const char *json, size_t len_bytes,
				struct proto_scratch scratch, void *out, struct proto_error *err)
{
	struct reader r = {.err = err};
	yyjson_read_err parse = {0};
	yyjson_alc alc;
	yyjson_doc *doc;

	memset(err, 0, sizeof(*err));
	if (scratch.at && !yyjson_alc_pool_init(&alc, scratch.at, scratch.size)) {
		err->status = PROTO_NO_MEMORY;
		snprintf(err->message, sizeof(err->message), "no memory to parse JSON in");
		return err->status;
	}
	/* Without YYJSON_READ_INSITU the text is only read. */
	doc = yyjson_read_opts((char *)(uintptr_t)json, len_bytes, 0, scratch.at ? &alc : NULL,
			       &parse);
	if (!doc) {
		err->status = parse.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? PROTO_NO_MEMORY
										: PROTO_MALFORMED;
		snprintf(err->message, sizeof(err->message), "not valid JSON at byte %zu: %s",
			 parse.pos, parse.msg ? parse.msg : "empty");
		return err->status;
	}
	if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
		err->status = PROTO_MALFORMED;
		snprintf(err->message, sizeof(err->message), "the body must be a JSON object");
	} else {
		(void)read_struct(&r, schema, yyjson_doc_get_root(doc), out);
	}
	yyjson_doc_free(doc);
	return err->status;
}

static void write_string(const struct field *f, const char *text, const char *key,
			 struct json_out *o)
{
	bool absent = f->need == FIELD_OPTIONAL && f->form != FORM_TEXT && text[0] == 0;

	json_out_string(o, key, absent ? NULL : text);
}

static void write_items(const struct field *f, const char *items, uint32_t nr, struct json_out *o)
{
	size_t size = f->kind == FIELD_KIND_LIST ? f->sub->size : f->size;

	json_out_array(o, f->key);
	for (uint32_t i = 0; i < nr; i++) {
		if (f->kind == FIELD_KIND_STRINGS)
			json_out_string(o, NULL, items + i * size);
		else
			schema_encode(f->sub, items + i * size, NULL, o);
	}
	json_out_end_array(o);
}

static void write_field(const struct field *f, const char *in, struct json_out *o)
{
	const char *src = in + f->offset;
	const struct proto_list *list = (const struct proto_list *)src;
	uint64_t value = 0;
	uint32_t value32 = 0;

	switch (f->kind) {
	case FIELD_KIND_STRING:
		write_string(f, src, f->key, o);
		break;
	case FIELD_KIND_U64:
		memcpy(&value, src, sizeof(value));
		json_out_u64(o, f->key, value);
		break;
	case FIELD_KIND_NUM:
		memcpy(&value, src, sizeof(value));
		json_out_uint(o, f->key, value);
		break;
	case FIELD_KIND_UINT:
		memcpy(&value32, src, sizeof(value32));
		if (f->need == FIELD_NEEDED || value32 >= f->min)
			json_out_uint(o, f->key, value32);
		break;
	case FIELD_KIND_BOOL:
		json_out_bool(o, f->key, *(const bool *)src);
		break;
	case FIELD_KIND_ENUM:
		memcpy(&value32, src, sizeof(value32));
		json_out_string(o, f->key, value32 < f->max ? f->names[value32] : NULL);
		break;
	case FIELD_KIND_OBJECT:
		if (*(const bool *)(in + f->nr_offset))
			schema_encode(f->sub, src, f->key, o);
		else
			json_out_null(o, f->key);
		break;
	case FIELD_KIND_ROWS:
	case FIELD_KIND_STRINGS:
		memcpy(&value32, in + f->nr_offset, sizeof(value32));
		write_items(f, src, value32, o);
		break;
	case FIELD_KIND_LIST:
		write_items(f, list->at, list->nr, o);
		break;
	}
}

void schema_encode_fields(const struct schema *schema, const void *in, struct json_out *o)
{
	for (size_t i = 0; i < schema->nr_fields; i++)
		write_field(&schema->fields[i], in, o);
}

void schema_encode(const struct schema *schema, const void *in, const char *key, struct json_out *o)
{
	json_out_object(o, key);
	schema_encode_fields(schema, in, o);
	json_out_end_object(o);
}

const char *proto_status_code(enum proto_status status)
{
	switch (status) {
	case PROTO_MISSING:
		return "missing_field";
	case PROTO_INVALID:
		return "invalid_field";
	default:
		return "malformed_json";
	}
}
