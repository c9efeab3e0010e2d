/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a controller says of itself, of its namespaces and of its health, taken apart. Pure; the
 * bytes are the device's, so anything may be in them. Each is copied into memory of ours before.
 *
 * Source: [NVMe] "Identify Controller Data Structure", "Identify Namespace Data Structure", "SMART
 * / Health Information".
 */
#ifndef DRIVERS_NVME_IDENTIFY_H
#define DRIVERS_NVME_IDENTIFY_H

#include "drivers/block.h"
#include "drivers/nvme.h"

struct nvme_controller_info {
	char model[BLOCK_TEXT_MAX], serial[BLOCK_TEXT_MAX], firmware[16];
	uint32_t max_bytes; /* of one transfer, as MDTS says; UINT32_MAX: whatever */
	uint32_t nr_namespaces;
	bool has_volatile_cache, can_discard;
};

/*
 * nvme_identify_controller - data of NVME_IDENTIFY_BYTES
 *
 * Errors:  HV_ENOTSUP - its queue entries are not of the sizes that every controller has.
 */
MUST_CHECK enum hv_err nvme_identify_controller(const void *data, struct nvme_controller_info *out);

struct nvme_namespace_info {
	uint64_t nr_sectors;
	uint32_t sector_bytes, metadata_bytes;
	bool is_read_only;
};

/*
 * nvme_identify_namespace - data of NVME_IDENTIFY_BYTES
 *
 * Errors:  HV_ENOENT - it is not active. HV_ENOTSUP - sectors of neither 512 nor 4096 bytes, or
 *          with metadata; out says which. HV_EPROTO - names a format that it does not have.
 */
MUST_CHECK enum hv_err nvme_identify_namespace(const void *data, struct nvme_namespace_info *out);

/* nvme_health - a health log of NVME_LOG_BYTES */
void nvme_health(const void *data, struct block_health *out);

#endif
