/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of an xHCI host controller, and the blocks of 16 bytes (TRBs) that its rings are
 * made of.
 *
 * Source: [xHCI] "Register Interface", "Transfer Request Block (TRB)".
 */
#ifndef DRIVERS_XHCI_REGS_H
#define DRIVERS_XHCI_REGS_H

#include "kernel/lib/types.h"

/* [xHCI] "Host Controller Capability Registers" */
#define XHCI_CAPLENGTH		0x00u /* and the version in the upper half */
#define XHCI_CAPLENGTH_LENGTH	0x000000ffu
#define XHCI_CAPLENGTH_VERSION	0xffff0000u
#define XHCI_HCSPARAMS1		0x04u
#define XHCI_HCSPARAMS1_SLOTS	0x000000ffu
#define XHCI_HCSPARAMS1_PORTS	0xff000000u
#define XHCI_HCSPARAMS2		0x08u
#define XHCI_HCSPARAMS2_SCRATCH 0xf8000000u /* the lower five bits of how many */
#define XHCI_HCSPARAMS2_SCR_HI	0x03e00000u
#define XHCI_HCCPARAMS1		0x10u
#define XHCI_HCCPARAMS1_AC64	0x00000001u
#define XHCI_HCCPARAMS1_CSZ	0x00000004u /* contexts of 64 bytes */
#define XHCI_HCCPARAMS1_XECP	0xffff0000u /* in units of 4 bytes; 0: none */
#define XHCI_DBOFF		0x14u
#define XHCI_RTSOFF		0x18u
#define XHCI_CAPABILITY_BYTES	0x20u

/* [xHCI] "Host Controller Operational Registers", from CAPLENGTH on */
#define XHCI_USBCMD	   0x00u
#define XHCI_USBCMD_RUN	   0x00000001u
#define XHCI_USBCMD_RESET  0x00000002u
#define XHCI_USBCMD_INTE   0x00000004u
#define XHCI_USBCMD_HSEE   0x00000008u
#define XHCI_USBSTS	   0x04u
#define XHCI_USBSTS_HALTED 0x00000001u
#define XHCI_USBSTS_HSE	   0x00000004u /* an error of the bus to the memory */
#define XHCI_USBSTS_EINT   0x00000008u
#define XHCI_USBSTS_PCD	   0x00000010u /* a port has changed */
#define XHCI_USBSTS_CNR	   0x00000800u /* not ready */
#define XHCI_USBSTS_HCE	   0x00001000u /* an error inside */
#define XHCI_PAGESIZE	   0x08u
#define XHCI_PAGESIZE_4K   0x00000001u
#define XHCI_CRCR	   0x18u
#define XHCI_CRCR_CYCLE	   0x00000001u
#define XHCI_DCBAAP	   0x30u
#define XHCI_CONFIG	   0x38u
#define XHCI_PORTS	   0x400u
#define XHCI_PORT_BYTES	   0x10u
#define XHCI_GONE	   0xffffffffu

/* [xHCI] "Port Status and Control Register (PORTSC)" */
#define XHCI_PORTSC_CCS	    0x00000001u /* something is connected */
#define XHCI_PORTSC_PED	    0x00000002u /* enabled; writing 1 disables it */
#define XHCI_PORTSC_PR	    0x00000010u /* in reset */
#define XHCI_PORTSC_PLS	    0x000001e0u
#define XHCI_PLS_INACTIVE   6u
#define XHCI_PLS_COMPLIANCE 10u
#define XHCI_PORTSC_PP	    0x00000200u
#define XHCI_PORTSC_SPEED   0x00003c00u
#define XHCI_PORTSC_CSC	    0x00020000u
#define XHCI_PORTSC_CHANGES 0x00fe0000u /* written 1 to clear */
#define XHCI_PORTSC_PRC	    0x00200000u
#define XHCI_PORTSC_WRC	    0x00080000u
#define XHCI_PORTSC_WPR	    0x80000000u
#define XHCI_PORTSC_KEEP    0x0e00c200u /* PP, PIC, WCE, WDE, WOE: what a write is to keep */

