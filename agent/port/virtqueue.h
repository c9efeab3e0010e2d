/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of a split virtqueue, as pure logic on memory given to it. One descriptor chain
 * per entry; entries come back in any order. The device is trusted with our memory anyhow, but not
 * with our control flow: an index or length that cannot be marks the queue broken, and it stays so.
 *
 * Source: [VIRTIO] "Split Virtqueues".
 */
#ifndef AGENT_PORT_VIRTQUEUE_H
#define AGENT_PORT_VIRTQUEUE_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define VQ_SIZE_MAX 64u

struct vq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
static_assert(sizeof(struct vq_desc) == 16, "[VIRTIO] descriptor is 16 bytes");

#define VQ_DESC_F_NEXT	1u
#define VQ_DESC_F_WRITE 2u

struct vq_avail {
	uint16_t flags, idx, ring[VQ_SIZE_MAX];
};

struct vq_used {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[VQ_SIZE_MAX];
};

struct vq_rings { /* what the device sees; each part aligned as it must be */
	struct vq_desc desc[VQ_SIZE_MAX] __attribute__((aligned(16)));
	struct vq_avail avail __attribute__((aligned(2)));
	struct vq_used used __attribute__((aligned(4)));
};

struct vq {
	struct vq_rings *rings; /* borrowed until the end */
	uint16_t size, nr_free, free_head, used_idx;
	bool is_broken;
	struct {
		void *token;
		uint32_t writable; /* bytes that the device may write */
		uint16_t nr;	   /* descriptors */
	} chains[VQ_SIZE_MAX];
};

struct vq_part {
	void *at;
	uint32_t len;
};

/* vq_init - size: a power of two, at most VQ_SIZE_MAX; rings must be zero */
void vq_init(struct vq *q, struct vq_rings *rings, uint16_t size);

/*
 * vq_add - offer a chain to the device: nr_out parts that it reads, then nr_in that it writes
 *
 * token    comes back from vq_get; not NULL
 * Errors:  HV_EBUSY - not enough free descriptors; HV_EIO - the queue is broken.
 */
MUST_CHECK enum hv_err vq_add(struct vq *q, const struct vq_part *parts, unsigned nr_out,
			      unsigned nr_in, void *token);

/* vq_get - the next chain that the device has finished, and how many bytes it wrote; NULL: none */
void *vq_get(struct vq *q, uint32_t *written);

#endif
