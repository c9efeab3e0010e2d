/* SPDX-License-Identifier: Apache-2.0 */
/* A split virtqueue, from the device's side, with honest and dishonest drivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/vring.h"

#define RAM   (2 * GMEM_CHUNK)
#define SIZE  8u
#define RINGS 0x10000ull
#define TABLE 0x20000ull /* indirect */
#define BUF   0x30000ull

static struct vm *vm;
static const struct gmem *mem;
static struct vring vring;
static struct vdriver_queue driver;
static struct vring_chain chain;

static enum hv_err setup(uint16_t size, uint64_t features)
{
	enum hv_err err;

	vdriver_queue_init(&driver, mem, size ? size : 1, RINGS);
	err = vring_setup(&vring, size, driver.desc_gpa, driver.avail_gpa, driver.used_gpa,
			  features);
	vring.is_live = err == HV_OK;
	return err;
}

static int make_queue(void **state)
{
	(void)state;
	vm = fake_vm_create(RAM, 0);
	mem = vm_memory(vm);
	vring_init(&vring, mem);
	lock_take(&vring.lock);
	return setup(SIZE, VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);
}

static int drop_queue(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static void add_one(uint64_t gpa, uint32_t len_bytes)
{
	vdriver_add(&driver, &(struct vdriver_buf){.gpa = gpa, .len_bytes = len_bytes}, 1);
}

/* The queue yields nothing, is broken for this reason, and stays so. */
static void assert_breaks(const char *why)
{
	assert_false(vring_pop(&vring, &chain));
	assert_non_null(vring.broken_why);
	assert_string_equal(vring.broken_why, why);
	assert_false(vring_pop(&vring, &chain));
	assert_int_equal(vring_arm(&vring), 0);
}

static void breaks_on_desc(struct vring_desc desc, const char *why)
{
	vdriver_put_desc(&driver, driver.desc_gpa, 0, &desc);
	vdriver_show_head(&driver, 0);
	assert_breaks(why);
}

/* ---- set-up ---- */

static void refuses_rings_that_do_not_fit_the_rules(void **state)
{
	(void)state;
	assert_int_equal(setup(0, 0), HV_EINVAL);
	assert_int_equal(setup(3, 0), HV_EINVAL);
	assert_int_equal(setup(512, 0), HV_EINVAL);
	assert_int_equal(vring_setup(&vring, 8, 0x1008, 0x2000, 0x3000, 0), HV_EINVAL);
	assert_int_equal(vring_setup(&vring, 8, 0x1000, 0x2001, 0x3000, 0), HV_EINVAL);
	assert_int_equal(vring_setup(&vring, 8, 0x1000, 0x2000, 0x3002, 0), HV_EINVAL);
	assert_int_equal(vring_setup(&vring, 8, RAM - 64, 0x2000, 0x3000, 0), HV_EINVAL);
	assert_int_equal(vring_setup(&vring, 8, 0x1000, RAM - 20, 0x3000, 0), HV_EINVAL);
	assert_int_equal(vring_setup(&vring, 8, 0x1000, 0x2000, RAM - 68, 0), HV_EINVAL);
	assert_int_equal(vring_setup(&vring, 8, ~0xfull, 0x2000, 0x3000, 0), HV_EINVAL);
	/* 8 entries: 128, 22 and 70 bytes */
	assert_int_equal(vring_setup(&vring, 8, RAM - 128, RAM - 22, RAM - 72, 0), HV_OK);
}

static void yields_nothing_before_it_is_live(void **state)
{
	(void)state;
	add_one(BUF, 16);
	vring.is_live = false;
	assert_int_equal(vring_arm(&vring), 0);
	assert_false(vring_pop(&vring, &chain));
	vring.is_live = true;
	assert_true(vring_pop(&vring, &chain));
}

/* ---- honest chains ---- */

static void pops_readable_then_writable_pieces(void **state)
{
	const struct vdriver_buf bufs[] = {
		{BUF, 10, false}, {BUF + 0x100, 20, false}, {BUF + 0x200, 30, true}};
	uint32_t head, len;

	(void)state;
	vdriver_add(&driver, bufs, 3);
	assert_int_equal(vring_arm(&vring), 1);
	assert_true(vring_pop(&vring, &chain));
	assert_int_equal(chain.head, 0);
	assert_int_equal(chain.nr_pieces, 3);
	assert_int_equal(chain.nr_readable, 2);
	assert_int_equal(chain.readable_bytes, 30);
	assert_int_equal(chain.writable_bytes, 30);
	assert_int_equal(chain.pieces[2].gpa, BUF + 0x200);
	assert_false(vring_pop(&vring, &chain));

	vring_put(&vring, chain.head, 5);
	assert_false(vdriver_take(&driver, &head, &len));
	assert_true(vring_flush(&vring));
	assert_true(vdriver_take(&driver, &head, &len));
	assert_int_equal(head, 0);
	assert_int_equal(len, 5);
	assert_false(vring_flush(&vring));
}

static void copies_through_pieces_and_chunks(void **state)
{
	const struct vdriver_buf bufs[] = {{BUF, 3, false},
					   {GMEM_CHUNK - 2, 4, false},
					   {BUF + 0x80, 2, true},
					   {GMEM_CHUNK + 0x100, 8, true}};
	char got[16] = {0};

	(void)state;
	assert_int_equal(gmem_write(mem, BUF, "abc", 3), HV_OK);
	assert_int_equal(gmem_write(mem, GMEM_CHUNK - 2, "defg", 4), HV_OK);
	vdriver_add(&driver, bufs, 4);
	assert_true(vring_pop(&vring, &chain));

	assert_int_equal(vring_chain_read(&vring, &chain, 0, got, sizeof(got)), 7);
	assert_string_equal(got, "abcdefg");
	memset(got, 0, sizeof(got));
	assert_int_equal(vring_chain_read(&vring, &chain, 2, got, 3), 3);
	assert_string_equal(got, "cde");
	assert_int_equal(vring_chain_read(&vring, &chain, 7, got, 1), 0);
	assert_int_equal(vring_chain_read(&vring, &chain, ~0ull, got, 1), 0);

	assert_int_equal(vring_chain_write(&vring, &chain, 1, "0123456789", 10), 9);
	assert_int_equal(gmem_read(mem, BUF + 0x80, got, 2), HV_OK);
	assert_memory_equal(got, "\0000", 2);
	assert_int_equal(gmem_read(mem, GMEM_CHUNK + 0x100, got, 8), HV_OK);
	assert_memory_equal(got, "12345678", 8);
}

static void follows_an_indirect_table(void **state)
{
	const struct vdriver_buf bufs[] = {
		{BUF, 1, false}, {BUF + 8, 2, false}, {BUF + 16, 4, true}};

	(void)state;
	vdriver_add_indirect(&driver, TABLE, bufs, 3);
	assert_true(vring_pop(&vring, &chain));
	assert_int_equal(chain.readable_bytes, 3);
	assert_int_equal(chain.writable_bytes, 4);
}

static void follows_a_misaligned_table_into_the_next_chunk(void **state)
{
	const struct vdriver_buf bufs[] = {{BUF, 3, false}, {BUF + 8, 5, true}};

	(void)state;
	vdriver_add_indirect(&driver, GMEM_CHUNK - 24, bufs, 2);
	assert_true(vring_pop(&vring, &chain));
	assert_int_equal(chain.readable_bytes, 3);
	assert_int_equal(chain.pieces[1].gpa, BUF + 8);
	assert_int_equal(chain.writable_bytes, 5);
}

static void follows_plain_descriptors_into_an_indirect_table(void **state)
{
	const struct vring_desc first = {BUF, 5, VRING_DESC_F_NEXT, 1};
	const struct vring_desc second = {TABLE, 16, VRING_DESC_F_INDIRECT, 0};
	const struct vring_desc inner = {BUF + 8, 6, VRING_DESC_F_WRITE, 0};

	(void)state;
	vdriver_put_desc(&driver, driver.desc_gpa, 0, &first);
	vdriver_put_desc(&driver, driver.desc_gpa, 1, &second);
	vdriver_put_desc(&driver, TABLE, 0, &inner);
	vdriver_show_head(&driver, 0);
	assert_true(vring_pop(&vring, &chain));
	assert_int_equal(chain.readable_bytes, 5);
	assert_int_equal(chain.writable_bytes, 6);
}

static void lets_indices_wrap(void **state)
{
	uint32_t head, len;

	(void)state;
	vdriver_set_used_event(&driver, 0);
	for (uint32_t i = 0; i < 0x10000 + 3 * SIZE; i++) {
		uint16_t added = vdriver_add(&driver, &(struct vdriver_buf){BUF, 4, true}, 1);

		assert_int_equal(vring_arm(&vring), 1);
		assert_int_equal(vdriver_avail_event(&driver), (uint16_t)(i + 1));
		assert_true(vring_pop(&vring, &chain));
		vring_put(&vring, chain.head, i);
		vdriver_set_used_event(&driver, (uint16_t)i);
		assert_true(vring_flush(&vring));
		assert_true(vdriver_take(&driver, &head, &len));
		assert_int_equal(head, added);
		assert_int_equal(len, i);
	}
}

static void takes_a_full_queue(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SIZE; i++)
		add_one(BUF, i + 1);
	assert_int_equal(vring_arm(&vring), SIZE);
	for (uint32_t i = 0; i < SIZE; i++) {
		assert_true(vring_pop(&vring, &chain));
		assert_int_equal(chain.readable_bytes, i + 1);
	}
	assert_false(vring_pop(&vring, &chain));
	assert_null(vring.broken_why);
}

