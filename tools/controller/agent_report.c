/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report: all of it is stored in one transaction, or none of it.
 */
#include "tools/controller/agent_report.h"

#include <string.h>

#include "tools/controller/audit.h"
#include "tools/controller/desired.h"
#include "tools/controller/ledger.h"
#include "tools/controller/node.h"
#include "tools/controller/node_update.h"
#include "tools/controller/util.h"

static struct report_vm vms[PROTO_VMS_MAX];
static struct usage_record usage[PROTO_USAGE_MAX];
static struct report_event events[PROTO_EVENTS_MAX];

static const struct report_vm *find_vm(const struct report *r, const char *id)
{
	for (uint32_t i = 0; i < r->vms.nr; i++)
		if (strcmp(vms[i].id, id) == 0)
			return &vms[i];
	return NULL;
}

static void keep_vm(struct call *c, const char *id, const char *state, const char *reason,
		    int64_t since_ms)
{
	bool bad = state && (strcmp(state, "crashed") == 0 || strcmp(state, "failed") == 0);

	/* While a VM is being made its reason says how far that is: kept, but not an event each
	 * time. */
	if (db_run(&c->d->db,
		   "UPDATE vms SET reason = ?2, since_ms = ?3 WHERE id = ?4 AND deleted_ms IS NULL"
		   " AND state IS ?1 AND (reason IS NOT ?2 OR since_ms IS NOT ?3)",
		   "ttit", state, reason, since_ms, id))
		return;
	if (db_run(&c->d->db,
		   "UPDATE vms SET state = ?1, reason = ?2, since_ms = ?3 WHERE id = ?4 AND "
		   "deleted_ms IS NULL AND state IS NOT ?1",
		   "ttit", state, reason, since_ms, id) &&
	    state)
		audit_add(c->d, bad ? EVENT_ERROR : EVENT_INFO, "vm_state", c->node, c->node, id,
			  "VM is %s%s%s", state, reason[0] ? ": " : "", reason);
}

/* A VM that the node does not mention holds nothing there: it is stopped, or not there yet. */
static void keep_vms(struct call *c, const struct report *r)
{
	static struct {
		char id[UUID_TEXT_MAX];
		bool is_stopped;
	} mine[PROTO_VMS_MAX];
	uint32_t nr = 0;
	sqlite3_stmt *q = db_query(
		&c->d->db,
		"SELECT id, desired FROM vms WHERE node = ? AND deleted_ms IS NULL LIMIT ?", "ti",
		c->node, (int64_t)PROTO_VMS_MAX);

	while (db_row(&c->d->db, q)) {
		db_text(q, 0, mine[nr].id, sizeof(mine[nr].id));
		mine[nr++].is_stopped = strcmp(db_text_or_null(q, 1), "stopped") == 0;
	}
	for (uint32_t i = 0; i < nr; i++) {
		const struct report_vm *vm = find_vm(r, mine[i].id);

		if (vm)
			keep_vm(c, vm->id, vm_state_names[vm->state], vm->reason,
				(int64_t)vm->since_ms);
		else
			keep_vm(c, mine[i].id, mine[i].is_stopped ? "stopped" : NULL, "", 0);
	}
}

static void reply_conflict(struct call *c, const struct usage_record *u)
{
	uint64_t ack_seq = ledger_ack_seq(&c->d->db, c->node, u->boot_id);

	call_error(c, 409, "usage_conflict", "usage",
		   "Record %llu of boot %s is stored with other content; number it anew above "
		   "ack_seq.",
		   (unsigned long long)u->seq, u->boot_id);
	c->json.len--; /* the closing brace: one more key */
	json_out_u64(&c->json, "ack_seq", ack_seq);
	json_out_end_object(&c->json);
}

/* False after a conflict, with only the event about it to be kept. */
static bool count_usage(struct call *c, const struct report *r, int64_t now,
			struct report_reply *counts)
{
	struct db *db = &c->d->db;

