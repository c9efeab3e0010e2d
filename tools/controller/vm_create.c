/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory is promised when a VM is made and as long as it exists, running or not, so that a VM that
 * was stopped can always start again.
 */
#include "tools/controller/vm_create.h"

#include <stdio.h>
#include <string.h>

#include "tools/controller/audit.h"
#include "tools/controller/desired.h"
#include "tools/controller/image.h"
#include "tools/controller/node.h"
#include "tools/controller/util.h"

struct vm_wish {
	char name[NAME_TEXT_MAX], kernel[NAME_TEXT_MAX], initrd[NAME_TEXT_MAX], node[NAME_TEXT_MAX];
	char network[NAME_TEXT_MAX];
	char cmdline[PROTO_CMDLINE_MAX];
	uint32_t vcpus, memory_mib, weight, cap_percent, tsc_khz;
	bool start;
};

static const struct field vm_wish_fields[] = {
	FIELD_STRING(struct vm_wish, name, FORM_NAME, FIELD_NEEDED),
	FIELD_UINT(struct vm_wish, vcpus, 1, PROTO_VCPUS_MAX, FIELD_OPTIONAL),
	FIELD_UINT(struct vm_wish, memory_mib, PROTO_MEMORY_MIB_MIN, PROTO_MEMORY_MIB_MAX,
		   FIELD_OPTIONAL),
	FIELD_STRING(struct vm_wish, kernel, FORM_WORD, FIELD_NEEDED),
	FIELD_STRING(struct vm_wish, initrd, FORM_WORD, FIELD_OPTIONAL),
	FIELD_STRING(struct vm_wish, cmdline, FORM_TEXT, FIELD_OPTIONAL),
	FIELD_STRING(struct vm_wish, network, FORM_NAME, FIELD_OPTIONAL),
	FIELD_UINT(struct vm_wish, weight, 1, PROTO_WEIGHT_MAX, FIELD_OPTIONAL),
	FIELD_UINT(struct vm_wish, cap_percent, 0, 100, FIELD_OPTIONAL),
	FIELD_UINT(struct vm_wish, tsc_khz, PROTO_TSC_KHZ_MIN, PROTO_TSC_KHZ_MAX, FIELD_OPTIONAL),
	FIELD_STRING(struct vm_wish, node, FORM_WORD, FIELD_OPTIONAL),
	FIELD_BOOL(struct vm_wish, start, FIELD_OPTIONAL),
};
static const struct schema vm_wish_schema = SCHEMA(struct vm_wish, vm_wish_fields);

static bool read_wish(struct call *c, struct vm_wish *w)
{
	*w = (struct vm_wish){
		.network = "default", .vcpus = 1, .memory_mib = 256, .weight = 100, .start = true};
	if (!call_decode(c, &vm_wish_schema, w))
		return false;
	if (w->memory_mib % 2 != 0) {
		call_error(c, 422, "invalid_field", "memory_mib",
			   "The request is refused: 'memory_mib' must be even.");
		return false;
	}
	if (strchr(w->cmdline, '\n')) {
		call_error(c, 422, "invalid_field", "cmdline",
			   "The request is refused: 'cmdline' must be one line.");
		return false;
	}
	if (db_number(&c->d->db, 0, "SELECT 1 FROM vms WHERE name = ? AND deleted_ms IS NULL", "t",
		      w->name) == 0)
		return true;
	call_error(c, 409, "vm_name_taken", "name",
		   "A VM named '%s' exists already; choose another name or delete that one.",
		   w->name);
	return false;
}

/* Replaces an image's name by its id. */
static bool find_image(struct call *c, const char *key, char name[static NAME_TEXT_MAX])
{
	char id[ID_TEXT_MAX];

	if (!name[0])
		return true;
	switch (image_find(&c->d->db, name, key, id)) {
	case IMAGE_READY:
		break;
	case IMAGE_NONE:
		call_error(c, 404, "image_not_found", key,
			   "There is no image '%s'; GET /v1/images lists them.", name);
		return false;
	case IMAGE_OTHER_KIND:
		call_error(c, 422, "invalid_field", key,
			   "The image '%s' is of another kind than '%s'.", name, key);
		return false;
	case IMAGE_NOT_READY:
		call_error(c, 409, "image_not_ready", key,
			   "The image '%s' is not ready: finish its upload first.", name);
		return false;
	}
	strcpy(name, id);
	return true;
}

#define FREE_MIB                                                                                   \
	"(n.guest_memory_mib - (SELECT coalesce(sum(memory_mib), 0) FROM vms WHERE node = n.id "   \
	"AND deleted_ms IS NULL))"
#define NR_VMS "(SELECT count(*) FROM vms WHERE node = n.id AND deleted_ms IS NULL)"

/* Whether a VM's TSC can have a rate there, as far as the node's last report tells. */
#define TSC_KHZ "json_extract(n.info, '$.tsc_khz')"
#define GIVES_TSC(khz, ppm)                                                                        \
	"(" khz " = 0 OR abs(" TSC_KHZ " - " khz ") * 1000000 <= " TSC_KHZ " * " ppm               \
	" OR EXISTS (SELECT 1 FROM json_each(n.info, '$.virt_features') WHERE value = "            \
	"'tsc-scaling'))"

