/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a connection to a configured device: a row for each stage, what is asked, and what is made
 * of the answer. An answer lies in the device's page, and is copied before it is looked at.
 */
#include "drivers/usb_stick_priv.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define DEBOUNCE_NS  (100 * NSEC_PER_MSEC) /* [USB2] "Connect and Disconnect Signaling" */
#define RESET_NS     (1 * NSEC_PER_SEC)
#define RECOVER_NS   (10 * NSEC_PER_MSEC) /* [USB2] "Reset Recovery Time" */
#define SETTLE_NS    (2 * NSEC_PER_MSEC)  /* [USB2] "Set Address Processing" */
#define CONTROL_NS   (2 * NSEC_PER_SEC)
#define CLASS_HID    3u
#define ENGLISH	     0x0409u
#define STRING_BYTES 255u
#define CONFIG_MOST  1024u /* of a configuration; what is behind is not looked at */

/* [USB2] "Standard Device Requests"; [BOT] "Get Max LUN" */
#define STANDARD_IN	  0x80u
#define STANDARD_OUT	  0x00u
#define GET_DESCRIPTOR	  6u
#define SET_CONFIGURATION 9u
#define CLASS_IN	  0xa1u
#define GET_MAX_LUN	  0xfeu

static void ask(struct usb_stick *stick, enum usb_action action, uint64_t ns)
{
	stick->step = (struct usb_step){.action = action, .ns = ns};
}

static void ask_control(struct usb_stick *stick, uint8_t type, uint8_t request, uint16_t value,
			uint16_t index, uint16_t length)
{
	ask(stick, USB_DO_CONTROL, CONTROL_NS);
	stick->step.setup = (struct usb_setup){type, request, value, index, length};
}

static void ask_descriptor(struct usb_stick *stick, uint8_t type, uint8_t index, uint16_t length)
{
	ask_control(stick, STANDARD_IN, GET_DESCRIPTOR, (uint16_t)(type << 8 | index),
		    type == USB_DESC_STRING ? ENGLISH : 0, length);
}

static void copy_answer(const struct usb_stick *stick, uint8_t *out, uint32_t len)
{
	memcpy(out, stick->bot.page + USB_DATA_AT, len);
}

/* ---- to an address ---- */

static void ask_debounce(struct usb_stick *stick)
{
	ask(stick, USB_DO_WAIT, DEBOUNCE_NS);
}

static void take_debounce(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_PORT_RESET);
}

static void ask_port_reset(struct usb_stick *stick)
{
	ask(stick, USB_DO_RESET_PORT, RESET_NS);
}

/* [USB2] table "bMaxPacketSize0"; at full speed it is not known before it was asked for. */
static void take_port_reset(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	if (stick->speed == USB_LOW) {
		log_info("usb", "%s: a low-speed device, as keyboards and mice are: left alone",
			 stick->where);
		usb_stick_leave(stick);
		return;
	}
	stick->packet0 = stick->speed >= USB_SUPER ? 512 : stick->speed == USB_HIGH ? 64 : 8;
	usb_stick_go(stick, USB_RECOVER);
}

static void ask_recover(struct usb_stick *stick)
{
	ask(stick, USB_DO_WAIT, RECOVER_NS);
}

static void take_recover(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_ENABLE);
}

static void ask_enable(struct usb_stick *stick)
{
	ask(stick, USB_DO_ENABLE, 0);
}

static void take_enable(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_ADDRESS);
}

static void ask_address(struct usb_stick *stick)
{
	ask(stick, USB_DO_ADDRESS, 0);
}

static void take_address(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_SETTLE);
}

static void ask_settle(struct usb_stick *stick)
{
	ask(stick, USB_DO_WAIT, SETTLE_NS);
}

static void take_settle(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_PACKET0_ASK);
}

/* ---- descriptors ---- */

static void ask_packet0(struct usb_stick *stick)
{
	ask_descriptor(stick, USB_DESC_DEVICE, 0, 8);
}

static void take_packet0(struct usb_stick *stick, uint32_t moved)
{
	uint16_t packet0, before = stick->packet0;
	uint8_t bytes[8];

	copy_answer(stick, bytes, sizeof(bytes));
	if (moved < sizeof(bytes) || usb_packet0(bytes, stick->speed, &packet0) != HV_OK) {
		usb_stick_fail(stick);
		return;
	}
	stick->packet0 = packet0;
	usb_stick_go(stick, packet0 == before ? USB_DEVICE : USB_PACKET0_SET);
}

static void ask_packet0_set(struct usb_stick *stick)
{
	ask(stick, USB_DO_PACKET0, 0);
}

static void take_packet0_set(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_DEVICE);
}

static void ask_device(struct usb_stick *stick)
{
	ask_descriptor(stick, USB_DESC_DEVICE, 0, USB_DEVICE_BYTES);
}

static void take_device(struct usb_stick *stick, uint32_t moved)
{
	uint8_t bytes[USB_DEVICE_BYTES];
	struct usb_device_info device;

	copy_answer(stick, bytes, sizeof(bytes));
	if (usb_device_parse(bytes, MIN(moved, sizeof(bytes)), &device) != HV_OK) {
		usb_stick_fail(stick);
		return;
	}
	if (stick->was_live &&
	    (device.vendor != stick->device.vendor || device.product != stick->device.product)) {
		log_err("usb", "%s: another device answers there", stick->where);
		usb_stick_leave(stick);
		return;
	}
	stick->device = device;
	if (device.base_class == USB_CLASS_HUB) {
		log_info("usb", "%s: a hub, %04x:%04x: left alone with all behind it", stick->where,
			 device.vendor, device.product);
		usb_stick_leave(stick);
		return;
	}
	usb_stick_go(stick, USB_CONFIG_HEAD);
}

