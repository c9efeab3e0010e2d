/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching images: one at a time, in order, in pieces that go to the kernel as they come, hashed on
 * the way. A transfer that breaks off goes on where it stopped (Range); one whose hash is wrong is
 * deleted and remembered as bad for a while, as the controller may get a better copy. An image that
 * an earlier agent left half-written is deleted and begun anew, since its hash cannot be taken up
 * again.
 *
 * Pure: the kernel is reached through struct images_ops, the network by whoever feeds the bytes.
 */
#ifndef AGENT_IMAGES_H
#define AGENT_IMAGES_H

#include <mbedtls/sha256.h>

#include "agent/protocol/messages.h"
#include "agent/sync.h"
#include "kernel/lib/err.h"

#define IMAGES_FAILED_MAX 8u
#define IMAGES_BAD_MS	  60000u /* a wrong hash is tried again after this */

struct images_ops {
	enum hv_err (*create)(void *arg, uint64_t size, const uint8_t sha256[32], uint32_t *handle,
			      const char **why);
	enum hv_err (*write)(void *arg, uint32_t handle, uint64_t offset, const void *bytes,
			     size_t len, const char **why);
	enum hv_err (*seal)(void *arg, uint32_t handle, const char **why);
	void (*drop)(void *arg, uint32_t handle);
};

struct images {
	const struct images_ops *ops;
	void *arg;
	/* The transfer under way. */
	bool is_active;
	char sha256[SHA256_TEXT_MAX];
	uint32_t handle;
	uint64_t size,
		received; /* received: hashed, and written but for what waits in the buffer */
	mbedtls_sha256_context hash;
	size_t buffered;
	uint8_t buffer[CTL_DATA_MAX];
	/* Those that did not work out. */
	struct {
		char sha256[SHA256_TEXT_MAX];
		char reason[96];
		uint64_t until_ms; /* not tried again before */
	} failed[IMAGES_FAILED_MAX];
	unsigned next_failed;
};

void images_init(struct images *im, const struct images_ops *ops, void *arg);

/*
 * images_pick - decide what to fetch now
 *
 * returns  true: ask for sha256 from `received` on. The present transfer if it is still wanted; it
 * is dropped otherwise.
 */
bool images_pick(struct images *im, const struct desired *desired,
		 const struct sync_actual *actual);

/* images_starts_at - the answer's head: false when it is not what was asked for */
bool images_starts_at(struct images *im, unsigned status, bool has_range, uint64_t first,
		      uint64_t total);

/* images_feed - bytes of the body; false when the transfer failed (and images_reason knows why) */
bool images_feed(struct images *im, const uint8_t *bytes, size_t len, uint64_t now_ms);

/* images_end - the answer is over; returns true when the image is whole, verified and sealed */
bool images_end(struct images *im, uint64_t now_ms);

/* images_fail - give the present transfer up for a while, for a reason from outside (404 and the
 * like) */
void images_fail(struct images *im, const char *reason, uint64_t now_ms);

/* images_reason - a sync_image_reason_fn: why it is not there; NULL when nothing is wrong */
const char *images_reason(void *images, const char *sha256);

#endif
