/* SPDX-License-Identifier: Apache-2.0 */
/* Faults come to the guest as on a bare CPU: vector, error code, CR2, and where RIP stands. */
#include "tests/guest/lib/guest.h"

#define DE 0
#define DB 1
#define BP 3
#define UD 6
#define NM 7
#define GP 13
#define PF 14

static uint64_t some_memory[16] __attribute__((aligned(64)));
static uint8_t page[4096] __attribute__((aligned(4096)));

#define IS_UD(text)                                                                                \
	EXPECT_EQ(CATCH(__asm__ volatile(text : : "a"(0), "c"(0), "d"(0),                          \
					 "b"(some_memory) : "memory", "cc")),                      \
		  UD, text " is #UD")

static void undefined(void)
{
	IS_UD("ud2");
	IS_UD("vmxon (%%rbx)");
	IS_UD("vmptrld (%%rbx)");
	IS_UD("vmptrst (%%rbx)");
	IS_UD("vmclear (%%rbx)");
	IS_UD("vmread %%rax, (%%rbx)");
	IS_UD("vmwrite %%rax, %%rcx");
	IS_UD("vmlaunch");
	IS_UD("vmresume");
	IS_UD("vmxoff");
	IS_UD("vmfunc");
	IS_UD("invept (%%rbx), %%rax");
	IS_UD("invvpid (%%rbx), %%rax");
	IS_UD("vmrun %%rax");
	IS_UD("vmload %%rax");
	IS_UD("vmsave %%rax");
	IS_UD("stgi");
	IS_UD("clgi");
	IS_UD("skinit %%eax");
	IS_UD("invlpga %%rax, %%ecx");
	IS_UD("getsec");
	IS_UD("monitor");
	IS_UD("mwait");
	EXPECT_EQ(CATCH(__asm__ volatile("rdpmc" : : "c"(0) : "rax", "rdx")), GP,
		  "RDPMC without counters is #GP");
	IS_UD("rsm");
	IS_UD("xsetbv"); /* CR4.OSXSAVE is off */
}

static void without_vmcall(void)
{
	uint64_t rax = 0x12345;
	int vector =
		CATCH(__asm__ volatile("vmcall" : "+a"(rax) : "b"(0), "c"(0), "d"(0) : "memory"));

	EXPECT(vector == UD || rax == ~0ull, "VMCALL is #UD or answers with -1");
}

static void protection(void)
{
	EXPECT_EQ(CATCH(*(volatile uint64_t *)0x8000000000000000ull), GP,
		  "a non-canonical address is #GP");
	EXPECT_EQ(trap_error, 0, "its error code is 0");
	EXPECT_EQ(CATCH(__asm__ volatile("mov %0, %%ds" : : "r"(0x1238))), GP,
		  "a selector beyond the GDT is #GP");
	EXPECT_EQ(trap_error, 0x1238, "its error code is the selector");
	EXPECT_EQ(CATCH(__asm__ volatile("int $0x20" : : : "memory")), -1,
		  "INT n goes to its handler");
}

static void page_faults(void)
{
	uint64_t *entry = page_entry((uint64_t)page), old = *entry;

	*entry = 0;
	invlpg((uint64_t)page);
	EXPECT_EQ(CATCH(*(volatile uint8_t *)(page + 0x123)), PF,
		  "a page that is not present is #PF");
	EXPECT_EQ(trap_cr2, (uint64_t)page + 0x123, "CR2 is the address");
	EXPECT_EQ(trap_error, 0, "error code 0: a read, not present");
	cpuid(0, 0);
	EXPECT_EQ(read_cr2(), (uint64_t)page + 0x123, "CR2 is kept across exits");
	write_cr2(0xffffabcd12345678ull);
	in8(0x80);
	EXPECT_EQ(read_cr2(), 0xffffabcd12345678ull, "CR2 can be written");
	*entry = old;
	invlpg((uint64_t)page);
	*entry = old | 1ull << 63;
	EXPECT_EQ(CATCH(*(volatile uint8_t *)page), PF,
		  "the NX bit is reserved while EFER.NXE is off");
	EXPECT_EQ(trap_error, 9, "error code 9: reserved bit");
	*entry = old;
	invlpg((uint64_t)page);
	*entry = old | 1ull << 51;
	EXPECT_EQ(CATCH(*(volatile uint8_t *)page), PF,
		  "an address bit beyond the width is reserved");
	EXPECT_EQ(trap_error, 9, "error code 9: reserved bit");
	*entry = old;
	invlpg((uint64_t)page);
	EXPECT_EQ(CATCH(*(volatile uint8_t *)page), -1, "the page is there again");
}

static void others(void)
{
	EXPECT_EQ(CATCH(__asm__ volatile("div %%cl" : : "a"(5), "c"(0))), DE,
		  "division by 0 is #DE");
	EXPECT_EQ(CATCH(__asm__ volatile("int3")), BP, "INT3 is #BP");
	write_cr0(read_cr0() | 8);
	EXPECT_EQ(CATCH(__asm__ volatile("fninit")), NM, "the FPU with CR0.TS is #NM");
	__asm__ volatile("clts");
	EXPECT_EQ(CATCH(__asm__ volatile("fninit")), -1, "CLTS ends that");
}

/* RIP at the trap, less that of the instruction after `popfq`. */
#define STEP_OVER(text)                                                                            \
	({                                                                                         \
		uint64_t after_;                                                                   \
		int vector_ = CATCH(__asm__ volatile(                                              \
			"leaq 7f(%%rip), %%r8\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t" text  \
			"\n7:\n\tnop\n\t" : : "a"(0),                                              \
			"c"(0), "d"(0x80) : "memory", "cc", "r8", "rbx"));                         \
		after_ = trap_regs.rip - trap_regs.r8;                                             \
		vector_ == DB ? after_ : 1000u + (uint64_t)vector_;                                \
	})

static void single_step(void)
{
	uint64_t dr6;

	EXPECT_EQ(STEP_OVER("movl %%eax, %%ecx"), 0, "TF traps after one plain instruction");
	EXPECT_EQ(STEP_OVER("cpuid"), 0, "TF traps right after CPUID, which exits");
	EXPECT_EQ(STEP_OVER("inb %%dx, %%al"), 0, "TF traps right after IN, which exits");
	EXPECT_EQ(STEP_OVER("wbinvd"), 0, "TF traps right after WBINVD, which exits");
	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	EXPECT(dr6 & 1 << 14, "and DR6 says single step");
	EXPECT_EQ(STEP_OVER("movl 0xe0000000, %%eax"), 0,
		  "TF traps right after device memory was read");
}

void guest_main(void)
{
	undefined();
	without_vmcall();
	protection();
	page_faults();
	others();
	single_step();
}
