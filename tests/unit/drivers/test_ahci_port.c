/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port with the test in the controller's and the disk's place: a disk of a few sectors that does
 * what the FIS in a slot says when it is told to, fails where it is told to, is pulled out and put
 * in again; and a controller that writes nonsense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/ahci_port.h"
#include "kernel/lib/bytes.h"
#include "kernel/memory.h"

#define BUS	   0x7f0000000ull
#define SECTORS	   4096u
#define MS	   NSEC_PER_MSEC
#define STATUS_OK  0x50u
#define STATUS_ERR 0x4041u /* UNC in the error register, ERR in the status */

static uint32_t regs[AHCI_PORT_REG_SIZE / 4];
static struct {
	bool is_there, is_stuck, is_stopped, ignores_stop, is_gone;
	uint32_t signature, bad_sector;
	uint8_t disk[SECTORS * 512];
	uint8_t identify[512], smart[512];
	uint8_t last_command;
	uint32_t nr_resets, nr_commands, nr_flushes, nr_trimmed;
	bool is_failing;
} sim;
static struct ahci_memory *mem;
static struct ahci_port port;
static struct ahci_events ev;
static uint64_t now;

static uint32_t *reg(uint32_t at)
{
	return &regs[at / 4];
}

static void raise_is(uint32_t bits)
{
	*reg(AHCI_PORT_IS) |= bits;
}

static void plug(bool is_in)
{
	sim.is_there = is_in;
	*reg(AHCI_PORT_SSTS) = is_in ? 0x113 : 0;
	*reg(AHCI_PORT_TFD) = is_in ? STATUS_OK : 0x7f;
	*reg(AHCI_PORT_SIG) = sim.signature;
	raise_is(is_in ? AHCI_IS_PCS | AHCI_IS_PRCS : AHCI_IS_PRCS);
}

static uint32_t sim_read(void *arg, uint32_t at)
{
	(void)arg;
	assert_true(at < AHCI_PORT_REG_SIZE);
	return sim.is_gone ? ~0u : *reg(at);
}

static void comreset_ends(void)
{
	sim.nr_resets++;
	sim.is_stopped = false;
	*reg(AHCI_PORT_CI) = *reg(AHCI_PORT_SACT) = 0;
	*reg(AHCI_PORT_SSTS) = sim.is_there ? 0x113 : 0;
	*reg(AHCI_PORT_TFD) = sim.is_there ? (sim.is_stuck ? 0x80 : STATUS_OK) : 0x7f;
	*reg(AHCI_PORT_SIG) = sim.signature;
}

static void write_cmd(uint32_t val)
{
	val &= ~AHCI_CMD_CR;
	if ((val & AHCI_CMD_ST) || sim.ignores_stop)
		val |= AHCI_CMD_CR;
	*reg(AHCI_PORT_CMD) = val;
	if (!(val & AHCI_CMD_ST))
		*reg(AHCI_PORT_CI) = *reg(AHCI_PORT_SACT) = 0;
}

static void sim_write(void *arg, uint32_t at, uint32_t val)
{
	(void)arg;
	switch (at) {
	case AHCI_PORT_IS:
	case AHCI_PORT_SERR:
		*reg(at) &= ~val;
		return;
	case AHCI_PORT_CMD:
		write_cmd(val);
		return;
	case AHCI_PORT_SCTL:
		if ((*reg(at) & 0xf) == 1 && (val & 0xf) == 0)
			comreset_ends();
		*reg(at) = val;
		return;
	case AHCI_PORT_SACT:
		assert_true(*reg(AHCI_PORT_CMD) & AHCI_CMD_ST);
		*reg(at) |= val;
		return;
	case AHCI_PORT_CI:
		assert_true(*reg(AHCI_PORT_CMD) & AHCI_CMD_ST);
		assert_int_equal(*reg(at) & val, 0); /* never one that is under way */
		*reg(at) |= val;
		return;
	default:
		*reg(at) = val;
	}
}

