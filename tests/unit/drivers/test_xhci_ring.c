/* SPDX-License-Identifier: Apache-2.0 */
/* Rings against a simulated controller that reads them as the specification says, and events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/xhci_ring.h"

#define HPA 0x12340000ull

static struct xhci_ring ring;
static struct xhci_trb *trbs;

/* The controller's side. */
static uint32_t at;
static bool cycle;

static int make(void **state)
{
	(void)state;
	trbs = aligned_alloc(4096, XHCI_RING_BYTES);
	memset(trbs, 0xff, XHCI_RING_BYTES);
	xhci_ring_init(&ring, trbs, HPA);
	at = 0;
	cycle = true;
	return 0;
}

static int drop(void **state)
{
	(void)state;
	free(trbs);
	return 0;
}

static uint32_t type_of(const struct xhci_trb *trb)
{
	return (uint32_t)FIELD_GET(XHCI_TRB_TYPE, trb->control);
}

/* The next TRB that is the controller's, over links; NULL: none is. */
static const struct xhci_trb *next(void)
{
	while (at < XHCI_RING_TRBS && !!(trbs[at].control & XHCI_TRB_CYCLE) == cycle) {
		if (type_of(&trbs[at]) != XHCI_TRB_LINK)
			return &trbs[at++];
		assert_int_equal(trbs[at].parameter, HPA);
		assert_true(trbs[at].control & XHCI_TRB_TOGGLE);
		at = 0;
		cycle = !cycle;
	}
	assert_true(at < XHCI_RING_TRBS);
	return NULL;
}

static struct xhci_event event_of(const struct xhci_trb *trb, uint8_t code, uint32_t left)
{
	return (struct xhci_event){.kind = XHCI_EVENT_TRANSFER,
				   .trb = HPA + (uint64_t)(trb - trbs) * sizeof(*trb),
				   .code = code,
				   .left = left};
}

static void expect_end(const struct xhci_trb *trb, uint8_t code, uint32_t left, enum usb_end end,
		       uint32_t moved)
{
	struct xhci_event event = event_of(trb, code, left);
	uint32_t got_moved = 0;
	enum usb_end got;

	assert_true(xhci_ring_ended(&ring, &event, &got, &got_moved));
	assert_int_equal(got, end);
	assert_int_equal(got_moved, moved);
	assert_false(xhci_ring_ended(&ring, &event, &got, &got_moved)); /* not twice */
}

static void expect_none(const struct xhci_trb *trb, uint8_t code, uint32_t left)
{
	struct xhci_event event = event_of(trb, code, left);
	uint32_t moved;
	enum usb_end end;

	assert_false(xhci_ring_ended(&ring, &event, &end, &moved));
}

/* ---- control ---- */

static void reads_by_control(void **state)
{
	struct usb_setup setup = {0x80, 6, 0x0100, 0, 18};
	const struct xhci_trb *trb;

	(void)state;
	xhci_ring_control(&ring, &setup, 0xabc000);
	trb = next();
	assert_int_equal(type_of(trb), XHCI_TRB_SETUP);
	assert_int_equal(trb->parameter, 0x0012000001000680ull);
	assert_int_equal(trb->status, 8);
	assert_true(trb->control & XHCI_TRB_IDT);
	assert_int_equal(FIELD_GET(XHCI_TRB_TRT, trb->control), 3);
	trb = next();
	assert_int_equal(type_of(trb), XHCI_TRB_DATA);
	assert_int_equal(trb->parameter, 0xabc000);
	assert_int_equal(trb->status, 18);
	assert_true(trb->control & XHCI_TRB_IN);
	expect_none(trb, XHCI_CC_SHORT, 10);
	trb = next();
	assert_int_equal(type_of(trb), XHCI_TRB_STATUS);
	assert_false(trb->control & XHCI_TRB_IN);
	assert_true(trb->control & XHCI_TRB_IOC);
	assert_null(next());
	expect_end(trb, XHCI_CC_SUCCESS, 0, USB_OK, 8);
}

