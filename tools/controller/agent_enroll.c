/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment: a machine with a join token becomes a node with a certificate. A node is pending as
 * long as the key it comes with is not the one that was approved; the rules are in
 * docs/protocol.md.
 */
#include "tools/controller/agent_enroll.h"

#include <stdio.h>
#include <string.h>

#include "tools/controller/audit.h"
#include "tools/controller/say.h"
#include "tools/controller/util.h"

#define RETRY_S 5

struct join_token {
	char id[ID_TEXT_MAX];
	char name[NAME_TEXT_MAX];
	bool auto_approve, has_uses_left;
};

struct applicant { /* a machine and its node, as far as enrolment goes */
	char node[ID_TEXT_MAX];
	char approved[SHA256_TEXT_MAX]; /* the key that was approved; empty: none yet */
	bool is_known;			/* there is a node for it */
	bool is_admitted;		/* this token has counted it */
	bool is_settled;		/* with this token it had a certificate */
};

static bool refuse(struct call *c, const char *code, const char *what)
{
	say_warn("enroll", "refused: %s", code);
	call_error(c, 403, code, "join_token", "%s", what);
	return false;
}

static bool find_token(struct call *c, const char *secret, struct join_token *t)
{
	struct db *db = &c->d->db;
	char hash[SHA256_TEXT_MAX];
	bool revoked, expired;
	sqlite3_stmt *q;

	sha256_text(secret, strlen(secret), hash);
	q = db_query(db,
		     "SELECT id, name, auto_approve, used < uses, revoked_ms IS NOT NULL, "
		     "expires_ms <= ?"
		     " FROM join_tokens WHERE hash = ?",
		     "it", now_ms(), hash);
	if (!db_row(db, q))
		return refuse(
			c, "join_token_unknown",
			"This join token is not known here; make one with POST /v1/join-tokens.");
	db_text(q, 0, t->id, sizeof(t->id));
	db_text(q, 1, t->name, sizeof(t->name));
	t->auto_approve = sqlite3_column_int(q, 2);
	t->has_uses_left = sqlite3_column_int(q, 3);
	revoked = sqlite3_column_int(q, 4);
	expired = sqlite3_column_int(q, 5);
	db_done(q);
	if (revoked)
		return refuse(c, "join_token_revoked",
			      "This join token was revoked; make a new one.");
	if (expired)
		return refuse(c, "join_token_expired",
			      "This join token has expired; make a new one.");
	return true;
}

static void find_node(struct call *c, const char *machine, struct applicant *a)
{
	struct db *db = &c->d->db;
	sqlite3_stmt *q =
		db_query(db,
			 "SELECT id, approved_fingerprint FROM nodes WHERE machine_id = ? AND"
			 " removed_ms IS NULL ORDER BY seq DESC LIMIT 1",
			 "t", machine);

	a->is_known = db_row(db, q);
	if (!a->is_known)
		return;
	db_text(q, 0, a->node, sizeof(a->node));
	db_text(q, 1, a->approved, sizeof(a->approved));
	db_done(q);
}

/* What this token and this machine had to do with each other before; false after a refusal. */
static bool find_admission(struct call *c, const char *machine, const struct join_token *t,
			   struct applicant *a)
{
	struct db *db = &c->d->db;
	char node[ID_TEXT_MAX];
	sqlite3_stmt *q = db_query(
		db, "SELECT node, settled FROM admissions WHERE join_token = ? AND machine_id = ?",
		"tt", t->id, machine);

	a->is_admitted = db_row(db, q);
	if (!a->is_admitted)
		return true;
	db_text(q, 0, node, sizeof(node));
	a->is_settled = sqlite3_column_int(q, 1);
	db_done(q);
	if (a->is_known && strcmp(node, a->node) == 0)
		return true;
	return refuse(
		c, "node_removed",
		"This node was removed; it can come back as a new one with a new join token.");
}

