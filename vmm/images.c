/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of images, each a list of 2 MiB blocks and, for its end, one block as small as will do.
 *
 *     size 5 MiB + 100 KiB:   [ 2 MiB ][ 2 MiB ][ 2 MiB: 1 MiB + 100 KiB used ]
 *     size 100 KiB:           [ 128 KiB ]
 *
 * An image's memory is counted against the budget when it is created and taken block by block as
 * bytes arrive, so that no single request has to clear more than one block. Sealed images never
 * change, and one that is in use is not deleted: reading needs no lock.
 */
#include "vmm/images.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"

#define BLOCK_BYTES (2 * MIB)

struct image {
	uint32_t handle; /* 0: this place is free */
	uint32_t users;
	bool is_sealed;
	uint64_t size, written;
	uint8_t sha256[32];
	hpa_t *blocks; /* nr_blocks; HPA_NONE: not taken yet */
	uint64_t nr_blocks;
};

static struct lock lock; /* guards all of this */
static struct image images[CTL_IMAGES_MAX];
static uint32_t last_handle;	  /* never used again in this boot */
static uint64_t budget, reserved; /* bytes */

void image_set_budget(uint64_t budget_bytes)
{
	lock_take(&lock);
	budget = budget_bytes;
	lock_release(&lock);
}

