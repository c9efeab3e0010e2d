/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sticks as disks: their requests, and what becomes of them. Lock order: the controller's, then
 * drivers/block.c's of the disk, whose requests end under both.
 */
#include "drivers/dev_open.h"
#include "drivers/xhci_priv.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

static struct xhci_dev *dev_of(struct block_dev *block)
{
	return container_of(block, struct xhci_dev, block);
}

/* ---- what drivers/block.c asks ---- */

static bool can_reach(const struct xhci *x, const struct block_request *req)
{
	for (uint32_t i = 0; i < req->nr_segs; i++)
		if (!xhci_fits(x, req->segs[i].hpa, req->segs[i].len_bytes))
			return false;
	return true;
}

static enum hv_err submit(struct block_dev *block, struct block_request *req)
{
	struct xhci_dev *dev = dev_of(block);
	struct xhci *x = dev->x;
	enum hv_err err = HV_EBUSY;

	if (!can_reach(x, req))
		return HV_ENOTSUP;
	lock_take(&x->lock);
	if (!x->is_gone && usb_stick_is_idle(&dev->usb)) {
		block_accept(block, req);
		usb_stick_submit(&dev->usb, req);
		xhci_go_on(dev);
		err = HV_OK;
	}
	lock_release(&x->lock);
	return err;
}

static uint32_t poll(struct block_dev *block)
{
	struct xhci *x = dev_of(block)->x;
	uint32_t nr;

	lock_take(&x->lock);
	nr = xhci_process(x);
	lock_release(&x->lock);
	xhci_deliver(x);
	return nr;
}

static void reset(struct block_dev *block)
{
	struct xhci_dev *dev = dev_of(block);
	struct xhci *x = dev->x;

	lock_take(&x->lock);
	if (!x->is_gone && dev->usb.stage == USB_LIVE) {
		xhci_drop(dev, USB_DROP_RETRY);
		xhci_collect(dev);
	}
	lock_release(&x->lock);
	xhci_deliver(x);
}

/* A reset that does not end in time is one of a controller that does not do its commands. */
static void abandon(struct block_dev *block)
{
	struct xhci *x = dev_of(block)->x;

	lock_take(&x->lock);
	xhci_give_up(x, "is given up");
	lock_release(&x->lock);
	xhci_deliver(x);
}

static const struct block_ops usb_block_ops = {
	.driver = "usb",
	.submit = submit,
	.poll = poll,
	.reset = reset,
	.abandon = abandon,
};

/* ---- what is due ---- */

uint32_t xhci_collect(struct xhci_dev *dev)
{
	struct usb_stick *usb = &dev->usb;
	uint32_t nr = 0;

	if (usb->news & USB_NEWS_ENDED) {
		dev->block.has_volatile_cache = usb->disk.has_cache;
		block_finish(&dev->block, usb->ended, usb->status, &dev->batch);
		nr = 1;
	}
	if (usb->news & USB_NEWS_RESETTING)
		dev->due &= ~USB_NEWS_RESET_DONE;
	dev->due |= usb->news;
	usb->news = 0;
	return nr;
}

static void fill_block(struct xhci_dev *dev)
{
	const struct usb_disk_info *disk = &dev->usb.disk;
	struct block_dev *block = &dev->block;

	block->ops = &usb_block_ops;
	fmt(block->name, sizeof(block->name), "usb%ud%u", dev->x->index, dev->index);
	memcpy(block->location, dev->x->location, sizeof(block->location));
	memcpy(block->model, disk->model, sizeof(block->model));
	memcpy(block->serial, disk->serial, sizeof(block->serial));
	memcpy(block->firmware, disk->firmware, sizeof(disk->firmware));
	block->sector_bytes = disk->capacity.sector_bytes;
	block->nr_sectors = disk->capacity.nr_sectors;
	block->has_volatile_cache = disk->has_cache;
	block->is_read_only = disk->is_read_only;
	block->is_removable = disk->is_removable;
	block->limits = (struct block_limits){
		.max_bytes = USB_STICK_BYTES_MAX,
		.max_segs = USB_STICK_SEGS_MAX,
		.align_bytes = 1,
	};
}

