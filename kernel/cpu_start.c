/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings up the other CPUs, one after the other: INIT, then twice a start-up message with the page
 * to begin in. Each comes through kernel/ap_trampoline.S to ap_entry() below.
 *
 * Source: [SDM] "MP Initialization Protocol Algorithm for MP Systems".
 */
#include "kernel/cpu_start.h"

#include "kernel/acpi.h"
#include "kernel/apic.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/mitigations.h"
#include "kernel/paging.h"
#include "kernel/time.h"
#include "kernel/watchdog.h"

#define INIT_SETTLE_NS	  (10 * NSEC_PER_MSEC)
#define STARTUP_SETTLE_NS (200 * NSEC_PER_USEC)
#define ANSWER_POLL_NS	  (50 * NSEC_PER_USEC)
#define ANSWER_TIMEOUT_NS NSEC_PER_SEC
#define TSC_ROUNDS	  100
#define TSC_APART_MAX_NS  NSEC_PER_USEC

extern const char ap_trampoline[], ap_trampoline_end[];
void ap_entry(void);

uint64_t ap_cr3, ap_boot_stack; /* read by ap_trampoline.S */
static struct cpu *starting;
static void (*run_when_up)(void);

/*
 * Both CPUs read their TSCs in turn; a reading below the other's last one shows how far apart they
 * are. Guests' vCPUs move between CPUs and must not see time go back.
 */
static struct {
	struct lock lock;
	uint64_t last, worst_ticks; /* under lock */
	uint32_t nr_arrived,
		nr_left; /* two more for each CPU; never taken back, lest one miss it */
} tsc_check;

static void wait_for_both(uint32_t *counter, uint32_t index)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < 2 * index)
		cpu_pause();
}

/* On the CPU of that index and, at the same time, on the boot CPU. */
static void compare_tsc(uint32_t index)
{
	wait_for_both(&tsc_check.nr_arrived, index);
	for (unsigned i = 0; i < TSC_ROUNDS; i++) {
		uint64_t now;

		lock_take(&tsc_check.lock);
		now = tsc_now();
		if (now < tsc_check.last)
			tsc_check.worst_ticks = MAX(tsc_check.worst_ticks, tsc_check.last - now);
		tsc_check.last = now;
		lock_release(&tsc_check.lock);
	}
	wait_for_both(&tsc_check.nr_left, index);
}

static void check_tsc_of(uint32_t index)
{
	uint64_t apart_ns;

	tsc_check.last = tsc_check.worst_ticks = 0;
	compare_tsc(index);
	apart_ns = time_ns_of_tsc(tsc_check.worst_ticks);
	if (apart_ns > TSC_APART_MAX_NS)
		log_warn("cpu", "the TSC of CPU %u is %lu ns apart; clocks of guests may jump",
			 index, apart_ns);
}

/* The first C of such a CPU, on its own stack. */
void ap_entry(void)
{
	struct cpu *cpu = starting;

	paging_load();
	cpu_enter(cpu);
	apic_init_cpu();
	cpu_init_features();
	cpu_set_online();
	compare_tsc(cpu->index);
	run_when_up();
}

static bool is_up_within(uint32_t index, uint64_t timeout_ns)
{
	uint64_t start = time_now_ns();

	while (time_now_ns() - start < timeout_ns) {
		if (cpu_count() > index)
			return true;
		time_busy_wait_ns(ANSWER_POLL_NS);
	}
	return cpu_count() > index;
}

static bool wake(uint32_t apic_id, uint32_t index)
{
	apic_send_init(apic_id);
	time_busy_wait_ns(INIT_SETTLE_NS);
	apic_send_startup(apic_id, AP_TRAMPOLINE_HPA);
	if (is_up_within(index, STARTUP_SETTLE_NS))
		return true;
	apic_send_startup(apic_id, AP_TRAMPOLINE_HPA);
	return is_up_within(index, ANSWER_TIMEOUT_NS);
}

static bool start_one(uint32_t apic_id)
{
	uint32_t index = cpu_count();
	struct cpu_arch *arch = kmem_alloc(sizeof(*arch));
	void *stacks = paging_map_stacks(index);

	if (!arch || !stacks) {
		log_warn("cpu", "no memory for the CPU with APIC ID %u, left out", apic_id);
		return false;
	}
	starting = cpu_at(index);
	cpu_prepare(starting, arch, index, stacks);
	ap_boot_stack = gdt_stack_top(stacks);
	if (wake(apic_id, index)) {
		check_tsc_of(index);
		return true;
	}
	/* Should it answer late, it must not find another one's stack: put it back to sleep. */
	apic_send_init(apic_id);
	log_warn("cpu", "the CPU with APIC ID %u does not answer, left out", apic_id);
	return false;
}

/*
 * [SDM] "Extended Topology Enumeration Leaf": what is left of the APIC ID without its lowest
 * EAX[4:0] bits is the core. AMD's first CPUs with threads have no such leaf, and two threads:
 * [APM] "Function 8000_001Eh".
 */
static uint32_t thread_bits_of_apic_ids(void)
{
	if (cpuid(0, 0).eax >= 0xb)
		return cpuid(0xb, 0).eax & 0x1f;
	return (cpuid_if_present(0x8000001eu, 0).ebx >> 8 & 0xff) > 0;
}

/* Whether another thread of that CPU's core is up. */
static bool core_is_taken(uint32_t apic_id)
{
	uint32_t thread_bits = thread_bits_of_apic_ids();

	for (uint32_t i = 0; i < cpu_count(); i++)
		if (cpu_at(i)->apic_id >> thread_bits == apic_id >> thread_bits)
			return true;
	return false;
}

void cpu_start_others(void (*run)(void))
{
	void *page = hva_of(AP_TRAMPOLINE_HPA);
	bool is_smt_off = mitigations.measures & BIT(MEASURE_SMT_OFF);
	uint32_t nr_left_out = 0;

	if (!paging_is_mapped((uint64_t)page)) {
		log_err("cpu",
			"firmware keeps the page at 0x%x, where the other CPUs would start: "
			"there is only one",
			AP_TRAMPOLINE_HPA);
		paging_forget_boot_tables();
		return;
	}
	run_when_up = run;
	ap_cr3 = read_cr3();
	memcpy(page, ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	for (uint32_t i = 0; i < acpi_info.nr_cpus && cpu_count() < CPU_MAX; i++) {
		uint32_t apic_id = acpi_info.apic_ids[i];

		watchdog_kick();
		if (apic_id == this_cpu()->apic_id)
			continue;
		if (is_smt_off && core_is_taken(apic_id))
			nr_left_out++;
		else
			(void)start_one(apic_id);
	}
	memset(page, 0, PAGE_SIZE);
	paging_forget_boot_tables();
	log_info("cpu", "%u of %u CPUs online", cpu_count(), acpi_info.nr_cpus);
	if (nr_left_out > 0)
		log_info("cpu", "left off, for the other thread of the core is on: %u",
			 nr_left_out);
}