static const struct ahci_regs sim_regs = {.read = sim_read, .write = sim_write};

/* Data of the driver's own lie in its memory; those of requests where hva_of() says. */
static uint8_t *at_bus(uint64_t addr)
{
	if (addr >= BUS && addr < BUS + sizeof(*mem))
		return (uint8_t *)mem + (addr - BUS);
	return hva_of(addr);
}

static uint32_t move(uint32_t slot, uint8_t *disk, bool is_write)
{
	const struct ahci_header *header = &mem->headers[slot];
	const struct ahci_table *table =
		(const void *)at_bus(header->table | (uint64_t)header->table_hi << 32);
	uint32_t done = 0;

	assert_int_equal(!!(header->flags & 0x40), is_write);
	for (uint32_t i = 0; i < header->flags >> 16; i++) {
		const struct ahci_prd *prd = &table->prds[i];
		uint8_t *data = at_bus(prd->addr | (uint64_t)prd->addr_hi << 32);
		uint32_t len = prd->flags + 1;

		if (is_write)
			memcpy(disk + done, data, len);
		else
			memcpy(data, disk + done, len);
		done += len;
	}
	return done;
}

static void end_slot(uint32_t slot, bool is_queued)
{
	*reg(AHCI_PORT_CI) &= ~(1u << slot);
	*reg(AHCI_PORT_SACT) &= ~(1u << slot);
	raise_is(is_queued ? AHCI_IS_SDBS : AHCI_IS_DHRS);
}

static void fail_slot(uint32_t slot, bool is_queued)
{
	sim.is_stopped = true;
	*reg(AHCI_PORT_TFD) = STATUS_ERR;
	if (is_queued)
		*reg(AHCI_PORT_CI) &= ~(1u << slot);
	else
		*reg(AHCI_PORT_CMD) = (*reg(AHCI_PORT_CMD) & ~AHCI_CMD_CCS) | slot << 8;
	raise_is(AHCI_IS_TFES);
}

static void trim(const uint8_t *block)
{
	for (int i = 0; i < 64; i++)
		sim.nr_trimmed += (uint32_t)(get_le64(block + 8 * i) >> 48);
}

static void smart(uint32_t slot, uint8_t feature)
{
	if (feature == 0xd0) {
		assert_int_equal(move(slot, sim.smart, false), 512);
	} else {
		assert_int_equal(feature, 0xda);
		mem->received[0x40] = 0x34;
		mem->received[0x45] = sim.is_failing ? 0xf4 : 0x4f;
		mem->received[0x46] = sim.is_failing ? 0x2c : 0xc2;
	}
}

/* What the disk does with the command in a slot. */
static void serve(uint32_t slot)
{
	const uint8_t *fis = mem->tables[slot].fis;
	uint64_t lba = fis[4] | fis[5] << 8 | (uint64_t)fis[6] << 16 | (uint64_t)fis[8] << 24;
	uint32_t nr = fis[12] | (uint32_t)fis[13] << 8;
	bool is_queued = fis[2] == 0x60 || fis[2] == 0x61;

	assert_false(sim.is_stopped);
	assert_int_equal(mem->headers[slot].flags & 0x1f, 5);
	assert_int_equal(fis[0], 0x27);
	assert_int_equal(fis[1], 0x80);
	assert_int_equal(!!(*reg(AHCI_PORT_SACT) & 1u << slot), is_queued);
	sim.nr_commands++;
	sim.last_command = fis[2];
	if (is_queued) {
		assert_int_equal(fis[12] >> 3, slot);
		nr = fis[3] | (uint32_t)fis[11] << 8;
	}
	switch (fis[2]) {
	case 0xec:
		assert_int_equal(move(slot, sim.identify, false), 512);
		break;
	case 0xb0:
		smart(slot, fis[3]);
		break;
	case 0xea:
		sim.nr_flushes++;
		break;
	case 0x06:
		trim(at_bus(mem->tables[slot].prds[0].addr |
			    (uint64_t)mem->tables[slot].prds[0].addr_hi << 32));
		break;
	default:
		assert_true(lba + nr <= SECTORS);
		if (sim.bad_sector >= lba && sim.bad_sector < lba + nr) {
			fail_slot(slot, is_queued);
			return;
		}
		assert_int_equal(move(slot, sim.disk + lba * 512, fis[2] == 0x61 || fis[2] == 0x35),
				 nr * 512);
	}
	end_slot(slot, is_queued);
}

