/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens are random, so their plain SHA-256 is what is stored and looked up. A node's certificate
 * must be signed by the CA, and be one of those on record: its fingerprint says which node it is
 * and whether it still counts.
 */
#include "tools/controller/auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <event2/bufferevent_ssl.h>

#include "tools/controller/say.h"
#include "tools/controller/util.h"

#define USED_EVERY_MS 60000 /* how exact last_used_ms is */

const char *const auth_roles[3] = {"viewer", "operator", "admin"};

/* ---- people --------------------------------------------------------------------------------- */

static enum route_auth role_auth(const char *role)
{
	for (unsigned int i = 0; i < 3; i++)
		if (strcmp(role, auth_roles[i]) == 0)
			return (enum route_auth)(AUTH_VIEWER + i);
	return AUTH_NONE;
}

static bool token_refused(struct call *c, const char *code, const char *message)
{
	say_warn("auth", "person refused at %s: %s", c->path, code);
	call_header(c, "WWW-Authenticate", "Bearer");
	call_error(c, 401, code, NULL, "%s", message);
	return false;
}

static bool find_token(struct call *c, const char *secret, char role[static 16])
{
	struct db *db = &c->d->db;
	char hash[SHA256_TEXT_MAX], name[NAME_TEXT_MAX];
	int64_t now = now_ms(), used;
	sqlite3_stmt *q;

	sha256_text(secret, strlen(secret), hash);
	q = db_query(db,
		     "SELECT id, name, role, last_used_ms FROM tokens WHERE hash = ? AND"
		     " (expires_ms IS NULL OR expires_ms > ?)",
		     "ti", hash, now);
	if (!db_row(db, q))
		return false;
	db_text(q, 0, c->token_id, sizeof(c->token_id));
	db_text(q, 1, name, sizeof(name));
	db_text(q, 2, role, 16);
	used = sqlite3_column_int64(q, 3);
	db_done(q);
	snprintf(c->actor, sizeof(c->actor), "%s %s", c->token_id, name);
	if (now - used > USED_EVERY_MS)
		db_run(db, "UPDATE tokens SET last_used_ms = ? WHERE id = ?", "it", now,
		       c->token_id);
	return true;
}

static bool check_person(struct call *c)
{
	const char *header = call_request_header(c, "Authorization");
	char role[16];

	if (!header || strncasecmp(header, "Bearer ", 7) != 0)
		return token_refused(c, "token_missing",
				     "Say who you are with the header 'Authorization: Bearer "
				     "<token>'; the first start wrote a "
				     "token to admin.token in the data folder.");
	if (!find_token(c, header + 7, role))
		return token_refused(c, "token_invalid",
				     "This token is unknown, was deleted, or has expired.");
	if (role_auth(role) >= c->route->auth)
		return true;
	call_error(c, 403, "role_forbidden", NULL,
		   "This needs a token with the role '%s'; yours has '%s'.",
		   auth_roles[c->route->auth - AUTH_VIEWER], role);
	return false;
}

bool auth_create_token(struct billetd *d, const char *name, const char *role, int64_t expires_ms,
		       char id[static ID_TEXT_MAX], char secret[static SECRET_TEXT_MAX])
{
	char hash[SHA256_TEXT_MAX];

	random_id("tok_", id);
	random_secret("bat_", secret);
	sha256_text(secret, strlen(secret), hash);
	return db_run(&d->db,
		      "INSERT OR IGNORE INTO tokens(id, name, role, hash, created_ms, expires_ms)"
		      " VALUES(?, ?, ?, ?, ?, nullif(?, 0))",
		      "ttttii", id, name, role, hash, now_ms(), expires_ms);
}

bool auth_first_token(struct billetd *d)
{
	char path[4096], id[ID_TEXT_MAX], secret[SECRET_TEXT_MAX + 1];

	if (db_number(&d->db, 0, "SELECT count(*) FROM tokens", "") > 0)
		return true;
	if (!path_join(path, sizeof(path), d->options.data, "admin.token"))
		return false;
	db_begin(&d->db);
	if (!auth_create_token(d, "admin", "admin", 0, id, secret)) {
		db_rollback(&d->db);
		return false;
	}
	/* The file comes first: a token that nobody can read would lock everybody out. */
	strcat(secret, "\n");
	if (!file_replace(path, secret, strlen(secret))) {
		say_err("auth", "cannot write %s: %m", path);
		db_rollback(&d->db);
		return false;
	}
	if (!db_commit(&d->db))
		return false;
	say_info("auth", "first start: an admin's token is in %s", path);
	return true;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static X509 *peer_cert(struct call *c)
{
	struct bufferevent *bev =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(c->req));
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	return ssl ? SSL_get0_peer_certificate(ssl) : NULL;
}

/* The first use of a renewed certificate ends the others of its node. */
static void adopt(struct db *db, const char *node, const char *fingerprint)
{
	db_run(db,
	       "UPDATE certificates SET state = CASE fingerprint WHEN ?2 THEN 'current' ELSE "
	       "'superseded' END"
	       " WHERE node = ?1 AND state IN ('current', 'offered')",
	       "tt", node, fingerprint);
}

static bool check_record(struct call *c, X509 *cert)
{
	struct db *db = &c->d->db;
	char fingerprint[SHA256_TEXT_MAX], state[16];
	sqlite3_stmt *q;

	ca_fingerprint(cert, fingerprint);
	q = db_query(db, "SELECT node, state FROM certificates WHERE fingerprint = ?", "t",
		     fingerprint);
	if (!db_row(db, q)) {
		call_error(c, 401, "certificate_untrusted", NULL,
			   "This certificate is not on this controller's record.");
		return false;
	}
	db_text(q, 0, c->node, sizeof(c->node));
	db_text(q, 1, state, sizeof(state));
	db_done(q);
	snprintf(c->actor, sizeof(c->actor), "%s", c->node);
	if (strcmp(state, "offered") == 0)
		adopt(db, c->node, fingerprint);
	else if (strcmp(state, "superseded") == 0)
		call_error(c, 403, "certificate_superseded", NULL,
			   "Node %s has a newer certificate; this one no longer counts.", c->node);
	else if (strcmp(state, "current") != 0)
		call_error(c, 403, "certificate_revoked", NULL,
			   "Node %s was removed and its certificate revoked.", c->node);
	return c->status == 0;
}

static bool check_node(struct call *c)
{
	X509 *cert = peer_cert(c);
	bool ok = false;

	if (!cert) {
		call_error(c, 401, "certificate_missing", NULL,
			   "Nodes prove themselves with a client certificate; get one at "
			   "/agent/v1/enroll.");
		return false;
	}
	switch (ca_verify(&c->d->ca, cert, now_ms() / 1000)) {
	case CA_UNTRUSTED:
		call_error(c, 401, "certificate_untrusted", NULL,
			   "This certificate was not issued by this controller.");
		break;
	case CA_EXPIRED:
		call_error(c, 401, "certificate_expired", NULL,
			   "This certificate has expired; enrol again with a join token.");
		break;
	case CA_OK:
		ok = check_record(c, cert);
		break;
	}
	if (!ok)
		say_warn("auth", "node refused at %s: status %d %s", c->path, c->status, c->node);
	return ok;
}

bool auth_check(struct call *c)
{
	if (c->route->auth == AUTH_NONE)
		return true;
	return c->route->auth == AUTH_NODE ? check_node(c) : check_person(c);
}
