/* SPDX-License-Identifier: Apache-2.0 */
/* The rings, with the test in the card's place: filling descriptors, and lying in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/e1000_ring.h"

#define BUS 0x7f000000ull

static struct e1000_rx_ring rx;
static struct e1000_tx_ring tx;
static struct e1000_rx_desc *rx_descs;
static struct e1000_tx_desc *tx_descs;
static uint8_t *rx_buffers, *tx_buffers;

static int make_rings(void **state)
{
	(void)state;
	rx_descs = calloc(E1000_RING_ENTRIES, sizeof(*rx_descs));
	tx_descs = calloc(E1000_RING_ENTRIES, sizeof(*tx_descs));
	rx_buffers = calloc(1, E1000_BUFFERS_BYTES);
	tx_buffers = calloc(1, E1000_BUFFERS_BYTES);
	e1000_rx_init(&rx, rx_descs, rx_buffers, BUS);
	e1000_tx_init(&tx, tx_descs, tx_buffers, BUS);
	return 0;
}

static int free_rings(void **state)
{
	(void)state;
	free(rx_descs);
	free(tx_descs);
	free(rx_buffers);
	free(tx_buffers);
	return 0;
}

static void fill(uint32_t index, uint16_t len, uint8_t status, uint8_t errors)
{
	rx_descs[index].len_bytes = len;
	rx_descs[index].errors = errors;
	rx_descs[index].status = status;
}

static enum e1000_rx look(size_t *len)
{
	const uint8_t *frame = NULL;
	enum e1000_rx kind = e1000_rx_look(&rx, &frame, len);

	if (kind == E1000_RX_FRAME)
		assert_ptr_equal(frame, rx_buffers + rx.next * E1000_BUFFER_BYTES);
	return kind;
}

static void gives_every_receive_descriptor_a_buffer_of_its_own(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < E1000_RING_ENTRIES; i++)
		assert_int_equal(rx_descs[i].addr, BUS + i * 2048);
}

static void receives_around_the_ring(void **state)
{
	size_t len = 0;

	(void)state;
	for (uint32_t i = 0; i < 3 * E1000_RING_ENTRIES; i++) {
		uint32_t at = i % E1000_RING_ENTRIES;

		assert_int_equal(look(&len), E1000_RX_NONE);
		fill(at, (uint16_t)(60 + at), E1000_RXD_DD | E1000_RXD_EOP, 0);
		assert_int_equal(look(&len), E1000_RX_FRAME);
		assert_int_equal(len, 60 + at);
		assert_int_equal(e1000_rx_return(&rx), at);
		assert_int_equal(rx_descs[at].status, 0);
	}
}

static void refuses_lengths_that_no_frame_in_a_buffer_has(void **state)
{
	static const uint16_t lens[] = {0, 13, 2049, 0xffff};
	size_t len = 0;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(lens); i++) {
		fill(i, lens[i], E1000_RXD_DD | E1000_RXD_EOP, 0);
		assert_int_equal(look(&len), E1000_RX_BAD);
		e1000_rx_return(&rx);
	}
	fill(4, 14, E1000_RXD_DD | E1000_RXD_EOP, 0);
	assert_int_equal(look(&len), E1000_RX_FRAME);
	e1000_rx_return(&rx);
	fill(5, 2048, E1000_RXD_DD | E1000_RXD_EOP, 0);
	assert_int_equal(look(&len), E1000_RX_FRAME);
}

static void refuses_frames_with_errors_of_the_wire(void **state)
{
	size_t len = 0;

	(void)state;
	for (uint32_t bit = 0; bit < 8; bit++) {
		bool is_of_payload =
			bit == 3 || bit == 5 || bit == 6; /* reserved, TCP and IP checksum */

		fill(bit, 60, E1000_RXD_DD | E1000_RXD_EOP, (uint8_t)BIT(bit));
		assert_int_equal(look(&len), is_of_payload ? E1000_RX_FRAME : E1000_RX_BAD);
		e1000_rx_return(&rx);
	}
}

