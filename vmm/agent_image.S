/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's ELF file, as bytes. vmm/module.mk says which file it is. */
	.section .rodata, "a"
	.balign 4096
	.global agent_image, agent_image_end
agent_image:
	.incbin AGENT_IMAGE
agent_image_end:
