/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as tables: a schema says for each key of a JSON object where its value lies in a struct
 * and what is allowed there. One table serves both ways, so what one end writes the other can read.
 *
 *	struct point { char name[NAME_TEXT_MAX]; uint32_t x; };
 *
 *	static const struct field point_fields[] = {
 *		FIELD_STRING(struct point, name, FORM_NAME, FIELD_NEEDED),
 *		FIELD_UINT(struct point, x, 0, 4095, FIELD_OPTIONAL),
 *	};
 *	const struct schema point_schema = SCHEMA(struct point, point_fields);
 *
 * Decoding copies into the caller's struct; nothing in it points at the JSON or the scratch memory.
 * Keys that no row names are skipped; an optional key that is absent or null leaves its member
 * alone, so defaults are put there before. On an error the struct's content is of no use.
 *
 * Context: any; allocates only from the scratch memory given (from malloc when that has no
 * address).
 */
#ifndef AGENT_PROTOCOL_SCHEMA_H
#define AGENT_PROTOCOL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/protocol/form.h"
#include "agent/protocol/json_out.h"

enum field_kind {
	FIELD_KIND_STRING,  /* char[size] */
	FIELD_KIND_U64,	    /* uint64_t, a decimal string in JSON */
	FIELD_KIND_NUM,	    /* uint64_t, a number in JSON */
	FIELD_KIND_UINT,    /* uint32_t, a number in JSON */
	FIELD_KIND_BOOL,    /* bool */
	FIELD_KIND_ENUM,    /* an enum; a string of `names` in JSON */
	FIELD_KIND_OBJECT,  /* a struct, and a bool that says whether it is there */
	FIELD_KIND_ROWS,    /* structs in an array inside, and a uint32_t that says how many */
	FIELD_KIND_STRINGS, /* char[][size], and a uint32_t that says how many */
	FIELD_KIND_LIST,    /* struct proto_list: structs in the caller's array */
};

enum field_need { FIELD_OPTIONAL, FIELD_NEEDED };

struct schema;

struct field {
	const char *key;
	enum field_kind kind;
	enum field_need need;
	enum form form;		  /* strings */
	size_t offset, size;	  /* size: of one string or struct, in bytes */
	size_t nr_offset;	  /* rows and strings: of the count; objects: of the bool */
	uint64_t min, max;	  /* numbers: range; rows, strings, enums: entries */
	const struct schema *sub; /* objects, rows, lists */
	const char *const *names; /* enums, by value */
};

struct schema {
	const struct field *fields;
	size_t nr_fields;
	size_t size; /* of the struct, in bytes */
};

/* The caller sets at and cap before decoding; decoding sets nr. */
struct proto_list {
	void *at;
	uint32_t cap, nr; /* entries */
};

/* Memory for the parsed JSON: yyjson_read_max_memory_usage(len, 0) always suffices; documents of
 * this protocol take about 5 bytes for each byte of text. */
struct proto_scratch {
	void *at;
	size_t size;
};

enum proto_status {
	PROTO_OK = 0,
	PROTO_MALFORMED, /* not JSON, or no object; message says where */
	PROTO_MISSING,	 /* a needed key is not there */
	PROTO_INVALID,	 /* a value is not allowed */
	PROTO_NO_MEMORY, /* more than the scratch memory holds */
};

struct proto_error {
	enum proto_status status;
	char field[96]; /* "vms[3].nics[0].mac"; empty for MALFORMED and NO_MEMORY */
	char message[256];
};

