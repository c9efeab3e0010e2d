/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of requests over a simulated disk on simulated time. The disk has a few slots and does
 * what a test tells it: finish a request with a status, with or without an interrupt, keep it, say
 * that it has no room, be reset at once, later or never.
 */
#include "drivers/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"
#include "tests/unit/support/fake_power.h"
#include "tests/unit/support/fake_timers.h"

#define SLOTS	4u
#define SECTORS 1000u
#define REQS	12u
#define MS	NSEC_PER_MSEC

enum reset_answer { RESET_AT_ONCE, RESET_FAILS, RESET_LATER };

static struct block_dev dev;

static struct {
	struct block_request *slots[SLOTS];
	struct block_request *order[64]; /* as they were accepted */
	uint32_t nr_accepted, nr_submits, nr_polls, nr_resets, nr_abandoned, nr_shut_down;
	uint32_t nr_slots;
	enum hv_err answer; /* to each submit, unless HV_OK */
	bool is_instant;    /* completes inside of submit() */
	enum hv_err instant_status;
	enum reset_answer reset;
	bool finishes_on_poll;
	void (*in_submit)(void); /* something that comes between, on another CPU */
} disk;

/* A request with what became of it. */
struct sent {
	struct block_request req;
	struct block_seg seg;
	uint32_t nr_done;
	enum hv_err status;
	void (*then)(struct sent *sent);
};

static struct sent sent[REQS];

static void done(struct block_request *req, enum hv_err status)
{
	struct sent *s = req->arg;

	assert_false(lock_is_held(&dev.lock));
	s->nr_done++;
	s->status = status;
	if (s->then)
		s->then(s);
}

/* ---- the disk ---- */

static void forget_all(void)
{
	memset(disk.slots, 0, sizeof(disk.slots));
}

static enum hv_err disk_submit(struct block_dev *d, struct block_request *req)
{
	void (*between)(void) = disk.in_submit;

	assert_ptr_equal(d, &dev);
	assert_false(lock_is_held(&d->lock));
	assert_true(req->is_with_driver);
	disk.nr_submits++;
	disk.in_submit = NULL;
	if (between)
		between();
	if (disk.answer != HV_OK)
		return disk.answer;
	for (uint32_t i = 0; i < disk.nr_slots; i++) {
		if (disk.slots[i])
			continue;
		disk.order[disk.nr_accepted++ % 64] = req;
		block_accept(d, req);
		if (disk.is_instant) {
			block_complete(d, req, disk.instant_status);
			return HV_OK;
		}
		disk.slots[i] = req;
		req->slot = i;
		return HV_OK;
	}
	return HV_EBUSY;
}

static void finish(struct block_request *req, enum hv_err status)
{
	assert_ptr_equal(disk.slots[req->slot], req);
	disk.slots[req->slot] = NULL;
	block_complete(&dev, req, status);
}

static uint32_t disk_poll(struct block_dev *d)
{
	uint32_t nr = 0;

	assert_false(lock_is_held(&d->lock));
	disk.nr_polls++;
	fake_time_ns += MS; /* so that block_run() gets somewhere */
	for (uint32_t i = 0; i < SLOTS && disk.finishes_on_poll; i++) {
		if (!disk.slots[i])
			continue;
		finish(disk.slots[i], HV_OK);
		nr++;
	}
	return nr;
}

static void disk_reset(struct block_dev *d)
{
	assert_false(lock_is_held(&d->lock));
	assert_int_equal(d->state, BLOCK_RESETTING);
	disk.nr_resets++;
	forget_all();
	if (disk.reset != RESET_LATER)
		block_reset_done(d, disk.reset == RESET_FAILS ? HV_EIO : HV_OK);
}

static void disk_abandon(struct block_dev *d)
{
	assert_false(lock_is_held(&d->lock));
	forget_all();
	disk.nr_abandoned++;
}

static void disk_shut_down(struct block_dev *d)
{
	disk.nr_shut_down += d == &dev;
}

static const struct block_ops ops = {.driver = "fake",
				     .submit = disk_submit,
				     .poll = disk_poll,
				     .reset = disk_reset,
				     .abandon = disk_abandon,
				     .shut_down = disk_shut_down};

