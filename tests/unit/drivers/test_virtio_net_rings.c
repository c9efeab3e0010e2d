/* SPDX-License-Identifier: Apache-2.0 */
/* The rings of a virtio network card, with the test as the device: honest, and lying. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/virtio_net_rings.h"
#include "kernel/lib/bytes.h"

#define RING_BUS 0x10000000ull
#define DATA_BUS 0x20000000ull
#define SIZE	 32u
#define BUFFER	 4096u
#define HEADER	 12u

static const struct virtq_shape shape = {.size = SIZE};
static struct virtq q;
static struct virtq_layout layout;
static uint8_t *memory, *data, *large;
static struct virtio_net_rx rx;
static struct virtio_net_tx tx;
static uint16_t nr_done; /* chains that the device has taken */

static int make(void **state)
{
	(void)state;
	layout = virtq_layout(&shape);
	memory = aligned_alloc(4096, ALIGN_UP(layout.len_bytes, 4096));
	data = aligned_alloc(4096, SIZE * BUFFER);
	large = malloc(OFFLOAD_FRAME_MAX);
	memset(data, 0xa5, SIZE * BUFFER);
	virtq_init(&q, memory, RING_BUS, &shape);
	nr_done = 0;
	return 0;
}

static int make_rx(void **state)
{
	make(state);
	rx = (struct virtio_net_rx){.q = &q,
				    .buffers = data,
				    .buffers_bus = DATA_BUS,
				    .buffer_bytes = BUFFER,
				    .has_merge = true,
				    .has_offload = true,
				    .large = large};
	virtio_net_rx_fill(&rx);
	return 0;
}

static int make_tx(void **state)
{
	make(state);
	virtio_net_tx_init(&tx, &q, data, DATA_BUS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(memory);
	free(data);
	free(large);
	return 0;
}

/* ---- the device ---- */

static struct virtq_desc *desc_at(uint32_t index)
{
	return (struct virtq_desc *)memory + index;
}

static uint16_t next_head(void)
{
	return ((uint16_t *)(memory + layout.avail))[VIRTQ_RING + nr_done++ % SIZE];
}

static void use(uint16_t head, uint32_t len)
{
	uint16_t *used = (uint16_t *)(memory + layout.used);
	uint32_t *entry = (uint32_t *)(used + VIRTQ_RING) + 2 * (used[VIRTQ_IDX] % SIZE);

	entry[0] = head;
	entry[1] = len;
	used[VIRTQ_IDX]++;
}

static uint8_t *memory_of(uint16_t head)
{
	return data + (desc_at(head)->bus - DATA_BUS);
}

/* A frame with its header, in as many buffers as it takes; of those only the first nr are used. */
static void receive(const struct virtio_net_header *header, const uint8_t *frame, size_t len,
		    uint32_t nr)
{
	uint8_t *whole = malloc(HEADER + len), *at = whole;
	size_t left = HEADER + len;

	memcpy(whole, header, HEADER);
	memcpy(whole + HEADER, frame, len);
	while (left > 0 && nr-- > 0) {
		uint16_t head = next_head();
		size_t part = MIN(left, BUFFER);

		memcpy(memory_of(head), at, part);
		use(head, (uint32_t)part);
		at += part;
		left -= part;
	}
	free(whole);
}

/* ---- frames ---- */

static uint8_t frame[OFFLOAD_FRAME_MAX];

static const uint8_t *make_frame(size_t len)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + len);
	return frame;
}

/* TCP over IPv4 with so much payload, its checksum field holding sum. */
static size_t make_segment(uint32_t payload, uint16_t sum)
{
	size_t len = 54 + payload;

	make_frame(len);
	put_be16(frame + 12, 0x0800);
	memset(frame + 14, 0, 40);
	frame[14] = 0x45;
	put_be16(frame + 16, (uint16_t)(40 + payload));
	frame[23] = 6;
	put_be32(frame + 26, 0x0a000201);
	put_be32(frame + 30, 0x0a000202);
	frame[46] = 0x50;
	put_be16(frame + 50, sum);
	return len;
}

