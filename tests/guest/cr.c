/* SPDX-License-Identifier: Apache-2.0 */
/* Control registers and XCR0: what they take, what they refuse, what they do. */
#include "tests/guest/lib/guest.h"

#define GP 13
#define PF 14

#define CR0_WP (1ull << 16)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)

#define CR4_PAE	    (1ull << 5)
#define CR4_MCE	    (1ull << 6)
#define CR4_LA57    (1ull << 12)
#define CR4_VMXE    (1ull << 13)
#define CR4_SMXE    (1ull << 14)
#define CR4_PCIDE   (1ull << 17)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP    (1ull << 20)
#define CR4_SMAP    (1ull << 21)

#define PTE_W 2ull
#define PTE_U 4ull

static uint8_t page[4096] __attribute__((aligned(4096)));

static int set_cr0(uint64_t val)
{
	return CATCH(__asm__ volatile("mov %0, %%cr0" : : "r"(val) : "memory"));
}

static int set_cr4(uint64_t val)
{
	return CATCH(__asm__ volatile("mov %0, %%cr4" : : "r"(val) : "memory"));
}

static void cr0(void)
{
	uint64_t old = read_cr0();

	EXPECT_EQ(set_cr0(old | CR0_NW), GP, "CR0.NW without CD is #GP");
	EXPECT_EQ(set_cr0(old & ~1ull), GP, "CR0.PG without PE is #GP");
	EXPECT_EQ(set_cr0(old & ~CR0_PG), GP, "CR0.PG cannot be cleared in 64-bit mode");
	EXPECT_EQ(set_cr0((old & ~CR0_PG) ^ CR0_CD), GP, "also together with a change of CD");
	EXPECT_EQ(set_cr0(old | 1ull << 32), GP, "the upper half of CR0 is reserved");
	EXPECT_EQ(trap_error, 0, "the error code is 0");
	EXPECT_EQ(read_cr0(), old, "what is refused changes nothing");
	EXPECT_EQ(set_cr0(old | CR0_CD), -1, "CR0.CD can be set");
	EXPECT_EQ(read_cr0(), old | CR0_CD, "and is seen");
	EXPECT_EQ(set_cr0(old | CR0_CD | CR0_NW), -1, "CR0.CD with NW too");
	EXPECT_EQ(read_cr0(), old | CR0_CD | CR0_NW, "and both are seen");
	EXPECT_EQ(set_cr0(old ^ 0x20), -1, "CR0.NE can change");
	EXPECT_EQ(read_cr0(), old ^ 0x20, "and is seen");
	EXPECT_EQ(set_cr0(old), -1, "and all go back");
	EXPECT_EQ(set_cr0(old & ~0x10ull), -1, "a write that would clear ET is taken");
	EXPECT_EQ(read_cr0(), old, "and ET stays");
	__asm__ volatile("lmsw %w0" : : "r"(0x9));
	EXPECT_EQ(read_cr0() & 0xf, 0x9, "LMSW sets TS");
	__asm__ volatile("clts");
	EXPECT_EQ(read_cr0() & 8, 0, "CLTS clears it");
	write_cr0(old);
}

static void write_protection(void)
{
	uint64_t *entry = page_entry((uint64_t)page);

	*entry &= ~PTE_W;
	invlpg((uint64_t)page);
	write_cr0(read_cr0() & ~CR0_WP);
	EXPECT_EQ(CATCH(write8((uint64_t)page, 1)), -1,
		  "without WP the supervisor writes where it may not");
	write_cr0(read_cr0() | CR0_WP);
	EXPECT_EQ(CATCH(write8((uint64_t)page, 1)), PF, "with WP it does not");
	EXPECT_EQ(trap_error, 3, "error code 3: write, present");
	*entry |= PTE_W;
	invlpg((uint64_t)page);
}

static void cr4(void)
{
	uint64_t old = read_cr4();

	EXPECT_EQ(set_cr4(old & ~CR4_PAE), GP, "CR4.PAE cannot be cleared in long mode");
	EXPECT_EQ(set_cr4((old & ~CR4_PAE) ^ CR4_MCE), GP, "also together with a change of MCE");
	EXPECT_EQ(set_cr4(old | CR4_VMXE), GP, "CR4.VMXE is #GP without VMX");
	EXPECT_EQ(set_cr4(old | CR4_SMXE), GP, "CR4.SMXE is #GP without SMX");
	EXPECT_EQ(set_cr4(old | CR4_LA57), GP, "CR4.LA57 is #GP");
	EXPECT_EQ(set_cr4(old | 1ull << 15), GP, "bit 15 of CR4 is reserved");
	EXPECT_EQ(set_cr4(old | 1ull << 40), GP, "the upper half of CR4 is reserved");
	EXPECT_EQ(read_cr4(), old, "what is refused changes nothing");
	EXPECT_EQ(set_cr4(old ^ CR4_MCE), -1, "CR4.MCE can change");
	EXPECT_EQ(read_cr4(), old ^ CR4_MCE, "and CR4.MCE is seen");
	EXPECT_EQ(set_cr4(old), -1, "and goes back");
	if (cpuid(1, 0).ecx & 1 << 17) {
		write_cr3(read_cr3() | 8); /* PCD, or PCID 8 */
		EXPECT_EQ(set_cr4(old | CR4_PCIDE), GP, "CR4.PCIDE needs bits 11..0 of CR3 zero");
		EXPECT_EQ(set_cr4((old | CR4_PCIDE) ^ CR4_MCE), GP,
			  "also together with a change of MCE");
		write_cr3(read_cr3() & ~0xfffull);
		EXPECT_EQ(set_cr4(old | CR4_PCIDE), -1, "and then can be set");
		EXPECT_EQ(set_cr4(old), -1, "and cleared");
	}
}

