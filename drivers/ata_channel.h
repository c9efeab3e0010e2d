/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One channel of an IDE controller with bus-master DMA: two drives, one command at a time. Pure:
 * ports are behind functions, time is an argument, and what it wants of the world is written into a
 * struct ata_events.
 *
 *   IDLE ──► BUSY ──► IDLE          a request of the other drive, or the next one, is held: one for
 *     └───┬───┘                     each drive
 *         └──► RESETTING ──► RECOVERING ──► IDLE
 *
 * Only disks are driven. An ATAPI drive is asked once who it is and then left alone, but for the
 * soft reset of a channel that it shares with a disk that does not answer any more.
 *
 * The controller's DMA reaches the first 4 GiB. What lies above goes through a buffer.
 *
 * The caller has a lock around each call; wake_ns says when ata_channel_run() is to be called even
 * without an interrupt.
 *
 * Source: [ATA] "Parallel interface register addressing", "Software reset protocol"; [BMIDE]
 * "Programming Interface for Bus Master IDE Controller".
 */
#ifndef DRIVERS_ATA_CHANNEL_H
#define DRIVERS_ATA_CHANNEL_H

#include "drivers/ata_cmd.h"

#define ATA_DRIVES	 2u
#define ATA_MAX_BYTES	 0x20000u
#define ATA_SEGS_MAX	 64u
#define ATA_PRDS_MAX	 512u
#define ATA_BOUNCE_BYTES ATA_MAX_BYTES

enum ata_reg {
	ATA_REG_DATA, /* 16 bits */
	ATA_REG_ERROR,
	ATA_REG_FEATURES = ATA_REG_ERROR,
	ATA_REG_COUNT,
	ATA_REG_LBA0,
	ATA_REG_LBA1,
	ATA_REG_LBA2,
	ATA_REG_DEVICE,
	ATA_REG_STATUS,
	ATA_REG_COMMAND = ATA_REG_STATUS,
	ATA_REG_CONTROL, /* of the control block; reads as the status, and leaves the interrupt */
	ATA_REG_BM_COMMAND,
	ATA_REG_BM_STATUS,
	ATA_REG_BM_PRDT /* 32 bits */
};

struct ata_ports {
	uint32_t (*read)(void *arg, enum ata_reg reg);
	void (*write)(void *arg, enum ata_reg reg, uint32_t val);
	void (*wait_us)(void *arg, uint32_t us); /* at boot */
	void *arg;
};

struct ata_prd { /* [BMIDE] "Physical Region Descriptor" */
	uint32_t addr;
	uint32_t flags; /* bytes, 0 for 65536, and the mark of the last one */
};
static_assert(sizeof(struct ata_prd) == 8, "[BMIDE] a PRD is 8 bytes");

struct ata_memory { /* below 4 GiB, aligned to its pages */
	struct ata_prd prds[ATA_PRDS_MAX];
	uint8_t trim[ATA_TRIM_BYTES];
	uint8_t unused[4096 - ATA_TRIM_BYTES];
	uint8_t bounce[ATA_BOUNCE_BYTES];
};

enum ata_state { ATA_IDLE, ATA_BUSY, ATA_RESETTING, ATA_RECOVERING, ATA_DEAD };

struct ata_drive {
	bool is_disk;
	struct ata_identity id;
	struct block_request *held;
	bool owes_reset; /* ata_channel_reset() has not been answered */
};

struct ata_channel {
	const struct ata_ports *ports;
	struct ata_memory *mem;
	uint64_t mem_hpa;
	const char *name;
	enum ata_state state;
	uint64_t began_ns, wake_ns; /* 0: not */
	struct ata_drive drives[ATA_DRIVES];
	struct block_request *current; /* what is under way, */
	uint32_t current_drive;
	bool is_dma, is_bounced; /* and how */
};

struct ata_events {
	uint32_t nr_done;
	struct {
		struct block_request *req;
		uint32_t drive;
		enum hv_err status;
	} done[ATA_DRIVES + 2];
	bool is_reset_done[ATA_DRIVES];
	bool is_dead; /* no drive will answer again, and none has DMA any more */
};

/*
 * ata_channel_probe - find out what is there; spins
 *
 * The caller has zeroed the channel and set ports to name. Context: boot.
 */
void ata_channel_probe(struct ata_channel *channel);

/* ata_channel_run - by interrupt, at wake_ns, and when polled: any time */
void ata_channel_run(struct ata_channel *channel, uint64_t now_ns, struct ata_events *ev);

/* ata_channel_submit - as struct block_ops has it. What ends at once is in *ev. */
MUST_CHECK enum hv_err ata_channel_submit(struct ata_channel *channel, uint32_t drive,
					  struct block_request *req, uint64_t now_ns,
					  struct ata_events *ev);

/* ata_channel_reset - forget this drive's requests, give the other's back, and reset the channel;
 * is_reset_done or is_dead will follow */
void ata_channel_reset(struct ata_channel *channel, uint32_t drive, uint64_t now_ns,
		       struct ata_events *ev);

/* ata_channel_kill - the controller may not do DMA any more */
void ata_channel_kill(struct ata_channel *channel, struct ata_events *ev);

#endif
