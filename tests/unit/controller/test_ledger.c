/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger, on a database in memory: every record counts once, and only for what it adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/controller/db.h"
#include "tools/controller/ledger.h"
#include "tools/controller/say.h"

#define NODE  "node_00000000000000aa"
#define OTHER "node_00000000000000bb"
#define VM    "3c1f2b9e-7d39-4a55-8d6e-0d4b1a2c3d4e"
#define BOOT  "b0070000-0000-4000-8000-000000000001"

static struct db db;

static int open_db(void **state)
{
	(void)state;
	say_set_level(SAY_ERR);
	if (!db_open(&db, ":memory:"))
		return -1;
	db_run(&db,
	       "INSERT INTO join_tokens(id, name, hash, uses, auto_approve, created_ms, expires_ms)"
	       " VALUES('jt', 'jt', 'h', 2, 1, 0, 0)",
	       "");
	db_run(&db,
	       "INSERT INTO nodes(id, name, machine_id, join_token, fingerprint, created_ms)"
	       " VALUES(?1, 'a', 'm', 'jt', 'f', 0), (?2, 'b', 'n', 'jt', 'g', 0)",
	       "tt", NODE, OTHER);
	db_run(&db,
	       "INSERT INTO vms(id, name, node, desired, vcpus, memory_mib, weight, cap_percent, "
	       "kernel, cmdline, network,"
	       " mac, created_ms) VALUES(?, 'v', ?, 'running', 1, 256, 100, 0, 'k', '', 'default', "
	       "'m', 0)",
	       "tt", VM, NODE);
	return db.failed ? -1 : 0;
}

static int close_db(void **state)
{
	(void)state;
	db_close(&db);
	return 0;
}

static struct usage_record record(uint64_t seq, uint64_t value)
{
	struct usage_record r = {.boot_id = BOOT,
				 .seq = seq,
				 .wall_ms = 1000 + seq,
				 .vm = VM,
				 .epoch = 1,
				 .vcpus = 1,
				 .memory_mib = 256};

	for (int i = 0; i < USAGE_COUNTERS; i++)
		r.counters[i] = value + (uint64_t)i;
	return r;
}

static enum ledger_result add(struct usage_record r)
{
	return ledger_add(&db, NODE, &r, 1);
}

static int64_t total(const char *sql)
{
	return db_number(&db, -1, sql, "");
}

#define RUN_NS "SELECT vcpu_run_ns FROM usage_totals" /* counter 1: value + 1 */

static void adds_what_a_record_has_beyond_the_one_before(void **state)
{
	(void)state;
	assert_int_equal(add(record(1, 100)), LEDGER_ADDED);
	assert_int_equal(total(RUN_NS), 101);
	assert_int_equal(add(record(3, 150)), LEDGER_ADDED);
	assert_int_equal(total(RUN_NS), 151);
	assert_int_equal(total("SELECT net_tx_packets FROM usage_totals"), 156);
	assert_int_equal(total("SELECT records FROM usage_totals"), 2);
	assert_int_equal(total("SELECT first_ms FROM usage_totals"), 1001);
	assert_int_equal(total("SELECT last_ms FROM usage_totals"), 1003);
	assert_int_equal(ledger_ack_seq(&db, NODE, BOOT), 3);
}

static void counts_a_repeat_once_and_keeps_the_first_in_a_conflict(void **state)
{
	struct usage_record changed = record(1, 100);

	(void)state;
	assert_int_equal(add(record(1, 100)), LEDGER_ADDED);
	assert_int_equal(add(record(1, 100)), LEDGER_REPEATED);
	assert_int_equal(add(record(1, 200)), LEDGER_CONFLICT);
	changed.final = true;
	assert_int_equal(add(changed), LEDGER_CONFLICT);
	changed = record(1, 100);
	changed.wall_ms++;
	assert_int_equal(add(changed), LEDGER_CONFLICT);
	assert_int_equal(total(RUN_NS), 101);
	assert_int_equal(total("SELECT count(*) FROM usage_records"), 1);
}

static void adds_nothing_for_a_record_that_comes_late(void **state)
{
	(void)state;
	assert_int_equal(add(record(5, 500)), LEDGER_ADDED);
	assert_int_equal(add(record(4, 400)), LEDGER_ADDED);
	assert_int_equal(add(record(3, 900)), LEDGER_ADDED); /* even if it claims more */
	assert_int_equal(total(RUN_NS), 501);
	assert_int_equal(total("SELECT count(*) FROM usage_records"), 3);
	assert_int_equal(ledger_ack_seq(&db, NODE, BOOT), 5);
}

