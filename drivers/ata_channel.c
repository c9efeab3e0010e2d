/* SPDX-License-Identifier: Apache-2.0 */
/* Probing; then a command from its registers to its end; then resets. */
#include "drivers/ata_channel.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"

/* [ATA] "Device/Head register", "Device Control register" */
#define DEVICE_OBSOLETE 0xa0u /* ones in old disks */
#define DEVICE_SECOND	0x10u
#define CONTROL_NIEN	0x02u /* no interrupts */
#define CONTROL_SRST	0x04u

/* [BMIDE] "Bus Master IDE Command Register", "Bus Master IDE Status Register" */
#define BM_START      0x01u
#define BM_TO_MEMORY  0x08u
#define BM_ACTIVE     0x01u
#define BM_ERROR      0x02u
#define BM_INTERRUPT  0x04u
#define BM_CAPABLE    0x60u /* of the two drives; to be kept */
#define PRD_LAST      0x80000000u
#define PRD_BYTES_MAX 0x10000u /* and it may not cross a multiple of this */

#define MS	      NSEC_PER_MSEC
#define SRST_NS	      (2 * MS)
#define AFTER_SRST_NS (4 * MS)
#define READY_NS      (28000 * MS)
#define LOOK_NS	      (10 * MS)
#define PROBE_ROUNDS  1000u /* of a millisecond */
#define SETTLE_READS  4u    /* of the status, 100 ns each: what a selection takes */

static uint8_t in(struct ata_channel *channel, enum ata_reg reg)
{
	return (uint8_t)channel->ports->read(channel->ports->arg, reg);
}

static void out(struct ata_channel *channel, enum ata_reg reg, uint32_t val)
{
	channel->ports->write(channel->ports->arg, reg, val);
}

static void select(struct ata_channel *channel, uint32_t drive, uint8_t device)
{
	out(channel, ATA_REG_DEVICE, DEVICE_OBSOLETE | device | (drive ? DEVICE_SECOND : 0));
	for (uint32_t i = 0; i < SETTLE_READS; i++)
		(void)in(channel, ATA_REG_CONTROL);
}

/* ---- probing ---- */

static bool wait_not_busy(struct ata_channel *channel)
{
	for (uint32_t i = 0; i < PROBE_ROUNDS; i++) {
		if (!(in(channel, ATA_REG_CONTROL) & ATA_STATUS_BSY))
			return true;
		channel->ports->wait_us(channel->ports->arg, 1000);
	}
	return false;
}

/* Registers that hold what is written into them; a bus with nobody on it does not. */
static bool is_somebody_there(struct ata_channel *channel, uint32_t drive)
{
	uint8_t status;

	select(channel, drive, 0);
	status = in(channel, ATA_REG_CONTROL);
	if (status == 0 || status == 0xff || status == 0x7f || !wait_not_busy(channel))
		return false;
	out(channel, ATA_REG_COUNT, 0x55);
	out(channel, ATA_REG_LBA0, 0xaa);
	return in(channel, ATA_REG_COUNT) == 0x55 && in(channel, ATA_REG_LBA0) == 0xaa;
}

/* False: there is no ATA disk. */
static bool read_identify_data(struct ata_channel *channel, uint32_t drive, uint8_t *data)
{
	uint8_t status;

	out(channel, ATA_REG_COMMAND, ATA_IDENTIFY);
	channel->ports->wait_us(channel->ports->arg, 1);
	if (in(channel, ATA_REG_CONTROL) == 0 || !wait_not_busy(channel))
		return false;
	status = in(channel, ATA_REG_STATUS);
	if ((status & (ATA_STATUS_ERR | ATA_STATUS_DF)) || !(status & ATA_STATUS_DRQ)) {
		if (in(channel, ATA_REG_LBA1) == 0x14 && in(channel, ATA_REG_LBA2) == 0xeb)
			log_info("ata", "%s%c: an ATAPI device, left alone", channel->name,
				 drive ? 's' : 'm');
		return false;
	}
	for (uint32_t i = 0; i < ATA_DATA_BYTES; i += 2)
		put_le16(data + i,
			 (uint16_t)channel->ports->read(channel->ports->arg, ATA_REG_DATA));
	(void)in(channel, ATA_REG_STATUS);
	return true;
}