/* [xHCI] "Interrupter Register Set", the first of them; from RTSOFF on */
#define XHCI_IMAN	  0x20u
#define XHCI_IMAN_IP	  0x00000001u
#define XHCI_IMAN_IE	  0x00000002u
#define XHCI_IMOD	  0x24u
#define XHCI_ERSTSZ	  0x28u
#define XHCI_ERSTBA	  0x30u
#define XHCI_ERDP	  0x38u
#define XHCI_ERDP_EHB	  0x00000008ull /* the handler is busy; written 1 to clear */
#define XHCI_RUNTIME_END  0x40u
#define XHCI_IMOD_DEFAULT 160u /* units of 250 ns */

/* [xHCI] "xHCI Extended Capabilities" */
#define XHCI_EXT_ID	   0x000000ffu
#define XHCI_EXT_NEXT	   0x0000ff00u /* in units of 4 bytes, from this one; 0: the last */
#define XHCI_EXT_LEGACY	   1u
#define XHCI_EXT_PROTOCOL  2u
#define XHCI_LEGACY_BIOS   0x00010000u
#define XHCI_LEGACY_OS	   0x01000000u
#define XHCI_LEGACY_CTL	   4u	       /* USBLEGCTLSTS */
#define XHCI_LEGACY_SMIS   0x0000e011u /* SMI enables */
#define XHCI_LEGACY_EVENTS 0xe0000000u /* written 1 to clear */

struct xhci_trb { /* [xHCI] "TRB Template" */
	uint64_t parameter;
	uint32_t status, control;
};
static_assert(sizeof(struct xhci_trb) == 16, "[xHCI] a TRB is 16 bytes");

/* [xHCI] "TRB Types" */
enum xhci_trb_type {
	XHCI_TRB_NORMAL = 1,
	XHCI_TRB_SETUP = 2,
	XHCI_TRB_DATA = 3,
	XHCI_TRB_STATUS = 4,
	XHCI_TRB_LINK = 6,
	XHCI_TRB_ENABLE_SLOT = 9,
	XHCI_TRB_DISABLE_SLOT = 10,
	XHCI_TRB_ADDRESS = 11,
	XHCI_TRB_CONFIGURE = 12,
	XHCI_TRB_EVALUATE = 13,
	XHCI_TRB_RESET_ENDPOINT = 14,
	XHCI_TRB_STOP_ENDPOINT = 15,
	XHCI_TRB_SET_DEQUEUE = 16,
	XHCI_TRB_TRANSFER_EVENT = 32,
	XHCI_TRB_COMMAND_EVENT = 33,
	XHCI_TRB_PORT_EVENT = 34,
	XHCI_TRB_HOST_EVENT = 37,
};

#define XHCI_TRB_CYCLE	   0x00000001u
#define XHCI_TRB_TOGGLE	   0x00000002u /* of a link */
#define XHCI_TRB_ISP	   0x00000004u /* interrupt on a short packet */
#define XHCI_TRB_CHAIN	   0x00000010u
#define XHCI_TRB_IOC	   0x00000020u /* interrupt on completion */
#define XHCI_TRB_IDT	   0x00000040u /* the parameter is the data */
#define XHCI_TRB_TYPE	   0x0000fc00u
#define XHCI_TRB_IN	   0x00010000u /* of data and status stages */
#define XHCI_TRB_TRT	   0x00030000u /* of a setup stage: 0 no data, 2 out, 3 in */
#define XHCI_TRB_ENDPOINT  0x001f0000u
#define XHCI_TRB_SLOT_TYPE 0x001f0000u
#define XHCI_TRB_SLOT	   0xff000000u
#define XHCI_TRB_LENGTH	   0x0001ffffu /* in the status word */
#define XHCI_TRB_TD_SIZE   0x003e0000u
#define XHCI_EVENT_LENGTH  0x00ffffffu
#define XHCI_EVENT_CODE	   0xff000000u
#define XHCI_EVENT_PORT_ID 0xff000000u /* in the lower half of the parameter */

/* [xHCI] "TRB Completion Codes" */
#define XHCI_CC_SUCCESS	     1u
#define XHCI_CC_STALL	     6u
#define XHCI_CC_SHORT	     13u
#define XHCI_CC_CONTEXT	     19u /* the slot or endpoint is in another state */
#define XHCI_CC_STOPPED	     26u
#define XHCI_CC_STOPPED_LAST 28u

#endif
