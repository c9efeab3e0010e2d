/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's side of a virtqueue, with the test in the device's place: honest, and lying. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/virtio_queue.h"
#include "tests/unit/support/expect_assert.h"

#define BUS 0x7f0000000ull

static struct virtq q;
static uint8_t *memory;
static struct virtq_layout layout;
static int tokens[VIRTQ_SIZE_MAX];

static void make(uint16_t size, uint16_t table_max, uint16_t nr_tables, bool has_event_idx)
{
	struct virtq_shape shape = {size, table_max, nr_tables, has_event_idx};

	layout = virtq_layout(&shape);
	free(memory);
	memory = aligned_alloc(4096, ALIGN_UP(layout.len_bytes, 4096));
	memset(memory, 0xa5, layout.len_bytes);
	virtq_init(&q, memory, BUS, &shape);
}

static int tear_down(void **state)
{
	(void)state;
	free(memory);
	memory = NULL;
	return 0;
}

/* ---- the device ---- */

static struct virtq_desc *desc_at(uint32_t index)
{
	return (struct virtq_desc *)memory + index;
}

static uint16_t *avail(uint32_t word)
{
	return (uint16_t *)(memory + layout.avail) + word;
}

static uint16_t *used(uint32_t word)
{
	return (uint16_t *)(memory + layout.used) + word;
}

/* The head of the nth chain that was ever shown. */
static uint16_t head_of(uint16_t n)
{
	return *avail(VIRTQ_RING + n % q.shape.size);
}

static void use_at(uint16_t n, uint32_t id, uint32_t len)
{
	uint32_t *entry = (uint32_t *)used(VIRTQ_RING) + 2 * (n % q.shape.size);

	entry[0] = id;
	entry[1] = len;
}

static void use(uint32_t id, uint32_t len)
{
	use_at(*used(VIRTQ_IDX), id, len);
	++*used(VIRTQ_IDX);
}

/* ---- the driver ---- */

static enum hv_err add(uint32_t nr_out, uint32_t nr_in, void *token)
{
	struct virtq_piece pieces[16];

	for (uint32_t i = 0; i < nr_out + nr_in; i++)
		pieces[i] = (struct virtq_piece){0x1000 * (i + 1), 100 + i};
	return virtq_add(&q, pieces, nr_out, nr_in, token);
}

static void show(void)
{
	assert_true(virtq_show(&q)); /* nothing here asks for silence */
}

static void lays_its_parts_out_as_the_specification_has_them(void **state)
{
	struct virtq_shape shape = {.size = 256, .table_max = 130, .nr_tables = 64};

	(void)state;
	layout = virtq_layout(&shape);
	assert_int_equal(layout.avail, 4096);
	assert_true(layout.used >= 4096 + 6 + 2 * 256 && layout.used % 4 == 0);
	assert_true(layout.tables >= layout.used + 6 + 8 * 256 && layout.tables % 16 == 0);
	assert_int_equal(layout.len_bytes, layout.tables + 64 * 130 * 16);
}

static void chains_what_the_device_reads_before_what_it_writes(void **state)
{
	uint16_t at;

	(void)state;
	make(8, 0, 0, false);
	assert_int_equal(add(2, 1, &tokens[0]), HV_OK);
	assert_int_equal(*avail(VIRTQ_IDX), 0); /* not shown yet */
	assert_true(virtq_show(&q));
	assert_int_equal(*avail(VIRTQ_IDX), 1);

	at = head_of(0);
	assert_int_equal(desc_at(at)->bus, 0x1000);
	assert_int_equal(desc_at(at)->len_bytes, 100);
	assert_int_equal(desc_at(at)->flags, VIRTQ_DESC_F_NEXT);
	at = desc_at(at)->next;
	assert_int_equal(desc_at(at)->flags, VIRTQ_DESC_F_NEXT);
	at = desc_at(at)->next;
	assert_int_equal(desc_at(at)->bus, 0x3000);
	assert_int_equal(desc_at(at)->flags, VIRTQ_DESC_F_WRITE);
	assert_int_equal(q.nr_free, 5);
}