static void probe(struct ata_channel *channel, uint32_t drive)
{
	uint8_t data[ATA_DATA_BYTES];
	enum hv_err err;

	if (!is_somebody_there(channel, drive) || !read_identify_data(channel, drive, data))
		return;
	err = ata_identify(data, &channel->drives[drive].id);
	channel->drives[drive].is_disk = err == HV_OK;
	if (err != HV_OK)
		log_warn("ata", "%s%c: a disk that cannot be used: %s", channel->name,
			 drive ? 's' : 'm', hv_strerror(err));
}

void ata_channel_probe(struct ata_channel *channel)
{
	out(channel, ATA_REG_BM_COMMAND, 0);
	out(channel, ATA_REG_CONTROL, CONTROL_NIEN);
	for (uint32_t drive = 0; drive < ATA_DRIVES; drive++)
		probe(channel, drive);
	out(channel, ATA_REG_BM_STATUS, BM_CAPABLE | BM_ERROR | BM_INTERRUPT);
	if (channel->drives[0].is_disk || channel->drives[1].is_disk)
		out(channel, ATA_REG_CONTROL, 0);
}

/* ---- a command ---- */

static bool is_reachable(const struct block_seg *segs, uint32_t nr_segs)
{
	for (uint32_t i = 0; i < nr_segs; i++)
		if (!range_fits(segs[i].hpa, segs[i].len_bytes, 4 * GIB))
			return false;
	return true;
}

/* Pieces that do not cross a multiple of 64 KiB; the last one is marked. */
static void put_prds(struct ata_channel *channel, const struct block_seg *segs, uint32_t nr_segs)
{
	struct ata_prd *prds = channel->mem->prds;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < nr_segs; i++) {
		uint64_t at = segs[i].hpa, end = at + segs[i].len_bytes;

		while (at < end) {
			uint32_t len = (uint32_t)MIN(end - at, PRD_BYTES_MAX - at % PRD_BYTES_MAX);

			ASSERT(nr < ATA_PRDS_MAX);
			prds[nr++] = (struct ata_prd){.addr = (uint32_t)at, .flags = len & 0xffff};
			at += len;
		}
	}
	prds[nr - 1].flags |= PRD_LAST;
}

static uint64_t memory_hpa(const struct ata_channel *channel, const void *at)
{
	return channel->mem_hpa + (uint64_t)((const uint8_t *)at - (const uint8_t *)channel->mem);
}

enum copy { TO_BOUNCE, FROM_BOUNCE };

static void copy_bounce(struct ata_channel *channel, const struct block_request *req, enum copy way)
{
	uint8_t *at = channel->mem->bounce;

	for (uint32_t i = 0; i < req->nr_segs; i++) {
		void *seg = hva_of(req->segs[i].hpa);

		if (way == TO_BOUNCE)
			memcpy(at, seg, req->segs[i].len_bytes);
		else
			memcpy(seg, at, req->segs[i].len_bytes);
		at += req->segs[i].len_bytes;
	}
}

static void prepare_data(struct ata_channel *channel, const struct ata_identity *id,
			 const struct block_request *req)
{
	struct block_seg own = {.hpa = memory_hpa(channel, channel->mem->trim),
				.len_bytes = ATA_TRIM_BYTES};

	channel->is_dma = req->op != BLOCK_FLUSH;
	channel->is_bounced = channel->is_dma && !is_reachable(req->segs, req->nr_segs);
	if (req->op == BLOCK_DISCARD) {
		ata_trim_fill(channel->mem->trim, req->sector, req->nr_sectors);
		put_prds(channel, &own, 1);
	} else if (channel->is_bounced) {
		own.hpa = memory_hpa(channel, channel->mem->bounce);
		own.len_bytes = req->nr_sectors * id->sector_bytes;
		if (req->op == BLOCK_WRITE)
			copy_bounce(channel, req, TO_BOUNCE);
		put_prds(channel, &own, 1);
	} else if (channel->is_dma) {
		put_prds(channel, req->segs, req->nr_segs);
	}
}

static void put_taskfile(struct ata_channel *channel, const struct ata_taskfile *taskfile)
{
	if (taskfile->is_48bit) { /* the upper halves go first, through the same ports */
		out(channel, ATA_REG_FEATURES, taskfile->features >> 8);
		out(channel, ATA_REG_COUNT, taskfile->count >> 8);
		out(channel, ATA_REG_LBA0, (uint8_t)(taskfile->lba >> 24));
		out(channel, ATA_REG_LBA1, (uint8_t)(taskfile->lba >> 32));
		out(channel, ATA_REG_LBA2, (uint8_t)(taskfile->lba >> 40));
	}
	out(channel, ATA_REG_FEATURES, (uint8_t)taskfile->features);
	out(channel, ATA_REG_COUNT, (uint8_t)taskfile->count);
	out(channel, ATA_REG_LBA0, (uint8_t)taskfile->lba);
	out(channel, ATA_REG_LBA1, (uint8_t)(taskfile->lba >> 8));
	out(channel, ATA_REG_LBA2, (uint8_t)(taskfile->lba >> 16));
	out(channel, ATA_REG_COMMAND, taskfile->command);
}

