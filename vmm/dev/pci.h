/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PCI function as a guest sees it: a type-0 configuration header with 64-bit memory BARs, I/O
 * BARs of one size, a capability list and MSI-X. A device embeds a struct pci_fn, describes itself
 * with the pci_fn_add_* calls at creation, and gives it to its bus (vmm/dev/pci_host.h).
 *
 * Configuration space is two arrays: the bytes, and which of their bits the guest can write. Sizing
 * a BAR needs no code then: its low address bits are simply not writable. BAR addresses are
 * assigned by us, as firmware would, and memory decoding is on after reset; bus mastering is off
 * until the driver turns it on. INTx is not wired: devices have MSI-X and nothing else.
 *
 * Locking: everything is under vm->lock but the MSI-X state, which has a lock of its own, because
 * queues send messages from any CPU. Order: vm->lock, a queue's lock, msix.lock. Pure.
 */
#ifndef VMM_DEV_PCI_H
#define VMM_DEV_PCI_H

#include "kernel/lib/lock.h"
#include "vmm/vdev.h"

#define PCI_BARS       6u
#define PCI_CONFIG_LEN 256u
#define PCI_MSIX_MAX   16u /* vectors of one function */

/* [PCI] "Type 0 Configuration Space Header": offsets */
#define PCI_VENDOR_ID	     0x00u
#define PCI_DEVICE_ID	     0x02u
#define PCI_COMMAND	     0x04u
#define PCI_STATUS	     0x06u
#define PCI_REVISION	     0x08u
#define PCI_CLASS	     0x09u /* three bytes: interface, subclass, class */
#define PCI_BAR0	     0x10u
#define PCI_SUBSYSTEM_VENDOR 0x2cu
#define PCI_SUBSYSTEM_ID     0x2eu
#define PCI_CAP_POINTER	     0x34u
#define PCI_INTERRUPT_LINE   0x3cu
#define PCI_HEADER_LEN	     0x40u

#define PCI_COMMAND_IO		 0x0001u
#define PCI_COMMAND_MEMORY	 0x0002u
#define PCI_COMMAND_MASTER	 0x0004u
#define PCI_COMMAND_INTX_DISABLE 0x0400u
#define PCI_STATUS_CAP_LIST	 0x0010u
#define PCI_BAR_MEM_64		 0x00000004u
#define PCI_BAR_IO		 0x00000001u
#define PCI_IO_BAR_LEN		 64u /* ports of every I/O BAR */

/* [PCI] "MSI-X Capability and Table Structures" */
#define PCI_CAP_MSIX		0x11u
#define PCI_MSIX_CONTROL	2u /* offset in the capability */
#define PCI_MSIX_CONTROL_ENABLE 0x8000u
#define PCI_MSIX_CONTROL_MASK	0x4000u
#define PCI_MSIX_ENTRY_LEN	16u
#define PCI_MSIX_ENTRY_MASKED	1u
#define PCI_MSIX_PBA		0x800u /* offset of the pending bits in the BAR, behind the table */
#define PCI_MSIX_BAR_LEN	0x1000u

struct pci_fn;

struct pci_fn_ops {
	/* An access inside a BAR that is not MSI-X's; acc->offset is from the BAR's base. */
	enum io_result (*bar_access)(struct pci_fn *fn, unsigned bar, struct io_access *acc);
	/* A write to the I/O BAR; offset is below PCI_IO_BAR_LEN. Any CPU, no lock held. NULL: no
	 * such BAR */
	void (*doorbell)(struct pci_fn *fn, uint32_t offset);
	/* BARs moved, or the command register changed. May be NULL. */
	void (*moved)(struct pci_fn *fn);
	/* Before config bytes are read, and after they were written; may be NULL. */
	void (*config_reads)(struct pci_fn *fn, uint32_t offset, uint32_t size);
	void (*config_wrote)(struct pci_fn *fn, uint32_t offset, uint32_t size);
	void (*reset)(struct pci_fn *fn); /* the function's own state; may be NULL */
	void (*destroy)(struct pci_fn *fn);
};

struct pci_id {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class_code; /* 24 bits */
	uint8_t revision;
};

