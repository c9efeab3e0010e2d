/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LAPIC: the guest's accesses. Both ways in (the page in xAPIC mode, MSRs in x2APIC mode) meet in
 * reg_read() and reg_write(); what x2APIC forbids is checked before, from one table.
 */
#include "vmm/dev/lapic.h"

#include "vmm/dev/lapic_priv.h"
#include "vmm/layout.h"

/* [SDM] "Local APIC Register Address Map in x2APIC mode": who may do what, and which bits exist. */
struct reg_rule {
	uint16_t offset;
	bool is_readable, is_writable;
	uint64_t bits; /* of a write; others are reserved */
};
static const struct reg_rule x2apic_rules[] = {
	{LAPIC_ID, true, false, 0},
	{LAPIC_VERSION, true, false, 0},
	{LAPIC_TPR, true, true, 0xff},
	{LAPIC_PPR, true, false, 0},
	{LAPIC_EOI, false, true, 0},
	{LAPIC_LDR, true, false, 0},
	{LAPIC_SVR, true, true, 0x1ff},
	{LAPIC_ESR, true, true, 0},
	{LAPIC_ICR_LOW, true, true, 0xffffffff000ccfffull},
	{LAPIC_LVT_TIMER, true, true, 0x700ff},
	{LAPIC_LVT_THERMAL, true, true, 0x107ff},
	{LAPIC_LVT_PERF, true, true, 0x107ff},
	{LAPIC_LVT_LINT0, true, true, 0x1a7ff},
	{LAPIC_LVT_LINT1, true, true, 0x1a7ff},
	{LAPIC_LVT_ERROR, true, true, 0x100ff},
	{LAPIC_TIMER_INITIAL, true, true, 0xffffffff},
	{LAPIC_TIMER_CURRENT, true, false, 0},
	{LAPIC_TIMER_DIVIDE, true, true, 0xb},
	{LAPIC_SELF_IPI, false, true, 0xff},
};

static const struct reg_rule vector_bank_rule = {LAPIC_ISR, true, false, 0};

static bool is_vector_bank(uint32_t offset)
{
	return offset >= LAPIC_ISR && offset < LAPIC_ESR;
}

static const struct reg_rule *rule_of(uint32_t offset)
{
	if (is_vector_bank(offset))
		return &vector_bank_rule;
	for (size_t i = 0; i < ARRAY_SIZE(x2apic_rules); i++)
		if (x2apic_rules[i].offset == offset)
			return &x2apic_rules[i];
	return NULL;
}

/* xAPIC has these three more, and no self-IPI register. */
static bool is_xapic_reg(uint32_t offset)
{
	if (offset == LAPIC_SELF_IPI)
		return false;
	return offset == LAPIC_DFR || offset == LAPIC_ICR_HIGH || offset == LAPIC_APR ||
	       rule_of(offset) != NULL;
}

static uint32_t processor_priority(const struct lapic *l)
{
	uint32_t tpr = reg_get(l, LAPIC_TPR) & 0xff;
	int svi = lapic_svi(l);

	return svi >= 0 && (uint32_t)svi >> 4 > tpr >> 4 ? (uint32_t)svi & 0xf0 : tpr;
}

static uint32_t reg_read(struct lapic *l, uint32_t offset)
{
	switch (offset) {
	case LAPIC_PPR:
		return processor_priority(l);
	case LAPIC_TIMER_CURRENT:
		return lapic_timer_current(l);
	case LAPIC_EOI:
		return 0;
	default:
		return reg_get(l, offset);
	}
}

static void write_eoi(struct lapic *l)
{
	int vector = lapic_eoi(l);

	if (vector >= 0)
		l->ops->eoi(l->ctx, (uint8_t)vector);
}

/* Switching it off by software masks all local interrupts, and they stay so while it is off. */
static void write_svr(struct lapic *l, uint32_t val)
{
	reg_set(l, LAPIC_SVR, val & 0x1ff);
	if (val & LAPIC_SVR_ENABLE)
		return;
	for (uint32_t lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 0x10)
		reg_set(l, lvt, reg_get(l, lvt) | LAPIC_LVT_MASKED);
}

static void write_lvt(struct lapic *l, uint32_t offset, uint32_t val)
{
	val &= (uint32_t)rule_of(offset)->bits;
	if (!(reg_get(l, LAPIC_SVR) & LAPIC_SVR_ENABLE))
		val |= LAPIC_LVT_MASKED;
	reg_set(l, offset, val);
	if (offset == LAPIC_LVT_TIMER)
		lapic_timer_mode_changed(l);
}

static void post_to_self(struct lapic *l, uint8_t vector)
{
	if (vector < VECTOR_MIN)
		lapic_raise_error(l, ESR_SEND_ILLEGAL);
	else
		(void)lapic_post(l, vector, false);
}

