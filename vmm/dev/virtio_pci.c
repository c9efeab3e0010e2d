/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modern virtio transport: registers in BAR 0, the device's status, and the way from a queue to
 * an interrupt. What a driver must not do has no effect here, or the device asks for a reset.
 */
#include "vmm/dev/virtio_pci.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "vmm/dev/virtio_pci_priv.h"

#define RING_FEATURES                                                                              \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_RESET)

#define PCI_CFG_DATA_BYTES 4u

static struct virtio_pci *vp_of(struct pci_fn *fn)
{
	return container_of(fn, struct virtio_pci, fn);
}

uint64_t virtio_pci_offered(const struct virtio_pci *vp)
{
	return vp->ops->features | RING_FEATURES;
}

bool virtio_pci_has(const struct virtio_pci *vp, uint64_t feature)
{
	return vp->driver_features & feature;
}

/* ---- from a queue to the driver ---- */

static void tell_config(struct virtio_pci *vp)
{
	__atomic_or_fetch(&vp->isr, VIRTIO_ISR_CONFIG, __ATOMIC_SEQ_CST);
	pci_msix_signal(&vp->fn, __atomic_load_n(&vp->config_vector, __ATOMIC_RELAXED));
}

static void tell_queue(struct virtio_pci *vp, const struct virtio_queue *queue)
{
	if (pci_msix_is_enabled(&vp->fn))
		pci_msix_signal(&vp->fn, queue->vector);
	else
		__atomic_or_fetch(&vp->isr, VIRTIO_ISR_QUEUE, __ATOMIC_SEQ_CST);
}

/* [VIRTIO] "Device Status Field": the driver is told by a configuration change. */
static void ask_for_reset(struct virtio_pci *vp, uint32_t queue, const char *why)
{
	__atomic_store_n(&vp->needs_reset, true, __ATOMIC_SEQ_CST);
	vm_log(vp->fn.vm, LOG_WARN, vp->ops->name, "queue %u: %s; waits for a reset", queue, why);
	tell_config(vp);
}

struct vring *virtio_queue_take(struct virtio_pci *vp, uint32_t queue)
{
	ASSERT(queue < vp->ops->nr_queues);
	lock_take(&vp->queues[queue].vring.lock);
	return &vp->queues[queue].vring;
}

void virtio_queue_show(struct virtio_pci *vp, uint32_t queue)
{
	struct virtio_queue *q = &vp->queues[queue];

	if (vring_flush(&q->vring))
		tell_queue(vp, q);
	if (q->vring.broken_why && !q->has_told_broken) {
		q->has_told_broken = true;
		ask_for_reset(vp, queue, q->vring.broken_why);
	}
}

void virtio_queue_give(struct virtio_pci *vp, uint32_t queue)
{
	struct vring *vring = &vp->queues[queue].vring;

	if (vring->nr_put || vring->broken_why)
		virtio_queue_show(vp, queue);
	lock_release(&vring->lock);
}

void virtio_pci_notify(struct virtio_pci *vp, uint32_t queue)
{
	if (queue < vp->ops->nr_queues)
		vp->ops->notify(vp, queue);
}

/* ---- life of a queue ---- */

static bool may_run(const struct virtio_pci *vp)
{
	return vp->status & VIRTIO_STATUS_DRIVER_OK && pci_fn_is_master(&vp->fn);
}

/* True when the queue has just come to life. */
static bool update_queue(struct virtio_pci *vp, uint32_t index)
{
	struct virtio_queue *queue = &vp->queues[index];
	bool was_live;

	lock_take(&queue->vring.lock);
	was_live = queue->vring.is_live;
	queue->vring.is_live = queue->is_enabled && may_run(vp);
	if (queue->vring.is_live && vp->ops->quiet_queues & BIT(index))
		vring_quiet(&queue->vring);
	lock_release(&queue->vring.lock);
	return !was_live && queue->vring.is_live;
}

