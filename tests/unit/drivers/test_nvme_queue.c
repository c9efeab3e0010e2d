/* SPDX-License-Identifier: Apache-2.0 */
/* A pair of queues against a simulated controller, which may be a hostile one. */
#include "drivers/nvme_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES	  8u
#define ID	  3u
#define LISTS_HPA 0x7000000ull

static struct nvme_queue queue;
static struct nvme_command *sq; /* exactly as long as the ring, for the address sanitizer */
static struct nvme_completion *cq;
static uint64_t *lists;
static uint32_t cq_tail;
static bool phase;
static int owners[ENTRIES];

static int make(void **state)
{
	(void)state;
	sq = malloc(ENTRIES * sizeof(*sq));
	cq = malloc(ENTRIES * sizeof(*cq));
	lists = malloc((ENTRIES - 1) * NVME_LIST_BYTES);
	memset(cq, 0xff, ENTRIES * sizeof(*cq));
	nvme_queue_init(&queue, ID, ENTRIES, sq, cq, lists, LISTS_HPA);
	cq_tail = 0;
	phase = true;
	return 0;
}

static int drop(void **state)
{
	(void)state;
	free(sq);
	free(cq);
	free(lists);
	return 0;
}

/* ---- the controller ---- */

static void write_entry(uint32_t sq_part, uint16_t cid, uint16_t status, uint32_t result)
{
	cq[cq_tail] = (struct nvme_completion){
		.dw0 = result,
		.sq = sq_part,
		.status = cid | (uint32_t)FIELD_PREP(NVME_CQE_STATUS, status) |
			  (phase ? NVME_CQE_PHASE : 0),
	};
	cq_tail = (cq_tail + 1) % ENTRIES;
	if (cq_tail == 0)
		phase = !phase;
}

static void complete(uint16_t cid, uint16_t status, uint32_t result)
{
	write_entry(ID << 16 | queue.sq_tail, cid, status, result);
}

static uint16_t start(int *owner)
{
	struct nvme_command command = {.opcode = NVME_FLUSH, .cid = 0x7777};
	uint16_t slot = 0;

	assert_true(nvme_queue_take(&queue, owner, &queue, &slot));
	nvme_queue_put(&queue, slot, &command);
	return slot;
}

static void expect_found(const int *owner, uint16_t status)
{
	struct nvme_done done;

	assert_int_equal(nvme_queue_next(&queue, &done), NVME_FOUND);
	assert_ptr_equal(done.owner, owner);
	assert_ptr_equal(done.context, &queue);
	assert_int_equal(done.status, status);
}

/* ---- rings ---- */

static void completes_commands_in_any_order(void **state)
{
	struct nvme_done done;
	uint16_t slots[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		slots[i] = start(&owners[i]);
		assert_int_equal(sq[i].cid, slots[i]);
		assert_int_equal(queue.sq_tail, i + 1);
	}
	assert_int_equal(nvme_queue_next(&queue, &done), NVME_NOTHING);
	complete(slots[1], 0, 0x1234);
	assert_int_equal(nvme_queue_next(&queue, &done), NVME_FOUND);
	assert_ptr_equal(done.owner, &owners[1]);
	assert_int_equal(done.result, 0x1234);
	assert_int_equal(queue.cq_head, 1);
	assert_int_equal(nvme_queue_next(&queue, &done), NVME_NOTHING);
	complete(slots[2], 0x4281, 0);
	complete(slots[0], 0, 0);
	expect_found(&owners[2], 0x4281);
	expect_found(&owners[0], 0);
	assert_int_equal(nvme_queue_next(&queue, &done), NVME_NOTHING);
}

static void goes_round_many_times(void **state)
{
	struct nvme_done done;

	(void)state;
	for (uint32_t i = 0; i < 10 * ENTRIES + 3; i++) {
		complete(start(&owners[0]), 0, 0);
		expect_found(&owners[0], 0);
		assert_int_equal(nvme_queue_next(&queue, &done), NVME_NOTHING);
	}
}

