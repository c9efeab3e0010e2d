/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contexts by which the controller is told of a device and its endpoints. Pure.
 *
 *   input:   [ which ones | slot | endpoint 0 | ... 2 | ... 3 | … ]      33 of them
 *   output:  [              slot | endpoint 0 | …                 ]      32, the controller's
 *
 * Each has 32 bytes, or 64, of which the second half stays zero.
 *
 * Source: [xHCI] "Device Context", "Input Context".
 */
#ifndef DRIVERS_XHCI_CONTEXT_H
#define DRIVERS_XHCI_CONTEXT_H

#include "drivers/usb_desc.h"
#include "drivers/xhci_regs.h"

#define XHCI_CONTEXTS_BYTES 4096u /* a page for either */

struct xhci_contexts {
	void *input;	/* XHCI_CONTEXTS_BYTES */
	uint32_t bytes; /* of each context: 32 or 64 */
	uint8_t port;	/* of the root hub, from 1 */
	enum usb_speed speed;
};

/* xhci_endpoint_id - as the controller numbers them; 1 is endpoint 0 */
static inline uint32_t xhci_endpoint_id(uint8_t address)
{
	return address == 0 ? 1 : (address & 0x0fu) * 2 + (address & USB_IN ? 1 : 0);
}

/* Each fills the whole input context, for the command of that name. dequeue: of the ring. */
void xhci_context_address(const struct xhci_contexts *contexts, uint16_t packet0, uint64_t dequeue);
void xhci_context_evaluate(const struct xhci_contexts *contexts, uint16_t packet0);
/* is_again: they were there before, and begin anew */
void xhci_context_configure(const struct xhci_contexts *contexts, const struct usb_interface *is,
			    uint64_t in_dequeue, uint64_t out_dequeue, bool is_again);

enum xhci_endpoint_state { /* [xHCI] "Endpoint Context", EP State */
			   XHCI_ENDPOINT_DISABLED,
			   XHCI_ENDPOINT_RUNNING,
			   XHCI_ENDPOINT_HALTED,
			   XHCI_ENDPOINT_STOPPED,
			   XHCI_ENDPOINT_ERROR,
};

/* xhci_context_state - of an endpoint, as the controller's context says; may be any of 0 to 7 */
uint32_t xhci_context_state(const volatile void *output, uint32_t context_bytes, uint32_t id);

#endif