static void serve_all(void)
{
	for (uint32_t slot = 0; slot < 32 && !sim.is_stopped; slot++)
		if (*reg(AHCI_PORT_CI) & 1u << slot)
			serve(slot);
}

static void run(void)
{
	ahci_port_run(&port, now, &ev);
}

/* Time passes, the disk works, and the driver is called, until nothing changes any more. */
static void settle(uint32_t ms)
{
	for (uint32_t i = 0; i < ms; i++) {
		now += MS;
		serve_all();
		run();
	}
}

static void sign(uint8_t *data)
{
	uint8_t sum = 0;

	for (int i = 0; i < 511; i++)
		sum = (uint8_t)(sum + data[i]);
	data[511] = (uint8_t)-sum;
}

static void make_identify(void)
{
	memset(sim.identify, 0, 512);
	put_le16(sim.identify + 2 * 49, 0x0300);
	put_le16(sim.identify + 2 * 75, 31);
	put_le16(sim.identify + 2 * 76, 0x0100);
	put_le16(sim.identify + 2 * 82, 0x0021);
	put_le16(sim.identify + 2 * 83, 0x7400);
	put_le16(sim.identify + 2 * 85, 0x0021);
	put_le64(sim.identify + 2 * 100, SECTORS);
	put_le16(sim.identify + 2 * 169, 1);
	memset(sim.identify + 20, 'S', 20);
	sim.identify[510] = 0xa5;
	sign(sim.identify);
}

static int begin(void **state)
{
	(void)state;
	memset(&sim, 0, sizeof(sim));
	memset(regs, 0, sizeof(regs));
	memset(&ev, 0, sizeof(ev));
	mem = aligned_alloc(4096, ALIGN_UP(sizeof(*mem), 4096));
	memset(mem, 0, sizeof(*mem));
	sim.signature = 0x101;
	sim.bad_sector = ~0u;
	sim.is_there = true;
	make_identify();
	for (uint32_t i = 0; i < sizeof(sim.disk); i++)
		sim.disk[i] = (uint8_t)(i / 512 * 3 + i);
	port = (struct ahci_port){.regs = &sim_regs,
				  .mem = mem,
				  .mem_hpa = BUS,
				  .name = "p",
				  .nr_slots = 32,
				  .can_queue = true,
				  .has_64bit = true};
	now = 1000 * MS;
	ahci_port_begin(&port, now);
	return 0;
}

static int begin_ready(void **state)
{
	begin(state);
	settle(50);
	assert_true(ev.is_new);
	assert_int_equal(port.state, AHCI_READY);
	memset(&ev, 0, sizeof(ev));
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(mem);
	return 0;
}

#define REQS 40u
static uint8_t buffers[REQS][16384];
static struct block_seg segs[REQS][2];
static struct block_request reqs[REQS];

static struct block_request *make(uint32_t i, enum block_op op, uint64_t sector, uint32_t nr)
{
	memset(buffers[i], (int)(0x80 + i), sizeof(buffers[i]));
	segs[i][0] = (struct block_seg){.hpa = hpa_of(buffers[i]) + 2, .len_bytes = 6};
	segs[i][1] = (struct block_seg){.hpa = hpa_of(buffers[i]) + 100, .len_bytes = nr * 512 - 6};
	reqs[i] = (struct block_request){
		.op = op, .sector = sector, .nr_sectors = nr, .segs = segs[i], .nr_segs = 2};
	if (op == BLOCK_FLUSH || op == BLOCK_DISCARD)
		reqs[i].nr_segs = 0;
	return &reqs[i];
}

