/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LAPIC timer: one-shot, periodic, TSC-deadline. All three become one deadline in the guest's TSC;
 * the count that the guest reads back is computed from it.
 */
#include "kernel/lib/assert.h"
#include "vmm/dev/lapic_priv.h"

#define BUS_KHZ (LAPIC_BUS_HZ / 1000)

/*
 * A periodic timer of a few microseconds would keep the host at nothing else, also while a
 * neighbour has the CPU. No system asks for less than a tenth of a millisecond, and KVM draws the
 * line here, too.
 */
#define PERIOD_MIN_US 200

/* count is at most 2^32 << 7 and tsc_khz below 2^25: no overflow. */
static uint64_t tsc_of_count(const struct lapic *l, uint32_t count)
{
	return ((uint64_t)count << l->timer_shift) * l->tsc_khz / BUS_KHZ;
}

static uint32_t count_of_tsc(const struct lapic *l, uint64_t ticks)
{
	uint64_t whole = ticks / l->tsc_khz * BUS_KHZ;
	uint64_t bus = whole + ticks % l->tsc_khz * BUS_KHZ / l->tsc_khz;

	return (uint32_t)(bus >> l->timer_shift);
}

static void arm(struct lapic *l, uint64_t deadline_tsc)
{
	l->deadline_tsc = deadline_tsc;
	l->ops->timer_set(l->ctx, deadline_tsc);
}

void lapic_timer_stop(struct lapic *l)
{
	if (l->deadline_tsc != LAPIC_NEVER)
		arm(l, LAPIC_NEVER);
}

void lapic_timer_mode_changed(struct lapic *l)
{
	uint8_t mode = (uint8_t)FIELD_GET(LVT_MODE, reg_get(l, LAPIC_LVT_TIMER));

	if (mode == l->timer_mode)
		return;
	/* [SDM] "TSC-Deadline Mode": going there or coming from there disarms; the others keep
	 * counting. */
	if (mode == LVT_MODE_DEADLINE || l->timer_mode == LVT_MODE_DEADLINE) {
		lapic_timer_stop(l);
		reg_set(l, LAPIC_TIMER_INITIAL, 0);
	}
	l->timer_mode = mode;
}

void lapic_timer_set_initial(struct lapic *l, uint32_t count)
{
	uint64_t least = (uint64_t)PERIOD_MIN_US * l->tsc_khz / 1000;

	if (l->timer_mode == LVT_MODE_DEADLINE)
		return;
	reg_set(l, LAPIC_TIMER_INITIAL, count);
	if (count == 0) {
		lapic_timer_stop(l);
		return;
	}
	l->period_tsc = MAX(tsc_of_count(l, count), least);
	arm(l, l->ops->tsc_now(l->ctx) + tsc_of_count(l, count));
}

void lapic_timer_set_divide(struct lapic *l, uint32_t val)
{
	uint32_t code = (val & 3) | (val >> 1 & 4);

	reg_set(l, LAPIC_TIMER_DIVIDE, val & 0xb);
	l->timer_shift = (uint8_t)((code + 1) & 7); /* 0: by 2, 1: by 4, … 6: by 128, 7: by 1 */
}

void lapic_timer_set_deadline(struct lapic *l, uint64_t deadline_tsc)
{
	if (l->timer_mode != LVT_MODE_DEADLINE)
		return;
	if (deadline_tsc == 0)
		lapic_timer_stop(l);
	else
		arm(l, MIN(deadline_tsc, LAPIC_NEVER - 1));
}

uint64_t lapic_timer_get_deadline(const struct lapic *l)
{
	bool is_armed = l->timer_mode == LVT_MODE_DEADLINE && l->deadline_tsc != LAPIC_NEVER;

	return is_armed ? l->deadline_tsc : 0;
}

uint32_t lapic_timer_current(const struct lapic *l)
{
	uint64_t now;

	if (l->timer_mode == LVT_MODE_DEADLINE || l->deadline_tsc == LAPIC_NEVER)
		return 0;
	now = l->ops->tsc_now(l->ctx);
	return now < l->deadline_tsc ? count_of_tsc(l, l->deadline_tsc - now) : 0;
}

/* The next period's end that is not past; missed ones are one interrupt, as on a busy CPU. */
static uint64_t next_period(const struct lapic *l, uint64_t now_tsc)
{
	uint64_t late = now_tsc - l->deadline_tsc;

	return l->deadline_tsc + (late / l->period_tsc + 1) * l->period_tsc;
}

void lapic_timer_fired(struct lapic *l, uint64_t now_tsc)
{
	if (l->deadline_tsc == LAPIC_NEVER)
		return;
	if (now_tsc < l->deadline_tsc) {
		arm(l, l->deadline_tsc);
		return;
	}
	if (l->timer_mode == LVT_MODE_PERIODIC)
		arm(l, next_period(l, now_tsc));
	else
		l->deadline_tsc = LAPIC_NEVER;
	lapic_fire_lvt(l, LAPIC_LVT_TIMER);
}
