/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers, and the walk that gives each device to the first one that knows it. */
#include "drivers/drivers.h"

#include "drivers/ahci.h"
#include "drivers/ata.h"
#include "drivers/e1000.h"
#include "drivers/e1000e.h"
#include "drivers/e1000e_pch_hw.h"
#include "drivers/hotplug.h"
#include "drivers/igb.h"
#include "drivers/nic.h"
#include "drivers/nvme.h"
#include "drivers/virtio_blk_hw.h"
#include "drivers/virtio_net_hw.h"
#include "drivers/xhci.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "kernel/watchdog.h"

#define LIST_MAX     256u
#define CLASS_BRIDGE 0x06u
#define CLASS_USB    0x0c03u

static const struct pci_driver *const drivers[] = {
	&e1000_driver, &e1000e_driver, &e1000e_pch_driver, &igb_driver,	       &ahci_driver,
	&ata_driver,   &nvme_driver,   &virtio_blk_driver, &virtio_net_driver, &xhci_driver,
};

static bool knows_ids(const struct pci_driver *driver, const struct pci_device *dev)
{
	for (uint32_t i = 0; i < driver->nr_matches; i++)
		if (driver->matches[i].vendor == dev->vendor &&
		    driver->matches[i].device == dev->device)
			return true;
	return false;
}

static bool knows_class(const struct pci_driver *driver, const struct pci_device *dev)
{
	for (uint32_t i = 0; i < driver->nr_classes; i++)
		if ((dev->class_code & driver->classes[i].mask) == driver->classes[i].class_code)
			return true;
	return false;
}

static const struct pci_driver *driver_of(const struct pci_device *dev)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (knows_ids(drivers[i], dev))
			return drivers[i];
	for (uint32_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (knows_class(drivers[i], dev))
			return drivers[i];
	return NULL;
}

static const char *kind_of(const struct pci_device *dev)
{
	switch (dev->class_code >> 16) {
	case PCI_CLASS_STORAGE:
		return "disk controller";
	case PCI_CLASS_NETWORK:
		return "network device";
	default:
		return dev->class_code >> 8 == CLASS_USB ? "USB controller" : NULL;
	}
}

/*
 * What firmware or a loader left running: a card that still receives writes into memory that is
 * ours now, and a line that nobody here lowers would interrupt without end. Drivers turn on what
 * they use. Bridges, and what else firmware itself may need, are left alone.
 */
static void silence(const struct pci_device *dev)
{
	uint16_t clear = 0;

	if (dev->header_type != 0 || dev->class_code >> 16 == CLASS_BRIDGE)
		return;
	if (kind_of(dev))
		clear = PCI_COMMAND_MASTER;
	pci_command(&pci_machine, dev, PCI_COMMAND_INTX_DISABLE, clear);
}

static void bind(struct pci_device *dev)
{
	const struct pci_driver *driver = driver_of(dev);
	const char *kind = kind_of(dev);
	enum hv_err err;

	if (!driver) {
		if (kind)
			log_info("drivers", "%02x:%02x.%u: no driver for %s %04x:%04x, class %06x",
				 dev->at.bus, dev->at.dev, dev->at.fn, kind, dev->vendor,
				 dev->device, dev->class_code);
		return;
	}
	dev->driver = driver;
	err = driver->attach(dev);
	if (err == HV_OK)
		return;
	dev->driver = NULL;
	log_warn("drivers", "%02x:%02x.%u: %s could not use it: %s", dev->at.bus, dev->at.dev,
		 dev->at.fn, driver->name, hv_strerror(err));
	silence(dev);
}

void drivers_bind(struct pci_device *dev)
{
	const struct pci_driver *driver = driver_of(dev);

	silence(dev);
	if (driver && !driver->detach)
		log_warn("drivers",
			 "%02x:%02x.%u: %s takes no cards that are plugged in while the machine "
			 "runs: this one is used after a reboot",
			 dev->at.bus, dev->at.dev, dev->at.fn, driver->name);
	else
		bind(dev);
}

static void warn_of_no_nic(void)
{
	char list[LIST_MAX] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < ARRAY_SIZE(drivers) && len < sizeof(list); i++)
		if (drivers[i]->base_class == PCI_CLASS_NETWORK)
			len += fmt(list + len, sizeof(list) - len, "%s%s", len ? "; " : "",
				   drivers[i]->devices);
	log_warn("drivers",
		 "this machine has no network card that Billet can drive (it can: %s): no "
		 "controller will be reached",
		 list);
}

void drivers_init(void)
{
	for (uint32_t i = 0; i < pci_count(); i++)
		silence(pci_at(i));
	hotplug_init();
	for (uint32_t i = 0; i < pci_count(); i++) {
		watchdog_kick();
		bind(pci_at(i));
	}
	if (nic_count() == 0)
		warn_of_no_nic();
}
