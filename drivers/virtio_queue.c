/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free descriptors form a list through next_free, which the device cannot write; a chain is taken
 * from its head, and goes back there, so n chains of one descriptor each take the first n only. A
 * chain of several pieces takes a single descriptor where its head has a table.
 */
#include "drivers/virtio_queue.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define AVAIL_BYTES(size) (2u * (3u + (size)))
#define USED_BYTES(size)  (2u * 3u + 8u * (size))
#define USED_ALIGN	  64u /* 4 would do; a cache line of its own for what the device writes */

static bool is_power_of_two(uint32_t val)
{
	return val && (val & (val - 1)) == 0;
}

struct virtq_layout virtq_layout(const struct virtq_shape *shape)
{
	const size_t desc_bytes = sizeof(struct virtq_desc);
	struct virtq_layout layout;

	ASSERT(is_power_of_two(shape->size) && shape->size <= VIRTQ_SIZE_MAX &&
	       shape->nr_tables <= shape->size);
	layout.avail = shape->size * desc_bytes;
	layout.used = ALIGN_UP(layout.avail + AVAIL_BYTES(shape->size), USED_ALIGN);
	layout.tables = ALIGN_UP(layout.used + USED_BYTES(shape->size), desc_bytes);
	layout.len_bytes = layout.tables + (size_t)shape->nr_tables * shape->table_max * desc_bytes;
	return layout;
}

void virtq_init(struct virtq *q, void *memory, uint64_t bus, const struct virtq_shape *shape)
{
	struct virtq_layout layout = virtq_layout(shape);
	uint8_t *at = memory;

	memset(memory, 0, layout.tables);
	memset(q, 0, sizeof(*q));
	q->shape = *shape;
	q->descs = memory;
	q->avail = (volatile uint16_t *)(at + layout.avail);
	q->used = (volatile uint16_t *)(at + layout.used);
	q->tables = (volatile struct virtq_desc *)(at + layout.tables);
	q->tables_bus = bus + layout.tables;
	q->nr_free = shape->size;
	for (uint16_t i = 0; i < shape->size; i++)
		q->next_free[i] = (uint16_t)(i + 1);
}

static volatile uint16_t *used_event(struct virtq *q)
{
	return q->avail + VIRTQ_RING + q->shape.size;
}

static uint16_t avail_event(const struct virtq *q)
{
	return q->used[VIRTQ_RING + 4 * q->shape.size];
}

static void put_piece(volatile struct virtq_desc *desc, const struct virtq_piece *piece,
		      bool is_writable, bool is_last, uint16_t next)
{
	desc->bus = piece->bus;
	desc->len_bytes = piece->len_bytes;
	desc->flags = (uint16_t)((is_writable ? VIRTQ_DESC_F_WRITE : 0) |
				 (is_last ? 0 : VIRTQ_DESC_F_NEXT));
	desc->next = is_last ? 0 : next;
}

/* The pieces into the head's table, and the table into the head; returns descriptors taken. */
static uint16_t fill_table(struct virtq *q, const struct virtq_piece *pieces, uint32_t nr_out,
			   uint32_t nr)
{
	uint16_t head = q->free_head;
	size_t first = (size_t)head * q->shape.table_max;

	for (uint32_t i = 0; i < nr; i++)
		put_piece(q->tables + first + i, &pieces[i], i >= nr_out, i + 1 == nr,
			  (uint16_t)(i + 1));
	q->descs[head].bus = q->tables_bus + first * sizeof(struct virtq_desc);
	q->descs[head].len_bytes = (uint32_t)(nr * sizeof(struct virtq_desc));
	q->descs[head].flags = VIRTQ_DESC_F_INDIRECT;
	q->descs[head].next = 0;
	q->free_head = q->next_free[head];
	return 1;
}

static uint16_t fill_chain(struct virtq *q, const struct virtq_piece *pieces, uint32_t nr_out,
			   uint32_t nr)
{
	uint16_t at = q->free_head;

	for (uint32_t i = 0; i < nr; i++) {
		put_piece(&q->descs[at], &pieces[i], i >= nr_out, i + 1 == nr, q->next_free[at]);
		at = q->next_free[at];
	}
	q->free_head = at;
	return (uint16_t)nr;
}