static void add_done(struct ata_events *ev, struct block_request *req, uint32_t drive,
		     enum hv_err status)
{
	ASSERT(ev->nr_done < ARRAY_SIZE(ev->done));

	ev->done[ev->nr_done].req = req;
	ev->done[ev->nr_done].drive = drive;
	ev->done[ev->nr_done++].status = status;
}

static void begin_reset(struct ata_channel *channel, uint64_t now_ns);

/* False: the drive is not in a state to take commands, and the channel is being reset. */
static bool issue(struct ata_channel *channel, uint32_t drive, struct block_request *req,
		  uint64_t now_ns)
{
	const struct ata_identity *id = &channel->drives[drive].id;
	struct ata_taskfile taskfile = ata_taskfile_of(id, req, ATA_PLAIN);
	uint32_t direction = req->op == BLOCK_READ ? BM_TO_MEMORY : 0;

	select(channel, drive, taskfile.device);
	if (in(channel, ATA_REG_CONTROL) & (ATA_STATUS_BSY | ATA_STATUS_DRQ)) {
		log_warn("ata", "%s%c: busy with nothing, reset", channel->name, drive ? 's' : 'm');
		begin_reset(channel, now_ns);
		return false;
	}
	prepare_data(channel, id, req);
	out(channel, ATA_REG_BM_COMMAND, direction);
	out(channel, ATA_REG_BM_PRDT, (uint32_t)memory_hpa(channel, channel->mem->prds));
	out(channel, ATA_REG_BM_STATUS,
	    (in(channel, ATA_REG_BM_STATUS) & BM_CAPABLE) | BM_ERROR | BM_INTERRUPT);
	channel->current = req;
	channel->current_drive = drive;
	channel->state = ATA_BUSY;
	put_taskfile(channel, &taskfile);
	if (channel->is_dma)
		out(channel, ATA_REG_BM_COMMAND, direction | BM_START);
	return true;
}

enum hv_err ata_channel_submit(struct ata_channel *channel, uint32_t drive,
			       struct block_request *req, uint64_t now_ns, struct ata_events *ev)
{
	struct ata_drive *d = &channel->drives[drive];

	if (channel->state == ATA_DEAD)
		return HV_ENOENT;
	if (d->held || d->owes_reset)
		return HV_EBUSY;
	if (channel->state != ATA_IDLE)
		d->held = req;
	else if (!issue(channel, drive, req, now_ns))
		add_done(ev, req, drive, HV_EBUSY);
	return HV_OK;
}

/* What is held, the other drive's first. */
static void issue_next(struct ata_channel *channel, uint64_t now_ns, struct ata_events *ev)
{
	for (uint32_t i = 1; i <= ATA_DRIVES && channel->state == ATA_IDLE; i++) {
		uint32_t drive = (channel->current_drive + i) % ATA_DRIVES;
		struct block_request *req = channel->drives[drive].held;

		channel->drives[drive].held = NULL;
		if (req && !issue(channel, drive, req, now_ns))
			add_done(ev, req, drive, HV_EBUSY);
	}
}

/* What the registers say of a command whose interrupt came. */
static enum hv_err result(struct ata_channel *channel, uint8_t status, uint8_t bm_status)
{
	enum hv_err err = ata_status_error(status, in(channel, ATA_REG_ERROR));

	if (err != HV_OK)
		return err;
	if (channel->is_dma && (bm_status & (BM_ERROR | BM_ACTIVE)))
		return HV_EBUSY; /* memory did not answer, or the disk stopped short */
	return status & ATA_STATUS_DRQ ? HV_EBUSY : HV_OK;
}

