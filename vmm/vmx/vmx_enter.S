/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the guest and out again.
 *
 *   uint64_t vmx_enter_plain(struct vcpu *vcpu, bool is_launched);     exits come to vmx_exit_plain
 *   uint64_t vmx_enter_guarded(struct vcpu *vcpu, bool is_launched);   and to vmx_exit_guarded
 *
 * A vCPU begins with its general registers in enum guest_reg order; the VMCS holds RIP, RSP, RFLAGS.
 * HOST_RSP is written here, as the depth of the stack differs between callers. After an exit,
 * vmx_exit_fast(vcpu) may carry it out; then the guest goes on at once, and nothing of the caller's
 * registers had to be saved and restored in between.
 *
 * Returns 0 after an exit, 3 after one that is dealt with; 1 after VMfailInvalid, 2 after VMfailValid.
 *
 * Both variants are the one macro below. The guarded one also does what kernel/mitigations.h chose
 * for this CPU, in guard_entry, guard_exit and VERW. Between an exit and the end of guard_exit there
 * is no indirect branch and no RET that lacks its CALL. A conditional branch there that goes wrong by
 * speculation, because the guest trained it, gets no further than the next LFENCE.
 *
 * Source: [INTELSEC] "Branch History Injection" (software BHB-clearing sequence); and as
 * kernel/mitigations_asm.h.
 */
#include "kernel/mitigations_asm.h"
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

/* ---- guards; each uses RAX, RCX, RDX and the flags ---- */

/* Legacy IBRS is ours alone. What else SPEC_CTRL has stays on in the guest and needs no write. */
	.macro guard_entry
	testl	$MEASURES_IBRS, mitigations + MITIGATIONS_MEASURES(%rip)
	jz	.Lkeep\@
	xor	%eax, %eax
	write_spec_ctrl
.Lkeep\@:
	.endm

	.macro guard_exit
	guard_rsb
	guard_ibrs
	testl	$MEASURES_BHB_CLEAR, mitigations + MITIGATIONS_MEASURES(%rip)
	jz	.Lguarded\@
	call	clear_branch_history
.Lguarded\@:
	lfence
	.endm

/* ---- the two variants ---- */

	.macro entry_code name, guarded
	.text
	.balign 16
	.global vmx_enter_\name, vmx_exit_\name
	.type vmx_enter_\name, @function
	.type vmx_exit_\name, @function
vmx_enter_\name:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	$FIELD_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	jbe	.Lfailed_\name
	.if \guarded
	guard_entry
	.endif
	bt	$0, %esi		/* nothing below until VMRESUME touches CF; VERW writes ZF */
	load_guest
	.if \guarded
	verw	verw_selector(%rip)	/* behind it only the guest's values pass through a buffer */
	.endif
	jnc	.Llaunch_\name
	vmresume
	jmp	.Lfailed_\name
.Llaunch_\name:
	vmlaunch

.Lfailed_\name:				/* CF: VMfailInvalid, ZF: VMfailValid */
	mov	$2, %ebx
	mov	$1, %ecx
	cmovc	%ecx, %ebx
	.if \guarded
	guard_ibrs
	.endif
	mov	%ebx, %eax
	jmp	.Lleave_\name
	.size vmx_enter_\name, . - vmx_enter_\name

	.balign 16
vmx_exit_\name:
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
	.if \guarded
	guard_exit
	call	vmx_exit_fast_guarded
	.else
	call	vmx_exit_fast
	.endif
	mov	(%rsp), %rdi
	cmp	$VMX_AGAIN, %eax
	jne	.Lleave_\name
	.if \guarded
	guard_entry
	.endif
	load_guest
	.if \guarded
	verw	verw_selector(%rip)
	.endif
	vmresume
	jmp	.Lfailed_\name

.Lleave_\name:
	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size vmx_exit_\name, . - vmx_exit_\name
	.endm

	entry_code plain, 0
	entry_code guarded, 1

/*
 * So many taken branches that none of the guest's is left in the branch history: five times five
 * jumps there and back, each five one call deeper, and the returns. Where they lie matters, so the
 * two that are called begin cache lines. CPUs with a longer history than this have BHI_DIS_S.
 */
	.balign 64
	.type clear_branch_history, @function
clear_branch_history:
	mov	$5, %ecx
	.balign 64
.Ldeeper:
	call	.Lfive_jumps
	ret
	.balign 64
.Lfive_jumps:
	mov	$5, %eax
.Ljump:
	jmp	.Lback
	nop
.Lback:
	dec	%eax
	jnz	.Ljump
	dec	%ecx
	jnz	.Ldeeper
	ret
	.size clear_branch_history, . - clear_branch_history

	verw_selector_here

	.section .note.GNU-stack, "", @progbits
