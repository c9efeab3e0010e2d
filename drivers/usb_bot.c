/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tag changes with each command, so a status that was left over from an earlier one is seen to
 * be none of this one's.
 */
#include "drivers/usb_bot.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [BOT] "Command Block Wrapper (CBW)", "Command Status Wrapper (CSW)" */
#define CBW_SIGNATURE	  0x43425355u
#define CSW_SIGNATURE	  0x53425355u
#define CBW_TAG_AT	  4u
#define CBW_LENGTH_AT	  8u
#define CBW_FLAGS_AT	  12u
#define CBW_CDB_BYTES_AT  14u
#define CBW_CDB_AT	  15u
#define CSW_TAG_AT	  4u
#define CSW_RESIDUE_AT	  8u
#define CSW_STATUS_AT	  12u
#define CSW_STATUS_PASSED 0u
#define CSW_STATUS_FAILED 1u

/* [BOT] "Bulk-Only Mass Storage Reset"; [USB2] "Clear Feature" */
#define RESET_TYPE    0x21u
#define RESET_REQUEST 0xffu
#define CLEAR_TYPE    0x02u /* to an endpoint */
#define CLEAR_REQUEST 1u
#define ENDPOINT_HALT 0u

#define CONTROL_NS (2 * NSEC_PER_SEC)

static enum bot_result bulk(struct bot *bot, enum bot_stage stage, uint8_t endpoint, uint32_t at,
			    uint32_t len_bytes, struct usb_step *step)
{
	bot->stage = stage;
	*step = (struct usb_step){
		.action = USB_DO_BULK,
		.ns = bot->ns,
		.endpoint = endpoint,
		.seg = {.hpa = bot->page_hpa + at, .len_bytes = len_bytes},
		.nr_segs = 1,
	};
	return BOT_GOES_ON;
}

static enum bot_result ask_cbw(struct bot *bot, struct usb_step *step)
{
	uint8_t *cbw = bot->page + USB_CBW_AT;

	ASSERT(bot->command.cdb_bytes <= SCSI_CDB_BYTES);
	memset(cbw, 0, BOT_CBW_BYTES);
	put_le32(cbw, CBW_SIGNATURE);
	put_le32(cbw + CBW_TAG_AT, ++bot->tag);
	put_le32(cbw + CBW_LENGTH_AT, bot->command.data_bytes);
	cbw[CBW_FLAGS_AT] = bot->command.is_in ? USB_IN : 0;
	cbw[CBW_CDB_BYTES_AT] = bot->command.cdb_bytes;
	memcpy(cbw + CBW_CDB_AT, bot->command.cdb, bot->command.cdb_bytes);
	bot->moved = 0;
	bot->has_stalled = false;
	return bulk(bot, BOT_CBW, bot->out, USB_CBW_AT, BOT_CBW_BYTES, step);
}

static uint8_t data_endpoint(const struct bot *bot)
{
	return bot->command.is_in ? bot->in : bot->out;
}

static enum bot_result ask_data(struct bot *bot, struct usb_step *step)
{
	uint32_t at = bot->is_sensing ? USB_SENSE_AT : USB_DATA_AT;

	bulk(bot, BOT_DATA, data_endpoint(bot), at, bot->command.data_bytes, step);
	if (bot->segs && !bot->is_sensing) {
		step->segs = bot->segs;
		step->nr_segs = bot->nr_segs;
	}
	return BOT_GOES_ON;
}

static enum bot_result ask_csw(struct bot *bot, struct usb_step *step)
{
	memset(bot->page + USB_CSW_AT, 0, BOT_CSW_BYTES);
	return bulk(bot, BOT_CSW, bot->in, USB_CSW_AT, BOT_CSW_BYTES, step);
}

static enum bot_result ask_unhalt(struct bot *bot, enum bot_stage stage, uint8_t endpoint,
				  struct usb_step *step)
{
	bot->stage = stage;
	*step = (struct usb_step){.action = USB_DO_UNHALT, .endpoint = endpoint};
	return BOT_GOES_ON;
}

static enum bot_result ask_control(struct bot *bot, enum bot_stage stage,
				   const struct usb_setup *setup, struct usb_step *step)
{
	bot->stage = stage;
	*step = (struct usb_step){.action = USB_DO_CONTROL, .ns = CONTROL_NS, .setup = *setup};
	return BOT_GOES_ON;
}

static enum bot_result ask_clear(struct bot *bot, enum bot_stage stage, uint8_t endpoint,
				 struct usb_step *step)
{
	struct usb_setup setup = {.type = CLEAR_TYPE,
				  .request = CLEAR_REQUEST,
				  .value = ENDPOINT_HALT,
				  .index = endpoint};

	return ask_control(bot, stage, &setup, step);
}

/* [BOT] "Reset Recovery": the request, then the halts of both endpoints, and on our side both from
 * the beginning, as the clearing sets their toggles back. */
static enum bot_result recover(struct bot *bot, struct usb_step *step)
{
	struct usb_setup setup = {
		.type = RESET_TYPE, .request = RESET_REQUEST, .index = bot->interface};

