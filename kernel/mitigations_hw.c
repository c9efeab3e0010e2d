/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU says of itself. Nothing is in force until the entry path does it. */
#include "kernel/cpu_hw.h"
#include "kernel/mitigations.h"

#define MSR_ARCH_CAPABILITIES 0x10au

#define LEAF7_EBX_AVX2	    BIT(5)
#define LEAF7_EBX_RTM	    BIT(11)
#define LEAF7_EDX_ARCH_CAPS BIT(29)

#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */
#define VENDOR_AMD_EBX	 0x68747541u /* "Auth" */

static struct cpu_facts facts_of_this_cpu(void)
{
	struct cpuid_regs vendor = cpuid(0, 0), leaf7 = cpuid_if_present(7, 0);
	struct cpu_facts facts = {
		.is_intel = vendor.ebx == VENDOR_INTEL_EBX,
		.is_amd = vendor.ebx == VENDOR_AMD_EBX,
		.has_rtm = leaf7.ebx & LEAF7_EBX_RTM,
		.has_avx2 = leaf7.ebx & LEAF7_EBX_AVX2,
		.has_arch_caps = leaf7.edx & LEAF7_EDX_ARCH_CAPS,
		.amd_leaf_21_eax = cpuid_if_present(0x80000021u, 0).eax,
	};

	if (facts.has_arch_caps)
		facts.has_arch_caps = rdmsr_safe(MSR_ARCH_CAPABILITIES, &facts.arch_caps);
	return facts;
}

const char *mitigations_text(void)
{
	static char text[192];

	if (text[0] == 0) {
		struct cpu_facts facts = facts_of_this_cpu();

		mitigations_describe(mitigations_needed(&facts), 0, text, sizeof(text));
	}
	return text;
}
