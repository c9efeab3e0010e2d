/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks under load. On the command line:
 *
 *   disk-check=write     on each disk: write a pattern, flush, read it back, discard a part of it,
 *                        write that again, flush; and try what must be refused
 *   disk-check=verify    only read it and compare
 *   disk-check=errors    the same as write, but requests may fail: say which sectors do
 *   disk-check=pull      on disks in PCI Express slots: write until the slot is switched off, and
 *                        say how the requests ended; afterwards write on the others
 *   disk-check=reads     ticks per random read of 4 KiB, one at a time and 32 at a time
 *   disk-span=KIB        how much of each disk, from its beginning; default 8192
 *   disk-lanes=N         how many requests are under way on each disk; default and most 32
 *   disk-seed=N          of the pattern; default 1
 *   disk-count=N         how many there must be; default: whatever there is
 *   disk-deaf=1          let no interrupt of a disk controller arrive: the block layer must find
 * out
 *
 * Requests are of mixed sizes, their data in as many pieces, and as oddly placed, as the disk's
 * limits allow. Each is in a lane, which goes through a part of the disk that is its own. What a
 * sector holds follows from its number and the seed, so the host can check its image file too:
 * the word of 8 bytes number n on the disk is (n + (seed << 48)) * PATTERN.
 */
#include "boot/after_boot.h"
#include "drivers/block.h"
#include "drivers/drivers.h"
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/pci.h"
#include "kernel/power.h"
#include "kernel/time.h"
#include "tests/kernel/lib/deaf.h"

#define PATTERN		  0x9e3779b97f4a7c15ull
#define LANES		  32u
#define DISKS_MAX	  8u
#define BUFFER_ORDER	  6 /* 256 KiB a lane, of which half can be data: the rest is gaps */
#define DATA_MAX	  (128u * 1024)
#define PULL_AFTER	  200u /* requests */
#define READS		  2000u
#define SPIN_LOOPS	  1000u
#define CALIBRATION_SPINS 20000u
#define READ_BYTES	  4096u
#define SLOT_CONTROL	  0x18u
#define SLOT_OFF	  0x0700u
#define USB_CONTROLLER	  0x0c03u

enum mode { MODE_WRITE, MODE_VERIFY, MODE_ERRORS, MODE_PULL, MODE_READS };

struct disk;

struct lane {
	struct block_request req;
	struct disk *disk;
	uint8_t *buffer;
	uint64_t next, end;    /* sectors that remain to be done */
	uint64_t single_until; /* up to here, one at a time */
	uint64_t random;
	struct block_seg segs[BLOCK_SEGS_MAX];
};

struct disk {
	struct block_dev *dev;
	uint64_t span;	    /* sectors */
	enum block_op op;   /* of this pass */
	uint32_t nr_active; /* lanes; atomic, as all below */
	uint64_t nr_requests, nr_wrong, nr_failed, nr_gone;
	int64_t nr_left; /* reads that may still be started; MODE_READS */
	struct lane lanes[LANES];
};

static struct disk *disks[DISKS_MAX];
static uint32_t nr_disks, nr_lanes, seed;
static enum mode mode;

static uint64_t add(uint64_t *counter, uint64_t nr)
{
	return __atomic_add_fetch(counter, nr, __ATOMIC_RELAXED);
}

static uint64_t random_below(struct lane *lane, uint64_t limit)
{
	lane->random ^= lane->random << 13; /* xorshift */
	lane->random ^= lane->random >> 7;
	lane->random ^= lane->random << 17;
	return lane->random % limit;
}

/* ---- the pattern ---- */

static uint64_t word_at(uint64_t byte)
{
	return (byte / 8 + ((uint64_t)seed << 48)) * PATTERN;
}

/* Fills or compares the pieces, which may part words. Returns how many sectors were wrong. */
static uint32_t walk(const struct block_dev *dev, const struct block_request *req, bool is_fill)
{
	uint64_t byte = req->sector * dev->sector_bytes, word = word_at(byte);
	uint64_t bad_sector = UINT64_MAX;
	uint32_t nr_wrong = 0;

	for (uint32_t i = 0; i < req->nr_segs; i++) {
		uint8_t *at = hva_of(req->segs[i].hpa);

		for (uint32_t k = 0; k < req->segs[i].len_bytes; k++, byte++) {
			uint8_t wanted;

			if (byte % 8 == 0)
				word = word_at(byte);
			wanted = (uint8_t)(word >> 8 * (byte % 8));
			if (is_fill) {
				at[k] = wanted;
			} else if (at[k] != wanted && byte / dev->sector_bytes != bad_sector) {
				bad_sector = byte / dev->sector_bytes;
				nr_wrong++;
				log_info("disk_check", "%s: wrong data in sector %lu", dev->name,
					 bad_sector);
			}
		}
	}
	return nr_wrong;
}

