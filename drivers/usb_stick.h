/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A USB device from the moment at which its port has a connection: what it is, and, if it is a
 * stick, its life as a disk. Pure: one step is out at a time, and this says the next one when it is
 * told how that ended.
 *
 *   connected ─► port reset ─► slot ─► address ─► descriptors ─► endpoints ─► inquiry, ready?,
 *                  ▲                                  │          capacity ─► LIVE ⇄ request
 *                  │                                  │ no stick of ours      │
 *                  └──────────── DROP ◄───────────────┴───────────────────────┘ a reset is wanted
 *                                 │ for good
 *                                 ▼
 *                          LEFT (until it is unplugged), GONE
 *
 * Whatever is wrong, on the way or later, ends in DROP: all its endpoints stop, its slot is given
 * back. Three times it is tried anew, by a reset of its port. A stick that comes back must be the
 * same, or its disk is gone.
 *
 * Locking: the caller's.
 *
 * Source: [USB2] "USB Device States", "Bus Enumeration"; [BOT]; [SPC]; [SBC].
 */
#ifndef DRIVERS_USB_STICK_H
#define DRIVERS_USB_STICK_H

#include "drivers/usb_bot.h"
#include "drivers/usb_desc.h"

#define USB_STICK_BYTES_MAX (64u * 1024) /* of one request: what every stick takes */
#define USB_STICK_SEGS_MAX  64u
#define USB_STICK_BRING_UP  (20 * NSEC_PER_SEC) /* at most, from connected to LIVE */

enum usb_stage {
	USB_DEBOUNCE,
	USB_PORT_RESET,
	USB_RECOVER,
	USB_ENABLE,
	USB_ADDRESS,
	USB_SETTLE,
	USB_PACKET0_ASK,
	USB_PACKET0_SET,
	USB_DEVICE,
	USB_CONFIG_HEAD,
	USB_CONFIG,
	USB_SERIAL,
	USB_ENDPOINTS,
	USB_SET_CONFIG,
	USB_MAX_LUN,
	USB_INQUIRY,
	USB_READY,
	USB_WAIT_READY,
	USB_CAPACITY,
	USB_CAPACITY16,
	USB_PROTECTION,
	USB_LIVE,
	USB_UNSTALL, /* endpoint 0, after a question that need not be answered */
	USB_DROP,
	USB_LEFT,
	USB_GONE,
	USB_STAGES
};

/* What the owner is to pass on, in this order, when it has looked. */
#define USB_NEWS_ENDED	    0x01u /* stick->ended ended with stick->status */
#define USB_NEWS_READY	    0x02u /* LIVE for the first time: there is a disk */
#define USB_NEWS_RESETTING  0x04u /* it takes no requests, until */
#define USB_NEWS_RESET_DONE 0x08u
#define USB_NEWS_GONE	    0x10u

struct usb_disk_info {
	struct scsi_capacity capacity;
	bool is_16, is_read_only, is_removable, has_cache;
	char model[BLOCK_TEXT_MAX], serial[BLOCK_TEXT_MAX], firmware[5];
};

enum usb_drop { USB_DROP_RETRY, USB_DROP_LEFT, USB_DROP_GONE };

struct usb_stick {
	char where[28]; /* for the log: "00:03.0 port 5" */
	enum usb_stage stage;
	struct usb_step step; /* the one that is out */

	/* The owner's, for the steps that it takes. */
	enum usb_speed speed; /* set when the port was reset */
	uint16_t packet0;

	struct usb_device_info device;
	struct usb_interface interface;
	uint16_t config_bytes;
	struct bot bot;
	struct usb_disk_info disk, found; /* as it was, and as it is found to be after a reset */

	bool was_live, skips_mode; /* MODE SENSE made it hang */
	uint32_t attempts, nr_waits, nr_tries;
	enum usb_stage after;	   /* USB_UNSTALL */
	enum usb_drop drop;	   /* what follows on USB_DROP */
	struct block_request *req; /* LIVE: the one that is under way */

	uint32_t news; /* USB_NEWS_*; whoever passes them on clears them */
	struct block_request *ended;
	enum hv_err status;
};

/* usb_stick_connect - a port has a connection: the first step is in stick->step. page: zeroed. */
void usb_stick_connect(struct usb_stick *stick, uint8_t *page, uint64_t page_hpa);

/* usb_stick_next - the step ended so: the next one is in stick->step */
void usb_stick_next(struct usb_stick *stick, enum usb_end end, uint32_t moved);

/* usb_stick_is_idle - whether usb_stick_submit() may be called */
static inline bool usb_stick_is_idle(const struct usb_stick *stick)
{
	return stick->stage == USB_LIVE && !stick->req;
}

/* usb_stick_is_settled - it is a disk, or will not be one */
static inline bool usb_stick_is_settled(const struct usb_stick *stick)
{
	return stick->stage == USB_LIVE || stick->stage == USB_LEFT || stick->stage == USB_GONE;
}

/* usb_stick_submit - a request, checked against its limits, to one that is idle */
void usb_stick_submit(struct usb_stick *stick, struct block_request *req);

/*
 * usb_stick_drop - whatever goes on, forget it, requests as well: try anew from the port's reset
 * on, or have it gone. The step that was out must not be ended any more.
 */
void usb_stick_drop(struct usb_stick *stick, enum usb_drop why);

/* usb_stick_give_up - no step can be taken any more, as the controller is gone */
void usb_stick_give_up(struct usb_stick *stick);

#endif
