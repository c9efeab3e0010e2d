/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM is a row; commands change what the row desires, and the node is told that its desired state
 * is another.
 */
#include "tools/controller/vm.h"

#include <stdio.h>
#include <string.h>

#include "tools/controller/audit.h"
#include "tools/controller/console.h"
#include "tools/controller/desired.h"
#include "tools/controller/node.h"
#include "tools/controller/util.h"
#include "tools/controller/vm_create.h"

bool vm_find(struct call *c, char id[static UUID_TEXT_MAX], char node[static ID_TEXT_MAX])
{
	sqlite3_stmt *q = db_query(
		&c->d->db,
		"SELECT id, node FROM vms WHERE (id = ?1 OR name = ?1) AND deleted_ms IS NULL", "t",
		c->param);

	if (!db_row(&c->d->db, q)) {
		call_error(c, 404, "vm_not_found", NULL,
			   "There is no VM '%s'; GET /v1/vms lists them.", c->param);
		return false;
	}
	db_text(q, 0, id, UUID_TEXT_MAX);
	db_text(q, 1, node, ID_TEXT_MAX);
	db_done(q);
	return true;
}

/* ---- showing -------------------------------------------------------------------------------- */

#define VM_COLUMNS                                                                                 \
	"SELECT v.seq, v.id, v.name, v.node, n.name, v.state, v.desired, v.reason, v.since_ms, "   \
	"v.vcpus, v.memory_mib,"                                                                   \
	" v.weight, v.cap_percent, v.kernel, k.name, v.initrd, i.name, v.cmdline, v.mac, "         \
	"v.network, v.restart,"                                                                    \
	" v.epoch, v.created_ms, n.last_seen_ms, v.tsc_khz FROM vms v JOIN nodes n ON n.id = "     \
	"v.node"                                                                                   \
	" LEFT JOIN images k ON k.id = v.kernel LEFT JOIN images i ON i.id = v.initrd"             \
	" WHERE v.deleted_ms IS NULL AND "

static const char *shown_state(struct billetd *d, sqlite3_stmt *q)
{
	const char *state = db_text_or_null(q, 5);

	if (!state)
		return "scheduled";
	return sqlite3_column_int64(q, 23) < node_lost_before(d) ? "unknown" : state;
}

static void write_vm(struct billetd *d, sqlite3_stmt *q, struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_string(o, "id", db_text_or_null(q, 1));
	json_out_string(o, "name", db_text_or_null(q, 2));
	json_out_string(o, "node", db_text_or_null(q, 3));
	json_out_string(o, "node_name", db_text_or_null(q, 4));
	json_out_string(o, "state", shown_state(d, q));
	json_out_string(o, "desired_state", db_text_or_null(q, 6));
	json_out_string(o, "reason", db_text_or_null(q, 7) ? db_text_or_null(q, 7) : "");
	json_time(o, "since", sqlite3_column_int64(q, 8));
	json_out_uint(o, "vcpus", (uint64_t)sqlite3_column_int64(q, 9));
	json_out_uint(o, "memory_mib", (uint64_t)sqlite3_column_int64(q, 10));
	json_out_uint(o, "weight", (uint64_t)sqlite3_column_int64(q, 11));
	json_out_uint(o, "cap_percent", (uint64_t)sqlite3_column_int64(q, 12));
	if (sqlite3_column_int64(q, 24))
		json_out_uint(o, "tsc_khz", (uint64_t)sqlite3_column_int64(q, 24));
	else
		json_out_null(o, "tsc_khz");
	json_out_string(o, "kernel", db_text_or_null(q, 13));
	json_out_string(o, "kernel_name", db_text_or_null(q, 14));
	json_out_string(o, "initrd", db_text_or_null(q, 15));
	json_out_string(o, "initrd_name", db_text_or_null(q, 16));
	json_out_string(o, "cmdline", db_text_or_null(q, 17));
	json_out_array(o, "nics");
	json_out_object(o, NULL);
	json_out_string(o, "mac", db_text_or_null(q, 18));
	json_out_string(o, "network", db_text_or_null(q, 19));
	json_out_end_object(o);
	json_out_end_array(o);
	json_out_u64(o, "restart", (uint64_t)sqlite3_column_int64(q, 20));
	json_out_u64(o, "epoch", (uint64_t)sqlite3_column_int64(q, 21));
	json_time(o, "created_at", sqlite3_column_int64(q, 22));
	json_out_end_object(o);
}

static void reply_vm(struct call *c, const char *id, int status)
{
	sqlite3_stmt *q = db_query(&c->d->db, VM_COLUMNS "v.id = ?", "t", id);

	if (!db_row(&c->d->db, q))
		return;
	write_vm(c->d, q, call_reply(c, status));
	db_done(q);
}

