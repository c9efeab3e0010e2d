/* SPDX-License-Identifier: Apache-2.0 */
/* The receive ring, with the test in the card's place: filling descriptors, and lying in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/intel_rx.h"

#define BUS	  0x17f000000ull
#define FRAME_MAX 9018u
#define WHOLE	  (INTEL_RX_DD | INTEL_RX_EOP)

static struct intel_rx_ring ring;
static struct intel_rx_desc *descs;
static uint8_t *buffers, *whole;

static int make_ring(enum intel_rx_format format)
{
	descs = calloc(INTEL_RING_ENTRIES, sizeof(*descs));
	buffers = calloc(1, INTEL_BUFFERS_BYTES);
	whole = calloc(1, INTEL_FRAME_MAX);
	intel_rx_init(&ring, format, descs, buffers, BUS, whole, FRAME_MAX);
	return 0;
}

static int make_legacy(void **state)
{
	(void)state;
	return make_ring(INTEL_RX_LEGACY);
}

static int make_extended(void **state)
{
	(void)state;
	return make_ring(INTEL_RX_EXTENDED);
}

static int free_ring(void **state)
{
	(void)state;
	free(descs);
	free(buffers);
	free(whole);
	return 0;
}

/* As the card does: everything of an extended descriptor is written over. */
static void fill(uint32_t index, uint32_t len, uint64_t status)
{
	struct intel_rx_desc *desc = &descs[index % INTEL_RING_ENTRIES];

	if (ring.format == INTEL_RX_LEGACY) {
		desc->words[2] = len | 0xabcd0000u;
		desc->words[3] = (uint32_t)((status & 0xff) | (status >> 24 & 0xff) << 8);
	} else {
		memset(desc->words, 0xee, 8);
		desc->words[2] = (uint32_t)status;
		desc->words[3] = len | 0x00070000u;
	}
}

static enum intel_rx take(struct intel_rx_frame *out)
{
	enum intel_rx kind = intel_rx_look(&ring, out);

	if (kind != INTEL_RX_NONE)
		intel_rx_return(&ring);
	return kind;
}

static uint64_t addr_of(uint32_t index)
{
	return descs[index].words[0] | (uint64_t)descs[index].words[1] << 32;
}

static void gives_every_descriptor_a_buffer_of_its_own(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < INTEL_RING_ENTRIES; i++)
		assert_int_equal(addr_of(i), BUS + i * 2048);
}

static void receives_around_the_ring(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	for (uint32_t i = 0; i < 3 * INTEL_RING_ENTRIES; i++) {
		uint32_t at = i % INTEL_RING_ENTRIES;

		assert_int_equal(intel_rx_look(&ring, &frame), INTEL_RX_NONE);
		fill(at, 60 + at, WHOLE);
		assert_int_equal(intel_rx_look(&ring, &frame), INTEL_RX_FRAME);
		assert_int_equal(frame.len_bytes, 60 + at);
		assert_ptr_equal(frame.data, buffers + at * 2048);
		assert_int_equal(intel_rx_return(&ring), at);
		assert_int_equal(addr_of(at), BUS + at * 2048);
		assert_int_equal(descs[at].words[2] | descs[at].words[3], 0);
	}
}

static void refuses_lengths_that_no_frame_in_a_buffer_has(void **state)
{
	static const uint32_t bad[] = {0, 13, 2049, 0xffff}, good[] = {14, 2048};
	struct intel_rx_frame frame;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fill(ring.next, bad[i], WHOLE);
		assert_int_equal(take(&frame), INTEL_RX_BAD);
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(good); i++) {
		fill(ring.next, good[i], WHOLE);
		assert_int_equal(take(&frame), INTEL_RX_FRAME);
	}
}

static void refuses_frames_longer_than_its_limit(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	ring.frame_max = 1518;
	fill(0, 1518, WHOLE);
	assert_int_equal(take(&frame), INTEL_RX_FRAME);
	fill(1, 1519, WHOLE);
	assert_int_equal(take(&frame), INTEL_RX_BAD);
}

static void refuses_frames_with_errors_of_the_wire(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	for (uint32_t bit = 24; bit < 32; bit++) {
		bool is_of_payload = bit == 27 || bit == 29 || bit == 30;

		fill(ring.next, 60, WHOLE | BIT(bit));
		assert_int_equal(take(&frame), is_of_payload ? INTEL_RX_FRAME : INTEL_RX_BAD);
	}
}

static void believes_a_checksum_only_when_it_was_looked_at_and_right(void **state)
{
	static const struct {
		uint64_t status;
		bool is_valid;
	} cases[] = {
		{WHOLE, false},
		{WHOLE | INTEL_RX_L4CS, true},
		{WHOLE | INTEL_RX_L4CS | INTEL_RX_IXSM, false},
		{WHOLE | INTEL_RX_L4CS | INTEL_RX_L4E, false},
		{WHOLE | BIT(4) | BIT(6), false}, /* of IP, and of UDP's fragments, only */
	};
	struct intel_rx_frame frame;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fill(ring.next, 60, cases[i].status);
		assert_int_equal(take(&frame), INTEL_RX_FRAME);
		assert_int_equal(frame.is_csum_valid, cases[i].is_valid);
	}
}

