/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of virtqueues and of virtio over PCI, as short as tests allow.
 */
#include "tests/unit/support/vdriver.h"

#include <stdlib.h>

#define CAP_ID_MSIX   0x11u
#define STATUS_SET_UP (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK)

static void must(enum hv_err err)
{
	if (err != HV_OK)
		abort();
}

static uint16_t get_word(const struct vdriver_queue *q, uint64_t gpa)
{
	uint16_t val;

	must(gmem_read_u16(q->mem, gpa, &val));
	return val;
}

static void set_word(struct vdriver_queue *q, uint64_t gpa, uint16_t val)
{
	must(gmem_write_u16(q->mem, gpa, val));
}

/* ---- rings ---- */

static void zero(const struct gmem *mem, uint64_t gpa, uint64_t end)
{
	static const uint8_t zeros[256];

	for (; gpa < end; gpa += MIN(sizeof(zeros), end - gpa))
		must(gmem_write(mem, gpa, zeros, MIN(sizeof(zeros), end - gpa)));
}

void vdriver_queue_init(struct vdriver_queue *q, const struct gmem *mem, uint16_t size,
			uint64_t gpa)
{
	*q = (struct vdriver_queue){.mem = mem, .size = size, .desc_gpa = gpa};
	q->avail_gpa = q->desc_gpa + 16ull * size;
	q->used_gpa = ALIGN_UP(q->avail_gpa + 6 + 2ull * size, 4);
	zero(mem, gpa, q->used_gpa + 6 + 8ull * size);
}

void vdriver_put_desc(struct vdriver_queue *q, uint64_t table_gpa, uint16_t at,
		      const struct vring_desc *desc)
{
	must(gmem_write(q->mem, table_gpa + 16ull * at, desc, sizeof(*desc)));
}

void vdriver_show_head(struct vdriver_queue *q, uint16_t head)
{
	set_word(q, q->avail_gpa + VRING_AVAIL_RING + 2ull * (q->avail_idx % q->size), head);
	set_word(q, q->avail_gpa + VRING_AVAIL_IDX, ++q->avail_idx);
}

static struct vring_desc desc_of(const struct vdriver_buf *bufs, uint16_t at, uint16_t nr)
{
	return (struct vring_desc){
		.gpa = bufs[at].gpa,
		.len_bytes = bufs[at].len_bytes,
		.flags = (uint16_t)((bufs[at].is_writable ? VRING_DESC_F_WRITE : 0) |
				    (at + 1 < nr ? VRING_DESC_F_NEXT : 0)),
	};
}

uint16_t vdriver_add(struct vdriver_queue *q, const struct vdriver_buf *bufs, uint16_t nr)
{
	uint16_t head = q->next_desc;

	for (uint16_t i = 0; i < nr; i++) {
		struct vring_desc desc = desc_of(bufs, i, nr);
		uint16_t at = q->next_desc;

		q->next_desc = (uint16_t)((at + 1) % q->size);
		desc.next = q->next_desc;
		vdriver_put_desc(q, q->desc_gpa, at, &desc);
	}
	vdriver_show_head(q, head);
	return head;
}

uint16_t vdriver_add_indirect(struct vdriver_queue *q, uint64_t table_gpa,
			      const struct vdriver_buf *bufs, uint16_t nr)
{
	struct vring_desc outer = {
		.gpa = table_gpa, .len_bytes = 16u * nr, .flags = VRING_DESC_F_INDIRECT};
	uint16_t head = q->next_desc;

	for (uint16_t i = 0; i < nr; i++) {
		struct vring_desc desc = desc_of(bufs, i, nr);

		desc.next = (uint16_t)(i + 1);
		vdriver_put_desc(q, table_gpa, i, &desc);
	}
	q->next_desc = (uint16_t)((head + 1) % q->size);
	vdriver_put_desc(q, q->desc_gpa, head, &outer);
	vdriver_show_head(q, head);
	return head;
}