/* What makes queues live has changed. A driver may have filled them, and told us, too early. */
static void update_queues(struct virtio_pci *vp)
{
	for (uint32_t i = 0; i < vp->ops->nr_queues; i++)
		if (update_queue(vp, i))
			vp->ops->notify(vp, i);
}

void virtio_pci_reset_queue(struct virtio_pci *vp, uint32_t index)
{
	struct virtio_queue *queue = &vp->queues[index];

	lock_take(&queue->vring.lock);
	vring_reset(&queue->vring);
	queue->size = vp->ops->queue_max;
	queue->vector = VIRTIO_NO_VECTOR;
	queue->is_enabled = queue->has_told_broken = false;
	queue->desc_gpa = queue->driver_gpa = queue->device_gpa = 0;
	lock_release(&queue->vring.lock);
}

void virtio_pci_enable_queue(struct virtio_pci *vp, uint32_t index)
{
	struct virtio_queue *queue = &vp->queues[index];
	enum hv_err err;

	if (queue->is_enabled || !(vp->status & VIRTIO_STATUS_FEATURES_OK))
		return;
	lock_take(&queue->vring.lock);
	err = vring_setup(&queue->vring, queue->size, queue->desc_gpa, queue->driver_gpa,
			  queue->device_gpa, vp->driver_features);
	queue->is_enabled = err == HV_OK;
	lock_release(&queue->vring.lock);
	if (err != HV_OK)
		ask_for_reset(vp, index, "rings are misaligned or not in RAM");
	update_queues(vp);
}

/* ---- status ---- */

static void reset_device(struct virtio_pci *vp)
{
	/* The queues first: when they are idle, no data path looks at the rest. */
	for (uint32_t i = 0; i < vp->ops->nr_queues; i++)
		virtio_pci_reset_queue(vp, i);
	vp->device_feature_select = vp->driver_feature_select = 0;
	vp->driver_features = 0;
	vp->has_alien_features = false;
	vp->queue_select = 0;
	vp->status = 0;
	__atomic_store_n(&vp->config_vector, VIRTIO_NO_VECTOR, __ATOMIC_RELAXED);
	__atomic_store_n(&vp->needs_reset, false, __ATOMIC_RELAXED);
	__atomic_store_n(&vp->isr, 0, __ATOMIC_RELAXED);
	if (vp->ops->reset)
		vp->ops->reset(vp);
}

static bool features_are_fine(struct virtio_pci *vp)
{
	return !vp->has_alien_features && !(vp->driver_features & ~virtio_pci_offered(vp)) &&
	       virtio_pci_has(vp, VIRTIO_F_VERSION_1) &&
	       (!vp->ops->agree || vp->ops->agree(vp, vp->driver_features));
}

/* Bits are only ever added; [VIRTIO] has the driver write 0 to take them away. */
void virtio_pci_write_status(struct virtio_pci *vp, uint8_t val)
{
	uint8_t added = (uint8_t)(val & ~vp->status & ~VIRTIO_STATUS_NEEDS_RESET);

	if (val == 0) {
		reset_device(vp);
		return;
	}
	if (added & VIRTIO_STATUS_FEATURES_OK && !features_are_fine(vp))
		added = (uint8_t)(added & ~VIRTIO_STATUS_FEATURES_OK);
	vp->status |= added;
	if (!(vp->status & VIRTIO_STATUS_FEATURES_OK))
		vp->status = (uint8_t)(vp->status & ~VIRTIO_STATUS_DRIVER_OK);
	if (!(added & VIRTIO_STATUS_DRIVER_OK))
		return;
	if (!pci_fn_is_master(&vp->fn))
		vm_log(vp->fn.vm, LOG_WARN, vp->ops->name, "driver is ready but not bus master");
	update_queues(vp);
}

/* ---- BAR 0 ---- */

