/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be copied from a VM's images into its memory before it starts. A boot protocol decides
 * and checks all of it at once; the bytes follow piece by piece, since the guests of the CPU that
 * copies wait meanwhile.
 *
 *   boot_plan_begin() ─► boot_plan_add() … ─► boot_plan_step() … until HV_OK
 *
 * Pure. The images stay, and the guest's memory with them, until the plan is carried out or
 * dropped.
 */
#ifndef VMM_BOOT_PLAN_H
#define VMM_BOOT_PLAN_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/gmem.h"

#define BOOT_SEGMENTS_MAX 64u			   /* of a kernel; real ones have a handful */
#define BOOT_PIECES_MAX	  (BOOT_SEGMENTS_MAX + 1u) /* and an initrd */

/* An image that is read piece by piece, so that it may lie in pages anywhere. size 0: there is
 * none. */
struct image_src {
	/* Copies; [offset, offset + len_bytes) lies inside the image. */
	enum hv_err (*read)(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes);
	const void *ctx;
	uint64_t size;
};

enum boot_image { BOOT_KERNEL, BOOT_INITRD, BOOT_IMAGES };

/* [gpa, gpa + file_bytes) from the image at offset; mem_bytes - file_bytes behind it are zeroed. */
struct boot_piece {
	enum boot_image image;
	uint64_t offset, gpa, file_bytes, mem_bytes;
};

struct boot_plan {
	struct image_src images[BOOT_IMAGES];
	uint32_t nr;
	uint32_t at;	     /* pieces before this one are in place, ... */
	uint64_t done_bytes; /* ... and so much of it */
	struct boot_piece pieces[BOOT_PIECES_MAX];
};

void boot_plan_begin(struct boot_plan *plan, const struct image_src *kernel,
		     const struct image_src *initrd);

/*
 * boot_plan_add - one piece more
 *
 * Errors:  HV_EPROTO - it is not in the image, or there are BOOT_PIECES_MAX; HV_EINVAL - not all of
 *          where it goes is RAM. The plan is as before then.
 */
MUST_CHECK enum hv_err boot_plan_add(struct boot_plan *plan, const struct gmem *mem,
				     const struct boot_piece *piece);

/*
 * boot_plan_step - copy or zero most_bytes at most
 *
 * mem      as it was when the pieces were added
 * Errors:  HV_EAGAIN - there is more; those of the image's read()
 */
MUST_CHECK enum hv_err boot_plan_step(struct boot_plan *plan, const struct gmem *mem,
				      uint64_t most_bytes);

#endif
