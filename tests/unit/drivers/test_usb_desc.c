/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors as sticks have them, and as none should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/usb_desc.h"

static const uint8_t device[] = {18,   1, 0x00, 0x03, 0,    0, 0, 9, 0xf4,
				 0x46, 1, 0x00, 0x00, 0x01, 1, 2, 3, 1};

/* As one that also speaks UAS has it: bulk-only first, and the same interface in another setting.
 */
static const uint8_t super[] = {
	9, 2, 85,   0, 1,    1, 0, 0xc0, 2,				 /* configuration */
	9, 4, 0,    0, 2,    8, 6, 0x50, 0,				 /* bulk-only */
	7, 5, 0x81, 2, 0x00, 4, 0, 6,	 48, 15, 0, 0, 0,		 /* in */
	7, 5, 0x02, 2, 0x00, 4, 0, 6,	 48, 7,	 0, 0, 0,		 /* out */
	9, 4, 0,    1, 2,    8, 6, 0x62, 0,				 /* UAS */
	7, 5, 0x83, 2, 0x00, 4, 0, 6,	 48, 15, 0, 0, 0, 4, 0x24, 1, 0, /* in */
	7, 5, 0x04, 2, 0x00, 4, 0,					 /* out */
};

static const uint8_t high[] = {
	9,    2, 32, 0, 1,    1, 0, 0x80, 50, 9, 4, 0,	  0, 2, 8, 6,
	0x50, 0, 7,  5, 0x02, 2, 0, 2,	  0,  7, 5, 0x81, 2, 0, 2, 0,
};

static const uint8_t keyboard[] = {
	9, 2, 34,   0,	  1, 1, 0, 0xa0, 50, 9, 4, 0, 0,    1, 3, 1, 1,
	0, 9, 0x21, 0x11, 1, 0, 1, 0x22, 63, 0, 7, 5, 0x81, 3, 8, 0, 7,
};

/* From memory that is exactly as long, for the address sanitizer. */
static enum hv_err parse(const uint8_t *from, size_t len, enum usb_speed speed,
			 struct usb_interface *out)
{
	uint8_t *bytes = malloc(len ? len : 1);
	enum hv_err err;

	memcpy(bytes, from, len);
	err = usb_config_parse(bytes, len, speed, out);
	free(bytes);
	return err;
}

static void finds_the_bulk_only_interface(void **state)
{
	struct usb_interface is;

	(void)state;
	assert_int_equal(parse(super, sizeof(super), USB_SUPER, &is), HV_OK);
	assert_int_equal(is.config, 1);
	assert_int_equal(is.in.address, 0x81);
	assert_int_equal(is.in.max_packet, 1024);
	assert_int_equal(is.in.max_burst, 15);
	assert_int_equal(is.out.address, 0x02);
	assert_int_equal(is.out.max_burst, 7);
	assert_int_equal(parse(high, sizeof(high), USB_HIGH, &is), HV_OK);
	assert_int_equal(is.in.address, 0x81);
	assert_int_equal(is.out.max_packet, 512);
	assert_int_equal(is.out.max_burst, 0);
}

static void names_what_has_none(void **state)
{
	struct usb_interface is;

	(void)state;
	assert_int_equal(parse(keyboard, sizeof(keyboard), USB_FULL, &is), HV_ENOTSUP);
	assert_int_equal(is.base_class, 3);
	assert_int_equal(is.subclass, 1);
	assert_int_equal(is.protocol, 1);
}

static void refuses_packets_that_the_speed_does_not_have(void **state)
{
	struct usb_interface is;

	(void)state;
	assert_int_equal(parse(super, sizeof(super), USB_HIGH, &is), HV_EPROTO);
	assert_int_equal(parse(high, sizeof(high), USB_FULL, &is), HV_EPROTO);
	assert_int_equal(parse(high, sizeof(high), USB_SUPER, &is), HV_EPROTO);
}

static void reads_nothing_behind_the_end(void **state)
{
	struct usb_interface is;

	(void)state;
	for (size_t len = 0; len < sizeof(high); len++)
		assert_int_not_equal(parse(high, len, USB_HIGH, &is), HV_OK);
	for (size_t len = 0; len < sizeof(super); len++)
		(void)parse(super, len, USB_SUPER, &is);
}