static void drops_all_parts_of_a_frame_longer_than_a_buffer(void **state)
{
	size_t len = 0;

	(void)state;
	fill(0, 2048, E1000_RXD_DD, 0);
	fill(1, 2048, E1000_RXD_DD, 0);
	fill(2, 100, E1000_RXD_DD | E1000_RXD_EOP, 0); /* its tail, which looks like a frame */
	fill(3, 60, E1000_RXD_DD | E1000_RXD_EOP, 0);
	assert_int_equal(look(&len), E1000_RX_PART);
	e1000_rx_return(&rx);
	assert_int_equal(look(&len), E1000_RX_PART);
	e1000_rx_return(&rx);
	assert_int_equal(look(&len), E1000_RX_BAD);
	e1000_rx_return(&rx);
	assert_int_equal(look(&len), E1000_RX_FRAME);
}

static void sends_a_frame_with_fcs_in_one_descriptor(void **state)
{
	uint8_t frame[1514];

	(void)state;
	memset(frame, 0xab, sizeof(frame));
	assert_true(e1000_tx_put(&tx, frame, sizeof(frame)));
	assert_int_equal(tx.tail, 1);
	assert_int_equal(tx_descs[0].addr, BUS);
	assert_int_equal(tx_descs[0].len_bytes, sizeof(frame));
	assert_int_equal(tx_descs[0].command, E1000_TXD_EOP | E1000_TXD_IFCS | E1000_TXD_RS);
	assert_memory_equal(tx_buffers, frame, sizeof(frame));
}

static void fills_short_frames_up_with_zeros_not_with_old_bytes(void **state)
{
	static const uint8_t zeros[46];
	uint8_t frame[60];

	(void)state;
	memset(tx_buffers, 0xee, 2048);
	memset(frame, 0xab, sizeof(frame));
	assert_true(e1000_tx_put(&tx, frame, 14));
	assert_int_equal(tx_descs[0].len_bytes, 60);
	assert_memory_equal(tx_buffers + 14, zeros, 46);
}

static void refuses_to_send_what_is_no_frame(void **state)
{
	static const uint8_t frame[2049];

	(void)state;
	assert_false(e1000_tx_put(&tx, frame, 13));
	assert_false(e1000_tx_put(&tx, frame, 2049));
	assert_int_equal(tx.tail, 0);
}

static void says_when_the_ring_is_full_and_goes_on_when_the_card_did(void **state)
{
	static const uint8_t frame[60];

	(void)state;
	for (uint32_t i = 0; i < E1000_RING_ENTRIES - 1; i++)
		assert_true(e1000_tx_put(&tx, frame, 60));
	assert_false(e1000_tx_put(&tx, frame, 60));
	tx_descs[1].status = E1000_TXD_DD; /* out of order: the oldest is not done */
	assert_false(e1000_tx_put(&tx, frame, 60));
	tx_descs[0].status = E1000_TXD_DD;
	assert_true(e1000_tx_put(&tx, frame, 60));
	assert_true(e1000_tx_put(&tx, frame, 60));
	assert_false(e1000_tx_put(&tx, frame, 60));
}

static void an_empty_ring_takes_back_nothing_however_done_it_looks(void **state)
{
	static const uint8_t frame[60];

	(void)state;
	for (uint32_t i = 0; i < E1000_RING_ENTRIES; i++)
		tx_descs[i].status = E1000_TXD_DD;
	assert_true(e1000_tx_put(&tx, frame, 60));
	assert_int_equal(tx.oldest, 0);
	assert_int_equal(tx.tail, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_rings, free_rings)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gives_every_receive_descriptor_a_buffer_of_its_own),
		TEST(receives_around_the_ring),
		TEST(refuses_lengths_that_no_frame_in_a_buffer_has),
		TEST(refuses_frames_with_errors_of_the_wire),
		TEST(drops_all_parts_of_a_frame_longer_than_a_buffer),
		TEST(sends_a_frame_with_fcs_in_one_descriptor),
		TEST(fills_short_frames_up_with_zeros_not_with_old_bytes),
		TEST(refuses_to_send_what_is_no_frame),
		TEST(says_when_the_ring_is_full_and_goes_on_when_the_card_did),
		TEST(an_empty_ring_takes_back_nothing_however_done_it_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
