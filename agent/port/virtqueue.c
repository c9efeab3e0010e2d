/* SPDX-License-Identifier: Apache-2.0 */
/* Free descriptors form a list through their next fields; a chain is taken from its head. */
#include "agent/port/virtqueue.h"

#include "kernel/lib/assert.h"

void vq_init(struct vq *q, struct vq_rings *rings, uint16_t size)
{
	uint16_t i;

	ASSERT(size > 0 && size <= VQ_SIZE_MAX && (size & (size - 1)) == 0);
	*q = (struct vq){.rings = rings, .size = size, .nr_free = size};
	for (i = 0; i < size; i++)
		rings->desc[i].next = (uint16_t)(i + 1);
}

static uint16_t fill_chain(struct vq *q, const struct vq_part *parts, unsigned nr_out, unsigned nr)
{
	uint16_t head = q->free_head, at = head, last = head;
	struct vq_desc *desc = q->rings->desc;
	unsigned i;

	for (i = 0; i < nr; i++) {
		desc[at].addr = (uintptr_t)parts[i].at;
		desc[at].len = parts[i].len;
		desc[at].flags = (uint16_t)((i + 1 < nr ? VQ_DESC_F_NEXT : 0) |
					    (i >= nr_out ? VQ_DESC_F_WRITE : 0));
		if (i >= nr_out)
			q->chains[head].writable += parts[i].len;
		last = at;
		at = desc[at].next;
	}
	q->free_head = desc[last].next;
	return head;
}

enum hv_err vq_add(struct vq *q, const struct vq_part *parts, unsigned nr_out, unsigned nr_in,
		   void *token)
{
	unsigned nr = nr_out + nr_in;
	struct vq_avail *avail = &q->rings->avail;
	uint16_t head;

	ASSERT(nr > 0 && token);
	if (q->is_broken)
		return HV_EIO;
	if (nr > q->nr_free)
		return HV_EBUSY;
	q->chains[q->free_head].writable = 0;
	head = fill_chain(q, parts, nr_out, nr);
	q->chains[head].token = token;
	q->chains[head].nr = (uint16_t)nr;
	q->nr_free = (uint16_t)(q->nr_free - nr);
	avail->ring[avail->idx & (q->size - 1)] = head;
	/* The entry is written before the index that makes it the device's. */
	__atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1), __ATOMIC_RELEASE);
	return HV_OK;
}

static void free_chain(struct vq *q, uint16_t head)
{
	uint16_t at = head, i;

	for (i = 1; i < q->chains[head].nr; i++)
		at = q->rings->desc[at].next;
	q->rings->desc[at].next = q->free_head;
	q->free_head = head;
	q->nr_free = (uint16_t)(q->nr_free + q->chains[head].nr);
	q->chains[head].token = NULL;
}

void *vq_get(struct vq *q, uint32_t *written)
{
	uint32_t id, len;
	void *token;

	/* The index is read before the entries that it makes ours. */
	if (q->is_broken || __atomic_load_n(&q->rings->used.idx, __ATOMIC_ACQUIRE) == q->used_idx)
		return NULL;
	id = q->rings->used.ring[q->used_idx & (q->size - 1)].id;
	len = q->rings->used.ring[q->used_idx & (q->size - 1)].len;
	if (id >= q->size || !q->chains[id].token || len > q->chains[id].writable) {
		q->is_broken = true;
		return NULL;
	}
	q->used_idx++;
	token = q->chains[id].token;
	*written = len;
	free_chain(q, (uint16_t)id);
	return token;
}
