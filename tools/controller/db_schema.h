/* SPDX-License-Identifier: Apache-2.0 */
/* The database's tables. Each change is one more step; a step that was ever released is never
 * edited. */
#ifndef CONTROLLER_DB_SCHEMA_H
#define CONTROLLER_DB_SCHEMA_H

#include <stdbool.h>

#include <sqlite3.h>

/* db_schema_migrate - apply the steps that are missing (user_version says how many are there), each
 * in a transaction; false with SQLite's error set, or for a database of a newer billetd, after
 * logging that */
bool db_schema_migrate(sqlite3 *handle);

#endif
