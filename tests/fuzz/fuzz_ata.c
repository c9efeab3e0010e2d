/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk as an enemy: any IDENTIFY and SMART data; and an AHCI controller whose registers, received
 * FISes and data change to anything between the driver's calls. No request may end twice, or come
 * back without having been given.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/ahci_port.h"
#include "tests/fuzz/input.h"

#define REQS  8u
#define STEPS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ahci_memory mem;
static struct input in;
static uint32_t regs[AHCI_PORT_REG_SIZE / 4];
static struct block_request reqs[REQS];
static bool is_given[REQS];
static struct block_seg seg = {.hpa = 0x1000, .len_bytes = 512};

static uint32_t read_reg(void *arg, uint32_t reg)
{
	(void)arg;
	if (reg >= AHCI_PORT_REG_SIZE)
		abort();
	return regs[reg / 4];
}

static void write_reg(void *arg, uint32_t reg, uint32_t val)
{
	(void)arg;
	if (reg >= AHCI_PORT_REG_SIZE)
		abort();
	if (reg == AHCI_PORT_IS || reg == AHCI_PORT_SERR)
		regs[reg / 4] &= ~val;
	else
		regs[reg / 4] = val;
}

static const struct ahci_regs ops = {.read = read_reg, .write = write_reg};

static void take_events(struct ahci_events *ev)
{
	if (ev->nr_done > ARRAY_SIZE(ev->done))
		abort();
	for (uint32_t i = 0; i < ev->nr_done; i++) {
		size_t index = (size_t)(ev->done[i].req - reqs);

		if (index >= REQS || !is_given[index])
			abort();
		is_given[index] = false;
	}
	if (ev->is_gone || ev->is_reset_done)
		memset(is_given, 0, sizeof(is_given));
	memset(ev, 0, sizeof(*ev));
}

static void check_identity(const struct ata_identity *id)
{
	if (id->nr_sectors == 0 || id->nr_sectors > 1ull << 48 || id->queue_depth > 32 ||
	    (id->sector_bytes != 512 && id->sector_bytes != 4096))
		abort();
	for (const char *c = id->model; *c; c++)
		if (*c < ' ' || *c > '~')
			abort();
	if (strlen(id->model) > 40 || strlen(id->serial) > 20 || strlen(id->firmware) > 8)
		abort();
}

static void parse(const uint8_t *data, size_t size)
{
	uint8_t block[ATA_DATA_BYTES] = {0};
	struct block_health health = {0};
	struct ata_identity id;
	uint8_t sum = 0;

	memcpy(block, data, MIN(size, sizeof(block)));
	for (int i = 0; i < 511; i++)
		sum = (uint8_t)(sum + block[i]);
	if (size > 0 && data[0] & 1) /* the fuzzer is not to search for sums */
		block[511] = (uint8_t)-sum;
	if (ata_identify(block, &id) == HV_OK)
		check_identity(&id);
	(void)!ata_smart_data(block, &health);
}

static void submit(struct ahci_port *port, uint32_t i)
{
	static const enum block_op all[] = {BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD};
	enum block_op op = all[input_u8(&in) % ARRAY_SIZE(all)];

	if (is_given[i] || (op == BLOCK_DISCARD && !port->id.has_trim))
		return;
	reqs[i] = (struct block_request){
		.op = op, .nr_sectors = op == BLOCK_FLUSH ? 0 : 1, .segs = &seg};
	reqs[i].nr_segs = op <= BLOCK_WRITE;
	is_given[i] = ahci_port_submit(port, &reqs[i]) == HV_OK;
}

static void change_memory(void)
{
	uint8_t *at = (uint8_t *)&mem + input_u16(&in) % sizeof(mem);

	*at = input_u8(&in);
}

/* A disk that identifies itself, so that there is something to break. */
static void put_disk(void)
{
	memset(mem.data, 0, sizeof(mem.data));
	mem.data[2 * 49 + 1] = 3;
	mem.data[2 * 76 + 1] = 1;
	mem.data[2 * 75] = 31;
	mem.data[2 * 82] = mem.data[2 * 85] = 1;
	mem.data[2 * 83 + 1] = 0x74;
	mem.data[2 * 100 + 1] = 16;
	mem.data[2 * 169] = 1;
}

static void settle(struct ahci_port *port, uint64_t *now, struct ahci_events *ev)
{
	for (int i = 0; i < 8; i++) {
		regs[AHCI_PORT_CMD / 4] &= ~AHCI_CMD_CR;
		regs[AHCI_PORT_SSTS / 4] = 0x113;
		regs[AHCI_PORT_TFD / 4] = 0x50;
		regs[AHCI_PORT_SIG / 4] = 0x101;
		if (port->state == AHCI_IDENTIFYING) {
			regs[AHCI_PORT_CI / 4] = regs[AHCI_PORT_IS / 4] = 0;
			put_disk();
		}
		*now += 20 * NSEC_PER_MSEC;
		ahci_port_run(port, *now, ev);
		take_events(ev);
	}
}

static void step(struct ahci_port *port, uint64_t *now, struct ahci_events *ev)
{
	switch (input_u8(&in) % 8) {
	case 0:
		regs[input_u8(&in) % ARRAY_SIZE(regs)] = input_u32(&in);
		break;
	case 1: /* some have ended */
		regs[AHCI_PORT_CI / 4] &= input_u32(&in);
		regs[AHCI_PORT_SACT / 4] &= input_u32(&in);
		break;
	case 2:
		change_memory();
		break;
	case 3:
		submit(port, input_u8(&in) % REQS);
		break;
	case 4:
		*now += (uint64_t)input_u16(&in) * NSEC_PER_MSEC;
		break;
	case 5:
		settle(port, now, ev);
		break;
	case 6:
		if (input_u8(&in) & 1) {
			memset(is_given, 0, sizeof(is_given)); /* the block layer has them again */
			ahci_port_reset(port, *now, ev);
			if (ev->nr_done)
				abort();
		} else {
			ahci_port_ask_health(port, *now);
		}
		break;
	default:
		ahci_port_run(port, *now, ev);
	}
	take_events(ev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ahci_port port = {.regs = &ops, .mem = &mem, .name = "p"};
	struct ahci_events ev = {0};
	uint64_t now = NSEC_PER_SEC;

	parse(data, size);
	in = (struct input){.at = data, .left = size};
	memset(regs, 0, sizeof(regs));
	memset(is_given, 0, sizeof(is_given));
	port.nr_slots = 1 + input_u8(&in) % 32;
	port.can_queue = input_u8(&in) & 1;
	port.has_64bit = true;
	ahci_port_begin(&port, now);
	for (int i = 0; i < STEPS && in.left > 0; i++)
		step(&port, &now, &ev);
	return 0;
}