static int make(void **state)
{
	(void)state;
	fake_timers_reset();
	memset(&disk, 0, sizeof(disk));
	memset(sent, 0, sizeof(sent));
	disk.nr_slots = SLOTS;
	dev = (struct block_dev){
		.ops = &ops,
		.name = "fake0",
		.sector_bytes = 512,
		.nr_sectors = SECTORS,
		.has_volatile_cache = true,
		.limits = {.max_bytes = 65536,
			   .max_segs = 8,
			   .align_bytes = 4,
			   .max_discard_sectors = 100},
	};
	(void)!block_add(
		&dev); /* prepares it, even when the list is full, as it is for most tests */
	return 0;
}

/* Whatever happened: each was ended as often as expected, and nothing is left behind. */
static int check_left(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < REQS; i++)
		assert_true(sent[i].nr_done <= 1);
	assert_int_equal(dev.nr_submitting, 0);
	assert_false(dev.is_pumping);
	return 0;
}

static struct block_request *prepare(uint32_t i, enum block_op op)
{
	struct sent *s = &sent[i];

	s->seg = (struct block_seg){0x10000 * (i + 1), 512};
	s->req = (struct block_request){
		.op = op, .sector = i, .nr_sectors = 1, .done = done, .arg = s};
	if (op == BLOCK_READ || op == BLOCK_WRITE) {
		s->req.nr_segs = 1;
		s->req.segs = &s->seg;
	}
	if (op == BLOCK_FLUSH)
		s->req.sector = s->req.nr_sectors = 0;
	return &s->req;
}

static void send(uint32_t i, enum block_op op)
{
	assert_int_equal(block_submit(&dev, prepare(i, op)), HV_OK);
}

static void send_reads(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		send(i, BLOCK_READ);
}

static void expect_done(uint32_t first, uint32_t nr, enum hv_err status)
{
	for (uint32_t i = first; i < first + nr; i++) {
		assert_int_equal(sent[i].nr_done, 1);
		assert_int_equal(sent[i].status, status);
	}
}

static uint32_t nr_done(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < REQS; i++)
		nr += sent[i].nr_done;
	return nr;
}

/* ---- checks ---- */

static enum hv_err check(struct block_request req)
{
	return block_check(&dev, &req);
}

static void checks_where_a_request_lies_on_the_disk(void **state)
{
	struct block_seg seg = {0x1000, 512};
	struct block_request r = {.op = BLOCK_READ, .nr_sectors = 1, .nr_segs = 1, .segs = &seg};

	(void)state;
	assert_int_equal(check(r), HV_OK);
	r.sector = SECTORS - 1;
	assert_int_equal(check(r), HV_OK);
	r.sector = SECTORS;
	assert_int_equal(check(r), HV_EINVAL);
	r.sector = UINT64_MAX;
	assert_int_equal(check(r), HV_EINVAL);
	r.sector = 0;
	r.nr_sectors = 0;
	assert_int_equal(check(r), HV_EINVAL);
	r.nr_sectors = 1;
	r.op = BLOCK_OPS;
	assert_int_equal(check(r), HV_EINVAL);
}

static void checks_that_segments_add_up_and_are_within_limits(void **state)
{
	struct block_seg segs[9] = {{0x1000, 512}, {0x3000, 512}};
	struct block_request r = {.op = BLOCK_WRITE, .nr_sectors = 2, .nr_segs = 2, .segs = segs};

	(void)state;
	assert_int_equal(check(r), HV_OK);
	r.nr_sectors = 3;
	assert_int_equal(check(r), HV_EINVAL);
	r.nr_sectors = 2;
	segs[1].hpa = 0x3002;
	assert_int_equal(check(r), HV_EINVAL);
	segs[1] = (struct block_seg){UINT64_MAX - 3, 512};
	assert_int_equal(check(r), HV_EINVAL);
	segs[1] = (struct block_seg){0x3000, 0};
	r.nr_sectors = 1;
	assert_int_equal(check(r), HV_EINVAL);
	r.nr_segs = 0;
	assert_int_equal(check(r), HV_EINVAL);

	for (uint32_t i = 0; i < 9; i++)
		segs[i] = (struct block_seg){0x1000, 512};
	r.nr_sectors = r.nr_segs = 8;
	assert_int_equal(check(r), HV_OK);
	r.nr_sectors = r.nr_segs = 9;
	assert_int_equal(check(r), HV_EINVAL);

	segs[0].len_bytes = 65536 + 512;
	r.nr_segs = 1;
	r.nr_sectors = 129;
	assert_int_equal(check(r), HV_EINVAL);
	segs[0].len_bytes = 65536;
	r.nr_sectors = 128;
	assert_int_equal(check(r), HV_OK);
}

