/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request, whatever the disk. It is on one of two lists, each under dev->lock:
 *
 *   waiting      for a slot, for the end of a reset, or for another attempt
 *   outstanding  from before ops->submit() until block_finish()
 *
 * Nobody holds the lock while he calls the driver or done(). So between the two, a disk may be
 * reset or pulled out by another CPU: what then is to happen to all that is outstanding is put off
 * until no CPU is inside ops->submit() (settle()), since only those may still give requests back.
 *
 * A disk that has something to do is looked at every BLOCK_TICK_NS by one timer. It belongs to
 * whoever set is_ticking; only tick() clears that, as the last thing it does, so that no CPU ever
 * waits for a timer that waits for a lock of its caller's.
 */
#include "drivers/block_priv.h"

#include "kernel/lib/assert.h"
#include "kernel/log.h"

static void tick(struct timer *timer);

static struct block_request *first_of(struct list *list)
{
	return list_entry(list->next, struct block_request, queued);
}

static void add_head(struct list *list, struct block_request *req)
{
	list_add_tail(list->next, &req->queued);
}

/* All of from behind what is in to, in their order. */
static void splice(struct list *to, struct list *from)
{
	while (!list_is_empty(from)) {
		struct list *first = from->next;

		list_remove(first);
		list_add_tail(to, first);
	}
}

static uint64_t allowed_ns(const struct block_request *req)
{
	return req->op == BLOCK_FLUSH ? BLOCK_FLUSH_NS : BLOCK_TIMEOUT_NS;
}

/* A slow disk with much to do is not to be reset while it answers somebody. */
static bool has_expired(const struct block_dev *dev, const struct block_request *req,
			uint64_t now_ns)
{
	bool answers = dev->answered_ns + BLOCK_TIMEOUT_NS > now_ns;

	return now_ns >= req->deadline_ns + (answers ? BLOCK_PATIENCE_NS : 0);
}

static bool is_late(const struct block_dev *dev, const struct block_request *req, uint64_t now_ns)
{
	(void)dev;
	return now_ns + allowed_ns(req) >= req->deadline_ns + BLOCK_LATE_NS;
}

/* Under dev->lock, as all that follow until the next such line. */
static void wait_for_slot(struct block_dev *dev, struct block_request *req)
{
	req->is_with_driver = false;
	list_add_tail(&dev->waiting, &req->queued);
}

static void give_to_driver(struct block_dev *dev, struct block_request *req)
{
	req->is_with_driver = true;
	req->attempts++;
	req->deadline_ns = time_now_ns() + allowed_ns(req);
	list_add_tail(&dev->outstanding, &req->queued);
	dev->nr_submitting++;
}

static void take_back(struct block_request *req)
{
	list_remove(&req->queued);
	req->is_with_driver = false;
}

static void end_later(struct block_dev *dev, struct block_request *req, enum hv_err status,
		      struct list *batch)
{
	req->is_with_driver = false;
	req->status = status;
	if (status == HV_OK) {
		dev->counters.ops[req->op]++;
		dev->counters.sectors[req->op] += req->nr_sectors;
	} else {
		dev->counters.errors++;
	}
	list_add_tail(batch, &req->queued);
}

/* To its next attempt, in front of those that had none; or to its end, when it had enough. */
static void try_again(struct block_dev *dev, struct block_request *req, struct list *batch)
{
	if (req->attempts >= BLOCK_ATTEMPTS_MAX) {
		end_later(dev, req, HV_EIO, batch);
		return;
	}
	dev->counters.retries++;
	req->is_with_driver = false;
	add_head(&dev->waiting, req);
}

static void end_all(struct block_dev *dev, struct list *list, struct list *batch)
{
	while (!list_is_empty(list)) {
		struct block_request *req = first_of(list);

		list_remove(&req->queued);
		end_later(dev, req, HV_ENOENT, batch);
	}
}

static void try_all_again(struct block_dev *dev, struct list *batch)
{
	struct list later;

	/* From the last one, as each goes to the front. */
	list_init(&later);
	while (!list_is_empty(&dev->outstanding)) {
		struct block_request *req =
			list_entry(dev->outstanding.prev, struct block_request, queued);

		list_remove(&req->queued);
		if (req->epoch == dev->epoch) /* the disk took it when the reset was over */
			list_add_tail(later.next, &req->queued);
		else
			try_again(dev, req, batch);
	}
	splice(&dev->outstanding, &later);
	/* One that could not even be submitted, reset after reset. */
	while (!list_is_empty(&dev->waiting)) {
		struct block_request *req = first_of(&dev->waiting);

		list_remove(&req->queued);
		if (req->attempts >= BLOCK_ATTEMPTS_MAX)
			end_later(dev, req, HV_EIO, batch);
		else
			list_add_tail(&later, &req->queued);
	}
	splice(&dev->waiting, &later);
}

