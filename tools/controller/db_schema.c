/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that lists page through have a `seq` that only grows. Times end in _ms and count from 1970.
 * Usage rows are never changed or deleted; what refers to them (VMs, nodes) is marked as deleted
 * and stays.
 */
#include "tools/controller/db_schema.h"

#include <stdio.h>

#include "tools/controller/say.h"

static const char step_1[] =
	"CREATE TABLE tokens(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name "
	"TEXT NOT NULL UNIQUE,"
	" role TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL, expires_ms "
	"INTEGER,"
	" last_used_ms INTEGER);"
	"CREATE TABLE join_tokens(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
	"name TEXT NOT NULL,"
	" hash TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0,"
	" auto_approve INTEGER NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
	" revoked_ms INTEGER);"
	"CREATE UNIQUE INDEX join_tokens_name ON join_tokens(name) WHERE revoked_ms IS NULL;"
	"CREATE TABLE nodes(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name "
	"TEXT NOT NULL,"
	" machine_id TEXT NOT NULL, join_token TEXT NOT NULL REFERENCES join_tokens(id),"
	" fingerprint TEXT NOT NULL, approved_fingerprint TEXT, address TEXT,"
	" created_ms INTEGER NOT NULL, approved_ms INTEGER, last_seen_ms INTEGER, removed_ms "
	"INTEGER,"
	" boot_id TEXT, generation INTEGER NOT NULL DEFAULT 1, applied_generation INTEGER NOT NULL "
	"DEFAULT 0,"
	" cpus INTEGER NOT NULL DEFAULT 0, guest_memory_mib INTEGER NOT NULL DEFAULT 0,"
	" info TEXT, lease TEXT);"
	"CREATE UNIQUE INDEX nodes_name ON nodes(name) WHERE removed_ms IS NULL;"
	"CREATE INDEX nodes_machine ON nodes(machine_id);"
	"CREATE TABLE admissions(join_token TEXT NOT NULL REFERENCES join_tokens(id),"
	" machine_id TEXT NOT NULL, node TEXT NOT NULL REFERENCES nodes(id),"
	" settled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(join_token, machine_id)) WITHOUT ROWID;"
	"CREATE TABLE certificates(fingerprint TEXT PRIMARY KEY, node TEXT NOT NULL REFERENCES "
	"nodes(id),"
	" state TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL);"
	"CREATE INDEX certificates_node ON certificates(node);"
	"CREATE TABLE images(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name "
	"TEXT NOT NULL UNIQUE,"
	" kind TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, state TEXT NOT NULL,"
	" uploaded INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL, ready_ms INTEGER);"
	"CREATE INDEX images_sha256 ON images(sha256);"
	"CREATE TABLE vms(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name "
	"TEXT NOT NULL,"
	" node TEXT NOT NULL REFERENCES nodes(id), desired TEXT NOT NULL, restart INTEGER NOT NULL "
	"DEFAULT 0,"
	" epoch INTEGER NOT NULL DEFAULT 1, vcpus INTEGER NOT NULL, memory_mib INTEGER NOT NULL,"
	" weight INTEGER NOT NULL, cap_percent INTEGER NOT NULL, kernel TEXT NOT NULL, initrd TEXT,"
	" cmdline TEXT NOT NULL, network TEXT NOT NULL, mac TEXT NOT NULL, created_ms INTEGER NOT "
	"NULL,"
	" deleted_ms INTEGER, state TEXT, reason TEXT, since_ms INTEGER);"
	"CREATE UNIQUE INDEX vms_name ON vms(name) WHERE deleted_ms IS NULL;"
	"CREATE UNIQUE INDEX vms_mac ON vms(mac) WHERE deleted_ms IS NULL;"
	"CREATE INDEX vms_node ON vms(node) WHERE deleted_ms IS NULL;"
	"CREATE TABLE usage_records(id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, boot "
	"TEXT NOT NULL,"
	" seq INTEGER NOT NULL, received_ms INTEGER NOT NULL, mono_ns INTEGER NOT NULL, wall_ms "
	"INTEGER NOT NULL,"
	" vm TEXT NOT NULL, epoch INTEGER NOT NULL, vcpus INTEGER NOT NULL, memory_mib INTEGER NOT "
	"NULL,"
	" final INTEGER NOT NULL, vcpu_alloc_ns INTEGER NOT NULL, vcpu_run_ns INTEGER NOT NULL,"
	" mem_mib_ms INTEGER NOT NULL, net_rx_bytes INTEGER NOT NULL, net_tx_bytes INTEGER NOT "
	"NULL,"
	" net_rx_packets INTEGER NOT NULL, net_tx_packets INTEGER NOT NULL, UNIQUE(node, boot, "
	"seq));"
	"CREATE INDEX usage_records_vm ON usage_records(vm, id);"
	"CREATE TABLE usage_series(node TEXT NOT NULL, boot TEXT NOT NULL, vm TEXT NOT NULL, epoch "
	"INTEGER NOT NULL,"
	" last_seq INTEGER NOT NULL, vcpu_alloc_ns INTEGER NOT NULL, vcpu_run_ns INTEGER NOT NULL,"
	" mem_mib_ms INTEGER NOT NULL, net_rx_bytes INTEGER NOT NULL, net_tx_bytes INTEGER NOT "
	"NULL,"
	" net_rx_packets INTEGER NOT NULL, net_tx_packets INTEGER NOT NULL,"
	" PRIMARY KEY(node, boot, vm, epoch)) WITHOUT ROWID;"
	"CREATE TABLE usage_totals(seq INTEGER PRIMARY KEY AUTOINCREMENT, vm TEXT NOT NULL UNIQUE,"
	" vcpu_alloc_ns INTEGER NOT NULL, vcpu_run_ns INTEGER NOT NULL, mem_mib_ms INTEGER NOT "
	"NULL,"
	" net_rx_bytes INTEGER NOT NULL, net_tx_bytes INTEGER NOT NULL, net_rx_packets INTEGER NOT "
	"NULL,"
	" net_tx_packets INTEGER NOT NULL, records INTEGER NOT NULL, first_ms INTEGER NOT NULL,"
	" last_ms INTEGER NOT NULL);"
	"CREATE TABLE events(seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, "
	"level TEXT NOT NULL,"
	" code TEXT NOT NULL, actor TEXT NOT NULL, node TEXT, vm TEXT, message TEXT NOT NULL, boot "
	"TEXT,"
	" node_seq INTEGER);"
	"CREATE UNIQUE INDEX events_node_seq ON events(node, boot, node_seq) WHERE node_seq IS NOT "
	"NULL;"
	"CREATE INDEX events_vm ON events(vm, seq) WHERE vm IS NOT NULL;"
	"CREATE TABLE idempotency(token TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, "
	"status INTEGER NOT NULL,"
	" reply TEXT NOT NULL, created_ms INTEGER NOT NULL, PRIMARY KEY(token, key)) WITHOUT "
	"ROWID;";

