/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus. Both ways into configuration space end in config_access(); both kinds of memory access
 * end in the one MMIO row, which is cut at LAYOUT_ECAM.
 */
#include "vmm/dev/pci_host.h"

#include "kernel/memory.h"

/* [PCI] "Software Generation of Configuration Transactions": CONFIG_ADDRESS */
#define CF8_ENABLE 0x80000000u
#define CF8_BUS	   0x00ff0000u
#define CF8_DEVFN  0x0000ff00u
#define CF8_REG	   0x000000fcu
#define CF8_KEPT   (CF8_ENABLE | CF8_BUS | CF8_DEVFN | CF8_REG)
#define CFC_AT	   4u /* offset of CONFIG_DATA in the row */

/* [PCIe] "Enhanced Configuration Access Mechanism": address bits */
#define ECAM_BUS   0x0ff00000u
#define ECAM_DEVFN 0x000ff000u
#define ECAM_REG   0x00000fffu

#define DEVFN_SLOT 0xf8u
#define DEVFN_FN   0x07u

/* QEMU's generic PCI Express host bridge: known to every guest, and to no guest's quirks. */
static const struct pci_id bridge_id = {
	.vendor = 0x1b36,
	.device = 0x0008,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x060000,
};

static enum io_result bridge_bar_access(struct pci_fn *fn, unsigned bar, struct io_access *acc)
{
	(void)fn, (void)bar, (void)acc;
	return IO_UNCLAIMED;
}

static void bridge_destroy(struct pci_fn *fn)
{
	(void)fn; /* it is a part of struct pci_host */
}

static const struct pci_fn_ops bridge_ops = {
	.bar_access = bridge_bar_access,
	.destroy = bridge_destroy,
};

struct pci_host *pci_host_of(struct vdev *dev)
{
	ASSERT(dev->ops == &pci_host_ops);
	return container_of(dev, struct pci_host, vdev);
}

/* ---- functions ---- */

static enum hv_err place_bars(struct pci_host *host, struct pci_fn *fn)
{
	uint64_t next = host->next_bar;

	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		uint64_t bytes = fn->bar_bytes[bar];

		if (!bytes)
			continue;
		next = ALIGN_UP(next, bytes);
		if (!range_fits(next - LAYOUT_PCI_BARS, bytes, LAYOUT_PCI_BARS_BYTES))
			return HV_ENOMEM;
		fn->bar_home[bar] = next;
		next += bytes;
	}
	if (fn->io_bar < PCI_BARS) {
		if (host->next_port - LAYOUT_PCI_IO >= LAYOUT_PCI_IO_BYTES)
			return HV_ENOMEM;
		fn->bar_home[fn->io_bar] = host->next_port;
		host->next_port += PCI_IO_BAR_LEN;
	}
	host->next_bar = next;
	return HV_OK;
}

static void rebuild_decodes(struct pci_host *host)
{
	uint64_t base;

	host->nr_decodes = 0;
	for (uint32_t slot = 0; slot < host->nr_slots; slot++) {
		struct pci_fn *fn = host->slots[slot];

		for (unsigned bar = 0; bar < PCI_BARS; bar++)
			if (pci_fn_bar_at(fn, bar, &base))
				host->decodes[host->nr_decodes++] =
					(struct pci_decode){base, fn->bar_bytes[bar], fn, bar};
	}
}

static struct pci_fn *fn_at_port(struct pci_host *host, uint32_t port)
{
	uint32_t at;

	for (uint32_t slot = 0; slot < host->nr_slots; slot++)
		if (pci_fn_ports_at(host->slots[slot], &at) && at == port)
			return host->slots[slot];
	return NULL;
}

static void rebuild_doorbells(struct pci_host *host)
{
	for (uint32_t i = 0; i < PCI_HOST_DOORBELLS; i++)
		__atomic_store_n(&host->doorbells[i],
				 fn_at_port(host, LAYOUT_PCI_IO + i * PCI_IO_BAR_LEN),
				 __ATOMIC_RELAXED);
}

bool pci_host_doorbell(struct pci_host *host, uint16_t port)
{
	uint32_t at = port - LAYOUT_PCI_IO;
	struct pci_fn *fn =
		at < LAYOUT_PCI_IO_BYTES
			? __atomic_load_n(&host->doorbells[at / PCI_IO_BAR_LEN], __ATOMIC_RELAXED)
			: NULL;

	if (fn)
		fn->ops->doorbell(fn, at % PCI_IO_BAR_LEN);
	return fn;
}

enum hv_err pci_host_add(struct pci_host *host, struct pci_fn *fn)
{
	enum hv_err err;

	if (host->nr_slots == PCI_HOST_SLOTS)
		return HV_ENOMEM;
	err = place_bars(host, fn);
	if (err != HV_OK)
		return err;
	host->slots[host->nr_slots++] = fn;
	pci_fn_reset(fn);
	rebuild_decodes(host);
	rebuild_doorbells(host);
	return HV_OK;
}

static bool covers(const struct pci_decode *decode, uint64_t gpa, uint64_t len_bytes)
{
	return gpa >= decode->base && range_fits(gpa - decode->base, len_bytes, decode->bytes);
}

const struct pci_decode *pci_host_find(struct pci_host *host, uint64_t gpa, uint64_t len_bytes)
{
	if (host->last_hit < host->nr_decodes &&
	    covers(&host->decodes[host->last_hit], gpa, len_bytes))
		return &host->decodes[host->last_hit];
	for (uint32_t i = 0; i < host->nr_decodes; i++) {
		if (!covers(&host->decodes[i], gpa, len_bytes))
			continue;
		host->last_hit = i;
		return &host->decodes[i];
	}
	return NULL;
}

/* ---- accesses ---- */

static enum io_result config_access(struct pci_host *host, uint32_t bus, uint32_t devfn,
				    uint32_t reg, struct io_access *acc)
{
	uint32_t slot = (uint32_t)FIELD_GET(DEVFN_SLOT, devfn);
	struct pci_fn *fn;

	if (bus != 0 || FIELD_GET(DEVFN_FN, devfn) != 0 || slot >= host->nr_slots)
		return IO_UNCLAIMED;
	fn = host->slots[slot];
	if (acc->is_write) {
		pci_fn_write(fn, reg, acc->size, acc->value);
		rebuild_decodes(host);
		rebuild_doorbells(host);
	} else {
		acc->value = pci_fn_read(fn, reg, acc->size);
	}
	return IO_DONE;
}

static enum io_result address_access(struct pci_host *host, struct io_access *acc)
{
	if (acc->offset != 0 || acc->size != 4)
		return IO_UNCLAIMED;
	if (acc->is_write)
		host->address = (uint32_t)acc->value & CF8_KEPT;
	else
		acc->value = host->address;
	return IO_DONE;
}

static enum io_result port_access(struct pci_host *host, struct io_access *acc)
{
	uint32_t address = host->address;

	if (acc->offset < CFC_AT)
		return address_access(host, acc);
	if (!(address & CF8_ENABLE))
		return IO_UNCLAIMED;
	return config_access(host, (uint32_t)FIELD_GET(CF8_BUS, address),
			     (uint32_t)FIELD_GET(CF8_DEVFN, address),
			     (address & CF8_REG) + (uint32_t)acc->offset - CFC_AT, acc);
}

static enum io_result ecam_access(struct pci_host *host, uint64_t offset, struct io_access *acc)
{
	return config_access(host, (uint32_t)FIELD_GET(ECAM_BUS, offset),
			     (uint32_t)FIELD_GET(ECAM_DEVFN, offset), (uint32_t)(offset & ECAM_REG),
			     acc);
}

static enum io_result window_access(struct pci_host *host, struct io_access *acc)
{
	uint64_t gpa = PCI_HOST_MMIO + acc->offset;
	const struct pci_decode *decode = pci_host_find(host, gpa, acc->size);
	struct io_access in_bar = *acc;
	enum io_result result;

	if (!decode)
		return IO_UNCLAIMED;
	in_bar.offset = gpa - decode->base;
	result = pci_fn_access(decode->fn, decode->bar, &in_bar);
	acc->value = in_bar.value;
	return result;
}

static enum io_result io_window_access(struct pci_host *host, struct io_access *acc)
{
	if (!acc->is_write || !pci_host_doorbell(host, (uint16_t)acc->addr))
		return IO_UNCLAIMED;
	return IO_DONE;
}

static enum io_result host_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct pci_host *host = pci_host_of(dev);

	if (space == SPACE_PIO && acc->addr >= LAYOUT_PCI_IO)
		return io_window_access(host, acc);
	if (space == SPACE_PIO)
		return port_access(host, acc);
	if (acc->offset >= LAYOUT_PCI_BARS_BYTES)
		return ecam_access(host, acc->offset - LAYOUT_PCI_BARS_BYTES, acc);
	return window_access(host, acc);
}

/* ---- life ---- */

static enum hv_err host_create(struct vm *vm, const void *conf, struct vdev **out)
{
	struct pci_host *host = kmem_alloc(sizeof(*host));
	enum hv_err err;

	(void)conf;
	if (!host)
		return HV_ENOMEM;
	host->vdev = (struct vdev){.ops = &pci_host_ops, .vm = vm};
	host->next_bar = LAYOUT_PCI_BARS;
	host->next_port = LAYOUT_PCI_IO;
	pci_fn_init(&host->bridge, vm, &bridge_ops, &bridge_id);
	err = pci_host_add(host, &host->bridge);
	ASSERT(err == HV_OK);
	*out = &host->vdev;
	return HV_OK;
}

static void host_reset(struct vdev *dev)
{
	struct pci_host *host = pci_host_of(dev);

	host->address = 0;
	for (uint32_t slot = 0; slot < host->nr_slots; slot++)
		pci_fn_reset(host->slots[slot]);
	rebuild_decodes(host);
	rebuild_doorbells(host);
}

static void host_destroy(struct vdev *dev)
{
	struct pci_host *host = pci_host_of(dev);

	for (uint32_t slot = 0; slot < host->nr_slots; slot++)
		host->slots[slot]->ops->destroy(host->slots[slot]);
	kmem_free(host);
}

const struct vdev_ops pci_host_ops = {
	.name = "pci",
	.create = host_create,
	.access = host_access,
	.reset = host_reset,
	.destroy = host_destroy,
};
