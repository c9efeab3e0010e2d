/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's 82540EM and 82545EM, the gigabit cards of QEMU, Bochs and VMware. */
#ifndef DRIVERS_E1000_H
#define DRIVERS_E1000_H

#include "drivers/drivers.h"

extern const struct pci_driver e1000_driver;

#endif
