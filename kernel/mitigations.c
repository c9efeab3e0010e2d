/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU is taken as affected unless it says that it is not, so one from before a flaw was known
 * counts as having it. The exceptions are flaws of few models, whose unaffected contemporaries were
 * never taught to say so: GDS, RFDS and TSA have lists, ITS and BHI a rule.
 */
#include "kernel/mitigations.h"

#include "kernel/lib/fmt.h"
#include "kernel/mitigations_asm.h"
#include "kernel/mitigations_rules.h"

static_assert(MITIGATIONS_MEASURES == offsetof(struct mitigations, measures),
	      "code at entry reads it");
static_assert(MITIGATIONS_RSB_ROUNDS == offsetof(struct mitigations, rsb_rounds), "the same");
static_assert(MITIGATIONS_SPEC_CTRL == offsetof(struct mitigations, spec_ctrl), "the same");
static_assert(MEASURES_IBRS == BIT(MEASURE_IBRS), "code at entry tests it");
static_assert(MEASURES_BHB_CLEAR == BIT(MEASURE_BHB_CLEAR), "the same");
static_assert(MEASURES_IBPB_ON_EXIT == BIT(MEASURE_IBPB_ON_EXIT), "the same");
static_assert(MEASURES_DIV_CLEAR == BIT(MEASURE_DIV_CLEAR), "the same");

/* [SDM] CPUID leaf 7 */
#define LEAF7_EBX_AVX2	    BIT(5)
#define LEAF7_EBX_RTM	    BIT(11)
#define LEAF7_EDX_MD_CLEAR  BIT(10)
#define LEAF7_EDX_IBRS_IBPB BIT(26)
#define LEAF7_EDX_L1D_FLUSH BIT(28)
#define LEAF7_2_BHI_CTRL    BIT(4)

/* [SDM] "IA32_ARCH_CAPABILITIES": _NO means "not affected" */
#define ARCH_RDCL_NO	  BIT(0) /* neither Meltdown nor L1TF */
#define ARCH_IBRS_ALL	  BIT(1) /* enhanced IBRS */
#define ARCH_L1D_FLUSH_NO BIT(3) /* SKIP_L1DFL_VMENTRY */
#define ARCH_MDS_NO	  BIT(5)
#define ARCH_TSX_CTRL	  BIT(7)
#define ARCH_TAA_NO	  BIT(8)
#define ARCH_SBDR_SSDP_NO BIT(13)
#define ARCH_FBSDP_NO	  BIT(14)
#define ARCH_PSDP_NO	  BIT(15)
#define ARCH_FB_CLEAR	  BIT(17) /* VERW clears fill buffers */
#define ARCH_BHI_NO	  BIT(20)
#define ARCH_PBRSB_NO	  BIT(24)
#define ARCH_GDS_CTRL	  BIT(25) /* microcode closes GDS, unless told not to */
#define ARCH_GDS_NO	  BIT(26)
#define ARCH_RFDS_NO	  BIT(27)
#define ARCH_RFDS_CLEAR	  BIT(28) /* VERW clears register files */
#define ARCH_ITS_NO	  BIT(62)
#define ARCH_MMIO_NO	  (ARCH_SBDR_SSDP_NO | ARCH_FBSDP_NO | ARCH_PSDP_NO)

#define SPEC_CTRL_BHI_DIS_S BIT(10)

#define RSB_ROUNDS_PBRSB                                                                           \
	1 /* enhanced IBRS keeps the guest's entries away, but for the last one                    \
	   */

#define FAMILY_INTEL 6

/* Skylake to Tiger Lake and Rocket Lake. [INTELSEC] "Affected Processors": those with GDS */
static const uint8_t skylake_to_rocket_lake[] = {0x4e, 0x5e, 0x55, 0x8e, 0x9e, 0xa5, 0xa6, 0x66,
						 0x7d, 0x7e, 0x6a, 0x6c, 0x8c, 0x8d, 0xa7};
