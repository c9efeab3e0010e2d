/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818. Time is not counted here: the registers are made from the VM's clocks when they are
 * read, so they cannot be caught half updated, though the update-in-progress bit is shown as the
 * chip would. Interrupt flags, too, are worked out when somebody looks; timers run only for
 * interrupts that are enabled.
 *
 * Wall time comes in whole seconds; the phase within a second is that of vm_time_ns().
 */
#include "vmm/dev/rtc.h"

#include "kernel/lib/string.h"
#include "kernel/memory.h"
#include "vmm/dev/rtc_date.h"
#include "vmm/layout.h"

/* [MC146818] "Address Map", "Registers" */
#define REG_SECOND	 0x00u
#define REG_SECOND_ALARM 0x01u
#define REG_MINUTE	 0x02u
#define REG_MINUTE_ALARM 0x03u
#define REG_HOUR	 0x04u
#define REG_HOUR_ALARM	 0x05u
#define REG_WEEKDAY	 0x06u
#define REG_DAY		 0x07u
#define REG_MONTH	 0x08u
#define REG_YEAR	 0x09u
#define REG_A		 0x0au
#define REG_B		 0x0bu
#define REG_C		 0x0cu
#define REG_D		 0x0du
#define REG_CENTURY	 0x32u /* where the FADT says it is */
#define CMOS_LEN	 128u

#define A_UIP	0x80u
#define A_RATE	0x0fu
#define A_RESET 0x26u /* 32768 Hz crystal, rate of 1024 Hz */

#define B_SET	 0x80u
#define B_PIE	 0x40u
#define B_AIE	 0x20u
#define B_UIE	 0x10u
#define B_BINARY 0x04u
#define B_24H	 0x02u

#define C_IRQ	0x80u /* the others sit where their enables sit in B */
#define D_VALID 0x80u

#define HOUR_PM	      0x80u
#define ALARM_ANY     0xc0u    /* both bits: every value matches */
#define UPDATE_NS     2228000u /* before the second's end; [MC146818] "Update Cycle", 32 kHz */
#define ALARM_NEVER   (~0ull)
#define PERIOD_MIN_NS 100000u

struct rtc {
	struct vdev dev;
	uint8_t index;
	uint8_t cmos[CMOS_LEN]; /* time registers hold values only while B_SET */
	int64_t offset_s;	/* the guest's time less the VM's */

	uint64_t base_s, base_ns; /* a second of wall time, and when it began in vm_time_ns() */

	uint8_t flags;	      /* of C; IRQ is worked out */
	uint64_t seen_s;      /* update flag: the second that was last looked at */
	uint64_t alarm_s;     /* in guest's seconds, or ALARM_NEVER */
	uint64_t period_seen; /* periodic flag: the period that was last looked at */
	bool is_line_high;
	struct vdev_timer *timer;
};

static struct rtc *rtc_of(struct vdev *dev)
{
	return container_of(dev, struct rtc, dev);
}

/* ---- clock ---- */

/* The VM's time with its phase. A pause, or a host whose clock was set, begins a new base. */
static uint64_t vm_seconds(struct rtc *rtc)
{
	uint64_t wall_s = vm_wall_s(rtc->dev.vm), now_ns = vm_time_ns(rtc->dev.vm);
	uint64_t s = rtc->base_s + (now_ns - rtc->base_ns) / NSEC_PER_SEC;

	if (s + 1 >= wall_s && s <= wall_s + 1)
		return s;
	rtc->base_s = wall_s;
	rtc->base_ns = now_ns;
	return wall_s;
}

static uint64_t guest_seconds(struct rtc *rtc)
{
	return vm_seconds(rtc) + (uint64_t)rtc->offset_s;
}

/* vm_time_ns() when the guest's clock will show this second; call guest_seconds() before. */
static uint64_t when_is(const struct rtc *rtc, uint64_t guest_s)
{
	return rtc->base_ns + (guest_s - (uint64_t)rtc->offset_s - rtc->base_s) * NSEC_PER_SEC;
}

