/* SPDX-License-Identifier: Apache-2.0 */
/* The list is walked no further than capabilities fit; each is read once and then checked. */
#include "drivers/virtio_caps.h"

#define CAP_POINTER_MASK 0xfcu
#define CAPS_FIRST	 0x40u
#define CAPS_MOST	 48u /* as many as fit: (256 - 64) / 4 */
#define STATUS_HAS_CAPS	 0x0010u
#define CAP_VENDOR	 0x09u

/* [VIRTIO] "Virtio Structure PCI Capabilities" */
#define CAP_LEN	   2u
#define CAP_TYPE   3u /* cfg_type */
#define CAP_BAR	   4u
#define CAP_OFFSET 8u
#define CAP_LENGTH 12u
#define CAP_MORE   16u /* notify_off_multiplier */

/* What each part needs: its cfg_type, bytes, alignment. */
static const struct {
	uint8_t type;
	uint8_t cap_bytes;
	uint32_t least_bytes, align;
} needs[VIRTIO_PARTS] = {
	[VIRTIO_PART_COMMON] = {1, 16, VIRTIO_COMMON_BYTES, 4},
	[VIRTIO_PART_NOTIFY] = {2, 20, 2, 2},
	[VIRTIO_PART_ISR] = {3, 16, 1, 1},
	[VIRTIO_PART_CONFIG] = {4, 16, 4, 4},
};

static enum virtio_part part_of(uint32_t type)
{
	enum virtio_part part = 0;

	while (part < VIRTIO_PARTS && needs[part].type != type)
		part++;
	return part;
}

static bool is_usable(const struct pci_device *dev, enum virtio_part part,
		      const struct virtio_place *place)
{
	const struct pci_bar *bar;

	if (place->bar >= PCI_BARS)
		return false;
	bar = &dev->bars[place->bar];
	return !bar->is_io && bar->base != 0 && place->len_bytes >= needs[part].least_bytes &&
	       IS_ALIGNED(place->offset, needs[part].align) &&
	       range_fits(place->offset, place->len_bytes, bar->len_bytes);
}

/* Bit n of the result, and of seen: part n is there, or there is a capability that speaks of it. */
static uint32_t look_at(const struct pci_access *access, const struct pci_device *dev, uint32_t at,
			struct virtio_caps *caps, uint32_t *seen)
{
	uint32_t cap_bytes = access->read(access->arg, dev->at, at + CAP_LEN, 1);
	enum virtio_part part = part_of(access->read(access->arg, dev->at, at + CAP_TYPE, 1));
	struct virtio_place place;

	if (part == VIRTIO_PARTS || cap_bytes < needs[part].cap_bytes ||
	    at + needs[part].cap_bytes > 256)
		return 0;
	*seen |= (uint32_t)BIT(part);
	place.bar = (uint8_t)access->read(access->arg, dev->at, at + CAP_BAR, 1);
	place.offset = access->read(access->arg, dev->at, at + CAP_OFFSET, 4);
	place.len_bytes = access->read(access->arg, dev->at, at + CAP_LENGTH, 4);
	if (caps->parts[part].len_bytes != 0 || !is_usable(dev, part, &place))
		return 0;
	caps->parts[part] = place;
	if (part == VIRTIO_PART_NOTIFY)
		caps->notify_multiplier = access->read(access->arg, dev->at, at + CAP_MORE, 4);
	return (uint32_t)BIT(part);
}

enum hv_err virtio_caps_find(const struct pci_access *access, const struct pci_device *dev,
			     struct virtio_caps *out)
{
	const uint32_t wanted = (uint32_t)(BIT(VIRTIO_PART_COMMON) | BIT(VIRTIO_PART_NOTIFY) |
					   BIT(VIRTIO_PART_ISR));
	struct virtio_caps caps = {0};
	uint32_t at, found = 0, seen = 0;

	if (!(access->read(access->arg, dev->at, PCI_REG_STATUS, 2) & STATUS_HAS_CAPS))
		return HV_ENOTSUP;
	at = access->read(access->arg, dev->at, PCI_REG_CAP_POINTER, 1) & CAP_POINTER_MASK;
	for (uint32_t i = 0; i < CAPS_MOST && at >= CAPS_FIRST; i++) {
		uint32_t header = access->read(access->arg, dev->at, at, 2);

		if (header == 0xffff)
			break; /* gone */
		if ((header & 0xff) == CAP_VENDOR)
			found |= look_at(access, dev, at, &caps, &seen);
		at = header >> 8 & CAP_POINTER_MASK;
	}
	if ((seen & wanted) != wanted)
		return HV_ENOTSUP;
	if ((found & wanted) != wanted || ((seen ^ found) & BIT(VIRTIO_PART_CONFIG)))
		return HV_EPROTO;
	*out = caps;
	return HV_OK;
}