/* What was put off while CPUs were inside ops->submit(). True: it takes requests again. */
static bool settle(struct block_dev *dev, struct list *batch)
{
	ASSERT_HELD(&dev->lock);
	if (dev->nr_submitting > 0)
		return false;
	if (dev->state == BLOCK_GONE) {
		end_all(dev, &dev->outstanding, batch);
		end_all(dev, &dev->waiting, batch);
		return false;
	}
	if (!dev->is_reset_done)
		return false;
	dev->is_reset_done = dev->is_reset_due = false;
	dev->state = BLOCK_READY;
	dev->refused_since_ns = 0;
	try_all_again(dev, batch);
	return true;
}

static bool has_work(const struct block_dev *dev)
{
	return dev->state == BLOCK_RESETTING || !list_is_empty(&dev->outstanding) ||
	       !list_is_empty(&dev->waiting);
}

/* True: the caller is to set the timer, when he has released the lock. */
static bool claim_tick(struct block_dev *dev)
{
	if (dev->is_ticking || !has_work(dev))
		return false;
	dev->is_ticking = true;
	return true;
}

/* A driver that has nothing to do and no room either will not call back when it has. */
static void note_answer(struct block_dev *dev, enum hv_err err)
{
	if (err != HV_EBUSY)
		dev->refused_since_ns = 0;
	else if (list_is_empty(&dev->outstanding) && dev->refused_since_ns == 0)
		dev->refused_since_ns = time_now_ns();
}

/* Under no lock, from here on. */
static void set_tick(struct block_dev *dev)
{
	timer_set_in(&dev->timer, BLOCK_TICK_NS);
}

static void call_done(struct list *batch)
{
	while (!list_is_empty(batch)) {
		struct block_request *req = first_of(batch);

		list_remove(&req->queued);
		req->done(req, req->status);
	}
}

static void pump(struct block_dev *dev);

/*
 * Give one that is on the outstanding list to the driver.
 *
 * returns  whether the driver has room: false, and it is the first of those that wait
 */
static bool submit(struct block_dev *dev, struct block_request *req)
{
	enum hv_err err = dev->ops->submit(dev, req); /* HV_OK: it may be no more */
	struct list batch;
	bool is_ready_again;

	list_init(&batch);
	lock_take(&dev->lock);
	dev->nr_submitting--;
	if (err != HV_OK)
		take_back(req);
	note_answer(dev, err);
	if (err == HV_EBUSY) {
		req->attempts -= req->attempts > 0; /* a reset may have forgiven it already */
		add_head(&dev->waiting, req);
	} else if (err != HV_OK) {
		end_later(dev, req, err, &batch);
	}
	is_ready_again = settle(dev, &batch);
	lock_release(&dev->lock);
	call_done(&batch);
	if (is_ready_again)
		pump(dev);
	return err != HV_EBUSY;
}

/* Whether to go on when the driver has no room: somebody freed some meanwhile, or nobody will. */
static bool may_have_room(struct block_dev *dev, uint32_t *nr_idle)
{
	if (dev->pump_again) {
		dev->pump_again = false;
		return true;
	}
	return list_is_empty(&dev->outstanding) && (*nr_idle)++ == 0;
}

/* Submit those that wait, while there is room. One CPU at a time, so that they stay in order. */
static void pump(struct block_dev *dev)
{
	bool has_room = true;
	uint32_t nr_idle = 0;

	lock_take(&dev->lock);
	if (dev->is_pumping) {
		dev->pump_again = true;
		lock_release(&dev->lock);
		return;
	}
	dev->is_pumping = true;
	while (dev->state == BLOCK_READY && !list_is_empty(&dev->waiting) &&
	       (has_room || may_have_room(dev, &nr_idle))) {
		struct block_request *req = first_of(&dev->waiting);

		list_remove(&req->queued);
		give_to_driver(dev, req);
		lock_release(&dev->lock);
		has_room = submit(dev, req);
		lock_take(&dev->lock);
	}
	dev->is_pumping = dev->pump_again = false;
	lock_release(&dev->lock);
}

/* Without a cache that power loss empties, what was completed is durable. */
static bool needs_no_hardware(const struct block_dev *dev, const struct block_request *req)
{
	return req->op == BLOCK_FLUSH && !dev->has_volatile_cache;
}

