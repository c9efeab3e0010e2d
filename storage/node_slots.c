/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the boot disk, and moving the jobs of storage/slots.c on. One request is out at a time.
 * Its done() may be called before block_submit() has returned, so whoever comes second of the two
 * goes on (drive), and no completion is handled inside another.
 */
#include "storage/node_slots.h"

#include "drivers/block.h"
#include "kernel/cmdline.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/power.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"
#include "storage/boot_disk.h"
#include "storage/gpt.h"

#define BUFFER_ORDER  4u /* SLOTS_BUFFER_BYTES, aligned to its size */
#define TRIAL_LIMIT_S 600u
#define DISK_ID_MAX   64u

static_assert((PAGE_SIZE << BUFFER_ORDER) == SLOTS_BUFFER_BYTES, "the buffer is so many pages");
static_assert(SLOTS_BUFFER_BYTES >= GPT_TABLE_MAX, "a partition table fits into the buffer");

enum turn { TURN_SUBMITTER, TURN_WAITING, TURN_DONE };

static struct {
	struct lock lock; /* guards slots and image */
	struct slots slots;
	struct node_image image;

	struct block_dev *dev; /* NULL: no slots. Fixed after node_slots_init(), as the next two */
	hpa_t buffer;
	bool is_trial;
	struct timer trial_end;
	uint64_t trial_end_ns;

	/* Of the request that is out. */
	struct block_request req;
	struct block_seg seg;
	uint32_t turn; /* enum turn; whoever changes it second goes on */
	enum hv_err status;
} node;

/* ---- requests ---- */

static void fill_request(const struct slots_io *io)
{
	static const enum block_op ops[] = {[SLOTS_READ] = BLOCK_READ,
					    [SLOTS_WRITE] = BLOCK_WRITE,
					    [SLOTS_FLUSH] = BLOCK_FLUSH};

	node.seg = (struct block_seg){.hpa = node.buffer, .len_bytes = io->len_bytes};
	node.req = (struct block_request){
		.op = ops[io->op],
		.sector = io->at / BOOT_DISK_SECTOR_BYTES,
		.nr_sectors = io->len_bytes / BOOT_DISK_SECTOR_BYTES,
		.nr_segs = io->len_bytes ? 1 : 0,
		.segs = &node.seg,
	};
}

static void job_is_over(enum slots_job job, const struct node_image *image, const char *error)
{
	if (job == SLOTS_INSTALL)
		image->release(image->image.ctx);
	if (error[0])
		log_err("slots", "%s: %s", node.dev->name, error);
	else if (job == SLOTS_INSTALL)
		log_info("slots", "%s: the other slot is written", node.dev->name);
	else if (job == SLOTS_COMMIT) {
		timer_cancel(&node.trial_end);
		log_info("slots", "%s: slot %c is good", node.dev->name, 'a' + node.slots.running);
	} else {
		log_info("slots", "%s: into the other slot, for a trial", node.dev->name);
		power_reboot();
	}
}

static void done(struct block_request *req, enum hv_err status);

/* Until a request is out and not done, or the job is over. */
static void drive(enum hv_err last)
{
	for (;;) {
		char error[SLOTS_WHY_BYTES];
		struct node_image image;
		enum slots_job job;
		struct slots_io io;
		bool has_more;

		lock_take(&node.lock); /* once it is over, another job may begin */
		job = node.slots.job;
		image = node.image;
		has_more = slots_next(&node.slots, last, &io);
		memcpy(error, node.slots.error, sizeof(error));
		lock_release(&node.lock);
		if (!has_more) {
			job_is_over(job, &image, error);
			return;
		}
		fill_request(&io);
		node.req.done = done;
		__atomic_store_n(&node.turn, TURN_SUBMITTER, __ATOMIC_RELAXED);
		last = block_submit(node.dev, &node.req);
		if (last != HV_OK)
			continue;
		/* Pairs with done(): its status is seen by whoever comes second. */
		if (__atomic_exchange_n(&node.turn, TURN_WAITING, __ATOMIC_ACQ_REL) != TURN_DONE)
			return;
		last = node.status;
	}
}

