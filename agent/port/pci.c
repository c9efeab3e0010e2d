/* SPDX-License-Identifier: Apache-2.0 */
/* [PCI] configuration mechanism 1; the capability walk is bounded, as a list may bite its tail. */
#include "agent/port/pci.h"

#include "agent/port/cpu.h"

#define PCI_ADDRESS 0xcf8u
#define PCI_DATA    0xcfcu
#define PCI_SLOTS   32u
#define PCI_CAPS    48u

#define PCI_COMMAND	    0x04u
#define PCI_STATUS	    0x06u
#define PCI_BAR0	    0x10u
#define PCI_CAP_POINTER	    0x34u
#define PCI_COMMAND_IO	    0x0001u
#define PCI_COMMAND_MEM	    0x0002u
#define PCI_COMMAND_DMA	    0x0004u
#define PCI_COMMAND_NO_INTX 0x0400u
#define PCI_STATUS_CAPS	    0x0010u

static void select(struct pci_dev dev, uint8_t at)
{
	out32(PCI_ADDRESS, 0x80000000u | (uint32_t)dev.slot << 11 | (at & 0xfcu));
}

uint32_t pci_read32(struct pci_dev dev, uint8_t at)
{
	select(dev, at);
	return in32(PCI_DATA);
}

uint16_t pci_read16(struct pci_dev dev, uint8_t at)
{
	select(dev, at);
	return in16((uint16_t)(PCI_DATA + (at & 2)));
}

uint8_t pci_read8(struct pci_dev dev, uint8_t at)
{
	select(dev, at);
	return in8((uint16_t)(PCI_DATA + (at & 3)));
}

void pci_write16(struct pci_dev dev, uint8_t at, uint16_t val)
{
	select(dev, at);
	out16((uint16_t)(PCI_DATA + (at & 2)), val);
}

bool pci_find(uint16_t vendor, uint16_t device, struct pci_dev *out)
{
	struct pci_dev dev;

	for (dev.slot = 0; dev.slot < PCI_SLOTS; dev.slot++) {
		if (pci_read32(dev, 0) != ((uint32_t)device << 16 | vendor))
			continue;
		*out = dev;
		return true;
	}
	return false;
}

uint8_t pci_next_cap(struct pci_dev dev, uint8_t id, uint8_t from)
{
	unsigned steps;
	uint8_t at;

	if (!(pci_read16(dev, PCI_STATUS) & PCI_STATUS_CAPS))
		return 0;
	at = pci_read8(dev, from ? (uint8_t)(from + 1) : PCI_CAP_POINTER) & 0xfc;
	for (steps = 0; at != 0 && steps < PCI_CAPS; steps++) {
		if (pci_read8(dev, at) == id)
			return at;
		at = pci_read8(dev, (uint8_t)(at + 1)) & 0xfc;
	}
	return 0;
}

uint64_t pci_bar(struct pci_dev dev, uint8_t bar)
{
	uint8_t at = (uint8_t)(PCI_BAR0 + 4 * bar);
	uint32_t low = pci_read32(dev, at);

	if (bar > 5 || (low & 1))
		return 0;
	if ((low & 6) == 4 && bar < 5)
		return (uint64_t)pci_read32(dev, (uint8_t)(at + 4)) << 32 | (low & ~15u);
	return low & ~15u;
}

uint16_t pci_io_bar(struct pci_dev dev, uint8_t bar)
{
	uint32_t low = bar <= 5 ? pci_read32(dev, (uint8_t)(PCI_BAR0 + 4 * bar)) : 0;

	return low & 1 ? (uint16_t)(low & ~3u) : 0;
}

void pci_enable(struct pci_dev dev)
{
	pci_write16(dev, PCI_COMMAND,
		    pci_read16(dev, PCI_COMMAND) | PCI_COMMAND_IO | PCI_COMMAND_MEM |
			    PCI_COMMAND_DMA | PCI_COMMAND_NO_INTX);
}
