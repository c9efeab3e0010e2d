/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes gather in one buffer, so that the kernel is asked once for every 64 KiB. */
#include "agent/images.h"

#include <stdio.h>
#include <string.h>

#include "agent/report.h"
#include "kernel/lib/assert.h"

void images_init(struct images *im, const struct images_ops *ops, void *arg)
{
	memset(im, 0, sizeof(*im));
	im->ops = ops;
	im->arg = arg;
	mbedtls_sha256_init(&im->hash);
}

static void drop(struct images *im)
{
	if (im->is_active)
		im->ops->drop(im->arg, im->handle);
	im->is_active = false;
	mbedtls_sha256_free(&im->hash);
	mbedtls_sha256_init(&im->hash);
}

static void remember(struct images *im, const char *sha256, const char *reason, uint64_t until_ms)
{
	unsigned i;

	for (i = 0; i < IMAGES_FAILED_MAX; i++)
		if (strcmp(im->failed[i].sha256, sha256) == 0)
			break;
	if (i == IMAGES_FAILED_MAX)
		i = im->next_failed++ % IMAGES_FAILED_MAX;
	snprintf(im->failed[i].sha256, sizeof(im->failed[i].sha256), "%s", sha256);
	snprintf(im->failed[i].reason, sizeof(im->failed[i].reason), "%s", reason);
	im->failed[i].until_ms = until_ms;
}

void images_fail(struct images *im, const char *reason, uint64_t now_ms)
{
	if (!im->is_active)
		return;
	remember(im, im->sha256, reason, now_ms + IMAGES_BAD_MS);
	drop(im);
}

const char *images_reason(void *images, const char *sha256)
{
	const struct images *im = images;
	unsigned i;

	for (i = 0; i < IMAGES_FAILED_MAX; i++)
		if (strcmp(im->failed[i].sha256, sha256) == 0)
			return im->failed[i].reason;
	return NULL;
}

static bool is_resting(const struct images *im, const char *sha256, uint64_t now_ms)
{
	unsigned i;

	for (i = 0; i < IMAGES_FAILED_MAX; i++)
		if (strcmp(im->failed[i].sha256, sha256) == 0)
			return now_ms < im->failed[i].until_ms;
	return false;
}

static bool start(struct images *im, const struct desired_image *want, uint64_t now_ms)
{
	const char *why = NULL;
	uint8_t sha256[32];
	enum hv_err err;

	if (!hex_from_text(want->sha256, sha256, sizeof(sha256)))
		return false;
	err = im->ops->create(im->arg, want->size, sha256, &im->handle, &why);
	if (err == HV_EEXIST) { /* left by an agent before us */
		im->ops->drop(im->arg, im->handle);
		err = im->ops->create(im->arg, want->size, sha256, &im->handle, &why);
	}
	if (err != HV_OK) {
		remember(im, want->sha256, why && why[0] ? why : hv_strerror(err),
			 now_ms + IMAGES_BAD_MS);
		return false;
	}
	memcpy(im->sha256, want->sha256, sizeof(im->sha256));
	im->size = want->size;
	im->received = 0;
	im->buffered = 0;
	im->is_active = true;
	(void)mbedtls_sha256_starts(&im->hash, 0);
	return true;
}

bool images_pick(struct images *im, const struct desired *desired, const struct sync_actual *actual)
{
	const struct desired_image *want = desired->images.at;
	const struct ctl_image_info *have;
	uint32_t i;

	for (i = 0; im->is_active && i < desired->images.nr; i++)
		if (strcmp(want[i].sha256, im->sha256) == 0 && want[i].size == im->size)
			return true;
	drop(im);
	for (i = 0; i < desired->images.nr; i++) {
		have = sync_find_image(actual, want[i].sha256);
		if ((have && have->is_sealed) || is_resting(im, want[i].sha256, actual->now_ms))
			continue;
		if (start(im, &want[i], actual->now_ms))
			return true;
	}
	return false;
}

bool images_starts_at(struct images *im, unsigned status, bool has_range, uint64_t first,
		      uint64_t total)
{
	if (status == 206)
		return has_range && first == im->received && total == im->size;
	return status == 200 && im->received == 0;
}

static bool flush(struct images *im, uint64_t now_ms)
{
	const char *why = NULL;
	enum hv_err err;

	if (im->buffered == 0)
		return true;
	err = im->ops->write(im->arg, im->handle, im->received - im->buffered, im->buffer,
			     im->buffered, &why);
	if (err != HV_OK) {
		images_fail(im, why && why[0] ? why : hv_strerror(err), now_ms);
		return false;
	}
	im->buffered = 0;
	return true;
}

bool images_feed(struct images *im, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	size_t n;

	if (!im->is_active)
		return false;
	if (len > im->size - im->received) {
		images_fail(im, "the image is larger than its size says", now_ms);
		return false;
	}
	(void)mbedtls_sha256_update(&im->hash, bytes, len);
	for (; len > 0; bytes += n, len -= n) {
		n = MIN(len, sizeof(im->buffer) - im->buffered);
		memcpy(im->buffer + im->buffered, bytes, n);
		im->buffered += n;
		im->received += n;
		if (im->buffered == sizeof(im->buffer) && !flush(im, now_ms))
			return false;
	}
	return true;
}

static bool is_hash_right(struct images *im)
{
	uint8_t want[32], got[32];

	(void)mbedtls_sha256_finish(&im->hash, got);
	return hex_from_text(im->sha256, want, sizeof(want)) && memcmp(want, got, sizeof(got)) == 0;
}

bool images_end(struct images *im, uint64_t now_ms)
{
	const char *why = NULL;
	enum hv_err err;
	unsigned i;

	if (!im->is_active || im->received < im->size || !flush(im, now_ms))
		return false;
	if (!is_hash_right(im)) {
		images_fail(im, "the image's SHA-256 is wrong; it was deleted", now_ms);
		return false;
	}
	err = im->ops->seal(im->arg, im->handle, &why);
	if (err != HV_OK) {
		images_fail(im, why && why[0] ? why : hv_strerror(err), now_ms);
		return false;
	}
	for (i = 0; i < IMAGES_FAILED_MAX; i++)
		if (strcmp(im->failed[i].sha256, im->sha256) == 0)
			memset(&im->failed[i], 0, sizeof(im->failed[i]));
	im->is_active = false;
	return true;
}
