/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC. Registers have one number for both ways to reach them: MSR 0x800 + n for x2APIC,
 * byte offset n * 16 in memory otherwise. Only the interrupt command register differs.
 */
#include "kernel/apic.h"

#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/time.h"
#include "kernel/timer_queue.h"

/* [SDM] table "Local APIC Register Address Map Supported by x2APIC" */
enum {
	APIC_ID = 0x02,
	APIC_TPR = 0x08,
	APIC_EOI = 0x0b,
	APIC_SVR = 0x0f,
	APIC_ESR = 0x28,
	APIC_ICR = 0x30,
	APIC_ICR_HIGH = 0x31, /* xAPIC only */
	APIC_LVT_TIMER = 0x32,
	APIC_LVT_LINT0 = 0x35,
	APIC_LVT_LINT1 = 0x36,
	APIC_LVT_ERROR = 0x37,
	APIC_TIMER_INITIAL = 0x38,
	APIC_TIMER_CURRENT = 0x39,
	APIC_TIMER_DIVIDE = 0x3e,
};

#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_X2APIC BIT(10)

#define SVR_ENABLE	   0x100u
#define LVT_MASKED	   0x10000u
#define LVT_NMI		   0x400u
#define LVT_TIMER_DEADLINE 0x40000u
#define DIVIDE_BY_1	   0xbu

#define ICR_FIXED	 0x0000u
#define ICR_NMI		 0x0400u
#define ICR_INIT	 0x0500u
#define ICR_STARTUP	 0x0600u
#define ICR_PENDING	 0x1000u
#define ICR_ASSERT	 0x4000u
#define ICR_ALL_BUT_SELF 0xc0000u

#define CALIBRATE_NS (10 * NSEC_PER_MSEC)

static enum { MODE_NONE, MODE_XAPIC, MODE_X2APIC } mode; /* fixed at boot, as all below */
static volatile uint32_t *registers;
static bool has_deadline;
static uint64_t timer_khz; /* without has_deadline */

static uint32_t apic_read(unsigned reg)
{
	return mode == MODE_X2APIC ? (uint32_t)rdmsr(MSR_X2APIC + reg) : registers[reg * 4];
}

static void apic_write(unsigned reg, uint32_t val)
{
	if (mode == MODE_X2APIC)
		wrmsr(MSR_X2APIC + reg, val);
	else
		registers[reg * 4] = val;
}

static void send(uint32_t to_apic_id, uint32_t command)
{
	if (mode == MODE_X2APIC) {
		/* WRMSR to x2APIC registers is not serialising: memory written before must be seen
		 * first. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC + APIC_ICR, (uint64_t)to_apic_id << 32 | command);
		return;
	}
	while (apic_read(APIC_ICR) & ICR_PENDING)
		cpu_pause();
	apic_write(APIC_ICR_HIGH, to_apic_id << 24);
	apic_write(APIC_ICR, command);
}

void apic_init_boot(uint64_t lapic_hpa)
{
	bool has_x2apic = cpuid(1, 0).ecx & BIT(21);

	has_deadline = cpuid(1, 0).ecx & BIT(24);
	if (!has_x2apic) {
		registers = mmio_map(lapic_hpa, PAGE_SIZE);
		if (!registers)
			panic("apic: no page tables left to map it");
	}
	mode = has_x2apic ? MODE_X2APIC : MODE_XAPIC;
	apic_init_cpu();
}

void apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (mode == MODE_X2APIC)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, has_deadline ? LVT_TIMER_DEADLINE | VECTOR_TIMER : VECTOR_TIMER);
	/* The write of the mode must be done before the first deadline. */
	__asm__ volatile("mfence" : : : "memory");
}

const char *apic_mode_name(void)
{
	return mode == MODE_X2APIC ? "x2APIC" : "xAPIC";
}

uint32_t apic_id(void)
{
	return mode == MODE_X2APIC ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send_ipi(uint32_t to_apic_id, uint8_t vector)
{
	send(to_apic_id, ICR_FIXED | ICR_ASSERT | vector);
}

void apic_send_init(uint32_t to_apic_id)
{
	send(to_apic_id, ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t to_apic_id, uint64_t trampoline_hpa)
{
	ASSERT(IS_ALIGNED(trampoline_hpa, PAGE_SIZE) && trampoline_hpa < MIB);
	send(to_apic_id, ICR_STARTUP | ICR_ASSERT | (uint32_t)(trampoline_hpa >> PAGE_SHIFT));
}

void apic_send_nmi_to_others(void)
{
	if (mode != MODE_NONE)
		send(0, ICR_NMI | ICR_ASSERT | ICR_ALL_BUT_SELF);
}

void apic_timer_init_boot(void)
{
	uint64_t start_tsc;
	uint32_t ticks;

	if (has_deadline)
		return;
	apic_write(APIC_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_TIMER_INITIAL, ~0u);
	start_tsc = tsc_now();
	time_busy_wait_ns(CALIBRATE_NS);
	ticks = ~0u - apic_read(APIC_TIMER_CURRENT);
	timer_khz = ticks * NSEC_PER_MSEC / time_ns_of_tsc(tsc_now() - start_tsc);
	if (!timer_khz)
		panic("apic: the timer does not count");
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
}

const char *apic_timer_mode_name(void)
{
	return has_deadline ? "TSC deadline" : "one-shot";
}

/* Rounded down, at most a second: a timer that comes early is armed again by its handler. */
static uint32_t one_shot_ticks(uint64_t deadline_tsc)
{
	uint64_t now = tsc_now(), max = 1000 * tsc_khz(), ticks;

	if (deadline_tsc <= now)
		return 1;
	ticks = MIN(deadline_tsc - now, max) * timer_khz / tsc_khz();
	return (uint32_t)MIN(MAX(ticks, 1), ~0u);
}

void apic_timer_arm(uint64_t deadline_tsc)
{
	if (deadline_tsc == TIMER_NEVER)
		deadline_tsc = 0;
	if (has_deadline)
		wrmsr(MSR_TSC_DEADLINE, deadline_tsc);
	else
		apic_write(APIC_TIMER_INITIAL, deadline_tsc ? one_shot_ticks(deadline_tsc) : 0);
}
