/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI functions of this machine: finding them, reading their registers, switching them on.
 *
 * Everything up to pci_init() is pure: it reads and writes configuration space through the pair of
 * functions it is given, and copes with any content, so also with a device that was pulled out and
 * answers all ones. Enumeration writes nothing; it takes bus numbers as firmware assigned them,
 * from bus 0 through the bridges.
 *
 * Source: [PCI] "Configuration Space", "Message Signaled Interrupts", "Capabilities List".
 */
#ifndef KERNEL_PCI_H
#define KERNEL_PCI_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define PCI_BARS	6u
#define PCI_DEVICES_MAX 256u
#define PCI_FUNCTIONS	8u
#define PCI_VENDOR_NONE 0xffffu

/* [PCI] "Configuration Space Header" */
#define PCI_REG_VENDOR	    0x00u
#define PCI_REG_DEVICE	    0x02u
#define PCI_REG_COMMAND	    0x04u
#define PCI_REG_STATUS	    0x06u
#define PCI_REG_REVISION    0x08u /* and the class code in the three bytes above it */
#define PCI_REG_CACHE_LINE  0x0cu
#define PCI_REG_HEADER_TYPE 0x0eu
#define PCI_REG_BAR0	    0x10u
#define PCI_REG_SECONDARY   0x19u /* of a bridge: the bus behind it */
#define PCI_REG_CAP_POINTER 0x34u
#define PCI_REG_IRQ_LINE    0x3cu
#define PCI_REG_IRQ_PIN	    0x3du

#define PCI_COMMAND_IO		 0x0001u
#define PCI_COMMAND_MEMORY	 0x0002u
#define PCI_COMMAND_MASTER	 0x0004u
#define PCI_COMMAND_INTX_DISABLE 0x0400u

#define PCI_CAP_POWER	0x01u
#define PCI_CAP_MSI	0x05u
#define PCI_CAP_EXPRESS 0x10u
#define PCI_CAP_MSIX	0x11u
#define PCI_CAP_AF	0x13u /* advanced features: reset of a conventional function */

struct pci_addr {
	uint8_t bus, dev, fn;
};

struct pci_access {
	/* size: 1, 2 or 4; reg: a multiple of it below 256. What is not there reads all ones. */
	uint32_t (*read)(void *arg, struct pci_addr at, uint32_t reg, uint32_t size);
	void (*write)(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val);
	void *arg;
};

struct pci_bar {
	uint64_t base;	    /* bus address, or first port; 0: not assigned */
	uint64_t len_bytes; /* 0 until pci_size_bars(), and for a BAR that is not there */
	bool is_io, is_64bit, is_prefetchable;
};

struct pci_driver; /* drivers/drivers.h */

struct pci_device {
	struct pci_addr at;
	uint16_t vendor, device;
	uint32_t class_code; /* class, subclass, programming interface: 0x020000 is an Ethernet NIC
			      */
	uint8_t revision;
	uint8_t header_type; /* without the multi-function bit: 0 device, 1 bridge */
	uint8_t irq_line;    /* what firmware wrote: the GSI on PCs whose PIRQs go to IOAPIC pins */
	uint8_t irq_pin;     /* 1 is INTA#; 0: none */
	struct pci_bar bars[PCI_BARS]; /* the second half of a 64-bit one is empty */

	const struct pci_driver *driver; /* who has it; drivers/'s, as the next */
	void *driver_data;
	bool is_plugged_in; /* while guests run: attach() is not to wait */
};

/* pci_scan - fill at most cap devices; returns how many there are, which may be more */
uint32_t pci_scan(const struct pci_access *access, struct pci_device *out, uint32_t cap);

/* pci_scan_slot - the functions of device 0 of a bus, which is all there is behind a port of PCI
 * Express; how many there are */
uint32_t pci_scan_slot(const struct pci_access *access, uint8_t bus,
		       struct pci_device out[PCI_FUNCTIONS]);

/*
 * pci_size_bars - learn how long each BAR is, with decoding off for that moment
 *
 * dev      bars[].len_bytes are filled; the registers are as before afterwards
 * Errors:  HV_ENOENT - the device does not answer any more.
 */