static void sets_by_control(void **state)
{
	struct usb_setup setup = {0x00, 9, 1, 0, 0};
	const struct xhci_trb *trb;

	(void)state;
	xhci_ring_control(&ring, &setup, 0);
	trb = next();
	assert_int_equal(FIELD_GET(XHCI_TRB_TRT, trb->control), 0);
	trb = next();
	assert_int_equal(type_of(trb), XHCI_TRB_STATUS);
	assert_true(trb->control & XHCI_TRB_IN);
	assert_null(next());
	expect_end(trb, XHCI_CC_STALL, 0, USB_STALLED, 0);
}

/* ---- bulk ---- */

static void parts_at_64_kib(void **state)
{
	struct block_seg segs[] = {{0xfffe00, 1024}, {0x2000000, 65536}, {0x3000001, 65535}};
	static const struct {
		uint64_t hpa;
		uint32_t len;
	} wanted[] = {{0xfffe00, 512}, {0x1000000, 512}, {0x2000000, 65536}, {0x3000001, 65535}};
	uint32_t left = 1024 + 65536 + 65535;

	(void)state;
	xhci_ring_bulk(&ring, segs, 3, 512, true);
	for (uint32_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const struct xhci_trb *trb = next();

		assert_non_null(trb);
		left -= wanted[i].len;
		assert_int_equal(trb->parameter, wanted[i].hpa);
		assert_int_equal(trb->status & XHCI_TRB_LENGTH, wanted[i].len);
		assert_int_equal(FIELD_GET(XHCI_TRB_TD_SIZE, trb->status),
				 MIN((left + 511) / 512, 31u));
		assert_int_equal(!!(trb->control & XHCI_TRB_CHAIN), left > 0);
		assert_int_equal(!!(trb->control & XHCI_TRB_IOC), left == 0);
	}
	assert_null(next());
	expect_none(&trbs[2], XHCI_CC_SUCCESS, 0);
	expect_end(&trbs[3], XHCI_CC_SUCCESS, 0, USB_OK, 1024 + 65536 + 65535);
}

static void counts_what_was_moved_before_the_end(void **state)
{
	struct block_seg segs[] = {{0x1000, 512}, {0x5000, 512}, {0x9000, 512}};

	(void)state;
	xhci_ring_bulk(&ring, segs, 3, 512, true);
	expect_end(&trbs[1], XHCI_CC_SHORT, 500, USB_OK, 524);
	xhci_ring_bulk(&ring, segs, 3, 512, true);
	expect_none(&trbs[2], XHCI_CC_SHORT, 512); /* of the last one, which is over */
	expect_end(&trbs[3], XHCI_CC_STALL, 512, USB_STALLED, 0);
	xhci_ring_bulk(&ring, segs, 3, 512, false);
	expect_end(&trbs[7], 4, 100000, USB_FAILED, 512); /* more left than there was */
}

static void takes_events_of_its_own_only(void **state)
{
	struct block_seg seg = {0x1000, 512};
	struct xhci_event event;
	uint32_t moved;
	enum usb_end end;

	(void)state;
	xhci_ring_bulk(&ring, &seg, 1, 512, true);
	event = event_of(&trbs[0], XHCI_CC_SUCCESS, 0);
	event.trb += 8;
	assert_false(xhci_ring_ended(&ring, &event, &end, &moved));
	event.trb = HPA - 16;
	assert_false(xhci_ring_ended(&ring, &event, &end, &moved));
	event.trb = HPA + XHCI_RING_BYTES;
	assert_false(xhci_ring_ended(&ring, &event, &end, &moved));
	event.trb = 0;
	assert_false(xhci_ring_ended(&ring, &event, &end, &moved));
	expect_none(&trbs[1], XHCI_CC_SUCCESS, 0);
	xhci_ring_forget(&ring);
	expect_none(&trbs[0], XHCI_CC_SUCCESS, 0);
}

