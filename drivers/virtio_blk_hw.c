/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks of virtio: a ring for each CPU, where the device has so many, on which that CPU submits and
 * is interrupted.
 *
 * One that is plugged in while guests run is asked for its serial number by a timer, and is a disk
 * when it has answered.
 *
 * A ring in which the device wrote nonsense is broken, and the disk is reset. Lock order: a queue,
 * then drivers/block.c's lock of the disk, whose requests end under both.
 *
 * Source: [VIRTIO] "Block Device".
 */
#include "drivers/virtio_blk_hw.h"

#include "drivers/virtio_blk.h"
#include "drivers/virtio_pci_hw.h"
#include "kernel/acpi.h"
#include "kernel/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"

#define WANTED                                                                                     \
	(VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE |  \
	 VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD)
#define QUEUES_MAX 16u
#define ID_NS	   NSEC_PER_SEC
#define ID_LOOK_NS NSEC_PER_MSEC

/* [VIRTIO] "Block Device", "Device configuration layout": offsets */
#define CONFIG_CAPACITY	   0u
#define CONFIG_SIZE_MAX	   8u
#define CONFIG_SEG_MAX	   12u
#define CONFIG_BLK_SIZE	   20u
#define CONFIG_NUM_QUEUES  34u
#define CONFIG_MAX_DISCARD 36u

#define SLOTS_ORDER 0
static_assert((PAGE_SIZE << SLOTS_ORDER) >= VIRTIO_BLK_SLOTS_BYTES, "slots fit their pages");

struct disk_queue {
	struct lock lock; /* all but memory */
	bool is_live;	  /* the device has it */
	struct virtio_ring ring;
	hpa_t slots; /* HPA_NONE: not taken */
	struct virtio_blk_queue queue;
};

struct disk {
	struct block_dev block;
	struct virtio_dev virtio;
	bool is_resetting; /* atomic */
	bool is_added;	   /* to the list of disks; the boot CPU's, as the next three */
	struct timer id_timer;
	uint64_t id_deadline_ns;
	struct block_request id; /* the question for its serial number */
	uint32_t nr_queues;
	struct disk_queue queues[QUEUES_MAX];
};

static struct disk *disk_of(struct block_dev *block)
{
	return container_of(block, struct disk, block);
}

static struct disk *disk_of_virtio(struct virtio_dev *virtio)
{
	return container_of(virtio, struct disk, virtio);
}

/* ---- starting it, at boot and after a reset ---- */

static enum hv_err start(struct disk *disk)
{
	enum hv_err err = HV_OK;

	for (uint32_t i = 0; i < disk->nr_queues && err == HV_OK; i++)
		err = virtio_dev_enable_ring(&disk->virtio, &disk->queues[i].ring, i);
	if (err == HV_OK)
		err = virtio_dev_ok(&disk->virtio);
	if (err != HV_OK)
		return err;
	for (uint32_t i = 0; i < disk->nr_queues; i++) {
		struct disk_queue *at = &disk->queues[i];

		lock_take(&at->lock);
		virtio_blk_init(&at->queue, &at->ring.q, hva_of(at->slots), at->slots,
				disk->block.sector_bytes);
		at->is_live = true;
		lock_release(&at->lock);
	}
	return HV_OK;
}

static void reset_done(struct virtio_dev *virtio, enum hv_err err)
{
	struct disk *disk = disk_of_virtio(virtio);

	if (err == HV_OK)
		err = start(disk);
	if (err == HV_OK)
		__atomic_store_n(&disk->is_resetting, false, __ATOMIC_RELEASE);
	block_reset_done(&disk->block, err);
}

static void stop(struct disk *disk)
{
	for (uint32_t i = 0; i < disk->nr_queues; i++) {
		lock_take(&disk->queues[i].lock);
		disk->queues[i].is_live = false;
		lock_release(&disk->queues[i].lock);
	}
}

/* Whoever sets is_resetting first; that both we and drivers/block.c want it may well be. */
static bool begin_reset(struct disk *disk)
{
	return !__atomic_exchange_n(&disk->is_resetting, true, __ATOMIC_ACQUIRE);
}

static void reset(struct block_dev *block)
{
	struct disk *disk = disk_of(block);

	if (!begin_reset(disk))
		return;
	stop(disk);
	virtio_dev_reset(&disk->virtio, reset_done);
}

