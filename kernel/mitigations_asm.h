/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the code around VM entries needs of kernel/mitigations.h, which is C; mitigations.c asserts
 * that the two agree. For assembly also the guards that both backends have: each uses RAX, RCX, RDX
 * and the flags.
 *
 * Source: [INTELSEC] "Retpoline" (RSB filling), "Microarchitectural Data Sampling" (VERW); [SDM]
 * "IA32_SPEC_CTRL".
 */
#ifndef KERNEL_MITIGATIONS_ASM_H
#define KERNEL_MITIGATIONS_ASM_H

/* members of struct mitigations, bits of its measures */
#define MITIGATIONS_MEASURES   8
#define MITIGATIONS_RSB_ROUNDS 12
#define MITIGATIONS_SPEC_CTRL  16
#define MEASURES_IBRS	       0x2
#define MEASURES_BHB_CLEAR     0x100
#define MEASURES_IBPB_ON_EXIT  0x1000
#define MEASURES_DIV_CLEAR     0x4000

/* kernel/gdt.h: a data segment that is there and writable */
#define VERW_SELECTOR 0x10

#ifdef __ASSEMBLER__

#define MSR_SPEC_CTRL 0x48

	.macro write_spec_ctrl		/* EAX */
	mov	$MSR_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
	.endm

	.macro guard_ibrs
	testl	$MEASURES_IBRS, mitigations + MITIGATIONS_MEASURES(%rip)
	jz	.Lno_ibrs\@
	mov	mitigations + MITIGATIONS_SPEC_CTRL(%rip), %eax
	write_spec_ctrl
.Lno_ibrs\@:
	.endm

/*
 * Return predictions of ours over those of the guest. A round leaves two, each to an INT3 that is
 * never reached; no round at all is right where the CPU keeps the guest's apart by itself.
 */
	.macro guard_rsb
	mov	mitigations + MITIGATIONS_RSB_ROUNDS(%rip), %ecx
	jecxz	.Lfilled\@
.Lround\@:
	call	.Lsecond\@
	int3
.Lsecond\@:
	call	.Ltaken\@
	int3
.Ltaken\@:
	add	$16, %rsp
	dec	%ecx
	jnz	.Lround\@
.Lfilled\@:
	lfence				/* no RET runs ahead of what was just put there */
	.endm

	.macro verw_selector_here	/* by memory: only that form clears buffers */
	.section .rodata
	.balign 2
verw_selector:
	.word	VERW_SELECTOR
	.endm

#endif
#endif
