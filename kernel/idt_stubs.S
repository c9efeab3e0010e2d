/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry for each of the 256 vectors, 16 bytes apart: make the frames of exceptions with and
 * without an error code alike, add the vector, and save all registers as struct trap_frame. The
 * kernel never runs with user segments, so there is no SWAPGS.
 */
	.text
	.balign 16
	.globl idt_stubs
idt_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	/* vectors whose exception pushes an error code: 8, 10..14, 17, 21, 29, 30 */
	.if !((vector < 32) && ((0x60227d00 >> (vector & 31)) & 1))
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

	.globl trap_common
	.type trap_common, @function
trap_common:
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	call idt_handle
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	addq $16, %rsp
	iretq
	.size trap_common, . - trap_common
	.globl trap_common_end
trap_common_end:

	.section .note.GNU-stack, "", @progbits
