/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU is taken as affected unless it says that it is not, so one from before a flaw was known
 * counts as having it.
 */
#include "kernel/mitigations.h"

#include "kernel/lib/fmt.h"

/* [SDM] "IA32_ARCH_CAPABILITIES": each bit means "not affected" */
#define ARCH_RDCL_NO	  BIT(0) /* neither Meltdown nor L1TF */
#define ARCH_L1D_FLUSH_NO BIT(3) /* SKIP_L1DFL_VMENTRY */
#define ARCH_MDS_NO	  BIT(5)
#define ARCH_TAA_NO	  BIT(8)
#define ARCH_SBDR_SSDP_NO BIT(13)
#define ARCH_FBSDP_NO	  BIT(14)
#define ARCH_PSDP_NO	  BIT(15)
#define ARCH_BHI_NO	  BIT(20)
#define ARCH_GDS_NO	  BIT(26)
#define ARCH_ITS_NO	  BIT(62)
#define ARCH_MMIO_NO	  (ARCH_SBDR_SSDP_NO | ARCH_FBSDP_NO | ARCH_PSDP_NO)

/* [APM] CPUID 80000021h EAX */
#define AMD_SRSO_NO BIT(29)

static const char *const names[SIDE_CHANNELS] = {
	[SIDE_SPECTRE_V2] = "spectre_v2",
	[SIDE_L1TF] = "l1tf",
	[SIDE_MDS] = "mds",
	[SIDE_TAA] = "taa",
	[SIDE_MMIO_STALE_DATA] = "mmio_stale_data",
	[SIDE_BHI] = "bhi",
	[SIDE_GDS] = "gds",
	[SIDE_ITS] = "its",
	[SIDE_SRSO] = "srso",
};

static uint32_t needed_on_intel(const struct cpu_facts *facts)
{
	uint64_t unaffected = facts->has_arch_caps ? facts->arch_caps : 0;
	uint32_t needed = BIT(SIDE_SPECTRE_V2);

	if (!(unaffected & (ARCH_RDCL_NO | ARCH_L1D_FLUSH_NO)))
		needed |= BIT(SIDE_L1TF);
	if (!(unaffected & ARCH_MDS_NO))
		needed |= BIT(SIDE_MDS);
	if (facts->has_rtm && !(unaffected & ARCH_TAA_NO))
		needed |= BIT(SIDE_TAA);
	if ((unaffected & ARCH_MMIO_NO) != ARCH_MMIO_NO)
		needed |= BIT(SIDE_MMIO_STALE_DATA);
	if (!(unaffected & ARCH_BHI_NO))
		needed |= BIT(SIDE_BHI);
	if (facts->has_avx2 && !(unaffected & ARCH_GDS_NO))
		needed |= BIT(SIDE_GDS);
	if (!(unaffected & ARCH_ITS_NO))
		needed |= BIT(SIDE_ITS);
	return needed;
}

uint32_t mitigations_needed(const struct cpu_facts *facts)
{
	if (facts->is_intel)
		return needed_on_intel(facts);
	if (facts->is_amd)
		return (uint32_t)(BIT(SIDE_SPECTRE_V2) |
				  (facts->amd_leaf_21_eax & AMD_SRSO_NO ? 0 : BIT(SIDE_SRSO)));
	return BIT(SIDE_SPECTRE_V2);
}

static size_t append(char *dst, size_t cap, size_t at, const char *text)
{
	return at < cap ? at + fmt(dst + at, cap - at, "%s", text) : at;
}

static size_t append_names(char *dst, size_t cap, size_t at, const char *title, uint32_t set)
{
	at = append(dst, cap, at, title);
	for (uint32_t i = 0; i < SIDE_CHANNELS; i++)
		if (set & BIT(i)) {
			at = append(dst, cap, at, " ");
			at = append(dst, cap, at, names[i]);
		}
	return at;
}

void mitigations_describe(uint32_t needed, uint32_t in_force, char *dst, size_t cap)
{
	uint32_t missing = needed & ~in_force;
	size_t at = 0;

	if (!needed) {
		append(dst, cap, 0, "none needed");
		return;
	}
	if (needed & in_force)
		at = append_names(dst, cap, at, "in force:", needed & in_force);
	if (missing) {
		if (at > 0)
			at = append(dst, cap, at, "; ");
		append_names(dst, cap, at,
			     at > 0 ? "missing:" : "none in force; missing:", missing);
	}
}
