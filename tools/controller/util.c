/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small services without state.
 */
#include "tools/controller/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

const char *time_text(int64_t ms, char buf[static TIME_TEXT_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(buf, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, TIME_TEXT_MAX - len, ".%03dZ", (int)(ms % 1000));
	return buf;
}

void random_bytes(void *dst, size_t len_bytes)
{
	if (RAND_bytes(dst, (int)len_bytes) != 1) {
		fputs("billetd: no random numbers to be had\n", stderr);
		abort();
	}
}

void hex_text(const uint8_t *bytes, size_t len_bytes, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len_bytes; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * len_bytes] = 0;
}

static void random_text(const char *prefix, size_t nr_bytes, char *text)
{
	uint8_t bytes[32];
	size_t len = strlen(prefix);

	random_bytes(bytes, nr_bytes);
	memcpy(text, prefix, len);
	hex_text(bytes, nr_bytes, text + len);
}

void random_id(const char *prefix, char id[static ID_TEXT_MAX])
{
	random_text(prefix, 8, id);
}

void random_secret(const char *prefix, char secret[static SECRET_TEXT_MAX])
{
	random_text(prefix, 32, secret);
}

void random_uuid(char uuid[static UUID_TEXT_MAX])
{
	uint8_t b[16];
	char hex[33];

	random_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* version 4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	hex_text(b, sizeof(b), hex);
	snprintf(uuid, UUID_TEXT_MAX, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		 hex + 20);
}

void sha256_text(const void *bytes, size_t len_bytes, char text[static SHA256_TEXT_MAX])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(bytes, len_bytes, digest);
	hex_text(digest, sizeof(digest), text);
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

bool file_replace(const char *path, const void *bytes, size_t len_bytes)
{
	char part[4096];
	bool ok;
	int fd;

	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	ok = write_all(fd, bytes, len_bytes) && fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	return ok && rename(part, path) == 0;
}

char *file_read(const char *path, size_t max_bytes)
{
	struct stat st;
	ssize_t n = -1;
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size <= max_bytes)
		text = malloc((size_t)st.st_size + 1);
	if (text)
		n = read(fd, text, (size_t)st.st_size);
	close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = 0;
	return text;
}

bool path_join(char *path, size_t cap, const char *dir, const char *name)
{
	return snprintf(path, cap, "%s/%s", dir, name) < (int)cap;
}
