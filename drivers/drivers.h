/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of this machine's PCI devices: which there are, and binding them. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "kernel/lib/err.h"
#include "kernel/pci.h"

#define PCI_CLASS_STORAGE 0x01u
#define PCI_CLASS_NETWORK 0x02u
#define PCI_CLASS_SERIAL  0x0cu /* buses like USB */

struct pci_match {
	uint16_t vendor, device;
};

/* Devices of whatever make: 0x010802 under 0xffffff is NVMe. */
struct pci_class_match {
	uint32_t class_code, mask;
};

struct pci_driver {
	const char *name;
	uint8_t base_class;  /* what its devices are for: PCI_CLASS_STORAGE … */
	const char *devices; /* for people: "Intel 82540EM, 82545EM" */
	const struct pci_match *matches;
	uint32_t nr_matches;
	const struct pci_class_match *classes; /* for what no driver knows by its IDs */
	uint32_t nr_classes;
	/*
	 * Takes the device. On an error what it took is given back. A driver with detach() is also
	 * given cards that are plugged in while guests run: then it never waits for longer than a
	 * millisecond or so, and what takes longer goes on by timers after it has returned.
	 */
	enum hv_err (*attach)(struct pci_device *dev);

	/*
	 * A card is to be taken out, or is gone (is_there is false, and its registers are not to be
	 * touched). Three steps, on the boot CPU, all of them NULL for drivers that cannot do it:
	 *
	 * detach       takes no more work
	 * is_detached  whether it has written back what it cached, and its power may go; NULL: it
	 *              may at once. Asked again and again, but not for ever.
	 * release      its power is off: pending work ends with an error, lists do not have it any
	 *              more; then, after dev_wait_for_cpus(), memory and vectors are given back
	 */
	void (*detach)(struct pci_device *dev, bool is_there);
	bool (*is_detached)(struct pci_device *dev);
	void (*release)(struct pci_device *dev);
};

/* drivers_init - bind a driver to each device that has one; boot CPU, after pci_init() */
void drivers_init(void);

/* drivers_bind - the same for one that was plugged in; what cannot be used is said in the log */
void drivers_bind(struct pci_device *dev);

#endif
