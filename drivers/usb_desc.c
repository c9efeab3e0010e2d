/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration is a row of descriptors, each with its length in front. An endpoint belongs to
 * the interface before it, and its companion, which only faster devices have, to the endpoint.
 */
#include "drivers/usb_desc.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"

#define INTERFACE_BYTES	    9u
#define ENDPOINT_BYTES	    7u
#define COMPANION_BYTES	    6u
#define ENDPOINT_NUMBER	    0x0fu
#define ENDPOINT_TYPE	    0x03u
#define ENDPOINT_BULK	    2u
#define MAX_PACKET	    0x07ffu
#define MAX_BURST	    15u
#define SUBCLASS_SCSI	    6u	  /* [USBMSC] "SCSI transparent command set" */
#define PROTOCOL_BULK_ONLY  0x50u /* [USBMSC] "USB Mass Storage Class Bulk-Only Transport" */
#define SUPER_PACKET0_SHIFT 9u	  /* [USB3]: an exponent, and always this one */

enum hv_err usb_packet0(const uint8_t bytes[8], enum usb_speed speed, uint16_t *out)
{
	uint8_t said = bytes[7];
	bool is_good;

	if (bytes[1] != USB_DESC_DEVICE)
		return HV_EPROTO;
	if (speed >= USB_SUPER)
		is_good = said == SUPER_PACKET0_SHIFT;
	else if (speed == USB_HIGH)
		is_good = said == 64;
	else
		is_good = said == 8 || said == 16 || said == 32 || said == 64;
	if (!is_good)
		return HV_EPROTO;
	*out = (uint16_t)(speed >= USB_SUPER ? 1u << said : said);
	return HV_OK;
}

enum hv_err usb_device_parse(const uint8_t *bytes, size_t len, struct usb_device_info *out)
{
	if (len < USB_DEVICE_BYTES || bytes[0] < USB_DEVICE_BYTES || bytes[1] != USB_DESC_DEVICE)
		return HV_EPROTO;
	*out = (struct usb_device_info){.base_class = bytes[4],
					.vendor = get_le16(bytes + 8),
					.product = get_le16(bytes + 10),
					.serial = bytes[16]};
	return HV_OK;
}

/* [USB2] "Bulk Transfer Packet Size Constraints" and the same of [USB3] */
static bool is_bulk_packet(uint16_t bytes, enum usb_speed speed)
{
	if (speed >= USB_SUPER)
		return bytes == 1024;
	if (speed == USB_HIGH)
		return bytes == 512;
	return bytes == 8 || bytes == 16 || bytes == 32 || bytes == 64;
}

/* Where the walk is. */
struct walk {
	enum usb_speed speed;
	struct usb_interface *out;
	bool is_ours;		       /* the interface that endpoints now belong to */
	bool has_named, is_bad;	       /* a class for the log is there; a descriptor is wrong */
	struct usb_endpoint *endpoint; /* what a companion belongs to; NULL: nothing of ours */
};

static bool is_complete(const struct usb_interface *out)
{
	return out->in.address && out->out.address;
}

/* The first one that is fit, and only in its first setting, which needs not be chosen. */
static void take_interface(struct walk *walk, const uint8_t *at, uint8_t len)
{
	struct usb_interface *out = walk->out;

	walk->endpoint = NULL;
	walk->is_ours = false;
	if (len < INTERFACE_BYTES || is_complete(out))
		return;
	if (!walk->has_named) {
		out->base_class = at[5];
		out->subclass = at[6];
		out->protocol = at[7];
		walk->has_named = true;
	}
	if (at[3] != 0 || at[5] != USB_CLASS_MASS_STORAGE || at[6] != SUBCLASS_SCSI ||
	    at[7] != PROTOCOL_BULK_ONLY)
		return;
	walk->is_ours = true;
	out->number = at[2];
	out->base_class = at[5];
	out->subclass = at[6];
	out->protocol = at[7];
	out->in = out->out = (struct usb_endpoint){0};
}

static void take_endpoint(struct walk *walk, const uint8_t *at, uint8_t len)
{
	struct usb_endpoint *endpoint;

	walk->endpoint = NULL;
	if (!walk->is_ours || len < ENDPOINT_BYTES || (at[3] & ENDPOINT_TYPE) != ENDPOINT_BULK)
		return;
	endpoint = at[2] & USB_IN ? &walk->out->in : &walk->out->out;
	if (endpoint->address)
		return;
	*endpoint = (struct usb_endpoint){.address = at[2] & (USB_IN | ENDPOINT_NUMBER),
					  .max_packet = get_le16(at + 4) & MAX_PACKET};
	walk->is_bad |= (endpoint->address & ENDPOINT_NUMBER) == 0 ||
			!is_bulk_packet(endpoint->max_packet, walk->speed);
	walk->endpoint = endpoint;
}

static void take_companion(struct walk *walk, const uint8_t *at, uint8_t len)
{
	if (!walk->endpoint || len < COMPANION_BYTES || walk->speed < USB_SUPER)
		return;
	walk->endpoint->max_burst = at[2];
	walk->is_bad |= at[2] > MAX_BURST;
	walk->endpoint = NULL;
}

enum hv_err usb_config_parse(const uint8_t *bytes, size_t len, enum usb_speed speed,
			     struct usb_interface *out)
{
	struct walk walk = {.speed = speed, .out = out};

	*out = (struct usb_interface){0};
	if (len < USB_CONFIG_BYTES || bytes[0] < USB_CONFIG_BYTES || bytes[1] != USB_DESC_CONFIG)
		return HV_EPROTO;
	len = MIN(len, get_le16(bytes + 2));
	out->config = bytes[5];
	for (size_t at = 0; at + 2 <= len; at += bytes[at]) {
		uint8_t piece = bytes[at];

		if (piece < 2 || piece > len - at)
			return HV_EPROTO;
		if (bytes[at + 1] == USB_DESC_INTERFACE)
			take_interface(&walk, bytes + at, piece);
		else if (bytes[at + 1] == USB_DESC_ENDPOINT)
			take_endpoint(&walk, bytes + at, piece);
		else if (bytes[at + 1] == USB_DESC_SS_COMPANION)
			take_companion(&walk, bytes + at, piece);
	}
	if (walk.is_bad)
		return HV_EPROTO;
	return is_complete(out) ? HV_OK : HV_ENOTSUP;
}

void usb_string_text(const uint8_t *bytes, size_t len, char *out, size_t cap)
{
	size_t at = 0;

	ASSERT(cap > 0);
	if (len >= 2 && bytes[1] == USB_DESC_STRING)
		len = MIN(len, bytes[0]);
	else
		len = 0;
	for (size_t i = 2; i + 2 <= len && at + 1 < cap; i += 2) {
		uint16_t unit = get_le16(bytes + i);

		out[at++] = (char)(unit >= ' ' && unit <= '~' ? unit : '?');
	}
	out[at] = 0;
}
