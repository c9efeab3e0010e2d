/* SPDX-License-Identifier: Apache-2.0 */
/* Steps in the life of a CPU that kernel/cpu.c and kernel/cpu_start.c share. Boot only. */
#ifndef KERNEL_CPU_START_H
#define KERNEL_CPU_START_H

#include "kernel/cpu_arch.h"

/* Fill in what a CPU will find; before it runs. Keeps arch and stacks. */
void cpu_prepare(struct cpu *cpu, struct cpu_arch *arch, uint32_t index, void *stacks);
/* On the CPU itself: its descriptor tables and GS. this_cpu() works from here on. */
void cpu_enter(struct cpu *cpu);
/* On the CPU itself: others may see it. */
void cpu_set_online(void);

#endif