/* The same: Goldmont to Gracemont, alone or beside larger cores */
static const uint8_t rfds_models[] = {0x5c, 0x5f, 0x7a, 0x86, 0x96, 0x9c,
				      0x97, 0x9a, 0xb7, 0xba, 0xbf, 0xbe};

static const char *const channel_names[SIDE_CHANNELS] = {
	[SIDE_SPECTRE_V2] = "spectre_v2",
	[SIDE_L1TF] = "l1tf",
	[SIDE_MDS] = "mds",
	[SIDE_TAA] = "taa",
	[SIDE_MMIO_STALE_DATA] = "mmio_stale_data",
	[SIDE_RFDS] = "rfds",
	[SIDE_BHI] = "bhi",
	[SIDE_GDS] = "gds",
	[SIDE_ITS] = "its",
	[SIDE_CROSS_THREAD] = "cross_thread",
	[SIDE_BTC] = "btc",
	[SIDE_SRSO] = "srso",
	[SIDE_TSA] = "tsa",
	[SIDE_DIV0] = "div0",
	[SIDE_ZENBLEED] = "zenbleed",
};

static const char *const measure_names[MEASURES] = {
	[MEASURE_EIBRS] = "eibrs",
	[MEASURE_IBRS] = "ibrs",
	[MEASURE_IBPB] = "ibpb",
	[MEASURE_RSB_FILL] = "rsb-fill",
	[MEASURE_L1D_FLUSH] = "l1d-flush",
	[MEASURE_L1D_FILL] = "l1d-fill",
	[MEASURE_VERW] = "verw",
	[MEASURE_BHI_DIS_S] = "bhi-dis-s",
	[MEASURE_BHB_CLEAR] = "bhb-clear",
	[MEASURE_GDS_CTRL] = "gds-microcode",
	[MEASURE_AUTO_IBRS] = "auto-ibrs",
	[MEASURE_STIBP] = "stibp",
	[MEASURE_IBPB_ON_EXIT] = "ibpb-on-exit",
	[MEASURE_BP_SPEC_REDUCE] = "bp-spec-reduce",
	[MEASURE_DIV_CLEAR] = "div-clear",
	[MEASURE_FP_BACKUP_FIX] = "fp-backup-fix",
	[MEASURE_SMT_OFF] = "smt-off",
};

/* ---- the CPU ---- */

/* [SDM] CPUID leaf 1: the extended parts count for family 6 and, in the family, for 15 */
uint32_t mitigations_family(const struct cpu_facts *facts)
{
	uint32_t family = facts->leaf1_eax >> 8 & 0xf;

	return family == 0xf ? family + (facts->leaf1_eax >> 20 & 0xff) : family;
}

uint32_t mitigations_model(const struct cpu_facts *facts)
{
	return (facts->leaf1_eax >> 12 & 0xf0) | (facts->leaf1_eax >> 4 & 0xf);
}

static bool is_among(const struct cpu_facts *facts, const uint8_t *models, size_t count)
{
	uint32_t model = mitigations_model(facts);

	if (!facts->is_intel || mitigations_family(facts) != FAMILY_INTEL)
		return false;
	for (size_t i = 0; i < count; i++)
		if (models[i] == model)
			return true;
	return false;
}

static bool has_ibrs(const struct cpu_facts *facts)
{
	return facts->leaf7_edx & LEAF7_EDX_IBRS_IBPB;
}

static bool has_eibrs(const struct cpu_facts *facts)
{
	return has_ibrs(facts) && (facts->arch_caps & ARCH_IBRS_ALL);
}

static bool has_rfds(const struct cpu_facts *facts)
{
	if (facts->arch_caps & ARCH_RFDS_NO)
		return false;
	return (facts->arch_caps & ARCH_RFDS_CLEAR) ||
	       is_among(facts, rfds_models, ARRAY_SIZE(rfds_models));
}

