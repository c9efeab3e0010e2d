/* SPDX-License-Identifier: Apache-2.0 */
/* Network cards of virtio over PCI. */
#ifndef DRIVERS_VIRTIO_NET_HW_H
#define DRIVERS_VIRTIO_NET_HW_H

#include "drivers/drivers.h"

extern const struct pci_driver virtio_net_driver;

#endif
