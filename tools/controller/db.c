/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements are prepared once and found again by the address of their text.
 */
#include "tools/controller/db.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/controller/db_schema.h"
#include "tools/controller/say.h"

static void note_failure(struct db *db, const char *sql)
{
	if (!db->failed)
		say_err("db", "%s, in: %.120s", sqlite3_errmsg(db->handle), sql);
	db->failed = true;
}

bool db_open(struct db *db, const char *path)
{
	memset(db, 0, sizeof(*db));
	if (sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK) {
		say_err("db", "cannot open %s: %s", path, sqlite3_errmsg(db->handle));
		db_close(db);
		return false;
	}
	sqlite3_busy_timeout(db->handle, 2000);
	if (sqlite3_exec(db->handle,
			 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
			 "PRAGMA trusted_schema=OFF;",
			 NULL, NULL, NULL) != SQLITE_OK ||
	    !db_schema_migrate(db->handle)) {
		say_err("db", "cannot use %s: %s", path, sqlite3_errmsg(db->handle));
		db_close(db);
		return false;
	}
	return true;
}

void db_close(struct db *db)
{
	for (size_t i = 0; i < DB_CACHE; i++)
		sqlite3_finalize(db->cache[i].stmt);
	sqlite3_close(db->handle);
	memset(db, 0, sizeof(*db));
}

static sqlite3_stmt *statement(struct db *db, const char *sql)
{
	size_t slot = ((uintptr_t)sql >> 3) % DB_CACHE;

	for (size_t i = 0; i < DB_CACHE; i++, slot = (slot + 1) % DB_CACHE) {
		if (db->cache[slot].sql == sql)
			return db->cache[slot].stmt;
		if (db->cache[slot].sql)
			continue;
		if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
				       &db->cache[slot].stmt, NULL) != SQLITE_OK)
			return NULL;
		db->cache[slot].sql = sql;
		return db->cache[slot].stmt;
	}
	return NULL;
}

static sqlite3_stmt *query(struct db *db, const char *sql, const char *types, va_list args)
{
	sqlite3_stmt *q;
	const char *text;

	if (db->failed)
		return NULL;
	q = statement(db, sql);
	if (!q) {
		note_failure(db, sql);
		return NULL;
	}
	sqlite3_reset(q);
	if ((int)strlen(types) != sqlite3_bind_parameter_count(q)) {
		say_err("db", "wants %d parameters, has types %s", sqlite3_bind_parameter_count(q),
			types);
		note_failure(db, sql);
		return NULL;
	}
	for (int i = 1; *types; types++, i++) {
		switch (*types) {
		case 'i':
			sqlite3_bind_int64(q, i, va_arg(args, int64_t));
			break;
		case 'e':
		case 't':
			text = va_arg(args, const char *);
			if (text && *types == 'e' && !*text)
				text = NULL;
			sqlite3_bind_text(q, i, text, -1, SQLITE_TRANSIENT);
			break;
		default:
			note_failure(db, sql);
			return NULL;
		}
	}
	return q;
}

sqlite3_stmt *db_query(struct db *db, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list args;

	va_start(args, types);
	q = query(db, sql, types, args);
	va_end(args);
	return q;
}

bool db_row(struct db *db, sqlite3_stmt *q)
{
	int rc;

	if (!q)
		return false;
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		note_failure(db, sqlite3_sql(q));
	sqlite3_reset(q);
	return false;
}

void db_done(sqlite3_stmt *q)
{
	if (q)
		sqlite3_reset(q);
}

bool db_run(struct db *db, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list args;

	va_start(args, types);
	q = query(db, sql, types, args);
	va_end(args);
	while (db_row(db, q))
		;
	return !db->failed && sqlite3_changes(db->handle) > 0;
}

int64_t db_number(struct db *db, int64_t otherwise, const char *sql, const char *types, ...)
{
	int64_t value = otherwise;
	sqlite3_stmt *q;
	va_list args;

	va_start(args, types);
	q = query(db, sql, types, args);
	va_end(args);
	if (db_row(db, q)) {
		if (sqlite3_column_type(q, 0) != SQLITE_NULL)
			value = sqlite3_column_int64(q, 0);
		db_done(q);
	}
	return value;
}

void db_text(sqlite3_stmt *q, int column, char *dst, size_t cap)
{
	const char *text = (const char *)sqlite3_column_text(q, column);

	snprintf(dst, cap, "%s", text ? text : "");
}

const char *db_text_or_null(sqlite3_stmt *q, int column)
{
	return (const char *)sqlite3_column_text(q, column);
}

void db_begin(struct db *db)
{
	db->failed = false;
	db_run(db, "BEGIN IMMEDIATE", "");
}

bool db_commit(struct db *db)
{
	if (!db->failed)
		db_run(db, "COMMIT", "");
	if (!db->failed)
		return true;
	db_rollback(db);
	return false;
}

void db_rollback(struct db *db)
{
	db->failed = false;
	if (!sqlite3_get_autocommit(db->handle))
		db_run(db, "ROLLBACK", "");
	db->failed = false;
}
