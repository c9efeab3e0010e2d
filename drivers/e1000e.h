/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's gigabit cards for PCI Express with one queue: the 82574. */
#ifndef DRIVERS_E1000E_H
#define DRIVERS_E1000E_H

#include "drivers/drivers.h"

extern const struct pci_driver e1000e_driver;

#endif
