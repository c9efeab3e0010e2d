/* SPDX-License-Identifier: Apache-2.0 */
/* What a CPU can do, in the words of Linux's /proc/cpuinfo, for people who choose a machine. Pure.
 */
#ifndef KERNEL_CPU_WORDS_H
#define KERNEL_CPU_WORDS_H

#include "kernel/lib/types.h"

struct cpu_word_regs {
	uint32_t eax, ebx, ecx, edx;
};

/* A leaf of CPUID, zeros where the CPU does not have it. */
typedef struct cpu_word_regs cpu_word_cpuid(uint32_t leaf, uint32_t subleaf);

/* cpu_words - those that matter to guests, divided by spaces; whole words only when cap is short */
void cpu_words(cpu_word_cpuid *read, char *out, size_t cap);

#endif
