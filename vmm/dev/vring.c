/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues, device side. The rings' places are checked once, by vring_setup(); guest memory
 * does not move, so accesses to them cannot fail afterwards. Everything that the driver writes into
 * them can be anything at any time.
 */
#include "vmm/dev/vring.h"

#include "kernel/lib/string.h"

#define DESC_ALIGN  16u
#define AVAIL_ALIGN 2u
#define USED_ALIGN  4u

/* [VIRTIO] "The Virtqueue Descriptor Table": a chain is shorter than 2^32 bytes. */
#define CHAIN_BYTES_MAX 0xffffffffull

void vring_init(struct vring *vring, const struct gmem *mem)
{
	*vring = (struct vring){.mem = mem};
}

void vring_reset(struct vring *vring)
{
	ASSERT_HELD(&vring->lock);
	*vring = (struct vring){.mem = vring->mem, .lock = vring->lock};
}

static uint64_t avail_bytes(uint16_t size)
{
	return VRING_AVAIL_RING + 2ull * size + 2; /* with used_event */
}

static uint64_t used_bytes(uint16_t size)
{
	return VRING_USED_RING + (uint64_t)VRING_USED_ELEM * size + 2; /* with avail_event */
}

enum hv_err vring_setup(struct vring *vring, uint16_t size, uint64_t desc_gpa, uint64_t avail_gpa,
			uint64_t used_gpa, uint64_t features)
{
	ASSERT_HELD(&vring->lock);
	if (size == 0 || size > VRING_SIZE_MAX || (size & (size - 1)))
		return HV_EINVAL;
	if (!IS_ALIGNED(desc_gpa, DESC_ALIGN) || !IS_ALIGNED(avail_gpa, AVAIL_ALIGN) ||
	    !IS_ALIGNED(used_gpa, USED_ALIGN))
		return HV_EINVAL;
	if (!gmem_has(vring->mem, desc_gpa, sizeof(struct vring_desc) * (uint64_t)size) ||
	    !gmem_has(vring->mem, avail_gpa, avail_bytes(size)) ||
	    !gmem_has(vring->mem, used_gpa, used_bytes(size)))
		return HV_EINVAL;

	vring_reset(vring);
	vring->size = size;
	vring->desc_gpa = desc_gpa;
	vring->avail_gpa = avail_gpa;
	vring->used_gpa = used_gpa;
	vring->has_event_idx = features & VIRTIO_F_EVENT_IDX;
	vring->has_indirect = features & VIRTIO_F_INDIRECT_DESC;
	return HV_OK;
}

/* ---- words of the rings, which vring_setup() found to be RAM and aligned ---- */

static uint16_t ring_read_u16(const struct vring *vring, uint64_t gpa)
{
	uint16_t val = 0;
	enum hv_err err = gmem_read_u16(vring->mem, gpa, &val);

	ASSERT(err == HV_OK);
	return val;
}

static void ring_write_u16(const struct vring *vring, uint64_t gpa, uint16_t val)
{
	enum hv_err err = gmem_write_u16(vring->mem, gpa, val);

	ASSERT(err == HV_OK);
}

static uint16_t avail_idx(const struct vring *vring)
{
	return ring_read_u16(vring, vring->avail_gpa + VRING_AVAIL_IDX);
}

static uint64_t used_event_gpa(const struct vring *vring)
{
	return vring->avail_gpa + VRING_AVAIL_RING + 2ull * vring->size;
}

static uint64_t avail_event_gpa(const struct vring *vring)
{
	return vring->used_gpa + VRING_USED_RING + (uint64_t)VRING_USED_ELEM * vring->size;
}

void vring_break(struct vring *vring, const char *why)
{
	ASSERT_HELD(&vring->lock);
	if (!vring->broken_why)
		vring->broken_why = why;
}

/* ---- taking chains ---- */

/* How many chains wait when the avail index is idx; an index further ahead than size is a lie. */
static uint16_t chains_until(struct vring *vring, uint16_t idx)
{
	uint16_t nr = (uint16_t)(idx - vring->next_avail);

	if (nr <= vring->size)
		return nr;
	vring_break(vring, "available index jumped");
	return 0;
}

void vring_quiet(struct vring *vring)
{
	ASSERT_HELD(&vring->lock);
	/* With event indices avail_event stays behind; the driver passes it once in 65536 times. */
	if (!vring->has_event_idx)
		ring_write_u16(vring, vring->used_gpa + VRING_USED_FLAGS, VRING_USED_F_NO_NOTIFY);
}