static uint64_t read_bar(struct virtio_pci *vp, uint64_t offset, uint8_t size)
{
	uint64_t val = 0;

	if (offset < VIRTIO_PCI_ISR)
		return virtio_common_read(vp, offset, size);
	if (offset == VIRTIO_PCI_ISR)
		return __atomic_exchange_n(&vp->isr, 0, __ATOMIC_SEQ_CST);
	if (offset >= VIRTIO_PCI_DEVICE &&
	    range_fits(offset - VIRTIO_PCI_DEVICE, size, sizeof(vp->config)))
		memcpy(&val, vp->config + (offset - VIRTIO_PCI_DEVICE), size);
	return val;
}

static void write_bar(struct virtio_pci *vp, uint64_t offset, uint8_t size, uint64_t val)
{
	if (offset < VIRTIO_PCI_ISR)
		virtio_common_write(vp, offset, size, val);
	else if (offset >= VIRTIO_PCI_NOTIFY && offset % VIRTIO_NOTIFY_MULTIPLIER == 0)
		virtio_pci_notify(vp, (uint32_t)(offset - VIRTIO_PCI_NOTIFY) /
					      VIRTIO_NOTIFY_MULTIPLIER);
}

static enum io_result bar_access(struct pci_fn *fn, unsigned bar, struct io_access *acc)
{
	struct virtio_pci *vp = vp_of(fn);

	ASSERT(bar == VIRTIO_PCI_BAR);
	if (acc->is_write)
		write_bar(vp, acc->offset, acc->size, acc->value);
	else
		acc->value = read_bar(vp, acc->offset, acc->size);
	return IO_DONE;
}

/* ---- [VIRTIO] "PCI configuration access capability": into the BARs without mapping them ---- */

static bool touches_pci_cfg_data(const struct virtio_pci *vp, uint32_t offset, uint32_t size)
{
	uint32_t at = vp->pci_cfg_cap + VIRTIO_PCI_CAP_MORE;

	return offset < at + PCI_CFG_DATA_BYTES && at < offset + size;
}

static void pci_cfg_access(struct virtio_pci *vp, bool is_write)
{
	uint8_t *cap = vp->fn.config + vp->pci_cfg_cap;
	uint32_t len = get_le32(cap + VIRTIO_PCI_CAP_LENGTH);
	struct io_access acc = {
		.offset = get_le32(cap + VIRTIO_PCI_CAP_OFFSET),
		.size = (uint8_t)len,
		.is_write = is_write,
	};

	if (cap[VIRTIO_PCI_CAP_BAR] >= PCI_BARS || (len != 1 && len != 2 && len != 4) ||
	    acc.offset % len)
		return;
	memcpy(&acc.value, cap + VIRTIO_PCI_CAP_MORE, is_write ? len : 0);
	if (pci_fn_access(&vp->fn, cap[VIRTIO_PCI_CAP_BAR], &acc) == IO_DONE && !is_write)
		memcpy(cap + VIRTIO_PCI_CAP_MORE, &acc.value, len);
}

static void config_reads(struct pci_fn *fn, uint32_t offset, uint32_t size)
{
	if (touches_pci_cfg_data(vp_of(fn), offset, size))
		pci_cfg_access(vp_of(fn), false);
}

static void config_wrote(struct pci_fn *fn, uint32_t offset, uint32_t size)
{
	if (touches_pci_cfg_data(vp_of(fn), offset, size))
		pci_cfg_access(vp_of(fn), true);
}

/* ---- the function ---- */

static void fn_moved(struct pci_fn *fn)
{
	update_queues(vp_of(fn));
}

static void fn_reset(struct pci_fn *fn)
{
	reset_device(vp_of(fn));
}

static void fn_destroy(struct pci_fn *fn)
{
	vp_of(fn)->ops->destroy(vp_of(fn));
}

static void fn_doorbell(struct pci_fn *fn, uint32_t offset)
{
	if (offset % VIRTIO_NOTIFY_MULTIPLIER == 0)
		virtio_pci_notify(vp_of(fn), offset / VIRTIO_NOTIFY_MULTIPLIER);
}

