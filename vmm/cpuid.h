/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest's CPUID instruction answers.
 *
 * Policy `host`: this machine's features, as far as a whitelist of rows knows them; a bit that no
 * row names is zero. What we do not virtualise is not on the list: VMX and SVM, MONITOR,
 * performance counters, TXT, SGX, processor trace, TSX, MPX, protection keys, AMX, 57-bit
 * addresses, shadow stacks. Nor are IBRS, IBPB, STIBP, SSBD, MD_CLEAR and ARCH_CAPABILITIES: they
 * promise MSRs and behaviour that are the host's alone until vmm/msr.c passes them on, so a guest
 * sees none rather than half of them.
 *
 * The policy is built once; a VM whose TSC has a rate of its own has a copy that says so.
 * cpuid_answer() is on the exit path: it indexes, and fills in the few
 * words that differ by VM and vCPU or change as the guest runs. Pure, but for cpuid_hw.c.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include "kernel/lib/types.h"

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX, CPUID_REGS };

struct cpuid_answer {
	union {
		struct {
			uint32_t eax, ebx, ecx, edx;
		};
		uint32_t r[CPUID_REGS];
	};
};

/* Executes CPUID. Leaves above the CPU's highest are never asked for. */
typedef struct cpuid_answer cpuid_fn(uint32_t leaf, uint32_t subleaf);

/* What is the same for all guests of this machine. */
struct cpuid_conf {
	uint64_t xcr0_allowed; /* states that this host switches: bits of XCR0 */
	uint32_t tsc_khz;
	uint32_t lapic_hz; /* of our LAPIC's timer: the crystal, for CPUID 15h */
	uint8_t gpa_bits;
	bool has_hypervisor_leaf;
};

/* What differs by VM, vCPU or moment. */
struct cpuid_ctx {
	uint32_t vcpu_index; /* also the APIC ID */
	uint32_t nr_vcpus;
	uint64_t xcr0;
	bool has_osxsave; /* CR4.OSXSAVE */
	bool has_apic;	  /* IA32_APIC_BASE enable */
};

#define CPUID_BASIC_LEAVES 0x20u /* 0 to 0x1f */
#define CPUID_EXT_LEAVES   0x09u /* 0x80000000 to 0x80000008 */
#define CPUID_CACHE_LEAVES 6u	 /* subleaves of leaf 4 */
#define CPUID_XSTATES	   10u	 /* components of XCR0 that we know: 0 to 9 */
#define CPUID_HV_BASE	   0x40000000u
#define CPUID_HV_TIMING	   0x40000010u /* EAX: TSC kHz, EBX: LAPIC timer kHz; the highest of ours */
#define CPUID_HV_SIGNATURE "BilletBillet"

struct cpuid_policy {
	struct cpuid_answer basic[CPUID_BASIC_LEAVES]; /* subleaf 0 */
	struct cpuid_answer ext[CPUID_EXT_LEAVES];
	struct cpuid_answer cache[CPUID_CACHE_LEAVES];
	struct cpuid_answer features1; /* leaf 7, subleaf 1 */
	struct cpuid_answer xstate1;   /* leaf 0xd, subleaf 1 */
	struct cpuid_answer xstate[CPUID_XSTATES];
	struct cpuid_answer hv[2]; /* CPUID_HV_BASE, CPUID_HV_TIMING */
	uint64_t xcr0_valid;
	bool is_intel;
};

/* cpuid_build - from this machine's CPUID; host is called during the build only */
void cpuid_build(struct cpuid_policy *out, cpuid_fn *host, const struct cpuid_conf *conf);

/* cpuid_set_tsc - in a policy that is built: the TSC has this rate (leaves 15h, 16h, 40000010h) */
void cpuid_set_tsc(struct cpuid_policy *policy, uint32_t tsc_khz, uint32_t lapic_hz);

/* The policy `host`, built at boot by cpuid_host_init() (vmm/cpuid_hw.c), fixed from then on. */
extern struct cpuid_policy cpuid_host_policy;
void cpuid_host_init(void); /* boot CPU, once virt_caps is filled and the TSC calibrated */

/* cpuid_answer - any leaf and subleaf; what is not there is zero. Context: exit path. */
void cpuid_answer(const struct cpuid_policy *policy, const struct cpuid_ctx *ctx, uint32_t leaf,
		  uint32_t subleaf, struct cpuid_answer *out);

/* Basic leaves whose answer depends on neither VM, vCPU, moment nor subleaf. */
#define CPUID_FIXED_LEAVES                                                                         \
	(BIT(0x0) | BIT(0x2) | BIT(0x3) | BIT(0x5) | BIT(0x6) | BIT(0x8) | BIT(0x9) | BIT(0xa) |   \
	 BIT(0xc) | BIT(0xe) | BIT(0x11) | BIT(0x13))

/* cpuid_fixed - the answer to such a leaf; NULL: ask cpuid_answer() */
static inline const struct cpuid_answer *cpuid_fixed(const struct cpuid_policy *policy,
						     uint32_t leaf)
{
	if (leaf >= CPUID_BASIC_LEAVES || !(CPUID_FIXED_LEAVES >> leaf & 1))
		return NULL;
	return &policy->basic[leaf];
}

/* Bits of XCR0 that a guest may set; others are #GP. Combinations are the caller's. */
uint64_t cpuid_xcr0_valid(const struct cpuid_policy *policy);

/*
 * cpuid_tsc_ratio - TSC frequency as crystal * numerator / denominator
 *
 * The nearest ratio that systems can use: Linux multiplies crystal kHz and numerator in 32 bits.
 */
void cpuid_tsc_ratio(uint32_t tsc_khz, uint32_t crystal_hz, uint32_t *numerator,
		     uint32_t *denominator);

#endif
