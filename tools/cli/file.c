/* SPDX-License-Identifier: Apache-2.0 */
/* A call may do a part only, or nothing when a signal comes: the rest is asked for again. */
#include "tools/cli/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/die.h"

size_t file_read_at(int fd, const char *path, void *buf, size_t cap, uint64_t offset)
{
	size_t got = 0;

	while (got < cap) {
		ssize_t n = pread(fd, (char *)buf + got, cap - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die(EXIT_REFUSED, "cannot read %s: %s", path, strerror(errno));
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return got;
}

void file_write_at(int fd, const char *path, const void *bytes, size_t len, uint64_t offset)
{
	size_t put = 0;

	while (put < len) {
		ssize_t n = pwrite(fd, (const char *)bytes + put, len - put, (off_t)(offset + put));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die(EXIT_REFUSED, "cannot write %s: %s", path,
			    n < 0 ? strerror(errno) : "it takes no more");
		put += (size_t)n;
	}
}
