/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes as people see them: the row, what it is promised, and the inventory that it sent.
 */
#include "tools/controller/api_nodes.h"

#include <string.h>

#include "tools/controller/audit.h"
#include "tools/controller/node.h"
#include "tools/controller/util.h"
#include "tools/controller/vm.h"

#define NODE_COLUMNS                                                                               \
	"SELECT n.seq, n.id, n.name, n.machine_id, n.fingerprint, n.join_token, n.address, "       \
	"n.created_ms, n.approved_ms,"                                                             \
	" n.last_seen_ms, n.boot_id, n.generation, n.applied_generation,"                          \
	" (SELECT max(expires_ms) FROM certificates WHERE node = n.id AND state IN ('current', "   \
	"'offered')),"                                                                             \
	" (SELECT coalesce(sum(memory_mib), 0) FROM vms WHERE node = n.id AND deleted_ms IS "      \
	"NULL),"                                                                                   \
	" (SELECT count(*) FROM vms WHERE node = n.id AND deleted_ms IS NULL),"                    \
	" n.removed_ms, n.approved_fingerprint IS NOT NULL AND n.approved_fingerprint = "          \
	"n.fingerprint, n.info, n.lease,"                                                          \
	" (SELECT name FROM images WHERE id = n.release)"                                          \
	" FROM nodes n WHERE "

static const char *shown_state(struct billetd *d, sqlite3_stmt *q)
{
	if (sqlite3_column_type(q, 16) != SQLITE_NULL)
		return "removed";
	if (!sqlite3_column_int(q, 17))
		return "pending";
	if (sqlite3_column_type(q, 9) == SQLITE_NULL)
		return "approved";
	return sqlite3_column_int64(q, 9) < node_lost_before(d) ? "lost" : "ready";
}

static void write_unknown_info(struct json_out *o)
{
	static const char *const nulls[] = {
		"version",	   "hostname",	"virt",	      "cpus",
		"cpu_model",	   "tsc_khz",	"memory_mib", "guest_memory_mib",
		"free_memory_mib", "uptime_ms", "firmware",   "machine",
		"watchdog_reset",  "update"};
	static const char *const lists[] = {"nics", "disks", "mitigations", "cpu_features",
					    "virt_features"};

	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		json_out_null(o, nulls[i]);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		json_out_array(o, lists[i]);
		json_out_end_array(o);
	}
}

/* The inventory was checked when it came; it is decoded to be written flat into the node's object.
 */
static void write_info(const char *json, struct json_out *o)
{
	static struct node_info info;
	struct proto_error err;

	memset(&info, 0, sizeof(info));
	if (json && schema_decode(&node_info_schema, json, strlen(json), (struct proto_scratch){0},
				  &info, &err) == PROTO_OK)
		schema_encode_fields(&node_info_schema, &info, o);
	else
		write_unknown_info(o);
}

static void write_node(struct billetd *d, sqlite3_stmt *q, struct json_out *o)
{
	const char *lease = db_text_or_null(q, 19);

	json_out_object(o, NULL);
	json_out_string(o, "id", db_text_or_null(q, 1));
	json_out_string(o, "name", db_text_or_null(q, 2));
	json_out_string(o, "state", shown_state(d, q));
	json_out_string(o, "machine_id", db_text_or_null(q, 3));
	json_out_string(o, "fingerprint", db_text_or_null(q, 4));
	json_out_string(o, "join_token", db_text_or_null(q, 5));
	json_out_string(o, "address", db_text_or_null(q, 6));
	json_time(o, "created_at", sqlite3_column_int64(q, 7));
	json_time(o, "approved_at", sqlite3_column_int64(q, 8));
	json_time(o, "last_seen_at", sqlite3_column_int64(q, 9));
	json_out_string(o, "boot_id", db_text_or_null(q, 10));
	json_out_u64(o, "generation", (uint64_t)sqlite3_column_int64(q, 11));
	json_out_u64(o, "applied_generation", (uint64_t)sqlite3_column_int64(q, 12));
	json_time(o, "certificate_expires_at", sqlite3_column_int64(q, 13));
	json_out_uint(o, "reserved_memory_mib", (uint64_t)sqlite3_column_int64(q, 14));
	json_out_uint(o, "vms", (uint64_t)sqlite3_column_int64(q, 15));
	json_out_string(o, "release", db_text_or_null(q, 20));
	write_info(db_text_or_null(q, 18), o);
	if (lease)
		json_out_raw(o, "lease", lease, strlen(lease));
	else
		json_out_null(o, "lease");
	json_out_end_object(o);
}

bool api_nodes_find(struct call *c, char id[static ID_TEXT_MAX])
{
	if (node_find(&c->d->db, c->param, id))
		return true;
	call_error(c, 404, "node_not_found", NULL,
		   "There is no node '%s'; GET /v1/nodes lists them.", c->param);
	return false;
}

void api_nodes_reply(struct call *c, const char *id)
{
	sqlite3_stmt *q = db_query(&c->d->db, NODE_COLUMNS "n.id = ?", "t", id);

	if (!db_row(&c->d->db, q))
		return;
	write_node(c->d, q, call_reply(c, 200));
	db_done(q);
}