/* A reset that nobody asked us for; under no lock. */
static void mend(struct disk *disk, const char *why)
{
	if (!begin_reset(disk))
		return;
	log_err("virtio-blk", "%s: %s; reset", disk->block.name, why);
	stop(disk); /* it accepts nothing from here on */
	block_resetting(&disk->block);
	virtio_dev_reset(&disk->virtio, reset_done);
}

static void abandon(struct block_dev *block)
{
	struct disk *disk = disk_of(block);

	stop(disk);
	virtio_dev_abandon(&disk->virtio);
}

/* ---- requests ---- */

static enum hv_err submit(struct block_dev *block, struct block_request *req)
{
	struct disk *disk = disk_of(block);
	struct disk_queue *at = &disk->queues[this_cpu()->index % disk->nr_queues];
	enum hv_err err = HV_EBUSY;

	lock_take(&at->lock);
	if (at->is_live && !at->ring.q.is_broken)
		err = virtio_blk_put(&at->queue, req);
	if (err == HV_OK) {
		block_accept(block, req);
		virtio_dev_kick(&at->ring);
	}
	lock_release(&at->lock);
	return err;
}

/* All that is finished, until an interrupt will tell of the next. */
static uint32_t take_all(struct disk *disk, struct disk_queue *at, struct list *batch)
{
	struct block_request *req;
	enum hv_err status;
	uint32_t nr = 0;

	ASSERT_HELD(&at->lock);
	if (!at->is_live)
		return 0;
	do {
		while ((req = virtio_blk_take(&at->queue, &status)) != NULL) {
			block_finish(&disk->block, req, status, batch);
			nr++;
		}
	} while (virtq_listen(&at->ring.q));
	return nr;
}

static uint32_t drain(struct disk *disk, struct disk_queue *at)
{
	struct list batch;
	bool is_broken;
	uint32_t nr;

	list_init(&batch);
	lock_take(&at->lock);
	nr = take_all(disk, at, &batch);
	is_broken = at->is_live && at->ring.q.is_broken;
	lock_release(&at->lock);
	if (nr > 0)
		block_end(&disk->block, &batch);
	if (is_broken)
		mend(disk, "has written nonsense into a ring");
	return nr;
}

static uint32_t poll(struct block_dev *block)
{
	struct disk *disk = disk_of(block);
	uint32_t nr = 0;

	for (uint32_t i = 0; i < disk->nr_queues; i++)
		nr += drain(disk, &disk->queues[i]);
	if (nr == 0 && virtio_dev_look(&disk->virtio) != HV_OK)
		mend(disk, "does not answer, or asks for it");
	return nr;
}

static void line(struct virtio_dev *virtio, uint32_t index)
{
	struct disk *disk = disk_of_virtio(virtio);

	drain(disk, &disk->queues[index]);
}

static void config_changed(struct virtio_dev *virtio)
{
	struct disk *disk = disk_of_virtio(virtio);
	struct block_dev *block = &disk->block;
	uint64_t nr_sectors;

	if (virtio_dev_look(virtio) != HV_OK) {
		mend(disk, "does not answer, or asks for it");
		return;
	}
	nr_sectors = virtio_blk_sectors(block, virtio_dev_config(virtio, CONFIG_CAPACITY, 8));
	if (nr_sectors == block->nr_sectors)
		return;
	log_info("virtio-blk", "%s: from %lu to %lu sectors of %u bytes", block->name,
		 block->nr_sectors, nr_sectors, block->sector_bytes);
	block->nr_sectors = nr_sectors;
}

static const struct virtio_dev_ops virtio_ops = {.line = line, .config_changed = config_changed};

static const struct block_ops ops = {
	.driver = "virtio-blk",
	.submit = submit,
	.poll = poll,
	.reset = reset,
	.abandon = abandon,
};

/* ---- finding it ---- */

static uint32_t config_if(struct virtio_dev *virtio, uint64_t feature, uint32_t offset,
			  uint32_t size)
{
	return virtio->features & feature ? (uint32_t)virtio_dev_config(virtio, offset, size) : 0;
}

static void read_config(struct virtio_dev *virtio, struct virtio_blk_config *config)
{
	*config = (struct virtio_blk_config){
		.features = virtio->features,
		.capacity = virtio_dev_config(virtio, CONFIG_CAPACITY, 8),
		.size_max = config_if(virtio, VIRTIO_BLK_F_SIZE_MAX, CONFIG_SIZE_MAX, 4),
		.seg_max = config_if(virtio, VIRTIO_BLK_F_SEG_MAX, CONFIG_SEG_MAX, 4),
		.blk_size = config_if(virtio, VIRTIO_BLK_F_BLK_SIZE, CONFIG_BLK_SIZE, 4),
		.max_discard_sectors =
			config_if(virtio, VIRTIO_BLK_F_DISCARD, CONFIG_MAX_DISCARD, 4),
	};
}

static void free_queues(struct disk *disk)
{
	for (uint32_t i = 0; i < disk->nr_queues; i++) {
		struct disk_queue *at = &disk->queues[i];

		virtio_dev_free_ring(&at->ring);
		if (at->slots != HPA_NONE)
			pages_free(at->slots, SLOTS_ORDER);
		at->slots = HPA_NONE;
	}
}

static enum hv_err alloc_queue(struct disk *disk, uint16_t index)
{
	struct disk_queue *at = &disk->queues[index];
	enum hv_err err = virtio_dev_alloc_ring(&disk->virtio, &at->ring, index, VIRTIO_BLK_PIECES,
						VIRTIO_BLK_SLOTS);

	at->slots = HPA_NONE;
	disk->nr_queues++;
	if (err != HV_OK)
		return err;
	at->slots = pages_alloc(SLOTS_ORDER);
	return at->slots == HPA_NONE ? HV_ENOMEM : HV_OK;
}

static enum hv_err alloc_queues(struct disk *disk)
{
	uint32_t offered = config_if(&disk->virtio, VIRTIO_BLK_F_MQ, CONFIG_NUM_QUEUES, 2);
	uint32_t nr = MAX(1u, MIN(MIN(offered, QUEUES_MAX), acpi_info.nr_cpus));
	enum hv_err err = HV_OK;

	for (uint32_t i = 0; i < nr && err == HV_OK; i++)
		err = alloc_queue(disk, (uint16_t)i);
	return err;
}

/* Descriptors that one chain may have in every queue. */
static uint32_t chain_max(const struct disk *disk)
{
	uint32_t most = VIRTIO_BLK_PIECES;

	for (uint32_t i = 0; i < disk->nr_queues; i++)
		most = MIN(most, disk->queues[i].ring.shape.size);
	return most;
}

/* The interrupt handler is to keep away until it is answered. */
static enum hv_err ask_serial(struct disk *disk)
{
	struct disk_queue *at = &disk->queues[0];
	enum hv_err err;

	disk->id = (struct block_request){.op = BLOCK_READ};
	lock_take(&at->lock);
	at->is_live = false;
	err = virtio_blk_put_id(&at->queue, &disk->id);
	if (err == HV_OK)
		virtio_dev_kick(&at->ring);
	lock_release(&at->lock);
	disk->id_deadline_ns = time_now_ns() + ID_NS;
	return err;
}

/* HV_EBUSY: not yet. HV_EIO: it does not answer. */
static enum hv_err take_serial(struct disk *disk)
{
	struct disk_queue *at = &disk->queues[0];
	enum hv_err status;

	lock_take(&at->lock);
	at->is_live = virtio_blk_take(&at->queue, &status) != NULL;
	lock_release(&at->lock);
	if (!at->is_live)
		return time_now_ns() > disk->id_deadline_ns ? HV_EIO : HV_EBUSY;
	if (status == HV_OK) /* it need not have one */
		virtio_blk_text(at->queue.slots[disk->id.slot].id, disk->block.serial,
				sizeof(disk->block.serial));
	return HV_OK;
}

static enum hv_err identify(struct disk *disk)
{
	struct virtio_blk_config config;
	enum hv_err err = virtio_dev_negotiate(&disk->virtio, WANTED);

	if (err == HV_OK)
		err = alloc_queues(disk);
	if (err != HV_OK)
		return err;
	read_config(&disk->virtio, &config);
	return virtio_blk_identify(&config, chain_max(disk), &disk->block);
}

static void say(const struct disk *disk)
{
	const struct block_dev *block = &disk->block;

	log_info("virtio-blk",
		 "%s: %s: %llu MiB in sectors of %u bytes%s%s, %u queue%s, serial '%s'",
		 block->location, block->name, block->nr_sectors / (MIB / block->sector_bytes),
		 block->sector_bytes, block->is_read_only ? ", read-only" : "",
		 block->limits.max_discard_sectors ? ", discard" : "", disk->nr_queues,
		 disk->nr_queues == 1 ? "" : "s", block->serial);
}