enum hv_err virtq_add(struct virtq *q, const struct virtq_piece *pieces, uint32_t nr_out,
		      uint32_t nr_in, void *token)
{
	uint32_t nr = nr_out + nr_in;
	uint16_t head = q->free_head;
	bool has_table = nr > 1 && nr <= q->shape.table_max && head < q->shape.nr_tables;
	struct virtq_chain *chain;

	ASSERT(nr > 0 && nr <= q->shape.size && token);
	if (q->is_broken)
		return HV_EIO;
	if ((has_table ? 1 : nr) > q->nr_free)
		return HV_EBUSY;

	chain = &q->chains[head];
	*chain = (struct virtq_chain){.token = token};
	for (uint32_t i = nr_out; i < nr; i++)
		chain->writable_bytes += pieces[i].len_bytes;
	chain->nr_descs = (has_table ? fill_table : fill_chain)(q, pieces, nr_out, nr);
	q->nr_free = (uint16_t)(q->nr_free - chain->nr_descs);
	q->nr_out++;
	q->avail[VIRTQ_RING + (q->next_avail & (q->shape.size - 1))] = head;
	q->next_avail++;
	return HV_OK;
}

bool virtq_show(struct virtq *q)
{
	uint16_t old = q->shown;

	if (q->next_avail == old)
		return false;
	q->shown = q->next_avail;
	/* The entries and descriptors before the index that makes them the device's. */
	__atomic_store_n(&q->avail[VIRTQ_IDX], q->shown, __ATOMIC_RELEASE);
	/* The write of the index before the read of what the device wants to hear of. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->shape.has_event_idx)
		return (uint16_t)(q->shown - avail_event(q) - 1) < (uint16_t)(q->shown - old);
	return !(q->used[VIRTQ_FLAGS] & VIRTQ_USED_F_NO_NOTIFY);
}

bool virtq_has_used(const struct virtq *q)
{
	return !q->is_broken && q->used[VIRTQ_IDX] != q->next_used;
}

static void free_chain(struct virtq *q, uint16_t head)
{
	uint16_t last = head;

	for (uint16_t i = 1; i < q->chains[head].nr_descs; i++)
		last = q->next_free[last];
	q->next_free[last] = q->free_head;
	q->free_head = head;
	q->nr_free = (uint16_t)(q->nr_free + q->chains[head].nr_descs);
	q->nr_out--;
	q->chains[head].token = NULL;
}

/* The next used entry, read once, if it can be true. */
static bool read_used(struct virtq *q, uint16_t *head, uint32_t *written_bytes)
{
	/* The read of the index before those of the entries that it makes ours. */
	uint16_t nr_new =
		(uint16_t)(__atomic_load_n(&q->used[VIRTQ_IDX], __ATOMIC_ACQUIRE) - q->next_used);
	volatile uint32_t *entry = (volatile uint32_t *)(q->used + VIRTQ_RING) +
				   2 * (q->next_used & (q->shape.size - 1));
	uint32_t id, len;

	if (nr_new == 0)
		return false;
	id = entry[0];
	len = entry[1];
	q->is_broken = nr_new > q->nr_out || id >= q->shape.size || !q->chains[id].token ||
		       len > q->chains[id].writable_bytes;
	*head = (uint16_t)id;
	*written_bytes = len;
	return !q->is_broken;
}

void *virtq_get(struct virtq *q, uint32_t *written_bytes)
{
	uint16_t head;
	void *token;

	if (q->is_broken || !read_used(q, &head, written_bytes))
		return NULL;
	q->next_used++;
	token = q->chains[head].token;
	free_chain(q, head);
	return token;
}

bool virtq_listen(struct virtq *q)
{
	if (q->shape.has_event_idx)
		*used_event(q) = q->next_used;
	else
		q->avail[VIRTQ_FLAGS] = 0;
	/* The write of what we want to hear of before the read of what is there. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtq_has_used(q);
}

void virtq_mute(struct virtq *q)
{
	if (q->shape.has_event_idx)
		*used_event(q) = (uint16_t)(q->next_used - 1);
	else
		q->avail[VIRTQ_FLAGS] = VIRTQ_AVAIL_F_NO_INTERRUPT;
}
