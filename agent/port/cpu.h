/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that C has no words for. */
#ifndef AGENT_PORT_CPU_H
#define AGENT_PORT_CPU_H

#include "kernel/lib/types.h"

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid c;

	asm volatile("cpuid"
		     : "=a"(c.eax), "=b"(c.ebx), "=c"(c.ecx), "=d"(c.edx)
		     : "a"(leaf), "c"(subleaf));
	return c;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t val)
{
	asm volatile("wrmsr"
		     :
		     : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
		     : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

#define PORT_IO(letter, bits)                                                                      \
	static inline uint##bits##_t in##bits(uint16_t port)                                       \
	{                                                                                          \
		uint##bits##_t val;                                                                \
		asm volatile("in" #letter " %1, %0" : "=a"(val) : "Nd"(port));                     \
		return val;                                                                        \
	}                                                                                          \
	static inline void out##bits(uint16_t port, uint##bits##_t val)                            \
	{                                                                                          \
		asm volatile("out" #letter " %0, %1" : : "a"(val), "Nd"(port));                    \
	}
PORT_IO(b, 8)
PORT_IO(w, 16)
PORT_IO(l, 32)
#undef PORT_IO

static inline void cpu_pause(void)
{
	asm volatile("pause" : : : "memory");
}

/* Device registers: one access each, of exactly this width. */
static inline uint8_t mmio_read8(const volatile void *at)
{
	return *(const volatile uint8_t *)at;
}
static inline uint16_t mmio_read16(const volatile void *at)
{
	return *(const volatile uint16_t *)at;
}
static inline uint32_t mmio_read32(const volatile void *at)
{
	return *(const volatile uint32_t *)at;
}
static inline void mmio_write8(volatile void *at, uint8_t v)
{
	*(volatile uint8_t *)at = v;
}
static inline void mmio_write16(volatile void *at, uint16_t v)
{
	*(volatile uint16_t *)at = v;
}
static inline void mmio_write32(volatile void *at, uint32_t v)
{
	*(volatile uint32_t *)at = v;
}

#endif
