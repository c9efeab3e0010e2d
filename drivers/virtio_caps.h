/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a virtio device keeps its registers: the vendor's capabilities of its configuration space,
 * checked against its BARs. Pure; copes with any content.
 *
 * Source: [VIRTIO] "Virtio Structure PCI Capabilities".
 */
#ifndef DRIVERS_VIRTIO_CAPS_H
#define DRIVERS_VIRTIO_CAPS_H

#include "kernel/lib/err.h"
#include "kernel/pci.h"

enum virtio_part {
	VIRTIO_PART_COMMON,
	VIRTIO_PART_NOTIFY,
	VIRTIO_PART_ISR,
	VIRTIO_PART_CONFIG, /* of the device's kind; the only one that may be missing */
	VIRTIO_PARTS
};

#define VIRTIO_COMMON_BYTES 56u /* up to and with queue_device */

struct virtio_place {
	uint8_t bar;
	uint32_t offset, len_bytes; /* inside that BAR, which is memory; len 0: there is none */
};

struct virtio_caps {
	struct virtio_place parts[VIRTIO_PARTS];
	uint32_t notify_multiplier; /* bytes, for each unit of queue_notify_off */
};

/*
 * virtio_caps_find - the first usable place for each part, as the device prefers them
 *
 * dev      pci_size_bars() came first
 * Errors:  HV_ENOTSUP - no capability for one of the parts: it has the legacy interface only.
 *          HV_EPROTO - there are some, and none of them lies in a memory BAR, aligned, whole.
 */
MUST_CHECK enum hv_err virtio_caps_find(const struct pci_access *access,
					const struct pci_device *dev, struct virtio_caps *out);

#endif
