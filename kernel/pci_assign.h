/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware does at boot for the functions behind a port, done for those that are plugged in
 * later: addresses for their BARs from the windows that firmware has left at the port, and packet
 * sizes that go with the port's. Pure.
 *
 * All of a port's windows are for the one device behind it, so addresses are given out from the
 * beginning each time, and the same card in the same slot has the same ones.
 *
 * Source: [PCI] "PCI-to-PCI Bridge", "Base Addresses"; [PCIe] "Device Control Register".
 */
#ifndef KERNEL_PCI_ASSIGN_H
#define KERNEL_PCI_ASSIGN_H

#include "kernel/pci.h"

struct pci_window {
	uint64_t base, end; /* end is behind the last byte; both 0: there is no such window */
};

struct pci_windows {
	struct pci_window io, memory, prefetchable;
};

/* pci_windows_read - what a bridge passes on to its secondary bus */
void pci_windows_read(const struct pci_access *access, const struct pci_device *bridge,
		      struct pci_windows *out);

/*
 * pci_assign - give each memory BAR of a device's functions a place, or change none of them
 *
 * devs          found by pci_scan_slot(), nr of them; lengths and addresses of BARs are filled
 * wanted_bytes  how much memory they want, for the log
 *
 * BARs of ports get addresses while there are any; no function of PCI Express depends on them. INTx
 * is taken from all of them: nobody knows which line it would be.
 *
 * Errors:  HV_ENOENT - a function does not answer any more. HV_ENOTSUP - a function is a bridge.
 *          HV_ENOMEM - the windows are too small. HV_EPROTO - a BAR does not keep its address.
 */
MUST_CHECK enum hv_err pci_assign(const struct pci_access *access,
				  const struct pci_windows *windows, struct pci_device *devs,
				  uint32_t nr, uint64_t *wanted_bytes);

/*
 * pci_match_payload - make the largest packet of a new function that of its port
 *
 * Errors:  HV_ENOTSUP - it takes smaller ones only, and the port is not a root port, whose own size
 *          can be made smaller without anybody else's.
 */
MUST_CHECK enum hv_err pci_match_payload(const struct pci_access *access,
					 const struct pci_device *port,
					 const struct pci_device *dev);

#endif
