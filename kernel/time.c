/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock and the timers. Ticks become nanoseconds by a multiplication with a fixed-point factor
 * found at boot, so a reading costs no division.
 *
 * Source: [SDM] "Time-Stamp Counter"; [HPET] "Register Definitions"; [ACPI] "Power Management
 * Timer".
 */
#include "kernel/time.h"

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/cpu_arch.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/rtc.h"
#include "kernel/time_hw.h"

#define HPET_CAP_PERIOD (0x04 / 4) /* femtoseconds a tick; offsets in 32-bit words */
#define HPET_CONFIG	(0x10 / 4)
#define HPET_CONFIG_ON	1u
#define HPET_COUNTER	(0xf0 / 4)
#define HPET_PERIOD_MAX 100000000u /* [HPET]: 100 ns */

#define PM_TIMER_HZ 3579545ull

#define CALIBRATE_NS	 (20 * NSEC_PER_MSEC)
#define CALIBRATE_ROUNDS 3
#define PAIR_TRIES	 8
#define STUCK_READS	 10000000u
#define CPUID_TOLERANCE	 100 /* warn beyond one part in this many */

#define FACTOR_SHIFT 32

/* A counter of known rate; reads count up and wrap at mask. */
struct reference {
	const char *name;
	uint32_t (*read)(void);
	uint32_t mask;
	uint64_t hz;
};

static uint64_t khz, ns_per_tick, ticks_per_ns; /* fixed after boot; factors of FACTOR_SHIFT bits */
static uint64_t start_tsc, wall_at_start_s;
static volatile uint32_t *hpet;

uint64_t tsc_now(void)
{
	return rdtsc();
}

uint64_t tsc_khz(void)
{
	return khz;
}

static uint64_t scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)value * factor >> FACTOR_SHIFT);
}

uint64_t time_ns_of_tsc(uint64_t ticks)
{
	return scale(ticks, ns_per_tick);
}

uint64_t time_tsc_of_ns(uint64_t ns)
{
	return scale(ns, ticks_per_ns);
}

uint64_t time_now_ns(void)
{
	return time_ns_of_tsc(rdtsc() - start_tsc);
}

uint64_t time_tsc_at(uint64_t now_ns)
{
	return start_tsc + time_tsc_of_ns(now_ns);
}

uint64_t time_wall_s(void)
{
	return wall_at_start_s + time_now_ns() / NSEC_PER_SEC;
}

void time_busy_wait_ns(uint64_t ns)
{
	uint64_t start = rdtsc(), ticks = khz ? time_tsc_of_ns(ns) : ns;

	while (rdtsc() - start < ticks)
		cpu_pause();
}

static uint32_t read_hpet(void)
{
	return hpet[HPET_COUNTER];
}

static uint32_t read_pm_timer(void)
{
	return in32((uint16_t)acpi_info.pm_timer_port);
}

static bool find_hpet(struct reference *out)
{
	uint32_t period_fs;

	if (!acpi_info.hpet_hpa)
		return false;
	hpet = mmio_map(acpi_info.hpet_hpa, 1024);
	if (!hpet)
		return false;
	period_fs = hpet[HPET_CAP_PERIOD];
	if (!period_fs || period_fs > HPET_PERIOD_MAX)
		return false;
	hpet[HPET_CONFIG] |= HPET_CONFIG_ON;
	*out = (struct reference){"HPET", read_hpet, ~0u, 1000000000000000ull / period_fs};
	return true;
}

static bool find_pm_timer(struct reference *out)
{
	if (!acpi_info.pm_timer_port)
		return false;
	*out = (struct reference){"PM timer", read_pm_timer,
				  acpi_info.pm_timer_is_32bit ? ~0u : 0xffffffu, PM_TIMER_HZ};
	return true;
}

/* Both counters at one moment: of a few tries the one that took least, lest an SMI came between. */
static void read_pair(const struct reference *ref, uint64_t *tsc, uint32_t *count)
{
	uint64_t best = ~0ull;

	for (unsigned i = 0; i < PAIR_TRIES; i++) {
		uint64_t before = rdtsc();
		uint32_t now = ref->read();
		uint64_t took = rdtsc() - before;

		if (took < best) {
			best = took;
			*tsc = before + took / 2;
			*count = now;
		}
	}
}

/* kHz of the TSC, 0 when the reference stands still. */
static uint64_t measure(const struct reference *ref)
{
	uint32_t wanted = (uint32_t)(ref->hz * CALIBRATE_NS / NSEC_PER_SEC), from, to, passed;
	uint64_t tsc_from, tsc_to;

	read_pair(ref, &tsc_from, &from);
	for (unsigned i = 0; ((ref->read() - from) & ref->mask) < wanted; i++)
		if (i == STUCK_READS)
			return 0;
	read_pair(ref, &tsc_to, &to);
	passed = (to - from) & ref->mask;
	return (tsc_to - tsc_from) * ref->hz / passed / 1000;
}

