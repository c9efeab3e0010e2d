/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities of controllers, real ones and broken ones; and the contexts made for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/xhci_caps.h"
#include "drivers/xhci_context.h"

#define BAR_BYTES 0x4000u

static uint32_t bar[BAR_BYTES / 4];
static struct xhci_caps caps;

static uint32_t read_bar(void *arg, uint32_t offset)
{
	(void)arg;
	assert_true(offset % 4 == 0 && offset < BAR_BYTES);
	return bar[offset / 4];
}

static enum hv_err read_caps(void)
{
	struct xhci_access access = {.read = read_bar, .len_bytes = BAR_BYTES};

	return xhci_caps_read(&access, &caps);
}

/* Eight ports, four of each protocol, as QEMU's; and a legacy capability between them. */
static int make(void **state)
{
	(void)state;
	memset(bar, 0, sizeof(bar));
	bar[0] = 0x01000040;
	bar[1] = 0x08001040;
	bar[2] = 0x20c0000f; /* 4 scratchpads below, and 6 times 32 */
	bar[4] = 0x00080001 | XHCI_HCCPARAMS1_CSZ;
	bar[5] = 0x2000;
	bar[6] = 0x1000;
	bar[8] = 0x02000402;
	bar[9] = 0x20425355;
	bar[10] = 0x00000405;
	bar[11] = 0;
	bar[12] = 0x03000402;
	bar[14] = 0x00000401;
	bar[15] = 3; /* slot type */
	bar[16] = 0x00010001;
	return 0;
}

static void reads_what_a_controller_has(void **state)
{
	(void)state;
	assert_int_equal(read_caps(), HV_OK);
	assert_int_equal(caps.version, 0x100);
	assert_int_equal(caps.nr_slots, 0x40);
	assert_int_equal(caps.nr_ports, 8);
	assert_int_equal(caps.nr_scratch, 6 * 32 + 4);
	assert_int_equal(caps.context_bytes, 64);
	assert_true(caps.has_64bit);
	assert_int_equal(caps.legacy, 0x40);
	assert_int_equal(caps.operational, 0x40);
	assert_int_equal(caps.ports[1].major, 3);
	assert_int_equal(caps.ports[4].major, 3);
	assert_int_equal(caps.ports[4].slot_type, 3);
	assert_int_equal(caps.ports[5].major, 2);
	assert_int_equal(caps.ports[8].major, 2);
	assert_int_equal(caps.ports[8].speeds[3], USB_HIGH);
	assert_int_equal(caps.ports[8].speeds[4], 0);
	assert_int_equal(caps.ports[1].speeds[4], USB_SUPER);
	assert_int_equal(caps.ports[1].speeds[5], USB_SUPER);
	assert_int_equal(caps.ports[1].speeds[3], 0);
}

static void knows_speeds_that_are_listed(void **state)
{
	(void)state;
	bar[8] = 0x02000802; /* eight words long */
	bar[10] = 0x20000405;
	bar[12] = 0x01e00027; /* ID 7: 480 Mbit/s */
	bar[13] = 0x000c0021; /* ID 1: 12 Mbit/s */
	bar[16] = 0x03000002;
	bar[18] = 0x00000401;
	assert_int_equal(read_caps(), HV_OK);
	assert_int_equal(caps.ports[5].speeds[7], USB_HIGH);
	assert_int_equal(caps.ports[5].speeds[1], USB_FULL);
	assert_int_equal(caps.ports[1].major, 3);
}

static void leaves_ports_that_are_not_there(void **state)
{
	(void)state;
	bar[10] = 0x0000ff05;
	bar[14] = 0x00000400;
	assert_int_equal(read_caps(), HV_OK);
	assert_int_equal(caps.ports[8].major, 2);
	assert_int_equal(caps.ports[9].major, 0);
	assert_int_equal(caps.ports[1].major, 0);
}

static void refuses_registers_outside_of_its_bar(void **state)
{
	(void)state;
	bar[5] = BAR_BYTES - 0x80;
	assert_int_equal(read_caps(), HV_EPROTO);
	bar[5] = 0x2000;
	bar[6] = BAR_BYTES;
	assert_int_equal(read_caps(), HV_EPROTO);
	bar[6] = 0x1000;
	bar[0] = 0x01000010;
	assert_int_equal(read_caps(), HV_EPROTO);
	bar[0] = 0x01000040;
	bar[1] = 0x00001040;
	assert_int_equal(read_caps(), HV_EPROTO);
	bar[1] = 0x08001000;
	assert_int_equal(read_caps(), HV_EPROTO);
	bar[0] = 0x00900040;
	assert_int_equal(read_caps(), HV_ENOTSUP);
	memset(bar, 0xff, sizeof(bar));
	assert_int_equal(read_caps(), HV_EIO);
}

