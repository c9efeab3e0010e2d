/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an xHCI host controller says of itself, its extended capabilities among that: what protocol
 * each port speaks, and where firmware is asked to let go. Pure: it reads through the function that
 * it is given, and copes with anything that is read.
 *
 * Source: [xHCI] "xHCI Extended Capabilities", "Host Controller Capability Registers".
 */
#ifndef DRIVERS_XHCI_CAPS_H
#define DRIVERS_XHCI_CAPS_H

#include "drivers/usb.h"
#include "drivers/xhci_regs.h"
#include "kernel/lib/err.h"

#define XHCI_PORTS_MAX	 255u
#define XHCI_SPEED_IDS	 16u
#define XHCI_SCRATCH_MAX 1023u

struct xhci_access {
	uint32_t (*read)(void *arg, uint32_t offset); /* offset: a multiple of 4 below len_bytes */
	void *arg;
	uint32_t len_bytes; /* of the BAR */
};

struct xhci_port_kind {
	uint8_t major;	   /* USB 2 or 3; 0: no capability has it, and it is not used */
	uint8_t slot_type; /* of Enable Slot */
	uint8_t speeds[XHCI_SPEED_IDS]; /* enum usb_speed of each speed ID; 0: none */
};

struct xhci_caps {
	uint16_t version; /* 0x0110 is 1.1 */
	uint32_t nr_slots, nr_ports, nr_scratch;
	uint32_t operational, runtime, doorbells; /* offsets of the registers */
	uint32_t context_bytes;
	uint32_t legacy; /* offset of USBLEGSUP; 0: none */
	bool has_64bit;
	struct xhci_port_kind ports[XHCI_PORTS_MAX + 1]; /* from 1 */
};

/*
 * xhci_caps_read - all of it
 *
 * Errors:  HV_EIO - all ones: it is gone. HV_ENOTSUP - older than 0.96. HV_EPROTO - registers
 *          outside of its BAR, no slots, or no ports.
 */
MUST_CHECK enum hv_err xhci_caps_read(const struct xhci_access *access, struct xhci_caps *out);

#endif
