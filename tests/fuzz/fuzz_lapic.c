/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LAPIC under any sequence of accesses and posts. An input is steps of ten bytes: what to do,
 * which register, and a value. A small CPU model takes what is pending, as the run loop does.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/bytes.h"
#include "vmm/dev/lapic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define STEP_LEN 10u
#define ID	 5u

struct machine {
	struct lapic l;
	uint64_t tsc, deadline;
};

static void require(bool claim)
{
	if (!claim)
		abort();
}

static uint64_t tsc_now(void *ctx)
{
	return ((struct machine *)ctx)->tsc;
}

static void timer_set(void *ctx, uint64_t deadline_tsc)
{
	((struct machine *)ctx)->deadline = deadline_tsc;
}

static bool has_vector(const struct lapic_ipi *msg)
{
	return msg->delivery == LAPIC_FIXED || msg->delivery == LAPIC_LOWEST;
}

static void deliver(struct machine *m, const struct lapic_ipi *msg)
{
	if (has_vector(msg) && (msg->shorthand == LAPIC_TO_ALL ||
				lapic_matches(&m->l, msg->is_logical, msg->dest, msg->is_x2apic)))
		(void)lapic_post(&m->l, msg->vector, msg->is_level);
}

static void ipi(void *ctx, const struct lapic_ipi *msg)
{
	require(!has_vector(msg) || msg->vector >= 16);
	deliver(ctx, msg);
}

static void eoi(void *ctx, uint8_t vector)
{
	(void)ctx;
	require(vector >= 16);
}

static const struct lapic_ops ops = {tsc_now, timer_set, ipi, eoi};

static void take_pending(struct machine *m)
{
	uint64_t exits[4];
	int vector, svi = lapic_svi(&m->l);

	if (lapic_sync(&m->l))
		lapic_eoi_exits(&m->l, exits);
	vector = lapic_pending(&m->l);
	if (vector < 0)
		return;
	require(vector >= 16 && vector == lapic_rvi(&m->l) && vector >> 4 > svi >> 4);
	require(vector >> 4 > lapic_get_cr8(&m->l) && lapic_tpr_threshold(&m->l) == 0);
	lapic_accept(&m->l, (uint8_t)vector);
	require(lapic_svi(&m->l) == vector && lapic_pending(&m->l) < vector);
}

/* With APICv the CPU stores the guest's value, in the registers that it lets be written so. */
static void apicv_write(struct machine *m, uint32_t offset, uint32_t val)
{
	static const uint16_t offsets[] = {0x020, 0x080, 0x0d0, 0x0e0, 0x0f0, 0x280,
					   0x300, 0x310, 0x320, 0x330, 0x340, 0x350,
					   0x360, 0x370, 0x380, 0x3e0, 0x3f0};
	uint32_t at = offsets[offset % ARRAY_SIZE(offsets)];

	put_le32(m->l.page + at, val);
	lapic_apic_write(&m->l, at);
}

static void step(struct machine *m, const uint8_t *in)
{
	uint32_t reg = (uint32_t)in[1] << 4;
	uint64_t val = get_le64(in + 2), out;
	struct lapic_ipi msg;

	switch (in[0] % 14) {
	case 0:
		lapic_mmio_write(&m->l, reg, (uint32_t)val);
		break;
	case 1:
		(void)lapic_mmio_read(&m->l, reg | (val & 0x100f));
		break;
	case 2:
		(void)lapic_msr_write(&m->l, 0x800 + in[1], val);
		break;
	case 3:
		(void)lapic_msr_read(&m->l, 0x800 + in[1], &out);
		break;
	case 4:
		(void)lapic_msr_write(&m->l, LAPIC_MSR_BASE, 0xfee00000 | (val & 0xfff));
		break;
	case 5:
		(void)lapic_msr_write(&m->l, LAPIC_MSR_TSC_DEADLINE, val);
		break;
	case 6:
		apicv_write(m, in[1], (uint32_t)val);
		break;
	case 7:
		(void)lapic_post(&m->l, in[1], val & 1);
		break;
	case 8:
		lapic_set_cr8(&m->l, in[1]);
		break;
	case 9:
		(void)lapic_eoi(&m->l);
		break;
	case 10:
		m->tsc += val % 0x100000000ull;
		if (m->tsc >= m->deadline) /* it has gone off, and is set no more */
			m->deadline = LAPIC_NEVER;
		lapic_timer_fired(&m->l, m->tsc);
		break;
	case 11:
		(void)lapic_matches(&m->l, in[1] & 1, (uint32_t)val, in[1] & 2);
		break;
	case 12:
		if (lapic_decode_msi(0xfee00000 | (val & 0xfffff), (uint32_t)(val >> 32), &msg))
			deliver(m, &msg);
		break;
	case 13:
		if (in[1] & 1)
			lapic_init(&m->l);
		else
			lapic_set_virtual_wire(&m->l);
		break;
	}
}

static void check(struct machine *m)
{
	enum lapic_mode mode = lapic_mode(&m->l);
	uint64_t id;

	if (mode == LAPIC_MODE_XAPIC)
		require(lapic_mmio_read(&m->l, LAPIC_ID) == ID << 24);
	if (mode == LAPIC_MODE_X2APIC)
		require(lapic_msr_read(&m->l, 0x802, &id) && id == ID);
	require(m->deadline == m->l.deadline_tsc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t page[LAPIC_PAGE_LEN] __attribute__((aligned(4096)));
	struct machine m = {.tsc = 1000, .deadline = LAPIC_NEVER};

	lapic_create(&m.l, page, ID, 2500000, &ops, &m);
	for (; len >= STEP_LEN; data += STEP_LEN, len -= STEP_LEN) {
		step(&m, data);
		take_pending(&m);
		check(&m);
	}
	return 0;
}