static bool is_sendable(enum lapic_delivery delivery, uint32_t icr)
{
	switch (delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
	case LAPIC_NMI:
	case LAPIC_SIPI:
		return true;
	case LAPIC_INIT: /* the de-assert form only synchronises arbitration IDs, on ancient CPUs */
		return (icr & ICR_ASSERT) || !(icr & ICR_LEVEL);
	default:
		return false;
	}
}

static void send_ipi(struct lapic *l, uint32_t icr, uint32_t dest)
{
	struct lapic_ipi msg = {
		.delivery = FIELD_GET(ICR_DELIVERY, icr),
		.shorthand = FIELD_GET(ICR_SHORTHAND, icr),
		.vector = (uint8_t)FIELD_GET(ICR_VECTOR, icr),
		.is_logical = icr & ICR_LOGICAL,
		.is_x2apic = lapic_mode(l) == LAPIC_MODE_X2APIC,
		.dest = dest,
	};
	bool has_vector = msg.delivery == LAPIC_FIXED || msg.delivery == LAPIC_LOWEST;

	if (!is_sendable(msg.delivery, icr))
		return;
	if (has_vector && msg.shorthand == LAPIC_TO_SELF)
		post_to_self(l, msg.vector);
	else if (has_vector && msg.vector < VECTOR_MIN)
		lapic_raise_error(l, ESR_SEND_ILLEGAL);
	else
		l->ops->ipi(l->ctx, &msg);
}

static void reg_write(struct lapic *l, uint32_t offset, uint32_t val)
{
	switch (offset) {
	case LAPIC_EOI:
		write_eoi(l);
		break;
	case LAPIC_TPR:
		reg_set(l, LAPIC_TPR, val & 0xff);
		break;
	case LAPIC_ICR_LOW:
		reg_set(l, LAPIC_ICR_LOW, val & 0x000ccfff & ~ICR_PENDING);
		send_ipi(l, val, reg_get(l, LAPIC_ICR_HIGH) >> 24);
		break;
	case LAPIC_ICR_HIGH:
		reg_set(l, LAPIC_ICR_HIGH, val & 0xff000000);
		break;
	case LAPIC_SVR:
		write_svr(l, val);
		break;
	case LAPIC_LVT_TIMER:
	case LAPIC_LVT_THERMAL:
	case LAPIC_LVT_PERF:
	case LAPIC_LVT_LINT0:
	case LAPIC_LVT_LINT1:
	case LAPIC_LVT_ERROR:
		write_lvt(l, offset, val);
		break;
	case LAPIC_TIMER_INITIAL:
		lapic_timer_set_initial(l, val);
		break;
	case LAPIC_TIMER_DIVIDE:
		lapic_timer_set_divide(l, val);
		break;
	case LAPIC_ESR:
		reg_set(l, LAPIC_ESR, __atomic_exchange_n(&l->errors, 0, __ATOMIC_RELAXED));
		break;
	case LAPIC_LDR:
		reg_set(l, LAPIC_LDR, val & 0xff000000);
		break;
	case LAPIC_DFR:
		reg_set(l, LAPIC_DFR, val | 0x0fffffff);
		break;
	default: /* read-only */
		break;
	}
}

/* ---- xAPIC: the page ---- */

uint32_t lapic_mmio_read(struct lapic *l, uint32_t offset)
{
	if (offset >= LAPIC_PAGE_LEN || offset % 16 != 0 || !is_xapic_reg(offset)) {
		lapic_raise_error(l, ESR_ILLEGAL_REGISTER);
		return 0;
	}
	return reg_read(l, offset);
}

void lapic_mmio_write(struct lapic *l, uint32_t offset, uint32_t val)
{
	if (offset >= LAPIC_PAGE_LEN || offset % 16 != 0 || !is_xapic_reg(offset))
		lapic_raise_error(l, ESR_ILLEGAL_REGISTER);
	else
		reg_write(l, offset, val);
}

void lapic_apic_write(struct lapic *l, uint32_t offset)
{
	uint32_t val;

	offset = ALIGN_DOWN(offset & (LAPIC_PAGE_LEN - 1), 16);
	val = reg_get(l, offset);
	switch (offset) {
	case LAPIC_ID: /* the CPU has overwritten what we keep read-only */
		reg_set(l, LAPIC_ID, lapic_mode(l) == LAPIC_MODE_X2APIC ? l->id : l->id << 24);
		break;
	case LAPIC_TIMER_INITIAL:
		if (l->timer_mode == LVT_MODE_DEADLINE)
			reg_set(l, LAPIC_TIMER_INITIAL, 0);
		lapic_timer_set_initial(l, val);
		break;
	case LAPIC_SELF_IPI:
		post_to_self(l, (uint8_t)val);
		break;
	default:
		reg_write(l, offset, val);
	}
}