/* Of an image's last block the order that holds its bytes; all others are 2 MiB. */
static unsigned block_order(const struct image *image, uint64_t index)
{
	uint64_t bytes = MIN(image->size - index * BLOCK_BYTES, BLOCK_BYTES);
	unsigned order = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static uint64_t footprint(const struct image *image)
{
	return (image->nr_blocks - 1) * BLOCK_BYTES +
	       (PAGE_SIZE << block_order(image, image->nr_blocks - 1));
}

static struct image *find(uint32_t handle)
{
	for (uint32_t i = 0; i < CTL_IMAGES_MAX; i++)
		if (handle != 0 && images[i].handle == handle)
			return &images[i];
	return NULL;
}

static struct image *find_hash(const uint8_t sha256[32])
{
	for (uint32_t i = 0; i < CTL_IMAGES_MAX; i++)
		if (images[i].handle != 0 && memcmp(images[i].sha256, sha256, 32) == 0)
			return &images[i];
	return NULL;
}

static struct image *find_free(void)
{
	for (uint32_t i = 0; i < CTL_IMAGES_MAX; i++)
		if (images[i].handle == 0)
			return &images[i];
	return NULL;
}

static enum hv_err create_locked(uint64_t size, const uint8_t sha256[32], uint32_t *handle)
{
	struct image *image = find_hash(sha256), new = {.size = size};

	if (image) {
		*handle = image->handle;
		return image->size == size ? HV_EEXIST : HV_EINVAL;
	}
	image = find_free();
	if (!image || size > budget)
		return HV_ENOMEM;
	new.nr_blocks = (size + BLOCK_BYTES - 1) / BLOCK_BYTES;
	if (footprint(&new) > budget - reserved)
		return HV_ENOMEM;
	new.blocks = kmem_alloc(new.nr_blocks * sizeof(*new.blocks));
	if (!new.blocks)
		return HV_ENOMEM;
	for (uint64_t i = 0; i < new.nr_blocks; i++)
		new.blocks[i] = HPA_NONE;
	new.handle = ++last_handle;
	memcpy(new.sha256, sha256, sizeof(new.sha256));
	reserved += footprint(&new);
	*image = new;
	*handle = new.handle;
	return HV_OK;
}

enum hv_err image_create(uint64_t size, const uint8_t sha256[32], uint32_t *handle)
{
	enum hv_err err;

	if (size == 0)
		return HV_EINVAL;
	lock_take(&lock);
	err = create_locked(size, sha256, handle);
	lock_release(&lock);
	return err;
}

/* From offset on, at most to the end of its block, which is taken when it is the first time. */
static uint64_t write_piece(struct image *image, uint64_t offset, const uint8_t *data, uint64_t len)
{
	uint64_t index = offset / BLOCK_BYTES, at = offset % BLOCK_BYTES;
	uint64_t piece = MIN(len, BLOCK_BYTES - at);

	if (image->blocks[index] == HPA_NONE)
		image->blocks[index] = pages_alloc(block_order(image, index));
	if (image->blocks[index] == HPA_NONE)
		return 0;
	memcpy((uint8_t *)hva_of(image->blocks[index]) + at, data, piece);
	return piece;
}

static enum hv_err write_locked(struct image *image, uint64_t offset, const uint8_t *data,
				uint64_t len)
{
	if (!image)
		return HV_ENOENT;
	if (!range_fits(offset, len, image->size) || len == 0)
		return HV_EINVAL;
	if (offset + len <= image->written)
		return HV_EEXIST;
	if (offset != image->written)
		return HV_EINVAL;

	for (uint64_t done = 0; done < len;) {
		uint64_t piece = write_piece(image, offset + done, data + done, len - done);

		if (piece == 0)
			return HV_ENOMEM; /* written stays: the same request may come again */
		done += piece;
	}
	image->written = offset + len;
	return HV_OK;
}

enum hv_err image_write(uint32_t handle, uint64_t offset, const void *data, size_t len_bytes)
{
	enum hv_err err;

	lock_take(&lock);
	err = write_locked(find(handle), offset, data, len_bytes);
	lock_release(&lock);
	return err;
}

static enum hv_err seal_locked(struct image *image)
{
	if (!image)
		return HV_ENOENT;
	if (image->is_sealed)
		return HV_EEXIST;
	if (image->written != image->size)
		return HV_EBUSY;
	image->is_sealed = true;
	return HV_OK;
}

enum hv_err image_seal(uint32_t handle)
{
	enum hv_err err;

	lock_take(&lock);
	err = seal_locked(find(handle));
	lock_release(&lock);
	return err;
}

static enum hv_err delete_locked(struct image *image)
{
	if (!image)
		return HV_ENOENT;
	if (image->users > 0)
		return HV_EBUSY;
	for (uint64_t i = 0; i < image->nr_blocks; i++)
		if (image->blocks[i] != HPA_NONE)
			pages_free(image->blocks[i], block_order(image, i));
	kmem_free(image->blocks);
	reserved -= footprint(image);
	memset(image, 0, sizeof(*image));
	return HV_OK;
}

enum hv_err image_delete(uint32_t handle)
{
	enum hv_err err;

	lock_take(&lock);
	err = delete_locked(find(handle));
	lock_release(&lock);
	return err;
}

uint32_t image_list(struct ctl_image_info *out, uint32_t cap)
{
	uint32_t nr = 0;

	lock_take(&lock);
	for (uint32_t i = 0; i < CTL_IMAGES_MAX && nr < cap; i++) {
		const struct image *image = &images[i];

		if (image->handle == 0)
			continue;
		out[nr] = (struct ctl_image_info){
			.handle = image->handle,
			.is_sealed = image->is_sealed,
			.size = image->size,
			.written = image->written,
			.users = image->users,
		};
		memcpy(out[nr].sha256, image->sha256, sizeof(out[nr].sha256));
		nr++;
	}
	lock_release(&lock);
	return nr;
}

struct image *image_use(uint32_t handle)
{
	struct image *image;

	lock_take(&lock);
	image = find(handle);
	if (image && !image->is_sealed)
		image = NULL;
	if (image)
		image->users++;
	lock_release(&lock);
	return image;
}

void image_unuse(struct image *image)
{
	lock_take(&lock);
	ASSERT(image->users > 0);
	image->users--;
	lock_release(&lock);
}

uint64_t image_size(const struct image *image)
{
	return image->size;
}

const uint8_t *image_sha256(const struct image *image)
{
	return image->sha256;
}

enum hv_err image_read(const struct image *image, uint64_t offset, void *dst, uint64_t len_bytes)
{
	uint8_t *to = dst;

	if (!range_fits(offset, len_bytes, image->size))
		return HV_EINVAL;
	while (len_bytes > 0) {
		uint64_t at = offset % BLOCK_BYTES, piece = MIN(len_bytes, BLOCK_BYTES - at);

		memcpy(to, (const uint8_t *)hva_of(image->blocks[offset / BLOCK_BYTES]) + at,
		       piece);
		to += piece;
		offset += piece;
		len_bytes -= piece;
	}
	return HV_OK;
}
