/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LAPIC: life and delivery. A vector moves from the posted requests (any CPU, atomic) to IRR, from
 * there to ISR when the CPU takes it, and leaves ISR with the guest's EOI. TMR remembers which of
 * them were level-triggered, for only those concern the IOAPIC.
 */
#include "vmm/dev/lapic.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "vmm/dev/lapic_priv.h"
#include "vmm/layout.h"

#define VERSION_VALUE 0x00050014u /* integrated APIC, LVT entries 0 to 5 */
#define PID_ON	      1ull /* [SDM] "Posted-Interrupt Descriptor", outstanding notification */

#define LVT_LINT_EXTINT 0x00000700u
#define LVT_LINT_NMI	0x00000400u

/* [SDM] "Message Address Register Format" */
#define MSI_ADDR_FIXED	 0xfee00000u
#define MSI_ADDR_DEST	 0x000ff000u
#define MSI_ADDR_LOGICAL 0x00000004u

void lapic_create(struct lapic *l, uint8_t *page, uint32_t id, uint32_t tsc_khz,
		  const struct lapic_ops *ops, void *ctx)
{
	ASSERT(IS_ALIGNED((uintptr_t)page, LAPIC_PAGE_LEN));
	ASSERT(tsc_khz > 0);
	memset(l, 0, sizeof(*l));
	l->page = page;
	l->id = id;
	l->tsc_khz = tsc_khz;
	l->ops = ops;
	l->ctx = ctx;
	l->deadline_tsc = LAPIC_NEVER;
	lapic_reset(l);
}