/* GET /v1/nodes?all=1 */
static void list_nodes(struct call *c)
{
	uint64_t all;
	struct page p;
	sqlite3_stmt *q;

	if (!call_query_u64(c, "all", 0, 1, &all) || !page_begin(&p, c))
		return;
	q = db_query(&c->d->db,
		     NODE_COLUMNS
		     "n.seq > ? AND (? OR n.removed_ms IS NULL) ORDER BY n.seq LIMIT ?",
		     "iii", p.after, (int64_t)all, (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		if (!page_more(&p, sqlite3_column_int64(q, 0))) {
			db_done(q);
			break;
		}
		write_node(c->d, q, p.o);
	}
	page_end(&p);
}

/* GET /v1/nodes/<id> */
static void get_node(struct call *c)
{
	char id[ID_TEXT_MAX];

	if (api_nodes_find(c, id))
		api_nodes_reply(c, id);
}

struct approval {
	char name[NAME_TEXT_MAX], fingerprint[SHA256_TEXT_MAX];
};

static const struct field approval_fields[] = {
	FIELD_STRING(struct approval, name, FORM_NAME, FIELD_OPTIONAL),
	FIELD_STRING(struct approval, fingerprint, FORM_SHA256, FIELD_OPTIONAL),
};
static const struct schema approval_schema = SCHEMA(struct approval, approval_fields);

static bool may_approve(struct call *c, const char *id, const struct approval *a)
{
	struct db *db = &c->d->db;

	if (db_number(db, 0,
		      "SELECT 1 FROM nodes WHERE id = ? AND removed_ms IS NULL AND"
		      " (approved_fingerprint IS NULL OR approved_fingerprint <> fingerprint)",
		      "t", id) == 0)
		call_error(c, 409, "node_not_pending", NULL,
			   "This node is not waiting for approval.");
	else if (a->fingerprint[0] &&
		 db_number(db, 0, "SELECT 1 FROM nodes WHERE id = ? AND fingerprint = ?", "tt", id,
			   a->fingerprint) == 0)
		call_error(c, 409, "fingerprint_changed", "fingerprint",
			   "The node has another key by now; compare its fingerprint with the "
			   "node's screen again.");
	else if (a->name[0] &&
		 db_number(db, 0,
			   "SELECT 1 FROM nodes WHERE name = ? AND id <> ? AND removed_ms IS NULL",
			   "tt", a->name, id) != 0)
		call_error(c, 409, "node_name_taken", "name",
			   "A node named '%s' exists already; choose another name.", a->name);
	return c->status == 0;
}

/* POST /v1/nodes/<id>/approve */
static void approve_node(struct call *c)
{
	struct approval a = {0};
	char id[ID_TEXT_MAX];

	if (!api_nodes_find(c, id) || !call_decode(c, &approval_schema, &a) ||
	    !may_approve(c, id, &a))
		return;
	db_run(&c->d->db,
	       "UPDATE nodes SET approved_fingerprint = fingerprint, approved_ms = ?, name = "
	       "coalesce(?, name) WHERE id = ?",
	       "iet", now_ms(), a.name, id);
	audit_add(c->d, EVENT_INFO, "node_approved", c->actor, id, NULL, "node approved");
	api_nodes_reply(c, id);
}

static void delete_vms(struct call *c, const char *node)
{
	char id[UUID_TEXT_MAX];
	sqlite3_stmt *q;

	for (;;) {
		q = db_query(&c->d->db,
			     "SELECT id FROM vms WHERE node = ? AND deleted_ms IS NULL LIMIT 1",
			     "t", node);
		if (!db_row(&c->d->db, q))
			return;
		db_text(q, 0, id, sizeof(id));
		db_done(q);
		vm_delete(c, id, node);
	}
}

/* DELETE /v1/nodes/<id>?force=1 */
static void delete_node(struct call *c)
{
	struct db *db = &c->d->db;
	char id[ID_TEXT_MAX];
	uint64_t force;
	int64_t nr_vms;

	if (!call_query_u64(c, "force", 0, 1, &force) || !api_nodes_find(c, id))
		return;
	nr_vms = db_number(db, 0, "SELECT count(*) FROM vms WHERE node = ? AND deleted_ms IS NULL",
			   "t", id);
	if (nr_vms > 0 && !force) {
		call_error(c, 409, "node_in_use", NULL,
			   "The node has %lld VMs; delete them first, or repeat with ?force=1.",
			   (long long)nr_vms);
		return;
	}
	delete_vms(c, id);
	db_run(db, "UPDATE certificates SET state = 'revoked' WHERE node = ?", "t", id);
	if (db_run(db, "UPDATE nodes SET removed_ms = ? WHERE id = ? AND removed_ms IS NULL", "it",
		   now_ms(), id))
		audit_add(c->d, EVENT_WARN, "node_removed", c->actor, id, NULL,
			  "node removed, its certificate revoked");
	call_wake(c->d, "desired", id); /* a waiting poll learns it at once */
	call_reply_empty(c, 204);
}

const struct route api_nodes_routes[] = {
	{EVHTTP_REQ_GET, "/v1/nodes", list_nodes, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_GET, "/v1/nodes/*", get_node, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_POST, "/v1/nodes/*/approve", approve_node, AUTH_ADMIN, ROUTE_WRITES, 0},
	{EVHTTP_REQ_DELETE, "/v1/nodes/*", delete_node, AUTH_ADMIN, ROUTE_WRITES, 0},
	{0},
};
