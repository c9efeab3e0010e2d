/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash is computed while parts arrive; after a restart, what is on disk is read once to catch
 * up.
 */
#include "tools/controller/upload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "tools/controller/say.h"
#include "tools/controller/util.h"

#define PATH_CAP 4096

struct upload { /* an image that is being uploaded, once a part of it came since the start */
	LIST_ENTRY(upload) link;
	char image[ID_TEXT_MAX];
	EVP_MD_CTX *md;
	uint64_t hashed; /* bytes */
};

static bool upload_path(const struct billetd *d, const char *image, char *path)
{
	return snprintf(path, PATH_CAP, "%s/uploads/%s", d->options.data, image) < PATH_CAP;
}

bool blob_path(const struct billetd *d, const char *sha256, char *path, size_t cap)
{
	return snprintf(path, cap, "%s/blobs/%s", d->options.data, sha256) < (int)cap;
}

bool blob_exists(const struct billetd *d, const char *sha256, uint64_t size)
{
	char path[PATH_CAP];
	struct stat st;

	return blob_path(d, sha256, path, sizeof(path)) && stat(path, &st) == 0 &&
	       (uint64_t)st.st_size == size;
}

void blob_delete(const struct billetd *d, const char *sha256)
{
	char path[PATH_CAP];

	if (blob_path(d, sha256, path, sizeof(path)) && unlink(path) != 0 && errno != ENOENT)
		say_warn("images", "cannot delete %s: %m", path);
}

/* ---- hashing -------------------------------------------------------------------------------- */

static void free_upload(struct upload *u)
{
	LIST_REMOVE(u, link);
	EVP_MD_CTX_free(u->md);
	free(u);
}

static struct upload *find_upload(struct billetd *d, const char *image)
{
	struct upload *u;

	LIST_FOREACH(u, &d->uploads, link)
	if (strcmp(u->image, image) == 0)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->md = EVP_MD_CTX_new();
	if (!u->md) {
		free(u);
		return NULL;
	}
	EVP_DigestInit_ex(u->md, EVP_sha256(), NULL);
	strcpy(u->image, image);
	LIST_INSERT_HEAD(&d->uploads, u, link);
	return u;
}

static bool hash_file_up_to(struct upload *u, int fd, uint64_t end)
{
	static uint8_t buf[1 << 18];

	if (u->hashed > end) { /* a part that was written, but not recorded */
		EVP_DigestInit_ex(u->md, EVP_sha256(), NULL);
		u->hashed = 0;
	}
	while (u->hashed < end) {
		uint64_t left = end - u->hashed;
		ssize_t n = pread(fd, buf, left < sizeof(buf) ? (size_t)left : sizeof(buf),
				  (off_t)u->hashed);

		if (n <= 0)
			return false;
		EVP_DigestUpdate(u->md, buf, (size_t)n);
		u->hashed += (uint64_t)n;
	}
	return true;
}

/* ---- parts ---------------------------------------------------------------------------------- */

static bool write_at(int fd, const char *bytes, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return fdatasync(fd) == 0;
}

static void flush_folder(const struct billetd *d, const char *name)
{
	char path[PATH_CAP];
	int fd;

	if (!path_join(path, sizeof(path), d->options.data, name))
		return;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fsync(fd) != 0)
		say_warn("images", "cannot flush %s: %m", path);
	close(fd);
}

static enum upload_result complete(struct billetd *d, struct upload *u, const char *path,
				   const char *sha256)
{
	char blob[PATH_CAP], text[SHA256_TEXT_MAX];
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	EVP_DigestFinal_ex(u->md, digest, &len);
	hex_text(digest, len, text);
	free_upload(u);
	if (strcmp(text, sha256) != 0) {
		unlink(path);
		return UPLOAD_WRONG_HASH;
	}
	if (!blob_path(d, sha256, blob, sizeof(blob)) || rename(path, blob) != 0)
		return UPLOAD_FAILED;
	flush_folder(d, "blobs");
	return UPLOAD_COMPLETE;
}