/* 10.0.2.1, 10.0.2.2, protocol 6, and a length. */
static uint16_t pseudo(uint32_t len)
{
	uint32_t sum = 0x0a00 + 0x0201 + 0x0a00 + 0x0202 + 6 + len;

	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static const struct virtio_net_header plain = {.nr_buffers = 1};

static enum virtio_net_rx_kind look(struct virtio_net_frame *out)
{
	enum virtio_net_rx_kind kind = virtio_net_rx_look(&rx, out);

	/* Every byte of it, so that the sanitizer sees one too many. */
	if (kind == VIRTIO_NET_RX_FRAME)
		memcpy(frame, out->data, out->len_bytes);
	return kind;
}

static void is_frame(const uint8_t *expected, size_t len)
{
	struct virtio_net_frame got;
	uint8_t *copy = malloc(len);

	memcpy(copy, expected, len);
	assert_int_equal(look(&got), VIRTIO_NET_RX_FRAME);
	assert_int_equal(got.len_bytes, len);
	assert_memory_equal(got.data, copy, len);
	free(copy);
	virtio_net_rx_return(&rx);
}

static void is_bad(void)
{
	struct virtio_net_frame got;

	assert_int_equal(look(&got), VIRTIO_NET_RX_BAD);
	virtio_net_rx_return(&rx);
}

static void is_none(void)
{
	struct virtio_net_frame got;

	assert_int_equal(look(&got), VIRTIO_NET_RX_NONE);
	assert_int_equal(rx.lent, 0);
}

/* ---- receive ---- */

static void receives_frames_where_they_lie(void **state)
{
	struct virtio_net_frame got;

	(void)state;
	is_none();
	receive(&plain, make_frame(60), 60, 1);
	assert_int_equal(look(&got), VIRTIO_NET_RX_FRAME);
	assert_true(got.data >= data && got.data < data + SIZE * BUFFER);
	assert_false(got.has_offload);
	assert_int_equal(q.nr_free, 1);
	virtio_net_rx_return(&rx);
	assert_int_equal(q.nr_free, 0); /* its buffer is the device's again */
	is_none();
}

static void receives_around_the_ring(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 5 * SIZE; i++) {
		size_t len = 14 + i * 25 % (BUFFER - HEADER - 14);

		receive(&plain, make_frame(len), len, 1);
		is_frame(make_frame(len), len);
	}
	is_none();
}

static void puts_a_frame_of_several_buffers_together(void **state)
{
	struct virtio_net_header header = {.nr_buffers = 3};

	(void)state;
	receive(&header, make_frame(9018), 9018, 3);
	receive(&plain, make_frame(100), 100, 1);
	is_frame(make_frame(9018), 9018);
	assert_int_equal(q.nr_free, 0); /* all are the device's again */
	is_frame(make_frame(100), 100);
	is_none();
	assert_int_equal(q.nr_free, 0);
}

static void receives_the_largest_frame(void **state)
{
	struct virtio_net_header header = {.nr_buffers = 17};

	(void)state;
	rx.has_offload = false;
	receive(&header, make_frame(OFFLOAD_FRAME_MAX), OFFLOAD_FRAME_MAX, 17);
	is_frame(make_frame(OFFLOAD_FRAME_MAX), OFFLOAD_FRAME_MAX);
}

static void waits_for_buffers_that_come_later(void **state)
{
	struct virtio_net_header header = {.nr_buffers = 3};
	uint16_t head;

	(void)state;
	receive(&header, make_frame(9018), 9018, 2);
	is_none();
	is_none();
	head = next_head();
	memcpy(memory_of(head), make_frame(9018) + 2 * BUFFER - HEADER, 9018 + HEADER - 2 * BUFFER);
	use(head, 9018 + HEADER - 2 * BUFFER);
	is_frame(make_frame(9018), 9018);
}

static void drops_a_frame_that_is_too_long(void **state)
{
	struct virtio_net_header header = {.nr_buffers = 18};

	(void)state;
	for (uint32_t i = 0; i < 18; i++) {
		uint16_t head = next_head();

		memcpy(memory_of(head), &header, HEADER);
		use(head, BUFFER);
	}
	is_bad();
	assert_int_equal(q.nr_free, 0);
	receive(&plain, make_frame(60), 60, 1);
	is_frame(make_frame(60), 60);
}

static void drops_what_is_too_short(void **state)
{
	(void)state;
	for (uint32_t len = 0; len < HEADER + 14; len++) {
		uint16_t head = next_head();

		memcpy(memory_of(head), &plain, HEADER);
		use(head, len);
		is_bad();
		assert_int_equal(q.nr_free, 0);
	}
}

static void drops_a_frame_of_no_buffers(void **state)
{
	struct virtio_net_header header = {.nr_buffers = 0};

	(void)state;
	receive(&header, make_frame(60), 60, 1);
	is_bad();
	rx.has_merge = false; /* then the number means nothing */
	receive(&header, make_frame(60), 60, 1);
	is_frame(make_frame(60), 60);
}