/* The middle one of three. */
static uint64_t measure_median(const struct reference *ref)
{
	uint64_t a = measure(ref), b = measure(ref), c = measure(ref);

	return MAX(MIN(a, b), MIN(MAX(a, b), c));
}

/* [SDM] "Determining the Processor Base Frequency"; 0 when CPUID does not say. */
static uint64_t cpuid_khz(void)
{
	struct cpuid_regs r = cpuid_if_present(0x15, 0);

	if (!r.eax || !r.ebx || !r.ecx)
		return 0;
	return (uint64_t)r.ecx * r.ebx / r.eax / 1000;
}

static void choose_rate(void)
{
	uint64_t claimed = cpuid_khz(), off;
	struct reference ref = {.name = "CPUID"};

	if (find_hpet(&ref) || find_pm_timer(&ref))
		khz = measure_median(&ref);
	if (!khz) {
		ref.name = "CPUID";
		khz = claimed;
	}
	if (!khz)
		panic("time: no HPET, no ACPI PM timer, no CPUID leaf 15h: cannot measure the TSC");
	log_info("time", "TSC %lu.%03lu MHz by %s, timer %s", khz / 1000, khz % 1000, ref.name,
		 apic_timer_mode_name());
	off = claimed > khz ? claimed - khz : khz - claimed;
	if (claimed && off > khz / CPUID_TOLERANCE)
		log_warn("time", "CPUID says the TSC runs at %lu.%03lu MHz; not believed",
			 claimed / 1000, claimed % 1000);
	if (!(cpuid_if_present(0x80000007u, 0).edx & BIT(8)))
		log_warn("time", "this CPU does not promise an invariant TSC; clocks may drift");
}

void time_init(void)
{
	choose_rate();
	ns_per_tick = (NSEC_PER_MSEC << FACTOR_SHIFT) / khz;
	ticks_per_ns = (khz << FACTOR_SHIFT) / NSEC_PER_MSEC;
	start_tsc = rdtsc();
	wall_at_start_s = rtc_read();
	apic_timer_init_boot();
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	list_init(&timer->queued);
	timer->fire = fire;
	timer->cpu = NULL;
}

static void arm(struct cpu_arch *arch)
{
	ASSERT_HELD(&arch->timer_lock);
	apic_timer_arm(timer_queue_next(&arch->timers));
}

void timer_set(struct timer *timer, uint64_t deadline_tsc)
{
	struct cpu *cpu = this_cpu();
	struct cpu_arch *arch = cpu->arch;

	if (timer->cpu && timer->cpu != cpu)
		timer_cancel(timer);
	lock_take(&arch->timer_lock);
	timer->cpu = cpu;
	if (list_is_empty(&timer->queued)) {
		timer->deadline_tsc = deadline_tsc;
		timer_queue_add(&arch->timers, timer);
		arm(arch);
	} else if (timer_queue_move(&arch->timers, timer, deadline_tsc)) {
		arm(arch);
	}
	lock_release(&arch->timer_lock);
}

void timer_set_in(struct timer *timer, uint64_t ns)
{
	timer_set(timer, tsc_now() + time_tsc_of_ns(ns));
}

void timer_cancel(struct timer *timer)
{
	struct cpu *cpu = __atomic_load_n(&timer->cpu, __ATOMIC_ACQUIRE);
	struct cpu_arch *arch;

	if (!cpu)
		return;
	arch = cpu->arch;
	lock_take(&arch->timer_lock);
	timer_queue_remove(timer);
	while (arch->timer_running == timer) {
		ASSERT(cpu != this_cpu());
		lock_release(&arch->timer_lock);
		cpu_pause();
		lock_take(&arch->timer_lock);
		timer_queue_remove(timer); /* fire() may have set it again */
	}
	timer->cpu = NULL;
	lock_release(&arch->timer_lock);
}

void time_handle_interrupt(void)
{
	struct cpu_arch *arch = this_cpu()->arch;
	struct timer *due;

	lock_take(&arch->timer_lock);
	while ((due = timer_queue_take_due(&arch->timers, rdtsc()))) {
		arch->timer_running = due;
		lock_release(&arch->timer_lock);
		due->fire(due);
		lock_take(&arch->timer_lock);
		arch->timer_running = NULL;
	}
	arm(arch);
	lock_release(&arch->timer_lock);
}