static void ends_with_any_chain_of_capabilities(void **state)
{
	(void)state;
	bar[4] = 0xffff0001; /* behind the end */
	assert_int_equal(read_caps(), HV_OK);
	bar[4] = 0x00080001;
	for (uint32_t i = 8; i < ARRAY_SIZE(bar); i++)
		bar[i] = 0x02000102; /* a protocol in each word */
	bar[5] = 0x2000;
	bar[6] = 0x1000;
	assert_int_equal(read_caps(), HV_OK);
	for (uint32_t i = 8; i < ARRAY_SIZE(bar); i++)
		bar[i] = 0xffffffff;
	assert_int_equal(read_caps(), HV_OK);
	assert_int_equal(caps.legacy, 0);
}

/* ---- contexts ---- */

static uint32_t input[XHCI_CONTEXTS_BYTES / 4];

static struct xhci_contexts contexts(uint32_t bytes)
{
	memset(input, 0xff, sizeof(input));
	return (struct xhci_contexts){.input = input, .bytes = bytes, .port = 5, .speed = USB_HIGH};
}

static void makes_contexts_of_either_size(void **state)
{
	(void)state;
	for (uint32_t bytes = 32; bytes <= 64; bytes += 32) {
		struct xhci_contexts to = contexts(bytes);
		const uint32_t *slot = input + bytes / 4, *endpoint = input + 2 * bytes / 4;

		xhci_context_address(&to, 64, 0x123456781ull);
		assert_int_equal(input[0], 0);
		assert_int_equal(input[1], 3);
		assert_int_equal(slot[0], 1u << 27 | 3u << 20);
		assert_int_equal(slot[1], 5u << 16);
		assert_int_equal(endpoint[1], 64u << 16 | 4u << 3 | 3u << 1);
		assert_int_equal(endpoint[2], 0x23456781);
		assert_int_equal(endpoint[3], 1);
		assert_int_equal(endpoint[4], 8);
		for (uint32_t i = 5; i < bytes / 4; i++)
			assert_int_equal(endpoint[i], 0);
	}
}

static void makes_bulk_endpoints(void **state)
{
	struct usb_interface is = {.in = {0x81, 15, 1024}, .out = {0x02, 7, 1024}};
	struct xhci_contexts to = contexts(32);
	const uint32_t *in = input + 4 * 8, *out = input + 5 * 8;

	(void)state;
	xhci_context_configure(&to, &is, 0x1001, 0x2001, false);
	assert_int_equal(input[0], 0);
	assert_int_equal(input[1], 1u << 0 | 1u << 3 | 1u << 4);
	assert_int_equal(FIELD_GET(0xf8000000u, input[8]), 4);
	assert_int_equal(in[1], 1024u << 16 | 15u << 8 | 6u << 3 | 3u << 1);
	assert_int_equal(in[2], 0x1001);
	assert_int_equal(out[1], 1024u << 16 | 7u << 8 | 2u << 3 | 3u << 1);
	assert_int_equal(out[2], 0x2001);
	xhci_context_configure(&to, &is, 0x1001, 0x2001, true);
	assert_int_equal(input[0], 1u << 3 | 1u << 4);
	assert_int_equal(xhci_endpoint_id(0), 1);
	assert_int_equal(xhci_endpoint_id(0x8f), 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_what_a_controller_has, make),
		cmocka_unit_test_setup(knows_speeds_that_are_listed, make),
		cmocka_unit_test_setup(leaves_ports_that_are_not_there, make),
		cmocka_unit_test_setup(refuses_registers_outside_of_its_bar, make),
		cmocka_unit_test_setup(ends_with_any_chain_of_capabilities, make),
		cmocka_unit_test(makes_contexts_of_either_size),
		cmocka_unit_test(makes_bulk_endpoints),
	};

	return cmocka_run_group_tests_name("xhci_caps", tests, NULL, NULL);
}
