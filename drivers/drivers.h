/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of this machine's PCI devices: which there are, and binding them. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "kernel/lib/err.h"
#include "kernel/pci.h"

#define PCI_CLASS_STORAGE 0x01u
#define PCI_CLASS_NETWORK 0x02u

struct pci_match {
	uint16_t vendor, device;
};

/* Devices of whatever make: 0x010802 under 0xffffff is NVMe. */
struct pci_class_match {
	uint32_t class_code, mask;
};

struct pci_driver {
	const char *name;
	uint8_t base_class;  /* what its devices are for: PCI_CLASS_STORAGE, PCI_CLASS_NETWORK */
	const char *devices; /* for people: "Intel 82540EM, 82545EM" */
	const struct pci_match *matches;
	uint32_t nr_matches;
	const struct pci_class_match *classes; /* for what no driver knows by its IDs */
	uint32_t nr_classes;
	/* Takes the device for ever. On an error what it took is given back. */
	enum hv_err (*attach)(struct pci_device *dev);
};

/* drivers_init - bind a driver to each device that has one; boot CPU, after pci_init() */
void drivers_init(void);

#endif