static const struct pci_fn_ops fn_ops = {
	.bar_access = bar_access,
	.doorbell = fn_doorbell,
	.moved = fn_moved,
	.config_reads = config_reads,
	.config_wrote = config_wrote,
	.reset = fn_reset,
	.destroy = fn_destroy,
};

static uint8_t add_cap(struct virtio_pci *vp, uint8_t type, uint8_t bar, uint32_t offset,
		       uint32_t len, uint8_t body_len)
{
	uint8_t body[18] = {0}; /* what follows ID and next pointer */

	ASSERT(body_len <= sizeof(body));
	body[0] = (uint8_t)(body_len + 2);
	body[1] = type;
	body[2] = bar;
	put_le32(body + VIRTIO_PCI_CAP_OFFSET - 2, offset);
	put_le32(body + VIRTIO_PCI_CAP_LENGTH - 2, len);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		put_le32(body + VIRTIO_PCI_CAP_MORE - 2, VIRTIO_NOTIFY_MULTIPLIER);
	return pci_fn_add_cap(&vp->fn, VIRTIO_PCI_CAP_VENDOR, body, body_len);
}

static void add_caps(struct virtio_pci *vp)
{
	uint8_t at;

	uint32_t notify_len = VIRTIO_NOTIFY_MULTIPLIER * vp->ops->nr_queues;

	add_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_BAR, VIRTIO_PCI_COMMON,
		sizeof(struct virtio_common), 14);
	/* Drivers take the first that they can use: ports, else memory. */
	add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_IO_BAR, 0, notify_len, 18);
	add_cap(vp, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_BAR, VIRTIO_PCI_NOTIFY, notify_len, 18);
	add_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_BAR, VIRTIO_PCI_ISR, 1, 14);
	if (vp->config_len)
		add_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_BAR, VIRTIO_PCI_DEVICE,
			vp->config_len, 14);
	at = add_cap(vp, VIRTIO_PCI_CAP_PCI_CFG, VIRTIO_PCI_BAR, 0, 0, 18);
	pci_fn_let_write(&vp->fn, at + VIRTIO_PCI_CAP_BAR, 1);
	pci_fn_let_write(&vp->fn, at + VIRTIO_PCI_CAP_OFFSET, 4 + 4 + PCI_CFG_DATA_BYTES);
	vp->pci_cfg_cap = at;
}

void virtio_pci_init(struct virtio_pci *vp, struct vm *vm, const struct virtio_ops *ops)
{
	struct pci_id id = {
		.vendor = VIRTIO_PCI_VENDOR,
		.device = (uint16_t)(VIRTIO_PCI_ID_BASE + ops->id),
		.subsystem_vendor = VIRTIO_PCI_VENDOR,
		.subsystem = (uint16_t)(VIRTIO_PCI_ID_BASE + ops->id),
		.class_code = ops->class_code,
		.revision = 1,
	};

	ASSERT(ops->nr_queues <= VIRTIO_QUEUES_MAX && ops->queue_max <= VRING_SIZE_MAX);
	ASSERT(vp->config_len <= VIRTIO_CONFIG_MAX);
	vp->ops = ops;
	for (uint32_t i = 0; i < ops->nr_queues; i++)
		vring_init(&vp->queues[i].vring, vm_memory(vm));
	pci_fn_init(&vp->fn, vm, &fn_ops, &id);
	pci_fn_add_bar(&vp->fn, VIRTIO_PCI_BAR, VIRTIO_PCI_BYTES);
	pci_fn_add_msix(&vp->fn, VIRTIO_PCI_MSIX_BAR, (uint16_t)(ops->nr_queues + 1));
	pci_fn_add_io_bar(&vp->fn, VIRTIO_PCI_IO_BAR);
	add_caps(vp);
}