	for (uint32_t i = 0; i < r->usage.nr; i++) {
		const struct usage_record *u = &usage[i];

		switch (ledger_add(db, c->node, u, now)) {
		case LEDGER_ADDED:
			break;
		case LEDGER_REPEATED:
			counts->repeated++;
			break;
		case LEDGER_DECREASED:
			audit_add(c->d, EVENT_ERROR, "usage_decreased", "billetd", c->node, u->vm,
				  "record %llu of boot %s has a counter below the one before; it "
				  "adds nothing",
				  (unsigned long long)u->seq, u->boot_id);
			break;
		case LEDGER_NOT_YOURS:
			if (counts->refused++ > 0)
				break; /* one line a report says it */
			audit_add(c->d, EVENT_ERROR, "usage_refused", "billetd", c->node, NULL,
				  "record %llu is about VM %s, which is not this node's",
				  (unsigned long long)u->seq, u->vm);
			break;
		case LEDGER_CONFLICT:
			db_run(db, "ROLLBACK TO report", "");
			audit_add(c->d, EVENT_ERROR, "usage_conflict", "billetd", c->node, u->vm,
				  "record %llu of boot %s came again with other content; the first "
				  "is kept",
				  (unsigned long long)u->seq, u->boot_id);
			reply_conflict(c, u);
			c->keeps_changes = true;
			return false;
		}
	}
	return true;
}

/* The first report of a boot. */
static void note_boot(struct call *c, const struct report *r)
{
	if (!db_run(&c->d->db, "UPDATE nodes SET boot_id = ?1 WHERE id = ?2 AND boot_id IS NOT ?1",
		    "tt", r->boot_id, c->node))
		return;
	if (r->node.watchdog_reset)
		audit_add(c->d, EVENT_WARN, "node_reset", c->node, c->node, NULL,
			  "the hardware's watchdog reset the node, which had stood still; it runs "
			  "%s again",
			  r->node.version);
	else
		audit_add(c->d, EVENT_INFO, "node_booted", c->node, c->node, NULL,
			  "node has booted%s%s", r->has_node ? " " : "", r->node.version);
}

static void keep_node(struct call *c, const struct report *r, int64_t now)
{
	struct db *db = &c->d->db;

	note_boot(c, r);
	db_run(db, "UPDATE nodes SET last_seen_ms = ?, applied_generation = ? WHERE id = ?", "iit",
	       now, (int64_t)r->applied_generation, c->node);
	if (r->has_node) {
		node_keep_info(c->d, c->node, &r->node);
		if (r->node.has_update)
			node_update_reported(c->d, c->node, &r->node.update);
	}
	if (r->has_lease)
		node_keep_lease(c->d, c->node, &r->lease);
	/* A database restored from a backup lags behind its nodes; generations must not go back. */
	if (r->applied_generation > desired_generation(c->d, c->node) &&
	    r->applied_generation < PROTO_COUNTER_MAX / 2) {
		db_run(db, "UPDATE nodes SET generation = ? WHERE id = ?", "it",
		       (int64_t)r->applied_generation, c->node);
		desired_touch(c->d, c->node);
	}
}

static void reply(struct call *c, const struct report *r, struct report_reply *out, int64_t now)
{
	out->ack_seq = ledger_ack_seq(&c->d->db, c->node, r->boot_id);
	out->ack_event_seq =
		(uint64_t)db_number(&c->d->db, 0,
				    "SELECT max(node_seq) FROM events WHERE node = ? AND boot = ?"
				    " AND node_seq IS NOT NULL",
				    "tt", c->node, r->boot_id);
	out->time_ms = (uint64_t)now;
	out->next_ms = c->d->options.report_interval_ms;
	time_text(now, out->time);
	schema_encode(&report_reply_schema, out, NULL, call_reply(c, 200));
}

/* POST /agent/v1/report */
static void post_report(struct call *c)
{
	static struct report r;
	int64_t now = now_ms();
	struct report_reply out = {0};

	memset(&r, 0, sizeof(r));
	r.vms = (struct proto_list){.at = vms, .cap = PROTO_VMS_MAX};
	r.usage = (struct proto_list){.at = usage, .cap = PROTO_USAGE_MAX};
	r.events = (struct proto_list){.at = events, .cap = PROTO_EVENTS_MAX};
	if (!call_decode(c, &report_schema, &r))
		return;
	if (strcmp(r.node_id, c->node) != 0) {
		call_error(c, 403, "node_mismatch", "node_id",
			   "The certificate is node %s's, the report %s's.", c->node, r.node_id);
		return;
	}
	db_run(&c->d->db, "SAVEPOINT report", "");
	if (!count_usage(c, &r, now, &out))
		return;
	keep_node(c, &r, now);
	keep_vms(c, &r);
	for (uint32_t i = 0; i < r.events.nr; i++)
		audit_add_reported(c->d, c->node, &events[i]);
	reply(c, &r, &out, now);
}

const struct route agent_report_routes[] = {
	{EVHTTP_REQ_POST, "/agent/v1/report", post_report, AUTH_NODE, ROUTE_WRITES, 0},
	{0},
};