static enum hv_err submit(uint32_t i, enum block_op op, uint64_t sector, uint32_t nr)
{
	return ahci_port_submit(&port, make(i, op, sector, nr));
}

/* HV_ERRS: it has not ended. */
static enum hv_err status_of(uint32_t i)
{
	enum hv_err found = HV_ERRS;

	for (uint32_t k = 0; k < ev.nr_done; k++) {
		if (ev.done[k].req != &reqs[i])
			continue;
		assert_int_equal(found, HV_ERRS); /* once */
		found = ev.done[k].status;
	}
	return found;
}

static void assert_read(uint32_t i)
{
	const uint8_t *disk = sim.disk + reqs[i].sector * 512;

	assert_int_equal(status_of(i), HV_OK);
	assert_memory_equal(buffers[i] + 2, disk, 6);
	assert_memory_equal(buffers[i] + 100, disk + 6, reqs[i].nr_sectors * 512 - 6);
}

static void finds_a_disk(void **state)
{
	(void)state;
	settle(50);
	assert_int_equal(port.state, AHCI_READY);
	assert_true(ev.is_new);
	assert_false(ev.is_gone || ev.is_reset_done);
	assert_int_equal(port.id.nr_sectors, SECTORS);
	assert_int_equal(sim.nr_resets, 1);
	assert_int_equal(port.wake_ns, 0);
	assert_int_equal(*reg(AHCI_PORT_IE), AHCI_IS_USED);
	assert_int_equal(*reg(AHCI_PORT_CLB) | (uint64_t)*reg(AHCI_PORT_CLBU) << 32, BUS);
	assert_int_equal(*reg(AHCI_PORT_FB) % 256, 0);
}

static void finds_that_there_is_none(void **state)
{
	(void)state;
	sim.is_there = false;
	settle(100);
	assert_false(ahci_port_is_settled(&port));
	settle(100);
	assert_int_equal(port.state, AHCI_EMPTY);
	assert_false(ev.is_new || ev.is_gone);
	assert_int_equal(*reg(AHCI_PORT_IE), AHCI_IS_CHANGES);
}

static void leaves_alone_what_is_no_disk(void **state)
{
	static const uint32_t signatures[] = {0xeb140101, 0x96690101, 0xc33c0101, 0xffffffff};

	for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
		sim.signature = signatures[i];
		settle(50);
		assert_int_equal(port.state, AHCI_IGNORED);
		assert_int_equal(sim.nr_commands, 0);
		end(state);
		begin(state);
	}
}

static void leaves_alone_a_disk_that_talks_nonsense(void **state)
{
	(void)state;
	sim.identify[100] ^= 1;
	settle(50);
	assert_int_equal(port.state, AHCI_IGNORED);
	assert_false(ev.is_new);
}

static void waits_for_a_disk_that_spins_up(void **state)
{
	(void)state;
	sim.is_stuck = true;
	settle(5000);
	assert_int_equal(port.state, AHCI_WAITING);
	*reg(AHCI_PORT_TFD) = STATUS_OK;
	settle(50);
	assert_true(ev.is_new);
}

static void gives_up_a_disk_that_never_does(void **state)
{
	(void)state;
	sim.is_stuck = true;
	settle(29000);
	assert_int_equal(port.state, AHCI_IGNORED);
}

static void gives_up_one_that_does_not_identify_itself(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 6000; i++) { /* nobody serves */
		now += MS;
		run();
	}
	assert_int_equal(port.state, AHCI_IGNORED);
	end(state);
	begin(state);
	for (uint32_t i = 0; i < 20; i++) {
		now += MS;
		run();
	}
	fail_slot(0, false);
	run();
	now += 10 * MS;
	run();
	assert_int_equal(port.state, AHCI_IGNORED);
}

