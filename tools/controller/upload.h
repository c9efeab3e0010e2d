/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on disk: uploads/<image id> while they come, blobs/<sha256> when they are whole and their
 * hash is right. A file gets into blobs/ only by being renamed there after the check, so what is in
 * blobs/ is good.
 */
#ifndef CONTROLLER_UPLOAD_H
#define CONTROLLER_UPLOAD_H

#include "tools/controller/billetd.h"

enum upload_result { UPLOAD_OK, UPLOAD_COMPLETE, UPLOAD_WRONG_HASH, UPLOAD_FAILED };

/* upload_part - write a part at `offset` (what was there from it on is overwritten) and flush it;
 * with the last byte of `size`, check the hash and put the file in its place */
enum upload_result upload_part(struct billetd *d, const char *image, uint64_t offset,
			       const void *bytes, size_t len, uint64_t size, const char *sha256);

void upload_drop(struct billetd *d, const char *image); /* the image was deleted */
void upload_free_all(struct billetd *d);

/* upload_recover - at start: folders made, rows and files that a crash left apart brought together
 */
bool upload_recover(struct billetd *d);

/* blob_path - where the bytes with that hash are */
bool blob_path(const struct billetd *d, const char *sha256, char *path, size_t cap);
bool blob_exists(const struct billetd *d, const char *sha256, uint64_t size);
void blob_delete(const struct billetd *d, const char *sha256);

#endif
