/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: named, of a kind, known by the hash of their bytes; uploaded in parts that may be cut off
 * anywhere.
 */
#include "tools/controller/image.h"

#include <string.h>

#include "tools/controller/audit.h"
#include "tools/controller/upload.h"
#include "tools/controller/util.h"

#define SIZE_MAX_BYTES (4ull << 30)
#define PART_MAX       (8u << 20)

struct image {
	int64_t seq;
	char id[ID_TEXT_MAX], name[NAME_TEXT_MAX], kind[16], sha256[SHA256_TEXT_MAX], state[16];
	char version[64], signature[SIGNATURE_TEXT_MAX]; /* of releases */
	uint64_t size, uploaded;
	int64_t created_ms, ready_ms;
};

enum image_kind { IMAGE_KERNEL, IMAGE_INITRD, IMAGE_RELEASE, IMAGE_KINDS };
static const char *const kind_names[IMAGE_KINDS] = {"kernel", "initrd", "release"};

struct image_wish {
	char name[NAME_TEXT_MAX], sha256[SHA256_TEXT_MAX];
	char version[64], signature[SIGNATURE_TEXT_MAX];
	enum image_kind kind;
	uint64_t size;
};

static const struct field image_wish_fields[] = {
	FIELD_STRING(struct image_wish, name, FORM_NAME, FIELD_NEEDED),
	FIELD_ENUM(struct image_wish, kind, kind_names, IMAGE_KINDS, FIELD_NEEDED),
	{.key = "size",
	 .kind = FIELD_KIND_U64,
	 .need = FIELD_NEEDED,
	 .offset = offsetof(struct image_wish, size),
	 .min = 1,
	 .max = SIZE_MAX_BYTES},
	FIELD_STRING(struct image_wish, sha256, FORM_SHA256, FIELD_NEEDED),
	FIELD_STRING(struct image_wish, version, FORM_TEXT, FIELD_OPTIONAL),
	FIELD_STRING(struct image_wish, signature, FORM_SIGNATURE, FIELD_OPTIONAL),
};
static const struct schema image_wish_schema = SCHEMA(struct image_wish, image_wish_fields);

#define IMAGE_COLUMNS                                                                              \
	"SELECT seq, id, name, kind, sha256, state, size, uploaded, created_ms, ready_ms, "        \
	"version, signature FROM images WHERE "

static void read_image(sqlite3_stmt *q, struct image *i)
{
	i->seq = sqlite3_column_int64(q, 0);
	db_text(q, 1, i->id, sizeof(i->id));
	db_text(q, 2, i->name, sizeof(i->name));
	db_text(q, 3, i->kind, sizeof(i->kind));
	db_text(q, 4, i->sha256, sizeof(i->sha256));
	db_text(q, 5, i->state, sizeof(i->state));
	i->size = (uint64_t)sqlite3_column_int64(q, 6);
	i->uploaded = (uint64_t)sqlite3_column_int64(q, 7);
	i->created_ms = sqlite3_column_int64(q, 8);
	i->ready_ms = sqlite3_column_int64(q, 9);
	db_text(q, 10, i->version, sizeof(i->version));
	db_text(q, 11, i->signature, sizeof(i->signature));
}

enum image_found image_find(struct db *db, const char *name, const char *kind,
			    char id[static ID_TEXT_MAX])
{
	sqlite3_stmt *q = db_query(db,
				   "SELECT id, kind = ?2, state = 'ready' FROM images"
				   " WHERE id = ?1 OR name = ?1",
				   "tt", name, kind);
	bool fits, is_ready;

	id[0] = 0;
	if (!db_row(db, q))
		return IMAGE_NONE;
	db_text(q, 0, id, ID_TEXT_MAX);
	fits = sqlite3_column_int(q, 1);
	is_ready = sqlite3_column_int(q, 2);
	db_done(q);
	if (!fits)
		return IMAGE_OTHER_KIND;
	return is_ready ? IMAGE_READY : IMAGE_NOT_READY;
}

static bool find(struct call *c, struct image *i)
{
	sqlite3_stmt *q = db_query(&c->d->db, IMAGE_COLUMNS "id = ?1 OR name = ?1", "t", c->param);

	if (!db_row(&c->d->db, q)) {
		call_error(c, 404, "image_not_found", NULL,
			   "There is no image '%s'; GET /v1/images lists them.", c->param);
		return false;
	}
	read_image(q, i);
	db_done(q);
	return true;
}

