/* SPDX-License-Identifier: Apache-2.0 */
/* Largest BARs first: each is aligned to its length, so nothing is lost between them. */
#include "kernel/pci_assign.h"

/* [PCI] "PCI-to-PCI Bridge": type 1 header */
#define BRIDGE_IO_BASE		   0x1cu
#define BRIDGE_IO_LIMIT		   0x1du
#define BRIDGE_MEMORY_BASE	   0x20u
#define BRIDGE_MEMORY_LIMIT	   0x22u
#define BRIDGE_PREFETCH_BASE	   0x24u
#define BRIDGE_PREFETCH_LIMIT	   0x26u
#define BRIDGE_PREFETCH_BASE_HIGH  0x28u
#define BRIDGE_PREFETCH_LIMIT_HIGH 0x2cu
#define BRIDGE_IO_BASE_HIGH	   0x30u
#define BRIDGE_IO_LIMIT_HIGH	   0x32u
#define IO_PAGE			   0xf0u
#define MEMORY_MIB		   0xfff0u
#define PREFETCH_TYPE		   0x000fu
#define PREFETCH_64BIT		   0x0001u

#define REG_ROM	  0x30u
#define LINE_NONE 0xffu /* [PCI] "Interrupt Line": unknown */
#define ADDR_BITS 52u	/* no CPU has more */
#define BARS_MAX  (PCI_FUNCTIONS * PCI_BARS)
#define PLACE_MIN 4096u /* two BARs never share a page: pages are what is mapped */
#define LOW_END	  (4 * GIB)

/* [PCIe] "Device Capabilities Register", "Device Control Register" */
#define EXP_FLAGS	    0x02u
#define EXP_FLAGS_TYPE	    0x00f0u
#define EXP_FLAGS_ROOT_PORT 0x0040u
#define EXP_CAPS	    0x04u
#define EXP_CAPS_PAYLOAD    0x7u
#define EXP_CONTROL	    0x08u
#define EXP_CONTROL_PAYLOAD 0x00e0u
#define EXP_LAST_BYTES	    0x0cu

static uint32_t dev_read(const struct pci_access *access, const struct pci_device *dev,
			 uint32_t reg, uint32_t size)
{
	return access->read(access->arg, dev->at, reg, size);
}

static void dev_write(const struct pci_access *access, const struct pci_device *dev, uint32_t reg,
		      uint32_t size, uint32_t val)
{
	access->write(access->arg, dev->at, reg, size, val);
}

/* last: the address of its last byte. Closed ones have it below base; 0 was never opened. */
static struct pci_window window(uint64_t base, uint64_t last)
{
	if (base == 0 || last <= base || last >= BIT(ADDR_BITS))
		return (struct pci_window){0, 0};
	return (struct pci_window){base, last + 1};
}

static struct pci_window read_io(const struct pci_access *access, const struct pci_device *bridge)
{
	uint32_t base = dev_read(access, bridge, BRIDGE_IO_BASE, 1);
	uint32_t limit = dev_read(access, bridge, BRIDGE_IO_LIMIT, 1);

	if (dev_read(access, bridge, BRIDGE_IO_BASE_HIGH, 2) != 0 ||
	    dev_read(access, bridge, BRIDGE_IO_LIMIT_HIGH, 2) != 0)
		return (struct pci_window){0, 0}; /* a PC has 65536 ports */
	return window((base & IO_PAGE) << 8, (limit & IO_PAGE) << 8 | 0xfff);
}

static struct pci_window read_memory(const struct pci_access *access,
				     const struct pci_device *bridge)
{
	uint32_t base = dev_read(access, bridge, BRIDGE_MEMORY_BASE, 2);
	uint32_t limit = dev_read(access, bridge, BRIDGE_MEMORY_LIMIT, 2);

	return window((base & MEMORY_MIB) << 16, (limit & MEMORY_MIB) << 16 | (MIB - 1));
}

static struct pci_window read_prefetchable(const struct pci_access *access,
					   const struct pci_device *bridge)
{
	uint32_t low_base = dev_read(access, bridge, BRIDGE_PREFETCH_BASE, 2);
	uint32_t low_limit = dev_read(access, bridge, BRIDGE_PREFETCH_LIMIT, 2);
	uint64_t base = (low_base & MEMORY_MIB) << 16;
	uint64_t limit = (low_limit & MEMORY_MIB) << 16 | (MIB - 1);

	if ((low_base & PREFETCH_TYPE) == PREFETCH_64BIT) {
		base |= (uint64_t)dev_read(access, bridge, BRIDGE_PREFETCH_BASE_HIGH, 4) << 32;
		limit |= (uint64_t)dev_read(access, bridge, BRIDGE_PREFETCH_LIMIT_HIGH, 4) << 32;
	}
	return window(base, limit);
}

void pci_windows_read(const struct pci_access *access, const struct pci_device *bridge,
		      struct pci_windows *out)
{
	out->io = read_io(access, bridge);
	out->memory = read_memory(access, bridge);
	out->prefetchable = read_prefetchable(access, bridge);
}

/* ---- places ---- */

struct bar_list {
	uint32_t nr;
	struct pci_bar *bars[BARS_MAX];
};

/* Longest first. */
static void insert(struct bar_list *list, struct pci_bar *bar)
{
	uint32_t at = list->nr++;

	for (; at > 0 && list->bars[at - 1]->len_bytes < bar->len_bytes; at--)
		list->bars[at] = list->bars[at - 1];
	list->bars[at] = bar;
}

static void collect(struct pci_device *dev, struct bar_list *list)
{
	for (uint32_t i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &dev->bars[i];

		bar->base = 0;
		if (bar->len_bytes != 0)
			insert(list, bar);
		if (bar->is_64bit)
			i++;
	}
}

