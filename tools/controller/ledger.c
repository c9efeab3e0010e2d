/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decrease is never taken for a reset: boots and epochs have series of their own, so a lower
 * counter in a series is somebody's fault, and the high-water mark stays.
 */
#include "tools/controller/ledger.h"

#include <string.h>

#define COUNTER_COLUMNS                                                                            \
	"vcpu_alloc_ns, vcpu_run_ns, mem_mib_ms, net_rx_bytes, net_tx_bytes, net_rx_packets, "     \
	"net_tx_packets"

static void read_counters(sqlite3_stmt *q, int column, uint64_t counters[USAGE_COUNTERS])
{
	for (int i = 0; i < USAGE_COUNTERS; i++)
		counters[i] = (uint64_t)sqlite3_column_int64(q, column + i);
}

/* Whether the record with this key is stored, and if so, whether it is the same. */
static bool find_record(struct db *db, const char *node, const struct usage_record *r, bool *same)
{
	uint64_t counters[USAGE_COUNTERS];
	sqlite3_stmt *q = db_query(
		db,
		"SELECT mono_ns, wall_ms, vm, epoch, vcpus, memory_mib, final, " COUNTER_COLUMNS
		" FROM usage_records WHERE node = ? AND boot = ? AND seq = ?",
		"tti", node, r->boot_id, (int64_t)r->seq);

	if (!db_row(db, q))
		return false;
	read_counters(q, 7, counters);
	*same = (uint64_t)sqlite3_column_int64(q, 0) == r->mono_ns &&
		(uint64_t)sqlite3_column_int64(q, 1) == r->wall_ms &&
		strcmp(db_text_or_null(q, 2), r->vm) == 0 &&
		(uint64_t)sqlite3_column_int64(q, 3) == r->epoch &&
		sqlite3_column_int64(q, 4) == r->vcpus &&
		sqlite3_column_int64(q, 5) == r->memory_mib &&
		sqlite3_column_int(q, 6) == r->final &&
		memcmp(counters, r->counters, sizeof(counters)) == 0;
	db_done(q);
	return true;
}

static void store_record(struct db *db, const char *node, const struct usage_record *r,
			 int64_t received_ms)
{
	const uint64_t *c = r->counters;

	db_run(db,
	       "INSERT INTO usage_records(node, boot, seq, received_ms, mono_ns, wall_ms, vm, "
	       "epoch, vcpus, memory_mib,"
	       " final, " COUNTER_COLUMNS ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	       "ttiiiitiiiiiiiiiii", node, r->boot_id, (int64_t)r->seq, received_ms,
	       (int64_t)r->mono_ns, (int64_t)r->wall_ms, r->vm, (int64_t)r->epoch,
	       (int64_t)r->vcpus, (int64_t)r->memory_mib, (int64_t)r->final, (int64_t)c[0],
	       (int64_t)c[1], (int64_t)c[2], (int64_t)c[3], (int64_t)c[4], (int64_t)c[5],
	       (int64_t)c[6]);
}

/* Raises the series' marks to the record's counters; gains says by how much. True if one was lower.
 */
static bool raise_series(struct db *db, const char *node, const struct usage_record *r,
			 uint64_t gains[USAGE_COUNTERS])
{
	uint64_t marks[USAGE_COUNTERS] = {0};
	bool decreased = false;
	sqlite3_stmt *q;

	memset(gains, 0, USAGE_COUNTERS * sizeof(gains[0]));
	q = db_query(db,
		     "SELECT last_seq, " COUNTER_COLUMNS
		     " FROM usage_series WHERE node = ? AND boot = ? AND vm = ? AND epoch = ?",
		     "ttti", node, r->boot_id, r->vm, (int64_t)r->epoch);
	if (db_row(db, q)) {
		bool late = (uint64_t)sqlite3_column_int64(q, 0) > r->seq;

		read_counters(q, 1, marks);
		db_done(q);
		if (late)
			return false;
	}
	for (int i = 0; i < USAGE_COUNTERS; i++) {
		if (r->counters[i] < marks[i]) {
			decreased = true;
		} else {
			gains[i] = r->counters[i] - marks[i];
			marks[i] = r->counters[i];
		}
	}
	db_run(db, "INSERT OR REPLACE INTO usage_series VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
	       "tttiiiiiiiii", node, r->boot_id, r->vm, (int64_t)r->epoch, (int64_t)r->seq,
	       (int64_t)marks[0], (int64_t)marks[1], (int64_t)marks[2], (int64_t)marks[3],
	       (int64_t)marks[4], (int64_t)marks[5], (int64_t)marks[6]);
	return decreased;
}

/* Totals stop at the greatest value there is: beyond it SQLite would go on in floating point. */
static void add_to_totals(struct db *db, const struct usage_record *r,
			  const uint64_t gains[USAGE_COUNTERS])
{
	db_run(db,
	       "INSERT INTO usage_totals(vm, records, first_ms, last_ms, " COUNTER_COLUMNS ")"
	       " VALUES(?1, 1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
	       " ON CONFLICT(vm) DO UPDATE SET records = records + 1,"
	       " first_ms = min(first_ms, ?2), last_ms = max(last_ms, ?2),"
	       " vcpu_alloc_ns = min(vcpu_alloc_ns, 9223372036854775807 - ?3) + ?3,"
	       " vcpu_run_ns = min(vcpu_run_ns, 9223372036854775807 - ?4) + ?4,"
	       " mem_mib_ms = min(mem_mib_ms, 9223372036854775807 - ?5) + ?5,"
	       " net_rx_bytes = min(net_rx_bytes, 9223372036854775807 - ?6) + ?6,"
	       " net_tx_bytes = min(net_tx_bytes, 9223372036854775807 - ?7) + ?7,"
	       " net_rx_packets = min(net_rx_packets, 9223372036854775807 - ?8) + ?8,"
	       " net_tx_packets = min(net_tx_packets, 9223372036854775807 - ?9) + ?9",
	       "tiiiiiiii", r->vm, (int64_t)r->wall_ms, (int64_t)gains[0], (int64_t)gains[1],
	       (int64_t)gains[2], (int64_t)gains[3], (int64_t)gains[4], (int64_t)gains[5],
	       (int64_t)gains[6]);
}

enum ledger_result ledger_add(struct db *db, const char *node, const struct usage_record *record,
			      int64_t received_ms)
{
	uint64_t gains[USAGE_COUNTERS];
	bool same = false, decreased;

	if (find_record(db, node, record, &same))
		return same ? LEDGER_REPEATED : LEDGER_CONFLICT;
	if (db_number(db, 0, "SELECT 1 FROM vms WHERE id = ? AND node = ?", "tt", record->vm,
		      node) == 0)
		return LEDGER_NOT_YOURS;
	store_record(db, node, record, received_ms);
	decreased = raise_series(db, node, record, gains);
	add_to_totals(db, record, gains);
	return decreased ? LEDGER_DECREASED : LEDGER_ADDED;
}

uint64_t ledger_ack_seq(struct db *db, const char *node, const char *boot)
{
	return (uint64_t)db_number(db, 0,
				   "SELECT max(seq) FROM usage_records WHERE node = ? AND boot = ?",
				   "tt", node, boot);
}