enum upload_result upload_part(struct billetd *d, const char *image, uint64_t offset,
			       const void *bytes, size_t len, uint64_t size, const char *sha256)
{
	enum upload_result result = UPLOAD_FAILED;
	struct upload *u = find_upload(d, image);
	char path[PATH_CAP];
	int fd = -1;

	if (u && upload_path(d, image, path))
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && write_at(fd, bytes, len, offset) && hash_file_up_to(u, fd, offset)) {
		EVP_DigestUpdate(u->md, bytes, len);
		u->hashed += len;
		result = offset + len == size ? complete(d, u, path, sha256) : UPLOAD_OK;
	}
	if (result == UPLOAD_FAILED)
		say_err("images", "cannot store a part of %s: %m", image);
	if (fd >= 0)
		close(fd);
	return result;
}

void upload_drop(struct billetd *d, const char *image)
{
	struct upload *u, *next;
	char path[PATH_CAP];

	for (u = LIST_FIRST(&d->uploads); u; u = next) {
		next = LIST_NEXT(u, link);
		if (strcmp(u->image, image) == 0)
			free_upload(u);
	}
	if (upload_path(d, image, path))
		unlink(path);
}

void upload_free_all(struct billetd *d)
{
	while (!LIST_EMPTY(&d->uploads))
		free_upload(LIST_FIRST(&d->uploads));
}

/* ---- after a crash -------------------------------------------------------------------------- */

/* Renamed, but not recorded as ready; or recorded as longer than the file is. */
static void recover_image(struct billetd *d, const char *id, const char *sha256, uint64_t size,
			  uint64_t uploaded)
{
	char path[PATH_CAP];
	struct stat st;

	if (blob_exists(d, sha256, size)) {
		db_run(&d->db,
		       "UPDATE images SET state = 'ready', uploaded = size, ready_ms = ? WHERE id "
		       "= ?",
		       "it", now_ms(), id);
		return;
	}
	if (uploaded > 0 && upload_path(d, id, path) &&
	    (stat(path, &st) != 0 || (uint64_t)st.st_size < uploaded))
		db_run(&d->db, "UPDATE images SET uploaded = 0 WHERE id = ?", "t", id);
}

static void recover_images(struct billetd *d)
{
	char id[ID_TEXT_MAX] = "", sha256[SHA256_TEXT_MAX];
	uint64_t size, uploaded;
	sqlite3_stmt *q;

	for (;;) {
		q = db_query(&d->db,
			     "SELECT id, sha256, size, uploaded FROM images WHERE state = "
			     "'uploading' AND id > ?"
			     " ORDER BY id LIMIT 1",
			     "t", id);
		if (!db_row(&d->db, q))
			return;
		db_text(q, 0, id, sizeof(id));
		db_text(q, 1, sha256, sizeof(sha256));
		size = (uint64_t)sqlite3_column_int64(q, 2);
		uploaded = (uint64_t)sqlite3_column_int64(q, 3);
		db_done(q);
		recover_image(d, id, sha256, size, uploaded);
	}
}

/* Deletes files that no row refers to; the query has the file's name as its parameter. */
static bool sweep(struct billetd *d, const char *folder, const char *sql)
{
	char path[PATH_CAP];
	struct dirent *e;
	DIR *dir;

	if (!path_join(path, sizeof(path), d->options.data, folder))
		return false;
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		say_err("images", "cannot make %s: %m", path);
		return false;
	}
	dir = opendir(path);
	if (!dir)
		return false;
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.' && db_number(&d->db, 0, sql, "t", e->d_name) == 0 &&
		    !d->db.failed)
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	return true;
}

bool upload_recover(struct billetd *d)
{
	db_begin(&d->db);
	recover_images(d);
	return db_commit(&d->db) &&
	       sweep(d, "blobs", "SELECT 1 FROM images WHERE sha256 = ? AND state = 'ready'") &&
	       sweep(d, "uploads", "SELECT 1 FROM images WHERE id = ? AND state = 'uploading'");
}
