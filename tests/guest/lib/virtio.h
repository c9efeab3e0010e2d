/* SPDX-License-Identifier: Apache-2.0 */
/* As much of a virtio driver as tests need: modern PCI, split queues, MSI-X. */
#ifndef TESTS_GUEST_LIB_VIRTIO_H
#define TESTS_GUEST_LIB_VIRTIO_H

#include "tests/guest/lib/guest.h"

#define VIRTIO_QUEUE_SIZE 16u

struct virtio_desc {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags, next;
};

struct virtio_queue {
	struct virtio_desc desc[VIRTIO_QUEUE_SIZE] __attribute__((aligned(4096)));
	struct {
		uint16_t flags, idx, ring[VIRTIO_QUEUE_SIZE], event;
	} avail __attribute__((aligned(64)));
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[VIRTIO_QUEUE_SIZE];
		uint16_t event;
	} used __attribute__((aligned(64)));
	uint16_t seen;
	uint64_t notify_at;
	uint16_t notify_port; /* not 0: notify there */
};

struct virtio {
	uint32_t dev;
	uint64_t common, notify, isr, config;
	uint32_t notify_multiplier;
	uint16_t notify_port; /* the same by OUT; 0: there is none */
};

/* virtio_open - find PCI device 0x1040 + id, map it, reset it, agree on VERSION_1; false: not
 * possible */
bool virtio_open(struct virtio *v, uint16_t id);
/* The same with these of the first 32 features too. */
bool virtio_open_with(struct virtio *v, uint16_t id, uint32_t features);
/* Queue nr with interrupts to MSI-X entry; before virtio_start(). */
void virtio_queue_open(struct virtio *v, uint16_t nr, struct virtio_queue *q, uint16_t entry);
void virtio_msix(struct virtio *v, uint32_t entry, uint8_t vector);
void virtio_start(struct virtio *v);
/* Gives one buffer to the device and tells it. */
void virtio_give(struct virtio_queue *q, uint16_t slot, void *buf, uint32_t len, bool is_writable);
/* The bytes written of the next used buffer, its slot in *slot; -1: none yet. */
int64_t virtio_take(struct virtio_queue *q, uint16_t *slot);

#endif
