/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every disk offers to the layers above, whatever its hardware: asynchronous requests over
 * scatter-gather lists, each completed exactly once, with an honest status.
 *
 *   block_submit() ──► checked ──► ops->submit() ──► hardware ──► block_complete() ──► done()
 *                         ▲             │ HV_EBUSY: no slot            │
 *                         │             ▼                              │ an error of the way there
 *                         └──────── waits here, in order ◄─────────────┘
 *
 * What all disks share is in drivers/block*.c: the checks, the queue of those that wait for a slot,
 * deadlines, what follows when one has passed (look whether an interrupt was lost; else reset the
 * controller, and try again what it had), and the counters. A driver has the hardware's part.
 *
 * Segments are physical memory that the device reads and writes directly, so they are the kernel's
 * or were checked to be one guest's. Nobody may touch a request or its segments between submit and
 * done(); a request is never forgotten, not even when its device was pulled out.
 *
 * FLUSH covers what was completed before it was submitted. Order between other requests is nobody's
 * promise. A WRITE that failed may have written any of its sectors.
 */
#ifndef DRIVERS_BLOCK_H
#define DRIVERS_BLOCK_H

#include "kernel/lib/err.h"
#include "kernel/lib/list.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/types.h"
#include "kernel/time.h"

#define BLOCK_DEVS_MAX	   32u
#define BLOCK_SEGS_MAX	   128u
#define BLOCK_TEXT_MAX	   48u
#define BLOCK_TIMEOUT_NS   (5ull * 1000 * 1000 * 1000) /* READ, WRITE, DISCARD */
#define BLOCK_FLUSH_NS	   (30ull * 1000 * 1000 * 1000)
#define BLOCK_PATIENCE_NS  (15ull * 1000 * 1000 * 1000) /* more, while it answers others */
#define BLOCK_RESET_NS	   (30ull * 1000 * 1000 * 1000) /* a reset that takes longer has failed */
#define BLOCK_ATTEMPTS_MAX 3u /* how often one request is given to the hardware */
#define BLOCK_TICK_NS	   (100ull * 1000 * 1000)  /* how often a busy disk is looked at */
#define BLOCK_LATE_NS	   (1000ull * 1000 * 1000) /* older requests: was an interrupt lost? */

struct block_dev;

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_OPS };

struct block_seg {
	uint64_t hpa;
	uint32_t len_bytes;
};

struct block_request {
	/* The caller's. */
	enum block_op op;
	uint64_t sector; /* in units of dev->sector_bytes; 0 for FLUSH */
	uint32_t nr_sectors;
	uint32_t nr_segs; /* 0 for FLUSH and DISCARD */
	const struct block_seg *segs;
	/*
	 * Once, on any CPU, interrupts off, under no lock of the disk's: it may submit. HV_OK:
	 * done, and durable after the next FLUSH. HV_EIO: the disk said no, or nothing; HV_ENOENT:
	 * it is gone.
	 */
	void (*done)(struct block_request *req, enum hv_err status);
	void *arg;

	/* drivers/block.c's, and of a driver while it has the request. */
	struct list queued;
	uint64_t deadline_ns;
	uint32_t attempts;
	uint32_t slot; /* the driver's: its tag, command slot, identifier */
	bool is_with_driver;
	uint32_t epoch;	    /* block_accept() */
	enum hv_err status; /* between block_finish() and block_end() */
};

/* What one request may be; the caller splits what is larger. */
struct block_limits {
	uint32_t max_bytes, max_segs;
	uint32_t align_bytes;	 /* each segment's address and length are multiples: 2, 4, sector */
	uint32_t boundary_bytes; /* not 0: a segment but the first begins at, but the last ends at,
				    a multiple of it (NVMe's pages) */
	uint32_t max_discard_sectors; /* 0: cannot discard */
};

struct block_health {
	bool is_known, is_failing; /* failing: the disk itself says so */
	uint8_t used_percent;	   /* of the endurance that was promised; may be above 100 */
	uint8_t spare_percent;
	int16_t temperature_c; /* 0: unknown */
	uint64_t power_on_hours, media_errors, unsafe_shutdowns;
};

