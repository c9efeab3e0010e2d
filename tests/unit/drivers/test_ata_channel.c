/* SPDX-License-Identifier: Apache-2.0 */
/* A channel with the test in the place of its controller, of a disk and of a CD drive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/ata_channel.h"
#include "kernel/lib/bytes.h"
#include "kernel/memory.h"

#define BUS	0x00fe0000ull /* so that the buffer crosses a multiple of 64 KiB */
#define SECTORS 1024u
#define MS	NSEC_PER_MSEC

enum kind { NOBODY, DISK, CD };

static struct {
	enum kind kinds[2];
	uint8_t regs[16], hob[16]; /* as last written, and what was there before */
	uint8_t status, error, control, bm_command, bm_status;
	uint32_t prdt, data_at;
	uint8_t disk[2][SECTORS * 512], identify[512];
	bool is_pending, is_busy_for_ever;
	uint8_t command;
	uint32_t nr_resets, nr_flushes, nr_trimmed, bad_sector;
	bool fails_dma;
} sim;
static struct ata_memory *mem;
static struct ata_channel channel;
static struct ata_events ev;
static uint64_t now;

static uint32_t selected(void)
{
	return sim.regs[ATA_REG_DEVICE] >> 4 & 1;
}

static uint32_t sim_read(void *arg, enum ata_reg reg)
{
	(void)arg;
	if (reg == ATA_REG_BM_STATUS)
		return sim.bm_status;
	if (reg == ATA_REG_BM_COMMAND)
		return sim.bm_command;
	if (sim.kinds[selected()] == NOBODY)
		return sim.kinds[1 - selected()] == NOBODY ? 0xff : 0;
	switch (reg) {
	case ATA_REG_DATA:
		sim.data_at += 2;
		if (sim.data_at == 512)
			sim.status = 0x50;
		return get_le16(sim.identify + (sim.data_at - 2) % 512);
	case ATA_REG_STATUS:
		sim.is_pending = false;
		return sim.status;
	case ATA_REG_CONTROL:
		return sim.status;
	case ATA_REG_ERROR:
		return sim.error;
	default:
		return sim.regs[reg];
	}
}

static void interrupt(void)
{
	sim.is_pending = true;
	sim.bm_status |= 4;
}

static void command(uint8_t val)
{
	sim.command = val;
	sim.status = 0x50;
	if (sim.is_busy_for_ever) {
		sim.status = 0xd0;
		return;
	}
	switch (val) {
	case 0xec:
		sim.data_at = 0;
		sim.status = 0x58;
		if (sim.kinds[selected()] == CD) {
			sim.status = 0x51;
			sim.regs[ATA_REG_LBA1] = 0x14;
			sim.regs[ATA_REG_LBA2] = 0xeb;
		}
		return;
	case 0xea:
	case 0xe7:
		sim.nr_flushes++;
		interrupt();
		return;
	default:
		sim.status = 0x58; /* until DMA has been started */
	}
}

static uint8_t *at_bus(uint32_t addr)
{
	assert_true(addr >= BUS && addr < BUS + sizeof(*mem));
	return (uint8_t *)mem + (addr - BUS);
}

static void start_dma(void)
{
	bool is_48 = sim.command == 0x25 || sim.command == 0x35 || sim.command == 0x06;
	bool is_read = sim.command == 0x25 || sim.command == 0xc8;
	uint64_t lba = sim.regs[3] | sim.regs[4] << 8 | (uint64_t)sim.regs[5] << 16;
	const struct ata_prd *prd = (const void *)at_bus(sim.prdt);
	uint32_t done = 0, nr = sim.regs[2] | (is_48 ? sim.hob[2] << 8 : 0);
	uint8_t *disk = sim.disk[selected()];

	if (sim.is_busy_for_ever)
		return;
	assert_int_equal(sim.status, 0x58);
	assert_int_equal(!!(sim.bm_command & 8), is_read);
	if (is_48)
		lba |= (uint64_t)sim.hob[3] << 24;
	else
		lba |= (uint64_t)(sim.regs[6] & 0xf) << 24;
	sim.status = 0x50;
	interrupt();
	if (sim.fails_dma || (sim.bad_sector >= lba && sim.bad_sector < lba + nr)) {
		sim.status = sim.fails_dma ? 0x50 : 0x51;
		sim.error = 0x40;
		sim.bm_status |= 1;
		return;
	}
	for (;; prd++) {
		uint32_t len = prd->flags & 0xffff ? prd->flags & 0xffff : 0x10000;
		uint8_t *data = at_bus(prd->addr);

		assert_int_equal(prd->addr >> 16, (prd->addr + len - 1) >> 16);
		if (sim.command == 0x06)
			for (int i = 0; i < 64; i++)
				sim.nr_trimmed += (uint32_t)(get_le64(data + 8 * i) >> 48);
		else if (is_read)
			memcpy(data, disk + lba * 512 + done, len);
		else
			memcpy(disk + lba * 512 + done, data, len);
		done += len;
		if (prd->flags & 0x80000000)
			break;
	}
	assert_int_equal(done, nr * 512);
	sim.bm_status &= (uint8_t)~1u;
}

