/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of images on their way into a guest's memory. */
#include "vmm/boot_plan.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

void boot_plan_begin(struct boot_plan *plan, const struct image_src *kernel,
		     const struct image_src *initrd)
{
	plan->images[BOOT_KERNEL] = *kernel;
	plan->images[BOOT_INITRD] = *initrd;
	plan->nr = plan->at = 0;
	plan->done_bytes = 0;
}

enum hv_err boot_plan_add(struct boot_plan *plan, const struct gmem *mem,
			  const struct boot_piece *piece)
{
	ASSERT(piece->image < BOOT_IMAGES && piece->file_bytes <= piece->mem_bytes);
	if (plan->nr == BOOT_PIECES_MAX ||
	    !range_fits(piece->offset, piece->file_bytes, plan->images[piece->image].size))
		return HV_EPROTO;
	if (!gmem_has(mem, piece->gpa, piece->mem_bytes))
		return HV_EINVAL;
	plan->pieces[plan->nr++] = *piece;
	return HV_OK;
}

/* As much of a piece, from done on, as lies in one chunk of guest memory and is of one kind. */
static enum hv_err put(const struct boot_plan *plan, const struct gmem *mem,
		       const struct boot_piece *piece, uint64_t done, uint64_t *len_bytes)
{
	const struct image_src *src = &plan->images[piece->image];
	bool is_file = done < piece->file_bytes;
	uint64_t left = (is_file ? piece->file_bytes : piece->mem_bytes) - done, got;
	uint8_t *dst = gmem_map(mem, piece->gpa + done, MIN(left, *len_bytes), &got);

	ASSERT(dst && got > 0);
	*len_bytes = got;
	if (is_file)
		return src->read(src->ctx, piece->offset + done, dst, got);
	memset(dst, 0, got);
	return HV_OK;
}

enum hv_err boot_plan_step(struct boot_plan *plan, const struct gmem *mem, uint64_t most_bytes)
{
	while (plan->at < plan->nr) {
		const struct boot_piece *piece = &plan->pieces[plan->at];
		uint64_t len = most_bytes;
		enum hv_err err;

		if (plan->done_bytes == piece->mem_bytes) {
			plan->at++;
			plan->done_bytes = 0;
			continue;
		}
		if (most_bytes == 0)
			return HV_EAGAIN;
		err = put(plan, mem, piece, plan->done_bytes, &len);
		if (err != HV_OK)
			return err;
		plan->done_bytes += len;
		most_bytes -= len;
	}
	return HV_OK;
}
