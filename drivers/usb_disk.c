/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of a stick as a disk: those that find out what it is, and its requests. The owner
 * looks after how long a request takes; all before it has its limit.
 */
#include "drivers/usb_stick_priv.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define TRANSFER_NS (5 * NSEC_PER_SEC)
#define TRIES_MAX   8u /* of one question, while it has something else to say first */
#define BROKEN_MAX  3u
#define WAITS_MAX   100u /* of 100 ms, until it is ready */
#define DATA_MAX    SCSI_MODE_BYTES

static void start(struct usb_stick *stick, const struct scsi_command *command)
{
	stick->bot.ns = TRANSFER_NS;
	bot_start(&stick->bot, command, NULL, 0, &stick->step);
}

/* As much of the answer as came; returns how much. */
static uint32_t copy_data(const struct usb_stick *stick, uint8_t out[DATA_MAX], uint32_t moved)
{
	memset(out, 0, DATA_MAX);
	moved = MIN(moved, DATA_MAX);
	memcpy(out, stick->bot.page + USB_DATA_AT, moved);
	return moved;
}

/* ---- what it is ---- */

static bool is_the_same(const struct usb_disk_info *a, const struct usb_disk_info *b)
{
	return a->capacity.nr_sectors == b->capacity.nr_sectors &&
	       a->capacity.sector_bytes == b->capacity.sector_bytes &&
	       a->is_read_only == b->is_read_only && strcmp(a->model, b->model) == 0 &&
	       strcmp(a->serial, b->serial) == 0;
}

static void live(struct usb_stick *stick)
{
	if (stick->was_live && !is_the_same(&stick->disk, &stick->found)) {
		log_err("usb", "%s: is not the stick that it was before its reset", stick->where);
		usb_stick_leave(stick);
		return;
	}
	stick->news |= stick->was_live ? USB_NEWS_RESET_DONE : USB_NEWS_READY;
	stick->found.has_cache = !stick->was_live || stick->disk.has_cache;
	stick->disk = stick->found;
	stick->was_live = true;
	stick->attempts = 0;
	stick->bot.ns = 0;
	usb_stick_go(stick, USB_LIVE);
}

static void ask_inquiry(struct usb_stick *stick)
{
	struct scsi_command command;

	scsi_inquiry(&command);
	start(stick, &command);
}

static void take_inquiry(struct usb_stick *stick, uint32_t moved)
{
	struct usb_disk_info *found = &stick->found;
	struct scsi_inquiry inquiry;
	uint8_t data[DATA_MAX];

	moved = copy_data(stick, data, moved);
	if (scsi_inquiry_parse(data, moved, &inquiry) != HV_OK) {
		usb_stick_fail(stick);
		return;
	}
	if (inquiry.type != SCSI_TYPE_DISK) {
		log_info("usb", "%s: %s '%s', SCSI type %u: left alone", stick->where,
			 inquiry.type == SCSI_TYPE_CD ? "a CD drive" : "no disk", inquiry.model,
			 inquiry.type);
		usb_stick_leave(stick);
		return;
	}
	memcpy(found->model, inquiry.model, sizeof(found->model));
	memcpy(found->firmware, inquiry.firmware, sizeof(found->firmware));
	found->is_removable = inquiry.is_removable;
	stick->nr_waits = 0;
	usb_stick_go(stick, USB_READY);
}

static void ask_ready(struct usb_stick *stick)
{
	struct scsi_command command;

	scsi_test_unit_ready(&command);
	start(stick, &command);
}

static void take_ready(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_CAPACITY);
}

static void ask_capacity(struct usb_stick *stick)
{
	struct scsi_command command;

	if (stick->stage == USB_CAPACITY16)
		scsi_read_capacity16(&command);
	else
		scsi_read_capacity10(&command);
	start(stick, &command);
}

static void take_capacity(struct usb_stick *stick, uint32_t moved)
{
	struct scsi_capacity *capacity = &stick->found.capacity;
	uint8_t data[DATA_MAX];
	enum hv_err err;

	moved = copy_data(stick, data, moved);
	if (stick->stage == USB_CAPACITY)
		err = scsi_capacity10_parse(data, moved, capacity);
	else
		err = scsi_capacity16_parse(data, moved, capacity);
	stick->found.is_16 = stick->stage == USB_CAPACITY16;
	if (err == HV_OK) {
		if (stick->skips_mode)
			live(stick);
		else
			usb_stick_go(stick, USB_PROTECTION);
	} else if (err == HV_EAGAIN) {
		usb_stick_go(stick, USB_CAPACITY16);
	} else if (err == HV_ENOTSUP) {
		log_warn("usb", "%s: has sectors of %u bytes: left alone", stick->where,
			 capacity->sector_bytes);
		usb_stick_leave(stick);
	} else {
		usb_stick_fail(stick);
	}
}

static void ask_protection(struct usb_stick *stick)
{
	struct scsi_command command;

	scsi_mode_sense(&command);
	start(stick, &command);
}

static void take_protection(struct usb_stick *stick, uint32_t moved)
{
	uint8_t data[DATA_MAX];

	moved = copy_data(stick, data, moved);
	stick->found.is_read_only = scsi_is_protected(data, moved);
	live(stick);
}

static void ask_nothing(struct usb_stick *stick)
{
	stick->step = (struct usb_step){.action = USB_DO_NOTHING};
}

