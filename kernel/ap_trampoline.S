/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where every CPU but the first begins: in real mode, in a page below 1 MiB that these bytes are
 * copied to. It goes the way of boot/entry.S, on the tables made there, to ap_entry_c. One CPU at a
 * time is under way, so they share the page and the variables that say where the final tables and the stack are.
 *
 * Source: [SDM] "Multiple-Processor (MP) Initialization".
 */
#include "kernel/cpu_start.h"

#define CR0_PE 0x1
#define CR0_PE_PG_WP_NE_MP_ET 0x80010033
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME_NXE 0x900

#define HERE(label) (AP_TRAMPOLINE_HPA + (label) - ap_trampoline)

	.section .rodata
	.globl ap_trampoline, ap_trampoline_end
	.code16
ap_trampoline:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lgdtl gdt_pointer - ap_trampoline
	movl %cr0, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $0x08, $HERE(protected)

	.code32
protected:
	movl $0x18, %eax
	movl %eax, %ds
	movl %eax, %ss
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME_NXE, %eax
	wrmsr
	movl $CR0_PE_PG_WP_NE_MP_ET, %eax
	movl %eax, %cr0
	ljmp $0x10, $HERE(long_mode)

	.code64
long_mode:
	movq $ap_high, %rax
	jmp *%rax

	.balign 8
gdt:
	.quad 0, 0x00cf9a000000ffff, 0x00af9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
	.short gdt_pointer - gdt - 1
	.long HERE(gdt)
ap_trampoline_end:

/* In the kernel's place now, which both tables map; the stack is known to the final ones only. */
	.text
	.type ap_high, @function
ap_high:
	movq ap_cr3(%rip), %rax
	movq %rax, %cr3
	movq ap_boot_stack(%rip), %rsp
	xorl %ebp, %ebp
	pushq $0 /* in the return address's place: where a backtrace ends */
	jmp ap_entry
	.size ap_high, . - ap_high

	.section .note.GNU-stack, "", @progbits
