/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bench's /init. Its first instruction is the end of the boot that is measured: Bochs, told so by
 * magic_break, stops at an exchange of BX with itself, which does nothing anywhere else. Then it
 * says that it ran and switches the machine off.
 */
#include <sys/syscall.h>

#define REBOOT_MAGIC1	 0xfee1dead
#define REBOOT_MAGIC2	 672274793
#define REBOOT_POWER_OFF 0x4321fedc

	.globl _start
_start:
	xchg	%bx, %bx
	mov	$SYS_write, %eax
	mov	$1, %edi
	lea	text(%rip), %rsi
	mov	$text_end - text, %edx
	syscall
	mov	$SYS_reboot, %eax
	mov	$REBOOT_MAGIC1, %edi
	mov	$REBOOT_MAGIC2, %esi
	mov	$REBOOT_POWER_OFF, %edx
	syscall
1:	jmp	1b

text:	.ascii	"bench: init runs\n"
text_end:

	.section .note.GNU-stack, "", @progbits
