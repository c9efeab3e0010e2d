/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space of this machine: 4 KiB of memory for each function where MCFG says so (only
 * the buses that are looked at get mapped), else the index and data ports of the first PCI.
 */
#include "kernel/acpi.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/lock.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pci.h"

/* [PCI] "Software Generation of Configuration Transactions" */
#define PORT_CONFIG_ADDRESS   0xcf8u
#define PORT_CONFIG_DATA      0xcfcu
#define CONFIG_ADDRESS_ENABLE 0x80000000u

#define ECAM_BUS_BYTES (1 * MIB)

static struct lock lock; /* the pair of ports, and the maps while they grow */
static volatile uint8_t *ecam_maps[256];
static bool ecam_failed[256];

static struct pci_device devices[PCI_DEVICES_MAX]; /* after pci_init(): the boot CPU's to change */
static uint32_t nr_devices;

static uint64_t ecam_hpa(uint8_t bus)
{
	for (uint32_t i = 0; i < acpi_info.nr_mcfg; i++)
		if (acpi_info.mcfg[i].segment == 0 && bus >= acpi_info.mcfg[i].bus_first &&
		    bus <= acpi_info.mcfg[i].bus_last)
			return acpi_info.mcfg[i].hpa + bus * ECAM_BUS_BYTES;
	return 0;
}

/* Where a function's registers are mapped, or NULL when only the ports reach it. Under lock. */
static volatile uint8_t *ecam_of(struct pci_addr at)
{
	uint8_t bus = at.bus;

	if (!ecam_maps[bus] && !ecam_failed[bus]) {
		uint64_t hpa = ecam_hpa(bus);

		ecam_maps[bus] = hpa == 0 ? NULL : mmio_map(hpa, ECAM_BUS_BYTES);
		ecam_failed[bus] = !ecam_maps[bus];
	}
	return ecam_maps[bus] ? ecam_maps[bus] + (at.dev << 15 | at.fn << 12) : NULL;
}

static void ports_select(struct pci_addr at, uint32_t reg)
{
	out32(PORT_CONFIG_ADDRESS, CONFIG_ADDRESS_ENABLE | (uint32_t)at.bus << 16 |
					   (uint32_t)at.dev << 11 | (uint32_t)at.fn << 8 |
					   (reg & 0xfc));
}

static uint32_t ports_read(struct pci_addr at, uint32_t reg, uint32_t size)
{
	ports_select(at, reg);
	return in_sized((uint16_t)(PORT_CONFIG_DATA + (reg & 3)), size);
}

static void ports_write(struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	ports_select(at, reg);
	out_sized((uint16_t)(PORT_CONFIG_DATA + (reg & 3)), size, val);
}

static uint32_t machine_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	volatile uint8_t *mapped;
	uint32_t val;

	(void)arg;
	ASSERT(reg < 256 && reg % size == 0);
	lock_take(&lock);
	mapped = ecam_of(at);
	val = mapped ? mmio_read_sized(mapped + reg, size) : ports_read(at, reg, size);
	lock_release(&lock);
	return val;
}

static void machine_write(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	volatile uint8_t *mapped;

	(void)arg;
	ASSERT(reg < 256 && reg % size == 0);
	lock_take(&lock);
	mapped = ecam_of(at);
	if (mapped)
		mmio_write_sized(mapped + reg, size, val);
	else
		ports_write(at, reg, size, val);
	lock_release(&lock);
}

const struct pci_access pci_machine = {.read = machine_read, .write = machine_write};

void pci_init(void)
{
	uint32_t found = pci_scan(&pci_machine, devices, PCI_DEVICES_MAX);

	nr_devices = MIN(found, PCI_DEVICES_MAX);
	log_info("pci", "%u functions, configuration by %s", found,
		 ecam_maps[0] ? "ECAM" : "ports");
	if (found > PCI_DEVICES_MAX)
		log_warn("pci", "the last %u functions are left out", found - PCI_DEVICES_MAX);
	for (uint32_t i = 0; i < nr_devices; i++)
		log_dbg("pci", "%02x:%02x.%u: %04x:%04x class %06x irq %u pin %u",
			devices[i].at.bus, devices[i].at.dev, devices[i].at.fn, devices[i].vendor,
			devices[i].device, devices[i].class_code, devices[i].irq_line,
			devices[i].irq_pin);
}

uint32_t pci_count(void)
{
	return __atomic_load_n(&nr_devices, __ATOMIC_ACQUIRE);
}

struct pci_device *pci_at(uint32_t index)
{
	ASSERT(index < pci_count());
	return &devices[index];
}

struct pci_device *pci_add(const struct pci_device *dev)
{
	uint32_t i = 0;

	while (i < nr_devices && devices[i].vendor != PCI_VENDOR_NONE)
		i++;
	if (i == PCI_DEVICES_MAX)
		return NULL;
	devices[i] = *dev;
	if (i == nr_devices)
		__atomic_store_n(&nr_devices, i + 1, __ATOMIC_RELEASE);
	return &devices[i];
}

void pci_remove(struct pci_device *dev)
{
	*dev = (struct pci_device){.vendor = PCI_VENDOR_NONE};
}
