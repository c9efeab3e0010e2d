/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and interrupts of this machine's CPUs: one table for all of them. Exceptions panic,
 * except a #GP with a row in the fixup table (rdmsr_safe), NMIs and corrected machine checks;
 * vectors from 32 up go to irq_dispatch().
 */
#ifndef KERNEL_IDT_H
#define KERNEL_IDT_H

#include "kernel/lib/types.h"

enum { /* [SDM] table "Protected-Mode Exceptions and Interrupts" */
       VECTOR_NMI = 2,
       VECTOR_DOUBLE_FAULT = 8,
       VECTOR_GENERAL_PROTECTION = 13,
       VECTOR_PAGE_FAULT = 14,
       VECTOR_MACHINE_CHECK = 18,
       VECTOR_FIRST_IRQ = 32,
};

/* What idt_stubs.S leaves on the stack, lowest address first. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

void idt_init(void); /* boot CPU: fill in the table */
void idt_load(void); /* each CPU */

/* The NMI handler's work; the run loop calls it too for an NMI that ended a guest's run. */
void idt_handle_nmi(void);
/* The same for a machine check: log what the banks hold, panic when it is uncorrected. */
void idt_handle_machine_check(const struct trap_frame *frame);

/* From idt_stubs.S, which calls it with the frame right above the return address. */
void idt_handle(struct trap_frame *frame);
extern const char trap_common[], trap_common_end[];

#endif
