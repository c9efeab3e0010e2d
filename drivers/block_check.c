/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a request is one that its disk can take: all a driver may rely on in submit(). */
#include "drivers/block.h"

static bool lies_on_disk(const struct block_dev *dev, const struct block_request *req)
{
	return req->nr_sectors > 0 && range_fits(req->sector, req->nr_sectors, dev->nr_sectors);
}

static enum hv_err check_seg(const struct block_limits *limits, const struct block_request *req,
			     uint32_t i)
{
	const struct block_seg *seg = &req->segs[i];
	uint32_t align = limits->align_bytes, boundary = limits->boundary_bytes;

	if (seg->len_bytes == 0 || seg->hpa + seg->len_bytes < seg->hpa)
		return HV_EINVAL;
	if (seg->hpa % align != 0 || seg->len_bytes % align != 0)
		return HV_EINVAL;
	if (boundary == 0)
		return HV_OK;
	if (i > 0 && seg->hpa % boundary != 0)
		return HV_EINVAL;
	if (i + 1 < req->nr_segs && (seg->hpa + seg->len_bytes) % boundary != 0)
		return HV_EINVAL;
	return HV_OK;
}

static enum hv_err check_data(const struct block_dev *dev, const struct block_request *req)
{
	uint64_t wanted = (uint64_t)req->nr_sectors * dev->sector_bytes, given = 0;

	if (!lies_on_disk(dev, req) || wanted > dev->limits.max_bytes)
		return HV_EINVAL;
	if (req->nr_segs == 0 || req->nr_segs > MIN(dev->limits.max_segs, BLOCK_SEGS_MAX))
		return HV_EINVAL;
	for (uint32_t i = 0; i < req->nr_segs; i++) {
		enum hv_err err = check_seg(&dev->limits, req, i);

		if (err != HV_OK)
			return err;
		given += req->segs[i].len_bytes;
	}
	return given == wanted ? HV_OK : HV_EINVAL;
}

enum hv_err block_check(const struct block_dev *dev, const struct block_request *req)
{
	switch (req->op) {
	case BLOCK_READ:
		return check_data(dev, req);
	case BLOCK_WRITE:
		return dev->is_read_only ? HV_EINVAL : check_data(dev, req);
	case BLOCK_FLUSH:
		return req->sector || req->nr_sectors || req->nr_segs ? HV_EINVAL : HV_OK;
	case BLOCK_DISCARD:
		if (dev->limits.max_discard_sectors == 0)
			return HV_ENOTSUP;
		return !dev->is_read_only && req->nr_segs == 0 && lies_on_disk(dev, req) &&
				       req->nr_sectors <= dev->limits.max_discard_sectors
			       ? HV_OK
			       : HV_EINVAL;
	default:
		return HV_EINVAL;
	}
}
