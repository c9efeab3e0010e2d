/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers, and the walk that gives each device to the first one that knows it. */
#include "drivers/drivers.h"

#include "drivers/e1000.h"
#include "drivers/nic.h"
#include "kernel/log.h"

#define CLASS_NETWORK 0x02u

static const struct pci_driver *const drivers[] = {
	&e1000_driver,
};

static bool matches(const struct pci_driver *driver, const struct pci_device *dev)
{
	for (uint32_t i = 0; i < driver->nr_matches; i++)
		if (driver->matches[i].vendor == dev->vendor &&
		    driver->matches[i].device == dev->device)
			return true;
	return false;
}

static const struct pci_driver *driver_of(const struct pci_device *dev)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (matches(drivers[i], dev))
			return drivers[i];
	return NULL;
}

static void bind(struct pci_device *dev)
{
	const struct pci_driver *driver = driver_of(dev);
	enum hv_err err;

	if (!driver) {
		if (dev->class_code >> 16 == CLASS_NETWORK)
			log_info("drivers", "%02x:%02x.%u: no driver for network device %04x:%04x",
				 dev->at.bus, dev->at.dev, dev->at.fn, dev->vendor, dev->device);
		return;
	}
	err = driver->attach(dev);
	if (err != HV_OK)
		log_warn("drivers", "%02x:%02x.%u: %s could not use it: %s", dev->at.bus,
			 dev->at.dev, dev->at.fn, driver->name, hv_strerror(err));
}

void drivers_init(void)
{
	for (uint32_t i = 0; i < pci_count(); i++)
		bind(pci_at(i));
	if (nic_count() == 0)
		log_warn("drivers",
			 "this machine has no network card that Billet can drive (it can: Intel "
			 "82540EM and 82545EM): no controller will be reached");
}