static uint32_t needed_on_intel(const struct cpu_facts *facts)
{
	uint64_t caps = facts->arch_caps;
	uint32_t needed = BIT(SIDE_SPECTRE_V2);

	needed |= if_bit(!(caps & (ARCH_RDCL_NO | ARCH_L1D_FLUSH_NO)), SIDE_L1TF);
	needed |= if_bit(!(caps & ARCH_MDS_NO), SIDE_MDS);
	needed |= if_bit((facts->leaf7_ebx & LEAF7_EBX_RTM) && !(caps & ARCH_TAA_NO), SIDE_TAA);
	needed |= if_bit((caps & ARCH_MMIO_NO) != ARCH_MMIO_NO, SIDE_MMIO_STALE_DATA);
	needed |= if_bit(has_rfds(facts), SIDE_RFDS);
	/* Both are ways around enhanced IBRS; ITS ended with the generation that got BHI_CTRL. */
	needed |= if_bit(has_eibrs(facts) && !(caps & ARCH_BHI_NO), SIDE_BHI);
	needed |= if_bit(has_eibrs(facts) && !(facts->leaf7_2_edx & LEAF7_2_BHI_CTRL) &&
				 !(caps & ARCH_ITS_NO),
			 SIDE_ITS);
	needed |= if_bit(
		(facts->leaf7_ebx & LEAF7_EBX_AVX2) && !(caps & ARCH_GDS_NO) &&
			is_among(facts, skylake_to_rocket_lake, ARRAY_SIZE(skylake_to_rocket_lake)),
		SIDE_GDS);
	if (facts->has_smt && (needed & (BIT(SIDE_L1TF) | BIT(SIDE_MDS) | BIT(SIDE_TAA))))
		needed |= BIT(SIDE_CROSS_THREAD);
	return needed;
}

static uint32_t needed_on(const struct cpu_facts *facts)
{
	if (facts->is_intel)
		return needed_on_intel(facts);
	return facts->is_amd ? mitigations_needed_on_amd(facts) : BIT(SIDE_SPECTRE_V2);
}

/* ---- the measures ---- */

static void close_spectre_v2(const struct cpu_facts *facts, struct mitigations *m)
{
	bool is_enhanced = has_eibrs(facts);

	m->measures |= if_bit(has_ibrs(facts), MEASURE_IBPB);
	m->rsb_rounds = !is_enhanced			      ? RSB_ROUNDS_ALL
			: !(facts->arch_caps & ARCH_PBRSB_NO) ? RSB_ROUNDS_PBRSB
							      : 0;
	m->measures |= if_bit(m->rsb_rounds > 0, MEASURE_RSB_FILL);
	if (has_ibrs(facts)) {
		m->measures |= BIT(is_enhanced ? MEASURE_EIBRS : MEASURE_IBRS);
		m->spec_ctrl |= SPEC_CTRL_IBRS;
		m->closed |= BIT(SIDE_SPECTRE_V2);
	}
}

static void close_bhi(const struct cpu_facts *facts, struct mitigations *m)
{
	if (!(m->needed & BIT(SIDE_BHI)))
		return;
	if (facts->leaf7_2_edx & LEAF7_2_BHI_CTRL) {
		m->measures |= BIT(MEASURE_BHI_DIS_S);
		m->spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
		m->closed |= BIT(SIDE_BHI);
	} else {
		m->measures |= BIT(MEASURE_BHB_CLEAR);
		m->closed |= if_bit(
			is_among(facts, skylake_to_rocket_lake, ARRAY_SIZE(skylake_to_rocket_lake)),
			SIDE_BHI);
	}
}

static enum measure l1d_measure(const struct cpu_facts *facts)
{
	return facts->leaf7_edx & LEAF7_EDX_L1D_FLUSH ? MEASURE_L1D_FLUSH : MEASURE_L1D_FILL;
}

/*
 * Which channels VERW closes with this microcode. MD_CLEAR promises all buffers to a CPU that has
 * MDS. One that has only TAA or stale MMIO data got the same by the update that brought TSX_CTRL or
 * FB_CLEAR.
 */
