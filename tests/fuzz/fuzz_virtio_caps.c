/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device with any configuration space: what is found lies in a memory BAR, whole.
 *
 * Input: for each of six BARs a byte of flags and two bytes of its length in units of 16 bytes,
 * then the space from its capabilities on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtio_caps.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t space[256];

static uint32_t fake_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	uint32_t val = 0;

	(void)arg;
	(void)at;
	if (reg + size > sizeof(space) || reg % size)
		abort();
	memcpy(&val, space + reg, size);
	return val;
}

static void check_place(const struct pci_device *dev, const struct virtio_place *place)
{
	const struct pci_bar *bar = &dev->bars[place->bar];

	if (place->len_bytes == 0)
		return;
	if (place->bar >= PCI_BARS || bar->is_io || bar->base == 0 ||
	    (uint64_t)place->offset + place->len_bytes > bar->len_bytes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pci_access access = {.read = fake_read};
	struct input in = {data, size};
	struct pci_device dev = {0};
	struct virtio_caps caps;

	for (uint32_t i = 0; i < PCI_BARS; i++) {
		uint8_t flags = input_u8(&in);

		dev.bars[i] = (struct pci_bar){.base = flags & 1 ? 0x1000 : 0,
					       .is_io = flags & 2,
					       .len_bytes = 16ull * input_u16(&in)};
	}
	memset(space, 0, sizeof(space));
	space[PCI_REG_STATUS] = 0x10;
	space[PCI_REG_CAP_POINTER] = 0x40;
	memcpy(space + 0x40, in.at, MIN(in.left, sizeof(space) - 0x40));
	if (virtio_caps_find(&access, &dev, &caps) != HV_OK)
		return 0;
	for (uint32_t i = 0; i < VIRTIO_PARTS; i++)
		check_place(&dev, &caps.parts[i]);
	if (caps.parts[VIRTIO_PART_COMMON].len_bytes < VIRTIO_COMMON_BYTES ||
	    caps.parts[VIRTIO_PART_NOTIFY].len_bytes < 2 ||
	    caps.parts[VIRTIO_PART_ISR].len_bytes < 1)
		abort();
	return 0;
}
