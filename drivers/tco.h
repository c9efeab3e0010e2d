/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCO timer of Intel's chipsets, which counts down twice, in steps of 0.6 s, before it resets
 * the machine. Three generations differ in where it is, and where the bit NO_REBOOT is, by which
 * firmware (or a strap on the board, which then cannot be overridden) makes it harmless:
 *
 *   ICH6 to PCH 9 series       ports 0x60 above PMBASE of the LPC bridge 00:1f.0; NO_REBOOT in GCS,
 *                              in the memory at RCBA
 *   PCH 100, 200 series, C620  ports at TCOBASE of the SMBus function 00:1f.4; NO_REBOOT behind the
 *                              sideband bridge 00:1f.1, which hides
 *   PCH 300 series and later   the same ports; NO_REBOOT in TCO1_CNT
 *
 * Pure: registers are reached through struct tco_io. Only the first has been seen to work.
 *
 * Source: [ICH9] "TCO I/O Registers", "Power Management PCI Configuration Registers", "GCS -
 * General Control and Status Register"; [iTCO] for the PCHs.
 */
#ifndef DRIVERS_TCO_H
#define DRIVERS_TCO_H

#include "kernel/pci.h"

struct tco_io {
	const struct pci_access *pci;
	uint16_t (*in)(void *arg, uint16_t port);
	void (*out)(void *arg, uint16_t port, uint16_t val);
	/* One register of 32 bits, aligned; all ones when it cannot be mapped. */
	uint32_t (*read)(void *arg, uint64_t hpa);
	void (*write)(void *arg, uint64_t hpa, uint32_t val);
	void *arg;
};

struct tco {
	const struct tco_io *io;
	uint16_t device;	/* PCI's ID of the function that it was found by */
	uint16_t base;		/* first of its ports */
	uint64_t no_reboot_hpa; /* where NO_REBOOT is; 0: in TCO1_CNT */
	uint32_t no_reboot_bit;
};

#define TCO_MIN_S 5u
#define TCO_MAX_S 1227u

/*
 * tco_find - look for one, change nothing that lasts
 *
 * out      filled on HV_OK; keeps io. On HV_ENOTSUP its device says what was found
 * why      on HV_ENOTSUP, a phrase that says why it cannot be used
 * Errors:  HV_ENOENT - not one of these chipsets.
 */
MUST_CHECK enum hv_err tco_find(const struct tco_io *io, struct tco *out, const char **why);

/* tco_start - reset the machine after timeout_s, TCO_MIN_S to TCO_MAX_S, without a kick;
 * HV_ENOTSUP: NO_REBOOT is locked. HV_EIO: it does not run. It is stopped then. */
MUST_CHECK enum hv_err tco_start(const struct tco *tco, uint32_t timeout_s);
void tco_kick(const struct tco *tco);
void tco_stop(const struct tco *tco);
/* tco_has_fired - whether the last reset was its doing, and forget it */
bool tco_has_fired(const struct tco *tco);

#endif
