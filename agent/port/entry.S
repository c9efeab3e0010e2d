/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's first instructions, and its traps. We are entered by PVH: 32-bit protected mode, no
 * paging, EBX points to struct hvm_start_info. The tables here map the first GiB one to one, for
 * as long as paging_init() (paging.c) needs to build the ones that last.
 */
#define EFER		0xc0000080
#define EFER_LME_NXE	0x900
#define CR0_PG_WP_ET_NE_MP_PE 0x80010033
#define CR4_PAE_OSFXSR_OSXMM  0x620
#define PTE_P_RW	0x3
#define PTE_P_RW_PS	0x83

	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, 18		/* name and descriptor lengths; XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long agent_entry32

	.section .text.entry, "ax"
	.code32
	.globl agent_entry32
agent_entry32:
	cld
	mov	%ebx, %edi	/* agent_start's argument */
	movl	$boot_pdpt + PTE_P_RW, boot_pml4
	movl	$boot_pd + PTE_P_RW, boot_pdpt
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$21, %eax
	or	$PTE_P_RW_PS, %eax
	mov	%eax, boot_pd(,%ecx,8)
	inc	%ecx
	cmp	$512, %ecx
	jne	1b

	mov	$CR4_PAE_OSFXSR_OSXMM, %eax
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	xor	%edx, %edx
	mov	$EFER_LME_NXE, %eax
	wrmsr
	mov	$CR0_PG_WP_ET_NE_MP_PE, %eax
	mov	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $entry64

	.code64
entry64:
	mov	$16, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$agent_stack_end, %esp
	xor	%ebp, %ebp
	mov	%edi, %edi
	call	agent_start
	ud2

/*
 * Exceptions: all end in trap_fatal(struct trap_frame *). Each stub is 16 bytes, so that the IDT is
 * filled by arithmetic. The CPU itself pushes an error code for 8, 10 to 14, 17, 21, 29 and 30.
 */
	.section .text.traps, "ax"
	.globl trap_stubs
	.align 16
trap_stubs:
vector = 0
	.rept 32
	.align 16
	.if !((0x60227d00 >> vector) & 1)
	push	$0
	.endif
	push	$vector
	jmp	trap_common
vector = vector + 1
	.endr

trap_common:
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	cld
	and	$-16, %rsp
	call	trap_fatal
	ud2

	.section .rodata
	.align 8
gdt:	.quad 0
	.quad 0x00af9a000000ffff	/* 8: 64-bit code */
	.quad 0x00cf92000000ffff	/* 16: data */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt

	.section .bss.tables, "aw", @nobits
	.align 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 4096

/* Each stack stands behind a page that paging_init() leaves out. */
	.section .bss.stacks, "aw", @nobits
	.align 4096
	.globl agent_stack_guard, agent_stack_end, trap_stack_guard, trap_stack_end
agent_stack_guard: .skip 4096
	.skip 65536
agent_stack_end:
trap_stack_guard: .skip 4096
	.skip 8192
trap_stack_end:

	.section .note.GNU-stack, "", @progbits