static void never_takes_a_decrease_for_a_reset(void **state)
{
	struct usage_record mixed = record(3, 300);

	(void)state;
	assert_int_equal(add(record(1, 200)), LEDGER_ADDED);
	assert_int_equal(add(record(2, 50)), LEDGER_DECREASED);
	assert_int_equal(total(RUN_NS), 201);
	mixed.counters[USAGE_VCPU_RUN_NS] = 7; /* one falls, the others rise */
	assert_int_equal(add(mixed), LEDGER_DECREASED);
	assert_int_equal(total(RUN_NS), 201);
	assert_int_equal(total("SELECT vcpu_alloc_ns FROM usage_totals"), 300);
	assert_int_equal(add(record(4, 301)), LEDGER_ADDED);
	assert_int_equal(total(RUN_NS), 302);
}

static void begins_at_zero_for_a_new_boot_or_epoch(void **state)
{
	struct usage_record r = record(1, 10);

	(void)state;
	assert_int_equal(add(record(9, 100)), LEDGER_ADDED);
	strcpy(r.boot_id, "b0070000-0000-4000-8000-000000000002");
	assert_int_equal(add(r), LEDGER_ADDED);
	assert_int_equal(total(RUN_NS), 112);
	r.epoch = 2;
	r.seq = 2;
	assert_int_equal(add(r), LEDGER_ADDED);
	assert_int_equal(total(RUN_NS), 123);
	assert_int_equal(ledger_ack_seq(&db, NODE, BOOT), 9);
	assert_int_equal(ledger_ack_seq(&db, NODE, r.boot_id), 2);
}

static void refuses_what_is_about_anothers_vm(void **state)
{
	struct usage_record r = record(1, 10);

	(void)state;
	assert_int_equal(ledger_add(&db, OTHER, &r, 1), LEDGER_NOT_YOURS);
	strcpy(r.vm, "00000000-0000-4000-8000-000000000000");
	assert_int_equal(add(r), LEDGER_NOT_YOURS);
	assert_int_equal(total("SELECT count(*) FROM usage_records"), 0);
	db_run(&db, "UPDATE vms SET deleted_ms = 1", "");
	assert_int_equal(add(record(1, 10)), LEDGER_ADDED); /* a deleted VM's last record counts */
}

static void stops_at_the_greatest_total_rather_than_lose_exactness(void **state)
{
	struct usage_record r = record(1, PROTO_COUNTER_MAX - 6);

	(void)state;
	assert_int_equal(add(r), LEDGER_ADDED);
	r.epoch = 2;
	r.seq = 2;
	assert_int_equal(add(r), LEDGER_ADDED);
	assert_true(total(RUN_NS) == INT64_MAX);
	assert_int_equal(total("SELECT typeof(vcpu_run_ns) = 'integer' FROM usage_totals"), 1);
}

static void a_rolled_back_transaction_leaves_nothing(void **state)
{
	(void)state;
	db_begin(&db);
	assert_int_equal(add(record(1, 100)), LEDGER_ADDED);
	db_rollback(&db);
	assert_int_equal(total("SELECT count(*) FROM usage_records"), 0);
	assert_int_equal(total("SELECT count(*) FROM usage_series"), 0);
	assert_int_equal(total("SELECT count(*) FROM usage_totals"), 0);
	assert_int_equal(add(record(1, 100)), LEDGER_ADDED);
	assert_int_equal(total(RUN_NS), 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(adds_what_a_record_has_beyond_the_one_before,
						open_db, close_db),
		cmocka_unit_test_setup_teardown(
			counts_a_repeat_once_and_keeps_the_first_in_a_conflict, open_db, close_db),
		cmocka_unit_test_setup_teardown(adds_nothing_for_a_record_that_comes_late, open_db,
						close_db),
		cmocka_unit_test_setup_teardown(never_takes_a_decrease_for_a_reset, open_db,
						close_db),
		cmocka_unit_test_setup_teardown(begins_at_zero_for_a_new_boot_or_epoch, open_db,
						close_db),
		cmocka_unit_test_setup_teardown(refuses_what_is_about_anothers_vm, open_db,
						close_db),
		cmocka_unit_test_setup_teardown(
			stops_at_the_greatest_total_rather_than_lose_exactness, open_db, close_db),
		cmocka_unit_test_setup_teardown(a_rolled_back_transaction_leaves_nothing, open_db,
						close_db),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