MUST_CHECK enum hv_err pci_size_bars(const struct pci_access *access, struct pci_device *dev);

/* pci_command - set and clear bits of the command register */
void pci_command(const struct pci_access *access, const struct pci_device *dev, uint16_t set,
		 uint16_t clear);

/* pci_find_cap - register offset of a capability, 0 when there is none (or the list is broken) */
uint8_t pci_find_cap(const struct pci_access *access, const struct pci_device *dev, uint8_t id);

/*
 * pci_msi_enable - one message for all of the device's interrupts, and INTx off
 *
 * Errors:  HV_ENOTSUP - no MSI capability, or one that cannot hold this address.
 */
MUST_CHECK enum hv_err pci_msi_enable(const struct pci_access *access, const struct pci_device *dev,
				      uint64_t addr, uint32_t data);

struct pci_msix {
	uint8_t bar;
	uint64_t offset; /* of the table in that BAR, bytes */
	uint32_t nr_vectors;
};

/*
 * pci_msix_find - where the MSI-X table is; pci_size_bars() comes first
 *
 * Errors:  HV_ENOTSUP - no MSI-X capability; HV_EPROTO - its table does not lie inside a memory
 * BAR.
 */
MUST_CHECK enum hv_err pci_msix_find(const struct pci_access *access, const struct pci_device *dev,
				     struct pci_msix *out);
/* pci_msix_set - fill and unmask one entry of the mapped table */
void pci_msix_set(volatile uint32_t *table, uint32_t index, uint64_t addr, uint32_t data);
/* pci_msix_enable - let the entries raise interrupts, and INTx off. HV_ENOTSUP: has no MSI-X. */
MUST_CHECK enum hv_err pci_msix_enable(const struct pci_access *access,
				       const struct pci_device *dev);

/* pci_is_present - whether it still answers; one that was pulled out reads all ones */
bool pci_is_present(const struct pci_access *access, const struct pci_device *dev);

/*
 * pci_power_up - into D0, where it was left in another state; a header that was lost on the way is
 * put back. wait_ns as with pci_reset_function().
 */
void pci_power_up(const struct pci_access *access, const struct pci_device *dev,
		  void (*wait_ns)(uint64_t ns));

/* pci_messages_off - MSI and MSI-X off, as whoever had the device before us may have left them on
 */
void pci_messages_off(const struct pci_access *access, const struct pci_device *dev);

/*
 * pci_reset_function - function-level reset: what firmware, a loader or a guest left running in it
 * ends, and its registers are as after power-on, but for the header's, which are put back
 *
 * wait_ns  how to spend the time in which it may not be touched (100 ms)
 * Errors:  HV_ENOTSUP - can neither by PCI Express nor by AF. HV_EIO - transactions did not end, or
 *          it did not come back; it is not to be used.
 * Context: boot.
 */
MUST_CHECK enum hv_err pci_reset_function(const struct pci_access *access,
					  const struct pci_device *dev,
					  void (*wait_ns)(uint64_t ns));

/* ---- this machine (kernel/pci_hw.c) ---- */

/* ECAM where ACPI's MCFG table has it, else ports 0xcf8 and 0xcfc. Any CPU; locked inside. */
extern const struct pci_access pci_machine;

/* pci_init - scan this machine; boot CPU, once, after ACPI and memory */
void pci_init(void);

/*
 * The devices found, in bus order, and behind them those that were plugged in; index below
 * pci_count(), which only grows. One that was removed has the vendor PCI_VENDOR_NONE until its
 * struct is another's.
 */
uint32_t pci_count(void);
struct pci_device *pci_at(uint32_t index);

/* pci_add - keep a device that was plugged in; NULL: PCI_DEVICES_MAX are there. pci_remove - it was
 * taken out, and nobody has a pointer to it any more. Boot CPU. */
struct pci_device *pci_add(const struct pci_device *dev);
void pci_remove(struct pci_device *dev);

#endif
