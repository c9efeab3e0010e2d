/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The send ring, with the test in the card's place: it goes from descriptor to descriptor, puts
 * frames together as a card does, and reports them sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/intel_tx.h"
#include "kernel/lib/bytes.h"

#define BUS	  0x17f000000ull
#define FRAME_MAX 9018u

static struct intel_tx_ring ring;
static struct intel_tx_desc *descs, context; /* the last frame's, all zero when it had none */
static uint8_t *buffers, sent[OFFLOAD_FRAME_MAX], frame[OFFLOAD_FRAME_MAX];
static size_t sent_bytes;
static uint32_t card_at, data_command, data_status, nr_data;

static int make_ring(enum intel_tx_format format)
{
	descs = calloc(INTEL_RING_ENTRIES, sizeof(*descs));
	buffers = calloc(1, INTEL_BUFFERS_BYTES);
	memset(buffers, 0xee, INTEL_BUFFERS_BYTES);
	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7 + i / 251);
	card_at = 0;
	intel_tx_init(&ring, format, descs, buffers, BUS, FRAME_MAX);
	return 0;
}

static int make_extended(void **state)
{
	(void)state;
	return make_ring(INTEL_TX_EXTENDED);
}

static int make_advanced(void **state)
{
	(void)state;
	return make_ring(INTEL_TX_ADVANCED);
}

static int free_ring(void **state)
{
	(void)state;
	free(descs);
	free(buffers);
	return 0;
}

static bool is_context(const struct intel_tx_desc *desc)
{
	uint32_t type = desc->command & INTEL_TXC_DTYP_ADVANCED;

	assert_true(desc->command & INTEL_TXC_DEXT);
	if (ring.format == INTEL_TX_EXTENDED)
		return type == 0;
	return type == INTEL_TXC_DTYP_CONTEXT;
}

/* Takes one frame as the card would; reports it when asked to. */
static void card_sends(void)
{
	uint32_t mask = ring.format == INTEL_TX_EXTENDED ? 0xfffff : 0xffff;

	sent_bytes = nr_data = 0;
	memset(&context, 0, sizeof(context));
	for (;;) {
		struct intel_tx_desc *desc = &descs[card_at];
		size_t len = desc->command & mask;

		assert_int_not_equal(card_at, ring.tail);
		card_at = (card_at + 1) % INTEL_RING_ENTRIES;
		if (is_context(desc)) {
			context = *desc;
			continue;
		}
		assert_in_range(len, 1, 2048);
		assert_int_equal((desc->addr - BUS) % 2048, 0);
		memcpy(sent + sent_bytes, buffers + (desc->addr - BUS), len);
		sent_bytes += len;
		nr_data++;
		data_command = desc->command & ~mask;
		data_status = desc->status;
		if (!(desc->command & INTEL_TXC_EOP)) {
			assert_false(desc->command & INTEL_TXC_RS);
			continue;
		}
		assert_true(desc->command & INTEL_TXC_RS);
		desc->status |= INTEL_TXS_DD;
		return;
	}
}

static void sends_frames_of_every_size_with_fcs_around_the_ring(void **state)
{
	(void)state;
	for (size_t len = 60; len <= FRAME_MAX; len += 37) {
		assert_true(intel_tx_put(&ring, frame, len, NULL));
		card_sends();
		assert_int_equal(sent_bytes, len);
		assert_memory_equal(sent, frame, len);
		assert_true(data_command & INTEL_TXC_IFCS);
		assert_int_equal(context.command, 0);
	}
	assert_int_equal(card_at, ring.tail);
}

static void fills_short_frames_up_with_zeros_not_with_old_bytes(void **state)
{
	static const uint8_t zeros[46];

	(void)state;
	assert_true(intel_tx_put(&ring, frame, 14, NULL));
	card_sends();
	assert_int_equal(sent_bytes, 60);
	assert_memory_equal(sent + 14, zeros, 46);
}

static void refuses_to_send_what_is_no_frame(void **state)
{
	(void)state;
	assert_false(intel_tx_put(&ring, frame, 13, NULL));
	assert_false(intel_tx_put(&ring, frame, FRAME_MAX + 1, NULL));
	assert_int_equal(ring.tail, 0);
}