static void has_a_slot_less_than_entries(void **state)
{
	uint16_t slot;

	(void)state;
	for (uint32_t i = 0; i < ENTRIES - 1; i++)
		start(&owners[i]);
	assert_false(nvme_queue_take(&queue, &owners[7], NULL, &slot));
	complete(4, 0, 0);
	expect_found(&owners[4], 0);
	assert_int_equal(start(&owners[7]), 4);
}

static void forgets_everything_when_it_starts_again(void **state)
{
	struct nvme_done done;

	(void)state;
	for (uint32_t i = 0; i < ENTRIES - 1; i++)
		start(&owners[i]);
	complete(0, 0, 0);
	nvme_queue_init(&queue, ID, ENTRIES, sq, cq, lists, LISTS_HPA);
	assert_int_equal(nvme_queue_next(&queue, &done), NVME_NOTHING);
	assert_int_equal(start(&owners[0]), 0);
}

/* ---- a hostile controller ---- */

static void finds_a_controller_broken_that_makes_up_completions(void **state)
{
	static const struct {
		uint32_t sq;
		uint16_t cid;
	} bad[] = {
		{ID << 16, 1},		 /* not given */
		{ID << 16, ENTRIES - 1}, /* no such slot */
		{ID << 16, 0xffff},	 /* nor this */
		{(ID + 1) << 16, 0},	 /* another queue's */
		{ID << 16 | ENTRIES, 0}, /* a head outside of the ring */
		{ID << 16 | 0xffff, 0},
	};
	struct nvme_done done = {.owner = owners};

	(void)state;
	assert_int_equal(start(&owners[0]), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_entry(bad[i].sq, bad[i].cid, 0, 0);
		assert_int_equal(nvme_queue_next(&queue, &done), NVME_BROKEN);
		assert_ptr_equal(done.owner, owners); /* left alone */
	}
	complete(0, 0, 0);
	expect_found(&owners[0], 0);
	complete(0, 0, 0); /* for the second time */
	assert_int_equal(nvme_queue_next(&queue, &done), NVME_BROKEN);
}

static void does_not_look_at_an_entry_of_the_last_lap(void **state)
{
	struct nvme_done done;

	(void)state;
	for (uint32_t i = 0; i < ENTRIES; i++) {
		complete(start(&owners[0]), 0, 0);
		expect_found(&owners[0], 0);
	}
	start(&owners[1]);
	phase = !phase; /* an entry that claims to be there already in the last lap */
	complete(0, 0, 0);
	assert_int_equal(nvme_queue_next(&queue, &done), NVME_NOTHING);
}

/* ---- commands ---- */

static struct nvme_command make_command(struct block_request *req, uint16_t slot)
{
	struct nvme_command command;

	memset(lists, 0xee, (ENTRIES - 1) * NVME_LIST_BYTES);
	nvme_command_of(&queue, slot, 7, req, &command);
	return command;
}

static void names_one_page_or_two_in_the_command(void **state)
{
	struct block_seg segs[2] = {{0x1e00, 512}};
	struct block_request req = {.op = BLOCK_READ,
				    .sector = 0x123456789a,
				    .nr_sectors = 1,
				    .nr_segs = 1,
				    .segs = segs};
	struct nvme_command c = make_command(&req, 2);

	(void)state;
	assert_int_equal(c.opcode, NVME_READ);
	assert_int_equal(c.nsid, 7);
	assert_int_equal(c.prp1, 0x1e00);
	assert_int_equal(c.prp2, 0);
	assert_int_equal(c.cdw10, 0x3456789a);
	assert_int_equal(c.cdw11, 0x12);
	assert_int_equal(c.cdw12, 0);

	segs[0].len_bytes = 1024; /* runs into the next page */
	req.op = BLOCK_WRITE;
	req.nr_sectors = 2;
	c = make_command(&req, 2);
	assert_int_equal(c.opcode, NVME_WRITE);
	assert_int_equal(c.prp2, 0x2000);
	assert_int_equal(c.cdw12, 1);

	segs[0].len_bytes = 512;
	segs[1] = (struct block_seg){0x9000, 512};
	req.nr_segs = 2;
	c = make_command(&req, 2);
	assert_int_equal(c.prp1, 0x1e00);
	assert_int_equal(c.prp2, 0x9000);
	assert_int_equal(lists[3 * NVME_LIST_ENTRIES], 0xeeeeeeeeeeeeeeee);
}