bool vdriver_take(struct vdriver_queue *q, uint32_t *head, uint32_t *len_bytes)
{
	uint32_t words[2];

	if (get_word(q, q->used_gpa + VRING_USED_IDX) == q->used_idx)
		return false;
	must(gmem_read(q->mem, q->used_gpa + VRING_USED_RING + 8ull * (q->used_idx % q->size),
		       words, sizeof(words)));
	q->used_idx++;
	*head = words[0];
	*len_bytes = words[1];
	return true;
}

void vdriver_set_used_event(struct vdriver_queue *q, uint16_t event)
{
	set_word(q, q->avail_gpa + VRING_AVAIL_RING + 2ull * q->size, event);
}

uint16_t vdriver_avail_event(const struct vdriver_queue *q)
{
	return get_word(q, q->used_gpa + VRING_USED_RING + 8ull * q->size);
}

uint16_t vdriver_used_flags(const struct vdriver_queue *q)
{
	return get_word(q, q->used_gpa + VRING_USED_FLAGS);
}

/* ---- the bus ---- */

/* The board hands a device what lies in its rows and nothing else. */
static bool is_in_row(enum io_space space, uint64_t offset, uint8_t size)
{
	return range_fits(offset, size,
			  space == SPACE_PIO ? PCI_HOST_PORTS_BYTES : PCI_HOST_MMIO_BYTES);
}

uint64_t vbus_read(struct vdev *bus, enum io_space space, uint64_t offset, uint8_t size)
{
	struct io_access acc = {.offset = offset, .size = size};

	if (!is_in_row(space, offset, size) || bus->ops->access(bus, space, &acc) != IO_DONE)
		return size == 8 ? UINT64_MAX : BIT(8 * size) - 1;
	return acc.value;
}

void vbus_write(struct vdev *bus, enum io_space space, uint64_t offset, uint8_t size, uint64_t val)
{
	struct io_access acc = {.offset = offset, .size = size, .is_write = true, .value = val};

	if (size < 8)
		acc.value &= BIT(8 * size) - 1;
	if (is_in_row(space, offset, size))
		(void)bus->ops->access(bus, space, &acc);
}

static uint64_t ecam_at(const struct vdriver *d, uint32_t reg)
{
	return LAYOUT_ECAM - PCI_HOST_MMIO + ((uint64_t)d->slot << 15) + reg;
}

uint64_t vdriver_config_read(struct vdriver *d, uint32_t reg, uint8_t size)
{
	return vbus_read(d->bus, SPACE_MMIO, ecam_at(d, reg), size);
}

void vdriver_config_write(struct vdriver *d, uint32_t reg, uint8_t size, uint64_t val)
{
	vbus_write(d->bus, SPACE_MMIO, ecam_at(d, reg), size, val);
}

uint64_t vdriver_read(struct vdriver *d, uint64_t gpa, uint8_t size)
{
	return vbus_read(d->bus, SPACE_MMIO, gpa - PCI_HOST_MMIO, size);
}

void vdriver_write(struct vdriver *d, uint64_t gpa, uint8_t size, uint64_t val)
{
	vbus_write(d->bus, SPACE_MMIO, gpa - PCI_HOST_MMIO, size, val);
}

static uint64_t bar_gpa(struct vdriver *d, uint8_t bar)
{
	return vdriver_config_read(d, PCI_BAR0 + 4u * bar, 8) & ~0xfull;
}

static void note_virtio_cap(struct vdriver *d, uint8_t cap)
{
	uint8_t bar = (uint8_t)vdriver_config_read(d, cap + VIRTIO_PCI_CAP_BAR, 1);
	uint64_t gpa = vdriver_config_read(d, cap + VIRTIO_PCI_CAP_OFFSET, 4) + bar_gpa(d, bar);

	switch (vdriver_config_read(d, cap + 3u, 1)) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		d->common_gpa = gpa;
		break;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		d->notify_gpa = gpa;
		d->notify_multiplier =
			(uint32_t)vdriver_config_read(d, cap + VIRTIO_PCI_CAP_MORE, 4);
		break;
	case VIRTIO_PCI_CAP_ISR_CFG:
		d->isr_gpa = gpa;
		break;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		d->device_gpa = gpa;
		break;
	case VIRTIO_PCI_CAP_PCI_CFG:
		d->pci_cfg_cap = cap;
		break;
	}
}

