/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite with less to type: a query is a literal with parameters and a string that says their
 * types.
 *
 *	q = db_query(db, "SELECT name FROM nodes WHERE id = ?", "t", id);
 *	while (db_row(db, q))
 *		... sqlite3_column_text(q, 0) ...
 *
 * Failures stick: the first one is logged and sets db->failed, and until db_rollback() every query
 * is empty. So a handler reads straight through, and whoever opened the transaction looks once,
 * before it commits. A query that is left before db_row() said false is given back with db_done().
 */
#ifndef CONTROLLER_DB_H
#define CONTROLLER_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#define DB_CACHE 512u

struct db {
	sqlite3 *handle;
	bool failed;
	struct {
		const char *sql; /* the literal's address is the key */
		sqlite3_stmt *stmt;
	} cache[DB_CACHE];
};

/* db_open - open or create, WAL and synchronous=FULL, schema brought up to date; false after
 * logging why */
bool db_open(struct db *db, const char *path);
void db_close(struct db *db);

/* types: t text (NULL is null), e text (NULL or empty is null), i int64_t */
sqlite3_stmt *db_query(struct db *db, const char *sql, const char *types, ...);
bool db_row(struct db *db, sqlite3_stmt *q);
void db_done(sqlite3_stmt *q);

/* db_run - a statement without rows; true when it changed some */
bool db_run(struct db *db, const char *sql, const char *types, ...);

/* db_number - the first column of the only row; `otherwise` when there is none or it is null */
int64_t db_number(struct db *db, int64_t otherwise, const char *sql, const char *types, ...);

/* db_text - column as text into dst, cut to fit; empty for null */
void db_text(sqlite3_stmt *q, int column, char *dst, size_t cap);
const char *db_text_or_null(sqlite3_stmt *q, int column);

void db_begin(struct db *db);
bool db_commit(struct db *db); /* false: nothing was stored */
void db_rollback(struct db *db);

#endif