enum hv_err block_submit(struct block_dev *dev, struct block_request *req)
{
	enum hv_err err = block_check(dev, req);
	bool is_direct = false, sets_timer;
	struct list batch;

	if (err != HV_OK)
		return err;

	list_init(&batch);
	lock_take(&dev->lock);
	if (dev->state == BLOCK_GONE) {
		lock_release(&dev->lock);
		return HV_ENOENT;
	}
	req->attempts = 0;
	if (needs_no_hardware(dev, req)) {
		end_later(dev, req, HV_OK, &batch);
	} else if (dev->state == BLOCK_READY && list_is_empty(&dev->waiting)) {
		is_direct = true;
		give_to_driver(dev, req);
	} else {
		wait_for_slot(dev, req);
	}
	sets_timer = claim_tick(dev);
	lock_release(&dev->lock);

	if (sets_timer)
		set_tick(dev);
	if (is_direct && !submit(dev, req))
		pump(dev); /* the slots may have come free before it was there to wait for one */
	call_done(&batch);
	return HV_OK;
}

void block_finish(struct block_dev *dev, struct block_request *req, enum hv_err status,
		  struct list *batch)
{
	lock_take(&dev->lock);
	ASSERT(req->is_with_driver);
	take_back(req);
	dev->answered_ns = time_now_ns();
	if (status == HV_EBUSY)
		try_again(dev, req, batch);
	else
		end_later(dev, req, status, batch);
	lock_release(&dev->lock);
}

void block_end(struct block_dev *dev, struct list *batch)
{
	call_done(batch);
	pump(dev);
}

void block_complete(struct block_dev *dev, struct block_request *req, enum hv_err status)
{
	struct list batch;

	list_init(&batch);
	block_finish(dev, req, status, &batch);
	block_end(dev, &batch);
}

/* False: it is resetting already, or gone. */
static bool begin_reset(struct block_dev *dev)
{
	ASSERT_HELD(&dev->lock);
	if (dev->state != BLOCK_READY)
		return false;
	dev->state = BLOCK_RESETTING;
	dev->reset_deadline_ns = time_now_ns() + BLOCK_RESET_NS;
	dev->counters.resets++;
	return true;
}

/* What the driver has accepted before is for this reset to repeat. */
static void next_epoch(struct block_dev *dev)
{
	__atomic_store_n(&dev->epoch, dev->epoch + 1, __ATOMIC_RELAXED);
}

/* Not while another CPU is on its way into the driver. */
static bool may_call_reset(struct block_dev *dev)
{
	ASSERT_HELD(&dev->lock);
	dev->is_reset_due = dev->nr_submitting > 0;
	if (!dev->is_reset_due)
		next_epoch(dev);
	return !dev->is_reset_due;
}

void block_resetting(struct block_dev *dev)
{
	bool sets_timer;

	lock_take(&dev->lock);
	(void)begin_reset(dev);
	dev->is_reset_done = false; /* of one before that was not settled yet */
	next_epoch(dev);
	sets_timer = claim_tick(dev);
	lock_release(&dev->lock);
	if (sets_timer)
		set_tick(dev);
}

static void abandon(struct block_dev *dev)
{
	if (dev->ops->abandon)
		dev->ops->abandon(dev);
	block_gone(dev);
}

void block_reset_done(struct block_dev *dev, enum hv_err err)
{
	struct list batch;

	if (err != HV_OK) {
		log_err("block", "%s: reset failed: %s", dev->name, hv_strerror(err));
		abandon(dev);
		return;
	}
	list_init(&batch);
	lock_take(&dev->lock);
	if (dev->state == BLOCK_RESETTING) {
		dev->is_reset_done = true;
		settle(dev, &batch);
	}
	lock_release(&dev->lock);
	block_end(dev, &batch);
}

void block_gone(struct block_dev *dev)
{
	struct list batch;
	bool is_news;

	list_init(&batch);
	lock_take(&dev->lock);
	is_news = dev->state != BLOCK_GONE;
	dev->state = BLOCK_GONE;
	settle(dev, &batch);
	lock_release(&dev->lock);
	if (is_news)
		log_err("block", "%s: gone", dev->name);
	call_done(&batch);
}

/* ---- what the timer looks after ---- */

enum due { DUE_NOTHING, DUE_POLL, DUE_RESET, DUE_CALL_RESET, DUE_ABANDON };

