/* SPDX-License-Identifier: Apache-2.0 */
/* The fonts of a framebuffer, as the build unpacked them (drivers/module.mk). */
	.section .rodata
	.globl font_small, font_small_end, font_large, font_large_end
	.balign 16
font_small:
	.incbin FONT_SMALL
font_small_end:
	.balign 16
font_large:
	.incbin FONT_LARGE
font_large_end:

	.section .note.GNU-stack, "", @progbits