static void ask_config_head(struct usb_stick *stick)
{
	ask_descriptor(stick, USB_DESC_CONFIG, 0, USB_CONFIG_BYTES);
}

static void take_config_head(struct usb_stick *stick, uint32_t moved)
{
	uint8_t bytes[USB_CONFIG_BYTES];

	copy_answer(stick, bytes, sizeof(bytes));
	if (moved < sizeof(bytes) || bytes[1] != USB_DESC_CONFIG ||
	    get_le16(bytes + 2) < USB_CONFIG_BYTES) {
		usb_stick_fail(stick);
		return;
	}
	stick->config_bytes = (uint16_t)MIN(get_le16(bytes + 2), CONFIG_MOST);
	usb_stick_go(stick, USB_CONFIG);
}

static void ask_config(struct usb_stick *stick)
{
	ask_descriptor(stick, USB_DESC_CONFIG, 0, stick->config_bytes);
}

static void say_what_it_is(const struct usb_stick *stick)
{
	const struct usb_interface *is = &stick->interface;
	const char *what = is->base_class == CLASS_HID ? "keyboard, mouse or the like"
			   : is->base_class == USB_CLASS_MASS_STORAGE
				   ? "storage of another protocol"
				   : "device";

	log_info("usb", "%s: a %s, %04x:%04x, class %02x.%02x.%02x: left alone", stick->where, what,
		 stick->device.vendor, stick->device.product, is->base_class, is->subclass,
		 is->protocol);
}

static void take_config(struct usb_stick *stick, uint32_t moved)
{
	uint8_t bytes[CONFIG_MOST];
	enum hv_err err;

	copy_answer(stick, bytes, sizeof(bytes));
	err = usb_config_parse(bytes, MIN(moved, stick->config_bytes), stick->speed,
			       &stick->interface);
	if (err == HV_ENOTSUP) {
		say_what_it_is(stick);
		usb_stick_leave(stick);
	} else if (err != HV_OK) {
		usb_stick_fail(stick);
	} else {
		stick->bot.in = stick->interface.in.address;
		stick->bot.out = stick->interface.out.address;
		stick->bot.interface = stick->interface.number;
		stick->found = (struct usb_disk_info){0};
		usb_stick_go(stick, stick->device.serial ? USB_SERIAL : USB_ENDPOINTS);
	}
}

static void ask_serial(struct usb_stick *stick)
{
	ask_descriptor(stick, USB_DESC_STRING, stick->device.serial, STRING_BYTES);
}

static void take_serial(struct usb_stick *stick, uint32_t moved)
{
	uint8_t bytes[STRING_BYTES];

	copy_answer(stick, bytes, sizeof(bytes));
	usb_string_text(bytes, MIN(moved, sizeof(bytes)), stick->found.serial,
			sizeof(stick->found.serial));
	usb_stick_go(stick, USB_ENDPOINTS);
}

/* ---- to its endpoints ---- */

static void ask_endpoints(struct usb_stick *stick)
{
	ask(stick, USB_DO_ENDPOINTS, 0);
}

static void take_endpoints(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_SET_CONFIG);
}

static void ask_set_config(struct usb_stick *stick)
{
	ask_control(stick, STANDARD_OUT, SET_CONFIGURATION, stick->interface.config, 0, 0);
}

static void take_set_config(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_MAX_LUN);
}

static void ask_max_lun(struct usb_stick *stick)
{
	ask_control(stick, CLASS_IN, GET_MAX_LUN, 0, stick->interface.number, 1);
}

static void take_max_lun(struct usb_stick *stick, uint32_t moved)
{
	uint8_t max_lun;

	copy_answer(stick, &max_lun, 1);
	if (moved == 1 && max_lun > 0 && max_lun < 16 && !stick->was_live)
		log_info("usb", "%s: its logical units 1 to %u are left alone", stick->where,
			 max_lun);
	usb_stick_go(stick, USB_INQUIRY);
}

static void ask_wait_ready(struct usb_stick *stick)
{
	ask(stick, USB_DO_WAIT, DEBOUNCE_NS);
}

static void take_wait_ready(struct usb_stick *stick, uint32_t moved)
{
	(void)moved;
	usb_stick_go(stick, USB_READY);
}

const struct usb_stage_row usb_enum_rows[USB_STAGES] = {
	[USB_DEBOUNCE] = {ask_debounce, take_debounce},
	[USB_PORT_RESET] = {ask_port_reset, take_port_reset},
	[USB_RECOVER] = {ask_recover, take_recover},
	[USB_ENABLE] = {ask_enable, take_enable},
	[USB_ADDRESS] = {ask_address, take_address},
	[USB_SETTLE] = {ask_settle, take_settle},
	[USB_PACKET0_ASK] = {ask_packet0, take_packet0},
	[USB_PACKET0_SET] = {ask_packet0_set, take_packet0_set},
	[USB_DEVICE] = {ask_device, take_device},
	[USB_CONFIG_HEAD] = {ask_config_head, take_config_head},
	[USB_CONFIG] = {ask_config, take_config},
	[USB_SERIAL] = {ask_serial, take_serial},
	[USB_ENDPOINTS] = {ask_endpoints, take_endpoints},
	[USB_SET_CONFIG] = {ask_set_config, take_set_config},
	[USB_MAX_LUN] = {ask_max_lun, take_max_lun},
	[USB_WAIT_READY] = {ask_wait_ready, take_wait_ready},
};