static void puts_several_pieces_into_a_table(void **state)
{
	struct virtq_desc *table;

	(void)state;
	make(8, 4, 8, false);
	assert_int_equal(add(1, 1, &tokens[0]), HV_OK);
	assert_int_equal(add(1, 3, &tokens[1]), HV_OK);
	assert_int_equal(q.nr_free, 6);
	assert_int_equal(desc_at(head_of(1))->flags, VIRTQ_DESC_F_INDIRECT);
	assert_int_equal(desc_at(head_of(1))->len_bytes, 4 * 16);
	table = (struct virtq_desc *)(memory + (desc_at(head_of(1))->bus - BUS));
	assert_true((uint8_t *)(table + 4) <= memory + layout.len_bytes);
	assert_int_equal(table[0].flags, VIRTQ_DESC_F_NEXT);
	assert_int_equal(table[0].next, 1);
	assert_int_equal(table[2].flags, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE);
	assert_int_equal(table[2].next, 3);
	assert_int_equal(table[3].flags, VIRTQ_DESC_F_WRITE);
	assert_int_equal(table[3].bus, 0x4000);
}

static void chains_what_is_too_long_for_a_table(void **state)
{
	(void)state;
	make(8, 2, 8, false);
	assert_int_equal(add(1, 2, &tokens[0]), HV_OK);
	assert_int_equal(q.nr_free, 5);
	assert_int_equal(desc_at(head_of(0))->flags, VIRTQ_DESC_F_NEXT);
}

static void needs_no_more_tables_than_chains_are_out(void **state)
{
	uint32_t written;

	(void)state;
	make(8, 2, 3, false);
	for (uint32_t round = 0; round < 100; round++) {
		uint16_t first = *used(VIRTQ_IDX);

		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(add(1, 1, &tokens[i]), HV_OK);
			assert_int_equal(desc_at(head_of((uint16_t)(first + i)))->flags,
					 VIRTQ_DESC_F_INDIRECT);
		}
		show();
		for (uint32_t i = 0; i < 3; i++) /* in another order every time */
			use(head_of((uint16_t)(first + (i + round) % 3)), 0);
		for (uint32_t i = 0; i < 3; i++)
			assert_non_null(virtq_get(&q, &written));
	}
}

static void gives_tokens_back_in_the_order_of_the_used_ring(void **state)
{
	uint32_t written = 99;

	(void)state;
	make(8, 0, 0, false);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(add(0, 1, &tokens[i]), HV_OK);
	show();
	assert_null(virtq_get(&q, &written));
	use(head_of(2), 100);
	use(head_of(0), 7);
	assert_ptr_equal(virtq_get(&q, &written), &tokens[2]);
	assert_int_equal(written, 100);
	assert_ptr_equal(virtq_get(&q, &written), &tokens[0]);
	assert_int_equal(written, 7);
	assert_null(virtq_get(&q, &written));
	assert_false(q.is_broken);
	assert_int_equal(q.nr_free, 7);
}

static void goes_round_the_ring_and_the_index(void **state)
{
	uint32_t written;

	(void)state;
	make(4, 0, 0, true);
	for (uint32_t i = 0; i < 70000; i++) {
		assert_int_equal(add(1, 1, &tokens[i % 4]), HV_OK);
		*used(VIRTQ_RING + 4 * 4) = (uint16_t)i; /* avail_event */
		show();
		use(head_of((uint16_t)i), i % 101);
		assert_ptr_equal(virtq_get(&q, &written), &tokens[i % 4]);
		assert_int_equal(written, i % 101);
	}
	assert_int_equal(q.nr_free, 4);
	assert_int_equal(q.nr_out, 0);
}