static void done(struct block_request *req, enum hv_err status)
{
	(void)req;
	node.status = status;
	if (__atomic_exchange_n(&node.turn, TURN_DONE, __ATOMIC_ACQ_REL) == TURN_WAITING)
		drive(status);
}

/* ---- finding the disk ---- */

static MUST_CHECK enum hv_err read_disk(struct block_dev *dev, uint64_t at, uint32_t len_bytes)
{
	struct slots_io io = {.op = SLOTS_READ, .at = at, .len_bytes = len_bytes};

	watchdog_kick(); /* a disk that does not answer takes its time */
	fill_request(&io);
	return block_run(dev, &node.req);
}

/* In the pieces that this disk takes; into the buffer, which is large enough. */
static MUST_CHECK enum hv_err read_table(struct block_dev *dev, const struct gpt *gpt)
{
	uint32_t len = (uint32_t)ALIGN_UP(gpt_table_bytes(gpt), BOOT_DISK_SECTOR_BYTES);
	uint32_t piece = (uint32_t)ALIGN_DOWN(dev->limits.max_bytes, BOOT_DISK_SECTOR_BYTES);

	for (uint32_t at = 0; at < len; at += piece) {
		struct slots_io io = {.op = SLOTS_READ,
				      .at = gpt->table_lba * BOOT_DISK_SECTOR_BYTES + at,
				      .len_bytes = MIN(piece, len - at)};
		enum hv_err err;

		fill_request(&io);
		node.seg.hpa += at;
		err = block_run(dev, &node.req);
		if (err != HV_OK)
			return err;
	}
	return gpt_check_table(gpt, hva_of(node.buffer));
}

/* The first header, and when that is broken the one at the disk's end. */
static MUST_CHECK enum hv_err read_gpt(struct block_dev *dev, struct gpt *gpt)
{
	const uint64_t lbas[] = {GPT_PRIMARY_LBA, dev->nr_sectors - 1};
	enum hv_err err = HV_ENOENT;

	for (uint32_t i = 0; i < ARRAY_SIZE(lbas); i++) {
		err = read_disk(dev, lbas[i] * BOOT_DISK_SECTOR_BYTES, BOOT_DISK_SECTOR_BYTES);
		if (err == HV_OK)
			err = gpt_read_header(hva_of(node.buffer), BOOT_DISK_SECTOR_BYTES, lbas[i],
					      dev->nr_sectors, gpt);
		if (err == HV_OK)
			err = read_table(dev, gpt);
		if (err == HV_OK)
			return HV_OK;
	}
	return err;
}

static MUST_CHECK enum hv_err find_places(struct block_dev *dev, struct slots_places *places)
{
	static const uint8_t types[][GPT_GUID_BYTES] = {
		BOOT_DISK_TYPE_CONFIG, BOOT_DISK_TYPE_SLOT_A, BOOT_DISK_TYPE_SLOT_B};
	struct gpt_partition found[ARRAY_SIZE(types)];
	struct gpt gpt;
	enum hv_err err = read_gpt(dev, &gpt);

	for (uint32_t i = 0; err == HV_OK && i < ARRAY_SIZE(types); i++)
		err = gpt_find(&gpt, hva_of(node.buffer), types[i], &found[i]);
	if (err != HV_OK)
		return err;
	if (found[0].nr_sectors < BOOT_DISK_CONFIG_BYTES / BOOT_DISK_SECTOR_BYTES)
		return HV_EPROTO;
	*places = (struct slots_places){
		.config = found[0].first_lba * BOOT_DISK_SECTOR_BYTES,
		.slots = {found[1].first_lba * BOOT_DISK_SECTOR_BYTES,
			  found[2].first_lba * BOOT_DISK_SECTOR_BYTES},
		.slot_bytes =
			MIN(found[1].nr_sectors, found[2].nr_sectors) * BOOT_DISK_SECTOR_BYTES,
	};
	return HV_OK;
}