static void checks_the_boundary_of_all_segments_but_the_ends(void **state)
{
	struct block_seg segs[3] = {{0x1e00, 512}, {0x5000, 4096}, {0x9000, 512}};
	struct block_request r = {.op = BLOCK_READ, .nr_sectors = 10, .nr_segs = 3, .segs = segs};

	(void)state;
	dev.limits.boundary_bytes = 4096;
	assert_int_equal(check(r), HV_OK);
	segs[0].hpa = 0x1c00; /* ends before a page does */
	assert_int_equal(check(r), HV_EINVAL);
	segs[0].hpa = 0x1e00;
	segs[2].hpa = 0x9200; /* begins inside of one */
	assert_int_equal(check(r), HV_EINVAL);
}

static void refuses_what_the_disk_cannot(void **state)
{
	(void)state;
	assert_int_equal(block_check(&dev, prepare(0, BLOCK_FLUSH)), HV_OK);
	sent[0].req.nr_sectors = 1;
	assert_int_equal(block_check(&dev, &sent[0].req), HV_EINVAL);
	assert_int_equal(block_check(&dev, prepare(0, BLOCK_DISCARD)), HV_OK);
	sent[0].req.nr_sectors = 101;
	assert_int_equal(block_check(&dev, &sent[0].req), HV_EINVAL);
	dev.is_read_only = true;
	assert_int_equal(block_check(&dev, prepare(0, BLOCK_DISCARD)), HV_EINVAL);
	assert_int_equal(block_check(&dev, prepare(0, BLOCK_WRITE)), HV_EINVAL);
	assert_int_equal(block_check(&dev, prepare(0, BLOCK_READ)), HV_OK);
	dev.limits.max_discard_sectors = 0;
	assert_int_equal(block_check(&dev, prepare(0, BLOCK_DISCARD)), HV_ENOTSUP);
	assert_int_equal(block_submit(&dev, prepare(0, BLOCK_DISCARD)), HV_ENOTSUP);
	assert_int_equal(sent[0].nr_done, 0);
	assert_int_equal(disk.nr_submits, 0);
}

/* ---- the usual ---- */

static void completes_each_request_once_and_counts_it(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	send(1, BLOCK_WRITE);
	send(2, BLOCK_FLUSH);
	send(3, BLOCK_DISCARD);
	assert_int_equal(nr_done(), 0);
	for (uint32_t i = 0; i < 4; i++)
		finish(&sent[i].req, i == 1 ? HV_EIO : HV_OK);
	expect_done(0, 1, HV_OK);
	expect_done(1, 1, HV_EIO);
	expect_done(2, 2, HV_OK);
	assert_int_equal(dev.counters.ops[BLOCK_READ], 1);
	assert_int_equal(dev.counters.ops[BLOCK_WRITE], 0);
	assert_int_equal(dev.counters.ops[BLOCK_FLUSH], 1);
	assert_int_equal(dev.counters.sectors[BLOCK_DISCARD], 1);
	assert_int_equal(dev.counters.errors, 1);
	fake_time_advance(BLOCK_TICK_NS); /* the last look at it, which finds nothing to do */
	assert_true(fake_timers_are_idle());
	assert_int_equal(disk.nr_polls, 0);
}

static void lets_requests_wait_for_a_slot_in_their_order(void **state)
{
	(void)state;
	send_reads(REQS);
	assert_int_equal(disk.nr_accepted, SLOTS);
	for (uint32_t i = 0; i < REQS; i++) {
		assert_ptr_equal(disk.order[i], &sent[i].req);
		finish(disk.order[i], HV_OK);
	}
	expect_done(0, REQS, HV_OK);
	assert_int_equal(disk.nr_accepted, REQS);
}

static void needs_no_hardware_to_flush_a_disk_without_a_cache(void **state)
{
	(void)state;
	dev.has_volatile_cache = false;
	send(0, BLOCK_FLUSH);
	expect_done(0, 1, HV_OK);
	assert_int_equal(disk.nr_submits, 0);
	assert_int_equal(dev.counters.ops[BLOCK_FLUSH], 1);
}

