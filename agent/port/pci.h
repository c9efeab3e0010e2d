/* SPDX-License-Identifier: Apache-2.0 */
/* PCI configuration by CF8/CFC, on bus 0. BARs have been assigned by whoever made this machine. */
#ifndef AGENT_PORT_PCI_H
#define AGENT_PORT_PCI_H

#include "kernel/lib/types.h"

struct pci_dev {
	uint8_t slot;
};

bool pci_find(uint16_t vendor, uint16_t device, struct pci_dev *out);
uint8_t pci_read8(struct pci_dev dev, uint8_t at);
uint16_t pci_read16(struct pci_dev dev, uint8_t at);
uint32_t pci_read32(struct pci_dev dev, uint8_t at);
void pci_write16(struct pci_dev dev, uint8_t at, uint16_t val);

/* pci_next_cap - the capability of this ID behind the one at `from` (0: the first); 0: none */
uint8_t pci_next_cap(struct pci_dev dev, uint8_t id, uint8_t from);

/* pci_bar - address of a memory BAR; 0 for what is none */
uint64_t pci_bar(struct pci_dev dev, uint8_t bar);

/* pci_io_bar - port of an I/O BAR; 0 for what is none */
uint16_t pci_io_bar(struct pci_dev dev, uint8_t bar);

/* pci_enable - I/O and memory decoding and DMA on, INTx off */
void pci_enable(struct pci_dev dev);

#endif