static uint32_t verw_closes(const struct cpu_facts *facts)
{
	uint64_t caps = facts->arch_caps;
	bool has_md_clear = facts->leaf7_edx & LEAF7_EDX_MD_CLEAR;
	bool clears_all = has_md_clear && !(caps & ARCH_MDS_NO);

	return if_bit(clears_all, SIDE_MDS) |
	       if_bit(clears_all || (has_md_clear && (caps & ARCH_TSX_CTRL)), SIDE_TAA) |
	       if_bit((caps & ARCH_FB_CLEAR) ||
			      (clears_all && (facts->leaf7_edx & LEAF7_EDX_L1D_FLUSH)),
		      SIDE_MMIO_STALE_DATA) |
	       if_bit(caps & ARCH_RFDS_CLEAR, SIDE_RFDS);
}

static void close_data_leaks(const struct cpu_facts *facts, struct mitigations *m)
{
	uint32_t by_verw = m->needed & verw_closes(facts);

	m->closed |= by_verw;
	m->measures |= if_bit(by_verw != 0, MEASURE_VERW);
	if (m->needed & BIT(SIDE_L1TF)) {
		m->closed |= BIT(SIDE_L1TF);
		m->measures |= BIT(l1d_measure(facts));
	}
	if ((m->needed & BIT(SIDE_GDS)) && (facts->arch_caps & ARCH_GDS_CTRL)) {
		m->closed |= BIT(SIDE_GDS);
		m->measures |= BIT(MEASURE_GDS_CTRL);
	}
}

static void close_cross_thread(const struct cpu_facts *facts, enum smt_mode smt,
			       struct mitigations *m)
{
	bool is_needed = m->needed & ~m->closed & BIT(SIDE_CROSS_THREAD);

	if (facts->has_smt && (smt == SMT_OFF || (smt == SMT_AUTO && is_needed))) {
		m->measures |= BIT(MEASURE_SMT_OFF);
		m->closed |= m->needed & BIT(SIDE_CROSS_THREAD);
	}
}

/* Closes nothing: what it adds is not needed, or this microcode does not make it work. */
static void force(const struct cpu_facts *facts, struct mitigations *m)
{
	m->measures |= BIT(MEASURE_RSB_FILL) | BIT(MEASURE_VERW);
	m->rsb_rounds = RSB_ROUNDS_ALL;
	if (facts->is_amd)
		mitigations_force_on_amd(facts, m);
	else
		m->measures |= BIT(MEASURE_BHB_CLEAR) | BIT(l1d_measure(facts));
}

void mitigations_choose(const struct cpu_facts *facts, enum mitigations_mode mode,
			enum smt_mode smt, struct mitigations *out)
{
	*out = (struct mitigations){.needed = needed_on(facts)};
	if (mode == MITIGATIONS_OFF) {
		if (smt == SMT_OFF)
			close_cross_thread(facts, smt, out);
		return;
	}
	if (facts->is_amd) {
		mitigations_close_on_amd(facts, smt, out);
	} else {
		close_spectre_v2(facts, out);
		close_bhi(facts, out);
		close_data_leaks(facts, out);
	}
	close_cross_thread(facts, smt, out);
	if (mode == MITIGATIONS_FORCE)
		force(facts, out);
}

/* ---- in words ---- */

static size_t append(char *dst, size_t cap, size_t at, const char *prefix, const char *name)
{
	return at < cap ? at + fmt(dst + at, cap - at, "%s%s%s", at > 0 ? " " : "", prefix, name)
			: at;
}

void mitigations_describe(const struct mitigations *chosen, char *dst, size_t cap)
{
	uint32_t missing = chosen->needed & ~chosen->closed;
	size_t at = 0;

	dst[0] = 0;
	for (uint32_t i = 0; i < MEASURES; i++)
		if (chosen->measures & BIT(i))
			at = append(dst, cap, at, "", measure_names[i]);
	for (uint32_t i = 0; i < SIDE_CHANNELS; i++)
		if (missing & BIT(i))
			at = append(dst, cap, at, "missing:", channel_names[i]);
}