static void gives_back_what_was_not_used(void **state)
{
	uint32_t head, len;

	(void)state;
	add_one(BUF, 1);
	add_one(BUF, 2);
	assert_true(vring_pop(&vring, &chain));
	vring_put(&vring, chain.head, 0);
	assert_true(vring_pop(&vring, &chain));
	vring_unpop(&vring, 2);
	assert_false(vring_flush(&vring));
	assert_false(vdriver_take(&driver, &head, &len));
	assert_true(vring_pop(&vring, &chain));
	assert_int_equal(chain.readable_bytes, 1);
}

static void skips_empty_descriptors(void **state)
{
	const struct vdriver_buf bufs[] = {{~0ull, 0, false}, {BUF, 4, false}, {~0ull, 0, true}};

	(void)state;
	vdriver_add(&driver, bufs, 3);
	assert_true(vring_pop(&vring, &chain));
	assert_int_equal(chain.nr_pieces, 1);
	assert_int_equal(chain.readable_bytes, 4);
}

/* ---- notifications ---- */

static bool flush_one(void)
{
	add_one(BUF, 4);
	assert_true(vring_pop(&vring, &chain));
	vring_put(&vring, chain.head, 0);
	return vring_flush(&vring);
}

static void interrupts_when_the_used_event_is_passed(void **state)
{
	(void)state;
	vdriver_set_used_event(&driver, 2);
	assert_true(flush_one()); /* the first is always told: there is no earlier answer */
	assert_false(flush_one());
	assert_true(flush_one()); /* entry 2 */
	assert_false(flush_one());
}

