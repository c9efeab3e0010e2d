/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of virtio over PCI. */
#ifndef DRIVERS_VIRTIO_BLK_HW_H
#define DRIVERS_VIRTIO_BLK_HW_H

#include "drivers/drivers.h"

extern const struct pci_driver virtio_blk_driver;

#endif
