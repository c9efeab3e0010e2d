/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a bzImage of a program that is written for tests/guest/lib, as the controller's VMs boot
 * nothing else: setup sectors with the header that the loader reads, and the 64-bit entry, which
 * makes PVH start info out of the zero page and goes on to the library's 32-bit entry.
 */
#define ZP_RSDP	       0x070
#define ZP_CMDLINE_PTR 0x228

	.section .setup, "a"
	.skip	0x1f1
	.byte	1			/* one setup sector behind the boot sector */
	.skip	0x1fe - 0x1f2
	.word	0xaa55
	.byte	0xeb, header_end - 1f
1:	.ascii	"HdrS"
	.word	0x020c
	.skip	0x211 - 0x208
	.byte	0x01			/* loaded high */
	.skip	0x22c - 0x212
	.long	0x7fffffff		/* initrd below */
	.long	0x200000		/* alignment */
	.byte	0			/* not relocatable */
	.skip	1
	.word	0x0001			/* has the 64-bit entry */
	.long	2047			/* command line */
	.skip	0x258 - 0x23c
	.quad	load_address
	.long	init_size
	.long	0
header_end:
	.skip	0x400 - (header_end - 1b) - 0x202

	.section .head, "ax"
	.skip	0x200
	.code64
entry_64bit:				/* RSI: the zero page */
	cli
	mov	$bss_start, %edi
	mov	$bss_end, %ecx
	sub	%edi, %ecx
	xor	%eax, %eax
	rep stosb
	mov	ZP_RSDP(%rsi), %rax
	mov	%rax, info_rsdp
	mov	ZP_CMDLINE_PTR(%rsi), %eax
	mov	%rax, info_cmdline
	lgdt	gdt_here
	pushq	$0x08
	pushq	$protected
	lretq
	.code32
protected:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	$info, %ebx
	jmp	entry_32

	.section .data
	.balign 8
table:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_here:
	.word	23
	.quad	table
	.balign 8
info:	.long	0x336ec578, 1, 0, 0	/* [PVH] magic, version, flags, modules */
	.quad	0
info_cmdline:
	.quad	0
info_rsdp:
	.quad	0
	.quad	0
	.long	0, 0

	.section .note.GNU-stack, "", @progbits
