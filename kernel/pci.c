/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure half of PCI: every loop here ends by its own count, never by what a device answers.
 */
#include "kernel/pci.h"

#define BUSES	256u
#define DEVICES 32u

#define HEADER_TYPE		0x7fu
#define HEADER_MULTI_FUNCTION	0x80u
#define HEADER_TYPE_DEVICE	0u
#define HEADER_TYPE_BRIDGE	1u
#define STATUS_HAS_CAPS		0x0010u
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
#define MSIX_ENTRY_MASKED   1u

/* [PCIPM] "Power Management Control/Status (PMCSR)" */
#define PM_CONTROL	    0x04u
#define PM_CONTROL_STATE    0x0003u
#define PM_CONTROL_NO_RESET 0x0008u /* the way from D3hot to D0 keeps its registers */
#define PM_CONTROL_STATUS   0x8000u /* cleared by writing one */
#define PM_D3_TO_D0_NS	    (10 * NSEC_PER_MSEC)

/* [PCIe] "Device Capabilities Register" and those that follow it */
#define EXP_CAPS	   0x04u
#define EXP_CAPS_FLR	   BIT(28)
#define EXP_CONTROL	   0x08u
#define EXP_CONTROL_FLR	   0x8000u
#define EXP_STATUS	   0x0au
#define EXP_STATUS_PENDING 0x0020u
#define EXP_LAST_BYTES	   0x0cu

/* [PCIAF] "Advanced Features Capability" */
#define AF_CAPS		  0x03u
#define AF_CAPS_TP_FLR	  0x03u /* transactions pending, and function-level reset */
#define AF_CONTROL	  0x04u
#define AF_CONTROL_FLR	  0x01u
#define AF_STATUS	  0x05u
#define AF_STATUS_PENDING 0x01u

/* [PCIe] "Function Level Reset (FLR)" */
#define FLR_POLL_NS    (10 * NSEC_PER_MSEC)
#define FLR_PENDING_NS (100 * NSEC_PER_MSEC)
#define FLR_NS	       (100 * NSEC_PER_MSEC)
#define FLR_RETURN_NS  (1 * NSEC_PER_SEC)

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
	if (out->vendor == PCI_VENDOR_NONE)
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
		for (at.fn = 1; at.fn < PCI_FUNCTIONS; at.fn++)
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

uint32_t pci_scan_slot(const struct pci_access *access, uint8_t bus,
		       struct pci_device out[PCI_FUNCTIONS])
{
	struct pci_addr at = {.bus = bus};
	uint32_t nr = 0;

	if (!read_device(access, at, &out[nr]))
		return 0;
	nr++;
	if (!(read_at(access, at, PCI_REG_HEADER_TYPE, 1) & HEADER_MULTI_FUNCTION))
		return nr;
	for (at.fn = 1; at.fn < PCI_FUNCTIONS; at.fn++)
		nr += read_device(access, at, &out[nr]);
	return nr;
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

	if (dev_read(access, dev, PCI_REG_VENDOR, 2) == PCI_VENDOR_NONE)
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

	entry[3] = MSIX_ENTRY_MASKED; /* no message of half an old and half a new address */
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

static void clear_control(const struct pci_access *access, const struct pci_device *dev, uint8_t id,
			  uint32_t offset, uint32_t bits)
{
	uint32_t cap = pci_find_cap(access, dev, id);

	if (cap != 0 && cap + offset <= 254)
		dev_write(access, dev, cap + offset, 2,
			  dev_read(access, dev, cap + offset, 2) & ~bits);
}

void pci_messages_off(const struct pci_access *access, const struct pci_device *dev)
{
	clear_control(access, dev, PCI_CAP_MSI, MSI_CONTROL, MSI_CONTROL_ENABLE);
	clear_control(access, dev, PCI_CAP_MSIX, MSIX_CONTROL, MSIX_CONTROL_ENABLE);
}

bool pci_is_present(const struct pci_access *access, const struct pci_device *dev)
{
	return dev_read(access, dev, PCI_REG_VENDOR, 4) ==
	       ((uint32_t)dev->device << 16 | dev->vendor);
}

/* What a reset loses of the header, and of PCI Express: the sizes that firmware chose for packets.
 */
struct saved {
	uint32_t command, cache_line, irq_line, bars[PCI_BARS];
	uint32_t express; /* register offset, 0: none */
	uint32_t express_control;
};

static struct saved save(const struct pci_access *access, const struct pci_device *dev)
{
	struct saved saved = {
		.command = dev_read(access, dev, PCI_REG_COMMAND, 2),
		.cache_line = dev_read(access, dev, PCI_REG_CACHE_LINE, 1),
		.irq_line = dev_read(access, dev, PCI_REG_IRQ_LINE, 1),
		.express = pci_find_cap(access, dev, PCI_CAP_EXPRESS),
	};

