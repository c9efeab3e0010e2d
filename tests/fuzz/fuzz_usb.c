/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile USB device: its descriptors, its answers, how its transfers end and how much of them is
 * moved. Whatever it does, a request ends once or is forgotten by a reset, and a disk is one that
 * can be used.
 *
 * The first byte: 0 is a configuration to parse, 1 sense, 2 an answer to INQUIRY; anything else is
 * a whole device, and says how obliging it is, so that short inputs get far: with bit 7 it answers
 * as a stick would, where the input has nothing else to say.
 */
#include <stdlib.h>

#include "drivers/usb_stick.h"
#include "kernel/lib/bytes.h"
#include "tests/fuzz/input.h"

#define STEPS_MAX 400u
#define OBLIGING  0x80u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

static void try_config(struct input *in)
{
	enum usb_speed speed = USB_FULL + input_u8(in) % 4;
	struct usb_interface is;
	char text[16];

	if (usb_config_parse(in->at, in->left, speed, &is) == HV_OK) {
		require(is.in.address & USB_IN && (is.in.address & 0x0f) != 0);
		require(is.out.address != 0 && is.out.address < 16);
		require(is.in.max_packet >= 8 && is.out.max_packet >= 8);
		require(is.in.max_burst <= 15 && is.out.max_burst <= 15);
	}
	usb_string_text(in->at, in->left, text, sizeof(text));
	require(strnlen(text, sizeof(text)) < sizeof(text));
}

static void try_sense(struct input *in)
{
	struct scsi_capacity capacity;
	struct scsi_sense sense;

	(void)!scsi_sense_parse(in->at, in->left, &sense);
	(void)scsi_judge(&sense);
	if (scsi_capacity10_parse(in->at, in->left, &capacity) == HV_OK)
		require(capacity.sector_bytes == 512 || capacity.sector_bytes == 4096);
	if (scsi_capacity16_parse(in->at, in->left, &capacity) == HV_OK)
		require(capacity.nr_sectors > 0 &&
			capacity.nr_sectors <= UINT64_MAX / capacity.sector_bytes);
}

static void try_inquiry(struct input *in)
{
	struct scsi_inquiry inquiry;

	(void)!scsi_inquiry_parse(in->at, in->left, &inquiry);
	require(strnlen(inquiry.model, sizeof(inquiry.model)) < sizeof(inquiry.model));
	require(strnlen(inquiry.firmware, sizeof(inquiry.firmware)) < sizeof(inquiry.firmware));
}

/* ---- a whole device ---- */

static uint8_t *page;
static struct usb_stick stick;
static struct block_request req;
static struct block_seg seg;
static bool is_out; /* the request */

static const uint8_t device[] = {18,   1,    0,	   2, 0, 0, 0, 64, 0x34,
				 0x12, 0x78, 0x56, 0, 1, 1, 2, 3,  1};
static const uint8_t config[] = {9,    2, 32, 0, 1,    1, 0, 0x80, 50, 9, 4, 0,	   0, 2, 8, 6,
				 0x50, 0, 7,  5, 0x02, 2, 0, 2,	   0,  7, 5, 0x81, 2, 0, 2, 0};

static uint32_t put(const void *bytes, uint32_t len)
{
	memcpy(page + USB_DATA_AT, bytes, len);
	return len;
}

