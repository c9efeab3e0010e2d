/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts that do not arrive: a device cannot raise them, however it was told to. */
#ifndef TESTS_KERNEL_LIB_DEAF_H
#define TESTS_KERNEL_LIB_DEAF_H

#include "kernel/pci.h"

struct deaf { /* what its registers held before */
	uint16_t command, msi, msix;
};

/* deaf_begin - by MSI-X, MSI or its line. By MSI it forgets what it raises meanwhile. */
struct deaf deaf_begin(const struct pci_device *dev);

void deaf_end(const struct pci_device *dev, const struct deaf *before);

#endif
