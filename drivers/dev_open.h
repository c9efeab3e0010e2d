/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every driver does first with its PCI device: power it up, learn how long its BARs are, let
 * it answer there. Bus mastering is a step of its own, for when the driver has reset the device: it
 * stops what firmware or a loader left running from writing into memory that is ours now.
 *
 * All of it in attach(), on the boot CPU; and at the end, how to be sure that no CPU is inside of a
 * driver any more.
 */
#ifndef DRIVERS_DEV_OPEN_H
#define DRIVERS_DEV_OPEN_H

#include "kernel/lib/err.h"
#include "kernel/pci.h"

/*
 * dev_open - in D0, BARs sized and decoded, no DMA, no messages
 *
 * Errors:  HV_ENOENT - it does not answer any more.
 */
MUST_CHECK enum hv_err dev_open(struct pci_device *dev);

/*
 * dev_map - map the first bytes of a memory BAR
 *
 * len_bytes  how many; the BAR has at least these, or it is not the device that it says it is
 * returns    NULL - no such memory BAR, one that firmware gave no address, or too short; or page
 *            tables ran out
 */
volatile void *dev_map(const struct pci_device *dev, uint32_t bar, uint64_t len_bytes);

/* dev_ports - first port of an I/O BAR that has len_bytes at least; 0 when there is none */
uint16_t dev_ports(const struct pci_device *dev, uint32_t bar, uint32_t len_bytes);

/* dev_start_dma - bus mastering on; dev_stop_dma - off, at the end of an attach() that failed */
void dev_start_dma(const struct pci_device *dev);
void dev_stop_dma(const struct pci_device *dev);

/* dev_reset - pci_reset_function() and then as after dev_open(). For one whose own reset failed. */
MUST_CHECK enum hv_err dev_reset(struct pci_device *dev);

/* dev_wait_for_cpus - when it returns, no CPU follows a pointer that it found in a list before:
 * each has come to where it takes calls, which is between all other things it does. Boot CPU. */
void dev_wait_for_cpus(void);

/* dev_name - its place, "00:03.0" */
void dev_name(const struct pci_device *dev, char *dst, size_t cap_bytes);

#endif