#define FIELD_STRING(type, member, form_, need_)                                                   \
	FIELD_STRING_AS(type, #member, member, form_, need_)
#define FIELD_STRING_AS(type, key_, member, form_, need_)                                          \
	{.key = (key_),                                                                            \
	 .kind = FIELD_KIND_STRING,                                                                \
	 .need = (need_),                                                                          \
	 .form = (form_),                                                                          \
	 .offset = offsetof(type, member),                                                         \
	 .size = sizeof(((type *)0)->member)}
#define FIELD_NUMBER_(type, kind_, member, min_, max_, need_)                                      \
	{.key = #member,                                                                           \
	 .kind = (kind_),                                                                          \
	 .need = (need_),                                                                          \
	 .offset = offsetof(type, member),                                                         \
	 .min = (min_),                                                                            \
	 .max = (max_)}
#define FIELD_U64(type, member, max_, need_)                                                       \
	FIELD_NUMBER_(type, FIELD_KIND_U64, member, 0, max_, need_)
#define FIELD_NUM(type, member, max_, need_)                                                       \
	FIELD_NUMBER_(type, FIELD_KIND_NUM, member, 0, max_, need_)
#define FIELD_UINT(type, member, min_, max_, need_)                                                \
	FIELD_NUMBER_(type, FIELD_KIND_UINT, member, min_, max_, need_)
#define FIELD_BOOL(type, member, need_) FIELD_NUMBER_(type, FIELD_KIND_BOOL, member, 0, 1, need_)
#define FIELD_ENUM(type, member, names_, nr_, need_)                                               \
	{.key = #member,                                                                           \
	 .kind = FIELD_KIND_ENUM,                                                                  \
	 .need = (need_),                                                                          \
	 .offset = offsetof(type, member),                                                         \
	 .max = (nr_),                                                                             \
	 .names = (names_)}
#define FIELD_OBJECT(type, member, has_member, schema_, need_)                                     \
	{.key = #member,                                                                           \
	 .kind = FIELD_KIND_OBJECT,                                                                \
	 .need = (need_),                                                                          \
	 .offset = offsetof(type, member),                                                         \
	 .nr_offset = offsetof(type, has_member),                                                  \
	 .sub = (schema_)}
#define FIELD_ROWS(type, member, nr_member, schema_, need_)                                        \
	{.key = #member,                                                                           \
	 .kind = FIELD_KIND_ROWS,                                                                  \
	 .need = (need_),                                                                          \
	 .offset = offsetof(type, member),                                                         \
	 .nr_offset = offsetof(type, nr_member),                                                   \
	 .sub = (schema_),                                                                         \
	 .size = sizeof(((type *)0)->member[0]),                                                   \
	 .max = sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0])}
#define FIELD_STRINGS(type, member, nr_member, form_, need_)                                       \
	{.key = #member,                                                                           \
	 .kind = FIELD_KIND_STRINGS,                                                               \
	 .need = (need_),                                                                          \
	 .form = (form_),                                                                          \
	 .offset = offsetof(type, member),                                                         \
	 .nr_offset = offsetof(type, nr_member),                                                   \
	 .size = sizeof(((type *)0)->member[0]),                                                   \
	 .max = sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0])}
#define FIELD_LIST(type, member, schema_, need_)                                                   \
	{.key = #member,                                                                           \
	 .kind = FIELD_KIND_LIST,                                                                  \
	 .need = (need_),                                                                          \
	 .offset = offsetof(type, member),                                                         \
	 .sub = (schema_)}

#define SCHEMA(type, fields_)                                                                      \
	{.fields = (fields_),                                                                      \
	 .nr_fields = sizeof(fields_) / sizeof((fields_)[0]),                                      \
	 .size = sizeof(type)}

/*
 * schema_decode - read one JSON object into a struct
 *
 * err	    always set; its status is the result
 */
enum proto_status schema_decode(const struct schema *schema, const char *json, size_t len_bytes,
				struct proto_scratch scratch, void *out, struct proto_error *err);

/* schema_encode - write a struct as one JSON object; optional strings that are empty and have a
 * form, and objects that are not there, become null. Optional numbers of 32 bits below their least
 * are not there, and are left out. Enums must be in range. */
void schema_encode(const struct schema *schema, const void *in, const char *key,
		   struct json_out *o);

/* schema_encode_fields - the same without the braces: into an object that is open */
void schema_encode_fields(const struct schema *schema, const void *in, struct json_out *o);

/* The code that an error body carries for it: "malformed_json", "missing_field", "invalid_field".
 */
const char *proto_status_code(enum proto_status status);

#endif
