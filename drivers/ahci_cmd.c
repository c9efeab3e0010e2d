/* SPDX-License-Identifier: Apache-2.0 */
/* Filling command headers and tables, and reading what a port answers. */
#include "drivers/ahci_cmd.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

/* [AHCI] "Command List Structure", DW 0 */
#define HEADER_FIS_WORDS 0x0000001fu
#define HEADER_WRITE	 0x00000040u
#define HEADER_NR_PRDS	 0xffff0000u

/* [SATA] "Register - Host to Device FIS", "Register - Device to Host FIS" */
#define FIS_H2D	      0x27u
#define FIS_H2D_WORDS 5u
#define FIS_COMMAND   0x80u /* in byte 1: this is a command, and no write to device control */
#define FIS_D2H	      0x34u
#define RECEIVED_D2H  0x40u /* [AHCI] "Received FIS Structure" */

static void put_fis(uint8_t *fis, const struct ata_taskfile *taskfile)
{
	memset(fis, 0, FIS_H2D_WORDS * 4);
	fis[0] = FIS_H2D;
	fis[1] = FIS_COMMAND;
	fis[2] = taskfile->command;
	fis[3] = (uint8_t)taskfile->features;
	fis[7] = taskfile->device;
	fis[12] = (uint8_t)taskfile->count;
	for (uint32_t i = 0; i < 3; i++)
		fis[4 + i] = (uint8_t)(taskfile->lba >> 8 * i);
	if (!taskfile->is_48bit)
		return;
	fis[11] = (uint8_t)(taskfile->features >> 8);
	fis[13] = (uint8_t)(taskfile->count >> 8);
	for (uint32_t i = 0; i < 3; i++)
		fis[8 + i] = (uint8_t)(taskfile->lba >> (24 + 8 * i));
}

void ahci_build(struct ahci_memory *mem, uint64_t mem_hpa, uint32_t slot,
		const struct ata_taskfile *taskfile, const struct block_seg *segs, uint32_t nr_segs,
		bool is_write)
{
	struct ahci_table *table = &mem->tables[slot];
	uint64_t table_hpa = mem_hpa + offsetof(struct ahci_memory, tables) + slot * sizeof(*table);

	ASSERT(slot < AHCI_SLOTS && nr_segs <= AHCI_SEGS_MAX);

	put_fis(table->fis, taskfile);
	for (uint32_t i = 0; i < nr_segs; i++)
		table->prds[i] = (struct ahci_prd){
			.addr = (uint32_t)segs[i].hpa,
			.addr_hi = (uint32_t)(segs[i].hpa >> 32),
			.flags = segs[i].len_bytes - 1,
		};
	mem->headers[slot] = (struct ahci_header){
		.flags = (uint32_t)(FIELD_PREP(HEADER_FIS_WORDS, FIS_H2D_WORDS) |
				    (is_write ? HEADER_WRITE : 0) |
				    FIELD_PREP(HEADER_NR_PRDS, nr_segs)),
		.table = (uint32_t)table_hpa,
		.table_hi = (uint32_t)(table_hpa >> 32),
	};
}

void ahci_build_request(struct ahci_memory *mem, uint64_t mem_hpa, uint32_t slot,
			const struct ata_identity *id, const struct block_request *req,
			uint32_t tag)
{
	struct ata_taskfile taskfile = ata_taskfile_of(id, req, tag);
	struct block_seg ranges = {
		.hpa = mem_hpa + offsetof(struct ahci_memory, trims) + slot * ATA_TRIM_BYTES,
		.len_bytes = ATA_TRIM_BYTES,
	};

	if (req->op == BLOCK_DISCARD) {
		ata_trim_fill(mem->trims[slot], req->sector, req->nr_sectors);
		ahci_build(mem, mem_hpa, slot, &taskfile, &ranges, 1, true);
		return;
	}
	ahci_build(mem, mem_hpa, slot, &taskfile, req->segs, req->nr_segs, req->op == BLOCK_WRITE);
}

uint64_t ahci_received_lba(const struct ahci_memory *mem)
{
	const uint8_t *fis = mem->received + RECEIVED_D2H;

	if (fis[0] != FIS_D2H)
		return UINT64_MAX;
	return fis[4] | (uint64_t)fis[5] << 8 | (uint64_t)fis[6] << 16;
}

enum hv_err ahci_port_error(uint32_t is, uint32_t tfd)
{
	enum hv_err err;

	if (is & AHCI_IS_BROKEN)
		return HV_EBUSY;
	if (!(is & AHCI_IS_TFES))
		return HV_OK;
	err = ata_status_error((uint8_t)tfd, (uint8_t)(tfd >> 8));
	return err == HV_OK ? HV_EIO : err; /* it had been an error when the interrupt was raised */
}

enum ahci_kind ahci_kind_of(uint32_t signature)
{
	switch (signature) { /* [AHCI] "Port x Signature"; [SATA] "Device signatures" */
	case 0x00000101:
		return AHCI_DISK;
	case 0xeb140101:
		return AHCI_ATAPI;
	case 0x96690101:
		return AHCI_MULTIPLIER;
	case 0xc33c0101:
		return AHCI_ENCLOSURE;
	default:
		return AHCI_UNKNOWN;
	}
}
