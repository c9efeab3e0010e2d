/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of a running machine, from the boot CPU while the others idle. Each one that holds says so
 * in a line; tests/system/test_boot.py reads them.
 */
#include "boot/checks.h"

#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/power.h"
#include "kernel/serial.h"
#include "kernel/time.h"

#define STORM_CALLS 8
#define NR_TIMERS   4
#define NR_LINES    120
#define PATIENCE_NS (60 * NSEC_PER_SEC) /* an emulator with more CPUs than its host is slow */

static uint32_t nr_calls, nr_storms_done, nr_fired, nr_kept, nr_wrote;
static uint64_t timers_due_ns[NR_TIMERS];
static struct timer timers[NR_TIMERS], everywhere[CPU_MAX], kept, ticker;

static void tick(struct timer *timer)
{
	timer_set_in(timer, NSEC_PER_MSEC);
}

/* Idle, so that interrupts come in, until the counter has the value; the ticker ends each wait. */
static void wait_until(const uint32_t *counter, uint32_t value)
{
	uint64_t start = time_now_ns();

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != value) {
		ASSERT(time_now_ns() - start < PATIENCE_NS);
		cpu_idle_wait();
	}
}

static void wait_ns(uint64_t ns)
{
	uint64_t start = time_now_ns();

	while (time_now_ns() - start < ns)
		cpu_idle_wait();
}

static void set_here(void *arg)
{
	void (**fire)(struct timer *timer) = arg;
	struct timer *timer = &everywhere[this_cpu()->index];

	timer_init(timer, *fire);
	timer_set(timer, tsc_now());
}

/* At about the same time, in interrupts; nothing that was begun so before may still go on. */
static void on_all_cpus(void (*fire)(struct timer *timer))
{
	cpu_call_others(set_here, &fire);
	set_here(&fire);
}

static void check_msrs(void)
{
	ASSERT(!wrmsr_safe(MSR_APIC_BASE, ~0ull));
	log_info("check", "an MSR that refuses a value does not end the machine");
}

static void fire_in_order(struct timer *timer)
{
	ASSERT(timer == &timers[nr_fired]);
	ASSERT(tsc_now() >= timer->deadline_tsc);
	ASSERT(time_now_ns() + NSEC_PER_USEC >= timers_due_ns[nr_fired]); /* both are rounded */
	nr_fired++;
}

static void check_timers(void)
{
	uint64_t now_ns = time_now_ns();

	for (uint32_t i = NR_TIMERS; i-- > 0;) {
		timers_due_ns[i] = now_ns + (i + 1) * 2 * NSEC_PER_MSEC;
		timer_init(&timers[i], fire_in_order);
		timer_set(&timers[i], time_tsc_at(timers_due_ns[i]));
	}
	wait_until(&nr_fired, NR_TIMERS);
	log_info("check", "timers fire in order and not before their time, the last %llu us late",
		 time_ns_of_tsc(tsc_now() - timers[NR_TIMERS - 1].deadline_tsc) / NSEC_PER_USEC);
}

static void count_call(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&nr_calls, 1, __ATOMIC_RELAXED);
}

static void storm(struct timer *timer)
{
	(void)timer;
	for (unsigned i = 0; i < STORM_CALLS; i++)
		cpu_call_others(count_call, NULL);
	__atomic_fetch_add(&nr_storms_done, 1, __ATOMIC_RELEASE);
}

/* All CPUs call all others at the same time. */
static void check_calls(void)
{
	uint32_t nr = cpu_count();

	on_all_cpus(storm);
	wait_until(&nr_storms_done, nr);
	ASSERT(nr_calls == nr * (nr - 1) * STORM_CALLS);
	log_info("check", "%u calls between %u CPUs, none lost", nr_calls, nr);
}

static void fire_kept(struct timer *timer)
{
	(void)timer;
	nr_kept++;
}

static void set_kept(void *arg)
{
	uint64_t in_ns = *(const uint64_t *)arg;

	if (this_cpu()->index == 1)
		timer_set_in(&kept, in_ns);
}

static void check_cancel(void)
{
	uint64_t long_ns = 500 * NSEC_PER_MSEC, short_ns = NSEC_PER_MSEC;

	timer_init(&kept, fire_kept);
	cpu_call_others(set_kept, &long_ns);
	timer_cancel(&kept);
	wait_ns(long_ns + short_ns);
	ASSERT(nr_kept == 0);
	cpu_call_others(set_kept, &short_ns);
	wait_until(&nr_kept, 1);
	log_info("check", "a timer of another CPU is cancelled");
}

static void check_kick(void)
{
	struct cpu *other = cpu_at(1);
	uint64_t start;

	cpu_kick(other);
	start = time_now_ns();
	while (__atomic_load_n(&other->kick_pending, __ATOMIC_ACQUIRE))
		ASSERT(time_now_ns() - start < NSEC_PER_SEC);
	log_info("check", "a kicked CPU looks within %llu us",
		 (time_now_ns() - start) / NSEC_PER_USEC);
}

static void check_wall_clock(void)
{
	log_info("check", "the clock says %lu s", time_wall_s());
}

/* Whether as many are free as before; another CPU may have taken some meanwhile. */
static bool pages_go_back(void)
{
	struct pages_stats before, after;
	hpa_t hpa;

	pages_stats(&before);
	hpa = pages_alloc(PAGE_ORDER_2M);
	ASSERT(hpa != HPA_NONE && IS_ALIGNED(hpa, 2 * MIB));
	for (uint64_t i = 0; i < 2 * MIB / sizeof(uint64_t); i++)
		ASSERT(((uint64_t *)hva_of(hpa))[i] == 0);
	pages_free(hpa, PAGE_ORDER_2M);
	pages_stats(&after);
	return after.free == before.free;
}

static void check_memory(void)
{
	uint64_t start = time_now_ns();

	while (!pages_go_back()) /* the others' ends of the boot take what they need */
		ASSERT(time_now_ns() - start < NSEC_PER_SEC);
	log_info("check", "pages come zeroed and go back");
}

static void write_lines(struct timer *timer)
{
	(void)timer;
	for (uint32_t i = 0; i < NR_LINES; i++)
		log_info("check",
			 "CPU %u writes line %u of %u, and the serial port is slower than that",
			 this_cpu()->index, i + 1, NR_LINES);
	__atomic_fetch_add(&nr_wrote, 1, __ATOMIC_RELEASE);
}

/* All CPUs at once write more than waits for the serial port; whoever reads it looks for gaps. */
static void check_log(void)
{
	uint64_t start;

	serial_drain();
	start = time_now_ns();
	log_info("check", "a line of the log, by which the log is measured");
	log_info("check", "it took %llu us", (time_now_ns() - start) / NSEC_PER_USEC);
	on_all_cpus(write_lines);
	wait_until(&nr_wrote, cpu_count());
}

void checks_run(void)
{
	timer_init(&ticker, tick);
	tick(&ticker);
	check_msrs();
	check_memory();
	check_wall_clock();
	check_timers();
	if (cpu_count() > 1) {
		check_calls();
		check_cancel();
		check_kick();
	}
	check_log();
	timer_cancel(&ticker);
	log_info("check", "all hold");
	power_off();
}
