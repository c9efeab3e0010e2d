/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which flaws a CPU is taken to have, what is done about them, and how that reads. Each generation
 * stands with the feature words that it shows with microcode of 2023 or later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/mitigations.h"

/* [SDM] CPUID leaf 7 EDX: md_clear, spec_ctrl, stibp, flush_l1d, arch_capabilities, ssbd */
#define EDX_OLD	 0x9c000400u /* without arch_capabilities */
#define EDX_NEW	 0xbc000400u
#define EBX_AVX2 0x20u
#define EBX_RTM	 0x800u
#define BHI_CTRL 0x10u

static const struct cpu_facts broadwell = {.is_intel = true,
					   .has_smt = true,
					   .leaf1_eax = 0x406f1,
					   .leaf7_ebx = EBX_AVX2 | EBX_RTM,
					   .leaf7_edx = EDX_OLD};
/* Microcode from before 2018 */
static const struct cpu_facts broadwell_old = {
	.is_intel = true, .has_smt = true, .leaf1_eax = 0x406f1, .leaf7_ebx = EBX_AVX2 | EBX_RTM};
/* RSBA, GDS_CTRL */
static const struct cpu_facts skylake_sp = {.is_intel = true,
					    .has_smt = true,
					    .leaf1_eax = 0x50654,
					    .leaf7_ebx = EBX_AVX2 | EBX_RTM,
					    .leaf7_edx = EDX_NEW,
					    .arch_caps = 0x2000004};
/* RDCL_NO, IBRS_ALL, SKIP_L1DFL, MDS_NO, TSX_CTRL, FB_CLEAR, GDS_CTRL */
static const struct cpu_facts cascade_lake = {.is_intel = true,
					      .has_smt = true,
					      .leaf1_eax = 0x50657,
					      .leaf7_ebx = EBX_AVX2 | EBX_RTM,
					      .leaf7_edx = EDX_NEW,
					      .arch_caps = 0x20200ab};
/* and PSCHANGE_MC_NO, TAA_NO, SBDR_SSDP_NO; PSDP and FBSDP are open */
static const struct cpu_facts ice_lake_sp = {.is_intel = true,
					     .has_smt = true,
					     .leaf1_eax = 0x606a6,
					     .leaf7_ebx = EBX_AVX2 | EBX_RTM,
					     .leaf7_edx = EDX_NEW,
					     .arch_caps = 0x20221eb};
/* RDCL_NO, IBRS_ALL, SKIP_L1DFL, MDS_NO, PSCHANGE_MC_NO, TAA_NO, the three of MMIO */
static const struct cpu_facts sapphire_rapids = {.is_intel = true,
						 .has_smt = true,
						 .leaf1_eax = 0x806f8,
						 .leaf7_ebx = EBX_AVX2 | EBX_RTM,
						 .leaf7_edx = EDX_NEW,
						 .leaf7_2_edx = BHI_CTRL,
						 .arch_caps = 0xe16b};
/* and PBRSB_NO */
static const struct cpu_facts granite_rapids = {.is_intel = true,
						.has_smt = true,
						.leaf1_eax = 0xa06d1,
						.leaf7_ebx = EBX_AVX2 | EBX_RTM,
						.leaf7_edx = EDX_NEW,
						.leaf7_2_edx = BHI_CTRL,
						.arch_caps = 0x100e16b};
/* Atom server cores before Gracemont: RDCL_NO, IBRS_ALL, SKIP_L1DFL, MDS_NO, TAA_NO, RFDS_CLEAR */
static const struct cpu_facts snow_ridge = {
	.is_intel = true, .leaf1_eax = 0x80667, .leaf7_edx = EDX_NEW, .arch_caps = 0x1000e12b};
/* [APM] CPUID 80000008h EBX: IBPB, IBRS, STIBP; BTC_NO */
#define IBPB	     0x1000u
#define IBRS	     0x4000u
#define STIBP	     0x8000u
#define BTC_NO	     0x20000000u
/* 80000021h EAX: VERW_CLEAR, AutomaticIBRS, SRSO_USER_KERNEL_NO, SRSO_MSR_FIX */
#define VERW_CLEAR   0x20u
#define AUTO_IBRS    0x100u
#define SRSO_USER_NO 0x40000000u
#define SRSO_MSR_FIX 0x80000000u

