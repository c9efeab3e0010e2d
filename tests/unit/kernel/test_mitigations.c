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
/* IBPB, IBRS, STIBP */
static const struct cpu_facts zen2 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0x830f10,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = 0x0d000};
static const struct cpu_facts zen4 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0xa10f11,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = 0x0d000,
				      .ext21_eax = BIT(5)};
static const struct cpu_facts zen5 = {.is_amd = true,
				      .has_smt = true,
				      .leaf1_eax = 0xb00f21,
				      .leaf7_ebx = EBX_AVX2,
				      .ext8_ebx = 0x0d000,
				      .ext21_eax = BIT(29),
				      .ext21_ecx = BIT(1) | BIT(2)};

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
	assert_auto(&zen2, "ibrs ibpb rsb-fill missing:srso");
	assert_auto(&zen4, "ibrs ibpb rsb-fill verw missing:srso");
	assert_auto(&zen5, "ibrs ibpb rsb-fill");
}

static void guards_no_entry_of_a_cpu_that_needs_nothing_there(void **state)
{
	(void)state;
	assert_false(chosen_for(&granite_rapids).measures & MEASURES_AT_ENTRY);
	assert_true(chosen_for(&sapphire_rapids).measures & MEASURES_AT_ENTRY);
	assert_true(chosen_for(&broadwell).measures & MEASURES_AT_ENTRY);
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
	assert_string_equal(strrchr(text, ' '), " missing:tsa");
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