static bool is_updating(struct rtc *rtc)
{
	uint64_t into_ns;

	if (rtc->cmos[REG_B] & B_SET)
		return false;
	(void)vm_seconds(rtc);
	into_ns = (vm_time_ns(rtc->dev.vm) - rtc->base_ns) % NSEC_PER_SEC;
	return into_ns >= NSEC_PER_SEC - UPDATE_NS;
}

static uint64_t period_ns(const struct rtc *rtc)
{
	unsigned rate = rtc->cmos[REG_A] & A_RATE;

	if (rate == 0)
		return 0;
	if (rate <= 2) /* with a 32 kHz crystal these two mean 256 and 128 Hz */
		rate += 7;
	return MAX((NSEC_PER_SEC << (rate - 1)) / 32768, PERIOD_MIN_NS);
}

/* ---- the forms of a register: BCD or binary, 12 or 24 hours ---- */

static uint8_t encode(const struct rtc *rtc, uint32_t val)
{
	if (rtc->cmos[REG_B] & B_BINARY)
		return (uint8_t)val;
	return (uint8_t)(val / 10 << 4 | val % 10);
}

static uint32_t decode(const struct rtc *rtc, uint8_t raw)
{
	if (rtc->cmos[REG_B] & B_BINARY)
		return raw;
	return (raw >> 4) * 10u + (raw & 0xf);
}

static uint8_t encode_hour(const struct rtc *rtc, uint32_t hour)
{
	uint8_t raw;

	if (rtc->cmos[REG_B] & B_24H)
		return encode(rtc, hour);
	raw = encode(rtc, hour % 12 == 0 ? 12 : hour % 12);
	return hour >= 12 ? raw | HOUR_PM : raw;
}

static uint32_t decode_hour(const struct rtc *rtc, uint8_t raw)
{
	if (rtc->cmos[REG_B] & B_24H)
		return decode(rtc, raw);
	return decode(rtc, raw & (uint8_t)~HOUR_PM) % 12 + (raw & HOUR_PM ? 12 : 0);
}

static void time_to_cmos(struct rtc *rtc)
{
	struct rtc_date d;

	rtc_date_of(guest_seconds(rtc), &d);
	rtc->cmos[REG_SECOND] = encode(rtc, d.second);
	rtc->cmos[REG_MINUTE] = encode(rtc, d.minute);
	rtc->cmos[REG_HOUR] = encode_hour(rtc, d.hour);
	rtc->cmos[REG_WEEKDAY] = encode(rtc, d.weekday);
	rtc->cmos[REG_DAY] = encode(rtc, d.day);
	rtc->cmos[REG_MONTH] = encode(rtc, d.month);
	rtc->cmos[REG_YEAR] = encode(rtc, d.year % 100);
	rtc->cmos[REG_CENTURY] = encode(rtc, d.year / 100);
}

static void time_from_cmos(struct rtc *rtc)
{
	const struct rtc_date d = {
		.year = decode(rtc, rtc->cmos[REG_CENTURY]) * 100 +
			decode(rtc, rtc->cmos[REG_YEAR]),
		.month = MIN(MAX(decode(rtc, rtc->cmos[REG_MONTH]), 1u), 12u),
		.day = MAX(decode(rtc, rtc->cmos[REG_DAY]), 1u),
		.hour = decode_hour(rtc, rtc->cmos[REG_HOUR]),
		.minute = decode(rtc, rtc->cmos[REG_MINUTE]),
		.second = decode(rtc, rtc->cmos[REG_SECOND]),
	};

	rtc->offset_s = (int64_t)(rtc_seconds_of(&d) - vm_seconds(rtc));
}

/* ---- alarm ---- */

static bool matches(const struct rtc *rtc, uint32_t reg, uint32_t val)
{
	uint8_t raw = rtc->cmos[reg];

	if ((raw & ALARM_ANY) == ALARM_ANY)
		return true;
	return (reg == REG_HOUR_ALARM ? decode_hour(rtc, raw) : decode(rtc, raw)) == val;
}

/*
 * The next second after from_s that the alarm registers match: skips whole hours, then whole
 * minutes, so that a day is searched in 24 + 60 + 60 steps. ALARM_NEVER: they hold no time of day.
 */
