/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time from the TSC. Billet says how fast it runs in a CPUID leaf; on another machine (development)
 * it is measured against channel 2 of the PIT.
 */
#include "agent/port/cpu.h"
#include "agent/port/port.h"

#define CPUID_HYPERVISOR 0x40000000u
#define CPUID_TIMING	 0x40000010u /* EAX: TSC kHz */
#define PIT_HZ		 1193182u
#define PIT_TICKS	 (PIT_HZ / 50) /* 20 ms */

static uint64_t tsc_start, tsc_khz;

static uint64_t khz_from_cpuid(void)
{
	struct cpuid c = cpuid(CPUID_HYPERVISOR, 0);

	if (!(cpuid(1, 0).ecx & BIT(31)) || c.eax < CPUID_TIMING)
		return 0;
	return cpuid(CPUID_TIMING, 0).eax;
}

static uint64_t khz_from_pit(void)
{
	uint64_t start;

	out8(0x61, (uint8_t)((in8(0x61) & ~2u) | 1u)); /* gate on, speaker off */
	out8(0x43, 0xb0);			       /* channel 2, mode 0, low then high byte */
	out8(0x42, PIT_TICKS & 0xff);
	out8(0x42, PIT_TICKS >> 8);
	start = rdtsc();
	while (!(in8(0x61) & 0x20))
		cpu_pause();
	return (rdtsc() - start) / 20;
}

void clock_init(void)
{
	tsc_khz = khz_from_cpuid();
	if (tsc_khz == 0)
		tsc_khz = khz_from_pit();
	tsc_start = rdtsc();
}

uint64_t clock_ns(void)
{
	return (uint64_t)((unsigned __int128)(rdtsc() - tsc_start) * 1000000u / tsc_khz);
}

uint64_t clock_tsc_from_ns(uint64_t ns)
{
	return tsc_start + (uint64_t)((unsigned __int128)ns * tsc_khz / 1000000u);
}