static void goes_round_with_transfers_of_any_length(void **state)
{
	struct block_seg segs[64];
	uint32_t nr = 1;

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		segs[i] = (struct block_seg){0x10000ull * i + 0xff00, 512}; /* two pieces each */
	for (uint32_t round = 0; round < 500; round++) {
		uint32_t count = 0;
		const struct xhci_trb *trb, *last = NULL;

		nr = nr * 7 % 64 + 1;
		xhci_ring_bulk(&ring, segs, nr, 512, false);
		while ((trb = next()) != NULL) {
			last = trb;
			assert_int_equal(type_of(trb), XHCI_TRB_NORMAL);
			count++;
		}
		assert_int_equal(count, 2 * nr);
		expect_end(last, XHCI_CC_SUCCESS, 0, USB_OK, nr * 512);
		assert_int_equal(xhci_ring_dequeue(&ring) & ~1ull, HPA + at * 16);
		assert_int_equal(xhci_ring_dequeue(&ring) & 1, cycle);
	}
}

static void goes_round_with_commands(void **state)
{
	struct xhci_trb command = {.parameter = 0x77,
				   .control =
					   (uint32_t)FIELD_PREP(XHCI_TRB_TYPE, XHCI_TRB_ADDRESS)};

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t hpa = xhci_ring_command(&ring, &command);
		const struct xhci_trb *trb = next();

		assert_non_null(trb);
		assert_int_equal(hpa, HPA + (uint64_t)(trb - trbs) * 16);
		assert_int_equal(trb->parameter, 0x77);
		assert_null(next());
	}
}

/* ---- events ---- */

static void reads_events_over_many_laps(void **state)
{
	struct xhci_events events;
	struct xhci_event event;
	bool phase = true;

	(void)state;
	xhci_events_init(&events, trbs, HPA);
	assert_false(xhci_events_next(&events, &event));
	for (uint32_t i = 0; i < 1000; i++) {
		struct xhci_trb *trb = &trbs[i % XHCI_RING_TRBS];

		trb->parameter = 0x500 + i;
		trb->status = XHCI_CC_SHORT << 24 | 0x123456;
		trb->control = 7u << 24 | 5u << 16 | XHCI_TRB_TRANSFER_EVENT << 10 | phase;
		assert_true(xhci_events_next(&events, &event));
		assert_int_equal(event.kind, XHCI_EVENT_TRANSFER);
		assert_int_equal(event.trb, 0x500 + i);
		assert_int_equal(event.left, 0x123456);
		assert_int_equal(event.code, XHCI_CC_SHORT);
		assert_int_equal(event.slot, 7);
		assert_int_equal(event.endpoint, 5);
		assert_false(xhci_events_next(&events, &event));
		assert_int_equal(xhci_events_dequeue(&events), HPA + (i + 1) % XHCI_RING_TRBS * 16);
		if ((i + 1) % XHCI_RING_TRBS == 0)
			phase = !phase;
	}
}

static void knows_the_kinds_of_events(void **state)
{
	static const struct {
		uint32_t type;
		enum xhci_event_kind kind;
	} rows[] = {{XHCI_TRB_COMMAND_EVENT, XHCI_EVENT_COMMAND},
		    {XHCI_TRB_PORT_EVENT, XHCI_EVENT_PORT},
		    {XHCI_TRB_HOST_EVENT, XHCI_EVENT_OTHER},
		    {0, XHCI_EVENT_OTHER},
		    {63, XHCI_EVENT_OTHER}};
	struct xhci_events events;
	struct xhci_event event;

	(void)state;
	xhci_events_init(&events, trbs, HPA);
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		trbs[i].parameter = 9u << 24;
		trbs[i].control = rows[i].type << 10 | 1;
		assert_true(xhci_events_next(&events, &event));
		assert_int_equal(event.kind, rows[i].kind);
		assert_int_equal(event.port, 9);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_by_control),
		TEST(sets_by_control),
		TEST(parts_at_64_kib),
		TEST(counts_what_was_moved_before_the_end),
		TEST(takes_events_of_its_own_only),
		TEST(goes_round_with_transfers_of_any_length),
		TEST(goes_round_with_commands),
		TEST(reads_events_over_many_laps),
		TEST(knows_the_kinds_of_events),
	};

	return cmocka_run_group_tests_name("xhci_ring", tests, NULL, NULL);
}