static void takes_no_more_than_it_has_descriptors_for(void **state)
{
	(void)state;
	make(4, 0, 0, false);
	assert_int_equal(add(1, 2, &tokens[0]), HV_OK);
	assert_int_equal(add(1, 1, &tokens[1]), HV_EBUSY);
	assert_int_equal(add(0, 1, &tokens[1]), HV_OK);
	assert_int_equal(add(0, 1, &tokens[2]), HV_EBUSY);
	EXPECT_ASSERT(add(3, 2, &tokens[2])); /* more than there will ever be */
}

static void is_broken(uint32_t id, uint32_t len)
{
	uint32_t written;

	use(id, len);
	assert_true(virtq_has_used(&q));
	assert_null(virtq_get(&q, &written));
	assert_true(q.is_broken);
	assert_false(virtq_has_used(&q));
	assert_false(virtq_listen(&q));
	assert_int_equal(add(0, 1, &tokens[9]), HV_EIO);
}

static void is_broken_by_an_id_beyond_the_queue(void **state)
{
	(void)state;
	make(4, 0, 0, false);
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	is_broken(4, 0);
	make(4, 0, 0, false);
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	is_broken(0x10000u + head_of(0), 0);
}

static void is_broken_by_a_chain_that_is_not_out(void **state)
{
	uint32_t written;

	(void)state;
	make(4, 0, 0, false);
	assert_int_equal(add(0, 2, &tokens[0]), HV_OK);
	is_broken(desc_at(head_of(0))->next, 0); /* not a head */
	make(4, 0, 0, false);
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	assert_int_equal(add(0, 1, &tokens[1]), HV_OK);
	use(head_of(0), 0);
	assert_ptr_equal(virtq_get(&q, &written), &tokens[0]);
	is_broken(head_of(0), 0); /* returned already */
}

static void is_broken_by_more_bytes_than_there_was_room_for(void **state)
{
	(void)state;
	make(4, 0, 0, false);
	assert_int_equal(add(1, 1, &tokens[0]), HV_OK); /* 101 of them */
	is_broken(head_of(0), 102);
	make(4, 0, 0, false);
	assert_int_equal(add(2, 0, &tokens[0]), HV_OK); /* none */
	is_broken(head_of(0), 1);
}

static void is_broken_by_an_index_that_jumps(void **state)
{
	uint32_t written;

	(void)state;
	make(4, 0, 0, false);
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	use_at(0, head_of(0), 0);
	*used(VIRTQ_IDX) = 2;
	assert_null(virtq_get(&q, &written));
	assert_true(q.is_broken);
	make(4, 0, 0, false);
	*used(VIRTQ_IDX) = 0xffff; /* back */
	assert_null(virtq_get(&q, &written));
	assert_true(q.is_broken);
}

static void does_not_read_back_what_the_device_may_have_changed(void **state)
{
	uint32_t written;

	(void)state;
	make(8, 0, 0, false);
	assert_int_equal(add(1, 2, &tokens[0]), HV_OK);
	show();
	use(head_of(0), 50);
	memset(memory, 0xff, layout.used); /* descriptors and avail ring */
	assert_ptr_equal(virtq_get(&q, &written), &tokens[0]);
	assert_int_equal(q.nr_free, 8);
	assert_int_equal(add(4, 4, &tokens[1]), HV_OK);
	assert_int_equal(q.nr_free, 0);
}

static void starts_anew(void **state)
{
	struct virtq_shape shape;

	(void)state;
	make(4, 0, 0, false);
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	is_broken(4, 0);
	shape = q.shape;
	virtq_init(&q, memory, BUS, &shape);
	assert_int_equal(*used(VIRTQ_IDX), 0);
	assert_int_equal(*avail(VIRTQ_IDX), 0);
	assert_int_equal(add(2, 2, &tokens[0]), HV_OK);
}