static void puts_the_parts_of_a_long_frame_together(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	for (uint32_t round = 0; round < 100; round++) { /* and so across the end of the ring */
		uint32_t at = ring.next;

		for (uint32_t i = 0; i < 5; i++)
			memset(buffers + (at + i) % INTEL_RING_ENTRIES * 2048, (int)(round + i),
			       2048);
		for (uint32_t i = 0; i < 4; i++) {
			fill(at + i, 2048, INTEL_RX_DD);
			assert_int_equal(take(&frame), INTEL_RX_PART);
		}
		fill(at + 4, 800, WHOLE | INTEL_RX_L4CS);
		assert_int_equal(take(&frame), INTEL_RX_FRAME);
		assert_int_equal(frame.len_bytes, 4 * 2048 + 800);
		assert_true(frame.is_csum_valid);
		for (uint32_t i = 0; i < frame.len_bytes; i++)
			assert_int_equal(frame.data[i], (uint8_t)(round + i / 2048));
	}
}

static void drops_all_of_a_frame_whose_parts_are_too_many(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		fill(i, 2048, INTEL_RX_DD);
		assert_int_equal(take(&frame), INTEL_RX_PART);
	}
	fill(20, 100, WHOLE); /* its tail, which looks like a frame */
	assert_int_equal(take(&frame), INTEL_RX_BAD);
	fill(21, 60, WHOLE);
	assert_int_equal(take(&frame), INTEL_RX_FRAME);
	assert_int_equal(frame.len_bytes, 60);
}

static void drops_a_frame_of_which_a_part_is_longer_than_its_buffer(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	fill(0, 2049, INTEL_RX_DD);
	assert_int_equal(take(&frame), INTEL_RX_PART);
	fill(1, 100, WHOLE);
	assert_int_equal(take(&frame), INTEL_RX_BAD);
	fill(2, 2048, INTEL_RX_DD);
	assert_int_equal(take(&frame), INTEL_RX_PART);
	fill(3, 0xffff, WHOLE);
	assert_int_equal(take(&frame), INTEL_RX_BAD);
	fill(4, 2048, INTEL_RX_DD);
	assert_int_equal(take(&frame), INTEL_RX_PART);
	fill(5, 4, WHOLE);
	assert_int_equal(take(&frame), INTEL_RX_FRAME);
	assert_int_equal(frame.len_bytes, 2052);
}

static void starts_afresh_when_the_card_was_reset(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		fill(i, 2048, INTEL_RX_DD);
		take(&frame);
	}
	fill(3, 60, WHOLE);
	intel_rx_restart(&ring);
	assert_int_equal(intel_rx_look(&ring, &frame), INTEL_RX_NONE);
	gives_every_descriptor_a_buffer_of_its_own(state);
	fill(0, 60, WHOLE);
	assert_int_equal(take(&frame), INTEL_RX_FRAME);
	assert_int_equal(frame.len_bytes, 60);
}

/* A frame that lies there twice is one whose interrupt was lost; a new one each time is traffic. */
static void notices_a_frame_that_nobody_looks_at(void **state)
{
	struct intel_rx_frame frame;

	(void)state;
	assert_false(intel_rx_is_waiting(&ring));
	fill(0, 60, WHOLE);
	assert_false(intel_rx_is_waiting(&ring));
	assert_int_equal(take(&frame), INTEL_RX_FRAME);
	fill(1, 60, WHOLE);
	assert_false(intel_rx_is_waiting(&ring));
	assert_true(intel_rx_is_waiting(&ring));
	assert_true(intel_rx_is_waiting(&ring));
	assert_int_equal(take(&frame), INTEL_RX_FRAME);
	assert_false(intel_rx_is_waiting(&ring));
	fill(2, 60, WHOLE);
	assert_false(intel_rx_is_waiting(&ring));
	intel_rx_restart(&ring);
	fill(0, 60, WHOLE);
	assert_false(intel_rx_is_waiting(&ring));
}

#define LEGACY(name)   cmocka_unit_test_setup_teardown(name, make_legacy, free_ring)
#define EXTENDED(name) cmocka_unit_test_setup_teardown(name, make_extended, free_ring)
#define TEST(name)     LEGACY(name), EXTENDED(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gives_every_descriptor_a_buffer_of_its_own),
		TEST(receives_around_the_ring),
		TEST(refuses_lengths_that_no_frame_in_a_buffer_has),
		TEST(refuses_frames_longer_than_its_limit),
		TEST(refuses_frames_with_errors_of_the_wire),
		TEST(believes_a_checksum_only_when_it_was_looked_at_and_right),
		TEST(puts_the_parts_of_a_long_frame_together),
		TEST(drops_all_of_a_frame_whose_parts_are_too_many),
		TEST(drops_a_frame_of_which_a_part_is_longer_than_its_buffer),
		TEST(notices_a_frame_that_nobody_looks_at),
		TEST(starts_afresh_when_the_card_was_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
