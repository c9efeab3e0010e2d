/* SPDX-License-Identifier: Apache-2.0 */
/* Between usb_stick.c, which goes from stage to stage, usb_enum.c, which has those on the way to
 * the endpoints, and usb_disk.c, which has the commands of a disk. */
#ifndef DRIVERS_USB_STICK_PRIV_H
#define DRIVERS_USB_STICK_PRIV_H

#include "drivers/usb_stick.h"

/* What is asked in a stage, and what follows from the answer. */
struct usb_stage_row {
	void (*ask)(struct usb_stick *stick);
	void (*take)(struct usb_stick *stick, uint32_t moved);
};

extern const struct usb_stage_row usb_enum_rows[USB_STAGES], usb_disk_rows[USB_STAGES];

static inline bool usb_is_disk_stage(enum usb_stage stage)
{
	return stage >= USB_INQUIRY && stage <= USB_LIVE && stage != USB_WAIT_READY;
}

/* usb_disk_result - a SCSI command is over; not BOT_GOES_ON */
void usb_disk_result(struct usb_stick *stick, enum bot_result result);

/* usb_stick_go - to the next stage */
void usb_stick_go(struct usb_stick *stick, enum usb_stage stage);
/* usb_stick_fail - it did not do what it should: try anew, some times */
void usb_stick_fail(struct usb_stick *stick);
/* usb_stick_leave - it is none that could be a disk; why has been said in the log */
void usb_stick_leave(struct usb_stick *stick);

#endif
