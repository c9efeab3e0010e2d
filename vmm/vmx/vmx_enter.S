/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the guest and out again.
 *
 *   uint64_t vmx_enter(struct vcpu *vcpu, bool is_launched);
 *
 * A vCPU begins with its general registers in enum guest_reg order; the VMCS holds RIP, RSP, RFLAGS.
 * HOST_RSP is written here, as the depth of the stack differs between callers. After an exit,
 * vmx_exit_fast(vcpu) may carry it out; then the guest goes on at once, and nothing of the caller's
 * registers had to be saved and restored in between.
 *
 * Returns 0 after an exit, 3 after one that is dealt with; 1 after VMfailInvalid, 2 after VMfailValid.
 */
#include "vmm/vmx/vmx_asm.h"

/* All of them but RSP, from the vCPU at RDI. Leaves the flags alone. */
	.macro load_guest
	mov	(8 * 0)(%rdi), %rax
	mov	(8 * 1)(%rdi), %rcx
	mov	(8 * 2)(%rdi), %rdx
	mov	(8 * 3)(%rdi), %rbx
	mov	(8 * 5)(%rdi), %rbp
	mov	(8 * 6)(%rdi), %rsi
	mov	(8 * 8)(%rdi), %r8
	mov	(8 * 9)(%rdi), %r9
	mov	(8 * 10)(%rdi), %r10
	mov	(8 * 11)(%rdi), %r11
	mov	(8 * 12)(%rdi), %r12
	mov	(8 * 13)(%rdi), %r13
	mov	(8 * 14)(%rdi), %r14
	mov	(8 * 15)(%rdi), %r15
	mov	(8 * 7)(%rdi), %rdi
	.endm

	.text
	.global vmx_enter
	.type vmx_enter, @function
vmx_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	$FIELD_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	entry_failed
	test	%esi, %esi		/* no instruction below until VMRESUME touches ZF */
	load_guest
	jz	1f
	vmresume
	jmp	entry_failed
1:	vmlaunch

entry_failed:				/* CF: VMfailInvalid, ZF: VMfailValid */
	mov	$2, %eax
	mov	$1, %ecx
	cmovc	%ecx, %eax
	pop	%rdi
	jmp	leave

	.balign 16
	.global vmx_exit
vmx_exit:
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, (8 * 0)(%rdi)
	mov	%rcx, (8 * 1)(%rdi)
	mov	%rdx, (8 * 2)(%rdi)
	mov	%rbx, (8 * 3)(%rdi)
	mov	%rbp, (8 * 5)(%rdi)
	mov	%rsi, (8 * 6)(%rdi)
	mov	%r8, (8 * 8)(%rdi)
	mov	%r9, (8 * 9)(%rdi)
	mov	%r10, (8 * 10)(%rdi)
	mov	%r11, (8 * 11)(%rdi)
	mov	%r12, (8 * 12)(%rdi)
	mov	%r13, (8 * 13)(%rdi)
	mov	%r14, (8 * 14)(%rdi)
	mov	%r15, (8 * 15)(%rdi)
	pop	(8 * 7)(%rdi)
	xor	%ebp, %ebp		/* a backtrace ends here */
	call	vmx_exit_fast
	mov	(%rsp), %rdi
	cmp	$VMX_AGAIN, %eax
	jne	to_caller
	load_guest
	vmresume
	jmp	entry_failed

to_caller:
	pop	%rdi
leave:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size vmx_enter, . - vmx_enter