static void says_that_a_checksum_is_valid(void **state)
{
	struct virtio_net_header header = {.flags = 2, .nr_buffers = 1};
	struct virtio_net_frame got;

	(void)state;
	receive(&header, make_frame(60), 60, 1);
	assert_int_equal(look(&got), VIRTIO_NET_RX_FRAME);
	assert_true(got.has_offload && got.offload.is_csum_valid && !got.offload.needs_csum);
	virtio_net_rx_return(&rx);
	rx.has_offload = false; /* not agreed on */
	receive(&header, make_frame(60), 60, 1);
	assert_int_equal(look(&got), VIRTIO_NET_RX_FRAME);
	assert_false(got.has_offload);
}

static void hands_on_what_still_needs_a_checksum(void **state)
{
	struct virtio_net_header header = {
		.flags = 1, .nr_buffers = 1, .csum_start = 34, .csum_offset = 16};
	struct virtio_net_frame got;

	(void)state;
	receive(&header, make_frame(60), 60, 1);
	assert_int_equal(look(&got), VIRTIO_NET_RX_FRAME);
	assert_true(got.has_offload && got.offload.needs_csum);
	assert_int_equal(got.offload.csum_start, 34);
	assert_int_equal(got.offload.csum_offset, 16);
	assert_int_equal(got.offload.gso, OFFLOAD_GSO_NONE);
	virtio_net_rx_return(&rx);
	header.csum_offset = 25; /* one byte beyond the frame */
	receive(&header, make_frame(60), 60, 1);
	is_bad();
}

static void hands_on_large_segments(void **state)
{
	struct virtio_net_header header = {.flags = 1,
					   .gso_type = 1,
					   .hdr_len =
						   9999, /* a hint, which we work out ourselves */
					   .gso_size = 1460,
					   .csum_start = 34,
					   .csum_offset = 16,
					   .nr_buffers = 3};
	size_t len = make_segment(10000, pseudo(20 + 10000));
	struct virtio_net_frame got;

	(void)state;
	receive(&header, frame, len, 3);
	assert_int_equal(look(&got), VIRTIO_NET_RX_FRAME);
	assert_int_equal(got.offload.gso, OFFLOAD_GSO_TCP4);
	assert_int_equal(got.offload.gso_size, 1460);
	assert_int_equal(got.offload.hdr_len, 54);
	assert_int_equal(get_be16(got.data + 50), pseudo(0));
	virtio_net_rx_return(&rx);
}

static void drops_segments_of_other_kinds(void **state)
{
	static const uint8_t types[] = {3, 4, 5, 0x81, 0xff}; /* UDP; IPv6, which it is not; ECN */
	struct virtio_net_header header = {
		.flags = 1, .gso_size = 1460, .csum_start = 34, .csum_offset = 16, .nr_buffers = 1};
	size_t len = make_segment(3000, 0);

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(types); i++) {
		header.gso_type = types[i];
		make_segment(3000, 0);
		receive(&header, frame, len, 1);
		is_bad();
	}
}

static void receives_nothing_from_a_broken_ring(void **state)
{
	(void)state;
	use(next_head(), BUFFER + 1);
	is_none();
	assert_true(q.is_broken);
}

/* ---- send ---- */

/* What the device reads of the next chain; returns its length. */
static size_t sent(uint8_t *out)
{
	uint16_t head = next_head(), at = head;
	size_t len = 0;

	for (;;) {
		struct virtq_desc *desc = desc_at(at);

		assert_int_equal(desc->flags & VIRTQ_DESC_F_WRITE, 0);
		memcpy(out + len, data + (desc->bus - DATA_BUS), desc->len_bytes);
		len += desc->len_bytes;
		if (!(desc->flags & VIRTQ_DESC_F_NEXT))
			break;
		at = desc->next;
	}
	use(head, 0);
	return len;
}

static void sends_a_frame_behind_an_empty_header(void **state)
{
	uint8_t out[200];

	(void)state;
	assert_true(virtio_net_tx_put(&tx, make_frame(100), 100, NULL));
	assert_int_equal(sent(out), HEADER + 100);
	for (uint32_t i = 0; i < HEADER; i++)
		assert_int_equal(out[i], 0);
	assert_memory_equal(out + HEADER, frame, 100);
}

static void sends_around_the_ring(void **state)
{
	static uint8_t out[HEADER + OFFLOAD_FRAME_MAX];

	(void)state;
	for (uint32_t i = 0; i < 500; i++) {
		size_t len = 14 + i * 997 % (OFFLOAD_FRAME_MAX - 14);

		assert_true(virtio_net_tx_put(&tx, make_frame(len), len, NULL));
		assert_int_equal(sent(out), HEADER + len);
		assert_memory_equal(out + HEADER, frame, len);
	}
}