static void sim_write(void *arg, enum ata_reg reg, uint32_t val)
{
	(void)arg;
	switch (reg) {
	case ATA_REG_COMMAND:
		command((uint8_t)val);
		return;
	case ATA_REG_CONTROL:
		if ((sim.control & 4) && !(val & 4)) {
			sim.nr_resets++;
			sim.status = sim.is_busy_for_ever ? 0xd0 : 0x50;
			sim.bm_status |= 4; /* an interrupt that means nothing */
		}
		sim.control = (uint8_t)val;
		return;
	case ATA_REG_BM_COMMAND:
		sim.bm_command = (uint8_t)val;
		if (val & 1)
			start_dma();
		return;
	case ATA_REG_BM_STATUS:
		sim.bm_status = (uint8_t)((sim.bm_status & ~(val & 6) & ~0x60u) | (val & 0x60));
		return;
	case ATA_REG_BM_PRDT:
		sim.prdt = val;
		return;
	default:
		sim.hob[reg] = sim.regs[reg];
		sim.regs[reg] = (uint8_t)val;
	}
}

static void sim_wait(void *arg, uint32_t us)
{
	(void)arg;
	(void)us;
}

static const struct ata_ports ports = {.read = sim_read, .write = sim_write, .wait_us = sim_wait};

static void make_identify(bool has_48)
{
	memset(sim.identify, 0, 512);
	put_le16(sim.identify + 2 * 49, 0x0300);
	put_le16(sim.identify + 2 * 60, SECTORS);
	put_le16(sim.identify + 2 * 83, has_48 ? 0x7400 : 0x5000);
	put_le64(sim.identify + 2 * 100, SECTORS);
	put_le16(sim.identify + 2 * 169, 1);
}

static void begin(enum kind first, enum kind second)
{
	memset(&sim, 0, sizeof(sim));
	memset(&ev, 0, sizeof(ev));
	sim.kinds[0] = first;
	sim.kinds[1] = second;
	sim.status = 0x50;
	sim.bad_sector = ~0u;
	make_identify(true);
	for (uint32_t i = 0; i < sizeof(sim.disk[0]); i++)
		sim.disk[0][i] = sim.disk[1][i] = (uint8_t)(i / 512 * 5 + i);
	channel = (struct ata_channel){.ports = &ports, .mem = mem, .mem_hpa = BUS, .name = "ata0"};
	now = 1000 * MS;
}

static int make_memory(void **state)
{
	(void)state;
	mem = aligned_alloc(4096, ALIGN_UP(sizeof(*mem), 4096));
	return 0;
}

static int free_memory(void **state)
{
	(void)state;
	free(mem);
	return 0;
}

static void begin_probed(enum kind first, enum kind second)
{
	begin(first, second);
	ata_channel_probe(&channel);
}

#define REQS 4u
static uint8_t buffers[REQS][ATA_MAX_BYTES + 512];
static struct block_seg segs[REQS][2];
static struct block_request reqs[REQS];

static enum hv_err submit(uint32_t i, uint32_t drive, enum block_op op, uint64_t sector,
			  uint32_t nr)
{
	memset(buffers[i], (int)(0x90 + i), sizeof(buffers[i]));
	segs[i][0] = (struct block_seg){.hpa = hpa_of(buffers[i]) + 2, .len_bytes = 6};
	segs[i][1] = (struct block_seg){.hpa = hpa_of(buffers[i]) + 100, .len_bytes = nr * 512 - 6};
	reqs[i] = (struct block_request){
		.op = op, .sector = sector, .nr_sectors = nr, .segs = segs[i], .nr_segs = 2};
	if (op == BLOCK_FLUSH || op == BLOCK_DISCARD)
		reqs[i].nr_segs = 0;
	return ata_channel_submit(&channel, drive, &reqs[i], now, &ev);
}

static void run(void)
{
	ata_channel_run(&channel, now, &ev);
}

static void settle(uint32_t ms)
{
	for (uint32_t i = 0; i < ms; i++) {
		now += MS;
		run();
	}
}