static bool name_is_free(struct db *db, const char *name)
{
	return db_number(db, 0, "SELECT 1 FROM nodes WHERE name = ? AND removed_ms IS NULL", "t",
			 name) == 0;
}

static void choose_name(struct db *db, const char *hint, char name[static NAME_TEXT_MAX])
{
	uint8_t tag[4];
	char hex[9];

	snprintf(name, NAME_TEXT_MAX, "%s", hint[0] ? hint : "node");
	for (int i = 2; !name_is_free(db, name) && i < 100; i++)
		snprintf(name, NAME_TEXT_MAX, "%.58s-%d", hint[0] ? hint : "node", i);
	while (!db->failed && !name_is_free(db, name)) {
		random_bytes(tag, sizeof(tag));
		hex_text(tag, sizeof(tag), hex);
		snprintf(name, NAME_TEXT_MAX, "node-%s", hex);
	}
}

static bool take_use(struct call *c, const struct join_token *t)
{
	if (!t->has_uses_left)
		return refuse(
			c, "join_token_used",
			"This join token has admitted as many machines as it may; make a new one.");
	db_run(&c->d->db, "UPDATE join_tokens SET used = used + 1 WHERE id = ?", "t", t->id);
	return true;
}

static void create_node(struct call *c, const struct enroll_request *r, const struct join_token *t,
			const char *fingerprint, struct applicant *a)
{
	char name[NAME_TEXT_MAX];

	choose_name(&c->d->db, r->hostname, name);
	random_id("node_", a->node);
	db_run(&c->d->db,
	       "INSERT INTO nodes(id, name, machine_id, join_token, fingerprint, created_ms)"
	       " VALUES(?, ?, ?, ?, ?, ?)",
	       "ttttti", a->node, name, r->machine_id, t->id, fingerprint, now_ms());
	audit_add(c->d, EVENT_INFO, "node_joined", a->node, a->node, NULL,
		  "node '%s' came with join token '%s'", name, t->name);
}

/* The machine's node, made or found, and the token's use counted; false after a refusal. */
static bool admit(struct call *c, const struct enroll_request *r, const struct join_token *t,
		  const char *fingerprint, struct applicant *a)
{
	find_node(c, r->machine_id, a);
	if (!find_admission(c, r->machine_id, t, a))
		return false;
	if (a->is_admitted)
		return true;
	if (!take_use(c, t))
		return false;
	if (!a->is_known)
		create_node(c, r, t, fingerprint, a);
	return db_run(&c->d->db,
		      "INSERT INTO admissions(join_token, machine_id, node) VALUES(?, ?, ?)", "ttt",
		      t->id, r->machine_id, a->node);
}

/*
 * Whether the key may have a certificate now; the rows then say so. A machine id is no secret, so a
 * key that is new is only trusted with a token by which the machine had a certificate before.
 */
static bool is_approved(struct call *c, const struct enroll_request *r, const struct join_token *t,
			const char *fingerprint, const struct applicant *a)
{
	struct db *db = &c->d->db;

	if (!a->is_settled && !t->auto_approve && strcmp(a->approved, fingerprint) != 0) {
		db_run(db, "UPDATE nodes SET fingerprint = ? WHERE id = ?", "tt", fingerprint,
		       a->node);
		return false;
	}
	db_run(db,
	       "UPDATE nodes SET fingerprint = ?1, approved_fingerprint = ?1, join_token = ?2,"
	       " approved_ms = coalesce(approved_ms, ?3) WHERE id = ?4",
	       "ttit", fingerprint, t->id, now_ms(), a->node);
	db_run(db, "UPDATE admissions SET settled = 1 WHERE join_token = ? AND machine_id = ?",
	       "tt", t->id, r->machine_id);
	return true;
}