bool vdriver_find(struct vdriver *d, struct vm *vm, struct vdev *bus, uint32_t slot)
{
	uint8_t cap;

	*d = (struct vdriver){.bus = bus, .vm = vm, .slot = slot};
	if (vdriver_config_read(d, PCI_VENDOR_ID, 2) != VIRTIO_PCI_VENDOR)
		return false;
	vdriver_config_write(d, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	cap = (uint8_t)vdriver_config_read(d, PCI_CAP_POINTER, 1);
	for (; cap; cap = (uint8_t)vdriver_config_read(d, cap + 1u, 1)) {
		if (vdriver_config_read(d, cap, 1) == CAP_ID_MSIX) {
			d->msix_cap = cap;
			d->msix_gpa = bar_gpa(d, vdriver_config_read(d, cap + 4u, 1) & 7);
		} else {
			note_virtio_cap(d, cap);
		}
	}
	return true;
}

void vdriver_enable_msix(struct vdriver *d)
{
	uint16_t nr = (uint16_t)((vdriver_config_read(d, d->msix_cap + 2u, 2) & 0x7ff) + 1);

	for (uint16_t i = 0; i < nr; i++) {
		vdriver_write(d, d->msix_gpa + 16u * i, 8, 0xfee00000);
		vdriver_write(d, d->msix_gpa + 16u * i + 8, 4, 0x4000u + i);
		vdriver_mask_vector(d, i, false);
	}
	vdriver_config_write(d, d->msix_cap + 2u, 2, PCI_MSIX_CONTROL_ENABLE);
}

void vdriver_mask_vector(struct vdriver *d, uint16_t vector, bool is_masked)
{
	vdriver_write(d, d->msix_gpa + 16u * vector + 12, 4, is_masked);
}

/* ---- the device ---- */

bool vdriver_negotiate(struct vdriver *d, uint64_t features)
{
	vdriver_set(d, device_status, 0);
	vdriver_set(d, device_status, VIRTIO_STATUS_ACKNOWLEDGE);
	vdriver_set(d, device_status, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	for (uint32_t i = 0; i < 2; i++) {
		vdriver_set(d, driver_feature_select, i);
		vdriver_set(d, driver_feature, (uint32_t)(features >> (32 * i)));
	}
	vdriver_set(d, device_status, STATUS_SET_UP);
	return vdriver_get(d, device_status) == STATUS_SET_UP;
}

void vdriver_setup_queue(struct vdriver *d, struct vdriver_queue *q, uint16_t index, uint16_t size,
			 uint64_t gpa)
{
	vdriver_queue_init(q, vm_memory(d->vm), size, gpa);
	q->index = index;
	vdriver_set(d, queue_select, index);
	vdriver_set(d, queue_size, size);
	vdriver_set(d, queue_msix_vector, index + 1u);
	vdriver_set(d, queue_desc, q->desc_gpa);
	vdriver_set(d, queue_driver, q->avail_gpa);
	vdriver_set(d, queue_device, q->used_gpa);
	vdriver_set(d, queue_enable, 1);
}

void vdriver_ready(struct vdriver *d)
{
	vdriver_set(d, device_status, STATUS_SET_UP | VIRTIO_STATUS_DRIVER_OK);
}

void vdriver_kick(struct vdriver *d, const struct vdriver_queue *q)
{
	vdriver_set(d, queue_select, q->index);
	vdriver_write(d, d->notify_gpa + d->notify_multiplier * vdriver_get(d, queue_notify_off), 2,
		      q->index);
}
