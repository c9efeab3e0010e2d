/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source: [PCI] "Message Control for MSI", "Message Control for MSI-X", "Command Register".
 */
#include "tests/kernel/lib/deaf.h"

#define MESSAGE_CONTROL	   2u
#define MSI_ENABLE	   0x0001u
#define MSIX_FUNCTION_MASK 0x4000u

static uint16_t read_control(const struct pci_device *dev, uint8_t cap_id)
{
	uint8_t cap = pci_find_cap(&pci_machine, dev, cap_id);

	return cap ? (uint16_t)pci_machine.read(pci_machine.arg, dev->at, cap + MESSAGE_CONTROL, 2)
		   : 0;
}

static void write_control(const struct pci_device *dev, uint8_t cap_id, uint16_t val)
{
	uint8_t cap = pci_find_cap(&pci_machine, dev, cap_id);

	if (cap)
		pci_machine.write(pci_machine.arg, dev->at, cap + MESSAGE_CONTROL, 2, val);
}

struct deaf deaf_begin(const struct pci_device *dev)
{
	struct deaf before = {
		.command = (uint16_t)pci_machine.read(pci_machine.arg, dev->at, PCI_REG_COMMAND, 2),
		.msi = read_control(dev, PCI_CAP_MSI),
		.msix = read_control(dev, PCI_CAP_MSIX),
	};

	write_control(dev, PCI_CAP_MSIX, before.msix | MSIX_FUNCTION_MASK);
	write_control(dev, PCI_CAP_MSI, before.msi & (uint16_t)~MSI_ENABLE);
	pci_command(&pci_machine, dev, PCI_COMMAND_INTX_DISABLE, 0);
	return before;
}

void deaf_end(const struct pci_device *dev, const struct deaf *before)
{
	write_control(dev, PCI_CAP_MSIX, before->msix);
	write_control(dev, PCI_CAP_MSI, before->msi);
	if (!(before->command & PCI_COMMAND_INTX_DISABLE))
		pci_command(&pci_machine, dev, 0, PCI_COMMAND_INTX_DISABLE);
}
