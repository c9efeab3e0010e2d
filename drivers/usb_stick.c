/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From stage to stage, with all the ways back: what fails, what is dropped, what is left. The rows
 * of the stages are in usb_enum.c and usb_disk.c, but for those of the end.
 */
#include "drivers/usb_stick_priv.h"

#include "kernel/log.h"

#define ATTEMPTS_MAX 3u

static void ask(struct usb_stick *stick, enum usb_action action)
{
	stick->step = (struct usb_step){.action = action};
}

static void ask_unstall(struct usb_stick *stick)
{
	ask(stick, USB_DO_UNHALT);
}

static void take_unstall(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, stick->after);
}

/* ---- the end ---- */

static void ask_drop(struct usb_stick *stick)
{
	ask(stick, USB_DO_DISABLE);
}

static void take_drop(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	if (stick->drop == USB_DROP_RETRY)
		usb_stick_go(stick, USB_PORT_RESET);
	else
		usb_stick_go(stick, stick->drop == USB_DROP_GONE ? USB_GONE : USB_LEFT);
}

static void ask_nothing(struct usb_stick *stick)
{
	ask(stick, USB_DO_NOTHING);
}

static void ask_gone(struct usb_stick *stick)
{
	ask(stick, USB_DO_NOTHING);
	stick->news |= USB_NEWS_GONE;
}

static void take_nothing(struct usb_stick *stick, uint32_t moved)
{
	(void)stick;
	(void)moved;
}

static const struct usb_stage_row end_rows[USB_STAGES] = {
	[USB_UNSTALL] = {ask_unstall, take_unstall},
	[USB_DROP] = {ask_drop, take_drop},
	[USB_LEFT] = {ask_nothing, take_nothing},
	[USB_GONE] = {ask_gone, take_nothing},
};

static const struct usb_stage_row *row_of(enum usb_stage stage)
{
	if (usb_is_disk_stage(stage))
		return &usb_disk_rows[stage];
	return stage < USB_LIVE ? &usb_enum_rows[stage] : &end_rows[stage];
}

void usb_stick_go(struct usb_stick *stick, enum usb_stage stage)
{
	if (stage != stick->stage)
		stick->nr_tries = 0;
	stick->stage = stage;
	row_of(stage)->ask(stick);
}

void usb_stick_connect(struct usb_stick *stick, uint8_t *page, uint64_t page_hpa)
{
	stick->bot.page = page;
	stick->bot.page_hpa = page_hpa;
	usb_stick_go(stick, USB_DEBOUNCE);
}

void usb_stick_drop(struct usb_stick *stick, enum usb_drop why)
{
	if (stick->stage == USB_GONE)
		return;
	stick->req = NULL;
	if (stick->was_live && why == USB_DROP_RETRY) {
		stick->news |= USB_NEWS_RESETTING;
		stick->news &= ~USB_NEWS_RESET_DONE;
	}
	/* The way that is to be taken to the end is not taken back. */
	if (stick->stage != USB_DROP || stick->drop != USB_DROP_GONE)
		stick->drop = why;
	usb_stick_go(stick, USB_DROP);
}

void usb_stick_fail(struct usb_stick *stick)
{
	if (++stick->attempts < ATTEMPTS_MAX) {
		usb_stick_drop(stick, USB_DROP_RETRY);
		return;
	}
	log_warn("usb", "%s: does not do what it should in step %u of %u: left alone", stick->where,
		 stick->stage, USB_LIVE);
	usb_stick_leave(stick);
}

void usb_stick_leave(struct usb_stick *stick)
{
	usb_stick_drop(stick, stick->was_live ? USB_DROP_GONE : USB_DROP_LEFT);
}

void usb_stick_give_up(struct usb_stick *stick)
{
	stick->req = NULL;
	if (stick->stage != USB_GONE)
		usb_stick_go(stick, USB_GONE);
}

/* These questions need no answer: a stall of endpoint 0 is one, too. */
static bool may_do_without(struct usb_stick *stick)
{
	if (stick->stage != USB_SERIAL && stick->stage != USB_MAX_LUN)
		return false;
	stick->after = stick->stage == USB_SERIAL ? USB_ENDPOINTS : USB_INQUIRY;
	return true;
}

void usb_stick_next(struct usb_stick *stick, enum usb_end end, uint32_t moved)
{
	if (usb_is_disk_stage(stick->stage)) {
		enum bot_result result = bot_next(&stick->bot, end, moved, &stick->step);

		if (result != BOT_GOES_ON)
			usb_disk_result(stick, result);
	} else if (end == USB_OK || stick->stage == USB_DROP) {
		row_of(stick->stage)->take(stick, moved);
	} else if (end == USB_STALLED && may_do_without(stick)) {
		usb_stick_go(stick, USB_UNSTALL);
	} else {
		usb_stick_fail(stick);
	}
}
