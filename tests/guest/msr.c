/* SPDX-License-Identifier: Apache-2.0 */
/* Model-specific registers: which there are, what they take, and that they keep it. */
#include "tests/guest/lib/guest.h"

#define GP 13

#define APIC_BASE     0x1bu
#define APIC_BASE_X2  (1ull << 10)
#define APIC_BASE_ON  (1ull << 11)
#define MTRR_DEF_TYPE 0x2ffu
#define EFER	      0xc0000080u
#define NON_CANONICAL 0x1234567890abcdefull

static void unknown_ones(void)
{
	static const uint32_t indices[] = {
		0x0,   0x3,	   0x48 + 0x100, 0x480,	     0x485,	 0x186,	     0xc1,
		0x606, 0x4b564d00, 0x40000000,	 0xc0000085, 0xc0010114, 0xdeadbeef, 0xffffffff};
	uint64_t val;
	bool all_read = true, all_write = true, all_codes = true;

	for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
		all_read = all_read && rdmsr_catch(indices[i], &val) == GP;
		all_codes = all_codes && trap_error == 0;
		all_write = all_write && wrmsr_catch(indices[i], 0) == GP;
		all_codes = all_codes && trap_error == 0;
	}
	EXPECT(all_read, "reading an unknown MSR is #GP");
	EXPECT(all_write, "writing an unknown MSR is #GP");
	EXPECT(all_codes, "the error code is 0");
}

static void efer(void)
{
	uint64_t old = rdmsr(EFER);

	EXPECT_EQ(old & 0x500, 0x500, "LME and LMA are on in long mode");
	EXPECT_EQ(wrmsr_catch(EFER, old & ~0x100ull), GP, "LME cannot change while paging is on");
	EXPECT_EQ(wrmsr_catch(EFER, old | 1ull << 1), GP, "a reserved bit of EFER is #GP");
	EXPECT_EQ(wrmsr_catch(EFER, old | 1ull << 12), GP, "EFER.SVME is reserved here");
	EXPECT_EQ(wrmsr_catch(EFER, old | 1ull << 40), GP, "the upper half of EFER is reserved");
	wrmsr(EFER, old | 1 | 1ull << 11);
	EXPECT_EQ(rdmsr(EFER), old | 1 | 1ull << 11, "SCE and NXE can be switched on");
	EXPECT_EQ(wrmsr_catch(EFER, old & ~0x400ull), -1, "a write that would clear LMA is taken");
	EXPECT_EQ(rdmsr(EFER), old, "and LMA stays");
}

static void apic_base(void)
{
	uint64_t base = rdmsr(APIC_BASE), val;

	EXPECT_EQ(base, 0xfee00000 | APIC_BASE_ON | 1 << 8,
		  "the APIC is on after reset, at its place, of the BSP");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, base | 1), GP, "a reserved bit of APIC_BASE is #GP");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, base | 1ull << 50), GP,
		  "an address beyond the width is #GP");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, (base & ~APIC_BASE_ON) | APIC_BASE_X2), GP,
		  "x2APIC needs the APIC on");
	EXPECT_EQ(rdmsr_catch(0x802, &val), GP, "x2APIC registers are #GP in xAPIC mode");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, base | APIC_BASE_X2), -1, "xAPIC goes to x2APIC");
	EXPECT_EQ(rdmsr_catch(0x802, &val), -1, "then x2APIC registers are there");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, base), GP, "x2APIC does not go back to xAPIC");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, base & ~APIC_BASE_ON), -1, "x2APIC goes off");
	EXPECT(!(cpuid(1, 0).edx & 1 << 9), "CPUID shows no APIC while it is off");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, base | APIC_BASE_X2), GP, "off does not go to x2APIC");
	EXPECT_EQ(wrmsr_catch(APIC_BASE, base), -1, "off goes to xAPIC");
	EXPECT(cpuid(1, 0).edx & 1 << 9, "CPUID shows the APIC again");
}

static void pat(void)
{
	uint64_t old = rdmsr(0x277);

	EXPECT_EQ(old, 0x0007040600070406ull, "PAT has its reset value");
	EXPECT_EQ(wrmsr_catch(0x277, 0x0007040600070402ull), GP, "type 2 in PAT is #GP");
	EXPECT_EQ(wrmsr_catch(0x277, 0x0807040600070406ull), GP, "a reserved bit of PAT is #GP");
	wrmsr(0x277, 0x0007040600070106ull);
	cpuid(0, 0);
	EXPECT_EQ(rdmsr(0x277), 0x0007040600070106ull, "PAT keeps what was written");
	wrmsr(0x277, old);
}

