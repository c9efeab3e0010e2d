/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tiny virtio driver over guest memory, for tests of the device's side: rings by hand, and a PCI
 * function found and set up as a guest would. It trusts the test; it is no example of a driver.
 */
#ifndef TESTS_VDRIVER_H
#define TESTS_VDRIVER_H

#include "vmm/dev/virtio_pci.h"

/* ---- one queue's rings ---- */

struct vdriver_queue {
	const struct gmem *mem;
	uint16_t index, size;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	uint16_t next_desc;	      /* round and round; tests keep few chains out */
	uint16_t avail_idx, used_idx; /* free running: added, and taken back */
};

struct vdriver_buf {
	uint64_t gpa;
	uint32_t len_bytes;
	bool is_writable;
};

/* Rings of this size from gpa (16-byte aligned) on, zeroed. They take less than 16 KiB. */
void vdriver_queue_init(struct vdriver_queue *q, const struct gmem *mem, uint16_t size,
			uint64_t gpa);

void vdriver_put_desc(struct vdriver_queue *q, uint64_t table_gpa, uint16_t at,
		      const struct vring_desc *desc);
void vdriver_show_head(struct vdriver_queue *q, uint16_t head); /* make a chain available */

/* A chain of plain descriptors, made available; returns its head. */
uint16_t vdriver_add(struct vdriver_queue *q, const struct vdriver_buf *bufs, uint16_t nr);
/* The same through an indirect table that the test has room for at table_gpa. */
uint16_t vdriver_add_indirect(struct vdriver_queue *q, uint64_t table_gpa,
			      const struct vdriver_buf *bufs, uint16_t nr);

bool vdriver_take(struct vdriver_queue *q, uint32_t *head, uint32_t *len_bytes); /* next used one */

void vdriver_set_used_event(struct vdriver_queue *q, uint16_t event);
uint16_t vdriver_avail_event(const struct vdriver_queue *q);
uint16_t vdriver_used_flags(const struct vdriver_queue *q);

/* ---- a function on the bus ---- */

struct vdriver {
	struct vdev *bus; /* what pci_host_ops made */
	struct vm *vm;
	uint32_t slot;
	uint64_t common_gpa, notify_gpa, isr_gpa, device_gpa, msix_gpa;
	uint32_t notify_multiplier;
	uint8_t msix_cap, pci_cfg_cap; /* offsets in config space */
};

/* One access to the bus device, as the board makes it; what is IO_UNCLAIMED reads as all ones. */
uint64_t vbus_read(struct vdev *bus, enum io_space space, uint64_t offset, uint8_t size);
void vbus_write(struct vdev *bus, enum io_space space, uint64_t offset, uint8_t size, uint64_t val);

/* By ECAM. */
uint64_t vdriver_config_read(struct vdriver *d, uint32_t reg, uint8_t size);
void vdriver_config_write(struct vdriver *d, uint32_t reg, uint8_t size, uint64_t val);

/* By guest-physical address, through the BAR window. */
uint64_t vdriver_read(struct vdriver *d, uint64_t gpa, uint8_t size);
void vdriver_write(struct vdriver *d, uint64_t gpa, uint8_t size, uint64_t val);

#define vdriver_get(d, field)                                                                      \
	vdriver_read(d, (d)->common_gpa + offsetof(struct virtio_common, field),                   \
		     sizeof(((struct virtio_common *)0)->field))
#define vdriver_set(d, field, val)                                                                 \
	vdriver_write(d, (d)->common_gpa + offsetof(struct virtio_common, field),                  \
		      sizeof(((struct virtio_common *)0)->field), val)

/* Find the capabilities and let it be bus master. False: no virtio function there. */
bool vdriver_find(struct vdriver *d, struct vm *vm, struct vdev *bus, uint32_t slot);

/* MSI-X on; vector n's message goes to 0xfee00000 with data 0x4000 + n. */
void vdriver_enable_msix(struct vdriver *d);
void vdriver_mask_vector(struct vdriver *d, uint16_t vector, bool is_masked);

/* Reset up to FEATURES_OK; false: the device refused the features. */
bool vdriver_negotiate(struct vdriver *d, uint64_t features);

/* Rings at gpa for a queue of the device, vector index + 1 for it, and enable it. */
void vdriver_setup_queue(struct vdriver *d, struct vdriver_queue *q, uint16_t index, uint16_t size,
			 uint64_t gpa);
void vdriver_ready(struct vdriver *d); /* DRIVER_OK */
void vdriver_kick(struct vdriver *d, const struct vdriver_queue *q);

#endif