static void counts_a_batch_as_passing_its_middle(void **state)
{
	(void)state;
	assert_true(flush_one());
	vdriver_set_used_event(&driver, 2);
	for (uint32_t i = 0; i < 3; i++) {
		add_one(BUF, 4);
		assert_true(vring_pop(&vring, &chain));
		vring_put(&vring, chain.head, 0);
	}
	assert_true(vring_flush(&vring));
}

static void heeds_flags_without_event_indices(void **state)
{
	uint16_t no_interrupt = VRING_AVAIL_F_NO_INTERRUPT;

	(void)state;
	assert_int_equal(setup(SIZE, 0), HV_OK);
	assert_true(flush_one());
	assert_int_equal(gmem_write_u16(mem, driver.avail_gpa, no_interrupt), HV_OK);
	assert_false(flush_one());
	assert_int_equal(vdriver_used_flags(&driver), 0);
	vring_quiet(&vring);
	assert_int_equal(vdriver_used_flags(&driver), VRING_USED_F_NO_NOTIFY);
}

static void arms_at_the_end_of_what_waits(void **state)
{
	(void)state;
	add_one(BUF, 4);
	add_one(BUF, 4);
	add_one(BUF, 4);
	assert_int_equal(vring_arm(&vring), 3);
	assert_int_equal(vdriver_avail_event(&driver), 3);
}

