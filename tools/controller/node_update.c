/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An order to update is a release and the number of the attempt in the node's row; it stands until
 * the node says how that attempt ended. The node does the rest: it fetches, has its kernel check
 * the signature, boots the release once and keeps it when it reaches us.
 */
#include "tools/controller/node_update.h"

#include <stdio.h>
#include <string.h>

#include "tools/controller/api_nodes.h"
#include "tools/controller/audit.h"
#include "tools/controller/desired.h"
#include "tools/controller/image.h"
#include "tools/controller/util.h"

struct order {
	char release[NAME_TEXT_MAX];
	bool force;
};

static const struct field order_fields[] = {
	FIELD_STRING(struct order, release, FORM_TEXT, FIELD_NEEDED),
	FIELD_BOOL(struct order, force, FIELD_OPTIONAL),
};
static const struct schema order_schema = SCHEMA(struct order, order_fields);

/* Replaces a name by the id of a release that is whole. */
static bool find_release(struct call *c, char release[static NAME_TEXT_MAX])
{
	char id[ID_TEXT_MAX];

	switch (image_find(&c->d->db, release, "release", id)) {
	case IMAGE_READY:
		break;
	case IMAGE_NONE:
	case IMAGE_OTHER_KIND:
		call_error(c, 404, "release_not_found", "release",
			   "There is no release '%s'; GET /v1/images?kind=release lists them.",
			   release);
		return false;
	case IMAGE_NOT_READY:
		call_error(c, 409, "image_not_ready", "release",
			   "The release '%s' is not ready: finish its upload first.", release);
		return false;
	}
	strcpy(release, id);
	return true;
}

static bool may_update(struct call *c, const char *node, bool force)
{
	struct db *db = &c->d->db;
	int64_t nr_vms = db_number(db, 0,
				   "SELECT count(*) FROM vms WHERE node = ? AND deleted_ms IS NULL"
				   " AND desired <> 'stopped'",
				   "t", node);

	if (db_number(db, 0,
		      "SELECT 1 FROM nodes WHERE id = ? AND removed_ms IS NULL AND"
		      " approved_fingerprint = fingerprint",
		      "t", node) == 0)
		call_error(c, 409, "node_not_approved", NULL,
			   "Only a node that was approved, and not removed, can be updated.");
	else if (nr_vms > 0 && !force)
		call_error(
			c, 409, "node_in_use", NULL,
			"An update reboots the node and %lld VMs on it; stop them first, or repeat "
			"with \"force\": true.",
			(long long)nr_vms);
	return c->status == 0;
}

/* POST /v1/nodes/<id>/update */
static void post_update(struct call *c)
{
	struct order order = {0};
	char id[ID_TEXT_MAX], name[NAME_TEXT_MAX];

	if (!api_nodes_find(c, id) || !call_decode(c, &order_schema, &order))
		return;
	snprintf(name, sizeof(name), "%s", order.release);
	if (!find_release(c, order.release) || !may_update(c, id, order.force))
		return;
	/* The same order again while it stands changes nothing. */
	if (db_run(&c->d->db,
		   "UPDATE nodes SET release = ?1, release_attempt = release_attempt + 1"
		   " WHERE id = ?2 AND release IS NOT ?1",
		   "tt", order.release, id)) {
		audit_add(c->d, EVENT_INFO, "node_update_ordered", c->actor, id, NULL,
			  "node shall run release '%s'", name);
		desired_touch(c->d, id);
	}
	api_nodes_reply(c, id);
}

/* DELETE /v1/nodes/<id>/update */
static void delete_update(struct call *c)
{
	char id[ID_TEXT_MAX];

	if (!api_nodes_find(c, id))
		return;
	if (db_run(&c->d->db,
		   "UPDATE nodes SET release = NULL WHERE id = ? AND release IS NOT NULL", "t",
		   id)) {
		audit_add(c->d, EVENT_WARN, "node_update_cancelled", c->actor, id, NULL,
			  "node keeps the release that it has");
		desired_touch(c->d, id);
	}
	call_reply_empty(c, 204);
}

void node_update_reported(struct billetd *d, const char *node, const struct node_update *update)
{
	bool is_done = update->state == UPDATE_DONE;

	if (!is_done && update->state != UPDATE_FAILED && update->state != UPDATE_UNSUPPORTED)
		return;
	if (!db_run(&d->db,
		    "UPDATE nodes SET release = NULL WHERE id = ? AND release IS NOT NULL AND"
		    " release_attempt = ?",
		    "ti", node, (int64_t)update->attempt))
		return;
	if (is_done)
		audit_add(d, EVENT_INFO, "node_updated", node, node, NULL, "node runs release %s",
			  update->version);
	else
		audit_add(d, EVENT_ERROR, "node_update_failed", node, node, NULL,
			  "release %s does not run: %s", update->version, update->error);
	desired_touch(d, node);
}

const struct route node_update_routes[] = {
	{EVHTTP_REQ_POST, "/v1/nodes/*/update", post_update, AUTH_ADMIN, ROUTE_WRITES, 0},
	{EVHTTP_REQ_DELETE, "/v1/nodes/*/update", delete_update, AUTH_ADMIN, ROUTE_WRITES, 0},
	{0},
};