uint8_t lapic_get_cr8(const struct lapic *l)
{
	return reg_get(l, LAPIC_TPR) >> 4 & 0xf;
}

void lapic_set_cr8(struct lapic *l, uint8_t cr8)
{
	reg_set(l, LAPIC_TPR, (uint32_t)(cr8 & 0xf) << 4);
}

/* ---- MSRs ---- */

static bool read_x2apic(struct lapic *l, uint32_t offset, uint64_t *val)
{
	const struct reg_rule *rule = rule_of(offset);

	if (lapic_mode(l) != LAPIC_MODE_X2APIC || rule == NULL || !rule->is_readable)
		return false;
	*val = reg_read(l, offset);
	if (offset == LAPIC_ICR_LOW) /* 64 bits in one place, where APICv reads them too */
		*val |= (uint64_t)reg_get(l, LAPIC_ICR_LOW + 4) << 32;
	return true;
}

static bool write_x2apic(struct lapic *l, uint32_t offset, uint64_t val)
{
	const struct reg_rule *rule = rule_of(offset);

	if (lapic_mode(l) != LAPIC_MODE_X2APIC || rule == NULL || !rule->is_writable ||
	    (val & ~rule->bits))
		return false;
	switch (offset) {
	case LAPIC_ICR_LOW:
		put_le64(l->page + LAPIC_ICR_LOW, val & ~(uint64_t)ICR_PENDING);
		send_ipi(l, (uint32_t)val, (uint32_t)(val >> 32));
		break;
	case LAPIC_SELF_IPI:
		post_to_self(l, (uint8_t)val);
		break;
	default:
		reg_write(l, offset, (uint32_t)val);
	}
	return true;
}

/* [SDM] "x2APIC State Transitions": from (enabled, x2) to (enabled, x2). */
static bool is_transition_allowed(enum lapic_mode from, uint64_t base)
{
	bool is_enabled = base & LAPIC_BASE_ENABLE, is_x2apic = base & LAPIC_BASE_X2APIC;

	if (is_x2apic && !is_enabled)
		return false;
	if (from == LAPIC_MODE_DISABLED)
		return !is_x2apic;
	if (from == LAPIC_MODE_X2APIC)
		return is_x2apic || !is_enabled;
	return true;
}

static void enter_x2apic(struct lapic *l)
{
	reg_set(l, LAPIC_ID, l->id);
	reg_set(l, LAPIC_LDR, (l->id >> 4) << 16 | 1u << (l->id & 15));
	put_le64(l->page + LAPIC_ICR_LOW, 0);
	reg_set(l, LAPIC_ICR_HIGH, 0);
}

static bool write_base(struct lapic *l, uint64_t val)
{
	const uint64_t flags = LAPIC_BASE_BSP | LAPIC_BASE_X2APIC | LAPIC_BASE_ENABLE;
	enum lapic_mode from = lapic_mode(l);

	if ((val & ~flags) != LAYOUT_LAPIC || !is_transition_allowed(from, val))
		return false;
	val = (val & ~(uint64_t)LAPIC_BASE_BSP) | (l->base_msr & LAPIC_BASE_BSP);
	__atomic_store_n(&l->base_msr, val, __ATOMIC_RELAXED);
	if (lapic_mode(l) == from)
		return true;
	if (lapic_mode(l) == LAPIC_MODE_X2APIC)
		enter_x2apic(l);
	else
		lapic_init(l); /* switched off, or on again: registers as after reset */
	return true;
}

bool lapic_is_readable(uint32_t offset)
{
	const struct reg_rule *rule = rule_of(offset);

	return rule != NULL && rule->is_readable;
}

static bool is_x2apic_msr(uint32_t msr)
{
	return msr >= LAPIC_MSR_X2APIC && msr < LAPIC_MSR_X2APIC + 0x100;
}

bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *val)
{
	if (msr == LAPIC_MSR_TSC_DEADLINE) {
		*val = lapic_timer_get_deadline(l);
		return true;
	}
	if (msr == LAPIC_MSR_BASE) {
		*val = l->base_msr;
		return true;
	}
	return is_x2apic_msr(msr) && read_x2apic(l, (msr & 0xff) << 4, val);
}

bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t val)
{
	if (msr == LAPIC_MSR_TSC_DEADLINE) {
		lapic_timer_set_deadline(l, val);
		return true;
	}
	if (msr == LAPIC_MSR_BASE)
		return write_base(l, val);
	return is_x2apic_msr(msr) && write_x2apic(l, (msr & 0xff) << 4, val);
}
