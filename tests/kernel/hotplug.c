/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks and network cards that come and go. On each disk that appears: a pattern is written,
 * flushed, read back and compared; then it is written to, on and on, until it is gone, and
 * everything that was under way must have ended. Each network card is asked for the address
 * of 10.0.2.2, QEMU's, until an answer was received.
 *
 *   disk N NAME SERIAL: verified         the pattern was there; the load begins
 *   disk N NAME: ended, W wrong          it is gone, and nothing is under way any more
 *   disk N NAME: pulled                  one whose serial number begins with "pull": its slot was
 *                                        switched off under it
 *   boot disk NAME: gone, RESULT WHY     it is left alone until then; then a trial of its other
 * slot is asked for, which must come to nothing nic LOCATION: answered uplink LOCATION|none
 *   resources: V vectors, K KiB of small blocks, P pages     each second; V and P are free ones
 *
 * N counts the disks that have appeared. Pattern: the word of 8 bytes number n on the disk is
 * (n + 1) * PATTERN, so the host can check its image.
 */
#include "boot/after_boot.h"
#include "drivers/block.h"
#include "drivers/nic.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pci.h"
#include "kernel/time.h"
#include "net/uplink.h"
#include "storage/node_slots.h"

#define PATTERN	     0x9e3779b97f4a7c15ull
#define LANES	     16u
#define LANE_BYTES   (32u * 1024)
#define LANE_ORDER   3
#define SPAN_BYTES   (4u * 1024 * 1024)
#define TICK_NS	     (50 * NSEC_PER_MSEC)
#define SAY_TICKS    20u
#define PULL_AFTER   100u /* requests of the load */
#define SLOT_CONTROL 0x18u
#define SLOT_OFF     0x0700u
#define VECTORS_MAX  256u

enum stage { STAGE_WRITE, STAGE_FLUSH, STAGE_READ, STAGE_LOAD };

struct work;

struct lane {
	struct block_request req;
	struct block_seg seg;
	struct work *work;
	uint64_t *words;
	uint64_t next; /* sector */
};

/* A disk that is worked on; its memory is used again for the next. */
struct work {
	struct block_dev *dev; /* NULL: free */
	uint32_t number;
	char name[16];
	enum stage stage;
	uint32_t nr_active, nr_wrong, nr_loaded; /* atomic */
	bool is_over;
	struct lane lanes[LANES];
};

static struct work works[BLOCK_DEVS_MAX];
static uint32_t nr_seen, nr_ticks;
static struct timer timer;
static uint64_t asked_rx[NIC_MAX]; /* received before it was asked; ~0: has answered */
static const struct nic *asked[NIC_MAX], *last_uplink;

/* ---- disks ---- */

static uint64_t word_at(uint64_t byte)
{
	return (byte / 8 + 1) * PATTERN;
}

static void lane_ended(struct work *work)
{
	__atomic_sub_fetch(&work->nr_active, 1, __ATOMIC_RELEASE);
}

static void compare(struct lane *lane)
{
	uint64_t at = lane->req.sector * lane->work->dev->sector_bytes;

	for (uint32_t i = 0; i < LANE_BYTES / 8; i++)
		if (lane->words[i] != word_at(at + 8 * i)) {
			__atomic_add_fetch(&lane->work->nr_wrong, 1, __ATOMIC_RELAXED);
			return;
		}
}

/* The port whose bus the disk is on, by the two digits in front of its location. */
static const struct pci_device *port_of(const struct block_dev *dev)
{
	uint32_t bus = 0;

	for (uint32_t i = 0; i < 2; i++)
		bus = bus * 16 + (uint32_t)(dev->location[i] <= '9' ? dev->location[i] - '0'
								    : dev->location[i] - 'a' + 10);
	for (uint32_t i = 0; i < pci_count(); i++)
		if (pci_at(i)->header_type == 1 &&
		    pci_machine.read(pci_machine.arg, pci_at(i)->at, PCI_REG_SECONDARY, 1) == bus)
			return pci_at(i);
	return NULL;
}

/* [PCIe] "Slot Control Register": power off, behind the back of whoever serves the slot. */
static void pull(const struct work *work)
{
	const struct pci_device *port = port_of(work->dev);
	uint8_t cap = pci_find_cap(&pci_machine, port, PCI_CAP_EXPRESS);

	log_info("hotplug_check", "disk %u %s: pulled", work->number, work->name);
	pci_machine.write(pci_machine.arg, port->at, cap + SLOT_CONTROL, 2, SLOT_OFF);
}