uint16_t vring_arm(struct vring *vring)
{
	uint16_t idx, armed_at;

	ASSERT_HELD(&vring->lock);
	if (!vring->is_live || vring->broken_why)
		return 0;

	idx = avail_idx(vring);
	if (!vring->has_event_idx)
		return chains_until(vring, idx);

	/* Each turn the driver has moved the index on, which it can size times and no more. */
	for (uint16_t turns = 0; turns <= vring->size; turns++) {
		armed_at = idx;
		ring_write_u16(vring, avail_event_gpa(vring), armed_at);
		/* Our avail_event before our look at the avail index: the driver has them the other
		 * way round, so either it sees the new event or we see the new index. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		idx = avail_idx(vring);
		if (idx == armed_at)
			return chains_until(vring, idx);
	}
	vring_break(vring, "available index never rests");
	return 0;
}

/* One descriptor table while it is walked: the queue's own, or an indirect one. */
struct desc_walk {
	uint64_t table_gpa;
	uint32_t nr_descs; /* in the table */
	uint32_t at;	   /* the next one */
	uint32_t nr_seen;
	bool is_indirect;
};

static enum hv_err read_desc(const struct gmem *mem, uint64_t gpa, struct vring_desc *desc)
{
	uint64_t got;
	const uint8_t *from = gmem_map(mem, gpa, sizeof(*desc), &got);

	if (!from || got < sizeof(*desc)) /* a misaligned table may lie in two chunks */
		return gmem_read(mem, gpa, desc, sizeof(*desc));
	memcpy(desc, from, sizeof(*desc));
	return HV_OK;
}

static const char *add_piece(const struct vring *vring, struct vring_chain *chain,
			     const struct vring_desc *desc)
{
	bool is_writable = desc->flags & VRING_DESC_F_WRITE;

	if (!is_writable && chain->writable_bytes)
		return "readable descriptor behind a writable one";
	if (desc->len_bytes == 0)
		return NULL;
	if (chain->nr_pieces == VRING_SIZE_MAX)
		return "chain has too many descriptors";
	if (!gmem_has(vring->mem, desc->gpa, desc->len_bytes))
		return "buffer is not in RAM";

	if (is_writable) {
		chain->writable_bytes += desc->len_bytes;
	} else {
		chain->readable_bytes += desc->len_bytes;
		chain->nr_readable++;
	}
	if (chain->readable_bytes + chain->writable_bytes > CHAIN_BYTES_MAX)
		return "chain is longer than 4 GiB";
	chain->pieces[chain->nr_pieces++] =
		(struct vring_piece){.gpa = desc->gpa, .len_bytes = desc->len_bytes};
	return NULL;
}

/* A descriptor that points at a table: the walk goes on there and does not come back. */
static const char *enter_indirect(const struct vring *vring, struct desc_walk *walk,
				  const struct vring_desc *desc)
{
	if (!vring->has_indirect)
		return "indirect descriptor was not negotiated";
	if (walk->is_indirect)
		return "indirect descriptor in an indirect table";
	if (desc->flags & VRING_DESC_F_NEXT)
		return "indirect descriptor has a next one";
	if (desc->len_bytes == 0 || desc->len_bytes % sizeof(struct vring_desc))
		return "indirect table is no multiple of 16 bytes";
	if (desc->len_bytes / sizeof(struct vring_desc) > VRING_SIZE_MAX)
		return "indirect table is too long";
	*walk = (struct desc_walk){
		.table_gpa = desc->gpa,
		.nr_descs = desc->len_bytes / (uint32_t)sizeof(struct vring_desc),
		.is_indirect = true,
	};
	return NULL;
}

/* NULL when the chain was read to its end, else what is wrong with it. */
static const char *read_chain(const struct vring *vring, struct vring_chain *chain)
{
	struct desc_walk walk = {
		.table_gpa = vring->desc_gpa, .nr_descs = vring->size, .at = chain->head};
	struct vring_desc desc;
	const char *why;

	for (;;) {
		if (walk.at >= walk.nr_descs)
			return "descriptor index is out of range";
		if (walk.nr_seen++ == walk.nr_descs)
			return "chain loops";
		if (read_desc(vring->mem, walk.table_gpa + walk.at * sizeof(desc), &desc) != HV_OK)
			return "indirect table is not in RAM";

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			why = enter_indirect(vring, &walk, &desc);
			if (why)
				return why;
			continue;
		}
		why = add_piece(vring, chain, &desc);
		if (why)
			return why;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return NULL;
		walk.at = desc.next;
	}
}

bool vring_pop(struct vring *vring, struct vring_chain *chain)
{
	const char *why;
	uint64_t slot;

	ASSERT_HELD(&vring->lock);
	if (!vring->is_live || vring->broken_why)
		return false;
	/* gmem_read_u16 acquires: the index before the ring entry and the descriptors behind it. */
	if (chains_until(vring, avail_idx(vring)) == 0)
		return false;

	slot = vring->next_avail % vring->size;
	chain->head = ring_read_u16(vring, vring->avail_gpa + VRING_AVAIL_RING + 2 * slot);
	chain->nr_pieces = chain->nr_readable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	why = read_chain(vring, chain);
	if (why) {
		vring_break(vring, why);
		return false;
	}
	vring->next_avail++;
	return true;
}

void vring_unpop(struct vring *vring, uint16_t nr)
{
	ASSERT_HELD(&vring->lock);
	vring->next_avail = (uint16_t)(vring->next_avail - nr);
	vring->nr_put = 0;
}

/* ---- giving them back ---- */

void vring_put(struct vring *vring, uint16_t head, uint32_t written_bytes)
{
	uint16_t at = (uint16_t)(vring->next_used + vring->nr_put) % vring->size;
	uint64_t elem_gpa = vring->used_gpa + VRING_USED_RING + (uint64_t)VRING_USED_ELEM * at;
	uint32_t words[2] = {head, written_bytes};
	enum hv_err err;

	ASSERT_HELD(&vring->lock);
	err = gmem_write(vring->mem, elem_gpa, words, sizeof(words));
	ASSERT(err == HV_OK);
	vring->nr_put++;
}

/* [VIRTIO] "Used Buffer Notification Suppression" */
static bool driver_wants_interrupt(struct vring *vring)
{
	uint16_t moved = (uint16_t)(vring->next_used - vring->signalled);
	bool is_first = !vring->has_signalled;
	uint16_t event;

	if (!vring->has_event_idx)
		return !(ring_read_u16(vring, vring->avail_gpa + VRING_AVAIL_FLAGS) &
			 VRING_AVAIL_F_NO_INTERRUPT);

	event = ring_read_u16(vring, used_event_gpa(vring));
	vring->signalled = vring->next_used;
	vring->has_signalled = true;
	return is_first || (uint16_t)(vring->next_used - event - 1) < moved;
}

bool vring_flush(struct vring *vring)
{
	ASSERT_HELD(&vring->lock);
	if (vring->nr_put == 0)
		return false;
	vring->next_used = (uint16_t)(vring->next_used + vring->nr_put);
	vring->nr_put = 0;
	/* gmem_write_u16 releases: used elements and buffers before the index that shows them. */
	ring_write_u16(vring, vring->used_gpa + VRING_USED_IDX, vring->next_used);
	/* Our used index before our look at the driver's wish: it has them the other way round, so
	 * either it sees the new index or we see the new wish. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return driver_wants_interrupt(vring);
}

/* ---- the bytes of a chain ---- */

enum copy_dir { COPY_FROM_GUEST, COPY_TO_GUEST };

static void copy_piece(const struct vring *vring, enum copy_dir dir, uint64_t gpa, uint8_t *local,
		       size_t len_bytes)
{
	enum hv_err err = dir == COPY_FROM_GUEST ? gmem_read(vring->mem, gpa, local, len_bytes)
						 : gmem_write(vring->mem, gpa, local, len_bytes);

	ASSERT(err == HV_OK); /* vring_pop() saw that it is RAM */
}

static size_t copy_pieces(const struct vring *vring, enum copy_dir dir,
			  const struct vring_piece *piece, size_t nr_pieces, uint64_t offset,
			  uint8_t *local, size_t len_bytes)
{
	size_t done = 0;

	for (; nr_pieces && done < len_bytes; piece++, nr_pieces--) {
		size_t part;

		if (offset >= piece->len_bytes) {
			offset -= piece->len_bytes;
			continue;
		}
		part = MIN(len_bytes - done, piece->len_bytes - offset);
		copy_piece(vring, dir, piece->gpa + offset, local + done, part);
		done += part;
		offset = 0;
	}
	return done;
}

size_t vring_chain_read(const struct vring *vring, const struct vring_chain *chain, uint64_t offset,
			void *dst, size_t len_bytes)
{
	return copy_pieces(vring, COPY_FROM_GUEST, chain->pieces, chain->nr_readable, offset, dst,
			   len_bytes);
}

size_t vring_chain_write(const struct vring *vring, const struct vring_chain *chain,
			 uint64_t offset, const void *src, size_t len_bytes)
{
	/* copy_pieces() only reads from local in this direction. */
	return copy_pieces(vring, COPY_TO_GUEST, chain->pieces + chain->nr_readable,
			   (size_t)(chain->nr_pieces - chain->nr_readable), offset,
			   (uint8_t *)(uintptr_t)src, len_bytes);
}