const struct usb_stage_row usb_disk_rows[USB_STAGES] = {
	[USB_INQUIRY] = {ask_inquiry, take_inquiry},
	[USB_READY] = {ask_ready, take_ready},
	[USB_CAPACITY] = {ask_capacity, take_capacity},
	[USB_CAPACITY16] = {ask_capacity, take_capacity},
	[USB_PROTECTION] = {ask_protection, take_protection},
	[USB_LIVE] = {ask_nothing, NULL},
};

static void again(struct usb_stick *stick, uint32_t most)
{
	if (++stick->nr_tries < most)
		usb_stick_go(stick, stick->stage);
	else
		usb_stick_fail(stick);
}

/* A question about itself was refused. */
static void take_refusal(struct usb_stick *stick)
{
	enum scsi_verdict verdict = scsi_judge(&stick->bot.sense);

	switch (verdict) {
	case SCSI_AGAIN:
	case SCSI_CHANGED: /* it has just been plugged in, or reset */
		again(stick, TRIES_MAX);
		return;
	case SCSI_NOT_YET:
		if (++stick->nr_waits < WAITS_MAX)
			usb_stick_go(stick, USB_WAIT_READY);
		else
			usb_stick_fail(stick);
		return;
	case SCSI_NO_MEDIUM:
		log_info("usb", "%s: '%s' has no medium: left alone", stick->where,
			 stick->found.model);
		usb_stick_leave(stick);
		return;
	default:
		break;
	}
	if (stick->stage == USB_PROTECTION) {
		live(stick); /* and not protected */
	} else if (verdict == SCSI_GOOD) {
		usb_disk_rows[stick->stage].take(stick, stick->bot.data_moved);
	} else {
		usb_stick_fail(stick);
	}
}

/* ---- requests ---- */

void usb_stick_submit(struct usb_stick *stick, struct block_request *req)
{
	const struct usb_disk_info *disk = &stick->disk;
	struct scsi_command command;

	ASSERT(usb_stick_is_idle(stick) && req->nr_segs <= USB_STICK_SEGS_MAX);

	stick->req = req;
	if (req->op == BLOCK_FLUSH)
		scsi_synchronize_cache(&command);
	else
		scsi_read_write(&command, req->op == BLOCK_WRITE, req->sector, req->nr_sectors,
				disk->capacity.sector_bytes, disk->is_16);
	bot_start(&stick->bot, &command, req->segs, req->nr_segs, &stick->step);
}

static void end_request(struct usb_stick *stick, enum hv_err status)
{
	stick->ended = stick->req;
	stick->status = status;
	stick->req = NULL;
	stick->news |= USB_NEWS_ENDED;
	ask_nothing(stick);
}

static uint32_t wanted_bytes(const struct usb_stick *stick)
{
	return stick->req->nr_sectors * stick->disk.capacity.sector_bytes;
}

/* What was moved must be all: a stick that says otherwise is asked once more. */
static void end_good(struct usb_stick *stick)
{
	end_request(stick, stick->bot.data_moved == wanted_bytes(stick) ? HV_OK : HV_EBUSY);
}

static void end_bad(struct usb_stick *stick)
{
	static const char *const words[BLOCK_OPS] = {"read", "write", "flush", "discard"};
	const struct scsi_sense *sense = &stick->bot.sense;
	const struct block_request *req = stick->req;

	log_warn("usb", "%s: %s of %u sectors from %lu on failed, sense %x %02x %02x", stick->where,
		 words[req->op], req->nr_sectors, req->sector, sense->key, sense->asc, sense->ascq);
	end_request(stick, HV_EIO);
}

/* Without a flush command there is no cache to flush. */
static void end_unknown(struct usb_stick *stick)
{
	if (stick->req->op != BLOCK_FLUSH) {
		end_bad(stick);
		return;
	}
	stick->disk.has_cache = false;
	end_request(stick, HV_OK);
}

static void take_request_refusal(struct usb_stick *stick)
{
	switch (scsi_judge(&stick->bot.sense)) {
	case SCSI_GOOD:
		end_good(stick);
		return;
	case SCSI_AGAIN:
		end_request(stick, HV_EBUSY);
		return;
	case SCSI_NOT_YET:
		usb_stick_drop(stick, USB_DROP_RETRY);
		return;
	case SCSI_NO_MEDIUM:
	case SCSI_CHANGED:
		log_err("usb", "%s: its medium was taken out", stick->where);
		usb_stick_leave(stick);
		return;
	case SCSI_UNKNOWN:
		end_unknown(stick);
		return;
	default:
		end_bad(stick);
	}
}

static void take_request_result(struct usb_stick *stick, enum bot_result result)
{
	switch (result) {
	case BOT_PASSED:
		end_good(stick);
		return;
	case BOT_REFUSED:
		take_request_refusal(stick);
		return;
	case BOT_BROKEN:
		end_request(stick, HV_EBUSY);
		return;
	default:
		usb_stick_drop(stick, USB_DROP_RETRY);
	}
}

void usb_disk_result(struct usb_stick *stick, enum bot_result result)
{
	bool may_fail = stick->stage == USB_PROTECTION; /* there are sticks that choke on it */

	if (stick->stage == USB_LIVE) {
		take_request_result(stick, result);
	} else if (result == BOT_PASSED) {
		usb_disk_rows[stick->stage].take(stick, stick->bot.data_moved);
	} else if (result == BOT_REFUSED) {
		take_refusal(stick);
	} else if (result == BOT_BROKEN && may_fail) {
		live(stick);
	} else if (result == BOT_BROKEN) {
		again(stick, BROKEN_MAX);
	} else {
		stick->skips_mode |= may_fail;
		usb_stick_fail(stick);
	}
}