static void reports_an_engine_that_does_not_stop(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_READ, 0, 1), HV_OK);
	sim.ignores_stop = true;
	ahci_port_reset(&port, now, &ev);
	settle(400);
	assert_false(ev.is_wedged);
	settle(200);
	assert_true(ev.is_wedged && ev.is_gone);
	assert_int_equal(ev.nr_done, 0);
	assert_int_equal(port.state, AHCI_DEAD);
	assert_int_equal(submit(1, BLOCK_READ, 0, 1), HV_ENOENT);
}

static void reads_and_writes_with_tags(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 32; i++)
		assert_int_equal(submit(i, i % 2 ? BLOCK_WRITE : BLOCK_READ, i * 16, 1 + i % 16),
				 HV_OK);
	assert_int_equal(*reg(AHCI_PORT_SACT), 0xffffffff);
	assert_int_equal(submit(32, BLOCK_READ, 0, 1), HV_OK); /* held */
	assert_int_equal(submit(33, BLOCK_READ, 0, 1), HV_EBUSY);
	settle(1);
	assert_int_equal(ev.nr_done, 32);
	for (uint32_t i = 0; i < 32; i++)
		assert_read(i); /* what was written is on the disk, too */
	assert_int_equal(*reg(AHCI_PORT_SACT), 1);
	memset(&ev, 0, sizeof(ev));
	settle(1);
	assert_read(32);
}

static void keeps_flush_and_discard_apart_from_tags(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_WRITE, 0, 1), HV_OK);
	assert_int_equal(submit(1, BLOCK_FLUSH, 0, 0), HV_OK);
	assert_int_equal(submit(2, BLOCK_READ, 0, 1), HV_EBUSY);
	assert_int_equal(*reg(AHCI_PORT_CI), 1);
	settle(1);
	assert_int_equal(status_of(0), HV_OK);
	assert_int_equal(status_of(1), HV_ERRS);
	assert_int_equal(submit(2, BLOCK_READ, 0, 1), HV_OK); /* held behind the flush */
	assert_int_equal(*reg(AHCI_PORT_SACT), 0);
	settle(1);
	assert_int_equal(status_of(1), HV_OK);
	assert_int_equal(sim.nr_flushes, 1);
	settle(1);
	assert_read(2);
	assert_int_equal(submit(3, BLOCK_DISCARD, 8, 100), HV_OK);
	settle(1);
	assert_int_equal(status_of(3), HV_OK);
	assert_int_equal(sim.nr_trimmed, 100);
}

static void does_without_queueing(void **state)
{
	(void)state;
	put_le16(sim.identify + 2 * 76, 0);
	sign(sim.identify);
	settle(50);
	assert_true(ev.is_new);
	memset(&ev, 0, sizeof(ev));
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(submit(i, BLOCK_READ, i * 3, 2), HV_OK);
	assert_int_equal(*reg(AHCI_PORT_SACT), 0);
	settle(1);
	for (uint32_t i = 0; i < 8; i++)
		assert_read(i);
}

static void finds_the_one_that_the_disk_refuses(void **state)
{
	(void)state;
	sim.bad_sector = 33;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(submit(i, BLOCK_READ, i * 10, 8), HV_OK);
	settle(200);
	assert_int_equal(ev.nr_done, 10);
	for (uint32_t i = 0; i < 10; i++) {
		if (i == 3)
			assert_int_equal(status_of(i), HV_EIO);
		else
			assert_read(i);
	}
	assert_int_equal(sim.nr_resets, 3); /* the first one, tags, then alone */
	assert_false(ev.is_gone || ev.is_new || ev.is_reset_done);
	memset(&ev, 0, sizeof(ev));
	assert_int_equal(submit(0, BLOCK_READ, 1, 1), HV_OK); /* and it goes on with tags */
	assert_int_equal(*reg(AHCI_PORT_SACT), 1);
	settle(1);
	assert_read(0);
}

