/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document is made from the tables each time it is asked for. Its generation is the node's,
 * raised whenever one of the rows behind it changes.
 */
#include "tools/controller/desired.h"

#include <stdio.h>
#include <string.h>

#include "tools/controller/console.h"
#include "tools/controller/util.h"

static struct desired_vm vms[PROTO_VMS_MAX];
static struct desired_image images[PROTO_IMAGES_MAX];

void desired_touch(struct billetd *d, const char *node)
{
	db_run(&d->db, "UPDATE nodes SET generation = generation + 1 WHERE id = ?", "t", node);
	call_wake(d, "desired", node);
}

uint64_t desired_generation(struct billetd *d, const char *node)
{
	return (uint64_t)db_number(&d->db, 0, "SELECT generation FROM nodes WHERE id = ?", "t",
				   node);
}

static enum vm_desired desired_state(const char *text)
{
	for (unsigned int i = 0; i < VM_DESIRED_STATES; i++)
		if (strcmp(text, vm_desired_names[i]) == 0)
			return (enum vm_desired)i;
	return VM_DESIRED_STOPPED;
}

static void read_vm(sqlite3_stmt *q, struct desired_vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	db_text(q, 0, vm->id, sizeof(vm->id));
	db_text(q, 1, vm->name, sizeof(vm->name));
	vm->state = desired_state(db_text_or_null(q, 2));
	vm->restart = (uint64_t)sqlite3_column_int64(q, 3);
	vm->epoch = (uint64_t)sqlite3_column_int64(q, 4);
	vm->vcpus = (uint32_t)sqlite3_column_int64(q, 5);
	vm->memory_mib = (uint32_t)sqlite3_column_int64(q, 6);
	vm->weight = (uint32_t)sqlite3_column_int64(q, 7);
	vm->cap_percent = (uint32_t)sqlite3_column_int64(q, 8);
	vm->has_boot = true;
	db_text(q, 9, vm->boot.kernel, sizeof(vm->boot.kernel));
	db_text(q, 10, vm->boot.initrd, sizeof(vm->boot.initrd));
	db_text(q, 11, vm->boot.cmdline, sizeof(vm->boot.cmdline));
	vm->nr_nics = 1;
	db_text(q, 12, vm->nics[0].mac, sizeof(vm->nics[0].mac));
	db_text(q, 13, vm->nics[0].network, sizeof(vm->nics[0].network));
	vm->tsc_khz = (uint32_t)sqlite3_column_int64(q, 14);
}

static void read_vms(struct billetd *d, const char *node, struct proto_list *list)
{
	sqlite3_stmt *q = db_query(
		&d->db,
		"SELECT v.id, v.name, v.desired, v.restart, v.epoch, v.vcpus, v.memory_mib, "
		"v.weight,"
		" v.cap_percent, k.sha256, i.sha256, v.cmdline, v.mac, v.network, v.tsc_khz"
		" FROM vms v"
		" JOIN images k ON k.id = v.kernel LEFT JOIN images i ON i.id = v.initrd"
		" WHERE v.node = ? AND v.deleted_ms IS NULL ORDER BY v.seq LIMIT ?",
		"ti", node, (int64_t)list->cap);

	while (db_row(&d->db, q)) {
		struct desired_vm *vm = &vms[list->nr++];

		read_vm(q, vm);
		vm->has_console = console_session(d, vm->id, vm->console.session);
	}
}

static void read_images(struct billetd *d, const char *node, struct proto_list *list)
{
	sqlite3_stmt *q =
		db_query(&d->db,
			 "SELECT min(id), sha256, size FROM images WHERE id IN"
			 " (SELECT kernel FROM vms WHERE node = ?1 AND deleted_ms IS NULL UNION"
			 " SELECT initrd FROM vms WHERE node = ?1 AND deleted_ms IS NULL UNION"
			 " SELECT release FROM nodes WHERE id = ?1)"
			 " GROUP BY sha256 LIMIT ?2",
			 "ti", node, (int64_t)list->cap);

	while (db_row(&d->db, q)) {
		struct desired_image *image = &images[list->nr++];

		db_text(q, 0, image->id, sizeof(image->id));
		db_text(q, 1, image->sha256, sizeof(image->sha256));
		image->size = (uint64_t)sqlite3_column_int64(q, 2);
	}
}

static bool read_update(struct billetd *d, const char *node, struct desired_update *update)
{
	sqlite3_stmt *q = db_query(&d->db,
				   "SELECT i.version, i.sha256, i.size, i.signature,"
				   " n.release_attempt FROM nodes n JOIN images i ON i.id ="
				   " n.release WHERE n.id = ?",
				   "t", node);

	if (!db_row(&d->db, q))
		return false;
	db_text(q, 0, update->version, sizeof(update->version));
	db_text(q, 1, update->sha256, sizeof(update->sha256));
	update->size = (uint64_t)sqlite3_column_int64(q, 2);
	db_text(q, 3, update->signature, sizeof(update->signature));
	update->attempt = (uint64_t)sqlite3_column_int64(q, 4);
	db_done(q);
	return true;
}

void desired_encode(struct billetd *d, const char *node, struct json_out *o)
{
	struct desired doc = {
		.images = {.at = images, .cap = PROTO_IMAGES_MAX},
		.vms = {.at = vms, .cap = PROTO_VMS_MAX},
		.report_interval_ms = d->options.report_interval_ms,
		.nr_approved_ca = 1,
		.generation = desired_generation(d, node),
		.time_ms = (uint64_t)now_ms(),
	};

	snprintf(doc.node_id, sizeof(doc.node_id), "%s", node);
	snprintf(doc.approved_ca[0], sizeof(doc.approved_ca[0]), "%s", d->ca.fingerprint);
	time_text((int64_t)doc.time_ms, doc.time);
	read_vms(d, node, &doc.vms);
	read_images(d, node, &doc.images);
	doc.has_update = read_update(d, node, &doc.update);
	schema_encode(&desired_schema, &doc, NULL, o);
}

/* GET /agent/v1/desired?gen=G&wait=S */
static void get_desired(struct call *c)
{
	uint64_t have;

	if (!call_query_u64(c, "gen", 0, PROTO_COUNTER_MAX, &have))
		return;
	if (desired_generation(c->d, c->node) != have)
		desired_encode(c->d, c->node, call_reply(c, 200));
	else if (c->can_wait)
		call_wait(c, "desired", c->node);
	else
		call_reply_empty(c, 204);
}

const struct route desired_routes[] = {
	{EVHTTP_REQ_GET, "/agent/v1/desired", get_desired, AUTH_NODE, 0, 0},
	{0},
};