	return ask_control(bot, BOT_RESET, &setup, step);
}

void bot_start(struct bot *bot, const struct scsi_command *command, const struct block_seg *segs,
	       uint32_t nr_segs, struct usb_step *step)
{
	ASSERT(segs || command->data_bytes <= USB_DATA_BYTES);

	bot->command = *command;
	bot->segs = segs;
	bot->nr_segs = nr_segs;
	bot->is_sensing = false;
	bot->data_moved = 0;
	bot->sense = (struct scsi_sense){0};
	ask_cbw(bot, step);
}

static enum bot_result start_sensing(struct bot *bot, struct usb_step *step)
{
	bot->is_sensing = true;
	scsi_request_sense(&bot->command);
	return ask_cbw(bot, step);
}

static enum bot_result take_sense(struct bot *bot)
{
	uint8_t bytes[SCSI_SENSE_BYTES];

	memcpy(bytes, bot->page + USB_SENSE_AT, sizeof(bytes));
	if (scsi_sense_parse(bytes, MIN(bot->moved, sizeof(bytes)), &bot->sense) != HV_OK)
		return BOT_BROKEN;
	return BOT_REFUSED;
}

/* [BOT] "Valid CSW", "Meaningful CSW" */
static enum bot_result take_csw(struct bot *bot, uint32_t moved, struct usb_step *step)
{
	uint8_t csw[BOT_CSW_BYTES];
	uint32_t residue;

	memcpy(csw, bot->page + USB_CSW_AT, sizeof(csw));
	residue = get_le32(csw + CSW_RESIDUE_AT);
	if (moved != BOT_CSW_BYTES || get_le32(csw) != CSW_SIGNATURE ||
	    get_le32(csw + CSW_TAG_AT) != bot->tag || csw[CSW_STATUS_AT] > CSW_STATUS_FAILED)
		return recover(bot, step);
	if (bot->is_sensing)
		return csw[CSW_STATUS_AT] == CSW_STATUS_FAILED ? BOT_BROKEN : take_sense(bot);
	if (residue > bot->command.data_bytes)
		return recover(bot, step);
	bot->data_moved = MIN(bot->moved, bot->command.data_bytes - residue);
	return csw[CSW_STATUS_AT] == CSW_STATUS_FAILED ? start_sensing(bot, step) : BOT_PASSED;
}

static enum bot_result after_data(struct bot *bot, enum usb_end end, uint32_t moved,
				  struct usb_step *step)
{
	if (end == USB_FAILED)
		return recover(bot, step);
	bot->moved = MIN(moved, bot->command.data_bytes);
	if (end == USB_STALLED)
		return ask_unhalt(bot, BOT_DATA_UNHALT, data_endpoint(bot), step);
	return ask_csw(bot, step);
}

/* The first stall of it is cleared, and the status is asked for again. */
static enum bot_result after_csw(struct bot *bot, enum usb_end end, uint32_t moved,
				 struct usb_step *step)
{
	if (end == USB_OK)
		return take_csw(bot, moved, step);
	if (end == USB_FAILED || bot->has_stalled)
		return recover(bot, step);
	bot->has_stalled = true;
	return ask_unhalt(bot, BOT_CSW_UNHALT, bot->in, step);
}

enum bot_result bot_next(struct bot *bot, enum usb_end end, uint32_t moved, struct usb_step *step)
{
	bool is_transfer = bot->stage == BOT_CBW || bot->stage == BOT_DATA || bot->stage == BOT_CSW;

	if (end == USB_TIMED_OUT || (end != USB_OK && !is_transfer))
		return BOT_LOST;
	switch (bot->stage) {
	case BOT_CBW:
		if (end != USB_OK || moved != BOT_CBW_BYTES)
			return recover(bot, step);
		return bot->command.data_bytes ? ask_data(bot, step) : ask_csw(bot, step);
	case BOT_DATA:
		return after_data(bot, end, moved, step);
	case BOT_DATA_UNHALT:
		return ask_clear(bot, BOT_DATA_CLEAR, data_endpoint(bot), step);
	case BOT_CSW:
		return after_csw(bot, end, moved, step);
	case BOT_CSW_UNHALT:
		return ask_clear(bot, BOT_CSW_CLEAR, bot->in, step);
	case BOT_DATA_CLEAR:
	case BOT_CSW_CLEAR:
		return ask_csw(bot, step);
	case BOT_RESET:
		return ask_clear(bot, BOT_RESET_IN, bot->in, step);
	case BOT_RESET_IN:
		return ask_clear(bot, BOT_RESET_OUT, bot->out, step);
	case BOT_RESET_OUT:
		bot->stage = BOT_RESET_RINGS;
		*step = (struct usb_step){.action = USB_DO_ENDPOINTS};
		return BOT_GOES_ON;
	default:
		ASSERT(bot->stage == BOT_RESET_RINGS);
		return BOT_BROKEN;
	}
}