static void finds_it_without_tags(void **state)
{
	(void)state;
	put_le16(sim.identify + 2 * 76, 0);
	sign(sim.identify);
	settle(50);
	memset(&ev, 0, sizeof(ev));
	sim.bad_sector = 13;
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(submit(i, BLOCK_WRITE, i * 10, 8), HV_OK);
	settle(200);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(status_of(i), i == 1 ? HV_EIO : HV_OK);
}

static void tries_again_what_the_link_spoiled(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_READ, 0, 4), HV_OK);
	assert_int_equal(submit(1, BLOCK_READ, 8, 4), HV_OK);
	raise_is(AHCI_IS_IFS);
	run();
	settle(100);
	assert_read(0);
	assert_read(1);

	memset(&ev, 0, sizeof(ev)); /* one alone goes back to the block layer, which counts */
	assert_int_equal(submit(2, BLOCK_READ, 8, 4), HV_OK);
	raise_is(AHCI_IS_HBFS);
	run();
	assert_int_equal(status_of(2), HV_EBUSY);
}

static void resets_when_asked(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(submit(i, BLOCK_READ, i, 1), HV_OK);
	assert_int_equal(submit(5, BLOCK_FLUSH, 0, 0), HV_OK);
	ahci_port_reset(&port, now, &ev);
	assert_false(*reg(AHCI_PORT_CMD) & AHCI_CMD_ST);
	assert_int_equal(submit(6, BLOCK_READ, 0, 1), HV_EBUSY);
	settle(50);
	assert_true(ev.is_reset_done);
	assert_int_equal(ev.nr_done, 0); /* the block layer has them all again */
	assert_int_equal(sim.nr_flushes, 0);
	assert_int_equal(submit(0, BLOCK_READ, 0, 1), HV_OK);
	settle(1);
	assert_read(0);
}

static void loses_a_disk_that_is_pulled_out(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_READ, 0, 1), HV_OK);
	plug(false);
	run();
	assert_false(ev.is_gone); /* it may have been a moment only */
	settle(2500);
	assert_true(ev.is_gone);
	assert_int_equal(ev.nr_done, 0);
	assert_int_equal(port.state, AHCI_EMPTY);
	assert_int_equal(submit(1, BLOCK_READ, 0, 1), HV_ENOENT);
}

static void keeps_requests_over_a_moment_without_link(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_READ, 7, 1), HV_OK);
	plug(false);
	run();
	settle(100);
	plug(true);
	settle(100);
	assert_read(0);
	assert_false(ev.is_gone || ev.is_new);
}

static void tells_another_disk_from_the_one_before(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_READ, 7, 1), HV_OK);
	plug(false);
	run();
	settle(20);
	sim.identify[20] = 'X';
	sign(sim.identify);
	plug(true);
	settle(100);
	assert_true(ev.is_gone && ev.is_new);
	assert_int_equal(ev.nr_done, 0);
}

static void takes_a_disk_that_is_plugged_in(void **state)
{
	(void)state;
	sim.is_there = false;
	settle(300);
	assert_int_equal(port.state, AHCI_EMPTY);
	plug(true);
	run();
	settle(50);
	assert_true(ev.is_new);
	assert_int_equal(port.state, AHCI_READY);
}

static void notices_a_controller_that_is_gone(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_READ, 7, 1), HV_OK);
	sim.is_gone = true;
	run();
	assert_true(ev.is_gone);
	assert_int_equal(ev.nr_done, 0);
	assert_int_equal(port.state, AHCI_DEAD);
	run();
	assert_int_equal(submit(1, BLOCK_READ, 0, 1), HV_ENOENT);
}

/* Registers of an emulated controller that was pulled out read zero: no slot is active. */
static void believes_no_slot_of_a_port_that_was_stopped(void **state)
{
	(void)state;
	assert_int_equal(submit(0, BLOCK_READ, 7, 1), HV_OK);
	assert_int_equal(submit(1, BLOCK_WRITE, 9, 1), HV_OK);
	memset(regs, 0, sizeof(regs));
	run();
	assert_true(ev.is_gone);
	assert_int_equal(ev.nr_done, 0);
	assert_int_equal(port.state, AHCI_DEAD);
}

