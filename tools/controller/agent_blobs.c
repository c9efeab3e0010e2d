/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is mapped and handed to the connection's buffer, which encrypts it piece by piece as the
 * node reads; it is never copied into memory as a whole.
 */
#include "tools/controller/agent_blobs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/controller/range.h"
#include "tools/controller/upload.h"

static bool node_needs(struct call *c)
{
	return db_number(&c->d->db, 0,
			 "SELECT 1 FROM images i WHERE i.sha256 = ?2 AND i.state = 'ready' AND"
			 " (EXISTS(SELECT 1 FROM vms v WHERE v.node = ?1 AND v.deleted_ms IS NULL"
			 " AND (v.kernel = i.id OR v.initrd = i.id))"
			 " OR EXISTS(SELECT 1 FROM nodes n WHERE n.id = ?1 AND n.release = i.id))"
			 " LIMIT 1",
			 "tt", c->node, c->param) == 1;
}

static int open_blob(struct call *c, uint64_t *size)
{
	char path[4096];
	struct stat st;
	int fd;

	if (!form_matches(FORM_SHA256, c->param, strlen(c->param)) || !node_needs(c) ||
	    !blob_path(c->d, c->param, path, sizeof(path)))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) != 0) {
		close(fd);
		return -1;
	}
	*size = fd >= 0 ? (uint64_t)st.st_size : 0;
	return fd;
}

/* Takes fd. */
static void reply_bytes(struct call *c, int status, int fd, uint64_t first, uint64_t len)
{
	struct evbuffer *out = call_reply_raw(c, status, "application/octet-stream");
	struct evbuffer_file_segment *seg;

	call_header_u64(c, "Content-Length", len);
	if (evhttp_request_get_command(c->req) == EVHTTP_REQ_HEAD || len == 0) {
		close(fd);
		return;
	}
	/* sendfile() cannot go through TLS */
	seg = evbuffer_file_segment_new(fd, (ev_off_t)first, (ev_off_t)len,
					EVBUF_FS_CLOSE_ON_FREE | EVBUF_FS_DISABLE_SENDFILE);
	if (!seg)
		close(fd);
	if (!seg || evbuffer_add_file_segment(out, seg, 0, (ev_off_t)len) != 0) {
		evhttp_remove_header(evhttp_request_get_output_headers(c->req), "Content-Length");
		call_error(c, 503, "storage", NULL, "The blob cannot be read; try again.");
	}
	if (seg)
		evbuffer_file_segment_free(seg);
}

static bool same_tag(const char *header, const char *tag)
{
	return header && strcmp(header, tag) == 0;
}

/* GET /agent/v1/blobs/<sha256> */
static void get_blob(struct call *c)
{
	const char *range = call_request_header(c, "Range"),
		   *if_range = call_request_header(c, "If-Range");
	char tag[SHA256_TEXT_MAX + 2], text[80];
	uint64_t size, first = 0, last = 0;
	int fd = open_blob(c, &size);

	if (fd < 0) {
		call_error(c, 404, "blob_not_found", NULL,
			   "No VM of this node needs these bytes, or they are not here.");
		return;
	}
	snprintf(tag, sizeof(tag), "\"%s\"", c->param);
	call_header(c, "ETag", tag);
	call_header(c, "Accept-Ranges", "bytes");
	if (same_tag(call_request_header(c, "If-None-Match"), tag)) {
		close(fd);
		call_reply_empty(c, 304);
		return;
	}
	switch (range_parse(if_range && !same_tag(if_range, tag) ? NULL : range, size, &first,
			    &last)) {
	case RANGE_NONE:
		reply_bytes(c, 200, fd, 0, size);
		break;
	case RANGE_PART:
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)first,
			 (unsigned long long)last, (unsigned long long)size);
		call_header(c, "Content-Range", text);
		reply_bytes(c, 206, fd, first, last - first + 1);
		break;
	case RANGE_OUTSIDE:
		close(fd);
		snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size);
		call_header(c, "Content-Range", text);
		call_error(c, 416, "range_not_satisfiable", NULL, "The blob has %llu bytes.",
			   (unsigned long long)size);
		break;
	}
}

const struct route agent_blobs_routes[] = {
	{EVHTTP_REQ_GET, "/agent/v1/blobs/*", get_blob, AUTH_NODE, 0, 0},
	{EVHTTP_REQ_HEAD, "/agent/v1/blobs/*", get_blob, AUTH_NODE, 0, 0},
	{0},
};
