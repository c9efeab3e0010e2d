/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers that the hypervisor itself never uses stay the guest's own while other guests run on
 * the same CPU: each instance fills them with patterns from seed= and looks at them again and
 * again.
 */
#include "tests/guest/lib/guest.h"

#define YMM_REGS 16
#define ROUNDS	 60

static uint8_t want[YMM_REGS][32] __attribute__((aligned(64)));
static uint8_t is[YMM_REGS][32] __attribute__((aligned(64)));
static uint8_t x87_want[512] __attribute__((aligned(64))), x87_is[512] __attribute__((aligned(64)));

static const uint32_t kept[] = {0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100,
				0xc0000101, 0xc0000102, 0x175,	    0x176};
#define NR_KEPT (sizeof(kept) / sizeof(kept[0]))

#define EACH_YMM(do)                                                                               \
	do                                                                                         \
	(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) do(12) do(13) do(  \
		14) do(15)
#define LOAD(n)	 "vmovdqu 32*" #n "(%0), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%0)\n\t"

static void fill(uint64_t *seed, uint64_t msrs[NR_KEPT], uint64_t drs[4])
{
	uint32_t mxcsr = 0x1f80 | (uint32_t)(random_next(seed) & 3) << 13;

	for (uint32_t i = 0; i < sizeof(want) / 8; i++)
		((uint64_t *)want)[i] = random_next(seed);
	__asm__ volatile(EACH_YMM(LOAD) : : "r"(want) : "memory");
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fninit; fldpi; fldl2e; fld1; fildq %0" : : "m"(want[3][0]));
	__asm__ volatile("fxsaveq (%0)" : : "r"(x87_want) : "memory");
	for (uint32_t i = 0; i < NR_KEPT; i++) {
		msrs[i] = random_next(seed) >> 18; /* canonical */
		if (kept[i] == 0xc0000084)
			msrs[i] &= 0xffffffff;
		wrmsr(kept[i], msrs[i]);
	}
	for (uint32_t i = 0; i < 4; i++)
		drs[i] = random_next(seed) >> 18;
	__asm__ volatile("mov %0, %%db0; mov %1, %%db1; mov %2, %%db2; mov %3, %%db3"
			 :
			 : "r"(drs[0]), "r"(drs[1]), "r"(drs[2]), "r"(drs[3]));
	write_cr2(drs[0]);
}

static bool are_kept(const uint64_t msrs[NR_KEPT], const uint64_t drs[4], bool *regs, bool *fpu)
{
	uint64_t dr[4];
	bool others = true;

	__asm__ volatile(EACH_YMM(STORE) : : "r"(is) : "memory");
	*regs = *regs && same(is, want, sizeof(want));
	__asm__ volatile("fxsaveq (%0)" : : "r"(x87_is) : "memory");
	*fpu = *fpu && same(x87_is, x87_want, 464);
	for (uint32_t i = 0; i < NR_KEPT; i++)
		others = others && rdmsr(kept[i]) == msrs[i];
	__asm__ volatile("mov %%db0, %0; mov %%db1, %1; mov %%db2, %2; mov %%db3, %3"
			 : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
	for (uint32_t i = 0; i < 4; i++)
		others = others && dr[i] == drs[i];
	return others && read_cr2() == drs[0];
}

void guest_main(void)
{
	uint64_t seed = option("seed", 1), msrs[NR_KEPT], drs[4], longest = 0;
	bool regs = true, fpu = true, others = true;

	write_cr4(read_cr4() | 1 << 18);
	EXPECT(cpuid(1, 0).ecx & 1 << 28, "the CPU has AVX");
	xsetbv(0, 7);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t end, last;

		fill(&seed, msrs, drs);
		last = rdtsc();
		end = last + tsc_khz() * 20;
		while (last < end) {
			uint64_t now;

			if (round & 1)
				cpuid(0, 0);
			if (round % 4 == 2)
				in8(0x60);
			now = rdtsc();
			if (now - last > longest)
				longest = now - last;
			last = now;
		}
		others = are_kept(msrs, drs, &regs, &fpu) && others;
	}
	EXPECT(regs, "the vector registers are kept");
	EXPECT(fpu, "the x87 registers and MXCSR are kept");
	EXPECT(others, "MSRs, debug registers and CR2 are kept");
	EXPECT(longest > tsc_khz() * 4, "other guests have run on this CPU meanwhile");
}
