/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure half of PCI: every loop here ends by its own count, never by what a device answers.
 */
#include "kernel/pci.h"

#define BUSES	256u
#define DEVICES 32u
#define FUNCS	8u

#define HEADER_TYPE		0x7fu
#define HEADER_MULTI_FUNCTION	0x80u
#define HEADER_TYPE_DEVICE	0u
#define HEADER_TYPE_BRIDGE	1u
#define STATUS_HAS_CAPS		0x0010u
#define VENDOR_NONE		0xffffu
#define CAPS_FIRST		0x40u
#define CAPS_MOST		48u /* as many as fit: (256 - 64) / 4 */
#define CLASS_BRIDGE_PCI_TO_PCI 0x0604u

/* [PCI] "Base Addresses" */
#define BAR_IO		 0x1u
#define BAR_IO_FLAGS	 0x3u
#define BAR_MEM_TYPE	 0x6u
#define BAR_MEM_64BIT	 0x4u
#define BAR_MEM_PREFETCH 0x8u
#define BAR_MEM_FLAGS	 0xfu

/* [PCI] "MSI Capability Structure" */
#define MSI_CONTROL	     0x02u
#define MSI_CONTROL_ENABLE   0x0001u
#define MSI_CONTROL_MULTIPLE 0x0070u
#define MSI_CONTROL_64BIT    0x0080u
#define MSI_ADDR	     0x04u
#define MSI_ADDR_HIGH	     0x08u
#define MSI_DATA_32BIT	     0x08u
#define MSI_DATA_64BIT	     0x0cu

/* [PCI] "MSI-X Capability and Table Structures" */
#define MSIX_CONTROL	    0x02u
#define MSIX_CONTROL_SIZE   0x07ffu
#define MSIX_CONTROL_MASKED 0x4000u
#define MSIX_CONTROL_ENABLE 0x8000u
#define MSIX_TABLE	    0x04u
#define MSIX_TABLE_BAR	    0x7u
#define MSIX_ENTRY_WORDS    4u

static uint32_t read_at(const struct pci_access *access, struct pci_addr at, uint32_t reg,
			uint32_t size)
{
	return access->read(access->arg, at, reg, size);
}

static uint32_t dev_read(const struct pci_access *access, const struct pci_device *dev,
			 uint32_t reg, uint32_t size)
{
	return read_at(access, dev->at, reg, size);
}

static void dev_write(const struct pci_access *access, const struct pci_device *dev, uint32_t reg,
		      uint32_t size, uint32_t val)
{
	access->write(access->arg, dev->at, reg, size, val);
}

static uint32_t nr_bars(const struct pci_device *dev)
{
	if (dev->header_type == HEADER_TYPE_DEVICE)
		return PCI_BARS;
	return dev->header_type == HEADER_TYPE_BRIDGE ? 2 : 0;
}

/* What a BAR's register says, without its length. */
static struct pci_bar bar_decode(uint32_t low, uint32_t high)
{
	struct pci_bar bar = {0};

	if (low & BAR_IO) {
		bar.is_io = true;
		bar.base = low & ~BAR_IO_FLAGS;
		return bar;
	}
	bar.is_64bit = (low & BAR_MEM_TYPE) == BAR_MEM_64BIT;
	bar.is_prefetchable = low & BAR_MEM_PREFETCH;
	bar.base = low & ~BAR_MEM_FLAGS;
	if (bar.is_64bit)
		bar.base |= (uint64_t)high << 32;
	return bar;
}

static void read_bars(const struct pci_access *access, struct pci_device *dev)
{
	for (uint32_t i = 0; i < nr_bars(dev); i++) {
		uint32_t reg = PCI_REG_BAR0 + 4 * i;
		bool has_next = i + 1 < nr_bars(dev);

		dev->bars[i] = bar_decode(dev_read(access, dev, reg, 4),
					  has_next ? dev_read(access, dev, reg + 4, 4) : 0);
		if (dev->bars[i].is_64bit)
			i++;
	}
}