/* An emulator that takes such an address ends the VM at its next exit: it is told so by any_cr3=1.
 */
static void cr3(void)
{
	EXPECT_EQ(CATCH(__asm__ volatile("mov %0, %%cr3" : : "r"(read_cr3() | 1ull << 51))), GP,
		  "a bit of CR3 beyond the width is #GP");
}

/* Two bytes, `nop; ret`, run from a page that user mode may use. */
static int call_page(void)
{
	page[0] = 0x90, page[1] = 0xc3;
	return CATCH(__asm__ volatile("call *%0" : : "r"(page) : "memory"));
}

static void supervisor_protection(void)
{
	uint64_t *entry = page_entry((uint64_t)page);
	uint64_t old = read_cr4(), *tables[3];
	uint32_t features = cpuid(7, 0).ebx;

	/* User pages need the user bit at every level. */
	tables[0] = (uint64_t *)read_cr3();
	tables[1] = (uint64_t *)(tables[0][0] & ~0xfffull);
	tables[2] = (uint64_t *)(tables[1][0] & ~0xfffull) + ((uint64_t)page >> 21);
	tables[0][0] |= PTE_U;
	tables[1][0] |= PTE_U;
	*tables[2] |= PTE_U;
	*entry |= PTE_U;
	write_cr3(read_cr3());
	EXPECT_EQ(CATCH(read8((uint64_t)page)), -1, "the supervisor reads a user page");
	if (features & 1 << 20) {
		write_cr4(old | CR4_SMAP);
		EXPECT_EQ(CATCH(read8((uint64_t)page)), PF, "but not with SMAP");
		EXPECT_EQ(trap_error, 1, "error code 1: read, present");
		__asm__ volatile("stac" : : : "memory");
		EXPECT_EQ(CATCH(read8((uint64_t)page)), -1, "unless AC is set");
		__asm__ volatile("clac" : : : "memory");
		write_cr4(old);
	}
	if (features & 1 << 7) {
		EXPECT_EQ(call_page(), -1, "the supervisor runs a user page");
		write_cr4(old | CR4_SMEP);
		EXPECT_EQ(call_page(), PF, "but not with SMEP");
		write_cr4(old);
	}
	*entry &= ~PTE_U;
	invlpg((uint64_t)page);
}

static int set_xcr(uint32_t index, uint64_t val)
{
	return CATCH(xsetbv(index, val));
}

static void xcr0(void)
{
	uint64_t all = (uint64_t)cpuid(0xd, 0).edx << 32 | cpuid(0xd, 0).eax;

	write_cr4(read_cr4() | CR4_OSXSAVE);
	EXPECT_EQ(set_xcr(0, 0), GP, "XCR0 without x87 is #GP");
	EXPECT_EQ(set_xcr(0, 2), GP, "XCR0 with SSE alone is #GP");
	EXPECT_EQ(set_xcr(0, 5), GP, "XCR0 with AVX and without SSE is #GP");
	EXPECT_EQ(set_xcr(0, 7 | 1 << 5), GP, "XCR0 with a part of AVX-512 is #GP");
	EXPECT_EQ(set_xcr(0, all | 1ull << 62), GP, "a bit that CPUID does not offer is #GP");
	EXPECT_EQ(set_xcr(1, 1), GP, "there is no other XCR to write");
	EXPECT_EQ(set_xcr(0, 3), -1, "x87 and SSE can be set");
	EXPECT_EQ(xgetbv(0), 3, "and are seen");
	EXPECT_EQ(set_xcr(0, all), -1, "all that CPUID offers can be set");
	cpuid(0, 0);
	EXPECT_EQ(xgetbv(0), all, "and is seen, also after an exit");
	if (all & 4) {
		xsetbv(0, 3);
		EXPECT_EQ(CATCH(__asm__ volatile("vpxor %%ymm0, %%ymm0, %%ymm0" :)), 6,
			  "AVX is #UD while XCR0 has it off");
		xsetbv(0, 7);
		EXPECT_EQ(CATCH(__asm__ volatile("vpxor %%ymm0, %%ymm0, %%ymm0" :)), -1,
			  "and works when it is on");
	}
}

static void cr8(void)
{
	apic_enable(false);
	write_cr8(5);
	EXPECT_EQ(apic_read(0x80), 0x50, "CR8 is the upper half of TPR");
	apic_write(0x80, 0x7f);
	EXPECT_EQ(read_cr8(), 7, "and the other way round");
	EXPECT_EQ(CATCH(__asm__ volatile("mov %0, %%cr8" : : "r"(0x10ull))), GP,
		  "a CR8 above 15 is #GP");
	write_cr8(0);
}

void guest_main(void)
{
	cr0();
	write_protection();
	cr4();
	if (!option("any_cr3", 0))
		cr3();
	supervisor_protection();
	xcr0();
	cr8();
}
