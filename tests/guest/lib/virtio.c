/* SPDX-License-Identifier: Apache-2.0 */
/* Source: [VIRTIO] "Virtio Over PCI Bus", "Split Virtqueues". */
#include "tests/guest/lib/virtio.h"

#define CAP_VENDOR 0x09
#define CAP_MSIX   0x11

static void map(struct virtio *v)
{
	for (uint32_t at = pci_find_cap(v->dev, CAP_VENDOR, 0); at;
	     at = pci_find_cap(v->dev, CAP_VENDOR, at)) {
		uint32_t type = pci_read(v->dev, at) >> 24, bar = pci_read(v->dev, at + 4) & 0xff;
		uint64_t base = bar < 6 ? pci_bar(v->dev, bar) + pci_read(v->dev, at + 8) : 0;

		if (type == 1)
			v->common = base;
		if (type == 2 && pci_read(v->dev, 0x10 + 4 * bar) & 1) {
			v->notify_port = (uint16_t)base;
		} else if (type == 2) {
			v->notify = base;
			v->notify_multiplier = pci_read(v->dev, at + 16);
		}
		if (type == 3)
			v->isr = base;
		if (type == 4)
			v->config = base;
	}
}

bool virtio_open(struct virtio *v, uint16_t id)
{
	return virtio_open_with(v, id, 0);
}

bool virtio_open_with(struct virtio *v, uint16_t id, uint32_t features)
{
	int dev = pci_find(0x1af4, (uint16_t)(0x1040 + id));

	if (dev < 0)
		return false;
	*v = (struct virtio){.dev = (uint32_t)dev};
	pci_write(v->dev, 4, pci_read(v->dev, 4) | 6);
	map(v);
	if (!v->common || !v->notify)
		return false;
	write8(v->common + 20, 0);
	write8(v->common + 20, 1);
	write8(v->common + 20, 3);
	write32(v->common + 8, 0);
	write32(v->common + 12, features);
	write32(v->common + 8, 1);
	write32(v->common + 12, 1); /* VERSION_1: bit 32 */
	write8(v->common + 20, 11);
	return read8(v->common + 20) & 8;
}

void virtio_msix(struct virtio *v, uint32_t entry, uint8_t vector)
{
	uint32_t cap = pci_find_cap(v->dev, CAP_MSIX, 0), where = pci_read(v->dev, cap + 4);
	uint64_t at = pci_bar(v->dev, where & 7) + (where & ~7u) + 16 * entry;

	write32(at, 0xfee00000);
	write32(at + 4, 0);
	write32(at + 8, vector);
	write32(at + 12, 0);
	pci_write(v->dev, cap, pci_read(v->dev, cap) | 1u << 31);
}

void virtio_queue_open(struct virtio *v, uint16_t nr, struct virtio_queue *q, uint16_t entry)
{
	write16(v->common + 22, nr);
	write16(v->common + 24, VIRTIO_QUEUE_SIZE);
	write16(v->common + 26, entry);
	write64(v->common + 32, (uint64_t)q->desc);
	write64(v->common + 40, (uint64_t)&q->avail);
	write64(v->common + 48, (uint64_t)&q->used);
	q->notify_at = v->notify + read16(v->common + 30) * v->notify_multiplier;
	write16(v->common + 28, 1);
}

void virtio_start(struct virtio *v)
{
	write8(v->common + 20, 15);
}

void virtio_give(struct virtio_queue *q, uint16_t slot, void *buf, uint32_t len, bool is_writable)
{
	volatile uint16_t *idx = &q->avail.idx;

	q->desc[slot] = (struct virtio_desc){(uint64_t)buf, len, is_writable ? 2 : 0, 0};
	q->avail.ring[*idx % VIRTIO_QUEUE_SIZE] = slot;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*idx = (uint16_t)(*idx + 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->notify_port)
		out16(q->notify_port, 0);
	else
		write16(q->notify_at, 0);
}

int64_t virtio_take(struct virtio_queue *q, uint16_t *slot)
{
	uint32_t at = q->seen % VIRTIO_QUEUE_SIZE;

	if (*(volatile uint16_t *)&q->used.idx == q->seen)
		return -1;
	q->seen++;
	*slot = (uint16_t)q->used.ring[at].id;
	return q->used.ring[at].len;
}