static void submit_next(struct sent *s)
{
	uint32_t next = (uint32_t)(s - sent) + 1;

	if (next < REQS) {
		sent[next].then = submit_next;
		send(next, BLOCK_WRITE);
	}
}

static void lets_done_submit(void **state)
{
	(void)state;
	sent[0].then = submit_next;
	send(0, BLOCK_WRITE);
	for (uint32_t i = 0; i < REQS; i++)
		finish(&sent[i].req, HV_OK);
	expect_done(0, REQS, HV_OK);
}

static void completes_requests_that_end_before_submit_returns(void **state)
{
	(void)state;
	disk.answer = HV_EBUSY;
	send_reads(REQS);
	disk.answer = HV_OK;
	disk.is_instant = true;
	fake_time_advance(BLOCK_TICK_NS);
	expect_done(0, REQS, HV_OK);
	for (uint32_t i = 0; i < REQS; i++)
		assert_ptr_equal(disk.order[i], &sent[i].req);
}

static void ends_a_request_that_the_driver_refuses(void **state)
{
	(void)state;
	disk.answer = HV_EIO;
	send(0, BLOCK_READ);
	expect_done(0, 1, HV_EIO);
	assert_int_equal(dev.counters.errors, 1);
}

static void free_a_slot(void)
{
	finish(disk.slots[0], HV_OK);
}

static void misses_no_slot_that_comes_free_between(void **state)
{
	(void)state;
	disk.nr_slots = 1;
	send(0, BLOCK_READ);
	disk.in_submit = free_a_slot; /* before the driver looks: it has room then */
	send(1, BLOCK_READ);
	assert_int_equal(disk.nr_accepted, 2);
	assert_int_equal(sent[0].nr_done, 1);
}

static void free_and_say_busy(void)
{
	disk.answer = HV_EBUSY;
	free_a_slot();
}

static void tries_once_more_when_all_came_free_meanwhile(void **state)
{
	(void)state;
	disk.nr_slots = 1;
	send(0, BLOCK_READ);
	disk.in_submit = free_and_say_busy;
	send(1, BLOCK_READ);
	assert_true(disk.nr_submits > 2 && disk.nr_submits < 6); /* not for ever */
	disk.answer = HV_OK;
	fake_time_advance(BLOCK_TICK_NS);
	assert_int_equal(disk.nr_accepted, 2);
	finish(&sent[1].req, HV_OK);
	expect_done(0, 2, HV_OK);
}

/* ---- errors ---- */

static void repeats_an_error_of_the_way_so_often_and_no_more(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	for (uint32_t i = 1; i < BLOCK_ATTEMPTS_MAX; i++) {
		finish(&sent[0].req, HV_EBUSY);
		assert_int_equal(nr_done(), 0);
		assert_int_equal(dev.counters.retries, i);
	}
	finish(&sent[0].req, HV_EBUSY);
	expect_done(0, 1, HV_EIO);
	assert_int_equal(disk.nr_accepted, BLOCK_ATTEMPTS_MAX);
}

static void does_not_repeat_what_the_disk_has_refused(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	finish(&sent[0].req, HV_EIO);
	expect_done(0, 1, HV_EIO);
	assert_int_equal(disk.nr_accepted, 1);
	assert_int_equal(dev.counters.retries, 0);
}

static void finds_what_was_finished_without_an_interrupt(void **state)
{
	(void)state;
	send_reads(3);
	disk.finishes_on_poll = true;
	fake_time_advance(BLOCK_LATE_NS - BLOCK_TICK_NS);
	assert_int_equal(disk.nr_polls, 0);
	fake_time_advance(2 * BLOCK_TICK_NS);
	expect_done(0, 3, HV_OK);
	assert_int_equal(dev.counters.lost_interrupts, 3);
	assert_int_equal(dev.counters.resets, 0);
	assert_int_equal(dev.counters.errors, 0);
}

