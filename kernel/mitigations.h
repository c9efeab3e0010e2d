/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which side channels this CPU has, from what CPUID and ARCH_CAPABILITIES say of it. The list is
 * only of those that cross from a guest to us or to another guest. A guest's own kernel against its
 * own programs is the guest's matter, and so is Meltdown: nothing of ours is mapped where a guest
 * runs.
 *
 * Source: [SDM] "IA32_ARCH_CAPABILITIES", [INTELSEC] "Affected Processors", [APM] "Speculation
 * Control".
 */
#ifndef KERNEL_MITIGATIONS_H
#define KERNEL_MITIGATIONS_H

#include "kernel/lib/types.h"

enum side_channel {
	SIDE_SPECTRE_V2, /* branch predictions of another VM */
	SIDE_L1TF,
	SIDE_MDS,
	SIDE_TAA,
	SIDE_MMIO_STALE_DATA,
	SIDE_BHI,
	SIDE_GDS,
	SIDE_ITS,
	SIDE_SRSO,
	SIDE_CHANNELS
};

struct cpu_facts {
	bool is_intel, is_amd;
	bool has_rtm, has_avx2;	  /* CPUID 7 EBX bits 11 and 5 */
	bool has_arch_caps;	  /* CPUID 7 EDX bit 29 */
	uint64_t arch_caps;	  /* the MSR, 0 without it */
	uint32_t amd_leaf_21_eax; /* CPUID 80000021h, 0 without it */
};

/* mitigations_needed - a bit (1 << enum side_channel) for each that this CPU may have */
uint32_t mitigations_needed(const struct cpu_facts *facts);

/* mitigations_describe - "none needed", or "in force: a b; missing: c d", or half of it */
void mitigations_describe(uint32_t needed, uint32_t in_force, char *dst, size_t cap);

/* The same of this machine; the text lives for ever. Boot CPU first, any CPU later. */
const char *mitigations_text(void);

#endif
