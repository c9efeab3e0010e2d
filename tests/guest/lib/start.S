/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test guest's first instructions: entered by PVH in 32-bit protected mode with EBX at the start
 * info; makes a 1:1 map of 4 GiB in 2 MiB pages, goes to long mode, calls start(). A second CPU comes
 * in by SIPI at ap_trampoline's copy and ends in start_ap().
 */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18			/* name, descriptor, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad entry_32

	.section .text
	.code32
	.global entry_32
entry_32:
	cli
	mov	$stack_top, %esp
	mov	%ebx, start_info
	/* PDPT entries to four page directories, 2048 leaves of 2 MiB */
	mov	$pd, %edi
	mov	$0x83, %eax
	xor	%edx, %edx
	mov	$2048, %ecx
1:	mov	%eax, (%edi)
	mov	%edx, 4(%edi)
	add	$0x200000, %eax
	adc	$0, %edx
	add	$8, %edi
	loop	1b
	movl	$pd + 3, pdpt
	movl	$pd + 0x1003, pdpt + 8
	movl	$pd + 0x2003, pdpt + 16
	movl	$pd + 0x3003, pdpt + 24
	movl	$pdpt + 3, pml4
	call	to_long_mode
	ljmp	$0x8, $entry_64

/* CR3, PAE, LME, paging; flat GDT. Clobbers EAX, ECX, EDX. */
to_long_mode:
	lgdt	gdt_pointer
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000021, %eax
	mov	%eax, %cr0
	ret

	.code64
entry_64:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$stack_top, %rsp
	mov	start_info, %edi
	call	start
1:	hlt
	jmp	1b

/* Copied to 0x8000, started there in real mode by SIPI 8. */
	.code16
	.global ap_trampoline, ap_trampoline_end
ap_trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	(0x8000 + ap_gdt_pointer - ap_trampoline)
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$0x18, $ap_32
	.balign 4
ap_gdt_pointer:
	.word	31
	.long	gdt
ap_trampoline_end:
	.code32
ap_32:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$ap_stack_top, %esp
	call	to_long_mode
	ljmp	$0x8, $ap_64
	.code64
ap_64:
	mov	$ap_stack_top, %rsp
	call	start_ap
1:	cli
	hlt
	jmp	1b

/* Interrupt and exception entries: vector and error code, all registers, trap(frame). */
	.altmacro
	.macro stub vector
	.balign 16
	.if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17)
	nop
	nop
	.else
	push	$0
	.endif
	push	$\vector
	jmp	trap_common
	.endm
	.balign 16
	.global stubs
stubs:
	.set i, 0
	.rept 256
	stub %i
	.set i, i + 1
	.endr
trap_common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
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
	call	trap
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

	.section .data
	.balign 8
gdt:	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
	.quad 0x00cf9b000000ffff	/* 32-bit code */
gdt_pointer:
	.word	31
	.quad	gdt
start_info:
	.long	0

	.section .bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4 * 4096
	.skip 16384
stack_top:
	.skip 8192
ap_stack_top:

	.section .note.GNU-stack, "", @progbits
