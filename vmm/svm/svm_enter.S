/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the guest and out again.
 *
 *   enum svm_fast svm_enter(struct vcpu *vcpu, hpa_t guest_vmcb, hpa_t host_vmcb);
 *
 * A vCPU begins with its general registers in enum guest_reg order; RAX, RSP, RIP and RFLAGS are the
 * VMCB's. VMRUN switches those and the host's to its save area; FS, GS, TR, LDTR and the MSRs of
 * SYSCALL and SYSENTER are left to VMLOAD and VMSAVE.
 *
 * From CLGI to STGI nothing interrupts, not even an NMI, so nobody sees the guest's GS. IF is set
 * only in between: it is what lets a physical interrupt end the guest's run. What ended it is still
 * pending behind STGI; an NMI is taken there at once, an interrupt by whoever sets IF next.
 *
 * After an exit, svm_exit_fast(vcpu) may carry it out; then the guest goes on at once.
 */
#include "vmm/svm/svm_asm.h"

	.text
	.balign 16
	.global svm_enter
	.type svm_enter, @function
svm_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	push	%rsi
	push	%rdx

.Lagain:				/* RDI: vcpu; RSI: its VMCB */
	clgi
	sti
	mov	%rsi, %rax
	vmload	%rax
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
	vmrun	%rax			/* RAX, RSP and RFLAGS are ours again behind it */

	push	%rdi
	mov	24(%rsp), %rdi
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
	vmsave	%rax
	mov	(%rsp), %rax
	vmload	%rax
	xor	%ebp, %ebp		/* a backtrace ends here */
	cli
	stgi
	call	svm_exit_fast
	mov	8(%rsp), %rsi
	mov	16(%rsp), %rdi
	cmp	$SVM_AGAIN, %eax
	je	.Lagain

	add	$24, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size svm_enter, . - svm_enter

	.section .note.GNU-stack, "", @progbits