/* ---- pieces ---- */

/* Pages in falling order, the first one begun somewhere inside. */
static uint32_t cut_at_pages(struct lane *lane, const struct block_limits *limits, uint32_t len)
{
	uint32_t page = limits->boundary_bytes, nr = 0;
	uint32_t skip =
		(uint32_t)random_below(lane, page / limits->align_bytes) * limits->align_bytes;
	uint64_t at = hpa_of(lane->buffer) + (1u << BUFFER_ORDER) * PAGE_SIZE;

	for (; len > 0; skip = 0) {
		uint32_t piece = MIN(len, page - skip);

		at -= page;
		lane->segs[nr++] = (struct block_seg){.hpa = at + skip, .len_bytes = piece};
		len -= piece;
	}
	return nr;
}

/* Pieces of any length with gaps between them; the last takes what is left. */
static uint32_t cut_anywhere(struct lane *lane, const struct block_limits *limits, uint32_t len)
{
	uint32_t align = limits->align_bytes, nr = 0;
	uint64_t at = hpa_of(lane->buffer);

	while (len > 0) {
		uint32_t piece = len;

		if (nr + 1 < limits->max_segs && len > align)
			piece = align * (uint32_t)(1 + random_below(lane, len / align));
		at += align * random_below(lane, 512 / align);
		lane->segs[nr++] = (struct block_seg){.hpa = at, .len_bytes = piece};
		at += piece;
		len -= piece;
	}
	return nr;
}

static uint32_t cut(struct lane *lane, uint32_t len)
{
	const struct block_limits *limits = &lane->disk->dev->limits;

	return limits->boundary_bytes ? cut_at_pages(lane, limits, len)
				      : cut_anywhere(lane, limits, len);
}

static uint32_t sectors_max(const struct block_dev *dev)
{
	uint32_t bytes = MIN(dev->limits.max_bytes, DATA_MAX);

	if (dev->limits.boundary_bytes) /* with a part of a page at each end */
		bytes = MIN(bytes, (MIN(dev->limits.max_segs, BLOCK_SEGS_MAX) - 1) *
					   dev->limits.boundary_bytes);
	return bytes / dev->sector_bytes;
}

/* ---- pulling ---- */