static void lists_the_pages_of_more(void **state)
{
	struct block_seg segs[3] = {{0x1004, 4092}, {0x8000, 8192}, {0x5000, 100}};
	struct block_request req = {.op = BLOCK_READ, .nr_sectors = 1, .nr_segs = 3, .segs = segs};
	struct nvme_command c = make_command(&req, 2);
	const uint64_t *list = lists + 2 * NVME_LIST_ENTRIES;

	(void)state;
	assert_int_equal(c.prp1, 0x1004);
	assert_int_equal(c.prp2, LISTS_HPA + 2 * NVME_LIST_BYTES);
	assert_int_equal(list[0], 0x8000);
	assert_int_equal(list[1], 0x9000);
	assert_int_equal(list[2], 0x5000);
	assert_int_equal(list[3], 0xeeeeeeeeeeeeeeee);
}

static void has_a_list_as_long_as_the_largest_transfer(void **state)
{
	struct block_seg seg = {0x100ffc, NVME_BYTES_MAX}; /* touches one page more */
	struct block_request req = {.op = BLOCK_READ, .nr_sectors = 1, .nr_segs = 1, .segs = &seg};
	struct nvme_command c = make_command(&req, ENTRIES - 2);
	const uint64_t *list = lists + (ENTRIES - 2) * NVME_LIST_ENTRIES;

	(void)state;
	assert_int_equal(c.prp1, 0x100ffc);
	for (uint32_t i = 0; i < NVME_LIST_ENTRIES; i++)
		assert_int_equal(list[i], 0x101000 + 4096 * i);
}

static void discards_one_range(void **state)
{
	struct block_request req = {.op = BLOCK_DISCARD, .sector = 0x100000001, .nr_sectors = 99};
	struct nvme_command c = make_command(&req, 1);
	struct nvme_range range;

	(void)state;
	memcpy(&range, lists + NVME_LIST_ENTRIES, sizeof(range));
	assert_int_equal(c.opcode, NVME_DATASET);
	assert_int_equal(c.prp1, LISTS_HPA + NVME_LIST_BYTES);
	assert_int_equal(c.cdw10, 0);
	assert_int_equal(c.cdw11, 4);
	assert_int_equal(range.attributes, 0);
	assert_int_equal(range.nr_blocks, 99);
	assert_int_equal(range.start, 0x100000001);
}

static void flushes_without_data(void **state)
{
	struct block_request req = {.op = BLOCK_FLUSH};
	struct nvme_command c = make_command(&req, 1);

	(void)state;
	assert_int_equal(c.opcode, NVME_FLUSH);
	assert_int_equal(c.nsid, 7);
	assert_int_equal(c.prp1 | c.prp2 | c.cdw10 | c.cdw12, 0);
}

static void tries_again_what_may_be_tried_again(void **state)
{
	(void)state;
	assert_int_equal(nvme_status_error(0), HV_OK);
	assert_int_equal(nvme_status_error(0x2000), HV_OK);    /* there is more in a log */
	assert_int_equal(nvme_status_error(0x0006), HV_EBUSY); /* internal error */
	assert_int_equal(nvme_status_error(0x4006), HV_EIO);
	assert_int_equal(nvme_status_error(0x0281), HV_EBUSY); /* unrecovered read error */
	assert_int_equal(nvme_status_error(0x4281), HV_EIO);
	assert_int_equal(nvme_status_error(0x4080), HV_EIO); /* LBA out of range */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(completes_commands_in_any_order),
		TEST(goes_round_many_times),
		TEST(has_a_slot_less_than_entries),
		TEST(forgets_everything_when_it_starts_again),
		TEST(finds_a_controller_broken_that_makes_up_completions),
		TEST(does_not_look_at_an_entry_of_the_last_lap),
		TEST(names_one_page_or_two_in_the_command),
		TEST(lists_the_pages_of_more),
		TEST(has_a_list_as_long_as_the_largest_transfer),
		TEST(discards_one_range),
		TEST(flushes_without_data),
		TEST(tries_again_what_may_be_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