/* From the beginning of what is left of the window; false: it does not fit. */
static bool place(struct pci_window *left, struct pci_bar *bar, uint64_t least_bytes)
{
	uint64_t align = MAX(bar->len_bytes, least_bytes), base;

	if (align > left->end)
		return false;
	base = ALIGN_UP(left->base, align);
	if (base == 0 || !range_fits(base, align, left->end))
		return false;
	bar->base = base;
	left->base = base + align;
	return true;
}

static bool place_memory(struct pci_windows *left, struct pci_bar *bar)
{
	bool reaches_all = bar->is_64bit || left->prefetchable.end <= LOW_END;

	if (bar->is_prefetchable && reaches_all && place(&left->prefetchable, bar, PLACE_MIN))
		return true;
	return place(&left->memory, bar, PLACE_MIN);
}

static enum hv_err place_all(const struct pci_windows *windows, const struct bar_list *list,
			     uint64_t *wanted_bytes)
{
	struct pci_windows left = *windows;
	enum hv_err err = HV_OK;

	*wanted_bytes = 0;
	for (uint32_t i = 0; i < list->nr; i++) {
		struct pci_bar *bar = list->bars[i];

		if (bar->is_io) {
			(void)place(&left.io, bar, 0);
			continue;
		}
		*wanted_bytes += MIN(MAX(bar->len_bytes, PLACE_MIN), BIT(ADDR_BITS));
		if (!place_memory(&left, bar))
			err = HV_ENOMEM;
	}
	return err;
}

/* ---- registers ---- */

static bool keeps(const struct pci_access *access, const struct pci_device *dev, uint32_t reg,
		  uint32_t val, uint32_t mask)
{
	dev_write(access, dev, reg, 4, val);
	return (dev_read(access, dev, reg, 4) & mask) == val;
}

static bool write_bar(const struct pci_access *access, const struct pci_device *dev, uint32_t i)
{
	const struct pci_bar *bar = &dev->bars[i];
	uint32_t reg = PCI_REG_BAR0 + 4 * i;

	if (!keeps(access, dev, reg, (uint32_t)bar->base, bar->is_io ? ~3u : ~15u))
		return false;
	if (!bar->is_64bit)
		return true;
	return i + 1 < PCI_BARS &&
	       keeps(access, dev, reg + 4, (uint32_t)(bar->base >> 32), UINT32_MAX);
}

static enum hv_err write_function(const struct pci_access *access, struct pci_device *dev)
{
	for (uint32_t i = 0; i < PCI_BARS; i++) {
		if (dev->bars[i].base != 0 && !write_bar(access, dev, i))
			return HV_EPROTO;
		if (dev->bars[i].is_64bit)
			i++;
	}
	dev_write(access, dev, REG_ROM, 4, 0);
	dev->irq_line = LINE_NONE;
	dev_write(access, dev, PCI_REG_IRQ_LINE, 1, LINE_NONE);
	return HV_OK;
}

enum hv_err pci_assign(const struct pci_access *access, const struct pci_windows *windows,
		       struct pci_device *devs, uint32_t nr, uint64_t *wanted_bytes)
{
	struct bar_list list = {.nr = 0};
	enum hv_err err = HV_OK;

	*wanted_bytes = 0;
	for (uint32_t i = 0; i < nr && err == HV_OK; i++)
		err = devs[i].header_type != 0 ? HV_ENOTSUP : pci_size_bars(access, &devs[i]);
	if (err != HV_OK)
		return err;
	for (uint32_t i = 0; i < nr; i++) {
		pci_command(access, &devs[i], 0,
			    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		collect(&devs[i], &list);
	}
	err = place_all(windows, &list, wanted_bytes);
	for (uint32_t i = 0; i < nr && err == HV_OK; i++)
		err = write_function(access, &devs[i]);
	return err;
}

/* ---- packets ---- */

static uint32_t express_of(const struct pci_access *access, const struct pci_device *dev)
{
	uint32_t cap = pci_find_cap(access, dev, PCI_CAP_EXPRESS);

	return cap <= 256 - EXP_LAST_BYTES ? cap : 0;
}

static uint32_t payload_of(const struct pci_access *access, const struct pci_device *dev,
			   uint32_t cap)
{
	return (uint32_t)FIELD_GET(EXP_CONTROL_PAYLOAD,
				   dev_read(access, dev, cap + EXP_CONTROL, 2));
}

static void set_payload(const struct pci_access *access, const struct pci_device *dev, uint32_t cap,
			uint32_t payload)
{
	uint32_t control = dev_read(access, dev, cap + EXP_CONTROL, 2);

	dev_write(access, dev, cap + EXP_CONTROL, 2,
		  (control & ~EXP_CONTROL_PAYLOAD) |
			  (uint32_t)FIELD_PREP(EXP_CONTROL_PAYLOAD, payload));
}

enum hv_err pci_match_payload(const struct pci_access *access, const struct pci_device *port,
			      const struct pci_device *dev)
{
	uint32_t at_port = express_of(access, port), at_dev = express_of(access, dev);
	uint32_t payload, most, type;

	if (at_port == 0 || at_dev == 0)
		return HV_OK;
	payload = payload_of(access, port, at_port);
	most = dev_read(access, dev, at_dev + EXP_CAPS, 4) & EXP_CAPS_PAYLOAD;
	if (payload > most) {
		type = dev_read(access, port, at_port + EXP_FLAGS, 2) & EXP_FLAGS_TYPE;
		if (type != EXP_FLAGS_ROOT_PORT)
			return HV_ENOTSUP;
		payload = most;
		set_payload(access, port, at_port, payload);
	}
	set_payload(access, dev, at_dev, payload);
	return HV_OK;
}