/* Whether it is the disk with this ID; then its environment block is in env. */
static MUST_CHECK enum hv_err read_env(struct block_dev *dev, const struct slots_places *places,
				       const char *id, uint8_t env[GRUBENV_BYTES])
{
	char its_id[DISK_ID_MAX];
	enum hv_err err = read_disk(dev, places->config + BOOT_DISK_ENV_AT, GRUBENV_BYTES);

	if (err != HV_OK)
		return err;
	memcpy(env, hva_of(node.buffer), GRUBENV_BYTES);
	err = grubenv_get(env, BOOT_DISK_ENV_ID, its_id, sizeof(its_id));
	if (err == HV_OK && strcmp(its_id, id) != 0)
		return HV_ENOENT;
	return err;
}

static MUST_CHECK enum hv_err read_manifests(struct block_dev *dev,
					     const struct slots_places *places,
					     struct ctl_update_manifest manifests[2])
{
	static const uint32_t at[] = {BOOT_DISK_MANIFEST_A_AT, BOOT_DISK_MANIFEST_B_AT};
	enum hv_err err = HV_OK;

	for (uint32_t i = 0; i < ARRAY_SIZE(at) && err == HV_OK; i++) {
		err = read_disk(dev, places->config + at[i], BOOT_DISK_SECTOR_BYTES);
		memcpy(&manifests[i], hva_of(node.buffer), sizeof(manifests[i]));
	}
	return err;
}

/* Two disks with the same ID are copies of one image: nobody can say from which of them GRUB came.
 */
static struct block_dev *find_disk(const char *id, struct slots_places *places,
				   uint8_t env[GRUBENV_BYTES])
{
	struct block_dev *found = NULL;
	uint8_t its_env[GRUBENV_BYTES];
	struct slots_places its_places;

	for (uint32_t i = 0; i < block_count(); i++) {
		struct block_dev *dev = block_at(i);

		if (dev->sector_bytes != BOOT_DISK_SECTOR_BYTES || dev->nr_sectors < 3 ||
		    dev->limits.max_bytes < GRUBENV_BYTES ||
		    find_places(dev, &its_places) != HV_OK ||
		    read_env(dev, &its_places, id, its_env) != HV_OK)
			continue;
		if (found) {
			log_warn("slots",
				 "%s and %s both have the ID %s: the node cannot be updated",
				 found->name, dev->name, id);
			return NULL;
		}
		found = dev;
		*places = its_places;
		memcpy(env, its_env, sizeof(its_env));
	}
	if (!found)
		log_warn("slots", "no disk has the ID %s: the node cannot be updated", id);
	return found;
}

/* ---- at boot ---- */

static void trial_has_failed(struct timer *timer)
{
	(void)timer;
	log_err("slots", "this slot was not found healthy in time; back to the other one");
	power_reboot();
}

/* Before anything else: a trial that does not even find its disk must end, too. */
static void limit_trial(void)
{
	uint32_t limit_s = cmdline_number("trial-limit", TRIAL_LIMIT_S);

	log_info("slots", "on trial: %u s to be found healthy", limit_s);
	node.trial_end_ns = time_now_ns() + limit_s * NSEC_PER_SEC;
	timer_init(&node.trial_end, trial_has_failed);
	timer_set_in(&node.trial_end, limit_s * NSEC_PER_SEC);
}