/* GET /v1/vms?node= */
static void list_vms(struct call *c)
{
	const char *node = call_query(c, "node");
	struct page p;
	sqlite3_stmt *q;

	if (!page_begin(&p, c))
		return;
	q = db_query(
		&c->d->db,
		VM_COLUMNS
		"v.seq > ?1 AND (?2 IS NULL OR n.id = ?2 OR n.name = ?2) ORDER BY v.seq LIMIT ?3",
		"iti", p.after, node, (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		if (!page_more(&p, sqlite3_column_int64(q, 0))) {
			db_done(q);
			break;
		}
		write_vm(c->d, q, p.o);
	}
	page_end(&p);
}

/* GET /v1/vms/<id> */
static void get_vm(struct call *c)
{
	char id[UUID_TEXT_MAX], node[ID_TEXT_MAX];

	if (vm_find(c, id, node))
		reply_vm(c, id, 200);
}

/* ---- commands ------------------------------------------------------------------------------- */

struct command {
	const char *name; /* the path's last word */
	const char *from; /* desired states from which it makes sense; NULL: any */
	const char *to;
	bool restarts; /* reset the VM even if it is desired so already */
};

static bool is_down(struct db *db, const char *id)
{
	return db_number(db, 0,
			 "SELECT 1 FROM vms WHERE id = ? AND state IN ('stopped', 'crashed', "
			 "'failed')",
			 "t", id) == 1;
}

static void run_command(struct call *c, const struct command *cmd)
{
	char id[UUID_TEXT_MAX], node[ID_TEXT_MAX], now[16];
	struct db *db = &c->d->db;
	bool restart, changed;
	sqlite3_stmt *q;

	if (!vm_find(c, id, node))
		return;
	q = db_query(db, "SELECT desired FROM vms WHERE id = ?", "t", id);
	if (!db_row(db, q))
		return;
	db_text(q, 0, now, sizeof(now));
	db_done(q);
	if (strcmp(now, cmd->to) != 0 && cmd->from && !strstr(cmd->from, now)) {
		call_error(c, 409, "vm_state", NULL,
			   "'%s' is not possible while the VM is desired %s.", cmd->name, now);
		return;
	}
	restart = cmd->restarts || (strcmp(cmd->name, "start") == 0 && is_down(db, id));
	changed = strcmp(now, cmd->to) != 0 || restart;
	if (changed) {
		db_run(db, "UPDATE vms SET desired = ?, restart = restart + ? WHERE id = ?", "tit",
		       cmd->to, (int64_t)restart, id);
		audit_add(c->d, EVENT_INFO, "vm_command", c->actor, node, id, "%s", cmd->name);
		desired_touch(c->d, node);
	}
	reply_vm(c, id, 200);
}

static void start_vm(struct call *c)
{
	run_command(c, &(struct command){"start", NULL, "running", false});
}

static void stop_vm(struct call *c)
{
	run_command(c, &(struct command){"stop", NULL, "stopped", false});
}

static void pause_vm(struct call *c)
{
	run_command(c, &(struct command){"pause", "running", "paused", false});
}

static void resume_vm(struct call *c)
{
	run_command(c, &(struct command){"resume", "paused", "running", false});
}

static void reboot_vm(struct call *c)
{
	run_command(c, &(struct command){"reboot", "running paused", "running", true});
}

void vm_delete(struct call *c, const char *id, const char *node)
{
	db_run(&c->d->db, "UPDATE vms SET deleted_ms = ? WHERE id = ?", "it", now_ms(), id);
	audit_add(c->d, EVENT_INFO, "vm_deleted", c->actor, node, id, "VM deleted");
	console_forget(c->d, id);
	desired_touch(c->d, node);
}

/* DELETE /v1/vms/<id> */
static void delete_vm(struct call *c)
{
	char id[UUID_TEXT_MAX], node[ID_TEXT_MAX];

	if (!vm_find(c, id, node))
		return;
	vm_delete(c, id, node);
	call_reply_empty(c, 204);
}

/* POST /v1/vms */
static void post_vm(struct call *c)
{
	char id[UUID_TEXT_MAX];

	if (vm_create(c, id))
		reply_vm(c, id, 201);
}

const struct route vm_routes[] = {
	{EVHTTP_REQ_POST, "/v1/vms", post_vm, AUTH_OPERATOR, ROUTE_WRITES | ROUTE_IDEMPOTENT, 0},
	{EVHTTP_REQ_GET, "/v1/vms", list_vms, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_GET, "/v1/vms/*", get_vm, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_DELETE, "/v1/vms/*", delete_vm, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/v1/vms/*/start", start_vm, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/v1/vms/*/stop", stop_vm, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/v1/vms/*/pause", pause_vm, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/v1/vms/*/resume", resume_vm, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{EVHTTP_REQ_POST, "/v1/vms/*/reboot", reboot_vm, AUTH_OPERATOR, ROUTE_WRITES, 0},
	{0},
};
