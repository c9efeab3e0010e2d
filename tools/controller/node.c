/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inventory is kept as JSON in the form that it came in, with the two figures that placement needs
 * in columns.
 */
#include "tools/controller/node.h"

#include "tools/controller/util.h"

#define LOST_AFTER 3 /* missed reports */

bool node_find(struct db *db, const char *id_or_name, char id[static ID_TEXT_MAX])
{
	sqlite3_stmt *q = db_query(
		db, "SELECT id FROM nodes WHERE id = ?1 OR (name = ?1 AND removed_ms IS NULL)", "t",
		id_or_name);

	if (!db_row(db, q))
		return false;
	db_text(q, 0, id, ID_TEXT_MAX);
	db_done(q);
	return true;
}

void node_keep_info(struct billetd *d, const char *node, const struct node_info *info)
{
	static char json[65536];
	struct json_out o = {.at = json, .cap = sizeof(json)};

	schema_encode(&node_info_schema, info, NULL, &o);
	if (json_out_finish(&o))
		db_run(&d->db,
		       "UPDATE nodes SET info = ?, cpus = ?, guest_memory_mib = ? WHERE id = ?",
		       "tiit", json, (int64_t)info->cpus, (int64_t)info->guest_memory_mib, node);
}

void node_keep_lease(struct billetd *d, const char *node, const struct node_lease *lease)
{
	char json[512];
	struct json_out o = {.at = json, .cap = sizeof(json)};

	schema_encode(&node_lease_schema, lease, NULL, &o);
	if (json_out_finish(&o))
		db_run(&d->db, "UPDATE nodes SET lease = ? WHERE id = ?", "tt", json, node);
}

int64_t node_lost_before(const struct billetd *d)
{
	return now_ms() - (int64_t)d->options.report_interval_ms * LOST_AFTER;
}
