/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a port of an AHCI controller reads from and writes to memory: command headers, tables with a
 * FIS and a list of segments, the FISes it received. Pure; what the controller wrote may be
 * anything.
 *
 *   headers[slot] ──► tables[slot]: FIS, PRDs ──► data        received: D2H register FIS …
 *
 * Source: [AHCI] "System Memory Structures"; [SATA] "Transport layer".
 */
#ifndef DRIVERS_AHCI_CMD_H
#define DRIVERS_AHCI_CMD_H

#include "drivers/ata_cmd.h"

#define AHCI_SLOTS     32u
#define AHCI_SEGS_MAX  56u
#define AHCI_MAX_BYTES 0x100000u
#define AHCI_NR_PORTS  32u

struct ahci_header { /* [AHCI] "Command List Structure" */
	uint32_t flags;
	uint32_t prd_bytes; /* the controller's: how many were moved */
	uint32_t table, table_hi;
	uint32_t reserved[4];
};
static_assert(sizeof(struct ahci_header) == 32, "[AHCI] a command header is 32 bytes");

struct ahci_prd { /* [AHCI] "Physical Region Descriptor Table" */
	uint32_t addr, addr_hi;
	uint32_t reserved;
	uint32_t flags; /* bytes less one */
};
static_assert(sizeof(struct ahci_prd) == 16, "[AHCI] an entry of the PRDT is 16 bytes");

struct ahci_table { /* [AHCI] "Command Table" */
	uint8_t fis[64];
	uint8_t atapi[16];
	uint8_t reserved[48];
	struct ahci_prd prds[AHCI_SEGS_MAX];
};
static_assert(sizeof(struct ahci_table) == 1024, "tables keep their alignment of 128 bytes");

struct ahci_memory { /* of one port; in one piece, aligned to its pages */
	struct ahci_header headers[AHCI_SLOTS];
	uint8_t received[256];
	uint8_t unused[256];
	uint8_t data[ATA_DATA_BYTES]; /* for the driver's own commands */
	struct ahci_table tables[AHCI_SLOTS];
	uint8_t trims[AHCI_SLOTS][ATA_TRIM_BYTES];
};
static_assert(offsetof(struct ahci_memory, received) % 256 == 0, "[AHCI] alignment of PxFB");
static_assert(offsetof(struct ahci_memory, tables) % 128 == 0, "[AHCI] alignment of CTBA");

/*
 * ahci_build - fill the header and the table of a slot
 *
 * mem, mem_hpa  the port's memory, and where the controller sees it
 * segs          borrowed; at most AHCI_SEGS_MAX, each of an even length of at most AHCI_MAX_BYTES
 */
void ahci_build(struct ahci_memory *mem, uint64_t mem_hpa, uint32_t slot,
		const struct ata_taskfile *taskfile, const struct block_seg *segs, uint32_t nr_segs,
		bool is_write);

/* ahci_build_request - the same for a request; tag as for ata_taskfile_of() */
void ahci_build_request(struct ahci_memory *mem, uint64_t mem_hpa, uint32_t slot,
			const struct ata_identity *id, const struct block_request *req,
			uint32_t tag);

/* ahci_received_lba - the LBA registers of the last D2H register FIS; UINT64_MAX: it is none */
uint64_t ahci_received_lba(const struct ahci_memory *mem);

static inline uint32_t ahci_count(uint32_t slots) /* how many bits are set */
{
	uint32_t nr = 0;

	for (; slots; slots &= slots - 1)
		nr++;
	return nr;
}

/* ---- what a port reports ---- */

/* [AHCI] "Port x Interrupt Status" */
#define AHCI_IS_DHRS 0x00000001u /* a D2H register FIS came */
#define AHCI_IS_PSS  0x00000002u /* PIO setup */
#define AHCI_IS_DSS  0x00000004u /* DMA setup */
#define AHCI_IS_SDBS 0x00000008u /* set device bits: queued commands ended */
#define AHCI_IS_UFS  0x00000010u /* an unknown FIS */
#define AHCI_IS_PCS  0x00000040u /* a device said hello */
#define AHCI_IS_PRCS 0x00400000u /* the link came or went */
#define AHCI_IS_OFS  0x01000000u /* more data than the PRDs have room for */
#define AHCI_IS_IFS  0x08000000u /* an error on the link */
#define AHCI_IS_HBDS 0x10000000u /* the host's memory did not answer */
#define AHCI_IS_HBFS 0x20000000u
#define AHCI_IS_TFES 0x40000000u /* the task file shows an error */

#define AHCI_IS_CHANGES (AHCI_IS_PCS | AHCI_IS_PRCS)
#define AHCI_IS_BROKEN	(AHCI_IS_UFS | AHCI_IS_OFS | AHCI_IS_IFS | AHCI_IS_HBDS | AHCI_IS_HBFS)
#define AHCI_IS_USED                                                                               \
	(AHCI_IS_DHRS | AHCI_IS_PSS | AHCI_IS_DSS | AHCI_IS_SDBS | AHCI_IS_CHANGES |               \
	 AHCI_IS_BROKEN | AHCI_IS_TFES)

/*
 * ahci_port_error - what its interrupt status and task file say of the commands that have not ended
 *
 * HV_OK: they go on. HV_EIO: the disk has refused one. HV_EBUSY: the way to the disk, or to memory,
 * was bad. In both cases the port has stopped.
 */
enum hv_err ahci_port_error(uint32_t is, uint32_t tfd);

enum ahci_kind { AHCI_DISK, AHCI_ATAPI, AHCI_MULTIPLIER, AHCI_ENCLOSURE, AHCI_UNKNOWN };
enum ahci_kind ahci_kind_of(uint32_t signature);

#endif