/* Releases of the node's software: images that are signed, and the one that a node shall run. */
static const char step_2[] =
	"ALTER TABLE images ADD COLUMN version TEXT;"
	"ALTER TABLE images ADD COLUMN signature TEXT;"
	"ALTER TABLE nodes ADD COLUMN release TEXT;"
	"ALTER TABLE nodes ADD COLUMN release_attempt INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX nodes_release ON nodes(release) WHERE release IS NOT NULL;";

/* VMs whose TSC has a rate of its own; 0: the node's. */
static const char step_3[] = "ALTER TABLE vms ADD COLUMN tsc_khz INTEGER NOT NULL DEFAULT 0;";

static const char *const steps[] = {step_1, step_2, step_3};

#define NR_STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

static int user_version(sqlite3 *handle)
{
	sqlite3_stmt *q = NULL;
	int version = -1;

	if (sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		version = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	return version;
}

bool db_schema_migrate(sqlite3 *handle)
{
	int version = user_version(handle);
	char done[64];

	if (version > NR_STEPS)
		say_err("db", "the database is of a newer billetd (schema %d, this one knows %d)",
			version, NR_STEPS);
	if (version < 0 || version > NR_STEPS)
		return false;
	for (; version < NR_STEPS; version++) {
		snprintf(done, sizeof(done), "PRAGMA user_version=%d; COMMIT", version + 1);
		if (sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
			return false;
		if (sqlite3_exec(handle, steps[version], NULL, NULL, NULL) != SQLITE_OK ||
		    sqlite3_exec(handle, done, NULL, NULL, NULL) != SQLITE_OK) {
			say_err("db", "schema step %d: %s", version + 1, sqlite3_errmsg(handle));
			sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
	}
	return true;
}
