/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the guest and out again.
 *
 *   enum svm_fast svm_enter_plain(struct vcpu *vcpu, hpa_t guest_vmcb, hpa_t host_vmcb);
 *   enum svm_fast svm_enter_guarded(the same);
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
 *
 * Both variants are the one macro below. The guarded one also does what kernel/mitigations.h chose
 * for this CPU. Between an exit and the end of guard_exit there is no indirect branch and no RET that
 * lacks its CALL; a conditional branch there that goes wrong by speculation, because the guest
 * trained it, gets no further than the next LFENCE. NMIs come only behind it.
 *
 * Source: [AMDSEC] "Branch Type Confusion", "Transient Scheduler Attacks", "Division by zero"; and as
 * kernel/mitigations_asm.h.
 */
#include "kernel/mitigations_asm.h"
#include "vmm/svm/svm_asm.h"

#define MSR_PRED_CMD   0x49
#define PRED_CMD_IBPB  1
#define SPEC_CTRL_IBRS 1

/* ---- guards; each uses RAX, RCX, RDX and the flags ---- */

/* IBRS is ours alone; what else SPEC_CTRL has stays on in the guest. */
	.macro guard_entry
	testl	$MEASURES_IBRS, mitigations + MITIGATIONS_MEASURES(%rip)
	jz	.Lkeep\@
	mov	mitigations + MITIGATIONS_SPEC_CTRL(%rip), %eax
	and	$~SPEC_CTRL_IBRS, %eax
	write_spec_ctrl
.Lkeep\@:
	testl	$MEASURES_DIV_CLEAR, mitigations + MITIGATIONS_MEASURES(%rip)
	jz	.Lno_quotient\@
	xor	%eax, %eax
	xor	%edx, %edx
	mov	$1, %ecx
	div	%ecx
.Lno_quotient\@:
	.endm

	.macro guard_exit
	testl	$MEASURES_IBPB_ON_EXIT, mitigations + MITIGATIONS_MEASURES(%rip)
	jz	.Lno_ibpb\@
	mov	$MSR_PRED_CMD, %ecx
	mov	$PRED_CMD_IBPB, %eax
	xor	%edx, %edx
	wrmsr
.Lno_ibpb\@:
	guard_rsb
	guard_ibrs
	lfence
	.endm

/* ---- the two variants ---- */

	.macro entry_code name, guarded
	.text
	.balign 16
	.global svm_enter_\name
	.type svm_enter_\name, @function
svm_enter_\name:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	push	%rsi
	push	%rdx

.Lagain_\name:				/* RDI: vcpu; RSI: its VMCB */
	clgi
	sti
	.if \guarded
	guard_entry
	.endif
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
	.if \guarded
	verw	verw_selector(%rip)	/* behind it only the guest's values pass through a buffer */
	.endif
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
	.if \guarded			/* nothing of ours speculates with the guest's values */
	xor	%ebx, %ebx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	guard_exit
	mov	8(%rsp), %rax
	.endif
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
	je	.Lagain_\name

	add	$24, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size svm_enter_\name, . - svm_enter_\name
	.endm

	entry_code plain, 0
	entry_code guarded, 1

	verw_selector_here

	.section .note.GNU-stack, "", @progbits