static void asks_for_health_between_requests(void **state)
{
	(void)state;
	sim.smart[2] = 194;
	sim.smart[7] = 37;
	sign(sim.smart);
	assert_int_equal(submit(0, BLOCK_READ, 0, 1), HV_OK);
	ahci_port_ask_health(&port, now);
	assert_int_equal(submit(1, BLOCK_READ, 8, 1), HV_OK);
	assert_int_equal(submit(2, BLOCK_READ, 8, 1), HV_EBUSY);
	settle(5);
	assert_read(0);
	assert_read(1);
	assert_true(ev.has_health);
	assert_true(port.health.is_known && !port.health.is_failing);
	assert_int_equal(port.health.temperature_c, 37);

	sim.is_failing = true;
	ahci_port_ask_health(&port, now);
	settle(5);
	assert_true(port.health.is_failing);
	assert_int_equal(port.wake_ns, 0);
}

static void survives_a_disk_that_refuses_smart(void **state)
{
	(void)state;
	ahci_port_ask_health(&port, now);
	fail_slot(0, false);
	run();
	assert_int_equal(submit(0, BLOCK_READ, 0, 1), HV_OK); /* held over the reset */
	settle(50);
	assert_read(0);
	assert_false(ev.has_health);
	memset(&ev, 0, sizeof(ev));
	ahci_port_ask_health(&port, now); /* this time it never answers */
	for (uint32_t i = 0; i < 5100; i++) {
		now += MS;
		run();
	}
	settle(50);
	assert_int_equal(submit(1, BLOCK_READ, 0, 1), HV_OK);
	settle(2);
	assert_read(1);
}

static void does_not_reach_above_4_gib_without_64_bits(void **state)
{
	(void)state;
	port.has_64bit = false;
	make(0, BLOCK_READ, 0, 1);
	segs[0][1].hpa = 4 * GIB - 2;
	assert_int_equal(ahci_port_submit(&port, &reqs[0]), HV_ENOTSUP);
}

static void obeys_the_limits_of_tags(void **state)
{
	(void)state;
	put_le16(sim.identify + 2 * 75, 1);
	sign(sim.identify);
	settle(50);
	memset(&ev, 0, sizeof(ev));
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(submit(i, BLOCK_READ, i, 1), HV_OK);
	assert_int_equal(*reg(AHCI_PORT_CI), 3);
	assert_int_equal(submit(3, BLOCK_READ, 0, 1), HV_EBUSY);
}

int main(void)
{
#define READY(fn) cmocka_unit_test_setup_teardown(fn, begin_ready, end)
#define NEW(fn)	  cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		NEW(finds_a_disk),
		NEW(finds_that_there_is_none),
		NEW(leaves_alone_what_is_no_disk),
		NEW(leaves_alone_a_disk_that_talks_nonsense),
		NEW(waits_for_a_disk_that_spins_up),
		NEW(gives_up_a_disk_that_never_does),
		NEW(gives_up_one_that_does_not_identify_itself),
		READY(reports_an_engine_that_does_not_stop),
		READY(reads_and_writes_with_tags),
		READY(keeps_flush_and_discard_apart_from_tags),
		NEW(does_without_queueing),
		READY(finds_the_one_that_the_disk_refuses),
		NEW(finds_it_without_tags),
		READY(tries_again_what_the_link_spoiled),
		READY(resets_when_asked),
		READY(loses_a_disk_that_is_pulled_out),
		READY(keeps_requests_over_a_moment_without_link),
		READY(tells_another_disk_from_the_one_before),
		NEW(takes_a_disk_that_is_plugged_in),
		READY(notices_a_controller_that_is_gone),
		READY(believes_no_slot_of_a_port_that_was_stopped),
		READY(asks_for_health_between_requests),
		READY(survives_a_disk_that_refuses_smart),
		READY(does_not_reach_above_4_gib_without_64_bits),
		NEW(obeys_the_limits_of_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