/* What a stick would have moved, and where it would have put it. */
static uint32_t oblige(const struct usb_step *step)
{
	uint8_t capacity[8] = {0, 0, 0x10, 0, 0, 0, 2, 0}, inquiry[36] = {0, 0x80};

	if (step->action == USB_DO_CONTROL) {
		if (step->setup.value >> 8 == USB_DESC_DEVICE)
			return put(device, MIN(step->setup.length, sizeof(device)));
		if (step->setup.value >> 8 == USB_DESC_CONFIG)
			return put(config, MIN(step->setup.length, sizeof(config)));
		return 0;
	}
	if (step->action != USB_DO_BULK)
		return 0;
	if (stick.bot.stage == BOT_CSW) {
		put_le32(page + USB_CSW_AT, 0x53425355);
		put_le32(page + USB_CSW_AT + 4, stick.bot.tag);
		return BOT_CSW_BYTES;
	}
	if (stick.bot.stage != BOT_DATA)
		return BOT_CBW_BYTES;
	if (stick.stage == USB_CAPACITY)
		return put(capacity, sizeof(capacity));
	if (stick.stage == USB_INQUIRY)
		return put(inquiry, sizeof(inquiry));
	return stick.bot.command.data_bytes;
}

/* Bits of a byte: 0 to 2 how it ends, 3 bytes of its own at where answers lie, 4 a length of its
 * own. */
static void end_step(struct input *in, uint8_t manners)
{
	static const enum usb_end ends[] = {USB_OK, USB_OK,	 USB_OK,     USB_OK,
					    USB_OK, USB_STALLED, USB_FAILED, USB_TIMED_OUT};
	static const uint32_t places[] = {USB_CSW_AT, USB_SENSE_AT, USB_DATA_AT, USB_DATA_AT};
	uint8_t how = input_u8(in);
	uint32_t moved = manners & OBLIGING ? oblige(&stick.step) : 0;

	if (how & 8) {
		uint8_t *at = page + places[how >> 5 & 3], len = input_u8(in) % 64;

		while (len-- > 0)
			*at++ = input_u8(in);
	}
	if (how & 16)
		moved = input_u8(in) % 4 == 0 ? input_u32(in) : input_u8(in);
	if (stick.step.action == USB_DO_RESET_PORT)
		stick.speed = how & 32 ? USB_FULL + (how >> 6) : USB_HIGH;
	usb_stick_next(&stick, ends[how & 7], moved);
}

static void check_news(void)
{
	if (stick.news & USB_NEWS_ENDED) {
		require(is_out && stick.ended == &req);
		is_out = false;
	}
	if (stick.news & (USB_NEWS_RESETTING | USB_NEWS_GONE))
		is_out = false;
	require(is_out == (stick.req != NULL));
	if (stick.stage == USB_LIVE)
		require(stick.disk.capacity.nr_sectors > 0);
	stick.news = 0;
}

static void act(struct input *in)
{
	uint8_t what = input_u8(in);

	if (what % 8 == 7)
		usb_stick_drop(&stick, what & 8 ? USB_DROP_GONE : USB_DROP_RETRY);
	if (!usb_stick_is_idle(&stick))
		return;
	seg = (struct block_seg){0x1000, stick.disk.capacity.sector_bytes};
	req = (struct block_request){.op = what % 3 == 2 ? BLOCK_FLUSH : what % 3,
				     .nr_sectors = what % 3 == 2 ? 0 : 1,
				     .segs = &seg,
				     .nr_segs = what % 3 == 2 ? 0 : 1};
	usb_stick_submit(&stick, &req);
	is_out = true;
}

static void try_device(struct input *in, uint8_t manners)
{
	page = calloc(1, USB_PAGE_BYTES);
	require(page);
	memset(&stick, 0, sizeof(stick));
	is_out = false;
	usb_stick_connect(&stick, page, 0x10000);
	for (uint32_t i = 0; i < STEPS_MAX && stick.stage != USB_GONE; i++) {
		if (stick.step.action == USB_DO_NOTHING) {
			if (in->left == 0)
				break;
			act(in);
		} else {
			end_step(in, manners);
		}
		check_news();
	}
	usb_stick_give_up(&stick);
	require(stick.stage == USB_GONE && !stick.req);
	free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t kind = input_u8(&in);

	if (kind == 0)
		try_config(&in);
	else if (kind == 1)
		try_sense(&in);
	else if (kind == 2)
		try_inquiry(&in);
	else
		try_device(&in, kind);
	return 0;
}