static void resets_a_disk_that_does_not_answer_and_repeats_the_requests(void **state)
{
	(void)state;
	send_reads(SLOTS + 2);
	fake_time_advance(BLOCK_TIMEOUT_NS - BLOCK_TICK_NS);
	assert_int_equal(disk.nr_resets, 0);
	fake_time_advance(3 * BLOCK_TICK_NS);
	assert_int_equal(disk.nr_resets, 1);
	assert_int_equal(dev.counters.resets, 1);
	assert_int_equal(dev.state, BLOCK_READY);
	assert_int_equal(nr_done(), 0);
	for (uint32_t i = 0; i < SLOTS + 2; i++) {
		assert_ptr_equal(disk.order[SLOTS + i], &sent[i].req); /* in the same order */
		finish(&sent[i].req, HV_OK);
	}
	expect_done(0, SLOTS + 2, HV_OK);
	assert_int_equal(dev.counters.retries, SLOTS);
}

static void bears_with_a_slow_disk_as_long_as_it_answers(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	for (uint32_t i = 1; i < 9; i++) { /* 16 s: others are answered, one in two seconds */
		send(i, BLOCK_READ);
		fake_time_advance(2 * NSEC_PER_SEC);
		finish(&sent[i].req, HV_OK);
	}
	assert_int_equal(disk.nr_resets, 0);
	finish(&sent[0].req, HV_OK);
	expect_done(0, 9, HV_OK);
}

static void resets_a_disk_that_forgets_one_request_for_good(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	for (uint32_t i = 1; i < REQS; i++) {
		send(i, BLOCK_READ);
		fake_time_advance(2 * NSEC_PER_SEC);
		finish(&sent[i].req, HV_OK);
	}
	assert_int_equal(disk.nr_resets, 1);
	finish(&sent[0].req, HV_OK);
	expect_done(0, REQS, HV_OK);
	assert_int_equal(dev.counters.retries, 2); /* and another one, which is not to blame */
}

static void gives_a_flush_more_time(void **state)
{
	(void)state;
	send(0, BLOCK_FLUSH);
	fake_time_advance(BLOCK_FLUSH_NS - BLOCK_TICK_NS);
	assert_int_equal(disk.nr_resets, 0);
	fake_time_advance(10 * BLOCK_TICK_NS);
	assert_int_equal(disk.nr_resets, 1);
	finish(&sent[0].req, HV_OK);
}

static void ends_a_request_that_never_has_an_answer(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	fake_time_advance(BLOCK_ATTEMPTS_MAX * (BLOCK_TIMEOUT_NS + NSEC_PER_SEC));
	expect_done(0, 1, HV_EIO);
	assert_int_equal(disk.nr_resets, BLOCK_ATTEMPTS_MAX);
	assert_int_equal(dev.state, BLOCK_READY);
	assert_true(fake_timers_are_idle());
}

static void does_not_count_a_reset_against_those_that_were_in_time(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	for (uint32_t i = 1; i < 6; i++) {
		/* A younger one is there whenever the first has had enough. */
		fake_time_advance(BLOCK_TIMEOUT_NS / 2);
		if (sent[0].nr_done == 0 && i == 1)
			send(1, BLOCK_READ);
		fake_time_advance(BLOCK_TIMEOUT_NS / 2 + 3 * BLOCK_TICK_NS);
	}
	expect_done(0, 1, HV_EIO);
	assert_true(disk.nr_resets >= BLOCK_ATTEMPTS_MAX);
}

static void submits_nothing_while_it_resets(void **state)
{
	(void)state;
	disk.reset = RESET_LATER;
	send(0, BLOCK_READ);
	fake_time_advance(BLOCK_TIMEOUT_NS + 2 * BLOCK_TICK_NS);
	assert_int_equal(dev.state, BLOCK_RESETTING);
	send(1, BLOCK_READ);
	send(2, BLOCK_READ);
	fake_time_advance(NSEC_PER_SEC);
	assert_int_equal(disk.nr_accepted, 1);
	block_reset_done(&dev, HV_OK);
	assert_int_equal(disk.nr_accepted, 4);
	for (uint32_t i = 0; i < 3; i++)
		finish(disk.order[1 + i], HV_OK);
	expect_done(0, 3, HV_OK);
}