static void notifies_unless_the_device_wants_none(void **state)
{
	(void)state;
	make(4, 0, 0, false);
	assert_false(virtq_show(&q)); /* there is nothing new */
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	assert_true(virtq_show(&q));
	*used(VIRTQ_FLAGS) = VIRTQ_USED_F_NO_NOTIFY;
	assert_int_equal(add(0, 1, &tokens[1]), HV_OK);
	assert_false(virtq_show(&q));
}

/* avail_event stands behind the used ring. */
static void notifies_when_the_index_passes_the_devices_event(void **state)
{
	uint16_t *avail_event;

	(void)state;
	make(8, 0, 0, true);
	avail_event = used(VIRTQ_RING + 4 * 8);
	*used(VIRTQ_FLAGS) = VIRTQ_USED_F_NO_NOTIFY; /* means nothing now */
	*avail_event = 1;
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	assert_false(virtq_show(&q));
	assert_int_equal(add(0, 1, &tokens[1]), HV_OK);
	assert_true(virtq_show(&q));
	assert_int_equal(add(0, 1, &tokens[2]), HV_OK);
	assert_false(virtq_show(&q));
	*avail_event = 4;
	assert_int_equal(add(0, 1, &tokens[3]), HV_OK);
	assert_int_equal(add(0, 1, &tokens[4]), HV_OK);
	assert_int_equal(add(0, 1, &tokens[5]), HV_OK);
	assert_true(virtq_show(&q)); /* in the middle of what is new */
}

static void listens_by_the_flag(void **state)
{
	(void)state;
	make(4, 0, 0, false);
	virtq_mute(&q);
	assert_int_equal(*avail(VIRTQ_FLAGS), VIRTQ_AVAIL_F_NO_INTERRUPT);
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	assert_false(virtq_listen(&q));
	assert_int_equal(*avail(VIRTQ_FLAGS), 0);
	use(head_of(0), 0);
	assert_true(virtq_listen(&q)); /* it came before we listened */
}

/* used_event stands behind the avail ring. */
static void listens_by_the_event_index(void **state)
{
	uint32_t written;
	uint16_t *used_event;

	(void)state;
	make(4, 0, 0, true);
	used_event = avail(VIRTQ_RING + 4);
	virtq_mute(&q);
	assert_int_equal(*used_event, 0xffff);
	assert_int_equal(*avail(VIRTQ_FLAGS), 0);
	assert_int_equal(add(0, 1, &tokens[0]), HV_OK);
	use(head_of(0), 0);
	assert_non_null(virtq_get(&q, &written));
	assert_false(virtq_listen(&q));
	assert_int_equal(*used_event, 1);
	virtq_mute(&q);
	assert_int_equal(*used_event, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lays_its_parts_out_as_the_specification_has_them),
		cmocka_unit_test(chains_what_the_device_reads_before_what_it_writes),
		cmocka_unit_test(puts_several_pieces_into_a_table),
		cmocka_unit_test(chains_what_is_too_long_for_a_table),
		cmocka_unit_test(needs_no_more_tables_than_chains_are_out),
		cmocka_unit_test(gives_tokens_back_in_the_order_of_the_used_ring),
		cmocka_unit_test(goes_round_the_ring_and_the_index),
		cmocka_unit_test(takes_no_more_than_it_has_descriptors_for),
		cmocka_unit_test(is_broken_by_an_id_beyond_the_queue),
		cmocka_unit_test(is_broken_by_a_chain_that_is_not_out),
		cmocka_unit_test(is_broken_by_more_bytes_than_there_was_room_for),
		cmocka_unit_test(is_broken_by_an_index_that_jumps),
		cmocka_unit_test(does_not_read_back_what_the_device_may_have_changed),
		cmocka_unit_test(starts_anew),
		cmocka_unit_test(notifies_unless_the_device_wants_none),
		cmocka_unit_test(notifies_when_the_index_passes_the_devices_event),
		cmocka_unit_test(listens_by_the_flag),
		cmocka_unit_test(listens_by_the_event_index),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
