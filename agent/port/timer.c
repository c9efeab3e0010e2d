/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC: x2APIC where there is one, and its timer, by TSC deadline where there is that.
 * The timer's and the devices' interrupts do nothing but end a HLT; what happened is found by
 * looking.
 */
#include "agent/port/cpu.h"
#include "agent/port/paging.h"
#include "agent/port/port.h"

#define MSR_APIC_BASE	 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC	 0x800u
#define APIC_BASE_X2	 0x400u
#define APIC_BASE_ON	 0x800u
#define APIC_HPA	 0xfee00000ull

#define APIC_ID	       0x02u /* register numbers; times 16 in memory */
#define APIC_TPR       0x08u
#define APIC_EOI       0x0bu
#define APIC_SVR       0x0fu
#define APIC_LVT_TIMER 0x32u
#define APIC_TMICT     0x38u
#define APIC_TMCCT     0x39u
#define APIC_TDCR      0x3eu

#define LVT_DEADLINE 0x40000u

#define PIC1_MASK 0x21u
#define PIC2_MASK 0xa1u

static bool is_x2apic, has_deadline;
static volatile uint8_t *mmio;
static uint64_t ticks_per_ms; /* of the timer when there is no deadline mode */

static uint32_t apic_read(uint32_t reg)
{
	return is_x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg) : mmio_read32(mmio + reg * 16);
}

static void apic_write(uint32_t reg, uint32_t val)
{
	if (is_x2apic)
		wrmsr(MSR_X2APIC + reg, val);
	else
		mmio_write32(mmio + reg * 16, val);
}

static void measure_timer(void)
{
	uint64_t end = clock_ns() + 10 * NSEC_PER_MSEC;

	apic_write(APIC_TDCR, 0xb); /* divide by 1 */
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	apic_write(APIC_TMICT, UINT32_MAX);
	while (clock_ns() < end)
		cpu_pause();
	ticks_per_ms = (UINT32_MAX - apic_read(APIC_TMCCT)) / 10;
	apic_write(APIC_TMICT, 0);
}

void timer_init(void)
{
	uint32_t features = cpuid(1, 0).ecx;
	uint64_t base = rdmsr(MSR_APIC_BASE);

	out8(PIC1_MASK, 0xff); /* whoever booted us may have left the old PICs on, at our
				  exceptions' vectors */
	out8(PIC2_MASK, 0xff);
	is_x2apic = features & BIT(21);
	has_deadline = features & BIT(24);
	if (is_x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON | APIC_BASE_X2);
	else
		mmio = (volatile uint8_t *)paging_map_device(APIC_HPA, 4096);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SVR, 0x1ff);
	if (has_deadline)
		apic_write(APIC_LVT_TIMER, LVT_DEADLINE | TIMER_VECTOR);
	else
		measure_timer();
}

uint32_t timer_apic_id(void)
{
	return is_x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

/* Called from interrupt handlers, which may use general registers only. */
__attribute__((target("general-regs-only"))) void timer_eoi(void)
{
	if (is_x2apic)
		asm volatile("wrmsr" : : "c"(MSR_X2APIC + APIC_EOI), "a"(0), "d"(0) : "memory");
	else
		*(volatile uint32_t *)(mmio + APIC_EOI * 16) = 0;
}

static void arm(uint64_t until_ns, uint64_t now_ns)
{
	uint64_t ticks;

	if (has_deadline) {
		wrmsr(MSR_TSC_DEADLINE, clock_tsc_from_ns(until_ns));
		return;
	}
	ticks = (until_ns - now_ns) * ticks_per_ms / NSEC_PER_MSEC + 1;
	apic_write(APIC_TMICT, (uint32_t)MIN(ticks, (uint64_t)UINT32_MAX));
}

void timer_idle(uint64_t until_ns)
{
	uint64_t now = clock_ns();

	if (until_ns <= now)
		return;
	arm(until_ns, now);
	asm volatile("sti; hlt; cli" : : : "memory");
}
