/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a USB device says of itself: descriptors, in which every length may be wrong. Pure.
 *
 * Source: [USB2] "Standard USB Descriptor Definitions", [USB3] "Standard USB Descriptor
 * Definitions", [USBMSC] "Interface Descriptor".
 */
#ifndef DRIVERS_USB_DESC_H
#define DRIVERS_USB_DESC_H

#include "drivers/usb.h"
#include "kernel/lib/err.h"

#define USB_DEVICE_BYTES 18u
#define USB_CONFIG_BYTES 9u

/* [USB2] "Descriptor Types" */
#define USB_DESC_DEVICE	       1u
#define USB_DESC_CONFIG	       2u
#define USB_DESC_STRING	       3u
#define USB_DESC_INTERFACE     4u
#define USB_DESC_ENDPOINT      5u
#define USB_DESC_SS_COMPANION  48u
#define USB_CLASS_HUB	       9u
#define USB_CLASS_MASS_STORAGE 8u

struct usb_device_info {
	uint16_t vendor, product;
	uint8_t base_class; /* 0: its interfaces say */
	uint8_t serial;	    /* number of a string; 0: none */
};

struct usb_endpoint {
	uint8_t address, max_burst;
	uint16_t max_packet;
};

struct usb_interface {
	uint8_t config, number;
	uint8_t base_class, subclass, protocol; /* of the first one, where none is fit for us */
	struct usb_endpoint in, out;
};

/*
 * usb_packet0 - the largest packet of endpoint 0, from the first 8 bytes of a device descriptor
 *
 * Errors:  HV_EPROTO - a size that this speed does not have.
 */
MUST_CHECK enum hv_err usb_packet0(const uint8_t bytes[8], enum usb_speed speed, uint16_t *out);

/* usb_device_parse - HV_EPROTO: it is no device descriptor */
MUST_CHECK enum hv_err usb_device_parse(const uint8_t *bytes, size_t len,
					struct usb_device_info *out);

/*
 * usb_config_parse - the interface of a configuration that is mass storage, SCSI, bulk-only
 *
 * len      bytes that came; what the descriptor claims beyond is not there
 * Errors:  HV_ENOTSUP - there is none, and out names the class of the first interface instead;
 *          HV_EPROTO - the descriptors contradict themselves.
 */
MUST_CHECK enum hv_err usb_config_parse(const uint8_t *bytes, size_t len, enum usb_speed speed,
					struct usb_interface *out);

/* usb_string_text - of a string descriptor what is ASCII, the rest as '?'; always ended */
void usb_string_text(const uint8_t *bytes, size_t len, char *out, size_t cap);

#endif