static void says_when_the_ring_is_full_and_goes_on_when_the_card_did(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < (INTEL_RING_ENTRIES - 1) / 3; i++)
		assert_true(intel_tx_put(&ring, frame, 3 * 2048, NULL));
	assert_false(intel_tx_put(&ring, frame, 60, NULL));
	descs[5].status |= INTEL_TXS_DD; /* out of order: the oldest is not done */
	assert_false(intel_tx_put(&ring, frame, 60, NULL));
	card_sends();
	assert_true(intel_tx_put(&ring, frame, 3 * 2048, NULL));
	assert_true(intel_tx_put(&ring, frame, 3 * 2048, NULL));
	assert_false(intel_tx_put(&ring, frame, 60, NULL));
	intel_tx_reclaim(&ring);
	assert_int_equal(ring.oldest, 6);
}

static void an_empty_ring_takes_back_nothing_however_done_it_looks(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < INTEL_RING_ENTRIES; i++)
		descs[i].status = INTEL_TXS_DD;
	assert_true(intel_tx_put(&ring, frame, 60, NULL));
	intel_tx_reclaim(&ring);
	assert_int_equal(ring.oldest, 0);
	assert_int_equal(ring.tail, 1);
}

/* A header of Ethernet, maybe a VLAN tag, IP, and what offload says of it. */
static struct frame_offload make_headers(bool has_vlan, bool is_ip4, bool is_tcp)
{
	size_t l2 = has_vlan ? 18 : 14, l4 = l2 + (is_ip4 ? 20 : 40);
	struct frame_offload offload = {.needs_csum = true};

	put_be16(frame + 12, 0x8100);
	put_be16(frame + l2 - 2, is_ip4 ? 0x0800 : 0x86dd);
	frame[l2] = is_ip4 ? 0x45 : 0x60;
	frame[l2 + (is_ip4 ? 9 : 6)] = is_tcp ? 6 : 17;
	put_be16(frame + l2 + (is_ip4 ? 2 : 4), 0x1234);
	put_be16(frame + l2 + 10, 0x5678);
	offload.csum_start = (uint16_t)l4;
	offload.csum_offset = is_tcp ? 16 : 6;
	offload.hdr_len = (uint16_t)(l4 + (is_tcp ? 20 : 8));
	return offload;
}

static void expect_headers(size_t l2, size_t l4, bool is_ip4, bool is_tcp)
{
	if (ring.format == INTEL_TX_ADVANCED) {
		assert_int_equal(FIELD_GET(INTEL_ACTX0_MACLEN, context.context[0]), l2);
		assert_int_equal(FIELD_GET(INTEL_ACTX0_IPLEN, context.context[0]), l4 - l2);
		assert_int_equal(!!(context.command & INTEL_ACTX2_IP4), is_ip4);
		assert_int_equal(!!(context.command & INTEL_ACTX2_TCP), is_tcp);
		return;
	}
	assert_int_equal(FIELD_GET(INTEL_CTX0_IPCSS, context.context[0]), l2);
	assert_int_equal(FIELD_GET(INTEL_CTX0_IPCSO, context.context[0]), is_ip4 ? l2 + 10 : 0);
	assert_int_equal(FIELD_GET(INTEL_CTX0_IPCSE, context.context[0]), is_ip4 ? l4 - 1 : 0);
	assert_int_equal(FIELD_GET(INTEL_CTX1_TUCSS, context.context[1]), l4);
	assert_int_equal(FIELD_GET(INTEL_CTX1_TUCSO, context.context[1]), l4 + (is_tcp ? 16 : 6));
	assert_int_equal(context.context[1] >> 16, 0); /* to the end of the frame */
	assert_int_equal(!!(context.command & INTEL_CTX2_IP4), is_ip4);
	assert_int_equal(!!(context.command & INTEL_CTX2_TCP), is_tcp);
}