/* EPYC 7001, 7002, 7003, 9004 and 9005; the last three with microcode of 2025 */
static const struct cpu_facts zen1 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0x800f12,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = IBPB};
static const struct cpu_facts zen2 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0x830f10,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = IBPB | IBRS | STIBP};
static const struct cpu_facts zen3 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0xa00f11,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = IBPB | IBRS | STIBP | BTC_NO,
				      .ext21_eax = VERW_CLEAR,
				      .takes_sbpb = true};
static const struct cpu_facts zen4 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0xa10f11,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = IBPB | IBRS | STIBP | BTC_NO,
				      .ext21_eax = VERW_CLEAR | AUTO_IBRS,
				      .takes_sbpb = true};
static const struct cpu_facts zen5 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0xb00f21,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = IBPB | IBRS | STIBP | BTC_NO,
				      .ext21_eax = AUTO_IBRS | SRSO_USER_NO | SRSO_MSR_FIX};
/* Opteron 6300: microcode of 2018 brought IBPB */
static const struct cpu_facts piledriver = {
	.is_amd = true, .leaf1_eax = 0x600f20, .ext8_ebx = IBPB};

static struct mitigations chosen_for(const struct cpu_facts *facts)
{
	struct mitigations m;

	mitigations_choose(facts, MITIGATIONS_AUTO, SMT_AUTO, &m);
	return m;
}

static void assert_reads(const struct cpu_facts *facts, enum mitigations_mode mode,
			 enum smt_mode smt, const char *expected)
{
	char text[MITIGATIONS_TEXT_MAX];
	struct mitigations m;