static void gives_up_on_a_reset_that_fails(void **state)
{
	(void)state;
	disk.reset = RESET_FAILS;
	send_reads(SLOTS + 2);
	fake_time_advance(BLOCK_TIMEOUT_NS + 2 * BLOCK_TICK_NS);
	expect_done(0, SLOTS + 2, HV_ENOENT);
	assert_int_equal(disk.nr_abandoned, 1);
	assert_int_equal(block_submit(&dev, prepare(7, BLOCK_READ)), HV_ENOENT);
	assert_int_equal(sent[7].nr_done, 0);
	fake_time_advance(BLOCK_TICK_NS);
	assert_true(fake_timers_are_idle());
}

static void gives_up_on_a_reset_that_never_ends(void **state)
{
	(void)state;
	disk.reset = RESET_LATER;
	send_reads(SLOTS + 2);
	fake_time_advance(BLOCK_TIMEOUT_NS + BLOCK_RESET_NS - NSEC_PER_SEC);
	assert_int_equal(nr_done(), 0);
	fake_time_advance(2 * NSEC_PER_SEC);
	expect_done(0, SLOTS + 2, HV_ENOENT);
	assert_int_equal(disk.nr_abandoned, 1);
	block_reset_done(&dev, HV_OK); /* too late */
	assert_int_equal(dev.state, BLOCK_GONE);
}

static void resets_a_disk_that_is_idle_and_yet_takes_nothing(void **state)
{
	(void)state;
	disk.answer = HV_EBUSY;
	send_reads(2);
	fake_time_advance(BLOCK_TIMEOUT_NS + 2 * BLOCK_TICK_NS);
	assert_int_equal(disk.nr_resets, 1);
	fake_time_advance(10 * BLOCK_ATTEMPTS_MAX * BLOCK_TIMEOUT_NS);
	expect_done(0, 2, HV_EIO);
	assert_true(fake_timers_are_idle());
}

static void takes_a_driver_at_its_word_that_it_resets(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	forget_all();
	block_resetting(&dev);
	block_resetting(&dev);
	assert_int_equal(dev.counters.resets, 1);
	send(1, BLOCK_READ);
	assert_int_equal(disk.nr_accepted, 1);
	block_reset_done(&dev, HV_OK);
	assert_int_equal(disk.nr_resets, 0);
	finish(&sent[0].req, HV_OK);
	finish(&sent[1].req, HV_OK);
	expect_done(0, 2, HV_OK);
}

static void abandons_an_idle_disk_whose_own_reset_never_ends(void **state)
{
	(void)state;
	block_resetting(&dev);
	fake_time_advance(BLOCK_RESET_NS + 2 * BLOCK_TICK_NS);
	assert_int_equal(dev.state, BLOCK_GONE);
	assert_int_equal(disk.nr_abandoned, 1);
}

/* ---- gone ---- */

static void ends_all_requests_of_a_disk_that_was_pulled_out(void **state)
{
	(void)state;
	send_reads(REQS);
	forget_all();
	block_gone(&dev);
	expect_done(0, REQS, HV_ENOENT);
	block_gone(&dev);
	assert_int_equal(nr_done(), REQS);
	assert_int_equal(block_submit(&dev, prepare(0, BLOCK_FLUSH)), HV_ENOENT);
	fake_time_advance(NSEC_PER_SEC);
	assert_true(fake_timers_are_idle());
}

static void ends_a_gone_disks_requests_while_it_resets(void **state)
{
	(void)state;
	disk.reset = RESET_LATER;
	send_reads(SLOTS + 1);
	fake_time_advance(BLOCK_TIMEOUT_NS + 2 * BLOCK_TICK_NS);
	block_gone(&dev);
	expect_done(0, SLOTS + 1, HV_ENOENT);
	block_reset_done(&dev, HV_OK);
	assert_int_equal(dev.state, BLOCK_GONE);
}

static void pull_out(void)
{
	forget_all();
	block_gone(&dev);
	assert_int_equal(nr_done(), 0); /* the one inside of submit() may come back from there */
	disk.answer = HV_ENOENT;
}

static void ends_a_request_once_when_its_disk_goes_during_submit(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	disk.in_submit = pull_out;
	send(1, BLOCK_READ);
	expect_done(0, 2, HV_ENOENT);
}

static void pull_out_and_accept(void)
{
	pull_out();
	disk.answer = HV_OK;
}

static void ends_a_request_that_a_gone_disk_has_accepted(void **state)
{
	(void)state;
	disk.in_submit = pull_out_and_accept;
	send(1, BLOCK_READ);
	expect_done(1, 1, HV_ENOENT);
}

