/* SPDX-License-Identifier: Apache-2.0 */
/* AHCI controllers, by their class code. */
#ifndef DRIVERS_AHCI_H
#define DRIVERS_AHCI_H

#include "drivers/drivers.h"

extern const struct pci_driver ahci_driver;

#endif