static bool is_to_be_pulled(struct work *work)
{
	return strncmp(work->dev->serial, "pull", 4) == 0 && work->stage == STAGE_LOAD &&
	       __atomic_add_fetch(&work->nr_loaded, 1, __ATOMIC_RELAXED) == PULL_AFTER;
}

static void submit(struct lane *lane);

static void done(struct block_request *req, enum hv_err status)
{
	struct lane *lane = container_of(req, struct lane, req);
	struct work *work = lane->work;
	uint64_t end = SPAN_BYTES / work->dev->sector_bytes;

	if (status == HV_OK && req->op == BLOCK_READ)
		compare(lane);
	if (is_to_be_pulled(work))
		pull(work);
	if (status != HV_OK && status != HV_ENOENT)
		log_err("hotplug_check", "%s: %s", work->name, hv_strerror(status));
	if (status != HV_OK || req->op == BLOCK_FLUSH) {
		lane_ended(work);
		return;
	}
	lane->next += (uint64_t)LANES * req->nr_sectors;
	if (lane->next >= end && work->stage == STAGE_LOAD)
		lane->next %= end;
	if (lane->next < end)
		submit(lane);
	else
		lane_ended(work);
}

static void submit(struct lane *lane)
{
	struct work *work = lane->work;
	uint32_t sector_bytes = work->dev->sector_bytes;
	uint64_t at = lane->next * sector_bytes;

	lane->seg = (struct block_seg){hpa_of(lane->words), LANE_BYTES};
	lane->req = (struct block_request){
		.op = work->stage == STAGE_READ	   ? BLOCK_READ
		      : work->stage == STAGE_FLUSH ? BLOCK_FLUSH
						   : BLOCK_WRITE,
		.sector = work->stage == STAGE_FLUSH ? 0 : lane->next,
		.nr_sectors = work->stage == STAGE_FLUSH ? 0 : LANE_BYTES / sector_bytes,
		.segs = &lane->seg,
		.nr_segs = work->stage == STAGE_FLUSH ? 0 : 1,
		.done = done,
	};
	for (uint32_t i = 0; i < LANE_BYTES / 8; i++)
		lane->words[i] = work->stage == STAGE_READ ? 0 : word_at(at + 8 * i);
	if (block_submit(work->dev, &lane->req) != HV_OK)
		lane_ended(work);
}

static void begin(struct work *work, enum stage stage)
{
	uint32_t nr = stage == STAGE_FLUSH ? 1 : LANES;

	work->stage = stage;
	work->nr_active = nr;
	for (uint32_t i = 0; i < nr; i++)
		work->lanes[i].next = (uint64_t)i * (LANE_BYTES / work->dev->sector_bytes);
	for (uint32_t i = 0; i < nr; i++)
		submit(&work->lanes[i]);
}

/* One that is not may be no more: its requests have ended before. */
static bool is_listed(const struct block_dev *dev)
{
	for (uint32_t i = 0; i < block_count(); i++)
		if (block_at(i) == dev)
			return true;
	return false;
}

static void go_on(struct work *work)
{
	if (__atomic_load_n(&work->nr_active, __ATOMIC_ACQUIRE) > 0)
		return;
	if (!is_listed(work->dev) || work->dev->state == BLOCK_GONE) {
		log_info("hotplug_check", "disk %u %s: ended, %u wrong", work->number, work->name,
			 work->nr_wrong);
		work->is_over = true;
		return;
	}
	if (work->stage == STAGE_READ)
		log_info("hotplug_check", "disk %u %s %s: verified", work->number, work->name,
			 work->dev->serial);
	begin(work, work->stage == STAGE_LOAD ? STAGE_LOAD : work->stage + 1);
}

/* From here on its memory may be another disk's. */
static void forget(struct work *work)
{
	if (work->is_over && !is_listed(work->dev))
		work->dev = NULL;
}

static bool is_known(const struct block_dev *dev)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(works); i++)
		if (works[i].dev == dev)
			return true;
	return false;
}

static bool alloc_lanes(struct work *work)
{
	for (uint32_t i = 0; i < LANES; i++) {
		struct lane *lane = &work->lanes[i];
		hpa_t hpa = lane->words ? 0 : pages_alloc(LANE_ORDER);

		if (hpa == HPA_NONE)
			return false;
		if (!lane->words)
			lane->words = hva_of(hpa);
		lane->work = work;
	}
	return true;
}

