/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was asked is kept as the hash of path and body.
 */
#include "tools/controller/idempotency.h"

#include <string.h>

#include <openssl/evp.h>

#include "tools/controller/util.h"

#define KEEP_MS		86400000ll
#define IDEMPOTENCY_MAX 64u

static const char *key_of(struct call *c)
{
	return call_request_header(c, "Idempotency-Key");
}

static void request_hash(struct call *c, char text[static SHA256_TEXT_MAX])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1) {
		EVP_DigestUpdate(md, c->path, strlen(c->path) + 1);
		EVP_DigestUpdate(md, c->body, c->body_len);
		EVP_DigestFinal_ex(md, digest, &len);
	}
	EVP_MD_CTX_free(md);
	hex_text(digest, len, text);
}

static bool key_is_fit(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < len; i++)
		if (key[i] < 0x20 || key[i] > 0x7e)
			return false;
	return len > 0 && len <= IDEMPOTENCY_MAX;
}

bool idempotency_replay(struct call *c)
{
	const char *key = key_of(c);
	char hash[SHA256_TEXT_MAX];
	const char *reply;
	sqlite3_stmt *q;

	if (!key)
		return false;
	if (!key_is_fit(key)) {
		call_error(c, 400, "bad_request", NULL,
			   "Idempotency-Key must have 1 to %u printable characters.",
			   IDEMPOTENCY_MAX);
		return true;
	}
	q = db_query(&c->d->db,
		     "SELECT request, status, reply FROM idempotency WHERE token = ? AND key = ? "
		     "AND created_ms > ?",
		     "tti", c->token_id, key, now_ms() - KEEP_MS);
	if (!db_row(&c->d->db, q))
		return false;
	request_hash(c, hash);
	if (strcmp(db_text_or_null(q, 0), hash) == 0) {
		reply = db_text_or_null(q, 2);
		json_out_raw(call_reply(c, sqlite3_column_int(q, 1)), NULL, reply, strlen(reply));
		call_header(c, "Idempotent-Replay", "true");
	} else {
		call_error(
			c, 422, "idempotency_key_reused", NULL,
			"This Idempotency-Key was used for a different request; take a new one.");
	}
	db_done(q);
	return true;
}

void idempotency_keep(struct call *c)
{
	const char *key = key_of(c);
	char hash[SHA256_TEXT_MAX];

	if (!key || c->status < 200 || c->status >= 300 || c->json.overflow ||
	    !json_out_finish(&c->json))
		return;
	request_hash(c, hash);
	db_run(&c->d->db, "INSERT OR REPLACE INTO idempotency VALUES(?, ?, ?, ?, ?, ?)", "tttiti",
	       c->token_id, key, hash, (int64_t)c->status, c->json.at, now_ms());
}

void idempotency_forget(struct db *db, int64_t at_ms)
{
	db_run(db, "DELETE FROM idempotency WHERE created_ms <= ?", "i", at_ms - KEEP_MS);
}
