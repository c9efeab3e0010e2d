/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single instructions of the CPU as C functions. Kernel only: nothing here compiles to something
 * useful on the host.
 */
#ifndef KERNEL_CPU_HW_H
#define KERNEL_CPU_HW_H

#include "kernel/lib/types.h"

/* [SDM] "Model-Specific Registers (MSRs)" */
#define MSR_APIC_BASE	 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC	 0x800u
#define MSR_EFER	 0xc0000080u
#define MSR_FS_BASE	 0xc0000100u
#define MSR_GS_BASE	 0xc0000101u
#define MSR_MCG_CAP	 0x179u
#define MSR_MCG_STATUS	 0x17au
#define MSR_MC0_CTL	 0x400u
#define MSR_MC0_STATUS	 0x401u /* each bank's registers four further */

#define EFER_NXE BIT(11)

/* [SDM] "Control Registers" */
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_PG BIT(31)

#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* All zero for a leaf that this CPU does not have, where CPUID itself answers with another one's.
 */
static inline struct cpuid_regs cpuid_if_present(uint32_t leaf, uint32_t subleaf)
{
	if (cpuid(leaf & 0x80000000u, 0).eax < leaf)
		return (struct cpuid_regs){0, 0, 0, 0};
	return cpuid(leaf, subleaf);
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t val)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
			 : "memory");
}

/*
 * A row of the fixup table: a #GP at the instruction of label 1 continues at label 2 instead.
 * kernel/idt.c looks it up.
 */
#define FIXUP_ROW_1_TO_2 ".pushsection .fixup_table, \"a\"\n\t.quad 1b, 2b\n\t.popsection\n\t"

/* rdmsr_safe - false, and *val left alone, when this CPU has no such MSR */
MUST_CHECK static inline bool rdmsr_safe(uint32_t msr, uint64_t *val)
{
	uint32_t lo, hi;
	bool ok = false;

	__asm__ volatile("1: rdmsr\n\t"
			 "movb $1, %[ok]\n\t"
			 "2:\n\t" FIXUP_ROW_1_TO_2
			 : "=a"(lo), "=d"(hi), [ok] "+q"(ok)
			 : "c"(msr)
			 : "memory");
	if (ok)
		*val = (uint64_t)hi << 32 | lo;
	return ok;
}

/* wrmsr_safe - false, and nothing changed, when this CPU does not take that value there */
MUST_CHECK static inline bool wrmsr_safe(uint32_t msr, uint64_t val)
{
	bool ok = false;

	__asm__ volatile("1: wrmsr\n\t"
			 "movb $1, %[ok]\n\t"
			 "2:\n\t" FIXUP_ROW_1_TO_2
			 : [ok] "+q"(ok)
			 : "c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32))
			 : "memory");
	return ok;
}

#define CPU_HW_CR(n)                                                                               \
	static inline uint64_t read_cr##n(void)                                                    \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("movq %%cr" #n ", %0" : "=r"(v) : : "memory");                    \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_cr##n(uint64_t v)                                                 \
	{                                                                                          \
		__asm__ volatile("movq %0, %%cr" #n : : "r"(v) : "memory");                        \
	}
CPU_HW_CR(0)
CPU_HW_CR(2)
CPU_HW_CR(3)
CPU_HW_CR(4)
#undef CPU_HW_CR

/* Debug registers 0 to 3, the breakpoints' addresses. */
static inline void dr_save(uint64_t dr[4])
{
	__asm__ volatile("movq %%dr0, %0" : "=r"(dr[0]));
	__asm__ volatile("movq %%dr1, %0" : "=r"(dr[1]));
	__asm__ volatile("movq %%dr2, %0" : "=r"(dr[2]));
	__asm__ volatile("movq %%dr3, %0" : "=r"(dr[3]));
}

static inline void dr_load(const uint64_t dr[4])
{
	__asm__ volatile("movq %0, %%dr0" : : "r"(dr[0]));
	__asm__ volatile("movq %0, %%dr1" : : "r"(dr[1]));
	__asm__ volatile("movq %0, %%dr2" : : "r"(dr[2]));
	__asm__ volatile("movq %0, %%dr3" : : "r"(dr[3]));
}

static inline uint64_t read_dr6(void)
{
	uint64_t v;

	__asm__ volatile("movq %%dr6, %0" : "=r"(v));
	return v;
}

static inline void write_dr6(uint64_t v)
{
	__asm__ volatile("movq %0, %%dr6" : : "r"(v));
}

static inline void xsetbv(uint32_t index, uint64_t val)
{
	__asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)));
}

static inline void invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

#define CPU_HW_PORT(bits, suffix)                                                                  \
	static inline uint##bits##_t in##bits(uint16_t port)                                       \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		__asm__ volatile("in" suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory");         \
		return v;                                                                          \
	}                                                                                          \
	static inline void out##bits(uint16_t port, uint##bits##_t v)                              \
	{                                                                                          \
		__asm__ volatile("out" suffix " %0, %1" : : "a"(v), "Nd"(port) : "memory");        \
	}
CPU_HW_PORT(8, "b")
CPU_HW_PORT(16, "w")
CPU_HW_PORT(32, "l")
#undef CPU_HW_PORT

/* By a width that is only known as the machine runs: 1, 2 or 4 bytes */
static inline uint32_t in_sized(uint16_t port, uint32_t bytes)
{
	switch (bytes) {
	case 1:
		return in8(port);
	case 2:
		return in16(port);
	default:
		return in32(port);
	}
}

static inline void out_sized(uint16_t port, uint32_t bytes, uint32_t val)
{
	switch (bytes) {
	case 1:
		out8(port, (uint8_t)val);
		return;
	case 2:
		out16(port, (uint16_t)val);
		return;
	default:
		out32(port, val);
	}
}

static inline uint32_t mmio_read_sized(const volatile void *at, uint32_t bytes)
{
	switch (bytes) {
	case 1:
		return *(const volatile uint8_t *)at;
	case 2:
		return *(const volatile uint16_t *)at;
	default:
		return *(const volatile uint32_t *)at;
	}
}

static inline void mmio_write_sized(volatile void *at, uint32_t bytes, uint32_t val)
{
	switch (bytes) {
	case 1:
		*(volatile uint8_t *)at = (uint8_t)val;
		return;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)val;
		return;
	default:
		*(volatile uint32_t *)at = val;
	}
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Let in what has been waiting with interrupts off; they are off again afterwards. */
static inline void cpu_take_interrupts(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

/* Interrupts off and stopped for good (an NMI wakes it for a moment). */
NORETURN static inline void cpu_halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

#endif