static void run_busy(struct ata_channel *channel, uint64_t now_ns, struct ata_events *ev)
{
	uint8_t bm_status = in(channel, ATA_REG_BM_STATUS), status;
	struct block_request *req = channel->current;
	enum hv_err err;

	if (!(bm_status & BM_INTERRUPT))
		return;
	status = in(channel, ATA_REG_STATUS); /* the drive takes its interrupt back */
	if (status & ATA_STATUS_BSY)
		return;
	out(channel, ATA_REG_BM_COMMAND, 0);
	out(channel, ATA_REG_BM_STATUS, (bm_status & BM_CAPABLE) | BM_ERROR | BM_INTERRUPT);
	err = result(channel, status, bm_status);
	if (err == HV_OK && channel->is_bounced && req->op == BLOCK_READ)
		copy_bounce(channel, req, FROM_BOUNCE);
	add_done(ev, req, channel->current_drive, err);
	channel->current = NULL;
	channel->state = ATA_IDLE;
	if (err == HV_EBUSY)
		begin_reset(channel, now_ns);
	else
		issue_next(channel, now_ns, ev);
}

/* ---- resets ---- */

static void begin_reset(struct ata_channel *channel, uint64_t now_ns)
{
	out(channel, ATA_REG_BM_COMMAND, 0);
	out(channel, ATA_REG_CONTROL, CONTROL_NIEN | CONTROL_SRST);
	channel->current = NULL;
	channel->state = ATA_RESETTING;
	channel->began_ns = now_ns;
	channel->wake_ns = now_ns + SRST_NS;
}

static void forget(struct ata_channel *channel, uint32_t drive)
{
	channel->drives[drive].held = NULL;
	if (channel->current && channel->current_drive == drive)
		channel->current = NULL;
}

void ata_channel_reset(struct ata_channel *channel, uint32_t drive, uint64_t now_ns,
		       struct ata_events *ev)
{
	if (channel->state == ATA_DEAD)
		return;
	forget(channel, drive);
	channel->drives[drive].owes_reset = true;
	if (channel->current)
		add_done(ev, channel->current, channel->current_drive, HV_EBUSY);
	begin_reset(channel, now_ns);
}

void ata_channel_kill(struct ata_channel *channel, struct ata_events *ev)
{
	for (uint32_t drive = 0; drive < ATA_DRIVES; drive++) {
		forget(channel, drive);
		channel->drives[drive].owes_reset = false;
	}
	channel->state = ATA_DEAD;
	channel->wake_ns = 0;
	ev->is_dead = true;
}

static void run_recovering(struct ata_channel *channel, uint64_t now_ns, struct ata_events *ev)
{
	for (uint32_t drive = 0; drive < ATA_DRIVES; drive++) {
		if (!channel->drives[drive].is_disk)
			continue;
		select(channel, drive, 0);
		if (!(in(channel, ATA_REG_CONTROL) & (ATA_STATUS_BSY | ATA_STATUS_DRQ)))
			continue;
		channel->wake_ns = now_ns + LOOK_NS;
		if (now_ns - channel->began_ns >= READY_NS) {
			log_err("ata", "%s%c: not ready after a reset", channel->name,
				drive ? 's' : 'm');
			ata_channel_kill(channel, ev);
		}
		return;
	}
	(void)in(channel, ATA_REG_STATUS);
	out(channel, ATA_REG_BM_STATUS, BM_CAPABLE | BM_ERROR | BM_INTERRUPT);
	out(channel, ATA_REG_CONTROL, 0);
	channel->state = ATA_IDLE;
	channel->wake_ns = 0;
	for (uint32_t drive = 0; drive < ATA_DRIVES; drive++) {
		ev->is_reset_done[drive] |= channel->drives[drive].owes_reset;
		channel->drives[drive].owes_reset = false;
	}
	issue_next(channel, now_ns, ev);
}

void ata_channel_run(struct ata_channel *channel, uint64_t now_ns, struct ata_events *ev)
{
	switch (channel->state) {
	case ATA_IDLE: /* an interrupt of nobody's: taken back, as it would stay */
		(void)in(channel, ATA_REG_STATUS);
		return;
	case ATA_BUSY:
		run_busy(channel, now_ns, ev);
		return;
	case ATA_RESETTING:
		if (now_ns < channel->wake_ns)
			return;
		out(channel, ATA_REG_CONTROL, CONTROL_NIEN);
		channel->state = ATA_RECOVERING;
		channel->wake_ns = now_ns + AFTER_SRST_NS;
		return;
	case ATA_RECOVERING:
		if (now_ns >= channel->wake_ns)
			run_recovering(channel, now_ns, ev);
		return;
	default:
		return;
	}
}
