/* SPDX-License-Identifier: Apache-2.0 */
/* Which flaws a CPU is taken to have, and how that reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/mitigations.h"

static void takes_an_old_intel_cpu_as_affected_by_all_it_could_have(void **state)
{
	struct cpu_facts facts = {.is_intel = true, .has_rtm = true, .has_avx2 = true};

	(void)state;
	assert_int_equal(mitigations_needed(&facts), (BIT(SIDE_CHANNELS) - 1) & ~BIT(SIDE_SRSO));
	facts.has_rtm = facts.has_avx2 = false;
	assert_false(mitigations_needed(&facts) & (BIT(SIDE_TAA) | BIT(SIDE_GDS)));
}

static void believes_arch_capabilities_only_when_the_cpu_has_them(void **state)
{
	struct cpu_facts facts = {.is_intel = true, .arch_caps = ~0ull};

	(void)state;
	assert_true(mitigations_needed(&facts) & BIT(SIDE_L1TF));
	facts.has_arch_caps = true;
	assert_int_equal(mitigations_needed(&facts), BIT(SIDE_SPECTRE_V2));
	facts.arch_caps = BIT(13) | BIT(14); /* of the three for stale MMIO data only two */
	assert_true(mitigations_needed(&facts) & BIT(SIDE_MMIO_STALE_DATA));
}

static void knows_amds_own(void **state)
{
	struct cpu_facts facts = {.is_amd = true};

	(void)state;
	assert_int_equal(mitigations_needed(&facts), BIT(SIDE_SPECTRE_V2) | BIT(SIDE_SRSO));
	facts.amd_leaf_21_eax = BIT(29);
	assert_int_equal(mitigations_needed(&facts), BIT(SIDE_SPECTRE_V2));
}

static void names_only_what_is_in_force_as_such(void **state)
{
	char text[192];

	(void)state;
	mitigations_describe(0, 0, text, sizeof(text));
	assert_string_equal(text, "none needed");
	mitigations_describe(BIT(SIDE_L1TF) | BIT(SIDE_MDS), 0, text, sizeof(text));
	assert_string_equal(text, "none in force; missing: l1tf mds");
	mitigations_describe(BIT(SIDE_L1TF) | BIT(SIDE_MDS), BIT(SIDE_MDS) | BIT(SIDE_BHI), text,
			     sizeof(text));
	assert_string_equal(text, "in force: mds; missing: l1tf");
	mitigations_describe(BIT(SIDE_MDS), BIT(SIDE_MDS), text, sizeof(text));
	assert_string_equal(text, "in force: mds");
}

static void cuts_text_that_does_not_fit(void **state)
{
	char text[24];

	(void)state;
	mitigations_describe(BIT(SIDE_CHANNELS) - 1, 0, text, sizeof(text));
	assert_int_equal(strlen(text), sizeof(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_an_old_intel_cpu_as_affected_by_all_it_could_have),
		cmocka_unit_test(believes_arch_capabilities_only_when_the_cpu_has_them),
		cmocka_unit_test(knows_amds_own),
		cmocka_unit_test(names_only_what_is_in_force_as_such),
		cmocka_unit_test(cuts_text_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
