/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a split virtqueue, [VIRTIO] "Split Virtqueues", with indirect descriptors
 * and event indices. What the driver wrote is read once, checked, and used from the copy.
 *
 *    driver adds buffers ──► avail ring ──► vring_pop() ──► device works on the chain
 *    driver takes them back ◄── used ring ◄── vring_flush() ◄── vring_put()
 *
 * A driver that breaks the rules (a loop, a chain that is too long or outside RAM, an index that
 * jumps) makes the queue broken: it yields nothing more until it is reset, and its owner tells the
 * driver with DEVICE_NEEDS_RESET. No loop here runs longer than the queue's size allows.
 *
 * The owner of the struct locks: every call below is made with vring->lock held, except
 * vring_init(). The state is plain, apart from the two pointers in front. Pure.
 */
#ifndef VMM_DEV_VRING_H
#define VMM_DEV_VRING_H

#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"
#include "vmm/gmem.h"

#define VRING_SIZE_MAX 256u /* entries in a queue; descriptors in one chain, indirect ones too */

/* [VIRTIO] "Reserved Feature Bits" */
#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX     BIT(29)
#define VIRTIO_F_VERSION_1     BIT(32)
#define VIRTIO_F_RING_RESET    BIT(40)

/* [VIRTIO] "The Virtqueue Descriptor Table" */
#define VRING_DESC_F_NEXT     1u
#define VRING_DESC_F_WRITE    2u /* the device writes it */
#define VRING_DESC_F_INDIRECT 4u

struct vring_desc {
	uint64_t gpa;
	uint32_t len_bytes;
	uint16_t flags;
	uint16_t next;
};
static_assert(sizeof(struct vring_desc) == 16, "[VIRTIO] descriptor is 16 bytes");

/* [VIRTIO] "The Virtqueue Available Ring" and "The Virtqueue Used Ring": offsets in bytes */
#define VRING_AVAIL_FLAGS 0u
#define VRING_AVAIL_IDX	  2u
#define VRING_AVAIL_RING  4u
#define VRING_USED_FLAGS  0u
#define VRING_USED_IDX	  2u
#define VRING_USED_RING	  4u
#define VRING_USED_ELEM	  8u

#define VRING_AVAIL_F_NO_INTERRUPT 1u
#define VRING_USED_F_NO_NOTIFY	   1u

struct vring {
	const struct gmem *mem; /* fixed by vring_init() */
	const char *broken_why; /* a constant; NULL: not broken */

	struct lock lock; /* all that follows */
	uint16_t size;	  /* entries, a power of two */
	bool is_live;	  /* set up, and the driver may use it */
	bool has_event_idx, has_indirect;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint16_t next_avail; /* next entry of the avail ring to take */
	uint16_t next_used;  /* used index that the driver can see */
	uint16_t nr_put;     /* entries put behind it, not yet shown */
	uint16_t signalled;  /* next_used when the driver was last asked whether it wants to hear */
	bool has_signalled;
};

struct vring_piece {
	uint64_t gpa;
	uint32_t len_bytes; /* never 0, all of it RAM */
};

/* A chain of descriptors that the driver made available; caller's memory, filled by vring_pop(). */
struct vring_chain {
	uint16_t head;
	uint16_t nr_pieces, nr_readable; /* the readable ones come first */
	uint64_t readable_bytes, writable_bytes;
	struct vring_piece pieces[VRING_SIZE_MAX];
};

/* vring_init - a queue that is not set up; mem is kept */
void vring_init(struct vring *vring, const struct gmem *mem);

/* vring_reset - back to where vring_init() left it; chains that are out are forgotten */
void vring_reset(struct vring *vring);

/*
 * vring_setup - lay the rings where the driver wants them; the queue is not live yet
 *
 * Errors:  HV_EINVAL - size is no power of two up to VRING_SIZE_MAX, or a ring is misaligned or not
 *          wholly RAM; the queue is unchanged.
 * Source:  [VIRTIO] "Split Virtqueues", table of alignments and sizes.
 */
MUST_CHECK enum hv_err vring_setup(struct vring *vring, uint16_t size, uint64_t desc_gpa,
				   uint64_t avail_gpa, uint64_t used_gpa, uint64_t features);

/* vring_quiet - the driver need not notify: for queues of empty buffers that wait for input */
void vring_quiet(struct vring *vring);

/*
 * vring_arm - how many chains are there, at most size; what is added after them is notified anew
 *
 * So a device that works off this many and stops loses nothing, and a driver that keeps adding
 * cannot hold the CPU. 0 when the queue is not live, empty or broken.
 */
uint16_t vring_arm(struct vring *vring);

/* vring_pop - take the next chain; false when there is none, or the queue is (now) broken */
MUST_CHECK bool vring_pop(struct vring *vring, struct vring_chain *chain);

/* vring_unpop - the last nr popped were not used: they are next again, and nothing put is shown */
void vring_unpop(struct vring *vring, uint16_t nr);

/* vring_put - a chain is done, written_bytes of it were written; shown by vring_flush() */
void vring_put(struct vring *vring, uint16_t head, uint32_t written_bytes);

/* vring_flush - show the driver what was put; true when it wants an interrupt for it */
MUST_CHECK bool vring_flush(struct vring *vring);

/* vring_break - the driver broke the device's rules; why is a constant string */
void vring_break(struct vring *vring, const char *why);

/*
 * Copies between memory and the readable or writable bytes of a chain, starting offset bytes into
 * them. They return how many bytes there were, at most len_bytes.
 */
size_t vring_chain_read(const struct vring *vring, const struct vring_chain *chain, uint64_t offset,
			void *dst, size_t len_bytes);
size_t vring_chain_write(const struct vring *vring, const struct vring_chain *chain,
			 uint64_t offset, const void *src, size_t len_bytes);

#endif