static void sends_the_largest_frame_and_none_larger(void **state)
{
	static uint8_t out[HEADER + OFFLOAD_FRAME_MAX];

	(void)state;
	assert_true(virtio_net_tx_put(&tx, make_frame(OFFLOAD_FRAME_MAX), OFFLOAD_FRAME_MAX, NULL));
	assert_int_equal(sent(out), HEADER + OFFLOAD_FRAME_MAX);
	assert_memory_equal(out + HEADER, frame, OFFLOAD_FRAME_MAX);
	assert_false(virtio_net_tx_put(&tx, frame, OFFLOAD_FRAME_MAX + 1, NULL));
	assert_false(virtio_net_tx_put(&tx, frame, 13, NULL));
}

static void says_no_when_it_is_full(void **state)
{
	uint8_t out[200];

	(void)state;
	for (uint32_t i = 0; i < SIZE; i++)
		assert_true(virtio_net_tx_put(&tx, make_frame(60), 60, NULL));
	assert_false(virtio_net_tx_put(&tx, frame, 60, NULL));
	sent(out);
	assert_false(virtio_net_tx_put(&tx, frame, 5000, NULL)); /* takes two chunks */
	assert_true(virtio_net_tx_put(&tx, frame, 60, NULL));
	assert_false(virtio_net_tx_put(&tx, frame, 60, NULL));
}

static void asks_for_a_checksum(void **state)
{
	struct frame_offload offload = {.needs_csum = true, .csum_start = 34, .csum_offset = 16};
	uint8_t out[200];

	(void)state;
	assert_true(virtio_net_tx_put(&tx, make_frame(100), 100, &offload));
	sent(out);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[1], 0);
	assert_int_equal(get_le16(out + 6), 34);
	assert_int_equal(get_le16(out + 8), 16);
	offload = (struct frame_offload){.is_csum_valid = true}; /* of no concern to the wire */
	assert_true(virtio_net_tx_put(&tx, frame, 100, &offload));
	sent(out);
	assert_int_equal(out[0], 0);
}

static void asks_for_segments_to_be_cut(void **state)
{
	struct frame_offload offload = {.needs_csum = true,
					.csum_start = 34,
					.csum_offset = 16,
					.gso = OFFLOAD_GSO_TCP4,
					.gso_size = 1460,
					.hdr_len = 54};
	static uint8_t out[HEADER + OFFLOAD_FRAME_MAX];
	size_t len = make_segment(20000, pseudo(0));

	(void)state;
	assert_true(virtio_net_tx_put(&tx, frame, len, &offload));
	assert_int_equal(sent(out), HEADER + len);
	assert_int_equal(out[1], 1);
	assert_int_equal(get_le16(out + 2), 54);
	assert_int_equal(get_le16(out + 4), 1460);
	assert_int_equal(get_be16(out + HEADER + 50), pseudo(20020)); /* with the length, here */
	assert_int_equal(get_be16(frame + 50), pseudo(0));
	assert_memory_equal(out + HEADER + 52, frame + 52, len - 52);
}

static void sends_nothing_into_a_broken_ring(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SIZE; i++)
		assert_true(virtio_net_tx_put(&tx, make_frame(60), 60, NULL));
	use(SIZE, 0);
	assert_false(virtio_net_tx_put(&tx, frame, 60, NULL));
	assert_true(q.is_broken);
}

#define RX(test) cmocka_unit_test_setup_teardown(test, make_rx, tear_down)
#define TX(test) cmocka_unit_test_setup_teardown(test, make_tx, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RX(receives_frames_where_they_lie),
		RX(receives_around_the_ring),
		RX(puts_a_frame_of_several_buffers_together),
		RX(receives_the_largest_frame),
		RX(waits_for_buffers_that_come_later),
		RX(drops_a_frame_that_is_too_long),
		RX(drops_what_is_too_short),
		RX(drops_a_frame_of_no_buffers),
		RX(says_that_a_checksum_is_valid),
		RX(hands_on_what_still_needs_a_checksum),
		RX(hands_on_large_segments),
		RX(drops_segments_of_other_kinds),
		RX(receives_nothing_from_a_broken_ring),
		TX(sends_a_frame_behind_an_empty_header),
		TX(sends_around_the_ring),
		TX(sends_the_largest_frame_and_none_larger),
		TX(says_no_when_it_is_full),
		TX(asks_for_a_checksum),
		TX(asks_for_segments_to_be_cut),
		TX(sends_nothing_into_a_broken_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
