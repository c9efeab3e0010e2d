/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How we are entered: by GRUB (multiboot2) or by a PVH loader, both in 32-bit protected mode
 * without paging. Check that the CPU can do what we need, map the first 4 GiB at 0, at DIRECT_MAP,
 * and the first GiB at KERNEL_BASE, switch to long mode, and go on in boot_main().
 *
 * Source: [MULTIBOOT2] "OS image format", "Machine state"; [PVH] "x86/HVM direct boot ABI".
 */
#include "kernel/paging.h"

#define MULTIBOOT2_MAGIC  0xe85250d6
#define MULTIBOOT2_LOADED 0x36d76289
#define PVH_MAGIC	  0x336ec578
#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define CR0_PE_PG_WP_NE_MP_ET 0x80010033
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define PTE_P_RW 0x3
#define PTE_P_RW_PS 0x83

	.section .boot.header, "a"
	.balign 8
header:
	.long MULTIBOOT2_MAGIC, 0, header_end - header
	.long -(MULTIBOOT2_MAGIC + (header_end - header))
	.balign 8
1:	.short 1, 1 /* information request, optional: what boot/multiboot2.c can use */
	.long 2f - 1b
	.long 1, 2, 3, 6, 8, 12, 14, 15, 17
2:	.balign 8
	.short 4, 1 /* consoles, optional: VGA text will do */
	.long 12, 2
	.balign 8
	.short 5, 1 /* framebuffer, optional: any size and depth */
	.long 20, 0, 0, 0
	.balign 8
	.short 6, 0 /* modules page aligned */
	.long 8
	.balign 8
	.short 0, 0
	.long 8
header_end:

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad pvh_entry

	.section .boot.text, "ax"
	.code32
	.globl multiboot2_entry
multiboot2_entry:
	cmpl $MULTIBOOT2_LOADED, %eax
	movl $no_multiboot2, %esi
	jne refuse
	movl $MULTIBOOT2_LOADED, %edi
	jmp start32

pvh_entry:
	movl $PVH_MAGIC, %edi

/* edi: which protocol; ebx: its information */
start32:
	cli
	cld
	movl $boot_stack_end, %esp
	movl %ebx, %ebp

	movl $0x80000000, %eax
	cpuid
	movl $no_long_mode, %esi
	cmpl $0x80000001, %eax
	jb refuse
	movl $0x80000001, %eax
	cpuid
	btl $29, %edx
	jnc refuse
	movl $no_nx, %esi
	btl $20, %edx
	jnc refuse

	/* 2 MiB pages: 2048 of them in four page directories one after the other */
	movl $boot_pd, %eax
	movl $PTE_P_RW_PS, %edx
	movl $2048, %ecx
1:	movl %edx, (%eax)
	addl $0x200000, %edx
	addl $8, %eax
	loop 1b
	/* the first of them once more, where the kernel is linked */
	movl $(boot_pd + PTE_P_RW), %eax
	movl %eax, boot_pdpt_high + 510 * 8
	movl $boot_pdpt_low, %edx
	movl $4, %ecx
2:	movl %eax, (%edx)
	addl $4096, %eax
	addl $8, %edx
	loop 2b
	movl $(boot_pdpt_low + PTE_P_RW), boot_pml4
	movl $(boot_pdpt_low + PTE_P_RW), boot_pml4 + ((DIRECT_MAP >> 39) & 511) * 8
	movl $(boot_pdpt_high + PTE_P_RW), boot_pml4 + 511 * 8

	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $CR4_PAE, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl $CR0_PE_PG_WP_NE_MP_ET, %eax
	movl %eax, %cr0
	lgdt boot_gdt_pointer
	ljmp $0x08, $start64

/* esi: text to show on the UART and the screen; then halt for ever */
refuse:
	movl $0xb8000, %ebx
3:	lodsb
	testb %al, %al
	jz 5f
	movb %al, (%ebx)
	movb $0x0f, 1(%ebx)
	addl $2, %ebx
	movb %al, %ah
	movl $100000, %ecx /* a UART that is not there never says ready */
4:	movw $0x3fd, %dx
	inb %dx, %al
	testb $0x20, %al
	loopz 4b
	movw $0x3f8, %dx
	movb %ah, %al
	outb %al, %dx
	jmp 3b
5:	cli
	hlt
	jmp 5b

no_multiboot2: .asciz "billet: not started by a multiboot2 loader; start me with GRUB's multiboot2 command\r\n"
no_long_mode: .asciz "billet: this CPU has no 64-bit mode; Billet needs an x86-64 CPU\r\n"
no_nx: .asciz "billet: this CPU has no NX, or firmware switched it off; enable Execute Disable in firmware set-up\r\n"

	.code64
start64:
	xorl %eax, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	movl %ebp, %esi
	movq $stack_main_end, %rsp
	xorl %ebp, %ebp
	pushq $0 /* in the return address's place: where a backtrace ends */
	movq $boot_main, %rax
	jmp *%rax

	.section .boot.data, "aw"
	.balign 8
boot_gdt:
	.quad 0, 0x00af9a000000ffff
boot_gdt_pointer:
	.short boot_gdt_pointer - boot_gdt - 1
	.long boot_gdt

	.section .boot.bss, "aw", @nobits
	.balign 4096
	.globl boot_pml4
boot_pml4: .skip 4096
boot_pdpt_low: .skip 4096
boot_pdpt_high: .skip 4096
boot_pd: .skip 4 * 4096
boot_stack: .skip 64
boot_stack_end:

/* The boot CPU's stacks, laid out as kernel/paging.h says. */
	.section .stacks, "aw", @nobits
	.balign 4096
	.globl boot_cpu_stacks
boot_cpu_stacks:
	.skip STACK_GUARD_BYTES
	.skip STACK_MAIN_BYTES
stack_main_end:
	.skip STACKS_BYTES - STACK_GUARD_BYTES - STACK_MAIN_BYTES