static void has_the_card_sum_tcp_and_udp(void **state)
{
	(void)state;
	for (uint32_t kind = 0; kind < 8; kind++) {
		bool has_vlan = kind & 1, is_ip4 = kind & 2, is_tcp = kind & 4;
		struct frame_offload offload = make_headers(has_vlan, is_ip4, is_tcp);

		assert_true(intel_tx_put(&ring, frame, 3000, &offload));
		card_sends();
		assert_int_equal(sent_bytes, 3000);
		assert_memory_equal(sent, frame, 3000);
		assert_true(data_status & INTEL_TXS_TXSM);
		assert_false(data_status & INTEL_TXS_IXSM);
		expect_headers(has_vlan ? 18 : 14, offload.csum_start, is_ip4, is_tcp);
		assert_int_equal(context.status, 0);
		if (ring.format == INTEL_TX_ADVANCED)
			assert_int_equal(FIELD_GET(INTEL_TXS_PAYLEN_ADVANCED, data_status), 3000);
	}
}

static void has_the_card_cut_tcp(void **state)
{
	static const size_t lens[] = {500, 2048, 2049, 20000, 65000};

	(void)state;
	for (uint32_t i = 0; i < 2 * ARRAY_SIZE(lens); i++) {
		bool is_ip4 = i & 1;
		struct frame_offload offload = make_headers(false, is_ip4, true);
		size_t len = lens[i / 2], payload = len - offload.hdr_len;

		offload.gso = is_ip4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6;
		offload.gso_size = 1448;
		assert_true(intel_tx_put(&ring, frame, len, &offload));
		card_sends();
		assert_int_equal(sent_bytes, len);
		assert_int_equal(get_be16(sent + 14 + (is_ip4 ? 2 : 4)), 0);
		assert_int_equal(get_be16(sent + 14 + 10), is_ip4 ? 0 : 0x5678);
		assert_memory_equal(sent + offload.csum_start, frame + offload.csum_start,
				    len - offload.csum_start);
		assert_in_range(nr_data, 2, 33);
		expect_headers(14, offload.csum_start, is_ip4, true);
		assert_int_equal(!!(data_status & INTEL_TXS_IXSM), is_ip4);
		assert_int_equal(FIELD_GET(INTEL_CTX3_MSS, context.status), 1448);
		if (ring.format == INTEL_TX_ADVANCED) {
			assert_true(data_command & INTEL_TXC_TSE_ADVANCED);
			assert_int_equal(FIELD_GET(INTEL_ACTX3_L4LEN, context.status), 20);
			assert_int_equal(FIELD_GET(INTEL_TXS_PAYLEN_ADVANCED, data_status),
					 payload);
		} else {
			assert_true(data_command & INTEL_TXC_TSE_EXTENDED);
			assert_true(context.command & INTEL_CTX2_TSE);
			assert_int_equal(FIELD_GET(INTEL_CTX3_HDRLEN, context.status),
					 offload.hdr_len);
			assert_int_equal(FIELD_GET(INTEL_CTX2_PAYLEN, context.command), payload);
		}
	}
}

static void refuses_to_have_cut_what_no_card_should_see(void **state)
{
	struct frame_offload offload = make_headers(false, true, true);

	(void)state;
	offload.gso = OFFLOAD_GSO_TCP4;
	offload.gso_size = INTEL_GSO_SIZE_MIN - 1;
	assert_false(intel_tx_put(&ring, frame, 5000, &offload));
	offload.gso_size = FRAME_MAX; /* the pieces would be too long */
	assert_false(intel_tx_put(&ring, frame, 60000, &offload));
	offload.gso_size = 1448;
	assert_false(intel_tx_put(&ring, frame, offload.hdr_len, &offload));
	assert_false(intel_tx_put(&ring, frame, OFFLOAD_FRAME_MAX + 1u, &offload));
	assert_true(intel_tx_put(&ring, frame, 5000, &offload));
}

static uint16_t sum(const uint8_t *at, size_t len)
{
	uint32_t total = 0;

	for (size_t i = 0; i < len; i++)
		total += (uint32_t)at[i] << (i & 1 ? 0 : 8);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)total;
}

