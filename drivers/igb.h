/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's gigabit cards for PCI Express with several queues: 82576, I210, I350, with copper. */
#ifndef DRIVERS_IGB_H
#define DRIVERS_IGB_H

#include "drivers/drivers.h"

extern const struct pci_driver igb_driver;

#endif