/* ---- dishonest drivers ---- */

static void breaks_on_a_descriptor_that_links_to_itself(void **state)
{
	(void)state;
	breaks_on_desc((struct vring_desc){BUF, 1, VRING_DESC_F_NEXT, 0}, "chain loops");
}

static void breaks_on_a_loop_of_two(void **state)
{
	(void)state;
	vdriver_put_desc(&driver, driver.desc_gpa, 1,
			 &(struct vring_desc){BUF, 1, VRING_DESC_F_NEXT, 0});
	breaks_on_desc((struct vring_desc){BUF, 1, VRING_DESC_F_NEXT, 1}, "chain loops");
}

static void breaks_on_a_loop_in_an_indirect_table(void **state)
{
	(void)state;
	vdriver_put_desc(&driver, TABLE, 0, &(struct vring_desc){BUF, 1, VRING_DESC_F_NEXT, 1});
	vdriver_put_desc(&driver, TABLE, 1, &(struct vring_desc){BUF, 1, VRING_DESC_F_NEXT, 0});
	breaks_on_desc((struct vring_desc){TABLE, 32, VRING_DESC_F_INDIRECT, 0}, "chain loops");
}

static void breaks_on_indices_out_of_range(void **state)
{
	(void)state;
	breaks_on_desc((struct vring_desc){BUF, 1, VRING_DESC_F_NEXT, SIZE},
		       "descriptor index is out of range");
}

static void breaks_on_a_head_out_of_range(void **state)
{
	(void)state;
	vdriver_show_head(&driver, SIZE);
	assert_breaks("descriptor index is out of range");
}

static void breaks_on_buffers_outside_ram(void **state)
{
	(void)state;
	breaks_on_desc((struct vring_desc){RAM - 1, 2, 0, 0}, "buffer is not in RAM");
}

static void breaks_on_a_buffer_that_wraps_around(void **state)
{
	(void)state;
	breaks_on_desc((struct vring_desc){~0ull - 1, 0xffffffff, 0, 0}, "buffer is not in RAM");
}

static void breaks_on_readable_behind_writable(void **state)
{
	const struct vdriver_buf bufs[] = {{BUF, 1, true}, {BUF, 1, false}};

	(void)state;
	vdriver_add(&driver, bufs, 2);
	assert_breaks("readable descriptor behind a writable one");
}

