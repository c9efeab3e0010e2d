/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU that is lost in an exception: delivering it raises it again, before one instruction of its
 * handler is run, for ever. A hypervisor that leaves these exceptions to the guest loses the
 * physical CPU with it. kind= says which:
 *
 *   1  #DB, by a breakpoint on its handler's first instruction
 *   2  #DB, by a breakpoint on the stack that its own frame is written to
 *   3  #AC, by a handler in ring 3 whose stack is not aligned; only 32-bit code can do that
 *
 * The second CPU does it. The first, on the same physical one, sees that it is so, and ends the VM.
 *
 * Source: [SDM] "Debug Exceptions", "Alignment Check Exception"; known as CVE-2015-8104 and
 * CVE-2015-5307.
 */
#include "tests/guest/lib/guest.h"

enum { ON_HANDLER = 1, ON_STACK = 2, UNALIGNED = 3 };

#define DB	    1
#define AC	    17
#define DR7_ON	    0x402ull /* breakpoint 0, for instructions */
#define DR7_WRITE_8 0x90000ull
#define WATCH_US    300000u

struct __attribute__((packed)) table {
	uint16_t limit;
	uint64_t base;
};

volatile uint64_t storm_began, storm_handled;
static uint64_t kind; /* read first: the second CPU's start-up code lies over the command line */
extern uint8_t storm_handler[], storm_handler_32[];
void storm_unaligned(void);

static uint8_t stack[4096] __attribute__((aligned(4096)));
static uint32_t tss[26];
static uint64_t gdt_64[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0};
static uint64_t idt_64[2 * (DB + 1)];
/* Rings 0 and 3, 32 bits wide. */
static uint64_t gdt_32[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff,
			    0x00cff3000000ffff};
static uint64_t idt_32[AC + 1];
struct table storm_gdt_32 = {sizeof(gdt_32) - 1, (uint64_t)gdt_32};
struct table storm_idt_32 = {sizeof(idt_32) - 1, (uint64_t)idt_32};
uint32_t storm_words[16];

__asm__(".pushsection .text\n"
	".global storm_handler, storm_handler_32, storm_unaligned\n"
	"storm_handler:\n\t"
	"incq storm_handled(%rip)\n"
	"1:\tjmp 1b\n"
	"storm_unaligned:\n\t"
	"lgdt storm_gdt_32(%rip)\n\t"
	"push $0x08\n\t"
	"push $2f\n\t"
	"lretq\n\t"
	".code32\n"
	"2:\tmov %cr0, %eax\n\t"
	"and $0x7fffffff, %eax\n\t" /* paging, and with it 64-bit mode, off */
	"or $0x40000, %eax\n\t"	    /* AM */
	"mov %eax, %cr0\n\t"
	"lidt storm_idt_32\n\t"
	"mov $0x10, %eax\n\t"
	"mov %eax, %ss\n\t"
	"mov $0x23, %eax\n\t"
	"mov %eax, %ds\n\t"
	"push $0x23\n\t"
	"push $storm_words + 61\n\t"
	"push $0x40002\n\t" /* EFLAGS.AC */
	"push $0x1b\n\t"
	"push $3f\n\t"
	"iret\n"
	"3:\tincl storm_began\n\t"
	"mov storm_words + 1, %eax\n" /* #AC, or else as if it were handled */
	"storm_handler_32:\n\t"
	"incl storm_handled\n"
	"4:\tjmp 4b\n\t"
	".code64\n"
	".popsection");

static void load_tables(void)
{
	uint64_t at = (uint64_t)tss, top = (uint64_t)stack + sizeof(stack),
		 handler = (uint64_t)storm_handler;
	struct table gdt = {sizeof(gdt_64) - 1, (uint64_t)gdt_64};
	struct table idt = {sizeof(idt_64) - 1, (uint64_t)idt_64};

	tss[9] = (uint32_t)top; /* IST 1 */
	tss[10] = (uint32_t)(top >> 32);
	gdt_64[3] =
		(sizeof(tss) - 1) | (at & 0xffffff) << 16 | 0x89ull << 40 | (at >> 24 & 0xff) << 56;
	gdt_64[4] = at >> 32;
	idt_64[2 * DB] = (handler & 0xffff) | 8u << 16 | 1ull << 32 | 0x8eull << 40 |
			 (handler >> 16 & 0xffff) << 48;
	idt_64[2 * DB + 1] = handler >> 32;
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2" : : "m"(gdt), "m"(idt), "r"(0x18));
}

static void raise_debug(uint64_t address, uint64_t dr7)
{
	load_tables();
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr7" : : "r"(address), "r"(dr7));
	storm_began = 1;
	__asm__ volatile("int $1" : : : "memory");
}

static void second(void)
{
	uint64_t handler = (uint64_t)storm_handler_32;

	switch (kind) {
	case ON_HANDLER:
		raise_debug((uint64_t)storm_handler, DR7_ON);
		break;
	case ON_STACK: /* where the frame has RFLAGS */
		raise_debug((uint64_t)stack + sizeof(stack) - 24, DR7_ON | DR7_WRITE_8);
		break;
	default:
		idt_32[AC] = (handler & 0xffff) | 0x1bu << 16 | 0x8eull << 40 |
			     (handler >> 16 & 0xffff) << 48;
		storm_unaligned();
	}
}

void guest_main(void)
{
	kind = option("kind", 0);
	apic_enable(false);
	EXPECT(start_second_cpu(second), "the second CPU starts");
	wait_us(WATCH_US);
	EXPECT(storm_began == 1, "it raises the exception");
	switch (kind) {
	case ON_HANDLER:
		EXPECT_EQ(storm_handled, 0, "a #DB at its handler's first instruction has no end");
		break;
	case ON_STACK:
		EXPECT_EQ(storm_handled, 0, "a #DB by its own frame has no end");
		break;
	default:
		EXPECT_EQ(storm_handled, 0, "an #AC by its own frame has no end");
	}
}