static void refuses_lengths_that_lead_nowhere(void **state)
{
	struct usb_interface is;
	uint8_t bytes[sizeof(high)];

	(void)state;
	memcpy(bytes, high, sizeof(bytes));
	bytes[9] = 0;
	assert_int_equal(parse(bytes, sizeof(bytes), USB_HIGH, &is), HV_EPROTO);
	bytes[9] = 1;
	assert_int_equal(parse(bytes, sizeof(bytes), USB_HIGH, &is), HV_EPROTO);
	bytes[9] = 200;
	assert_int_equal(parse(bytes, sizeof(bytes), USB_HIGH, &is), HV_EPROTO);
	bytes[9] = 9;
	bytes[20] = 0x80; /* endpoint 0 has no descriptor */
	assert_int_equal(parse(bytes, sizeof(bytes), USB_HIGH, &is), HV_EPROTO);
	bytes[20] = 0x02;
	bytes[1] = 1;
	assert_int_equal(parse(bytes, sizeof(bytes), USB_HIGH, &is), HV_EPROTO);
}

static void takes_no_other_setting_than_the_first(void **state)
{
	struct usb_interface is;
	uint8_t bytes[sizeof(high)];

	(void)state;
	memcpy(bytes, high, sizeof(bytes));
	bytes[12] = 1;
	assert_int_equal(parse(bytes, sizeof(bytes), USB_HIGH, &is), HV_ENOTSUP);
	assert_int_equal(is.base_class, USB_CLASS_MASS_STORAGE);
}

static void reads_a_device_descriptor(void **state)
{
	struct usb_device_info info;

	(void)state;
	assert_int_equal(usb_device_parse(device, sizeof(device), &info), HV_OK);
	assert_int_equal(info.vendor, 0x46f4);
	assert_int_equal(info.product, 1);
	assert_int_equal(info.serial, 3);
	assert_int_equal(usb_device_parse(device, 17, &info), HV_EPROTO);
	assert_int_equal(usb_device_parse(super, sizeof(super), &info), HV_EPROTO);
}

static void knows_the_packets_of_endpoint_0(void **state)
{
	uint8_t bytes[8];
	uint16_t packet0 = 0;

	(void)state;
	memcpy(bytes, device, sizeof(bytes));
	assert_int_equal(usb_packet0(bytes, USB_SUPER, &packet0), HV_OK);
	assert_int_equal(packet0, 512);
	assert_int_equal(usb_packet0(bytes, USB_HIGH, &packet0), HV_EPROTO);
	bytes[7] = 64;
	assert_int_equal(usb_packet0(bytes, USB_HIGH, &packet0), HV_OK);
	assert_int_equal(packet0, 64);
	assert_int_equal(usb_packet0(bytes, USB_SUPER, &packet0), HV_EPROTO);
	bytes[7] = 32;
	assert_int_equal(usb_packet0(bytes, USB_FULL, &packet0), HV_OK);
	bytes[7] = 0;
	assert_int_equal(usb_packet0(bytes, USB_FULL, &packet0), HV_EPROTO);
}

static void makes_text_of_strings(void **state)
{
	static const uint8_t string[] = {10, 3, 'A', 0, 0x42, 0x30, '7', 0, 0x07, 0};
	char text[8];

	(void)state;
	usb_string_text(string, sizeof(string), text, sizeof(text));
	assert_string_equal(text, "A?7?");
	usb_string_text(string, 5, text, sizeof(text));
	assert_string_equal(text, "A");
	usb_string_text(string, sizeof(string), text, 3);
	assert_string_equal(text, "A?");
	usb_string_text(string, 0, text, sizeof(text));
	assert_string_equal(text, "");
	usb_string_text(device, sizeof(device), text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_bulk_only_interface),
		cmocka_unit_test(names_what_has_none),
		cmocka_unit_test(refuses_packets_that_the_speed_does_not_have),
		cmocka_unit_test(reads_nothing_behind_the_end),
		cmocka_unit_test(refuses_lengths_that_lead_nowhere),
		cmocka_unit_test(takes_no_other_setting_than_the_first),
		cmocka_unit_test(reads_a_device_descriptor),
		cmocka_unit_test(knows_the_packets_of_endpoint_0),
		cmocka_unit_test(makes_text_of_strings),
	};

	return cmocka_run_group_tests_name("usb_desc", tests, NULL, NULL);
}