static void open_disk(uint32_t running, const char *id)
{
	struct ctl_update_manifest manifests[2];
	uint8_t env[GRUBENV_BYTES];
	struct slots_places places;
	struct block_dev *dev = find_disk(id, &places, env);
	struct slots_io flush = {.op = SLOTS_FLUSH};
	enum hv_err err;

	if (!dev)
		return;
	err = read_manifests(dev, &places, manifests);
	if (err == HV_OK)
		err = slots_open(
			&node.slots, &places, env, manifests, running, node.is_trial,
			hva_of(node.buffer),
			(uint32_t)ALIGN_DOWN(MIN(dev->limits.max_bytes, SLOTS_BUFFER_BYTES),
					     BOOT_DISK_SECTOR_BYTES));
	/* GRUB's note that this was tried may still be in the disk's cache. */
	fill_request(&flush);
	if (err == HV_OK && node.is_trial)
		err = block_run(dev, &node.req);
	if (err != HV_OK) {
		log_err("slots", "%s: unusable: %s; the node cannot be updated", dev->name,
			hv_strerror(err));
		return;
	}
	block_hold(dev); /* it may be taken out */
	node.dev = dev;
	log_info("slots", "%s: booted from slot %c%s", dev->name, 'a' + running,
		 node.is_trial ? ", on trial" : "");
}

void node_slots_init(void)
{
	char slot[4], id[DISK_ID_MAX];

	if (!cmdline_get("slot", slot, sizeof(slot)) || (strcmp(slot, "a") && strcmp(slot, "b")) ||
	    !cmdline_get("disk", id, sizeof(id)))
		return;
	node.is_trial = cmdline_number("trial", 0) == 1;
	if (node.is_trial)
		limit_trial();
	node.buffer = pages_alloc(BUFFER_ORDER);
	if (node.buffer == HPA_NONE) {
		log_err("slots", "no memory; the node cannot be updated");
		return;
	}
	open_disk(slot[0] == 'b', id);
}

const struct block_dev *node_slots_disk(void)
{
	return node.dev;
}

struct block_dev *node_slots_config(uint64_t *at)
{
	if (node.dev)
		*at = node.slots.places.config;
	return node.dev;
}

/* ---- what can be asked ---- */

static uint32_t trial_left_s(void)
{
	uint64_t now = time_now_ns();

	return now < node.trial_end_ns ? (uint32_t)((node.trial_end_ns - now) / NSEC_PER_SEC) : 0;
}

void node_slots_status(struct ctl_update_status *out)
{
	memset(out, 0, sizeof(*out));
	if (!node.dev)
		return;
	fmt(out->disk, sizeof(out->disk), "%s", node.dev->name);
	lock_take(&node.lock);
	slots_status(&node.slots, out);
	lock_release(&node.lock);
	if (out->is_trial)
		out->trial_left_s = trial_left_s();
}

static enum hv_err no_slots(char why[SLOTS_WHY_BYTES])
{
	fmt(why, SLOTS_WHY_BYTES, "the node was not booted from a disk with two slots");
	return HV_ENOTSUP;
}

enum hv_err node_slots_install(const struct ctl_update_manifest *manifest,
			       const struct node_image *image, char why[SLOTS_WHY_BYTES])
{
	enum hv_err err;

	if (!node.dev)
		return no_slots(why);
	lock_take(&node.lock);
	err = slots_install(&node.slots, manifest, &image->image, why);
	if (err == HV_OK)
		node.image = *image;
	lock_release(&node.lock);
	if (err == HV_OK)
		drive(HV_OK);
	return err;
}

enum hv_err node_slots_try(uint64_t attempt, char why[SLOTS_WHY_BYTES])
{
	enum hv_err err;

	if (!node.dev)
		return no_slots(why);
	lock_take(&node.lock);
	err = slots_try(&node.slots, attempt, why);
	lock_release(&node.lock);
	if (err == HV_OK)
		drive(HV_OK);
	return err;
}

enum hv_err node_slots_commit(char why[SLOTS_WHY_BYTES])
{
	enum hv_err err;

	if (!node.dev)
		return no_slots(why);
	lock_take(&node.lock);
	err = slots_commit(&node.slots, why);
	lock_release(&node.lock);
	if (err == HV_OK)
		drive(HV_OK);
	return err;
}
