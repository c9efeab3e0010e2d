/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SCSI command at a time over USB's Bulk-Only Transport, with all that may go wrong on the way,
 * as a row of steps. Pure: it is told how each step ended, and says the next one.
 *
 *     CBW ──► data ──► CSW ──► passed
 *               │stall    │ failed: CBW of REQUEST SENSE ─► sense ─► CSW ──► refused
 *               ▼         │ nonsense, or the transfer failed
 *        unhalt, clear    ▼
 *               │       reset recovery ──► broken: the command may be tried again
 *               ▼         │ that failed too
 *              CSW        ▼
 *                       lost: the device is to be reset by its port
 *
 * What the device wrote is copied before it is looked at.
 *
 * Source: [BOT] "Command/Data/Status Protocol", "Error Handling".
 */
#ifndef DRIVERS_USB_BOT_H
#define DRIVERS_USB_BOT_H

#include "drivers/scsi.h"
#include "drivers/usb.h"

#define BOT_CBW_BYTES 31u
#define BOT_CSW_BYTES 13u

enum bot_stage {
	BOT_CBW,
	BOT_DATA,
	BOT_DATA_UNHALT,
	BOT_DATA_CLEAR,
	BOT_CSW,
	BOT_CSW_UNHALT,
	BOT_CSW_CLEAR,
	BOT_RESET,
	BOT_RESET_IN,
	BOT_RESET_OUT,
	BOT_RESET_RINGS,
};

enum bot_result {
	BOT_GOES_ON, /* the next step is there */
	BOT_PASSED,
	BOT_REFUSED, /* bot->sense says why */
	BOT_BROKEN,
	BOT_LOST,
};

struct bot {
	/* The owner's, before the first command. */
	uint8_t *page; /* USB_PAGE_BYTES, where the device writes; see drivers/usb.h */
	uint64_t page_hpa;
	uint8_t in, out; /* addresses of the endpoints */
	uint8_t interface;
	uint64_t ns; /* for each transfer of a command; 0: the owner looks after that */

	enum bot_stage stage;
	bool is_sensing, has_stalled;
	uint32_t tag;
	uint32_t moved;	     /* in the data stage */
	uint32_t data_moved; /* of the command's data, as both sides say */
	struct scsi_command command;
	const struct block_seg *segs; /* the owner's until the end; NULL: in the page */
	uint32_t nr_segs;
	struct scsi_sense sense;
};

/* bot_start - begin a command; the first step is in *step. segs are borrowed until its end. */
void bot_start(struct bot *bot, const struct scsi_command *command, const struct block_seg *segs,
	       uint32_t nr_segs, struct usb_step *step);

/* bot_next - the last step has ended: the next one is in *step, or the command is over */
enum bot_result bot_next(struct bot *bot, enum usb_end end, uint32_t moved, struct usb_step *step);

#endif