static void free_disk(struct disk *disk)
{
	free_queues(disk);
	kmem_free(disk);
}

static enum hv_err add(struct disk *disk)
{
	enum hv_err err = block_add(&disk->block);

	if (err != HV_OK)
		return err;
	disk->is_added = true;
	say(disk);
	drain(disk, &disk->queues[0]); /* and let it interrupt again, if it did too early */
	return HV_OK;
}

static void look_for_serial(struct timer *timer)
{
	struct disk *disk = container_of(timer, struct disk, id_timer);
	enum hv_err err = take_serial(disk);

	if (err == HV_OK)
		err = add(disk);
	if (err == HV_EBUSY)
		timer_set_in(timer, ID_LOOK_NS);
	else if (err != HV_OK)
		log_err("virtio-blk", "%s: is no disk: %s", disk->block.location, hv_strerror(err));
}

static enum hv_err bring_up(struct disk *disk)
{
	enum hv_err err = start(disk);

	if (err == HV_OK)
		err = ask_serial(disk);
	if (err != HV_OK)
		return err;
	if (disk->virtio.pci->is_plugged_in) {
		timer_init(&disk->id_timer, look_for_serial);
		look_for_serial(&disk->id_timer);
		return HV_OK;
	}
	do
		err = take_serial(disk);
	while (err == HV_EBUSY);
	return err == HV_OK ? add(disk) : err;
}

static enum hv_err attach(struct pci_device *dev)
{
	static uint32_t nr_disks;
	struct disk *disk = kmem_alloc(sizeof(*disk));
	enum hv_err err;

	if (!disk)
		return HV_ENOMEM;
	disk->virtio.ops = &virtio_ops;
	disk->block.ops = &ops;
	err = virtio_dev_open(&disk->virtio, dev);
	if (err == HV_OK)
		err = identify(disk);
	if (err == HV_OK)
		err = virtio_dev_connect(&disk->virtio, disk->nr_queues);
	if (err != HV_OK)
		goto close;

	memcpy(disk->block.location, disk->virtio.location, sizeof(disk->block.location));
	fmt(disk->block.name, sizeof(disk->block.name), "vblk%u", nr_disks++);
	fmt(disk->block.model, sizeof(disk->block.model), "virtio disk");
	dev->driver_data = disk;
	err = bring_up(disk);
	if (err == HV_OK)
		return HV_OK;

close:
	virtio_dev_close(&disk->virtio);
	virtio_dev_release(&disk->virtio);
	free_disk(disk);
	return err;
}

/* ---- taking it out ---- */

static void detach(struct pci_device *dev, bool is_there)
{
	struct disk *disk = dev->driver_data;

	timer_cancel(&disk->id_timer);
	(void)begin_reset(disk);
	stop(disk);
	if (is_there)
		virtio_dev_leave(&disk->virtio);
	else
		virtio_dev_abandon(&disk->virtio);
}

static bool is_detached(struct pci_device *dev)
{
	struct disk *disk = dev->driver_data;

	return virtio_dev_has_left(&disk->virtio);
}

/* A disk that somebody holds keeps its struct for ever. */
static void release(struct pci_device *dev)
{
	struct disk *disk = dev->driver_data;
	bool is_removed = true;

	virtio_dev_abandon(&disk->virtio);
	stop(disk); /* a reset that had just begun may have started it */
	if (disk->is_added) {
		block_gone(&disk->block);
		is_removed = block_remove(&disk->block);
	}
	virtio_dev_release(&disk->virtio);
	if (!is_removed) {
		free_queues(disk);
		return;
	}
	if (disk->is_added)
		block_forget(&disk->block);
	free_disk(disk);
}

static const struct pci_match matches[] = {
	{VIRTIO_PCI_VENDOR, VIRTIO_PCI_OLD_BLOCK},
	{VIRTIO_PCI_VENDOR, VIRTIO_PCI_BLOCK},
};

const struct pci_driver virtio_blk_driver = {
	.name = "virtio-blk",
	.base_class = PCI_CLASS_STORAGE,
	.devices = "virtio-blk",
	.matches = matches,
	.nr_matches = ARRAY_SIZE(matches),
	.attach = attach,
	.detach = detach,
	.is_detached = is_detached,
	.release = release,
};