/* The ready node with most memory left among those that would do; wanted may be empty. */
static bool choose_node(struct call *c, const struct vm_wish *w, const char *wanted,
			char node[static ID_TEXT_MAX])
{
	struct db *db = &c->d->db;
	sqlite3_stmt *q = db_query(
		db,
		"SELECT n.id FROM nodes n WHERE n.removed_ms IS NULL AND "
		"n.approved_fingerprint IS NOT NULL"
		" AND n.last_seen_ms >= ?1 AND n.cpus >= ?2 AND " FREE_MIB " >= ?3 AND " NR_VMS
		" < ?4"
		" AND (?5 IS NULL OR n.id = ?5) AND " GIVES_TSC("?6", "?7") " ORDER BY " FREE_MIB
									    " DESC, n.seq LIMIT 1",
		"iiiieii", node_lost_before(c->d), (int64_t)w->vcpus, (int64_t)w->memory_mib,
		(int64_t)PROTO_VMS_MAX, wanted, (int64_t)w->tsc_khz, (int64_t)PROTO_TSC_PPM_MAX);

	if (!db_row(db, q))
		return false;
	db_text(q, 0, node, ID_TEXT_MAX);
	db_done(q);
	return true;
}

/* The most of something that any ready node has that gives that TSC; 0: there is none. */
#define MOST(what)                                                                                 \
	"SELECT max(" what ") FROM nodes n WHERE removed_ms IS NULL AND last_seen_ms >= ?1 AND"    \
	" (?2 IS NULL OR id = ?2) AND " GIVES_TSC("?3", "?4")

/* Why no node would do, as exactly as can be said. */
static void explain(struct call *c, const struct vm_wish *w, const char *wanted)
{
	struct db *db = &c->d->db;
	int64_t seen = node_lost_before(c->d), khz = w->tsc_khz, ppm = PROTO_TSC_PPM_MAX;
	bool is_any_ready =
		db_number(db, 0, MOST("cpus"), "ieii", seen, wanted, (int64_t)0, ppm) > 0;
	int64_t cpus = db_number(db, 0, MOST("cpus"), "ieii", seen, wanted, khz, ppm);
	int64_t free_mib = db_number(db, 0, MOST(FREE_MIB), "ieii", seen, wanted, khz, ppm);

	if (!is_any_ready)
		call_error(c, 409, "no_capacity", "node", "%s; GET /v1/nodes shows their states.",
			   wanted[0] ? "That node is not ready" : "No node is ready");
	else if (cpus == 0 && wanted[0])
		call_error(c, 409, "no_capacity", "tsc_khz",
			   "That node neither has a TSC of %u kHz nor can scale its own: omit "
			   "'tsc_khz' or choose another node.",
			   w->tsc_khz);
	else if (cpus == 0)
		call_error(c, 409, "no_capacity", "tsc_khz",
			   "No ready node has a TSC of %u kHz or can scale its own; GET /v1/nodes "
			   "shows their 'tsc_khz' and 'virt_features'.",
			   w->tsc_khz);
	else if (cpus < w->vcpus)
		call_error(c, 422, "invalid_field", "vcpus",
			   "'vcpus' must be at most %lld, the CPUs of %s.", (long long)cpus,
			   wanted[0] ? "that node" : "the largest node");
	else
		call_error(c, 409, "no_capacity", "memory_mib",
			   "No memory for it: %u MiB are wanted, %s has %lld MiB left.",
			   w->memory_mib, wanted[0] ? "that node" : "the emptiest node",
			   (long long)(free_mib > 0 ? free_mib : 0));
}

static bool place(struct call *c, const struct vm_wish *w, char node[static ID_TEXT_MAX])
{
	char wanted[ID_TEXT_MAX] = "";

	if (w->node[0] && !node_find(&c->d->db, w->node, wanted)) {
		call_error(c, 404, "node_not_found", "node",
			   "There is no node '%s'; GET /v1/nodes lists them.", w->node);
		return false;
	}
	if (choose_node(c, w, wanted, node))
		return true;
	explain(c, w, wanted);
	return false;
}

static void choose_mac(struct db *db, char mac[static MAC_TEXT_MAX])
{
	uint8_t b[3];

	do {
		random_bytes(b, sizeof(b));
		snprintf(mac, MAC_TEXT_MAX, "52:54:00:%02x:%02x:%02x", b[0], b[1], b[2]);
	} while (db_number(db, 0, "SELECT 1 FROM vms WHERE mac = ? AND deleted_ms IS NULL", "t",
			   mac) != 0);
}

bool vm_create(struct call *c, char id[static UUID_TEXT_MAX])
{
	char node[ID_TEXT_MAX], mac[MAC_TEXT_MAX];
	static struct vm_wish w;

	if (!read_wish(c, &w) || !find_image(c, "kernel", w.kernel) ||
	    !find_image(c, "initrd", w.initrd) || !place(c, &w, node))
		return false;
	random_uuid(id);
	choose_mac(&c->d->db, mac);
	db_run(&c->d->db,
	       "INSERT INTO vms(id, name, node, desired, vcpus, memory_mib, weight, cap_percent, "
	       "tsc_khz, kernel, initrd, cmdline,"
	       " network, mac, created_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	       "ttttiiiiitettti", id, w.name, node, w.start ? "running" : "stopped",
	       (int64_t)w.vcpus, (int64_t)w.memory_mib, (int64_t)w.weight, (int64_t)w.cap_percent,
	       (int64_t)w.tsc_khz, w.kernel, w.initrd, w.cmdline, w.network, mac, now_ms());
	audit_add(c->d, EVENT_INFO, "vm_created", c->actor, node, id,
		  "VM '%s' created: %u vCPU, %u MiB", w.name, w.vcpus, w.memory_mib);
	desired_touch(c->d, node);
	return true;
}