static bool read_device(const struct pci_access *access, struct pci_addr at, struct pci_device *out)
{
	uint32_t class_revision;

	*out = (struct pci_device){.at = at};
	out->vendor = (uint16_t)read_at(access, at, PCI_REG_VENDOR, 2);
	if (out->vendor == VENDOR_NONE)
		return false;
	out->device = (uint16_t)read_at(access, at, PCI_REG_DEVICE, 2);
	class_revision = read_at(access, at, PCI_REG_REVISION, 4);
	out->class_code = class_revision >> 8;
	out->revision = (uint8_t)class_revision;
	out->header_type = read_at(access, at, PCI_REG_HEADER_TYPE, 1) & HEADER_TYPE;
	out->irq_line = (uint8_t)read_at(access, at, PCI_REG_IRQ_LINE, 1);
	out->irq_pin = (uint8_t)read_at(access, at, PCI_REG_IRQ_PIN, 1);
	read_bars(access, out);
	return true;
}

struct scan {
	const struct pci_access *access;
	struct pci_device *out;
	uint32_t cap, found;
	uint64_t is_known[BUSES /
			  64]; /* one bit a bus, so that no loop of bridges is walked twice */
	uint8_t buses[BUSES];  /* known ones, in the order in which they are scanned */
	uint32_t nr_buses;
};

static void scan_add_bus(struct scan *scan, uint8_t bus)
{
	if (scan->is_known[bus / 64] & BIT(bus % 64))
		return;
	scan->is_known[bus / 64] |= BIT(bus % 64);
	scan->buses[scan->nr_buses++] = bus;
}

static bool scan_function(struct scan *scan, struct pci_addr at)
{
	struct pci_device dev;

	if (!read_device(scan->access, at, &dev))
		return false;
	if (scan->found < scan->cap)
		scan->out[scan->found] = dev;
	scan->found++;
	if (dev.header_type == HEADER_TYPE_BRIDGE && dev.class_code >> 8 == CLASS_BRIDGE_PCI_TO_PCI)
		scan_add_bus(scan, (uint8_t)read_at(scan->access, at, PCI_REG_SECONDARY, 1));
	return true;
}

static void scan_bus(struct scan *scan, uint8_t bus)
{
	for (uint8_t dev = 0; dev < DEVICES; dev++) {
		struct pci_addr at = {bus, dev, 0};

		if (!scan_function(scan, at))
			continue;
		if (!(read_at(scan->access, at, PCI_REG_HEADER_TYPE, 1) & HEADER_MULTI_FUNCTION))
			continue;
		for (at.fn = 1; at.fn < FUNCS; at.fn++)
			scan_function(scan, at);
	}
}

uint32_t pci_scan(const struct pci_access *access, struct pci_device *out, uint32_t cap)
{
	struct scan scan = {.access = access, .out = out, .cap = cap};

	scan_add_bus(&scan, 0);
	for (uint32_t i = 0; i < scan.nr_buses; i++)
		scan_bus(&scan, scan.buses[i]);
	return scan.found;
}

/* All ones into one register of a BAR, what comes back, and the old value again. */
static uint32_t probe_mask(const struct pci_access *access, const struct pci_device *dev,
			   uint32_t reg)
{
	uint32_t old = dev_read(access, dev, reg, 4), mask;

	dev_write(access, dev, reg, 4, ~0u);
	mask = dev_read(access, dev, reg, 4);
	dev_write(access, dev, reg, 4, old);
	return mask;
}

static uint64_t bar_len(const struct pci_access *access, const struct pci_device *dev, uint32_t i)
{
	const struct pci_bar *bar = &dev->bars[i];
	uint32_t reg = PCI_REG_BAR0 + 4 * i;
	uint64_t mask = probe_mask(access, dev, reg) & ~(bar->is_io ? BAR_IO_FLAGS : BAR_MEM_FLAGS);

	if (bar->is_64bit && i + 1 < nr_bars(dev))
		mask |= (uint64_t)probe_mask(access, dev, reg + 4) << 32;
	return mask & -mask; /* the lowest address bit that can be written is the length */
}

enum hv_err pci_size_bars(const struct pci_access *access, struct pci_device *dev)
{
	uint16_t command = (uint16_t)dev_read(access, dev, PCI_REG_COMMAND, 2);

	if (dev_read(access, dev, PCI_REG_VENDOR, 2) == VENDOR_NONE)
		return HV_ENOENT;

