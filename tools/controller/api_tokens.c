/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets are in the answer that made them and nowhere else.
 */
#include "tools/controller/api_tokens.h"

#include <string.h>

#include "tools/controller/audit.h"
#include "tools/controller/auth.h"
#include "tools/controller/util.h"

#define TEN_YEARS_S 315360000u

/* ---- join tokens ---------------------------------------------------------------------------- */

struct join_wish {
	char name[NAME_TEXT_MAX];
	uint32_t uses, expires_s;
	bool auto_approve;
};

static const struct field join_wish_fields[] = {
	FIELD_STRING(struct join_wish, name, FORM_NAME, FIELD_NEEDED),
	FIELD_UINT(struct join_wish, uses, 1, 10000, FIELD_OPTIONAL),
	FIELD_UINT(struct join_wish, expires_s, 60, TEN_YEARS_S, FIELD_OPTIONAL),
	FIELD_BOOL(struct join_wish, auto_approve, FIELD_OPTIONAL),
};
static const struct schema join_wish_schema = SCHEMA(struct join_wish, join_wish_fields);

#define JOIN_COLUMNS                                                                               \
	"SELECT seq, id, name, uses, used, auto_approve, created_ms, expires_ms, revoked_ms FROM " \
	"join_tokens WHERE "

static const char *join_state(sqlite3_stmt *q)
{
	if (sqlite3_column_type(q, 8) != SQLITE_NULL)
		return "revoked";
	if (sqlite3_column_int64(q, 7) <= now_ms())
		return "expired";
	return sqlite3_column_int64(q, 4) >= sqlite3_column_int64(q, 3) ? "used" : "valid";
}

static void write_join_token(sqlite3_stmt *q, const char *secret, const char *ca,
			     struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_string(o, "id", db_text_or_null(q, 1));
	json_out_string(o, "name", db_text_or_null(q, 2));
	json_out_uint(o, "uses", (uint64_t)sqlite3_column_int64(q, 3));
	json_out_uint(o, "used", (uint64_t)sqlite3_column_int64(q, 4));
	json_out_bool(o, "auto_approve", sqlite3_column_int(q, 5));
	json_out_string(o, "state", join_state(q));
	json_time(o, "created_at", sqlite3_column_int64(q, 6));
	json_time(o, "expires_at", sqlite3_column_int64(q, 7));
	if (secret) {
		json_out_string(o, "secret", secret);
		json_out_string(o, "ca", ca);
	}
	json_out_end_object(o);
}

static void reply_join_token(struct call *c, int status, const char *id, const char *secret)
{
	sqlite3_stmt *q = db_query(
		&c->d->db, JOIN_COLUMNS "id = ?1 OR (name = ?1 AND revoked_ms IS NULL)", "t", id);

	if (!db_row(&c->d->db, q)) {
		call_error(c, 404, "token_not_found", NULL, "There is no join token '%s'.", id);
		return;
	}
	write_join_token(q, secret, c->d->ca.pem, call_reply(c, status));
	db_done(q);
}

/* POST /v1/join-tokens */
static void post_join_token(struct call *c)
{
	struct join_wish w = {.uses = 1, .expires_s = 86400};
	char id[ID_TEXT_MAX], secret[SECRET_TEXT_MAX], hash[SHA256_TEXT_MAX];
	int64_t now = now_ms();

	if (!call_decode(c, &join_wish_schema, &w))
		return;
	random_id("jt_", id);
	random_secret("bjt_", secret);
	sha256_text(secret, strlen(secret), hash);
	if (!db_run(&c->d->db,
		    "INSERT OR IGNORE INTO join_tokens(id, name, hash, uses, auto_approve, "
		    "created_ms, expires_ms)"
		    " VALUES(?, ?, ?, ?, ?, ?, ?)",
		    "tttiiii", id, w.name, hash, (int64_t)w.uses, (int64_t)w.auto_approve, now,
		    now + (int64_t)w.expires_s * 1000)) {
		call_error(c, 409, "token_name_taken", "name",
			   "A join token named '%s' exists already.", w.name);
		return;
	}
	audit_add(c->d, EVENT_INFO, "join_token_created", c->actor, NULL, NULL,
		  "join token '%s' for %u machines%s", w.name, w.uses,
		  w.auto_approve ? ", without approval" : "");
	reply_join_token(c, 201, id, secret);
}

