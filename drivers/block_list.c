/* SPDX-License-Identifier: Apache-2.0 */
/* All disks: their list, requests that are waited for, and what they are told at the end. */
#include "drivers/block_priv.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/power.h"
#include "kernel/time_hw.h"

#define END_NS (10 * NSEC_PER_SEC) /* for all flushes together */

static void end_all(struct power_hook *hook);

static struct block_dev *devs[BLOCK_DEVS_MAX]; /* NULL: removed */
static uint32_t nr_devs;		       /* with those */
static struct lock devs_lock;		       /* guards both while they change */
static bool has_hook;
static struct power_hook at_end = {.end = end_all};

enum hv_err block_add(struct block_dev *dev)
{
	enum hv_err err = HV_ENOMEM;
	uint32_t at = 0;

	ASSERT(dev->ops && dev->sector_bytes > 0 && dev->limits.align_bytes > 0);
	ASSERT(dev->limits.max_segs > 0 && dev->limits.max_bytes >= dev->sector_bytes);

	block_prepare(dev);
	lock_take(&devs_lock);
	while (at < nr_devs && devs[at])
		at++;
	if (at < BLOCK_DEVS_MAX) {
		__atomic_store_n(&devs[at], dev, __ATOMIC_RELEASE);
		__atomic_store_n(&nr_devs, MAX(nr_devs, at + 1), __ATOMIC_RELEASE);
		err = HV_OK;
	}
	lock_release(&devs_lock);
	if (err == HV_OK && !has_hook) {
		has_hook = true;
		power_at_end(&at_end);
	}
	return err;
}

bool block_remove(struct block_dev *dev)
{
	bool is_held;

	lock_take(&devs_lock);
	is_held = __atomic_load_n(&dev->nr_holders, __ATOMIC_RELAXED) > 0;
	for (uint32_t i = 0; i < nr_devs && !is_held; i++)
		if (devs[i] == dev)
			__atomic_store_n(&devs[i], NULL, __ATOMIC_RELAXED);
	lock_release(&devs_lock);
	return !is_held;
}

void block_hold(struct block_dev *dev)
{
	__atomic_fetch_add(&dev->nr_holders, 1, __ATOMIC_RELAXED);
}

uint32_t block_count(void)
{
	return __atomic_load_n(&nr_devs, __ATOMIC_ACQUIRE);
}

struct block_dev *block_at(uint32_t index)
{
	ASSERT(index < block_count());
	return __atomic_load_n(&devs[index], __ATOMIC_ACQUIRE);
}

struct run {
	enum hv_err status;
	bool is_done;
};

static void end_run(struct block_request *req, enum hv_err status)
{
	struct run *run = req->arg;

	run->status = status;
	__atomic_store_n(&run->is_done, true, __ATOMIC_RELEASE);
}

enum hv_err block_run(struct block_dev *dev, struct block_request *req)
{
	struct run run = {.is_done = false};
	enum hv_err err;

	req->done = end_run;
	req->arg = &run;
	err = block_submit(dev, req);
	if (err != HV_OK)
		return err;
	while (!__atomic_load_n(&run.is_done, __ATOMIC_ACQUIRE)) {
		dev->ops->poll(dev);
		time_handle_interrupt(); /* interrupts are off; the driver's timers go on */
		__builtin_ia32_pause();
	}
	return run.status;
}

/* ---- the machine goes down ---- */

/* Not on the stack: one that does not end in time stays with its driver. */
static struct block_request flushes[BLOCK_DEVS_MAX];
static uint32_t nr_flushing;

static void end_flush(struct block_request *req, enum hv_err status)
{
	const struct block_dev *dev = req->arg;

	if (status != HV_OK)
		log_warn("block", "%s: could not be flushed: %s", dev->name, hv_strerror(status));
	__atomic_fetch_sub(&nr_flushing, 1, __ATOMIC_RELEASE);
}

static void start_flushes(void)
{
	for (uint32_t i = 0; i < block_count(); i++) {
		struct block_dev *dev = block_at(i);

		if (!dev)
			continue;
		flushes[i] =
			(struct block_request){.op = BLOCK_FLUSH, .done = end_flush, .arg = dev};
		__atomic_fetch_add(&nr_flushing, 1, __ATOMIC_RELAXED);
		if (dev->is_read_only || block_submit(dev, &flushes[i]) != HV_OK)
			__atomic_fetch_sub(&nr_flushing, 1, __ATOMIC_RELAXED);
	}
}

static void poll_all(void)
{
	for (uint32_t i = 0; i < block_count(); i++) {
		struct block_dev *dev = block_at(i);

		if (dev)
			dev->ops->poll(dev);
	}
	time_handle_interrupt();
}

static void end_all(struct power_hook *hook)
{
	uint64_t start_ns = time_now_ns();

	(void)hook;
	start_flushes();
	while (__atomic_load_n(&nr_flushing, __ATOMIC_ACQUIRE) > 0) {
		poll_all();
		if (time_now_ns() - start_ns > END_NS) {
			log_warn("block", "%u disks are not flushed in time", nr_flushing);
			break;
		}
	}
	for (uint32_t i = 0; i < block_count(); i++) {
		struct block_dev *dev = block_at(i);

		if (dev && dev->ops->shut_down)
			dev->ops->shut_down(dev);
	}
}