	mitigations_choose(facts, mode, smt, &m);
	mitigations_describe(&m, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void assert_auto(const struct cpu_facts *facts, const char *expected)
{
	assert_reads(facts, MITIGATIONS_AUTO, SMT_AUTO, expected);
}

static void knows_what_each_intel_generation_needs(void **state)
{
	(void)state;
	assert_auto(&broadwell, "ibrs ibpb rsb-fill l1d-flush verw smt-off");
	assert_auto(&skylake_sp, "ibrs ibpb rsb-fill l1d-flush verw gds-microcode smt-off");
	assert_auto(&cascade_lake,
		    "eibrs ibpb rsb-fill verw bhb-clear gds-microcode smt-off missing:its");
	assert_auto(&ice_lake_sp, "eibrs ibpb rsb-fill verw bhb-clear gds-microcode missing:its");
	assert_auto(&sapphire_rapids, "eibrs ibpb rsb-fill bhi-dis-s");
	assert_auto(&granite_rapids, "eibrs ibpb bhi-dis-s");
	assert_auto(&snow_ridge, "eibrs ibpb rsb-fill verw bhb-clear missing:bhi missing:its");
}

static void knows_what_each_amd_generation_needs(void **state)
{
	(void)state;
	assert_auto(&piledriver, "rsb-fill ibpb-on-exit");
	assert_auto(&zen1, "rsb-fill ibpb-on-exit div-clear smt-off");
	assert_auto(&zen2, "rsb-fill stibp ibpb-on-exit fp-backup-fix");
	assert_auto(&zen3, "rsb-fill verw stibp ibpb-on-exit");
	assert_auto(&zen4, "verw auto-ibrs stibp ibpb-on-exit");
	assert_auto(&zen5, "ibpb auto-ibrs stibp bp-spec-reduce");
}

static void says_what_old_microcode_of_amd_leaves_open(void **state)
{
	struct cpu_facts facts = zen3;

	(void)state;
	facts.takes_sbpb = false;
	facts.ext21_eax = 0;
	assert_auto(&facts, "ibrs ibpb rsb-fill stibp missing:srso missing:tsa");
	facts.ext21_eax = BIT(28); /* IBPB_BRTYPE: a hypervisor below says so in CPUID */
	assert_auto(&facts, "rsb-fill stibp ibpb-on-exit missing:tsa");
	facts = zen1;
	facts.ext8_ebx = 0;
	assert_auto(&facts,
		    "rsb-fill div-clear smt-off missing:spectre_v2 missing:btc missing:srso");
	facts = zen4;
	facts.takes_sbpb = false;
	assert_auto(&facts, "ibpb verw auto-ibrs stibp missing:srso");
}

static void believes_amd_cpus_that_say_no(void **state)
{
	struct cpu_facts facts = zen3;

	(void)state;
	facts.ext21_eax = BIT(29);	   /* SRSO_NO */
	facts.ext21_ecx = BIT(1) | BIT(2); /* TSA_SQ_NO, TSA_L1_NO */
	assert_auto(&facts, "ibrs ibpb rsb-fill stibp");
	facts.ext21_ecx = BIT(1); /* one of the two is not enough */
	assert_true(chosen_for(&facts).needed & BIT(SIDE_TSA));
	facts = zen2;
	facts.ext8_ebx |= BTC_NO;
	assert_false(chosen_for(&facts).needed & BIT(SIDE_BTC));
}

static void keeps_amds_threads_apart(void **state)
{
	struct cpu_facts facts = zen2;

	(void)state;
	assert_reads(&zen1, MITIGATIONS_AUTO, SMT_ON,
		     "rsb-fill ibpb-on-exit div-clear missing:cross_thread");
	assert_reads(&zen2, MITIGATIONS_AUTO, SMT_OFF,
		     "rsb-fill ibpb-on-exit fp-backup-fix smt-off");
	facts.has_smt = false;
	assert_auto(&facts, "rsb-fill ibpb-on-exit fp-backup-fix");
	assert_false(chosen_for(&facts).needed & BIT(SIDE_CROSS_THREAD));
}

static void takes_amds_models_apart(void **state)
{
	static const struct {
		uint32_t leaf1_eax, needed;
	} rows[] = {
		{0x00800f82, BIT(SIDE_DIV0)},	  /* Zen+ */
		{0x00850f00, BIT(SIDE_DIV0)},	  /* Fenghuang, Zen */
		{0x00870f10, BIT(SIDE_ZENBLEED)}, /* Matisse */
		{0x008a0f00, BIT(SIDE_ZENBLEED)}, /* Mendocino */
		{0x00900f11, BIT(SIDE_DIV0)},	  /* Hygon Dhyana */
		{0x00a20f12, BIT(SIDE_TSA)},	  /* Vermeer, Zen 3 */
		{0x00b40f40, 0},		  /* Granite Ridge, Zen 5 */
		{0x00600f20, 0},
	};
	const uint32_t told_apart = BIT(SIDE_DIV0) | BIT(SIDE_ZENBLEED) | BIT(SIDE_TSA);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cpu_facts facts = {.is_amd = true, .leaf1_eax = rows[i].leaf1_eax};

		assert_int_equal(chosen_for(&facts).needed & told_apart, rows[i].needed);
	}
}

/* SPEC_CTRL.IBRS is on only where predictions are neither thrown away nor kept apart. */
static void writes_amds_registers(void **state)
{
	struct cpu_facts facts = zen3;

	(void)state;
	assert_int_equal(chosen_for(&zen1).spec_ctrl, 0);
	assert_int_equal(chosen_for(&zen2).spec_ctrl, 2);
	assert_int_equal(chosen_for(&zen5).spec_ctrl, 2);
	facts.takes_sbpb = false;
	assert_int_equal(chosen_for(&facts).spec_ctrl, 3);
	assert_int_equal(chosen_for(&zen2).rsb_rounds, 16);
	assert_int_equal(chosen_for(&zen4).rsb_rounds, 0);
	facts = zen2;
	facts.ext8_ebx |= BIT(30); /* IBPB_RET */
	assert_int_equal(chosen_for(&facts).rsb_rounds, 0);
	assert_false(chosen_for(&facts).measures & BIT(MEASURE_RSB_FILL));
}

static void forces_on_amd_what_this_cpu_takes(void **state)
{
	struct cpu_facts facts = {.is_amd = true, .leaf1_eax = 0x800f12};

	(void)state;
	assert_reads(&facts, MITIGATIONS_FORCE, SMT_AUTO,
		     "rsb-fill verw div-clear missing:spectre_v2 missing:btc missing:srso");
	facts.takes_pred_cmd = facts.has_spec_ctrl = true;
	assert_reads(&facts, MITIGATIONS_FORCE, SMT_AUTO,
		     "ibrs rsb-fill verw ibpb-on-exit div-clear missing:spectre_v2 missing:btc "
		     "missing:srso");
	assert_reads(&facts, MITIGATIONS_AUTO, SMT_AUTO,
		     "rsb-fill div-clear missing:spectre_v2 missing:btc missing:srso");
}

static void guards_no_entry_of_a_cpu_that_needs_nothing_there(void **state)
{
	(void)state;
	assert_false(chosen_for(&granite_rapids).measures & MEASURES_AT_ENTRY);
	assert_true(chosen_for(&sapphire_rapids).measures & MEASURES_AT_ENTRY);
	assert_true(chosen_for(&broadwell).measures & MEASURES_AT_ENTRY);
	assert_false(chosen_for(&zen5).measures & MEASURES_AT_ENTRY);
	assert_true(chosen_for(&zen4).measures & MEASURES_AT_ENTRY);
}

static void says_what_old_microcode_leaves_open(void **state)
{
	(void)state;
	assert_auto(&broadwell_old,
		    "rsb-fill l1d-fill smt-off missing:spectre_v2 missing:mds missing:taa "
		    "missing:mmio_stale_data");
}

static void believes_verw_only_where_microcode_taught_it(void **state)
{
	struct cpu_facts facts = cascade_lake;

	(void)state;
	facts.arch_caps &= ~(uint64_t)BIT(17);
	assert_false(chosen_for(&facts).closed & BIT(SIDE_MMIO_STALE_DATA));
	assert_true(chosen_for(&facts).closed & BIT(SIDE_TAA));
	facts.arch_caps &= ~(uint64_t)BIT(7);
	assert_false(chosen_for(&facts).closed & BIT(SIDE_TAA));
	assert_false(chosen_for(&facts).measures & BIT(MEASURE_VERW));
	facts = zen4;
	facts.ext21_eax = 0;
	assert_false(chosen_for(&facts).closed & BIT(SIDE_TSA));
}

static void does_not_trust_branches_against_a_longer_history(void **state)
{
	struct cpu_facts facts = sapphire_rapids;

	(void)state;
	facts.leaf7_2_edx = 0; /* a hypervisor below hides BHI_CTRL */
	assert_true(chosen_for(&facts).measures & BIT(MEASURE_BHB_CLEAR));
	assert_false(chosen_for(&facts).closed & BIT(SIDE_BHI));
	assert_true(chosen_for(&ice_lake_sp).closed & BIT(SIDE_BHI));
}

static void writes_the_registers_that_the_manual_names(void **state)
{
	(void)state;
	assert_int_equal(chosen_for(&broadwell).spec_ctrl, 1);
	assert_int_equal(chosen_for(&broadwell_old).spec_ctrl, 0);
	assert_int_equal(chosen_for(&sapphire_rapids).spec_ctrl, 0x401);
	/* 32 entries; for PBRSB one call would do, and calls come in twos */
	assert_int_equal(chosen_for(&broadwell).rsb_rounds, 16);
	assert_int_equal(chosen_for(&sapphire_rapids).rsb_rounds, 1);
	assert_int_equal(chosen_for(&granite_rapids).rsb_rounds, 0);
}

static void takes_models_apart_that_never_say_no(void **state)
{
	struct cpu_facts facts = broadwell;

	(void)state;
	assert_false(chosen_for(&facts).needed & (BIT(SIDE_GDS) | BIT(SIDE_RFDS) | BIT(SIDE_ITS)));
	facts.leaf1_eax = 0x906a4; /* Alder Lake */
	assert_true(chosen_for(&facts).needed & BIT(SIDE_RFDS));
	facts.arch_caps = BIT(27);
	assert_false(chosen_for(&facts).needed & BIT(SIDE_RFDS));
	facts = zen2; /* another vendor's family with the same model number */
	facts.leaf1_eax = 0x906a4;
	assert_false(chosen_for(&facts).needed & BIT(SIDE_RFDS));
}

static void leaves_threads_alone_where_they_cannot_read_each_other(void **state)
{
	struct cpu_facts facts = broadwell;

	(void)state;
	assert_false(chosen_for(&ice_lake_sp).measures & BIT(MEASURE_SMT_OFF));
	facts.has_smt = false;
	assert_false(chosen_for(&facts).needed & BIT(SIDE_CROSS_THREAD));
	assert_reads(&broadwell, MITIGATIONS_AUTO, SMT_ON,
		     "ibrs ibpb rsb-fill l1d-flush verw missing:cross_thread");
	assert_reads(&ice_lake_sp, MITIGATIONS_AUTO, SMT_OFF,
		     "eibrs ibpb rsb-fill verw bhb-clear gds-microcode smt-off missing:its");
}

static void does_nothing_when_told_so_and_says_it(void **state)
{
	struct mitigations m;

	(void)state;
	assert_reads(&cascade_lake, MITIGATIONS_OFF, SMT_AUTO,
		     "missing:spectre_v2 missing:taa missing:mmio_stale_data missing:bhi "
		     "missing:gds missing:its missing:cross_thread");
	mitigations_choose(&broadwell, MITIGATIONS_OFF, SMT_AUTO, &m);
	assert_int_equal(m.measures, 0);
	assert_int_equal(m.spec_ctrl, 0);
	mitigations_choose(&broadwell, MITIGATIONS_OFF, SMT_OFF, &m);
	assert_int_equal(m.measures, BIT(MEASURE_SMT_OFF));
}

static void forces_only_instructions_that_every_cpu_has(void **state)
{
	struct mitigations m;

	(void)state;
	assert_reads(&broadwell_old, MITIGATIONS_FORCE, SMT_AUTO,
		     "rsb-fill l1d-fill verw bhb-clear smt-off missing:spectre_v2 missing:mds "
		     "missing:taa missing:mmio_stale_data");
	mitigations_choose(&broadwell_old, MITIGATIONS_FORCE, SMT_AUTO, &m);
	assert_int_equal(m.closed, chosen_for(&broadwell_old).closed);
	assert_int_equal(m.spec_ctrl, 0);
	mitigations_choose(&granite_rapids, MITIGATIONS_FORCE, SMT_AUTO, &m);
	assert_int_equal(m.measures & MEASURES_L1D, BIT(MEASURE_L1D_FLUSH));
	assert_int_equal(m.rsb_rounds, 16);
}

static void has_room_for_the_longest_text(void **state)
{
	const struct mitigations most = {.needed = BIT(SIDE_CHANNELS) - 1,
					 .measures = BIT(MEASURE_SMT_OFF)};
	char text[MITIGATIONS_TEXT_MAX];

	(void)state;
	mitigations_describe(&most, text, sizeof(text));
	assert_string_equal(strrchr(text, ' '), " missing:zenbleed");
}

static void cuts_text_that_does_not_fit(void **state)
{
	const struct mitigations some = {.needed = BIT(SIDE_CHANNELS) - 1};
	char text[24] = "x";

	(void)state;
	mitigations_describe(&some, text, sizeof(text));
	assert_int_equal(strlen(text), sizeof(text) - 1);
	mitigations_describe(&(struct mitigations){.needed = 0}, text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_each_intel_generation_needs),
		cmocka_unit_test(knows_what_each_amd_generation_needs),
		cmocka_unit_test(says_what_old_microcode_of_amd_leaves_open),
		cmocka_unit_test(believes_amd_cpus_that_say_no),
		cmocka_unit_test(keeps_amds_threads_apart),
		cmocka_unit_test(takes_amds_models_apart),
		cmocka_unit_test(writes_amds_registers),
		cmocka_unit_test(forces_on_amd_what_this_cpu_takes),
		cmocka_unit_test(guards_no_entry_of_a_cpu_that_needs_nothing_there),
		cmocka_unit_test(says_what_old_microcode_leaves_open),
		cmocka_unit_test(believes_verw_only_where_microcode_taught_it),
		cmocka_unit_test(does_not_trust_branches_against_a_longer_history),
		cmocka_unit_test(writes_the_registers_that_the_manual_names),
		cmocka_unit_test(takes_models_apart_that_never_say_no),
		cmocka_unit_test(leaves_threads_alone_where_they_cannot_read_each_other),
		cmocka_unit_test(does_nothing_when_told_so_and_says_it),
		cmocka_unit_test(forces_only_instructions_that_every_cpu_has),
		cmocka_unit_test(has_room_for_the_longest_text),
		cmocka_unit_test(cuts_text_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
