/* SPDX-License-Identifier: Apache-2.0 */
/* Steps in the life of a CPU that kernel/cpu.c and kernel/cpu_start.c share. Boot only. */
#ifndef KERNEL_CPU_START_H
#define KERNEL_CPU_START_H

/* A page that neither firmware's tables nor the allocator use: below 0x7c00 lies the BIOS's data,
 * from 0x9f000 its extension, and memory_init keeps off the first MiB. */
#define AP_TRAMPOLINE_HPA 0x8000

#ifndef __ASSEMBLER__

#	include "kernel/cpu_arch.h"

/* Fill in what a CPU will find; before it runs. Keeps arch and stacks. */
void cpu_prepare(struct cpu *cpu, struct cpu_arch *arch, uint32_t index, void *stacks);
/* On the CPU itself: its descriptor tables and GS. this_cpu() works from here on. */
void cpu_enter(struct cpu *cpu);
/* On the CPU itself: others may see it. */
void cpu_set_online(void);

#endif
#endif
