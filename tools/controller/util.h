/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every part of the controller needs: time, random ids, hashes as text, files that are whole
 * or not there.
 */
#ifndef CONTROLLER_UTIL_H
#define CONTROLLER_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/protocol/form.h"

#define TIME_TEXT_MAX 32u

int64_t now_ms(void); /* since 1970 */

/* time_text - "2026-03-01T10:00:00.123Z"; gives buf back */
const char *time_text(int64_t ms, char buf[static TIME_TEXT_MAX]);

/* Random bytes come from OpenSSL; without any the program ends, since nothing could be done safely.
 */
void random_bytes(void *dst, size_t len_bytes);
void random_id(const char *prefix, char id[static ID_TEXT_MAX]); /* "node_" and 16 digits */
void random_secret(const char *prefix,
		   char secret[static SECRET_TEXT_MAX]); /* "bjt_" and 64 digits */
void random_uuid(char uuid[static UUID_TEXT_MAX]);

void hex_text(const uint8_t *bytes, size_t len_bytes, char *text); /* 2 * len_bytes + 1 */
void sha256_text(const void *bytes, size_t len_bytes, char text[static SHA256_TEXT_MAX]);

/*
 * file_replace - write a file beside the old one, flush it, and put it in its place; mode 0600
 *
 * returns  false with errno set; the old file is then still there
 */
bool file_replace(const char *path, const void *bytes, size_t len_bytes);

/* file_read - a whole small file, zero-terminated; NULL with errno set. Gives: the caller frees. */
char *file_read(const char *path, size_t max_bytes);

/* path_join - "dir/name"; false when it does not fit */
bool path_join(char *path, size_t cap, const char *dir, const char *name);

#endif