static void reset_between(void)
{
	forget_all();
	block_resetting(&dev);
	block_reset_done(&dev, HV_OK);
	assert_int_equal(dev.state, BLOCK_RESETTING); /* not before submit() is left */
	disk.answer = HV_EBUSY;
}

static void repeats_all_once_after_a_reset_during_submit(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	disk.in_submit = reset_between;
	send(1, BLOCK_READ);
	assert_int_equal(dev.state, BLOCK_READY);
	disk.answer = HV_OK;
	fake_time_advance(BLOCK_TICK_NS);
	assert_int_equal(disk.nr_accepted, 3);
	finish(&sent[0].req, HV_OK);
	finish(&sent[1].req, HV_OK);
	expect_done(0, 2, HV_OK);
}

static void reset_between_and_accept(void)
{
	reset_between();
	disk.answer = HV_OK;
}

static void does_not_repeat_what_was_accepted_after_the_reset(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	disk.in_submit = reset_between_and_accept;
	send(1, BLOCK_READ);
	assert_int_equal(dev.state, BLOCK_READY);
	assert_int_equal(disk.nr_accepted, 3); /* the first one twice, the second once */
	assert_ptr_equal(disk.order[1], &sent[1].req);
	finish(&sent[1].req, HV_OK);
	finish(&sent[0].req, HV_OK);
	expect_done(0, 2, HV_OK);
}

static void expire_between(void)
{
	fake_time_advance(BLOCK_TIMEOUT_NS + BLOCK_PATIENCE_NS + BLOCK_TICK_NS);
	assert_int_equal(dev.state, BLOCK_RESETTING);
	assert_int_equal(disk.nr_resets, 0); /* not while we are here */
}

static void calls_no_reset_while_a_request_is_on_its_way(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	disk.in_submit = expire_between;
	send(1, BLOCK_READ);
	fake_time_advance(BLOCK_TICK_NS);
	assert_int_equal(disk.nr_resets, 1);
	assert_int_equal(dev.state, BLOCK_READY);
	finish(&sent[0].req, HV_OK);
	finish(&sent[1].req, HV_OK);
	expect_done(0, 2, HV_OK);
}

static void takes_several_that_finished_off_at_once(void **state)
{
	struct list batch;

	(void)state;
	send_reads(SLOTS + 2);
	list_init(&batch);
	for (uint32_t i = 0; i < SLOTS; i++) {
		disk.slots[i] = NULL;
		block_finish(&dev, &sent[i].req, i == 1 ? HV_EBUSY : HV_OK, &batch);
	}
	assert_int_equal(nr_done(), 0);
	block_end(&dev, &batch);
	assert_int_equal(nr_done(), SLOTS - 1);
	assert_ptr_equal(disk.order[SLOTS], &sent[1].req); /* first, as it was before the others */
	assert_int_equal(disk.nr_accepted, SLOTS + 3);
}

static void panics_on_a_request_that_is_completed_twice(void **state)
{
	(void)state;
	send(0, BLOCK_READ);
	finish(&sent[0].req, HV_OK);
	EXPECT_ASSERT((block_complete(&dev, &sent[0].req, HV_OK), 0));
	lock_release(&dev.lock);
}

/* ---- block_run, and the list ---- */

static void runs_a_request_to_its_end_by_polling(void **state)
{
	(void)state;
	disk.finishes_on_poll = true;
	assert_int_equal(block_run(&dev, prepare(0, BLOCK_READ)), HV_OK);
	assert_int_equal(block_run(&dev, prepare(1, BLOCK_OPS)), HV_EINVAL);
	disk.finishes_on_poll = false;
	assert_int_equal(block_run(&dev, prepare(2, BLOCK_READ)), HV_EIO);
	assert_int_equal(disk.nr_resets, BLOCK_ATTEMPTS_MAX);
	block_gone(&dev);
	assert_int_equal(block_run(&dev, prepare(3, BLOCK_READ)), HV_ENOENT);
}

