/* SPDX-License-Identifier: Apache-2.0 */
/* xHCI host controllers, by their class code, and the USB sticks behind them. */
#ifndef DRIVERS_XHCI_H
#define DRIVERS_XHCI_H

#include "drivers/drivers.h"

extern const struct pci_driver xhci_driver;

#endif