/* GET /v1/join-tokens */
static void list_join_tokens(struct call *c)
{
	struct page p;
	sqlite3_stmt *q;

	if (!page_begin(&p, c))
		return;
	q = db_query(&c->d->db, JOIN_COLUMNS "seq > ? ORDER BY seq LIMIT ?", "ii", p.after,
		     (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		if (!page_more(&p, sqlite3_column_int64(q, 0))) {
			db_done(q);
			break;
		}
		write_join_token(q, NULL, NULL, p.o);
	}
	page_end(&p);
}

/* GET /v1/join-tokens/<id> */
static void get_join_token(struct call *c)
{
	reply_join_token(c, 200, c->param, NULL);
}

/* DELETE /v1/join-tokens/<id> */
static void delete_join_token(struct call *c)
{
	if (!db_run(&c->d->db,
		    "UPDATE join_tokens SET revoked_ms = ?1 WHERE (id = ?2 OR name = ?2) AND "
		    "revoked_ms IS NULL",
		    "it", now_ms(), c->param)) {
		call_error(c, 404, "token_not_found", NULL,
			   "There is no join token '%s' that could be revoked.", c->param);
		return;
	}
	audit_add(c->d, EVENT_INFO, "join_token_revoked", c->actor, NULL, NULL,
		  "join token '%s' revoked", c->param);
	call_reply_empty(c, 204);
}

/* ---- API tokens ----------------------------------------------------------------------------- */

struct token_wish {
	char name[NAME_TEXT_MAX];
	uint32_t role; /* index into auth_roles */
	uint32_t expires_s;
};

static const struct field token_wish_fields[] = {
	FIELD_STRING(struct token_wish, name, FORM_NAME, FIELD_NEEDED),
	FIELD_ENUM(struct token_wish, role, auth_roles, 3, FIELD_NEEDED),
	FIELD_UINT(struct token_wish, expires_s, 60, TEN_YEARS_S, FIELD_OPTIONAL),
};
static const struct schema token_wish_schema = SCHEMA(struct token_wish, token_wish_fields);

#define TOKEN_COLUMNS                                                                              \
	"SELECT seq, id, name, role, created_ms, expires_ms, last_used_ms FROM tokens WHERE "

static void write_token(sqlite3_stmt *q, const char *secret, struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_string(o, "id", db_text_or_null(q, 1));
	json_out_string(o, "name", db_text_or_null(q, 2));
	json_out_string(o, "role", db_text_or_null(q, 3));
	json_time(o, "created_at", sqlite3_column_int64(q, 4));
	json_time(o, "expires_at", sqlite3_column_int64(q, 5));
	json_time(o, "last_used_at", sqlite3_column_int64(q, 6));
	if (secret)
		json_out_string(o, "secret", secret);
	json_out_end_object(o);
}

/* POST /v1/tokens */
static void post_token(struct call *c)
{
	char id[ID_TEXT_MAX], secret[SECRET_TEXT_MAX];
	struct token_wish w = {0};
	sqlite3_stmt *q;

	if (!call_decode(c, &token_wish_schema, &w))
		return;
	if (!auth_create_token(c->d, w.name, auth_roles[w.role],
			       w.expires_s ? now_ms() + (int64_t)w.expires_s * 1000 : 0, id,
			       secret)) {
		call_error(c, 409, "token_name_taken", "name", "A token named '%s' exists already.",
			   w.name);
		return;
	}
	audit_add(c->d, EVENT_INFO, "token_created", c->actor, NULL, NULL,
		  "token '%s' with the role %s", w.name, auth_roles[w.role]);
	q = db_query(&c->d->db, TOKEN_COLUMNS "id = ?", "t", id);
	if (db_row(&c->d->db, q))
		write_token(q, secret, call_reply(c, 201));
	db_done(q);
}

/* GET /v1/tokens */
static void list_tokens(struct call *c)
{
	struct page p;
	sqlite3_stmt *q;

	if (!page_begin(&p, c))
		return;
	q = db_query(&c->d->db, TOKEN_COLUMNS "seq > ? ORDER BY seq LIMIT ?", "ii", p.after,
		     (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		if (!page_more(&p, sqlite3_column_int64(q, 0))) {
			db_done(q);
			break;
		}
		write_token(q, NULL, p.o);
	}
	page_end(&p);
}

/* DELETE /v1/tokens/<id> */
static void delete_token(struct call *c)
{
	struct db *db = &c->d->db;

	if (!db_run(db, "DELETE FROM tokens WHERE id = ?1 OR name = ?1", "t", c->param)) {
		call_error(c, 404, "token_not_found", NULL, "There is no token '%s'.", c->param);
		return;
	}
	if (db_number(db, 0,
		      "SELECT count(*) FROM tokens WHERE role = 'admin' AND expires_ms IS NULL",
		      "") == 0) {
		call_error(c, 409, "token_last", NULL,
			   "This is the last admin's token without an end; nobody could make "
			   "another.");
		return;
	}
	audit_add(c->d, EVENT_INFO, "token_deleted", c->actor, NULL, NULL, "token '%s' deleted",
		  c->param);
	call_reply_empty(c, 204);
}

const struct route api_tokens_routes[] = {
	{EVHTTP_REQ_POST, "/v1/join-tokens", post_join_token, AUTH_ADMIN, ROUTE_WRITES, 0},
	{EVHTTP_REQ_GET, "/v1/join-tokens", list_join_tokens, AUTH_ADMIN, 0, 0},
	{EVHTTP_REQ_GET, "/v1/join-tokens/*", get_join_token, AUTH_ADMIN, 0, 0},
	{EVHTTP_REQ_DELETE, "/v1/join-tokens/*", delete_join_token, AUTH_ADMIN, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/v1/tokens", post_token, AUTH_ADMIN, ROUTE_WRITES, 0},
	{EVHTTP_REQ_GET, "/v1/tokens", list_tokens, AUTH_ADMIN, 0, 0},
	{EVHTTP_REQ_DELETE, "/v1/tokens/*", delete_token, AUTH_ADMIN, ROUTE_WRITES, 0},
	{0},
};
