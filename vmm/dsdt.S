/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/dsdt.asl as iasl compiled it. */
	.section .rodata
	.balign 16
	.global dsdt_aml, dsdt_aml_end
dsdt_aml:
	.incbin "build/vmm/dsdt.aml"
dsdt_aml_end:

	.section .note.GNU-stack, "", @progbits