static enum hv_err status_of(uint32_t i)
{
	for (uint32_t k = 0; k < ev.nr_done; k++)
		if (ev.done[k].req == &reqs[i])
			return ev.done[k].status;
	return HV_ERRS;
}

static void assert_same(uint32_t i, uint32_t drive)
{
	const uint8_t *disk = sim.disk[drive] + reqs[i].sector * 512;

	assert_int_equal(status_of(i), HV_OK);
	assert_memory_equal(buffers[i] + 2, disk, 6);
	assert_memory_equal(buffers[i] + 100, disk + 6, reqs[i].nr_sectors * 512 - 6);
}

static void finds_disks_and_leaves_cds_alone(void **state)
{
	(void)state;
	begin_probed(CD, DISK);
	assert_false(channel.drives[0].is_disk);
	assert_true(channel.drives[1].is_disk);
	assert_int_equal(channel.drives[1].id.nr_sectors, SECTORS);
	assert_int_equal(sim.nr_resets, 0);
	assert_int_equal(sim.control, 0); /* interrupts on */
	begin_probed(CD, NOBODY);
	assert_false(channel.drives[0].is_disk || channel.drives[1].is_disk);
	begin_probed(NOBODY, NOBODY);
	assert_false(channel.drives[0].is_disk || channel.drives[1].is_disk);
	begin_probed(DISK, NOBODY);
	assert_true(channel.drives[0].is_disk);
	assert_false(channel.drives[1].is_disk);
}

static void leaves_alone_what_does_not_answer(void **state)
{
	(void)state;
	begin(DISK, NOBODY);
	sim.is_busy_for_ever = true;
	ata_channel_probe(&channel);
	assert_false(channel.drives[0].is_disk);
	begin(DISK, NOBODY);
	sim.identify[2 * 49 + 1] = 0;
	ata_channel_probe(&channel);
	assert_false(channel.drives[0].is_disk);
}

static void reads_and_writes(void **state)
{
	(void)state;
	begin_probed(DISK, DISK);
	assert_int_equal(submit(0, 0, BLOCK_READ, 7, 3), HV_OK);
	assert_int_equal(submit(1, 1, BLOCK_WRITE, 0, 256), HV_OK);
	assert_int_equal(submit(2, 1, BLOCK_READ, 0, 1), HV_EBUSY);
	run();
	assert_same(0, 0);
	assert_int_equal(status_of(1), HV_ERRS);
	run();
	assert_same(1, 1);
	assert_int_equal(submit(2, 1, BLOCK_DISCARD, 9, 77), HV_OK);
	run();
	assert_int_equal(status_of(2), HV_OK);
	assert_int_equal(sim.nr_trimmed, 77);
}

static void uses_28_bits_where_there_are_no_more(void **state)
{
	(void)state;
	begin(DISK, NOBODY);
	make_identify(false);
	ata_channel_probe(&channel);
	assert_int_equal(submit(0, 0, BLOCK_READ, 500, 20), HV_OK);
	run();
	assert_same(0, 0);
	assert_int_equal(submit(1, 0, BLOCK_FLUSH, 0, 0), HV_OK);
	run();
	assert_int_equal(status_of(1), HV_OK);
	assert_int_equal(sim.command, 0xe7);
}

static void cuts_descriptors_at_64_kib(void **state)
{
	struct block_seg seg = {.hpa = BUS + offsetof(struct ata_memory, bounce) + 2,
				.len_bytes = 0x1fc00};

	(void)state;
	begin_probed(DISK, NOBODY);
	reqs[0] = (struct block_request){.op = BLOCK_READ,
					 .sector = 100,
					 .nr_sectors = 0x1fc00 / 512,
					 .segs = &seg,
					 .nr_segs = 1};
	assert_int_equal(ata_channel_submit(&channel, 0, &reqs[0], now, &ev), HV_OK);
	run(); /* the disk has looked at each descriptor */
	assert_int_equal(status_of(0), HV_OK);
	assert_memory_equal(mem->bounce + 2, sim.disk[0] + 100 * 512, 0x1fc00);
	assert_int_equal(mem->prds[0].flags, 0xdffe);
	assert_int_equal(mem->prds[1].flags, 0); /* 64 KiB */
	assert_int_equal(mem->prds[2].flags, 0x80000000 | (0x1fc00 - 0xdffe - 0x10000));
}