	for (uint32_t i = 0; i < nr_bars(dev); i++)
		saved.bars[i] = dev_read(access, dev, PCI_REG_BAR0 + 4 * i, 4);
	if (saved.express > 256 - EXP_LAST_BYTES)
		saved.express = 0;
	if (saved.express)
		saved.express_control = dev_read(access, dev, saved.express + EXP_CONTROL, 2);
	return saved;
}

static void restore(const struct pci_access *access, const struct pci_device *dev,
		    const struct saved *saved)
{
	if (saved->express)
		dev_write(access, dev, saved->express + EXP_CONTROL, 2, saved->express_control);
	for (uint32_t i = 0; i < nr_bars(dev); i++)
		dev_write(access, dev, PCI_REG_BAR0 + 4 * i, 4, saved->bars[i]);
	dev_write(access, dev, PCI_REG_CACHE_LINE, 1, saved->cache_line);
	dev_write(access, dev, PCI_REG_IRQ_LINE, 1, saved->irq_line);
	dev_write(access, dev, PCI_REG_COMMAND, 2, saved->command);
}

void pci_power_up(const struct pci_access *access, const struct pci_device *dev,
		  void (*wait_ns)(uint64_t ns))
{
	uint32_t cap = pci_find_cap(access, dev, PCI_CAP_POWER), control;
	struct saved saved;

	if (cap == 0 || cap > 256 - 8)
		return;
	control = dev_read(access, dev, cap + PM_CONTROL, 2);
	if (!(control & PM_CONTROL_STATE))
		return;
	saved = save(access, dev);
	dev_write(access, dev, cap + PM_CONTROL, 2,
		  control & ~(PM_CONTROL_STATE | PM_CONTROL_STATUS));
	wait_ns(PM_D3_TO_D0_NS);
	if (!(control & PM_CONTROL_NO_RESET))
		restore(access, dev, &saved);
}

/* Where a reset is started and where transactions that are under way show. */
struct flr {
	uint32_t control, control_size, set;
	uint32_t status;
	uint32_t pending;
};

static bool find_flr(const struct pci_access *access, const struct pci_device *dev, struct flr *out)
{
	uint32_t cap = pci_find_cap(access, dev, PCI_CAP_EXPRESS);

	if (cap != 0 && cap <= 256 - EXP_LAST_BYTES &&
	    dev_read(access, dev, cap + EXP_CAPS, 4) & EXP_CAPS_FLR) {
		*out = (struct flr){cap + EXP_CONTROL, 2, EXP_CONTROL_FLR, cap + EXP_STATUS,
				    EXP_STATUS_PENDING};
		return true;
	}
	cap = pci_find_cap(access, dev, PCI_CAP_AF);
	if (cap != 0 && cap <= 256 - 8 &&
	    (dev_read(access, dev, cap + AF_CAPS, 1) & AF_CAPS_TP_FLR) == AF_CAPS_TP_FLR) {
		*out = (struct flr){cap + AF_CONTROL, 1, AF_CONTROL_FLR, cap + AF_STATUS,
				    AF_STATUS_PENDING};
		return true;
	}
	return false;
}

static bool waits_for_transactions(const struct pci_access *access, const struct pci_device *dev,
				   const struct flr *flr, void (*wait_ns)(uint64_t ns))
{
	for (uint64_t ns = 0; ns <= FLR_PENDING_NS; ns += FLR_POLL_NS) {
		if (!(dev_read(access, dev, flr->status, flr->control_size) & flr->pending))
			return true;
		wait_ns(FLR_POLL_NS);
	}
	return false;
}

static bool comes_back(const struct pci_access *access, const struct pci_device *dev,
		       void (*wait_ns)(uint64_t ns))
{
	for (uint64_t ns = 0; ns <= FLR_RETURN_NS; ns += FLR_POLL_NS) {
		if (pci_is_present(access, dev))
			return true;
		wait_ns(FLR_POLL_NS);
	}
	return false;
}

enum hv_err pci_reset_function(const struct pci_access *access, const struct pci_device *dev,
			       void (*wait_ns)(uint64_t ns))
{
	struct saved saved;
	struct flr flr;
	uint32_t control;

	if (!find_flr(access, dev, &flr))
		return HV_ENOTSUP;
	pci_command(access, dev, 0, PCI_COMMAND_MASTER);
	if (!waits_for_transactions(access, dev, &flr, wait_ns))
		return HV_EIO;
	saved = save(access, dev);
	control = dev_read(access, dev, flr.control, flr.control_size);
	dev_write(access, dev, flr.control, flr.control_size, control | flr.set);
	wait_ns(FLR_NS);
	if (!comes_back(access, dev, wait_ns))
		return HV_EIO;
	restore(access, dev, &saved);
	return HV_OK;
}