	pci_command(access, dev, 0, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	for (uint32_t i = 0; i < nr_bars(dev); i++) {
		dev->bars[i].len_bytes = bar_len(access, dev, i);
		if (dev->bars[i].is_64bit)
			i++;
	}
	dev_write(access, dev, PCI_REG_COMMAND, 2, command);
	return HV_OK;
}

void pci_command(const struct pci_access *access, const struct pci_device *dev, uint16_t set,
		 uint16_t clear)
{
	uint32_t command = dev_read(access, dev, PCI_REG_COMMAND, 2);

	dev_write(access, dev, PCI_REG_COMMAND, 2, (command & ~(uint32_t)clear) | set);
}

uint8_t pci_find_cap(const struct pci_access *access, const struct pci_device *dev, uint8_t id)
{
	uint32_t at;

	if (!(dev_read(access, dev, PCI_REG_STATUS, 2) & STATUS_HAS_CAPS))
		return 0;
	at = dev_read(access, dev, PCI_REG_CAP_POINTER, 1) & 0xfcu;
	for (uint32_t i = 0; i < CAPS_MOST && at >= CAPS_FIRST; i++) {
		uint32_t header = dev_read(access, dev, at, 2);

		if (header == 0xffff)
			return 0; /* gone */
		if ((header & 0xff) == id)
			return (uint8_t)at;
		at = header >> 8 & 0xfcu;
	}
	return 0;
}

enum hv_err pci_msi_enable(const struct pci_access *access, const struct pci_device *dev,
			   uint64_t addr, uint32_t data)
{
	uint32_t cap = pci_find_cap(access, dev, PCI_CAP_MSI), control;
	bool is_64bit;

	/* The longest form has 24 bytes; one that starts further up would wrap. */
	if (cap == 0 || cap > 256 - 24)
		return HV_ENOTSUP;
	control = dev_read(access, dev, cap + MSI_CONTROL, 2);
	is_64bit = control & MSI_CONTROL_64BIT;
	if (addr > UINT32_MAX && !is_64bit)
		return HV_ENOTSUP;

	dev_write(access, dev, cap + MSI_ADDR, 4, (uint32_t)addr);
	if (is_64bit)
		dev_write(access, dev, cap + MSI_ADDR_HIGH, 4, (uint32_t)(addr >> 32));
	dev_write(access, dev, cap + (is_64bit ? MSI_DATA_64BIT : MSI_DATA_32BIT), 2,
		  data & 0xffff);
	control = (control & ~MSI_CONTROL_MULTIPLE) | MSI_CONTROL_ENABLE;
	dev_write(access, dev, cap + MSI_CONTROL, 2, control);
	pci_command(access, dev, PCI_COMMAND_INTX_DISABLE, 0);
	return HV_OK;
}

enum hv_err pci_msix_find(const struct pci_access *access, const struct pci_device *dev,
			  struct pci_msix *out)
{
	uint32_t cap = pci_find_cap(access, dev, PCI_CAP_MSIX), table, nr, bar;

	if (cap == 0 || cap > 256 - 12)
		return HV_ENOTSUP;
	nr = (dev_read(access, dev, cap + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1;
	table = dev_read(access, dev, cap + MSIX_TABLE, 4);
	bar = table & MSIX_TABLE_BAR;
	table &= ~MSIX_TABLE_BAR;
	if (bar >= PCI_BARS || dev->bars[bar].is_io || dev->bars[bar].base == 0)
		return HV_EPROTO;
	if (!range_fits(table, (uint64_t)nr * MSIX_ENTRY_WORDS * 4, dev->bars[bar].len_bytes))
		return HV_EPROTO;
	*out = (struct pci_msix){.bar = (uint8_t)bar, .offset = table, .nr_vectors = nr};
	return HV_OK;
}

void pci_msix_set(volatile uint32_t *table, uint32_t index, uint64_t addr, uint32_t data)
{
	volatile uint32_t *entry = table + index * MSIX_ENTRY_WORDS;

	entry[0] = (uint32_t)addr;
	entry[1] = (uint32_t)(addr >> 32);
	entry[2] = data;
	entry[3] = 0; /* not masked; last, when the rest is in place */
}

enum hv_err pci_msix_enable(const struct pci_access *access, const struct pci_device *dev)
{
	uint32_t cap = pci_find_cap(access, dev, PCI_CAP_MSIX), control;

	if (cap == 0 || cap > 256 - 12)
		return HV_ENOTSUP;
	control = dev_read(access, dev, cap + MSIX_CONTROL, 2);
	control = (control & ~MSIX_CONTROL_MASKED) | MSIX_CONTROL_ENABLE;
	dev_write(access, dev, cap + MSIX_CONTROL, 2, control);
	pci_command(access, dev, PCI_COMMAND_INTX_DISABLE, 0);
	return HV_OK;
}
