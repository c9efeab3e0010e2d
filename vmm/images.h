/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest images in this node's memory: bytes under their SHA-256, written in order by the agent, who
 * has verified the hash when it seals one. A VM boots from sealed images only.
 */
#ifndef VMM_IMAGES_H
#define VMM_IMAGES_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "vmm/control_abi.h"

struct image;

/* image_set_budget - how much memory all images together may take; none before the first call */
void image_set_budget(uint64_t budget_bytes);

/* All take handles as the control ABI has them; locked inside. Errors as the ABI says. */
MUST_CHECK enum hv_err image_create(uint64_t size, const uint8_t sha256[32], uint32_t *handle);
MUST_CHECK enum hv_err image_write(uint32_t handle, uint64_t offset, const void *data,
				   size_t len_bytes);
MUST_CHECK enum hv_err image_seal(uint32_t handle);
MUST_CHECK enum hv_err image_delete(uint32_t handle); /* HV_EBUSY while a VM uses it */
uint32_t image_list(struct ctl_image_info *out, uint32_t cap);

/* For a VM's life: a sealed image by handle, counted; NULL when there is none such. */
struct image *image_use(uint32_t handle);
void image_unuse(struct image *image);
uint64_t image_size(const struct image *image);
const uint8_t *image_sha256(const struct image *image); /* as the agent has it; 32 bytes */
/* Copies; [offset, offset + len_bytes) inside the image, else HV_EINVAL. */
MUST_CHECK enum hv_err image_read(const struct image *image, uint64_t offset, void *dst,
				  uint64_t len_bytes);

#endif