static void sums_itself_what_the_card_may_not_find(void **state)
{
	static const struct {
		uint16_t start, offset, len;
	} cases[] = {{54, 6, 1000},	{34, 2, 1001}, {300, 16, 1500}, {2040, 7, 3001},
		     {100, 1948, 2050}, {58, 0, 60},   {0, 0, 5000}};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct frame_offload offload = make_headers(false, true, true);
		size_t at = cases[i].start + cases[i].offset;

		offload.csum_start = cases[i].start;
		offload.csum_offset = cases[i].offset;
		assert_true(intel_tx_put(&ring, frame, cases[i].len, &offload));
		card_sends();
		assert_int_equal(context.command, 0);
		assert_false(data_status & INTEL_TXS_TXSM);
		/* With the field as it was, the sum over all is the field's complement. */
		assert_int_equal(get_be16(sent + at),
				 (uint16_t)~sum(frame + cases[i].start,
						(size_t)cases[i].len - cases[i].start));
		assert_memory_equal(sent, frame, at);
		assert_memory_equal(sent + at + 2, frame + at + 2, cases[i].len - at - 2);
	}
}

static void never_sends_a_udp_checksum_of_zero(void **state)
{
	struct frame_offload offload = {.needs_csum = true, .csum_start = 60, .csum_offset = 6};

	(void)state;
	memset(frame, 0, 100);
	put_be16(frame + 80, 0xffff);
	assert_true(intel_tx_put(&ring, frame, 100, &offload));
	card_sends();
	assert_int_equal(get_be16(sent + 66), 0xffff);
}

static void is_stuck_when_the_oldest_frame_stays_the_oldest(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_false(intel_tx_is_stuck(&ring)); /* nothing waits */
	assert_true(intel_tx_put(&ring, frame, 60, NULL));
	for (uint32_t i = 0; i < 10; i++) { /* it is slow, but it moves */
		assert_true(intel_tx_put(&ring, frame, 60, NULL));
		assert_false(intel_tx_is_stuck(&ring));
		assert_false(intel_tx_is_stuck(&ring));
		card_sends();
	}
	for (uint32_t i = 0; i < INTEL_TX_STUCK; i++)
		assert_false(intel_tx_is_stuck(&ring));
	assert_true(intel_tx_is_stuck(&ring));
	card_sends();
	assert_false(intel_tx_is_stuck(&ring));
	assert_int_equal(ring.oldest, ring.tail);
}

static void forgets_and_counts_what_was_waiting_when_the_card_was_reset(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 60; i++) {
		assert_true(intel_tx_put(&ring, frame, 9000, NULL));
		card_sends();
	}
	for (uint32_t i = 0; i < 7; i++)
		assert_true(intel_tx_put(&ring, frame, i & 1 ? 9000 : 60, NULL));
	assert_in_range(intel_tx_restart(&ring), 7, 8); /* and one that was not taken back yet */
	assert_int_equal(intel_tx_restart(&ring), 0);
	card_at = 0;
	assert_true(intel_tx_put(&ring, frame, 100, NULL));
	card_sends();
	assert_int_equal(sent_bytes, 100);
}

#define EXTENDED(name) cmocka_unit_test_setup_teardown(name, make_extended, free_ring)
#define ADVANCED(name) cmocka_unit_test_setup_teardown(name, make_advanced, free_ring)
#define TEST(name)     EXTENDED(name), ADVANCED(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sends_frames_of_every_size_with_fcs_around_the_ring),
		TEST(fills_short_frames_up_with_zeros_not_with_old_bytes),
		TEST(refuses_to_send_what_is_no_frame),
		TEST(says_when_the_ring_is_full_and_goes_on_when_the_card_did),
		TEST(an_empty_ring_takes_back_nothing_however_done_it_looks),
		TEST(has_the_card_sum_tcp_and_udp),
		TEST(has_the_card_cut_tcp),
		TEST(refuses_to_have_cut_what_no_card_should_see),
		TEST(sums_itself_what_the_card_may_not_find),
		TEST(never_sends_a_udp_checksum_of_zero),
		TEST(is_stuck_when_the_oldest_frame_stays_the_oldest),
		TEST(forgets_and_counts_what_was_waiting_when_the_card_was_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