struct pci_msix_entry {
	uint64_t addr;
	uint32_t data;
	uint32_t control;
};
static_assert(sizeof(struct pci_msix_entry) == PCI_MSIX_ENTRY_LEN, "[PCI] MSI-X entry is 16 bytes");

struct pci_msix {
	uint8_t cap; /* offset in config space; 0: no MSI-X. Fixed, with bar and nr_vectors */
	uint8_t bar;
	uint16_t nr_vectors;

	struct lock lock; /* all that follows */
	bool is_enabled, is_masked;
	uint64_t pending; /* bit n: vector n */
	struct pci_msix_entry table[PCI_MSIX_MAX];
};

struct pci_fn {
	const struct pci_fn_ops *ops;
	struct vm *vm;
	uint64_t bar_bytes[PCI_BARS]; /* 0: none, or the upper half of the one before. Fixed */
	uint64_t bar_home[PCI_BARS];  /* where reset puts it; set by the bus. Fixed */
	uint8_t io_bar;		      /* which of them is of I/O space; PCI_BARS: none. Fixed */
	uint8_t initial[PCI_CONFIG_LEN], writable[PCI_CONFIG_LEN]; /* fixed */
	uint8_t last_cap, caps_end;

	uint8_t config[PCI_CONFIG_LEN]; /* under vm->lock */
	struct pci_msix msix;
};

/* ---- at creation ---- */

/* pci_fn_init - a function with an empty capability list; ops is kept */
void pci_fn_init(struct pci_fn *fn, struct vm *vm, const struct pci_fn_ops *ops,
		 const struct pci_id *id);

/* pci_fn_add_bar - 64-bit memory, in registers bar (even) and bar + 1; a power of two from 4 KiB */
void pci_fn_add_bar(struct pci_fn *fn, unsigned bar, uint64_t bytes);

/* pci_fn_add_io_bar - PCI_IO_BAR_LEN ports behind ops->doorbell, one a function; reads are all ones
 */
void pci_fn_add_io_bar(struct pci_fn *fn, unsigned bar);

/* pci_fn_add_cap - body goes behind ID and next pointer; returns the capability's offset */
uint8_t pci_fn_add_cap(struct pci_fn *fn, uint8_t id, const void *body, uint8_t body_len);

/* pci_fn_add_msix - capability, table and pending bits, in a BAR of its own */
void pci_fn_add_msix(struct pci_fn *fn, unsigned bar, uint16_t nr_vectors);

/* pci_fn_let_write - the guest may write these bytes of config space */
void pci_fn_let_write(struct pci_fn *fn, uint32_t offset, uint32_t len);

/* ---- at work, under vm->lock ---- */

/* pci_fn_reset - as the reset line does; also the last step of creation, by pci_host_add() */
void pci_fn_reset(struct pci_fn *fn);

/* pci_fn_read, pci_fn_write - config space; any offset and size, what lies outside reads as zero */
uint64_t pci_fn_read(struct pci_fn *fn, uint32_t offset, uint32_t size);
void pci_fn_write(struct pci_fn *fn, uint32_t offset, uint32_t size, uint64_t val);

/* pci_fn_bar_at - where the BAR decodes; false: it is none, or memory decoding is off */
bool pci_fn_bar_at(const struct pci_fn *fn, unsigned bar, uint64_t *gpa);

/* pci_fn_ports_at - where the I/O BAR decodes; false: there is none, or I/O decoding is off */
bool pci_fn_ports_at(const struct pci_fn *fn, uint32_t *port);

/* pci_fn_access - acc->offset is from the BAR's base; what lies outside is IO_UNCLAIMED */
enum io_result pci_fn_access(struct pci_fn *fn, unsigned bar, struct io_access *acc);

bool pci_fn_is_master(const struct pci_fn *fn);

/* ---- any CPU, no lock but perhaps a queue's ---- */

bool pci_msix_is_enabled(struct pci_fn *fn);

/* pci_msix_signal - send vector's message or keep it pending while masked; nothing when disabled */
void pci_msix_signal(struct pci_fn *fn, uint16_t vector);

#endif