static uint64_t next_alarm(const struct rtc *rtc, uint64_t from_s)
{
	uint64_t at = from_s + 1;

	for (int steps = 0; steps < 2 * (24 + 60 + 60); steps++) {
		uint32_t of_day = (uint32_t)(at % 86400);

		if (!matches(rtc, REG_HOUR_ALARM, of_day / 3600))
			at += 3600 - of_day % 3600;
		else if (!matches(rtc, REG_MINUTE_ALARM, of_day / 60 % 60))
			at += 60 - of_day % 60;
		else if (!matches(rtc, REG_SECOND_ALARM, of_day % 60))
			at++;
		else
			return at;
	}
	return ALARM_NEVER;
}

/* ---- interrupts ---- */

/* Raises the flags for what has happened since somebody last looked. */
static void update_flags(struct rtc *rtc)
{
	uint64_t now_s = guest_seconds(rtc), period = period_ns(rtc);

	if (rtc->cmos[REG_B] & B_SET) /* stands still */
		rtc->seen_s = now_s;
	if (now_s != rtc->seen_s)
		rtc->flags |= B_UIE;
	rtc->seen_s = now_s;
	if (rtc->alarm_s <= now_s) {
		rtc->flags |= B_AIE;
		rtc->alarm_s = next_alarm(rtc, now_s);
	}
	if (period != 0 && vm_time_ns(rtc->dev.vm) / period != rtc->period_seen) {
		rtc->flags |= B_PIE;
		rtc->period_seen = vm_time_ns(rtc->dev.vm) / period;
	}
}

static bool wants_interrupt(const struct rtc *rtc)
{
	return rtc->flags & rtc->cmos[REG_B] & (B_PIE | B_AIE | B_UIE);
}

/* When the next enabled event comes; ALARM_NEVER: none is enabled. */
static uint64_t next_event(struct rtc *rtc)
{
	uint64_t now_s = guest_seconds(rtc), period = period_ns(rtc), at = ALARM_NEVER;

	if (rtc->cmos[REG_B] & B_UIE)
		at = when_is(rtc, now_s + 1);
	if ((rtc->cmos[REG_B] & B_AIE) && rtc->alarm_s != ALARM_NEVER)
		at = MIN(at, when_is(rtc, rtc->alarm_s));
	if ((rtc->cmos[REG_B] & B_PIE) && period != 0)
		at = MIN(at, (rtc->period_seen + 1) * period);
	return at;
}

/* After anything that moves flags, enables or time. No timer while the guest has one to answer. */
static void update_interrupt(struct rtc *rtc)
{
	bool is_high = wants_interrupt(rtc);
	uint64_t at = is_high || (rtc->cmos[REG_B] & B_SET) ? ALARM_NEVER : next_event(rtc);

	if (at == ALARM_NEVER)
		vdev_timer_stop(rtc->timer);
	else
		vdev_timer_set(rtc->timer, at);
	if (is_high == rtc->is_line_high)
		return;
	rtc->is_line_high = is_high;
	vm_irq_line(rtc->dev.vm, LAYOUT_IRQ_RTC, is_high);
}

static void fire(void *arg)
{
	struct rtc *rtc = arg;

	update_flags(rtc);
	update_interrupt(rtc);
}

/* ---- accesses ---- */

static bool is_time_reg(uint8_t reg)
{
	return reg == REG_CENTURY || (reg <= REG_YEAR && reg != REG_SECOND_ALARM &&
				      reg != REG_MINUTE_ALARM && reg != REG_HOUR_ALARM);
}

static uint8_t read_c(struct rtc *rtc)
{
	uint8_t val;

	update_flags(rtc);
	val = rtc->flags | (wants_interrupt(rtc) ? C_IRQ : 0);
	rtc->flags = 0;
	return val;
}

static uint8_t read_reg(struct rtc *rtc, uint8_t reg)
{
	switch (reg) {
	case REG_A:
		return rtc->cmos[REG_A] | (is_updating(rtc) ? A_UIP : 0);
	case REG_C:
		return read_c(rtc);
	case REG_D:
		return D_VALID;
	default:
		if (is_time_reg(reg) && !(rtc->cmos[REG_B] & B_SET))
			time_to_cmos(rtc);
		return rtc->cmos[reg];
	}
}

