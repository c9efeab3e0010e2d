/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's PCI bus 0 of segment 0: a host bridge at 00:00.0, functions at 00:01.0, 00:02.0, … ;
 * configuration through ports 0xcf8/0xcfc and through ECAM, and a window for memory BARs, in which
 * every BAR has a place from reset on. What nobody answers reads as all ones.
 *
 * On the board it is one device with three rows: PCI_HOST_PORTS and LAYOUT_PCI_IO (PIO), and
 * PCI_HOST_MMIO, which is the BAR window and right behind it ECAM. Port 0xcf9 inside the first is
 * not its: accesses to the address register other than whole doublewords are IO_UNCLAIMED.
 *
 * Lifetime: functions are added while the VM is created, and belong to the host from then on:
 * its reset and destroy do theirs, in the order they were added. Locking: all under vm->lock. Pure.
 */
#ifndef VMM_DEV_PCI_HOST_H
#define VMM_DEV_PCI_HOST_H

#include "vmm/dev/pci.h"
#include "vmm/layout.h"

#define PCI_HOST_PORTS	     0x0cf8u
#define PCI_HOST_PORTS_BYTES 8u
#define PCI_HOST_MMIO	     LAYOUT_PCI_BARS
#define PCI_HOST_MMIO_BYTES  (LAYOUT_PCI_BARS_BYTES + LAYOUT_ECAM_BYTES)
#define PCI_HOST_SLOTS	     32u
#define PCI_HOST_DOORBELLS   (LAYOUT_PCI_IO_BYTES / PCI_IO_BAR_LEN)

struct pci_decode { /* one BAR that answers, as a cache of the functions' configuration */
	uint64_t base, bytes;
	struct pci_fn *fn;
	unsigned bar;
};

struct pci_host {
	struct vdev vdev;
	struct pci_fn bridge;
	struct pci_fn *slots[PCI_HOST_SLOTS]; /* fixed after creation */
	uint32_t nr_slots;
	uint64_t next_bar; /* where the window is free */
	uint32_t next_port;

	uint32_t address; /* port 0xcf8 */
	/* rebuilt after each config write */
	struct pci_decode decodes[PCI_HOST_SLOTS * PCI_BARS / 2];
	uint32_t nr_decodes, last_hit;
	struct pci_fn *doorbells[PCI_HOST_DOORBELLS]; /* by place in the I/O window; atomic */
};

extern const struct vdev_ops pci_host_ops; /* create takes no conf */

/* pci_host_of - the host behind what pci_host_ops.create() returned */
struct pci_host *pci_host_of(struct vdev *dev);

/*
 * pci_host_add - give the function the next slot and its BARs their places, and reset it
 *
 * fn       kept; destroyed with the host, by fn->ops->destroy
 * Errors:  HV_ENOMEM - no slot or no room in the window; fn is still the caller's.
 */
MUST_CHECK enum hv_err pci_host_add(struct pci_host *host, struct pci_fn *fn);

/*
 * pci_host_doorbell - a write of any size to a port of the I/O window
 *
 * False: no I/O BAR decodes there. Context: any CPU, no lock, not even vm->lock.
 */
bool pci_host_doorbell(struct pci_host *host, uint16_t port);

/* pci_host_find - what decodes these bytes, valid until a config write; NULL: nothing does */
const struct pci_decode *pci_host_find(struct pci_host *host, uint64_t gpa, uint64_t len_bytes);

#endif