static void write_image(const struct image *i, struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_string(o, "id", i->id);
	json_out_string(o, "name", i->name);
	json_out_string(o, "kind", i->kind);
	json_out_u64(o, "size", i->size);
	json_out_string(o, "sha256", i->sha256);
	json_out_string(o, "state", i->state);
	json_out_u64(o, "uploaded", i->uploaded);
	json_time(o, "created_at", i->created_ms);
	json_time(o, "ready_at", i->ready_ms);
	json_out_string(o, "version", i->version[0] ? i->version : NULL);
	json_out_string(o, "signature", i->signature[0] ? i->signature : NULL);
	json_out_end_object(o);
}

/* A release is signed and says its version; nothing else is, or does. */
static bool is_whole(struct call *c, const struct image_wish *w)
{
	bool is_release = w->kind == IMAGE_RELEASE;
	const char *key = NULL;

	if (is_release != (w->version[0] != 0))
		key = "version";
	else if (is_release != (w->signature[0] != 0))
		key = "signature";
	if (key)
		call_error(c, 422, "invalid_field", key,
			   is_release ? "A release needs '%s'." : "'%s' is for releases only.",
			   key);
	return !key;
}

/* POST /v1/images */
static void post_image(struct call *c)
{
	struct db *db = &c->d->db;
	struct image_wish w = {0};
	struct image i = {0};
	int64_t now = now_ms();
	bool ready;

	if (!call_decode(c, &image_wish_schema, &w) || !is_whole(c, &w))
		return;
	ready = blob_exists(c->d, w.sha256, w.size);
	random_id("img_", i.id);
	if (!db_run(db,
		    "INSERT OR IGNORE INTO images(id, name, kind, size, sha256, state, uploaded, "
		    "created_ms, ready_ms, version, signature)"
		    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?)",
		    "tttittiiiee", i.id, w.name, kind_names[w.kind], (int64_t)w.size, w.sha256,
		    ready ? "ready" : "uploading", ready ? (int64_t)w.size : (int64_t)0, now,
		    ready ? now : (int64_t)0, w.version, w.signature)) {
		call_error(c, 409, "image_name_taken", "name",
			   "An image named '%s' exists already; choose another name or delete"
			   " that one.",
			   w.name);
		return;
	}
	audit_add(c->d, EVENT_INFO, "image_created", c->actor, NULL, NULL,
		  "image '%s', %llu bytes, %s", w.name, (unsigned long long)w.size,
		  ready ? "ready" : "to be uploaded");
	strcpy(c->param, i.id);
	if (find(c, &i))
		write_image(&i, call_reply(c, 201));
}

