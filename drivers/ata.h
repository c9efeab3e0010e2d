/* SPDX-License-Identifier: Apache-2.0 */
/* IDE controllers with bus-master DMA, by their class code. */
#ifndef DRIVERS_ATA_H
#define DRIVERS_ATA_H

#include "drivers/drivers.h"

extern const struct pci_driver ata_driver;

#endif
