/* SPDX-License-Identifier: Apache-2.0 */
/* The first steps with a device, the same for all drivers. */
#include "drivers/dev_open.h"

#include "kernel/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/memory.h"
#include "kernel/time.h"

static bool has_bars(const struct pci_device *dev, bool is_io)
{
	for (uint32_t i = 0; i < PCI_BARS; i++)
		if (dev->bars[i].len_bytes != 0 && dev->bars[i].base != 0 &&
		    dev->bars[i].is_io == is_io)
			return true;
	return false;
}

enum hv_err dev_open(struct pci_device *dev)
{
	uint16_t decode = 0;
	enum hv_err err;

	if (!pci_is_present(&pci_machine, dev))
		return HV_ENOENT;
	dev_stop_dma(dev);
	pci_power_up(&pci_machine, dev, time_busy_wait_ns);
	pci_messages_off(&pci_machine, dev);
	err = pci_size_bars(&pci_machine, dev);
	if (err != HV_OK)
		return err;
	if (has_bars(dev, false))
		decode |= PCI_COMMAND_MEMORY;
	if (has_bars(dev, true))
		decode |= PCI_COMMAND_IO;
	pci_command(&pci_machine, dev, decode, PCI_COMMAND_INTX_DISABLE);
	return HV_OK;
}

volatile void *dev_map(const struct pci_device *dev, uint32_t bar, uint64_t len_bytes)
{
	const struct pci_bar *b = &dev->bars[bar];

	if (bar >= PCI_BARS || b->is_io || b->base == 0 || b->len_bytes < len_bytes)
		return NULL;
	return mmio_map(b->base, len_bytes);
}

uint16_t dev_ports(const struct pci_device *dev, uint32_t bar, uint32_t len_bytes)
{
	const struct pci_bar *b = &dev->bars[bar];

	if (bar >= PCI_BARS || !b->is_io || b->len_bytes < len_bytes ||
	    !range_fits(b->base, len_bytes, 0x10000))
		return 0;
	return (uint16_t)b->base;
}

void dev_start_dma(const struct pci_device *dev)
{
	pci_command(&pci_machine, dev, PCI_COMMAND_MASTER, 0);
}

void dev_stop_dma(const struct pci_device *dev)
{
	pci_command(&pci_machine, dev, 0, PCI_COMMAND_MASTER);
}

enum hv_err dev_reset(struct pci_device *dev)
{
	enum hv_err err = pci_reset_function(&pci_machine, dev, time_busy_wait_ns);

	return err == HV_OK ? dev_open(dev) : err;
}

static void answer(void *arg)
{
	(void)arg;
}

void dev_wait_for_cpus(void)
{
	cpu_call_others(answer, NULL);
}

void dev_name(const struct pci_device *dev, char *dst, size_t cap_bytes)
{
	fmt(dst, cap_bytes, "%02x:%02x.%u", dev->at.bus, dev->at.dev, dev->at.fn);
}