/* GET /v1/images?kind= */
static void list_images(struct call *c)
{
	const char *kind = call_query(c, "kind");
	struct image i;
	struct page p;
	sqlite3_stmt *q;

	if (!page_begin(&p, c))
		return;
	q = db_query(&c->d->db,
		     IMAGE_COLUMNS "seq > ? AND (?2 IS NULL OR kind = ?2) ORDER BY seq LIMIT ?3",
		     "iei", p.after, kind ? kind : "", (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		read_image(q, &i);
		if (!page_more(&p, i.seq)) {
			db_done(q);
			break;
		}
		write_image(&i, p.o);
	}
	page_end(&p);
}

/* GET /v1/images/<id> */
static void get_image(struct call *c)
{
	struct image i;

	if (find(c, &i))
		write_image(&i, call_reply(c, 200));
}

/* DELETE /v1/images/<id> */
static void delete_image(struct call *c)
{
	struct db *db = &c->d->db;
	struct image i;
	int64_t users;

	if (!find(c, &i))
		return;
	users = db_number(db, 0,
			  "SELECT count(*) FROM vms WHERE deleted_ms IS NULL AND (kernel = ?1 OR "
			  "initrd = ?1)",
			  "t", i.id);
	if (users > 0) {
		call_error(c, 409, "image_in_use", NULL,
			   "%lld VMs use the image '%s'; delete them first.", (long long)users,
			   i.name);
		return;
	}
	if (db_number(db, 0, "SELECT count(*) FROM nodes WHERE release = ?", "t", i.id) > 0) {
		call_error(c, 409, "image_in_use", NULL,
			   "A node is being updated to '%s'; wait for it, or cancel that.", i.name);
		return;
	}
	db_run(db, "DELETE FROM images WHERE id = ?", "t", i.id);
	if (db_number(db, 0, "SELECT count(*) FROM images WHERE sha256 = ? AND state = 'ready'",
		      "t", i.sha256) == 0)
		strcpy(c->d->unlink_after_commit, i.sha256);
	upload_drop(c->d, i.id);
	audit_add(c->d, EVENT_INFO, "image_deleted", c->actor, NULL, NULL, "image '%s' deleted",
		  i.name);
	call_reply_empty(c, 204);
}

/* ---- upload --------------------------------------------------------------------------------- */

/* HEAD /v1/images/<id>/data */
static void head_data(struct call *c)
{
	struct image i;

	if (!find(c, &i))
		return;
	call_reply_empty(c, 200);
	call_header_u64(c, "Upload-Offset", i.uploaded);
	call_header_u64(c, "Upload-Length", i.size);
}

static bool part_fits(struct call *c, const struct image *i)
{
	const char *header = call_request_header(c, "Upload-Offset");
	uint64_t offset;

	if (strcmp(i->state, "uploading") != 0) {
		call_error(c, 409, "upload_offset", NULL,
			   "The image is %s; it takes no more bytes.", i->state);
	} else if (!header || !form_parse_u64(header, strlen(header), &offset)) {
		call_error(c, 400, "bad_request", NULL,
			   "Say with the header 'Upload-Offset: N' where the part belongs.");
	} else if (offset != i->uploaded) {
		call_header_u64(c, "Upload-Offset", i->uploaded);
		call_error(c, 409, "upload_offset", NULL, "The upload goes on at byte %llu.",
			   (unsigned long long)i->uploaded);
	} else if (c->body_len == 0 || c->body_len > i->size - i->uploaded) {
		call_error(c, 400, "bad_request", NULL,
			   "A part has at least one byte, and no more than the %llu that are left.",
			   (unsigned long long)(i->size - i->uploaded));
	}
	return c->status == 0;
}

/* PATCH /v1/images/<id>/data */
static void patch_data(struct call *c)
{
	struct db *db = &c->d->db;
	struct image i;

	if (!find(c, &i) || !part_fits(c, &i))
		return;
	/* The same bytes came with another image meanwhile, or were put in place and then not
	 * recorded. */
	if (blob_exists(c->d, i.sha256, i.size)) {
		db_run(db,
		       "UPDATE images SET uploaded = size, state = 'ready', ready_ms = ? WHERE id "
		       "= ?",
		       "it", now_ms(), i.id);
		upload_drop(c->d, i.id);
		call_reply_empty(c, 204);
		call_header_u64(c, "Upload-Offset", i.size);
		return;
	}
	switch (upload_part(c->d, i.id, i.uploaded, c->body, c->body_len, i.size, i.sha256)) {
	case UPLOAD_OK:
		db_run(db, "UPDATE images SET uploaded = uploaded + ? WHERE id = ?", "it",
		       (int64_t)c->body_len, i.id);
		break;
	case UPLOAD_COMPLETE:
		db_run(db,
		       "UPDATE images SET uploaded = size, state = 'ready', ready_ms = ? WHERE id "
		       "= ?",
		       "it", now_ms(), i.id);
		audit_add(c->d, EVENT_INFO, "image_ready", c->actor, NULL, NULL,
			  "image '%s' is whole, its hash is right", i.name);
		break;
	case UPLOAD_WRONG_HASH:
		db_run(db, "UPDATE images SET uploaded = 0, state = 'rejected' WHERE id = ?", "t",
		       i.id);
		audit_add(c->d, EVENT_WARN, "image_rejected", c->actor, NULL, NULL,
			  "image '%s' has another hash than was said", i.name);
		c->keeps_changes = true;
		call_error(c, 422, "image_hash_mismatch", "sha256",
			   "The bytes have another SHA-256 than %s; they were deleted. Delete the "
			   "image and start again.",
			   i.sha256);
		return;
	case UPLOAD_FAILED:
		call_error(c, 503, "storage", NULL,
			   "The part could not be stored; the controller's log says why.");
		return;
	}
	call_reply_empty(c, 204);
	call_header_u64(c, "Upload-Offset", i.uploaded + c->body_len);
}

const struct route image_routes[] = {
	{EVHTTP_REQ_POST, "/v1/images", post_image, AUTH_OPERATOR, ROUTE_WRITES | ROUTE_IDEMPOTENT,
	 0},
	{EVHTTP_REQ_GET, "/v1/images", list_images, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_GET, "/v1/images/*", get_image, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_DELETE, "/v1/images/*", delete_image, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{EVHTTP_REQ_HEAD, "/v1/images/*/data", head_data, AUTH_OPERATOR, 0, 0},
	{EVHTTP_REQ_PATCH, "/v1/images/*/data", patch_data, AUTH_OPERATOR, ROUTE_WRITES, PART_MAX},
	{0},
};
