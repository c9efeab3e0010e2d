/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDT. An exception is a bug: registers go to the serial port and the guest ends in a triple
 * fault, upon which the kernel starts a fresh agent. Exceptions and interrupts have a stack of
 * their own, because compiled code that we link (llhttp) keeps data below the stack pointer.
 */
#include <stdio.h>
#include <string.h>

#include "agent/port/cpu.h"
#include "agent/port/port.h"
#include "kernel/lib/assert.h"

struct trap_frame { /* as entry.S pushes it */
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct PACKED idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};
static_assert(sizeof(struct idt_gate) == 16, "[SDM] 64-bit IDT gate");

struct PACKED tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, iomap;
};
static_assert(sizeof(struct tss) == 104, "[SDM] 64-bit TSS");

struct PACKED table_pointer {
	uint16_t limit;
	uint64_t base;
};

#define GATE_INTERRUPT 0x8e
#define NR_EXCEPTIONS  32
#define SELECTOR_CODE  8
#define SELECTOR_TSS   24

extern const char trap_stubs[], trap_stack_end[];
NORETURN void trap_fatal(const struct trap_frame *f);

static struct idt_gate idt[256];
static struct tss tss;
static uint64_t gdt[5] = {0, 0x00af9a000000ffffull, 0x00cf92000000ffffull};

NORETURN static void triple_fault(void)
{
	struct table_pointer none = {0, 0};

	for (;;)
		asm volatile("lidt %0; ud2" : : "m"(none));
}

NORETURN void trap_fatal(const struct trap_frame *f)
{
	char line[512];
	uint64_t cr2;
	int len;

	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	len = snprintf(line, sizeof(line),
		       "agent: exception %lu error=%lx rip=%lx rsp=%lx cr2=%lx rflags=%lx\n"
		       "agent: rax=%lx rbx=%lx rcx=%lx rdx=%lx rsi=%lx rdi=%lx rbp=%lx\n"
		       "agent: r8=%lx r9=%lx r10=%lx r11=%lx r12=%lx r13=%lx r14=%lx r15=%lx\n",
		       f->vector, f->error, f->rip, f->rsp, cr2, f->rflags, f->rax, f->rbx, f->rcx,
		       f->rdx, f->rsi, f->rdi, f->rbp, f->r8, f->r9, f->r10, f->r11, f->r12, f->r13,
		       f->r14, f->r15);
	uart_write(line, (size_t)len);
	triple_fault();
}

NORETURN void agent_fail(const char *what, const char *file, int line)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "agent: failed: %s at %s:%d\n", what, file, line);

	uart_write(text, MIN((size_t)len, sizeof(text) - 1));
	triple_fault();
}

NORETURN void assert_fail(const char *cond, const char *file, int line)
{
	agent_fail(cond, file, line);
}

struct interrupt_frame;
__attribute__((interrupt, target("general-regs-only"))) static void
wake(struct interrupt_frame *frame)
{
	(void)frame;
	timer_eoi();
}

static void set_gate(unsigned vector, uintptr_t handler)
{
	idt[vector] = (struct idt_gate){
		.offset_low = (uint16_t)handler,
		.offset_mid = (uint16_t)(handler >> 16),
		.offset_high = (uint32_t)((uint64_t)handler >> 32),
		.selector = SELECTOR_CODE,
		.ist = 1,
		.type = GATE_INTERRUPT,
	};
}

static void load_tss(void)
{
	uint64_t base = (uintptr_t)&tss;

	tss.ist[0] = (uintptr_t)trap_stack_end;
	tss.iomap = sizeof(tss);
	gdt[3] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		 (base >> 24 & 0xff) << 56;
	gdt[4] = base >> 32;
}

void trap_init(void)
{
	struct table_pointer idtr = {sizeof(idt) - 1, (uintptr_t)idt};
	struct table_pointer gdtr = {sizeof(gdt) - 1, (uintptr_t)gdt};
	unsigned i;

	for (i = 0; i < NR_EXCEPTIONS; i++)
		set_gate(i, (uintptr_t)trap_stubs + 16 * i);
	for (; i < 256; i++)
		set_gate(i, (uintptr_t)wake);
	load_tss();
	asm volatile("lgdt %0" : : "m"(gdtr));
	asm volatile("ltr %w0" : : "r"(SELECTOR_TSS));
	asm volatile("lidt %0" : : "m"(idtr));
}