struct block_counters { /* under dev->lock; only grow */
	uint64_t ops[BLOCK_OPS], sectors[BLOCK_OPS];
	uint64_t errors, retries, resets, lost_interrupts;
};

struct block_ops {
	const char *driver; /* "nvme", "ahci", "virtio-blk", "ata" */
	/*
	 * Give a request, which has been checked against limits, to the hardware. Under no lock.
	 * HV_OK: block_complete() follows, perhaps before this returns. HV_EBUSY: no slot is free;
	 * nothing has happened. Anything else ends the request with it.
	 */
	enum hv_err (*submit)(struct block_dev *dev, struct block_request *req);
	/* Complete what the hardware has finished, as an interrupt would; returns how many. Any
	 * CPU, any state. */
	uint32_t (*poll)(struct block_dev *dev);
	/*
	 * Stop the hardware so that no DMA of an outstanding request goes on, and start it again.
	 * Never spins for more than a millisecond: it goes on by timers and ends, perhaps at once,
	 * with block_reset_done(). Until then nothing is submitted; a submit() that is under way on
	 * another CPU answers HV_EBUSY.
	 */
	void (*reset)(struct block_dev *dev);
	/*
	 * The reset has failed or never ended: no DMA goes on after this (bus mastering off), and
	 * the driver forgets all requests. All of them end with HV_ENOENT when it returns. May be
	 * NULL when every reset ends in time, and a failed one leaves the disk without DMA.
	 */
	void (*abandon)(struct block_dev *dev);
	/* The machine goes down, and the disk was flushed: spin until it may lose its power. May be
	 * NULL. */
	void (*shut_down)(struct block_dev *dev);
	/* Ask the disk for its health; dev->health is written when the answer comes. May be NULL.
	 */
	void (*ask_health)(struct block_dev *dev);
};

enum block_state { BLOCK_READY, BLOCK_RESETTING, BLOCK_GONE };

struct block_dev {
	/* The driver's, before block_add(). */
	const struct block_ops *ops;
	char name[16];	   /* "nvme0n1", "ahci0p2", "vblk0", "ata0m": made by the driver, unique */
	char location[16]; /* "00:03.0" */
	char model[BLOCK_TEXT_MAX], serial[BLOCK_TEXT_MAX],
		firmware[16];  /* printable; may be empty */
	uint32_t sector_bytes; /* 512 or 4096 */
	uint64_t nr_sectors;
	bool has_volatile_cache; /* FLUSH means something; without one it succeeds at once */
	bool is_read_only, is_rotational, is_removable;
	struct block_limits limits;

	/* Read by anybody; a torn set of figures is no harm. */
	struct block_health health;
	struct block_counters counters;

	/* drivers/block.c's. */
	struct lock lock;
	enum block_state state;
	struct list waiting, outstanding;
	uint32_t nr_submitting; /* CPUs inside ops->submit() */
	uint32_t epoch;		/* one more with each reset */
	bool is_reset_due;	/* ops->reset() is called when nobody is inside ops->submit() */
	bool is_pumping, pump_again;
	bool is_reset_done; /* settled when nobody is inside ops->submit() */
	bool is_ticking;    /* whoever set it sets the timer */
	struct timer timer;
	uint64_t reset_deadline_ns;
	uint64_t answered_ns;	   /* when it last completed a request */
	uint64_t refused_since_ns; /* HV_EBUSY although it has nothing to do; 0: no */
	uint32_t nr_holders;	   /* atomic */
};

/* ---- for drivers ---- */

/* block_add - it can be used from now on. HV_ENOMEM: BLOCK_DEVS_MAX are there. Boot CPU, or an
 * interrupt handler when a disk was plugged in. */
MUST_CHECK enum hv_err block_add(struct block_dev *dev);

