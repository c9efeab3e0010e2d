/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the driver of a USB device asks of the driver of its host controller: one step at a time,
 * each of which ends in one way, with so many bytes moved.
 */
#ifndef DRIVERS_USB_H
#define DRIVERS_USB_H

#include "drivers/block.h"

#define USB_IN 0x80u /* of an endpoint's address, and of a request's type */

/* [USB2] "USB Device Requests" */
struct usb_setup {
	uint8_t type, request;
	uint16_t value, index, length;
};
static_assert(sizeof(struct usb_setup) == 8, "[USB2] setup data is 8 bytes");

/* As the speed IDs of [xHCI] "Default Speed ID Mapping"; anything above is faster. */
enum usb_speed { USB_FULL = 1, USB_LOW = 2, USB_HIGH = 3, USB_SUPER = 4 };

enum usb_action {
	USB_DO_NOTHING,	   /* until somebody wants something */
	USB_DO_WAIT,	   /* for ns */
	USB_DO_RESET_PORT, /* and learn the speed */
	USB_DO_ENABLE,	   /* a slot of the controller's */
	USB_DO_ADDRESS,	   /* give it an address */
	USB_DO_PACKET0,	   /* the largest packet of endpoint 0 has another size */
	USB_DO_CONTROL,	   /* setup; its data in the device's page, from USB_DATA_AT on */
	USB_DO_ENDPOINTS,  /* make both bulk endpoints, or make them anew */
	USB_DO_BULK,	   /* endpoint, segs */
	USB_DO_UNHALT,	   /* endpoint: after a stall, on the controller's side */
	USB_DO_DISABLE,	   /* stop all endpoints, give the slot back */
};

enum usb_end { USB_OK, USB_STALLED, USB_FAILED, USB_TIMED_OUT };

struct usb_step {
	enum usb_action action;
	uint64_t ns;	  /* how long it may take; 0: whoever wants its end looks after that */
	uint8_t endpoint; /* its address, with USB_IN */
	struct usb_setup setup;
	struct block_seg seg;	      /* what segs may point at */
	const struct block_seg *segs; /* NULL: seg */
	uint32_t nr_segs;
};

/* What lies where in the page of a device, which the device writes. */
#define USB_CBW_AT     0u
#define USB_CSW_AT     64u
#define USB_SENSE_AT   128u
#define USB_DATA_AT    512u
#define USB_PAGE_BYTES 4096u
#define USB_DATA_BYTES (USB_PAGE_BYTES - USB_DATA_AT)

#endif
