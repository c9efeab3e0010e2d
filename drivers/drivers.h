/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of this machine's PCI devices: which there are, and binding them. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "kernel/lib/err.h"
#include "kernel/pci.h"

struct pci_match {
	uint16_t vendor, device;
};

struct pci_driver {
	const char *name;
	const struct pci_match *matches;
	uint32_t nr_matches;
	/* Takes the device for ever. On an error what it took is given back. */
	enum hv_err (*attach)(struct pci_device *dev);
};

/* drivers_init - bind a driver to each device that has one; boot CPU, after pci_init() */
void drivers_init(void);

#endif
