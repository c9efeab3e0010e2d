/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of a split virtqueue, [VIRTIO] "Split Virtqueues", with indirect descriptors
 * and event indices, as pure logic on memory that the device reads and writes.
 *
 *    virtq_add() ──► avail ring ──► virtq_show() ──► notify the device, where it wants that
 *    virtq_get() ◄── used ring ◄── the device has finished a chain
 *
 * What the device writes is hostile: it can return only a chain that it was given, once, with no
 * more bytes than there was room for. An entry that says otherwise makes the queue broken; it
 * yields and takes nothing more until virtq_init(). What we need to know of a chain is kept in
 * memory of our own and never read back from the rings.
 *
 * The owner locks. The device's side, of our guests' devices, is vmm/dev/vring.h.
 */
#ifndef DRIVERS_VIRTIO_QUEUE_H
#define DRIVERS_VIRTIO_QUEUE_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define VIRTQ_SIZE_MAX 256u /* entries */

struct virtq_desc {
	uint64_t bus;
	uint32_t len_bytes;
	uint16_t flags, next;
};
static_assert(sizeof(struct virtq_desc) == 16, "[VIRTIO] descriptor is 16 bytes");

/* [VIRTIO] "The Virtqueue Descriptor Table" */
#define VIRTQ_DESC_F_NEXT     1u
#define VIRTQ_DESC_F_WRITE    2u /* the device writes it */
#define VIRTQ_DESC_F_INDIRECT 4u

/* [VIRTIO] "The Virtqueue Available Ring" and "The Virtqueue Used Ring": 16-bit words; used_event
 * and avail_event stand behind the entries */
#define VIRTQ_FLAGS 0u
#define VIRTQ_IDX   1u
#define VIRTQ_RING  2u

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY	   1u

struct virtq_shape {
	uint16_t size;	    /* entries, a power of two, VIRTQ_SIZE_MAX at most */
	uint16_t table_max; /* descriptors of an indirect table; 0: none */
	uint16_t nr_tables; /* as many chains as are out at once, if all of them have several
			       pieces: heads are taken in such a way that no others are needed */
	bool has_event_idx;
};

/* Where the parts lie in a queue's memory, bytes. */
struct virtq_layout {
	size_t avail, used, tables, len_bytes;
};

struct virtq_piece {
	uint64_t bus; /* address as the device sees it */
	uint32_t len_bytes;
};

struct virtq_chain { /* by its head descriptor */
	void *token; /* NULL: none is out */
	uint64_t writable_bytes;
	uint16_t nr_descs;
};

struct virtq {
	volatile struct virtq_desc *descs;
	volatile uint16_t *avail, *used;
	volatile struct virtq_desc
		*tables; /* that of head n is the nth, of table_max descriptors */
	uint64_t tables_bus;
	struct virtq_shape shape;
	bool is_broken;

	uint16_t next_avail; /* index of the next entry of the avail ring */
	uint16_t shown;	     /* as far as the device can see it */
	uint16_t next_used;  /* index of the next entry of the used ring to take */
	uint16_t nr_out;     /* chains that the device has */
	uint16_t nr_free, free_head;
	uint16_t next_free[VIRTQ_SIZE_MAX];
	struct virtq_chain chains[VIRTQ_SIZE_MAX];
};

struct virtq_layout virtq_layout(const struct virtq_shape *shape);

/*
 * virtq_init - an empty queue; chains that were out are forgotten
 *
 * memory   virtq_layout() bytes, page aligned, borrowed; the device sees it at bus
 */
void virtq_init(struct virtq *q, void *memory, uint64_t bus, const struct virtq_shape *shape);

/*
 * virtq_add - make a chain for the device: nr_out pieces that it reads, then nr_in that it writes
 *
 * token    comes back from virtq_get(); not NULL
 * Errors:  HV_EBUSY - no free descriptors; HV_EIO - the queue is broken. Nothing has changed.
 */
MUST_CHECK enum hv_err virtq_add(struct virtq *q, const struct virtq_piece *pieces, uint32_t nr_out,
				 uint32_t nr_in, void *token);

/* virtq_show - let the device see what was added; true when it wants to be notified of it */
MUST_CHECK bool virtq_show(struct virtq *q);

/*
 * virtq_get - the next chain that the device has finished
 *
 * written_bytes  how many of the writable bytes it has written, from the first on
 * returns        its token; NULL: there is none, or the queue is (now) broken
 */
void *virtq_get(struct virtq *q, uint32_t *written_bytes);

/* virtq_has_used - whether virtq_get() would look at something. Without a lock, too. */
bool virtq_has_used(const struct virtq *q);

/* virtq_listen - an interrupt for the next finished chain, please; true: one is there already */
MUST_CHECK bool virtq_listen(struct virtq *q);

/* virtq_mute - no interrupts; with event indices one may still come, in 65,535 chains */
void virtq_mute(struct virtq *q);

#endif