static void take_on(struct block_dev *dev)
{
	struct work *work = works;

	while (work->dev)
		work++;
	if (!alloc_lanes(work)) {
		log_err("hotplug_check", "no memory");
		return;
	}
	work->dev = dev;
	work->number = nr_seen++;
	work->is_over = false;
	work->nr_wrong = work->nr_loaded = 0;
	memcpy(work->name, dev->name, sizeof(work->name));
	begin(work, STAGE_WRITE);
}

static void look_at_boot_disk(void)
{
	static bool is_said;
	const struct block_dev *dev = node_slots_disk();
	char why[SLOTS_WHY_BYTES] = "";
	enum hv_err err;

	if (!dev || dev->state != BLOCK_GONE || is_said)
		return;
	is_said = true;
	err = node_slots_try(1, why);
	log_info("hotplug_check", "boot disk %s: gone, %s %s", dev->name, hv_strerror(err), why);
}

static void look_at_disks(void)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(works); i++) {
		if (works[i].dev && !works[i].is_over)
			go_on(&works[i]);
		if (works[i].dev)
			forget(&works[i]);
	}
	for (uint32_t i = 0; i < block_count(); i++) {
		struct block_dev *dev = block_at(i);

		if (dev && dev->state != BLOCK_GONE && dev != node_slots_disk() && !is_known(dev))
			take_on(dev);
	}
}

/* ---- network cards ---- */

/* Who has 10.0.2.2? Tell 10.0.2.15. */
static void ask(struct nic *nic)
{
	uint8_t frame[60] = {0};

	memset(frame, 0xff, 6);
	memcpy(frame + 6, nic->mac, 6);
	put_be16(frame + 12, 0x0806);
	put_be16(frame + 14, 1);
	put_be16(frame + 16, 0x0800);
	frame[18] = 6;
	frame[19] = 4;
	put_be16(frame + 20, 1);
	memcpy(frame + 22, nic->mac, 6);
	put_be32(frame + 28, 0x0a00020f);
	put_be32(frame + 38, 0x0a000202);
	nic->ops->send(nic, frame, sizeof(frame), NULL);
}

static void look_at_nic(uint32_t i)
{
	struct nic *nic = nic_at(i);

	if (nic != asked[i]) {
		asked[i] = nic;
		asked_rx[i] = nic ? nic->counters.rx_packets : 0;
	}
	if (!nic || nic->is_gone || !nic->is_link_up || asked_rx[i] == ~0ull)
		return;
	if (nic->counters.rx_packets > asked_rx[i]) {
		log_info("hotplug_check", "nic %s: answered", nic->location);
		asked_rx[i] = ~0ull;
		return;
	}
	ask(nic);
}

static void look_at_nics(void)
{
	const struct nic *uplink = net_uplink();

	for (uint32_t i = 0; i < nic_count(); i++)
		look_at_nic(i);
	if (uplink == last_uplink && nr_ticks > 0)
		return;
	log_info("hotplug_check", "uplink %s", uplink ? uplink->location : "none");
	last_uplink = uplink;
}

/* ---- what there is left ---- */

static void nothing(void *arg)
{
	(void)arg;
}

static uint32_t free_vectors(void)
{
	static uint8_t taken[VECTORS_MAX];
	uint32_t nr = 0;

	while (nr < VECTORS_MAX && irq_vector_take(nothing, NULL, &taken[nr]) == HV_OK)
		nr++;
	for (uint32_t i = 0; i < nr; i++)
		irq_vector_give(taken[i]);
	return nr;
}

static void say(void)
{
	struct pages_stats pages;

	pages_stats(&pages);
	log_info("hotplug_check", "resources: %u vectors, %llu KiB of small blocks, %lu pages",
		 free_vectors(), kmem_in_use() / KIB, pages.free);
}

static void tick(struct timer *unused)
{
	(void)unused;
	look_at_disks();
	look_at_boot_disk();
	look_at_nics();
	if (nr_ticks++ % SAY_TICKS == 0)
		say();
	timer_set_in(&timer, TICK_NS);
}

void after_boot(void)
{
	timer_init(&timer, tick);
	tick(&timer);
	log_info("hotplug_check", "ready");
	for (;;) {
		__atomic_store_n(&this_cpu()->kick_pending, 0, __ATOMIC_SEQ_CST);
		cpu_idle_wait();
	}
}