/* How many of those with the driver the question is answered with yes for. */
static uint32_t count(const struct block_dev *dev, uint64_t now_ns,
		      bool (*question)(const struct block_dev *dev, const struct block_request *req,
				       uint64_t now_ns))
{
	uint32_t nr = 0;

	list_for_each (at, &dev->outstanding)
		nr += question(dev, list_entry(at, struct block_request, queued), now_ns);
	return nr;
}

/* Refusing all although it has nothing to do: a reset may bring that to an end too. */
static bool is_stuck(const struct block_dev *dev, uint64_t now_ns)
{
	return dev->refused_since_ns != 0 && !list_is_empty(&dev->waiting) &&
	       now_ns - dev->refused_since_ns >= BLOCK_TIMEOUT_NS;
}

static enum due look(struct block_dev *dev, uint64_t now_ns)
{
	if (dev->state == BLOCK_RESETTING && now_ns >= dev->reset_deadline_ns)
		return DUE_ABANDON;
	if (dev->state == BLOCK_RESETTING)
		return dev->is_reset_due && may_call_reset(dev) ? DUE_CALL_RESET : DUE_NOTHING;
	if (dev->state == BLOCK_GONE)
		return DUE_NOTHING;
	if (is_stuck(dev, now_ns)) {
		first_of(&dev->waiting)->attempts++;
		return DUE_RESET;
	}
	return count(dev, now_ns, is_late) > 0 ? DUE_POLL : DUE_NOTHING;
}

/* Those that are not to blame have this attempt for nothing. */
static void forgive_others(struct block_dev *dev, uint64_t now_ns)
{
	list_for_each (at, &dev->outstanding) {
		struct block_request *req = list_entry(at, struct block_request, queued);

		if (!has_expired(dev, req, now_ns))
			req->attempts--;
	}
}

/* Late requests: perhaps they are finished and nobody said so; if not, they may have some more
 * time, or have had enough. */
static void poll_late(struct block_dev *dev, uint64_t now_ns)
{
	uint32_t found = dev->ops->poll(dev), nr_expired = 0;
	bool is_first, is_resetting = false, calls_reset = false;

	lock_take(&dev->lock);
	is_first = found > 0 && dev->counters.lost_interrupts == 0;
	dev->counters.lost_interrupts += found;
	if (dev->state == BLOCK_READY)
		nr_expired = count(dev, now_ns, has_expired);
	if (nr_expired > 0) {
		forgive_others(dev, now_ns);
		is_resetting = begin_reset(dev);
		calls_reset = is_resetting && may_call_reset(dev);
	}
	lock_release(&dev->lock);

	if (is_first)
		log_warn("block", "%s: finished without an interrupt; looked at every %llu ms",
			 dev->name, BLOCK_TICK_NS / NSEC_PER_MSEC);
	if (is_resetting) {
		log_warn("block", "%s: %u requests without an answer, reset", dev->name,
			 nr_expired);
	}
	if (calls_reset)
		dev->ops->reset(dev);
}

static void reset_stuck(struct block_dev *dev)
{
	bool is_resetting, calls_reset;

	lock_take(&dev->lock);
	is_resetting = begin_reset(dev);
	calls_reset = is_resetting && may_call_reset(dev);
	lock_release(&dev->lock);
	if (is_resetting)
		log_warn("block", "%s: takes no requests, reset", dev->name);
	if (calls_reset)
		dev->ops->reset(dev);
}

static void tick(struct timer *timer)
{
	struct block_dev *dev = container_of(timer, struct block_dev, timer);
	uint64_t now_ns = time_now_ns();
	bool goes_on;
	enum due due;

	lock_take(&dev->lock);
	due = look(dev, now_ns);
	lock_release(&dev->lock);

	if (due == DUE_POLL)
		poll_late(dev, now_ns);
	if (due == DUE_RESET)
		reset_stuck(dev);
	if (due == DUE_CALL_RESET)
		dev->ops->reset(dev);
	if (due == DUE_ABANDON) {
		log_err("block", "%s: reset did not end", dev->name);
		abandon(dev);
	}
	pump(dev);

	lock_take(&dev->lock);
	goes_on = dev->is_ticking = has_work(dev);
	lock_release(&dev->lock);
	if (goes_on)
		set_tick(dev);
}

void block_prepare(struct block_dev *dev)
{
	list_init(&dev->waiting);
	list_init(&dev->outstanding);
	timer_init(&dev->timer, tick);
}

void block_forget(struct block_dev *dev)
{
	ASSERT(dev->state == BLOCK_GONE);
	timer_cancel(&dev->timer);
}