/* Setting stops the clock with what it shows; the end of setting starts it with what it shows then.
 */
static void write_b(struct rtc *rtc, uint8_t val)
{
	bool was_setting = rtc->cmos[REG_B] & B_SET, is_setting = val & B_SET;

	if (!was_setting && is_setting)
		time_to_cmos(rtc);
	rtc->cmos[REG_B] = val;
	if (was_setting && !is_setting)
		time_from_cmos(rtc);
}

static void write_time(struct rtc *rtc, uint8_t reg, uint8_t val)
{
	bool is_running = !(rtc->cmos[REG_B] & B_SET);

	if (is_running)
		time_to_cmos(rtc);
	rtc->cmos[reg] = val;
	if (is_running)
		time_from_cmos(rtc);
}

static void write_reg(struct rtc *rtc, uint8_t reg, uint8_t val)
{
	update_flags(rtc);
	if (reg == REG_A)
		rtc->cmos[REG_A] = val & (uint8_t)~A_UIP;
	else if (reg == REG_B)
		write_b(rtc, val);
	else if (is_time_reg(reg))
		write_time(rtc, reg, val);
	else if (reg != REG_C && reg != REG_D)
		rtc->cmos[reg] = val;
	/* Time, alarm or rate may have changed: nothing of that is an event by itself. */
	rtc->seen_s = guest_seconds(rtc);
	rtc->alarm_s = next_alarm(rtc, rtc->seen_s);
	if (period_ns(rtc) != 0)
		rtc->period_seen = vm_time_ns(rtc->dev.vm) / period_ns(rtc);
}

static enum io_result rtc_access(struct vdev *dev, enum io_space space, struct io_access *acc)
{
	struct rtc *rtc = rtc_of(dev);
	uint8_t val = (uint8_t)acc->value;

	(void)space;
	if (acc->size != 1)
		return IO_REFUSED;
	if (acc->offset == 0 && acc->is_write)
		rtc->index = val & (CMOS_LEN - 1); /* bit 7 masks NMIs, of which there are none */
	else if (acc->offset == 0)
		return IO_UNCLAIMED; /* the index is write-only */
	else if (acc->is_write)
		write_reg(rtc, rtc->index, val);
	else
		acc->value = read_reg(rtc, rtc->index);
	update_interrupt(rtc);
	return IO_DONE;
}

/* ---- life ---- */

/* The battery keeps time and memory; only the interrupts are reset. */
static void rtc_reset(struct vdev *dev)
{
	struct rtc *rtc = rtc_of(dev);

	rtc->cmos[REG_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE);
	rtc->flags = 0;
	update_interrupt(rtc);
}

static enum hv_err rtc_create(struct vm *vm, const void *conf, struct vdev **out)
{
	struct rtc *rtc = kmem_alloc(sizeof(*rtc));
	enum hv_err err;

	(void)conf;
	if (rtc == NULL)
		return HV_ENOMEM;
	rtc->dev.ops = &rtc_ops;
	rtc->dev.vm = vm;
	err = vdev_timer_create(vm, fire, rtc, &rtc->timer);
	if (err != HV_OK)
		goto free_rtc;
	rtc->cmos[REG_A] = A_RESET;
	rtc->cmos[REG_B] = B_24H;
	rtc->seen_s = guest_seconds(rtc);
	rtc->alarm_s = next_alarm(rtc, rtc->seen_s);
	rtc->period_seen = vm_time_ns(vm) / period_ns(rtc);
	*out = &rtc->dev;
	return HV_OK;
free_rtc:
	kmem_free(rtc);
	return err;
}

static void rtc_destroy(struct vdev *dev)
{
	struct rtc *rtc = rtc_of(dev);

	vdev_timer_destroy(rtc->timer);
	kmem_free(rtc);
}

const struct vdev_ops rtc_ops = {
	.name = "rtc",
	.create = rtc_create,
	.access = rtc_access,
	.reset = rtc_reset,
	.destroy = rtc_destroy,
};