static void breaks_on_bad_indirect_tables(void **state)
{
	static const struct {
		struct vring_desc desc;
		const char *why;
	} rows[] = {
		{{TABLE, 0, VRING_DESC_F_INDIRECT, 0}, "indirect table is no multiple of 16 bytes"},
		{{TABLE, 24, VRING_DESC_F_INDIRECT, 0},
		 "indirect table is no multiple of 16 bytes"},
		{{TABLE, 16 * 257, VRING_DESC_F_INDIRECT, 0}, "indirect table is too long"},
		{{TABLE, 0xfffffff0, VRING_DESC_F_INDIRECT, 0}, "indirect table is too long"},
		{{RAM - 8, 16, VRING_DESC_F_INDIRECT, 0}, "indirect table is not in RAM"},
		{{TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1},
		 "indirect descriptor has a next one"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(setup(SIZE, VIRTIO_F_INDIRECT_DESC), HV_OK);
		breaks_on_desc(rows[i].desc, rows[i].why);
	}
}

static void breaks_on_an_indirect_table_in_an_indirect_table(void **state)
{
	(void)state;
	vdriver_put_desc(&driver, TABLE, 0,
			 &(struct vring_desc){TABLE, 16, VRING_DESC_F_INDIRECT, 0});
	breaks_on_desc((struct vring_desc){TABLE, 16, VRING_DESC_F_INDIRECT, 0},
		       "indirect descriptor in an indirect table");
}

static void breaks_on_an_indirect_table_that_was_not_agreed_on(void **state)
{
	(void)state;
	assert_int_equal(setup(SIZE, 0), HV_OK);
	breaks_on_desc((struct vring_desc){TABLE, 16, VRING_DESC_F_INDIRECT, 0},
		       "indirect descriptor was not negotiated");
}

static void breaks_on_more_pieces_than_it_holds(void **state)
{
	struct vring_desc desc = {BUF, 1, VRING_DESC_F_NEXT, 0};

	(void)state;
	for (uint16_t i = 0; i < VRING_SIZE_MAX; i++) {
		desc.next = (uint16_t)(i + 1);
		desc.flags = i + 1 < (int)VRING_SIZE_MAX ? VRING_DESC_F_NEXT : 0;
		vdriver_put_desc(&driver, TABLE, i, &desc);
	}
	desc = (struct vring_desc){BUF, 1, VRING_DESC_F_NEXT, 1};
	vdriver_put_desc(
		&driver, driver.desc_gpa, 1,
		&(struct vring_desc){TABLE, 16 * VRING_SIZE_MAX, VRING_DESC_F_INDIRECT, 0});
	breaks_on_desc(desc, "chain has too many descriptors");
}

static void breaks_on_an_index_that_jumps(void **state)
{
	(void)state;
	assert_int_equal(gmem_write_u16(mem, driver.avail_gpa + VRING_AVAIL_IDX, SIZE + 1), HV_OK);
	assert_breaks("available index jumped");
}

static void breaks_on_an_index_that_goes_back(void **state)
{
	(void)state;
	add_one(BUF, 4);
	assert_true(vring_pop(&vring, &chain));
	assert_int_equal(gmem_write_u16(mem, driver.avail_gpa + VRING_AVAIL_IDX, 0), HV_OK);
	assert_int_equal(vring_arm(&vring), 0);
	assert_breaks("available index jumped");
}

static void is_whole_again_after_a_reset(void **state)
{
	(void)state;
	vdriver_show_head(&driver, SIZE);
	assert_breaks("descriptor index is out of range");
	vring_reset(&vring);
	assert_false(vring_pop(&vring, &chain));
	assert_int_equal(setup(SIZE, 0), HV_OK);
	add_one(BUF, 4);
	assert_true(vring_pop(&vring, &chain));
}

#define QUEUE_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_queue, drop_queue)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(refuses_rings_that_do_not_fit_the_rules),
		QUEUE_TEST(yields_nothing_before_it_is_live),
		QUEUE_TEST(pops_readable_then_writable_pieces),
		QUEUE_TEST(copies_through_pieces_and_chunks),
		QUEUE_TEST(follows_an_indirect_table),
		QUEUE_TEST(follows_a_misaligned_table_into_the_next_chunk),
		QUEUE_TEST(follows_plain_descriptors_into_an_indirect_table),
		QUEUE_TEST(lets_indices_wrap),
		QUEUE_TEST(takes_a_full_queue),
		QUEUE_TEST(gives_back_what_was_not_used),
		QUEUE_TEST(skips_empty_descriptors),
		QUEUE_TEST(interrupts_when_the_used_event_is_passed),
		QUEUE_TEST(counts_a_batch_as_passing_its_middle),
		QUEUE_TEST(heeds_flags_without_event_indices),
		QUEUE_TEST(arms_at_the_end_of_what_waits),
		QUEUE_TEST(breaks_on_a_descriptor_that_links_to_itself),
		QUEUE_TEST(breaks_on_a_loop_of_two),
		QUEUE_TEST(breaks_on_a_loop_in_an_indirect_table),
		QUEUE_TEST(breaks_on_indices_out_of_range),
		QUEUE_TEST(breaks_on_a_head_out_of_range),
		QUEUE_TEST(breaks_on_buffers_outside_ram),
		QUEUE_TEST(breaks_on_a_buffer_that_wraps_around),
		QUEUE_TEST(breaks_on_readable_behind_writable),
		QUEUE_TEST(breaks_on_bad_indirect_tables),
		QUEUE_TEST(breaks_on_an_indirect_table_in_an_indirect_table),
		QUEUE_TEST(breaks_on_an_indirect_table_that_was_not_agreed_on),
		QUEUE_TEST(breaks_on_more_pieces_than_it_holds),
		QUEUE_TEST(breaks_on_an_index_that_jumps),
		QUEUE_TEST(breaks_on_an_index_that_goes_back),
		QUEUE_TEST(is_whole_again_after_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
