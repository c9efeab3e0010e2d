/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact figures are integers in their own units; seconds beside them are for reading.
 */
#include "tools/controller/api_usage.h"

#include <stdio.h>

#include "tools/controller/util.h"

static void write_seconds(struct json_out *o, const char *key, int64_t value, int64_t per_second)
{
	char text[32];
	int len;

	len = snprintf(text, sizeof(text), "%lld.%03lld", (long long)(value / per_second),
		       (long long)(value % per_second * 1000 / per_second));
	json_out_raw(o, key, text, (size_t)len);
}

static void write_counters(sqlite3_stmt *q, int column, struct json_out *o)
{
	for (int i = 0; i < USAGE_COUNTERS; i++)
		json_out_u64(o, usage_counter_names[i],
			     (uint64_t)sqlite3_column_int64(q, column + i));
}

static void write_total(sqlite3_stmt *q, struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_string(o, "vm", db_text_or_null(q, 1));
	json_out_string(o, "vm_name", db_text_or_null(q, 2));
	json_out_bool(o, "deleted", sqlite3_column_int(q, 3));
	write_seconds(o, "vcpu_alloc_seconds", sqlite3_column_int64(q, 7), 1000000000);
	write_seconds(o, "vcpu_run_seconds", sqlite3_column_int64(q, 8), 1000000000);
	write_seconds(o, "mem_mib_seconds", sqlite3_column_int64(q, 9), 1000);
	write_counters(q, 7, o);
	json_out_u64(o, "records", (uint64_t)sqlite3_column_int64(q, 4));
	json_time(o, "first_at", sqlite3_column_int64(q, 5));
	json_time(o, "last_at", sqlite3_column_int64(q, 6));
	json_out_end_object(o);
}

/* GET /v1/usage?vm= */
static void list_totals(struct call *c)
{
	const char *vm = call_query(c, "vm");
	struct page p;
	sqlite3_stmt *q;

	if (!page_begin(&p, c))
		return;
	q = db_query(&c->d->db,
		     "SELECT u.seq, u.vm, v.name, v.deleted_ms IS NOT NULL, u.records, u.first_ms, "
		     "u.last_ms, u.vcpu_alloc_ns,"
		     " u.vcpu_run_ns, u.mem_mib_ms, u.net_rx_bytes, u.net_tx_bytes, "
		     "u.net_rx_packets, u.net_tx_packets"
		     " FROM usage_totals u JOIN vms v ON v.id = u.vm WHERE u.seq > ?1 AND (?2 IS "
		     "NULL OR v.id = ?2 OR v.name = ?2)"
		     " ORDER BY u.seq LIMIT ?3",
		     "iti", p.after, vm, (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		if (!page_more(&p, sqlite3_column_int64(q, 0))) {
			db_done(q);
			break;
		}
		write_total(q, p.o);
	}
	page_end(&p);
}

static void write_record(sqlite3_stmt *q, struct json_out *o)
{
	json_out_object(o, NULL);
	json_out_string(o, "node", db_text_or_null(q, 1));
	json_out_string(o, "boot_id", db_text_or_null(q, 2));
	json_out_u64(o, "seq", (uint64_t)sqlite3_column_int64(q, 3));
	json_time(o, "received_at", sqlite3_column_int64(q, 4));
	json_out_u64(o, "mono_ns", (uint64_t)sqlite3_column_int64(q, 5));
	json_out_u64(o, "wall_ms", (uint64_t)sqlite3_column_int64(q, 6));
	json_out_string(o, "vm", db_text_or_null(q, 7));
	json_out_u64(o, "epoch", (uint64_t)sqlite3_column_int64(q, 8));
	json_out_uint(o, "vcpus", (uint64_t)sqlite3_column_int64(q, 9));
	json_out_uint(o, "memory_mib", (uint64_t)sqlite3_column_int64(q, 10));
	json_out_bool(o, "final", sqlite3_column_int(q, 11));
	write_counters(q, 12, o);
	json_out_end_object(o);
}

/* GET /v1/usage/records?vm= */
static void list_records(struct call *c)
{
	const char *vm = call_query(c, "vm");
	struct page p;
	sqlite3_stmt *q;

	if (!page_begin(&p, c))
		return;
	q = db_query(&c->d->db,
		     "SELECT id, node, boot, seq, received_ms, mono_ns, wall_ms, vm, epoch, vcpus, "
		     "memory_mib, final,"
		     " vcpu_alloc_ns, vcpu_run_ns, mem_mib_ms, net_rx_bytes, net_tx_bytes, "
		     "net_rx_packets, net_tx_packets"
		     " FROM usage_records WHERE id > ?1 AND"
		     " (?2 IS NULL OR vm = ?2 OR vm IN (SELECT id FROM vms WHERE name = ?2)) ORDER "
		     "BY id LIMIT ?3",
		     "iti", p.after, vm, (int64_t)p.limit + 1);
	while (db_row(&c->d->db, q)) {
		if (!page_more(&p, sqlite3_column_int64(q, 0))) {
			db_done(q);
			break;
		}
		write_record(q, p.o);
	}
	page_end(&p);
}

const struct route api_usage_routes[] = {
	{EVHTTP_REQ_GET, "/v1/usage", list_totals, AUTH_VIEWER, 0, 0},
	{EVHTTP_REQ_GET, "/v1/usage/records", list_records, AUTH_VIEWER, 0, 0},
	{0},
};