static void reply_certificate(struct call *c, const char *node, const char *csr, const char *state)
{
	struct billetd *d = c->d;
	static struct enroll_reply reply;
	struct ca_issued issued;
	int64_t now = now_ms();

	if (!ca_issue_node(&d->ca, csr, node, now / 1000, d->options.node_cert_s, &issued)) {
		call_error(c, 500, "internal", NULL,
			   "The certificate could not be made; the controller's log says why.");
		return;
	}
	db_run(&d->db, "INSERT INTO certificates VALUES(?, ?, ?, ?, ?)", "tttii",
	       issued.fingerprint, node, state, now, issued.expires_ms);
	memset(&reply, 0, sizeof(reply));
	strcpy(reply.node_id, node);
	strcpy(reply.certificate, issued.pem);
	strcpy(reply.ca, d->ca.pem);
	reply.expires_ms = (uint64_t)issued.expires_ms;
	reply.renew_ms = (uint64_t)(now + (issued.expires_ms - now) / 3 * 2);
	reply.time_ms = (uint64_t)now;
	schema_encode(&enroll_reply_schema, &reply, NULL, call_reply(c, 201));
}

static void keep_inventory(struct call *c, const struct enroll_request *r, const char *node)
{
	char *address;
	uint16_t port;

	evhttp_connection_get_peer(evhttp_request_get_connection(c->req), &address, &port);
	db_run(&c->d->db, "UPDATE nodes SET address = ? WHERE id = ?", "tt", address, node);
	if (r->has_node)
		node_keep_info(c->d, node, &r->node);
}

/* POST /agent/v1/enroll */
static void post_enroll(struct call *c)
{
	static struct enroll_request r;
	struct enroll_pending pending = {.status = "pending", .retry_s = RETRY_S};
	struct join_token t = {0};
	struct applicant a = {0};
	const char *why;

	memset(&r, 0, sizeof(r));
	if (!call_decode(c, &enroll_request_schema, &r))
		return;
	if (!ca_check_csr(r.csr, pending.fingerprint, &why)) {
		call_error(c, 422, "invalid_field", "csr", "The request is refused: 'csr' %s.",
			   why);
		return;
	}
	if (!find_token(c, r.join_token, &t) || !admit(c, &r, &t, pending.fingerprint, &a))
		return;
	if (!is_approved(c, &r, &t, pending.fingerprint, &a)) {
		if (!a.approved[0]) /* a node that is one already is not described by a stranger */
			keep_inventory(c, &r, a.node);
		strcpy(pending.node_id, a.node);
		schema_encode(&enroll_pending_schema, &pending, NULL, call_reply(c, 202));
		return;
	}
	keep_inventory(c, &r, a.node);
	db_run(&c->d->db,
	       "UPDATE certificates SET state = 'superseded' WHERE node = ? AND state IN"
	       " ('current', 'offered')",
	       "t", a.node);
	audit_add(c->d, EVENT_INFO, "node_enrolled", a.node, a.node, NULL,
		  "key %.16s… has a certificate", pending.fingerprint);
	reply_certificate(c, a.node, r.csr, "current");
}

/* POST /agent/v1/renew */
static void post_renew(struct call *c)
{
	static struct renew_request r;
	char fingerprint[SHA256_TEXT_MAX];
	const char *why;

	memset(&r, 0, sizeof(r));
	if (!call_decode(c, &renew_request_schema, &r))
		return;
	if (!ca_check_csr(r.csr, fingerprint, &why)) {
		call_error(c, 422, "invalid_field", "csr", "The request is refused: 'csr' %s.",
			   why);
		return;
	}
	db_run(&c->d->db,
	       "UPDATE nodes SET fingerprint = ?1, approved_fingerprint = ?1 WHERE id = ?2", "tt",
	       fingerprint, c->node);
	audit_add(c->d, EVENT_INFO, "certificate_renewed", c->node, c->node, NULL,
		  "key %.16s… has a certificate", fingerprint);
	reply_certificate(c, c->node, r.csr, "offered");
}

const struct route agent_enroll_routes[] = {
	{EVHTTP_REQ_POST, "/agent/v1/enroll", post_enroll, AUTH_NONE, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/agent/v1/renew", post_renew, AUTH_NODE, ROUTE_WRITES, 0},
	{0},
};
