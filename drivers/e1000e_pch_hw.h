/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's LAN built into chipsets: I217, I218 and the first generation of I219. */
#ifndef DRIVERS_E1000E_PCH_HW_H
#define DRIVERS_E1000E_PCH_HW_H

#include "drivers/drivers.h"

extern const struct pci_driver e1000e_pch_driver;

#endif
