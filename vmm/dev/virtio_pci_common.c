/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [VIRTIO] "Common configuration structure layout": the registers by which a driver sets the device
 * up. A read looks at a picture of all of them; a write finds its field and does what that one
 * does.
 */
#include "kernel/lib/string.h"
#include "vmm/dev/virtio_pci_priv.h"

/* ---- reading ---- */

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static void fill_queue_part(const struct virtio_pci *vp, struct virtio_common *common)
{
	const struct virtio_queue *queue;

	if (vp->queue_select >= vp->ops->nr_queues)
		return; /* size 0: there is no such queue */
	queue = &vp->queues[vp->queue_select];
	common->queue_size = queue->size;
	common->queue_msix_vector = queue->vector;
	common->queue_enable = queue->is_enabled;
	common->queue_notify_off = vp->queue_select;
	common->queue_desc = queue->desc_gpa;
	common->queue_driver = queue->driver_gpa;
	common->queue_device = queue->device_gpa;
	common->queue_notify_data = vp->queue_select;
}

uint64_t virtio_common_read(const struct virtio_pci *vp, uint64_t offset, uint8_t size)
{
	bool needs_reset = __atomic_load_n(&vp->needs_reset, __ATOMIC_RELAXED);
	struct virtio_common common = {
		.device_feature_select = vp->device_feature_select,
		.device_feature = feature_word(virtio_pci_offered(vp), vp->device_feature_select),
		.driver_feature_select = vp->driver_feature_select,
		.driver_feature = feature_word(vp->driver_features, vp->driver_feature_select),
		.config_msix_vector = vp->config_vector,
		.num_queues = vp->ops->nr_queues,
		.device_status = vp->status | (needs_reset ? VIRTIO_STATUS_NEEDS_RESET : 0),
		.queue_select = vp->queue_select,
		.queue_msix_vector = VIRTIO_NO_VECTOR,
	};
	uint64_t val = 0;

	fill_queue_part(vp, &common);
	if (range_fits(offset, size, sizeof(common)))
		memcpy(&val, (const uint8_t *)&common + offset, size);
	return val;
}

/* ---- writing ---- */

static void write_driver_feature(struct virtio_pci *vp, uint32_t val)
{
	uint32_t shift;

	if (vp->status & VIRTIO_STATUS_FEATURES_OK)
		return;
	if (vp->driver_feature_select >= 2) {
		vp->has_alien_features |= val != 0;
		return;
	}
	shift = 32 * vp->driver_feature_select;
	vp->driver_features &= ~(0xffffffffull << shift);
	vp->driver_features |= (uint64_t)val << shift;
}

/* A vector that there is, or none: the driver reads back what became of its wish. */
static uint16_t vector_or_none(const struct virtio_pci *vp, uint64_t val)
{
	return val < vp->fn.msix.nr_vectors ? (uint16_t)val : VIRTIO_NO_VECTOR;
}

static void set_address(uint64_t *gpa, uint64_t in_field, uint8_t size, uint64_t val)
{
	if (size == 8 && in_field == 0)
		*gpa = val;
	else if (size == 4 && in_field == 0)
		*gpa = (*gpa & 0xffffffff00000000ull) | val;
	else if (size == 4 && in_field == 4)
		*gpa = (*gpa & 0x00000000ffffffffull) | val << 32;
}

static void set_queue_size(struct virtio_pci *vp, struct virtio_queue *queue, uint16_t val)
{
	if (val && val <= vp->ops->queue_max && !(val & (val - 1)))
		queue->size = val;
}

/* What a driver sets up before it enables the queue. */
static void write_queue_setup(struct virtio_pci *vp, struct virtio_queue *queue, uint64_t offset,
			      uint8_t size, uint64_t val)
{
	uint64_t field = ALIGN_DOWN(offset, 8);

	if (queue->is_enabled)
		return;
	if (offset == offsetof(struct virtio_common, queue_size) && size == 2)
		set_queue_size(vp, queue, (uint16_t)val);
	else if (field == offsetof(struct virtio_common, queue_desc))
		set_address(&queue->desc_gpa, offset - field, size, val);
	else if (field == offsetof(struct virtio_common, queue_driver))
		set_address(&queue->driver_gpa, offset - field, size, val);
	else if (field == offsetof(struct virtio_common, queue_device))
		set_address(&queue->device_gpa, offset - field, size, val);
}

static void write_queue_part(struct virtio_pci *vp, uint64_t offset, uint8_t size, uint64_t val)
{
	struct virtio_queue *queue;

	if (vp->queue_select >= vp->ops->nr_queues)
		return;
	queue = &vp->queues[vp->queue_select];
	switch (offset) {
	case offsetof(struct virtio_common, queue_msix_vector):
		lock_take(&queue->vring.lock);
		queue->vector = vector_or_none(vp, val);
		lock_release(&queue->vring.lock);
		break;
	case offsetof(struct virtio_common, queue_enable):
		if (val == 1)
			virtio_pci_enable_queue(vp, vp->queue_select);
		break;
	case offsetof(struct virtio_common, queue_reset):
		if (val == 1 && virtio_pci_has(vp, VIRTIO_F_RING_RESET))
			virtio_pci_reset_queue(vp, vp->queue_select);
		break;
	default:
		write_queue_setup(vp, queue, offset, size, val);
	}
}

/* Fields are written whole, the addresses by halves too; a write of another width does nothing. */
static uint8_t field_bytes(uint64_t offset, uint8_t size)
{
	if (offset < offsetof(struct virtio_common, config_msix_vector))
		return 4;
	if (offset == offsetof(struct virtio_common, device_status))
		return 1;
	if (offset >= offsetof(struct virtio_common, queue_desc) &&
	    offset < offsetof(struct virtio_common, queue_notify_data))
		return size;
	return 2;
}

void virtio_common_write(struct virtio_pci *vp, uint64_t offset, uint8_t size, uint64_t val)
{
	if (size != field_bytes(offset, size))
		return;
	switch (offset) {
	case offsetof(struct virtio_common, device_feature_select):
		vp->device_feature_select = (uint32_t)val;
		break;
	case offsetof(struct virtio_common, driver_feature_select):
		vp->driver_feature_select = (uint32_t)val;
		break;
	case offsetof(struct virtio_common, driver_feature):
		write_driver_feature(vp, (uint32_t)val);
		break;
	case offsetof(struct virtio_common, config_msix_vector):
		__atomic_store_n(&vp->config_vector, vector_or_none(vp, val), __ATOMIC_RELAXED);
		break;
	case offsetof(struct virtio_common, device_status):
		virtio_pci_write_status(vp, (uint8_t)val);
		break;
	case offsetof(struct virtio_common, queue_select):
		vp->queue_select = (uint16_t)val;
		break;
	default:
		write_queue_part(vp, offset, size, val);
	}
}
