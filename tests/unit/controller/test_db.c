/* SPDX-License-Identifier: Apache-2.0 */
/* The thin layer over SQLite: types, failures that stick, and a schema that is applied once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/controller/db.h"
#include "tools/controller/db_schema.h"
#include "tools/controller/say.h"

static struct db db;

static int open_db(void **state)
{
	(void)state;
	say_set_level(SAY_ERR);
	return db_open(&db, ":memory:") ? 0 : -1;
}

static int close_db(void **state)
{
	(void)state;
	db_close(&db);
	return 0;
}

static void binds_texts_numbers_and_nulls(void **state)
{
	sqlite3_stmt *q = db_query(&db, "SELECT ?, ?, ?, ?", "tiee", "it's", INT64_MIN, "", "x");
	char text[3];

	(void)state;
	assert_true(db_row(&db, q));
	assert_string_equal(db_text_or_null(q, 0), "it's");
	assert_true(sqlite3_column_int64(q, 1) == INT64_MIN);
	assert_null(db_text_or_null(q, 2));
	assert_string_equal(db_text_or_null(q, 3), "x");
	db_text(q, 0, text, sizeof(text));
	assert_string_equal(text, "it"); /* cut to fit */
	db_text(q, 2, text, sizeof(text));
	assert_string_equal(text, "");
	assert_false(db_row(&db, q));
}

static void a_failure_sticks_until_the_rollback(void **state)
{
	(void)state;
	db_begin(&db);
	assert_true(db_run(&db, "INSERT INTO idempotency VALUES('t', 'k', 'r', 1, 'x', 1)", ""));
	assert_false(db_run(&db, "INSERT INTO idempotency VALUES('t', 'k', 'r', 1, 'x', 1)", ""));
	assert_true(db.failed);
	assert_int_equal(db_number(&db, 7, "SELECT 1", ""), 7); /* nothing is done any more */
	assert_false(db_commit(&db));
	assert_false(db.failed);
	assert_int_equal(db_number(&db, 7, "SELECT count(*) FROM idempotency", ""), 0);
}

static void says_whether_rows_changed(void **state)
{
	(void)state;
	assert_true(db_run(&db, "INSERT INTO idempotency VALUES('t', 'k', 'r', 1, 'x', 1)", ""));
	assert_false(db_run(&db, "UPDATE idempotency SET reply = 'y' WHERE key = ?", "t", "none"));
	assert_true(db_run(&db, "UPDATE idempotency SET reply = 'y' WHERE key = ?", "t", "k"));
	assert_false(db.failed);
}

static void applies_its_schema_once_and_refuses_a_newer_one(void **state)
{
	int64_t version = db_number(&db, 0, "PRAGMA user_version", "");

	(void)state;
	assert_true(version >= 1);
	assert_true(db_schema_migrate(db.handle));
	assert_int_equal(db_number(&db, 0, "PRAGMA user_version", ""), version);
	assert_int_equal(sqlite3_exec(db.handle, "PRAGMA user_version = 999", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_false(db_schema_migrate(db.handle));
}

static void adds_the_tsc_rate_to_vms_of_before(void **state)
{
	static const char before[] =
		"ALTER TABLE vms DROP COLUMN tsc_khz; PRAGMA user_version = 2; "
		"PRAGMA foreign_keys = OFF; "
		"INSERT INTO vms(id, name, node, desired, vcpus, memory_mib, weight, cap_percent, "
		"kernel, cmdline, network, mac, created_ms) "
		"VALUES('i', 'v', 'n', 'running', 1, 256, 100, 0, 'k', '', 'default', 'm', 1)";

	(void)state;
	assert_int_equal(sqlite3_exec(db.handle, before, NULL, NULL, NULL), SQLITE_OK);
	assert_true(db_schema_migrate(db.handle));
	assert_int_equal(db_number(&db, 7, "SELECT tsc_khz FROM vms WHERE id = 'i'", ""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(binds_texts_numbers_and_nulls, open_db, close_db),
		cmocka_unit_test_setup_teardown(a_failure_sticks_until_the_rollback, open_db,
						close_db),
		cmocka_unit_test_setup_teardown(says_whether_rows_changed, open_db, close_db),
		cmocka_unit_test_setup_teardown(applies_its_schema_once_and_refuses_a_newer_one,
						open_db, close_db),
		cmocka_unit_test_setup_teardown(adds_the_tsc_rate_to_vms_of_before, open_db,
						close_db),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