static void ignores_interrupts_of_others(void **state)
{
	(void)state;
	begin_probed(DISK, NOBODY);
	run();
	sim.is_busy_for_ever = false;
	assert_int_equal(submit(0, 0, BLOCK_FLUSH, 0, 0), HV_OK);
	sim.bm_status &= (uint8_t)~4u;
	run();
	assert_int_equal(ev.nr_done, 0);
	sim.bm_status |= 4;
	sim.status = 0xd0; /* its interrupt has come, and it is busy: another drive's */
	run();
	assert_int_equal(ev.nr_done, 0);
	sim.status = 0x50;
	run();
	assert_int_equal(status_of(0), HV_OK);
}

static void reports_what_the_disk_refuses(void **state)
{
	(void)state;
	begin_probed(DISK, NOBODY);
	sim.bad_sector = 9;
	assert_int_equal(submit(0, 0, BLOCK_READ, 8, 2), HV_OK);
	run();
	assert_int_equal(status_of(0), HV_EIO);
	assert_int_equal(channel.state, ATA_IDLE);
	assert_int_equal(sim.bm_command, 0);
	assert_int_equal(submit(1, 0, BLOCK_READ, 10, 2), HV_OK);
	run();
	assert_same(1, 0);
}

static void resets_after_a_transfer_that_stopped_short(void **state)
{
	(void)state;
	begin_probed(DISK, DISK);
	sim.fails_dma = true;
	assert_int_equal(submit(0, 0, BLOCK_READ, 8, 2), HV_OK);
	assert_int_equal(submit(1, 1, BLOCK_READ, 8, 2), HV_OK);
	run();
	assert_int_equal(status_of(0), HV_EBUSY);
	sim.fails_dma = false;
	settle(20);
	assert_int_equal(sim.nr_resets, 1);
	assert_same(1, 1);
	assert_false(ev.is_reset_done[0] || ev.is_reset_done[1]);
}

static void resets_when_asked(void **state)
{
	(void)state;
	begin_probed(DISK, DISK);
	sim.is_busy_for_ever = true;
	assert_int_equal(submit(0, 0, BLOCK_FLUSH, 0, 0), HV_OK);
	assert_int_equal(submit(1, 1, BLOCK_READ, 8, 2), HV_OK);
	ata_channel_reset(&channel, 1, now, &ev); /* whose request is only held */
	assert_int_equal(status_of(0), HV_EBUSY);
	assert_int_equal(submit(2, 1, BLOCK_READ, 8, 2), HV_EBUSY);
	assert_int_equal(submit(0, 0, BLOCK_READ, 8, 2), HV_OK); /* held until then */
	settle(1000);
	assert_false(ev.is_reset_done[1]);
	sim.is_busy_for_ever = false;
	sim.status = 0x50;
	ev.nr_done = 0;
	settle(20);
	assert_true(ev.is_reset_done[1]);
	assert_false(ev.is_reset_done[0]);
	assert_int_equal(status_of(1), HV_ERRS);
	assert_same(0, 0);
	assert_int_equal(channel.wake_ns, 0);
}

static void gives_up_a_drive_that_stays_busy(void **state)
{
	(void)state;
	begin_probed(DISK, NOBODY);
	sim.is_busy_for_ever = true;
	assert_int_equal(submit(0, 0, BLOCK_READ, 8, 2), HV_OK);
	ata_channel_reset(&channel, 0, now, &ev);
	settle(30000);
	assert_true(ev.is_dead);
	assert_int_equal(ev.nr_done, 0);
	assert_int_equal(submit(1, 0, BLOCK_READ, 8, 2), HV_ENOENT);
	ata_channel_reset(&channel, 0, now, &ev);
	assert_int_equal(channel.wake_ns, 0);
}

static void resets_a_drive_that_is_busy_with_nothing(void **state)
{
	(void)state;
	begin_probed(DISK, NOBODY);
	sim.status = 0xd0;
	assert_int_equal(submit(0, 0, BLOCK_READ, 8, 2), HV_OK);
	assert_int_equal(status_of(0), HV_EBUSY);
	settle(20);
	assert_int_equal(channel.state, ATA_IDLE);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_memory, free_memory)
	const struct CMUnitTest tests[] = {
		TEST(finds_disks_and_leaves_cds_alone),
		TEST(leaves_alone_what_does_not_answer),
		TEST(reads_and_writes),
		TEST(uses_28_bits_where_there_are_no_more),
		TEST(cuts_descriptors_at_64_kib),
		TEST(ignores_interrupts_of_others),
		TEST(reports_what_the_disk_refuses),
		TEST(resets_after_a_transfer_that_stopped_short),
		TEST(resets_when_asked),
		TEST(gives_up_a_drive_that_stays_busy),
		TEST(resets_a_drive_that_is_busy_with_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
