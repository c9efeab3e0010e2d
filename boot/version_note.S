/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version as an ELF note, so that tools can read it out of an image: owner "Billet", type 1, a
 * zero-terminated text (`readelf -n build/billet.elf`).
 */
	.section .note.billet, "a", @note
	.balign 4
	.long 2f - 1f		/* length of the owner's name */
	.long 4f - 3f		/* length of the version */
	.long 1			/* type */
1:	.asciz "Billet"
2:	.balign 4
3:	.asciz BILLET_VERSION
4:	.balign 4