/*
 * block_accept - in ops->submit(), under the lock that the driver's reset takes: the hardware has
 * the request. One that was accepted after a reset is not that reset's to repeat.
 */
static inline void block_accept(const struct block_dev *dev, struct block_request *req)
{
	req->epoch = __atomic_load_n(&dev->epoch, __ATOMIC_RELAXED);
}

/*
 * block_complete - the hardware is done with a request that it was given; under no lock
 *
 * HV_OK ends it. HV_EIO ends it too: the disk has retried for longer than we would. HV_EBUSY: an
 * error of the way there (CRC, aborted by a reset): it is tried again, BLOCK_ATTEMPTS_MAX times.
 *
 * A request that was found finished may not be on its way to here on one CPU while another calls
 * block_reset_done() or block_gone(), which end or repeat all that is outstanding. A driver whose
 * interrupts and resets may meet in that way uses the pair below.
 */
void block_complete(struct block_dev *dev, struct block_request *req, enum hv_err status);

/*
 * block_finish - block_complete() in two steps, the first under the driver's lock, together with
 * taking the request out of its slot; block_end - the second, under no lock
 *
 * batch  list_init()ed by the caller; may take several requests of one disk
 */
void block_finish(struct block_dev *dev, struct block_request *req, enum hv_err status,
		  struct list *batch);
void block_end(struct block_dev *dev, struct list *batch);

/* block_resetting - the driver itself has found that the hardware wants a reset, and has begun one,
 * as by ops->reset(): it takes no requests until it says block_reset_done(). Repeating it is
 * harmless. */
void block_resetting(struct block_dev *dev);

/*
 * block_reset_done - after ops->reset() or block_resetting(): HV_OK, and all it had is submitted
 * again; else it is gone. The driver has forgotten all requests.
 */
void block_reset_done(struct block_dev *dev, enum hv_err err);

/* block_gone - it was pulled out, or will never answer again: no DMA goes on, the driver has
 * forgotten its requests; all, now and from now on, end with HV_ENOENT. Its struct stays. Any
 * context; repeating it is harmless. */
void block_gone(struct block_dev *dev);

/*
 * block_remove - after block_gone(), the disk leaves the list, and nobody finds it any more
 *
 * returns  false: somebody holds it, so it stays in the list as a gone one, and its struct for ever
 * Context: boot CPU.
 */
MUST_CHECK bool block_remove(struct block_dev *dev);

/* block_forget - of a removed disk, once no CPU has a pointer to it: its timer ends, and then its
 * struct may be freed. Not from a timer of the disk's own. */
void block_forget(struct block_dev *dev);

/* ---- for those who use disks ---- */

/* block_check - what block_submit() makes sure of first. Pure; the state is not looked at. */
MUST_CHECK enum hv_err block_check(const struct block_dev *dev, const struct block_request *req);

/*
 * block_submit - start a request; done() will be called, perhaps before this returns
 *
 * Errors:  HV_EINVAL - outside of the disk, beyond its limits, lengths that do not add up, a write
 *          to a read-only disk; HV_ENOTSUP - discard on one that cannot; HV_ENOENT - it is gone.
 *          Then done() is not called.
 * Context: any CPU, interrupts off, also from done().
 */
MUST_CHECK enum hv_err block_submit(struct block_dev *dev, struct block_request *req);

/*
 * block_run - the same, and wait for the end by polling
 *
 * For boot and for tests on the boot CPU only; done and arg are taken by it.
 */
MUST_CHECK enum hv_err block_run(struct block_dev *dev, struct block_request *req);

/*
 * At the end of the machine (kernel/power.h), though not in a panic, all disks are flushed, and
 * told to shut down.
 */

/*
 * Disks in the order they were added; index below block_count(), which does not become less. NULL:
 * that one was removed, and another may take its place. A pointer is good until the caller returns
 * to the guest or to idling, and for ever after block_hold().
 */
uint32_t block_count(void);
struct block_dev *block_at(uint32_t index);
void block_hold(struct block_dev *dev);

#endif