static void mtrrs(void)
{
	uint64_t old = rdmsr(MTRR_DEF_TYPE);
	uint32_t nr = rdmsr(0xfe) & 0xff;

	EXPECT_EQ(old & 0xcff, 0x806, "MTRRs are on and write-back is the default");
	EXPECT_EQ(wrmsr_catch(0xfe, 0), GP, "MTRRCAP cannot be written");
	EXPECT_EQ(wrmsr_catch(MTRR_DEF_TYPE, 0xc02), GP, "type 2 as default is #GP");
	EXPECT_EQ(wrmsr_catch(MTRR_DEF_TYPE, 1u << 12 | 6), GP,
		  "a reserved bit of MTRR_DEF_TYPE is #GP");
	EXPECT_EQ(wrmsr_catch(MTRR_DEF_TYPE, 0xc00), -1, "MTRR_DEF_TYPE can be written");
	EXPECT_EQ(rdmsr(MTRR_DEF_TYPE), 0xc00, "and keeps it");
	wrmsr(MTRR_DEF_TYPE, old);
	EXPECT_EQ(wrmsr_catch(0x250, 0x0606060606060306ull), GP, "type 3 in a fixed range is #GP");
	EXPECT_EQ(wrmsr_catch(0x250, 0x0606060606060006ull), -1, "a fixed range can be written");
	EXPECT_EQ(rdmsr(0x250), 0x0606060606060006ull, "and keeps it");
	for (uint32_t i = 0; i < 2 * nr; i++)
		wrmsr(0x200 + i, i & 1 ? 0xffff0800 : (uint64_t)i << 20 | 6);
	bool is_kept = true;
	for (uint32_t i = 0; i < 2 * nr; i++)
		is_kept =
			is_kept && rdmsr(0x200 + i) == (i & 1 ? 0xffff0800 : (uint64_t)i << 20 | 6);
	EXPECT(is_kept, "each variable range keeps its own");
	EXPECT_EQ(wrmsr_catch(0x200 + 2 * nr, 0), GP,
		  "there are as many variable ranges as MTRRCAP says");
}

static void tsc(void)
{
	uint64_t a, b = 0, c;
	bool is_monotonic = true;

	for (int i = 0; i < 1000; i++) {
		a = rdtsc();
		b = rdmsr(0x10);
		c = rdtsc();
		is_monotonic = is_monotonic && a < b && b < c;
	}
	EXPECT(is_monotonic, "RDTSC and the TSC's MSR are one clock that only goes forward");
	EXPECT(b < tsc_khz() * 1000 * 100, "the TSC began with the VM");
}

static void kept_ones(void)
{
	static const struct {
		uint32_t index;
		uint64_t val;
		const char *name;
	} rows[] = {
		{0xc0000081, 0x0023001000000000ull, "STAR is kept across exits"},
		{0xc0000082, 0xffffffff81234567ull, "LSTAR is kept across exits"},
		{0xc0000083, 0xffffffff87654321ull, "CSTAR is kept across exits"},
		{0xc0000084, 0x47700, "FMASK is kept across exits"},
		{0xc0000100, 0x00007f1234567000ull, "FS_BASE is kept across exits"},
		{0xc0000101, 0xffff888012345000ull, "GS_BASE is kept across exits"},
		{0xc0000102, 0x00007fabcdef0000ull, "KERNEL_GS_BASE is kept across exits"},
		{0xc0000103, 0x1234, "TSC_AUX is kept across exits"},
		{0x174, 0x10, "SYSENTER_CS is kept across exits"},
		{0x175, 0xffffc90000001000ull, "SYSENTER_ESP is kept across exits"},
		{0x176, 0xffffffff81111111ull, "SYSENTER_EIP is kept across exits"},
	};
	uint64_t gs, kernel_gs;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		wrmsr(rows[i].index, rows[i].val);
	for (int i = 0; i < 100; i++) {
		cpuid(0, 0);
		in8(0x80);
		read32(0xe0000000);
	}
	wait_us(30000); /* the host's timer and other guests come in between */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		EXPECT_EQ(rdmsr(rows[i].index), rows[i].val, rows[i].name);
	__asm__ volatile("swapgs");
	cpuid(0, 0);
	gs = rdmsr(0xc0000101);
	kernel_gs = rdmsr(0xc0000102);
	EXPECT(gs == rows[6].val && kernel_gs == rows[5].val, "SWAPGS exchanges the two");
	EXPECT_EQ(wrmsr_catch(0xc0000082, NON_CANONICAL), GP, "a non-canonical LSTAR is #GP");
	EXPECT_EQ(wrmsr_catch(0xc0000100, NON_CANONICAL), GP, "a non-canonical FS_BASE is #GP");
	EXPECT_EQ(wrmsr_catch(0xc0000102, NON_CANONICAL), GP,
		  "a non-canonical KERNEL_GS_BASE is #GP");
	EXPECT_EQ(wrmsr_catch(0x175, NON_CANONICAL), GP, "a non-canonical SYSENTER_ESP is #GP");
}

static void read_only_ones(void)
{
	EXPECT_EQ(rdmsr(0x3a) & 5, 1, "FEATURE_CONTROL is locked with VMX off");
	EXPECT_EQ(wrmsr_catch(0x3a, 5), GP, "and cannot be written");
	EXPECT_EQ(rdmsr(0x179), 0, "there are no machine-check banks");
	EXPECT(rdmsr(0x8b) >> 32, "there is a microcode revision");
}

void guest_main(void)
{
	unknown_ones();
	efer();
	apic_base();
	pat();
	mtrrs();
	tsc();
	kept_ones();
	read_only_ones();
}
