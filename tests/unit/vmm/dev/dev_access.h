/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's accesses to one device, in a line each. */
#ifndef TESTS_DEV_ACCESS_H
#define TESTS_DEV_ACCESS_H

#include "vmm/vdev.h"

static inline uint64_t dev_read(struct vdev *dev, enum io_space space, uint64_t offset,
				uint8_t size)
{
	struct io_access acc = {.offset = offset, .addr = offset, .size = size};

	if (dev->ops->access(dev, space, &acc) != IO_DONE)
		return size == 8 ? ~0ull : (1ull << size * 8) - 1;
	return acc.value;
}

static inline enum io_result dev_write(struct vdev *dev, enum io_space space, uint64_t offset,
				       uint8_t size, uint64_t val)
{
	struct io_access acc = {
		.offset = offset, .addr = offset, .size = size, .is_write = true, .value = val};

	return dev->ops->access(dev, space, &acc);
}

/* One-byte ports, which is what most of a PC's old devices have. Devices with several ranges get
 * the port itself where the others get an offset. */
static inline uint8_t dev_inb(struct vdev *dev, uint64_t offset)
{
	return (uint8_t)dev_read(dev, SPACE_PIO, offset, 1);
}

static inline void dev_outb(struct vdev *dev, uint64_t offset, uint8_t val)
{
	(void)dev_write(dev, SPACE_PIO, offset, 1, val);
}

#endif