static void add_disk(struct xhci_dev *dev)
{
	static const char *const speeds[] = {"", "12 Mbit/s", "", "480 Mbit/s", "5 Gbit/s or more"};
	struct block_dev *block = &dev->block;

	fill_block(dev);
	if (block_add(block) != HV_OK) {
		log_warn("usb", "%s: no room for another disk", dev->usb.where);
		return;
	}
	dev->is_disk = true;
	log_info("usb", "%s: %s: '%s', serial '%s', %lu sectors of %u bytes%s, %s", dev->usb.where,
		 block->name, block->model, block->serial, block->nr_sectors, block->sector_bytes,
		 block->is_read_only ? ", read-only" : "", speeds[dev->usb.speed]);
}

/* A disk that is not there has no requests, and nothing to be told of. */
static void act(struct xhci_dev *dev, uint32_t due, struct list *batch)
{
	if (due & USB_NEWS_READY)
		add_disk(dev);
	if (!dev->is_disk)
		return;
	if (due & USB_NEWS_RESETTING)
		block_resetting(&dev->block);
	if (due & USB_NEWS_ENDED)
		block_end(&dev->block, batch);
	if (due & USB_NEWS_RESET_DONE)
		block_reset_done(&dev->block, HV_OK);
	if (due & USB_NEWS_GONE)
		block_gone(&dev->block);
}

static struct xhci_dev *next_due(struct xhci *x)
{
	for (uint32_t i = 0; i < XHCI_DEVICES_MAX; i++)
		if (x->devs[i] && x->devs[i]->due)
			return x->devs[i];
	return NULL;
}

static void take_batch(struct xhci_dev *dev, struct list *out)
{
	list_init(out);
	while (!list_is_empty(&dev->batch)) {
		struct list *first = dev->batch.next;

		list_remove(first);
		list_add_tail(out, first);
	}
}

void xhci_deliver(struct xhci *x)
{
	struct xhci_dev *dev;

	lock_take(&x->lock);
	if (x->is_delivering) { /* whoever does will see ours */
		lock_release(&x->lock);
		return;
	}
	x->is_delivering = true;
	while ((dev = next_due(x)) != NULL) {
		uint32_t due = dev->due;
		struct list batch;

		dev->due = 0;
		take_batch(dev, &batch);
		lock_release(&x->lock);
		act(dev, due, &batch);
		lock_take(&x->lock);
	}
	x->is_delivering = false;
	lock_release(&x->lock);
}

/* ---- what is gone ---- */

/* Its pages, which the controller does not use any more. */
static void give_pages(struct xhci_dev *dev)
{
	if (dev->pages != HPA_NONE)
		pages_free(dev->pages, XHCI_DEV_ORDER);
	dev->pages = HPA_NONE;
}

static void forget(struct xhci_dev *dev)
{
	struct xhci *x = dev->x;

	if (dev->is_disk)
		block_forget(&dev->block);
	lock_take(&x->lock);
	x->devs[dev->index] = NULL;
	x->is_full = false;
	lock_release(&x->lock);
	kmem_free(dev);
}

/* A disk that somebody holds keeps its struct, and its name, for ever. */
static void reap(struct xhci_dev *dev)
{
	struct xhci *x = dev->x;

	dev->is_kept = dev->is_disk && !block_remove(&dev->block);
	lock_take(&x->lock);
	if (x->ports[dev->port] == dev)
		x->ports[dev->port] = NULL;
	if (x->at_default == dev)
		x->at_default = NULL;
	x->ports_due = true; /* another one may be there by now */
	lock_release(&x->lock);
	dev_wait_for_cpus();
	give_pages(dev);
	if (!dev->is_kept)
		forget(dev);
}

void xhci_reap(struct xhci *x)
{
	for (uint32_t i = 0; i < XHCI_DEVICES_MAX; i++) {
		struct xhci_dev *dev = x->devs[i];
		bool is_over;

		lock_take(&x->lock);
		is_over = dev && !dev->is_kept && dev->usb.stage == USB_GONE && !dev->due &&
			  !x->is_delivering;
		lock_release(&x->lock);
		if (is_over)
			reap(dev);
	}
}