static uint32_t hex(const char *text)
{
	uint32_t val = 0;

	for (; *text && *text != ':'; text++)
		val = val * 16 + (uint32_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
	return val;
}

/* The port whose bus the disk's controller is on; NULL: it is on bus 0. */
static const struct pci_device *slot_of(const struct block_dev *dev)
{
	uint32_t bus = hex(dev->location);

	for (uint32_t i = 0; i < pci_count(); i++) {
		const struct pci_device *port = pci_at(i);

		if (port->header_type == 1 &&
		    pci_machine.read(pci_machine.arg, port->at, PCI_REG_SECONDARY, 1) == bus)
			return port;
	}
	return NULL;
}

/* [PCIe] "Slot Control Register": power and its indicator off, as when a person asked for it. */
static void pull(const struct block_dev *dev)
{
	const struct pci_device *port = slot_of(dev);
	uint8_t cap = pci_find_cap(&pci_machine, port, PCI_CAP_EXPRESS);

	pci_machine.write(pci_machine.arg, port->at, cap + SLOT_CONTROL, 2, SLOT_OFF);
}

/* ---- lanes ---- */

static void lane_go_on(struct lane *lane);

static void lane_stop(struct disk *disk)
{
	__atomic_sub_fetch(&disk->nr_active, 1, __ATOMIC_RELEASE);
	cpu_kick(cpu_at(0));
}

/* A request of one sector that failed names the bad one; the sectors of others are tried singly. */
static void note_failure(struct lane *lane)
{
	struct block_request *req = &lane->req;

	if (req->nr_sectors > 1) {
		lane->next = req->sector;
		lane->single_until = req->sector + req->nr_sectors;
		return;
	}
	add(&lane->disk->nr_failed, 1);
	log_info("disk_check", "%s: %s failed at sector %lu", lane->disk->dev->name,
		 req->op == BLOCK_READ ? "read" : "write", req->sector);
}

static void lane_done(struct block_request *req, enum hv_err status)
{
	struct lane *lane = container_of(req, struct lane, req);
	struct disk *disk = lane->disk;

	if (add(&disk->nr_requests, 1) == PULL_AFTER && mode == MODE_PULL && slot_of(disk->dev))
		pull(disk->dev);
	if (status == HV_ENOENT) {
		add(&disk->nr_gone, 1);
		lane_stop(disk);
		return;
	}
	if (status != HV_OK)
		note_failure(lane);
	else if (req->op == BLOCK_READ && mode != MODE_READS)
		add(&disk->nr_wrong, walk(disk->dev, req, false));
	lane_go_on(lane);
}

/* The next request of this lane; false: it has done its part. */
static bool lane_prepare(struct lane *lane)
{
	const struct block_dev *dev = lane->disk->dev;
	struct block_request *req = &lane->req;
	uint64_t nr = 1 + random_below(lane, sectors_max(dev));

	if (mode == MODE_PULL && lane->next == lane->end && slot_of(dev))
		lane->next = 0; /* without an end */
	if (lane->next == lane->end)
		return false;
	if (lane->next < lane->single_until)
		nr = 1;
	nr = MIN(nr, lane->end - lane->next);
	*req = (struct block_request){
		.op = lane->disk->op,
		.sector = lane->next,
		.nr_sectors = (uint32_t)nr,
		.segs = lane->segs,
		.done = lane_done,
	};
	lane->next += nr;
	if (req->op == BLOCK_DISCARD)
		return true;
	req->nr_segs = cut(lane, (uint32_t)nr * dev->sector_bytes);
	if (req->op == BLOCK_WRITE)
		walk(dev, req, true);
	return true;
}

static bool lane_prepare_read(struct lane *lane)
{
	const struct block_dev *dev = lane->disk->dev;
	uint64_t nr = READ_BYTES / dev->sector_bytes;

	if (__atomic_sub_fetch(&lane->disk->nr_left, 1, __ATOMIC_RELAXED) < 0)
		return false;
	lane->segs[0] = (struct block_seg){.hpa = hpa_of(lane->buffer), .len_bytes = READ_BYTES};
	lane->req = (struct block_request){
		.op = BLOCK_READ,
		.sector = random_below(lane, lane->disk->span / nr) * nr,
		.nr_sectors = (uint32_t)nr,
		.segs = lane->segs,
		.nr_segs = 1,
		.done = lane_done,
	};
	return true;
}

static void lane_go_on(struct lane *lane)
{
	bool is_more = mode == MODE_READS ? lane_prepare_read(lane) : lane_prepare(lane);
	enum hv_err err;

	if (!is_more) {
		lane_stop(lane->disk);
		return;
	}
	err = block_submit(lane->disk->dev, &lane->req);
	if (err == HV_OK)
		return;
	if (err == HV_ENOENT)
		add(&lane->disk->nr_gone, 1);
	else
		log_err("disk_check", "%s: not submitted: %s", lane->disk->dev->name,
			hv_strerror(err));
	lane_stop(lane->disk);
}

/* ---- passes over a disk ---- */

static void begin_pass(struct disk *disk, enum block_op op, uint64_t first, uint64_t end,
		       uint32_t nr)
{
	uint64_t share = (end - first) / nr;

	disk->op = op;
	disk->nr_active = nr;
	for (uint32_t i = 0; i < nr; i++) {
		struct lane *lane = &disk->lanes[i];

		lane->next = first + i * share;
		lane->end = i + 1 < nr ? lane->next + share : end;
		lane->single_until = 0;
	}
	for (uint32_t i = 0; i < nr; i++)
		lane_go_on(&disk->lanes[i]);
}

static bool is_busy(void)
{
	for (uint32_t i = 0; i < nr_disks; i++)
		if (__atomic_load_n(&disks[i]->nr_active, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

static void wait_idle(void)
{
	for (;;) {
		__atomic_store_n(&this_cpu()->kick_pending, 0, __ATOMIC_SEQ_CST);
		if (!is_busy())
			return;
		cpu_idle_wait();
	}
}

static void pass_all(enum block_op op)
{
	for (uint32_t i = 0; i < nr_disks; i++)
		begin_pass(disks[i], op, 0, disks[i]->span, nr_lanes);
	wait_idle();
}

static void flush_all(void)
{
	struct block_request flush;

	for (uint32_t i = 0; i < nr_disks; i++) {
		enum hv_err err;

		flush = (struct block_request){.op = BLOCK_FLUSH};
		err = block_run(disks[i]->dev, &flush);
		if (err != HV_OK && err != HV_ENOENT)
			log_err("disk_check", "%s: flush: %s", disks[i]->dev->name,
				hv_strerror(err));
	}
}

/* The last eighth is discarded, may hold anything, and is written again. */
static void discard_all(void)
{
	for (uint32_t i = 0; i < nr_disks; i++) {
		struct disk *disk = disks[i];

		if (disk->dev->limits.max_discard_sectors > 0)
			begin_pass(disk, BLOCK_DISCARD, disk->span * 7 / 8, disk->span, 4);
	}
	wait_idle();
	for (uint32_t i = 0; i < nr_disks; i++)
		begin_pass(disks[i], BLOCK_WRITE, disks[i]->span * 7 / 8, disks[i]->span, 4);
	wait_idle();
}

/* ---- what must be refused ---- */

static void expect(const struct disk *disk, const char *what, enum hv_err got, enum hv_err wanted)
{
	if (got != wanted)
		log_err("disk_check", "%s: %s: is %s, should be %s", disk->dev->name, what,
			hv_strerror(got), hv_strerror(wanted));
}

static void check_refusals(struct disk *disk)
{
	struct block_dev *dev = disk->dev;
	struct block_seg seg = {.hpa = hpa_of(disk->lanes[0].buffer),
				.len_bytes = dev->sector_bytes};
	struct block_request req = {.op = BLOCK_READ, .nr_sectors = 1, .segs = &seg, .nr_segs = 1};

	req.sector = dev->nr_sectors;
	expect(disk, "a read behind the end", block_run(dev, &req), HV_EINVAL);
	req.sector = UINT64_MAX;
	expect(disk, "a read far behind the end", block_run(dev, &req), HV_EINVAL);
	req.sector = 0;
	seg.len_bytes--;
	expect(disk, "a read into too little memory", block_run(dev, &req), HV_EINVAL);
	seg.len_bytes++;
	req.nr_segs = 0;
	expect(disk, "a read into nothing", block_run(dev, &req), HV_EINVAL);
	req.nr_segs = 1;
	req.sector = dev->nr_sectors - 1;
	expect(disk, "a read of the last sector", block_run(dev, &req), HV_OK);
}

/* ---- the modes ---- */

static void say(const struct disk *disk)
{
	const struct block_counters *c = &disk->dev->counters;

	log_info("disk_check",
		 "%s: %lu reads, %lu writes, %lu flushes, %lu discards; %lu wrong, %lu failed, %lu "
		 "gone; %lu errors, %lu retries, %lu resets, %lu lost interrupts",
		 disk->dev->name, c->ops[BLOCK_READ], c->ops[BLOCK_WRITE], c->ops[BLOCK_FLUSH],
		 c->ops[BLOCK_DISCARD], disk->nr_wrong, disk->nr_failed, disk->nr_gone, c->errors,
		 c->retries, c->resets, c->lost_interrupts);
	if (disk->dev->health.is_known)
		log_info("disk_check", "%s: health: %s, %d degrees", disk->dev->name,
			 disk->dev->health.is_failing ? "failing" : "good",
			 disk->dev->health.temperature_c);
}

static void run_write(void)
{
	pass_all(BLOCK_WRITE);
	flush_all();
	pass_all(BLOCK_READ);
	if (mode == MODE_ERRORS)
		return;
	discard_all();
	flush_all();
	for (uint32_t i = 0; i < nr_disks; i++)
		check_refusals(disks[i]);
}

static void run_pull(void)
{
	for (uint32_t i = 0; i < nr_disks; i++)
		if (slot_of(disks[i]->dev))
			begin_pass(disks[i], BLOCK_WRITE, 0, disks[i]->span, nr_lanes);
	wait_idle();
	for (uint32_t i = 0; i < nr_disks; i++) {
		struct disk *disk = disks[i];

		if (!slot_of(disk->dev)) { /* it has not noticed */
			begin_pass(disk, BLOCK_WRITE, 0, disk->span, nr_lanes);
			continue;
		}
		disk->lanes[0].next = 0;
		lane_prepare(&disk->lanes[0]);
		expect(disk, "a request to one that is gone",
		       block_submit(disk->dev, &disk->lanes[0].req), HV_ENOENT);
	}
	wait_idle();
}

/* A loop of always the same length, in which interrupts come. Returns whether reads are under way.
 */
static __attribute__((noinline)) bool spin(void)
{
	uint64_t loops = SPIN_LOOPS;

	__asm__ volatile("sti; 1: dec %0; jnz 1b; cli" : "+r"(loops) : : "cc", "memory");
	return is_busy();
}

/*
 * All that takes longer than the turns of the loop is the work of the reads: their submission and
 * their interrupts.
 */
static void measure(struct disk *disk, uint32_t depth)
{
	uint64_t start = tsc_now(), nr_spins = 1, calibration, ticks;

	for (uint32_t i = 0; i < CALIBRATION_SPINS; i++)
		(void)spin();
	calibration = tsc_now() - start;

	disk->nr_left = READS;
	start = tsc_now();
	begin_pass(disk, BLOCK_READ, 0, disk->span, depth);
	while (spin())
		nr_spins++;
	ticks = tsc_now() - start;
	log_info("disk_check", "%s: reads, %u at a time: %lu ticks each, %lu with waiting",
		 disk->dev->name, depth,
		 (ticks - nr_spins * calibration / CALIBRATION_SPINS) / READS, ticks / READS);
}

static void run_reads(void)
{
	for (uint32_t i = 0; i < nr_disks; i++) {
		measure(disks[i], 1);
		measure(disks[i], LANES);
	}
}

static void drop_interrupt(void *arg)
{
	(void)arg;
}

static void drop_isa(uint8_t isa_irq)
{
	enum irq_trigger trigger;
	uint32_t gsi = irq_isa_gsi(isa_irq, &trigger);
	uint8_t vector;

	if (irq_vector_take(drop_interrupt, NULL, &vector) != HV_OK ||
	    irq_route_gsi(gsi, vector, trigger) != HV_OK)
		log_err("disk_check", "interrupt %u stays", isa_irq);
}

static void go_deaf(void)
{
	for (uint32_t i = 0; i < pci_count(); i++) {
		const struct pci_device *dev = pci_at(i);

		if (dev->class_code >> 16 == PCI_CLASS_STORAGE ||
		    dev->class_code >> 8 == USB_CONTROLLER)
			deaf_begin(dev);
	}
	drop_isa(14);
	drop_isa(15);
}

/* ---- disks ---- */

static bool make_disk(struct block_dev *dev)
{
	struct disk *disk = kmem_alloc(sizeof(*disk));
	uint64_t span = cmdline_number("disk-span", 8192) * KIB / dev->sector_bytes;

	if (!disk)
		return false;
	block_hold(dev); /* it may be gone before we have said so */
	disk->dev = dev;
	disk->span = MIN(span, dev->nr_sectors);
	for (uint32_t i = 0; i < LANES; i++) {
		hpa_t buffer = pages_alloc(BUFFER_ORDER);

		if (buffer == HPA_NONE)
			return false;
		disk->lanes[i].disk = disk;
		disk->lanes[i].buffer = hva_of(buffer);
		disk->lanes[i].random = (nr_disks * LANES + i + 1) * PATTERN;
	}
	disks[nr_disks++] = disk;
	return true;
}

static void find_disks(void)
{
	for (uint32_t i = 0; i < block_count() && nr_disks < DISKS_MAX; i++) {
		const struct block_dev *dev = block_at(i);

		if (!make_disk(block_at(i)))
			log_err("disk_check", "%s: no memory to test it", dev->name);
		log_info("disk_check", "%s: %s '%s' serial '%s', %lu sectors of %u bytes",
			 dev->name, dev->ops->driver, dev->model, dev->serial, dev->nr_sectors,
			 dev->sector_bytes);
	}
	if (nr_disks != cmdline_number("disk-count", nr_disks))
		log_err("disk_check", "%u disks", nr_disks);
}

void after_boot(void)
{
	static const char *const words[] = {"write", "verify", "errors", "pull", "reads"};

	mode = cmdline_choose("disk-check", words, ARRAY_SIZE(words), MODE_WRITE);
	seed = cmdline_number("disk-seed", 1);
	nr_lanes = MIN(MAX(cmdline_number("disk-lanes", LANES), 1u), LANES);
	find_disks();
	if (cmdline_number("disk-deaf", 0))
		go_deaf();
	switch (mode) {
	case MODE_VERIFY:
		pass_all(BLOCK_READ);
		break;
	case MODE_PULL:
		run_pull();
		break;
	case MODE_READS:
		run_reads();
		break;
	default:
		run_write();
	}
	for (uint32_t i = 0; i < nr_disks; i++)
		say(disks[i]);
	log_info("disk_check", "done, %u disks", nr_disks);
	power_off();
}
