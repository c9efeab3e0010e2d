/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upload is cut into pieces; after whatever goes wrong, the controller is asked how much it has,
 * and it goes on there. The same holds when the whole command is given again.
 */
#include "tools/cli/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli/die.h"
#include "tools/cli/file.h"
#include "tools/cli/progress.h"
#include "tools/cli/units.h"

#define PIECE	    (1u << 20) /* bytes; the controller takes up to 8 MiB */
#define TRIES	    8u
#define WAIT_MAX_MS 8000u

static void hash(struct upload_file *f)
{
	char *buf = xalloc(PIECE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t digest[UPLOAD_SHA256_BYTES];

	if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
		die(EXIT_REFUSED, "libcrypto gives no SHA-256");
	for (uint64_t at = 0; at < f->size;) {
		size_t got = file_read_at(f->fd, f->path, buf, PIECE, at);

		if (got == 0)
			die(EXIT_REFUSED, "%s became shorter while it was read", f->path);
		EVP_DigestUpdate(context, buf, got);
		at += got;
	}
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
	free(buf);
	units_hex(digest, sizeof(digest), f->sha256);
}

void upload_open(struct upload_file *f, const char *path)
{
	struct stat st;

	*f = (struct upload_file){.path = path};
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		die(EXIT_REFUSED, "cannot open %s: %s", f->path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		die(EXIT_REFUSED, "%s is %s", f->path,
		    S_ISREG(st.st_mode) ? "empty" : "not a file");
	f->size = (uint64_t)st.st_size;
	hash(f);
}

/* The image's entry, new or from an earlier upload of the same bytes. */
static yyjson_doc *find_or_create(const struct upload_file *f, const char *name,
				  const struct upload_extra *extra)
{
	yyjson_doc *doc = api_find(api_path("/v1/images/%s", name));
	yyjson_val *image = yyjson_doc_get_root(doc);
	yyjson_mut_doc *body;
	yyjson_mut_val *root;

	if (doc) {
		if (strcmp(api_text(image, "sha256"), f->sha256) != 0 ||
		    strcmp(api_text(image, "kind"), f->kind) != 0)
			die(EXIT_REFUSED,
			    "an image '%s' with other bytes or of another kind is there: choose "
			    "another name, or remove "
			    "that one with 'billetctl image rm %s'",
			    name, name);
		if (strcmp(api_text(image, "state"), "rejected") == 0)
			die(EXIT_REFUSED,
			    "an earlier upload of '%s' arrived damaged: remove it with 'billetctl "
			    "image rm %s' first",
			    name, name);
		return doc;
	}
	body = yyjson_mut_doc_new(NULL);
	root = yyjson_mut_obj(body);
	yyjson_mut_doc_set_root(body, root);
	yyjson_mut_obj_add_str(body, root, "name", name);
	yyjson_mut_obj_add_str(body, root, "kind", f->kind);
	yyjson_mut_obj_add_strcpy(body, root, "size", xformat("%" PRIu64, f->size));
	yyjson_mut_obj_add_str(body, root, "sha256", f->sha256);
	for (; extra && extra->key; extra++)
		yyjson_mut_obj_add_str(body, root, extra->key, extra->text);
	doc = api_call("POST", "/v1/images", body);
	yyjson_mut_doc_free(body);
	return doc;
}

/* Asks where to go on; false when there is no answer now. */
static bool ask_offset(const char *path, uint64_t *offset, CURLcode *result)
{
	struct request request = {.method = "HEAD", .path = path};
	struct reply reply = {0};
	bool is_known;

	*result = rest_try(&request, &reply);
	is_known = *result == CURLE_OK && reply.status == 200 &&
		   rest_header_u64("Upload-Offset", offset);
	reply_free(&reply);
	return is_known;
}

enum piece_result { PIECE_TAKEN, PIECE_ASIDE, PIECE_AGAIN };

/* Sends one piece; *offset moves on, or to where the controller says. */
static enum piece_result send_piece(const struct upload_file *f, const char *path, char *buf,
				    uint64_t *offset, CURLcode *result)
{
	char *header = xformat("Upload-Offset: %" PRIu64, *offset);
	struct request request = {.method = "PATCH",
				  .path = path,
				  .body = buf,
				  .type = "application/octet-stream",
				  .header = header,
				  .timeout_s = 300};
	struct reply reply = {0};
	enum piece_result said = PIECE_AGAIN;

	request.len_bytes = file_read_at(f->fd, f->path, buf, PIECE, *offset);
	if (request.len_bytes == 0)
		die(EXIT_REFUSED, "%s became shorter while it was read", f->path);
	*result = rest_try(&request, &reply);
	free(header);
	if (*result == CURLE_OK && reply.status == 204) {
		*offset += request.len_bytes;
		said = PIECE_TAKEN;
	} else if (*result == CURLE_OK && reply.status == 409 &&
		   rest_header_u64("Upload-Offset", offset)) {
		said = PIECE_ASIDE;
	} else if (*result == CURLE_OK && reply.status != 429 && reply.status < 500) {
		putc('\n', stderr);
		api_refused(&reply);
	}
	reply_free(&reply);
	return said;
}

static void wait_before(unsigned int try)
{
	unsigned int ms = 250u << try;

	usleep((ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS) * 1000 +
	       (unsigned int)(random() % 250) * 1000);
}

static void send_all(const struct upload_file *f, const char *id, uint64_t offset, const char *name,
		     char *buf)
{
	char *path = api_path("/v1/images/%s/data", id), *what = xformat("uploading %s", name);
	struct progress progress;
	CURLcode result = CURLE_OK;
	unsigned int failures = 0;

	progress_begin(&progress, what, offset, f->size);
	while (offset < f->size) {
		switch (send_piece(f, path, buf, &offset, &result)) {
		case PIECE_TAKEN:
			failures = 0;
			progress_at(&progress, offset);
			continue;
		case PIECE_ASIDE:
		case PIECE_AGAIN:
			break;
		}
		if (++failures > TRIES) {
			progress_end(&progress);
			if (result != CURLE_OK)
				rest_unreachable(result);
			die(EXIT_REFUSED, "the controller does not take the upload; the same "
					  "command goes on where it stopped");
		}
		wait_before(failures);
		ask_offset(path, &offset, &result);
	}
	progress_end(&progress);
	free(path);
	free(what);
}

yyjson_doc *upload_image(const struct upload_file *f, const char *name,
			 const struct upload_extra *extra)
{
	yyjson_doc *doc = find_or_create(f, name, extra);
	yyjson_val *image = yyjson_doc_get_root(doc);
	char *id = xformat("%s", api_text(image, "id"));
	char *buf = xalloc(PIECE);

	if (strcmp(api_text(image, "state"), "ready") != 0) {
		send_all(f, id, api_u64(image, "uploaded"), name, buf);
		yyjson_doc_free(doc);
		doc = api_call("GET", api_path("/v1/images/%s", id), NULL);
	}
	free(id);
	free(buf);
	return doc;
}