/* Its disk is the first in the list, and the only one, so this test comes first. */
static void flushes_disks_and_shuts_them_down_at_the_end(void **state)
{
	(void)state;
	disk.finishes_on_poll = true;
	fake_power_end();
	assert_int_equal(dev.counters.ops[BLOCK_FLUSH], 1);
	assert_int_equal(disk.nr_shut_down, 1);

	disk.finishes_on_poll = false;
	disk.reset = RESET_LATER;
	fake_power_end(); /* it does not answer: power goes nevertheless */
	assert_int_equal(disk.nr_shut_down, 2);
	block_gone(&dev);
	fake_power_end();
	assert_int_equal(disk.nr_shut_down, 3);
}

static void keeps_disks_in_the_order_they_were_added(void **state)
{
	static struct block_dev others[BLOCK_DEVS_MAX];
	uint32_t nr = block_count();

	(void)state;
	for (uint32_t i = nr; i < BLOCK_DEVS_MAX; i++) {
		others[i] = dev;
		assert_int_equal(block_add(&others[i]), HV_OK);
		assert_ptr_equal(block_at(i), &others[i]);
	}
	others[0] = dev;
	assert_int_equal(block_add(&others[0]), HV_ENOMEM);
	assert_int_equal(block_count(), BLOCK_DEVS_MAX);

	/* One that is taken out makes room for another, which takes its place. */
	block_gone(&others[nr]);
	assert_true(block_remove(&others[nr]));
	assert_null(block_at(nr));
	assert_int_equal(block_count(), BLOCK_DEVS_MAX);
	block_forget(&others[nr]);
	assert_int_equal(block_add(&others[0]), HV_OK);
	assert_ptr_equal(block_at(nr), &others[0]);

	/* One that somebody holds stays, and is gone. */
	block_hold(&others[nr + 1]);
	block_gone(&others[nr + 1]);
	assert_false(block_remove(&others[nr + 1]));
	assert_ptr_equal(block_at(nr + 1), &others[nr + 1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, check_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(flushes_disks_and_shuts_them_down_at_the_end),
		TEST(keeps_disks_in_the_order_they_were_added),
		TEST(checks_where_a_request_lies_on_the_disk),
		TEST(checks_that_segments_add_up_and_are_within_limits),
		TEST(checks_the_boundary_of_all_segments_but_the_ends),
		TEST(refuses_what_the_disk_cannot),
		TEST(completes_each_request_once_and_counts_it),
		TEST(lets_requests_wait_for_a_slot_in_their_order),
		TEST(needs_no_hardware_to_flush_a_disk_without_a_cache),
		TEST(lets_done_submit),
		TEST(completes_requests_that_end_before_submit_returns),
		TEST(ends_a_request_that_the_driver_refuses),
		TEST(misses_no_slot_that_comes_free_between),
		TEST(tries_once_more_when_all_came_free_meanwhile),
		TEST(repeats_an_error_of_the_way_so_often_and_no_more),
		TEST(does_not_repeat_what_the_disk_has_refused),
		TEST(finds_what_was_finished_without_an_interrupt),
		TEST(resets_a_disk_that_does_not_answer_and_repeats_the_requests),
		TEST(bears_with_a_slow_disk_as_long_as_it_answers),
		TEST(resets_a_disk_that_forgets_one_request_for_good),
		TEST(gives_a_flush_more_time),
		TEST(ends_a_request_that_never_has_an_answer),
		TEST(does_not_count_a_reset_against_those_that_were_in_time),
		TEST(submits_nothing_while_it_resets),
		TEST(gives_up_on_a_reset_that_fails),
		TEST(gives_up_on_a_reset_that_never_ends),
		TEST(resets_a_disk_that_is_idle_and_yet_takes_nothing),
		TEST(takes_a_driver_at_its_word_that_it_resets),
		TEST(abandons_an_idle_disk_whose_own_reset_never_ends),
		TEST(ends_all_requests_of_a_disk_that_was_pulled_out),
		TEST(ends_a_gone_disks_requests_while_it_resets),
		TEST(ends_a_request_once_when_its_disk_goes_during_submit),
		TEST(ends_a_request_that_a_gone_disk_has_accepted),
		TEST(repeats_all_once_after_a_reset_during_submit),
		TEST(does_not_repeat_what_was_accepted_after_the_reset),
		TEST(calls_no_reset_while_a_request_is_on_its_way),
		TEST(takes_several_that_finished_off_at_once),
		TEST(panics_on_a_request_that_is_completed_twice),
		TEST(runs_a_request_to_its_end_by_polling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