void lapic_clear_regs(struct lapic *l)
{
	memset(l->page, 0, LAPIC_PAGE_LEN);
	reg_set(l, LAPIC_VERSION, VERSION_VALUE);
	reg_set(l, LAPIC_DFR, 0xffffffff);
	reg_set(l, LAPIC_SVR, 0xff);
	for (uint32_t lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 0x10)
		reg_set(l, lvt, LAPIC_LVT_MASKED);
	lapic_timer_stop(l);
	l->timer_mode = LVT_MODE_ONE_SHOT;
	lapic_timer_set_divide(l, 0);
	for (int i = 0; i < 4; i++) {
		__atomic_store_n(&l->posted.requests[i], 0, __ATOMIC_RELAXED);
		__atomic_store_n(&l->posted.level[i], 0, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&l->errors, 0, __ATOMIC_RELAXED);
}

/* [SDM] "Logical Destination Mode in x2APIC Mode" */
static uint32_t x2apic_ldr(uint32_t id)
{
	return (id >> 4) << 16 | 1u << (id & 15);
}

/* ID and LDR as the present mode wants them. */
static void set_identity(struct lapic *l)
{
	bool is_x2apic = lapic_mode(l) == LAPIC_MODE_X2APIC;

	reg_set(l, LAPIC_ID, is_x2apic ? l->id : l->id << 24);
	reg_set(l, LAPIC_LDR, is_x2apic ? x2apic_ldr(l->id) : 0);
}

void lapic_init(struct lapic *l)
{
	lapic_clear_regs(l);
	set_identity(l);
}

void lapic_reset(struct lapic *l)
{
	l->base_msr = LAYOUT_LAPIC | LAPIC_BASE_ENABLE | (l->id == 0 ? LAPIC_BASE_BSP : 0);
	lapic_init(l);
}

void lapic_set_virtual_wire(struct lapic *l)
{
	reg_set(l, LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff);
	reg_set(l, LAPIC_LVT_LINT0, LVT_LINT_EXTINT);
	reg_set(l, LAPIC_LVT_LINT1, LVT_LINT_NMI);
}

enum lapic_mode lapic_mode(const struct lapic *l)
{
	uint64_t base = __atomic_load_n(&l->base_msr, __ATOMIC_RELAXED);

	if (!(base & LAPIC_BASE_ENABLE))
		return LAPIC_MODE_DISABLED;
	return base & LAPIC_BASE_X2APIC ? LAPIC_MODE_X2APIC : LAPIC_MODE_XAPIC;
}

/* ---- vectors in ISR, TMR, IRR: 32 to a register, registers 16 bytes apart ---- */

static uint32_t vector_reg(uint32_t bank, uint8_t vector)
{
	return bank + vector / 32u * 16u;
}

static bool vector_test(const struct lapic *l, uint32_t bank, uint8_t vector)
{
	return reg_get(l, vector_reg(bank, vector)) >> (vector % 32) & 1;
}

static void vector_set(struct lapic *l, uint32_t bank, uint8_t vector)
{
	uint32_t at = vector_reg(bank, vector);

	reg_set(l, at, reg_get(l, at) | 1u << (vector % 32));
}

static void vector_clear(struct lapic *l, uint32_t bank, uint8_t vector)
{
	uint32_t at = vector_reg(bank, vector);

	reg_set(l, at, reg_get(l, at) & ~(1u << (vector % 32)));
}

static int vector_highest(const struct lapic *l, uint32_t bank)
{
	for (int i = 7; i >= 0; i--) {
		uint32_t word = reg_get(l, bank + (uint32_t)i * 16);

		if (word != 0)
			return i * 32 + 31 - __builtin_clz(word);
	}
	return -1;
}

/* ---- delivery on the vCPU's own CPU ---- */

/* One 32-vector register's worth of requests into IRR and TMR; whether TMR changed. */
static bool take_requests(struct lapic *l, uint32_t reg, uint32_t requests, uint32_t level)
{
	uint32_t old_tmr = reg_get(l, LAPIC_TMR + reg * 16);
	uint32_t tmr = (old_tmr & ~requests) | (level & requests);

	reg_set(l, LAPIC_IRR + reg * 16, reg_get(l, LAPIC_IRR + reg * 16) | requests);
	reg_set(l, LAPIC_TMR + reg * 16, tmr);
	return tmr != old_tmr;
}

/* The register page is little-endian, as every CPU that has such a page is. */
static uint32_t *shared_reg(const struct lapic *l, uint32_t offset)
{
	return (uint32_t *)(void *)(l->page + offset);
}

/* TMR first: once IRR says so, another CPU may already deliver it. */
static bool take_requests_shared(struct lapic *l, uint32_t reg, uint32_t requests, uint32_t level)
{
	uint32_t old_tmr = reg_get(l, LAPIC_TMR + reg * 16);
	uint32_t tmr = (old_tmr & ~requests) | (level & requests);

	reg_set(l, LAPIC_TMR + reg * 16, tmr);
	__atomic_or_fetch(shared_reg(l, LAPIC_IRR + reg * 16), requests, __ATOMIC_SEQ_CST);
	return tmr != old_tmr;
}

typedef bool take_fn(struct lapic *l, uint32_t reg, uint32_t requests, uint32_t level);

static inline __attribute__((always_inline)) bool sync(struct lapic *l, take_fn *take)
{
	bool has_tmr_changed = false;

	if (!lapic_has_posted(l))
		return false;
	/* Clears ON before the requests are read: what is posted later sets it again. */
	__atomic_and_fetch(&l->posted.control, ~PID_ON, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < 4; i++) {
		uint64_t requests, level;

		if (__atomic_load_n(&l->posted.requests[i], __ATOMIC_RELAXED) == 0)
			continue;
		requests = __atomic_exchange_n(&l->posted.requests[i], 0, __ATOMIC_ACQ_REL);
		level = __atomic_load_n(&l->posted.level[i], __ATOMIC_RELAXED);
		has_tmr_changed |= take(l, i * 2, (uint32_t)requests, (uint32_t)level);
		has_tmr_changed |=
			take(l, i * 2 + 1, (uint32_t)(requests >> 32), (uint32_t)(level >> 32));
	}
	return has_tmr_changed;
}

bool lapic_sync(struct lapic *l)
{
	return sync(l, take_requests);
}

bool lapic_sync_shared(struct lapic *l)
{
	return sync(l, take_requests_shared);
}

/* [SDM] "Task and Processor Priorities": the class below which nothing gets through. */
static uint32_t priority_class(const struct lapic *l)
{
	uint32_t tpr = reg_get(l, LAPIC_TPR) >> 4 & 0xf;
	int svi = lapic_svi(l);

	return svi >= 0 ? MAX(tpr, (uint32_t)svi >> 4) : tpr;
}

int lapic_pending(const struct lapic *l)
{
	int rvi = lapic_rvi(l);

	if (rvi < 0 || lapic_mode(l) == LAPIC_MODE_DISABLED)
		return -1;
	return (uint32_t)rvi >> 4 > priority_class(l) ? rvi : -1;
}

void lapic_accept(struct lapic *l, uint8_t vector)
{
	ASSERT(vector_test(l, LAPIC_IRR, vector));
	vector_clear(l, LAPIC_IRR, vector);
	vector_set(l, LAPIC_ISR, vector);
}

int lapic_eoi(struct lapic *l)
{
	int svi = lapic_svi(l);

	if (svi < 0)
		return -1;
	vector_clear(l, LAPIC_ISR, (uint8_t)svi);
	return vector_test(l, LAPIC_TMR, (uint8_t)svi) ? svi : -1;
}

int lapic_rvi(const struct lapic *l)
{
	return vector_highest(l, LAPIC_IRR);
}

int lapic_svi(const struct lapic *l)
{
	return vector_highest(l, LAPIC_ISR);
}

void lapic_eoi_exits(const struct lapic *l, uint64_t vectors[4])
{
	for (uint32_t i = 0; i < 4; i++)
		vectors[i] = reg_get(l, LAPIC_TMR + i * 32) |
			     (uint64_t)reg_get(l, LAPIC_TMR + i * 32 + 16) << 32;
}

uint8_t lapic_tpr_threshold(const struct lapic *l)
{
	uint32_t tpr = reg_get(l, LAPIC_TPR) >> 4 & 0xf;
	int rvi = lapic_rvi(l);

	return rvi >= 0 && (uint32_t)rvi >> 4 <= tpr ? (uint8_t)(rvi >> 4) : 0;
}

bool lapic_takes_extint(const struct lapic *l)
{
	uint32_t lint0 = reg_get(l, LAPIC_LVT_LINT0);

	if (lapic_mode(l) == LAPIC_MODE_DISABLED)
		return l->base_msr & LAPIC_BASE_BSP;
	return !(lint0 & LAPIC_LVT_MASKED) && FIELD_GET(LVT_DELIVERY, lint0) == LAPIC_EXTINT;
}

void lapic_raise_error(struct lapic *l, uint32_t esr_bit)
{
	__atomic_or_fetch(&l->errors, esr_bit, __ATOMIC_RELAXED);
	lapic_fire_lvt(l, LAPIC_LVT_ERROR);
}

void lapic_fire_lvt(struct lapic *l, uint32_t lvt_offset)
{
	uint32_t lvt = reg_get(l, lvt_offset);

	/* Never an error for an illegal vector here: an error entry that has one would not end. */
	if (!(lvt & LAPIC_LVT_MASKED) && FIELD_GET(LVT_VECTOR, lvt) >= VECTOR_MIN)
		(void)lapic_post(l, (uint8_t)FIELD_GET(LVT_VECTOR, lvt), false);
}

/* ---- any CPU ---- */

bool lapic_has_posted(const struct lapic *l)
{
	return __atomic_load_n(&l->posted.control, __ATOMIC_ACQUIRE) & PID_ON;
}

/* Fixed interrupts reach it only while both switches are on. */
static bool is_listening(const struct lapic *l)
{
	uint32_t svr = __atomic_load_n((const uint32_t *)(const void *)(l->page + LAPIC_SVR),
				       __ATOMIC_RELAXED);

	return (svr & LAPIC_SVR_ENABLE) && lapic_mode(l) != LAPIC_MODE_DISABLED;
}

bool lapic_post(struct lapic *l, uint8_t vector, bool is_level)
{
	uint64_t bit = BIT(vector % 64);

	if (!is_listening(l))
		return false;
	if (vector < VECTOR_MIN) {
		__atomic_or_fetch(&l->errors, ESR_RECEIVE_ILLEGAL, __ATOMIC_RELAXED);
		return false;
	}
	if (is_level)
		__atomic_or_fetch(&l->posted.level[vector / 64], bit, __ATOMIC_RELAXED);
	else
		__atomic_and_fetch(&l->posted.level[vector / 64], ~bit, __ATOMIC_RELAXED);
	/* The request is seen before ON is: lapic_sync() clears ON, then reads the requests. */
	__atomic_or_fetch(&l->posted.requests[vector / 64], bit, __ATOMIC_RELEASE);
	return !(__atomic_fetch_or(&l->posted.control, PID_ON, __ATOMIC_SEQ_CST) & PID_ON);
}

bool lapic_request(struct lapic *l, uint8_t vector)
{
	uint32_t bit = 1u << (vector % 32);

	if (!is_listening(l) || vector < VECTOR_MIN)
		return false;
	if (__atomic_load_n(shared_reg(l, vector_reg(LAPIC_TMR, vector)), __ATOMIC_RELAXED) & bit)
		return false;
	__atomic_or_fetch(shared_reg(l, vector_reg(LAPIC_IRR, vector)), bit, __ATOMIC_SEQ_CST);
	return true;
}

/* [SDM] "Logical Destination Mode": flat or cluster, as DFR says. */
static bool matches_xapic_logical(const struct lapic *l, uint32_t dest)
{
	uint32_t ldr = reg_get(l, LAPIC_LDR) >> 24;
	bool is_flat = reg_get(l, LAPIC_DFR) >> 28 == 0xf;

	if (is_flat)
		return ldr & dest;
	return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

static bool matches_x2apic_logical(const struct lapic *l, uint32_t dest)
{
	uint32_t ldr = x2apic_ldr(l->id);

	return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
}

bool lapic_matches(const struct lapic *l, bool is_logical, uint32_t dest, bool src_is_x2apic)
{
	enum lapic_mode mode = lapic_mode(l);

	if (mode == LAPIC_MODE_DISABLED)
		return false;
	if (dest == (src_is_x2apic ? 0xffffffff : 0xff))
		return true;
	if (!is_logical)
		return dest == l->id;
	if (mode == LAPIC_MODE_X2APIC)
		return matches_x2apic_logical(l, dest);
	return dest <= 0xff && matches_xapic_logical(l, dest);
}

bool lapic_decode_msi(uint64_t addr, uint32_t data, struct lapic_ipi *msg)
{
	if ((addr & ~0xfffffull) != MSI_ADDR_FIXED)
		return false;
	*msg = (struct lapic_ipi){
		.delivery = FIELD_GET(ICR_DELIVERY, data),
		.vector = (uint8_t)FIELD_GET(ICR_VECTOR, data),
		.is_logical = addr & MSI_ADDR_LOGICAL,
		.is_level = data & ICR_LEVEL,
		.dest = (uint32_t)FIELD_GET(MSI_ADDR_DEST, addr),
	};
	return true;
}
