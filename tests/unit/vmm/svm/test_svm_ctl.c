/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of features, and the MSR permission map's three ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/svm/svm_ctl.h"
#include "vmm/svm/vmcb.h"

static const struct svm_cap least = {.ext1_edx = BIT(27), .svm_ebx = 2, .svm_edx = SVM_FEATURE_NP};

static struct svm_ctl ctl;
static char missing[160], features[160];

static enum hv_err choose(const struct svm_cap *cap)
{
	memset(&ctl, 0x55, sizeof(ctl));
	return svm_ctl_choose(cap, &ctl, missing, sizeof(missing), features, sizeof(features));
}

static void takes_the_least_that_will_do(void **state)
{
	(void)state;
	assert_int_equal(choose(&least), HV_OK);
	assert_string_equal(missing, "");
	assert_string_equal(features, "npt");
	assert_false(ctl.has_nrip_save || ctl.has_decode_assists || ctl.has_lbr_virt || ctl.has_1g);
	assert_false(ctl.has_flush_by_asid || ctl.has_host_mce);
	assert_int_equal(ctl.nr_asids, 2);
	assert_int_equal(ctl.pause_filter_count, 0);
	assert_false(ctl.misc1 & INTERCEPT_PAUSE);
	assert_int_equal(ctl.cr4_offered, 0x7bf);
}

static void names_all_that_is_missing(void **state)
{
	struct svm_cap none = {.svm_ebx = 1};

	(void)state;
	assert_int_equal(choose(&none), HV_ENOTSUP);
	assert_string_equal(missing, "nested paging, ASIDs, RDTSCP");
}

static void uses_what_is_there(void **state)
{
	struct svm_cap all = {.leaf1_ecx = ~0u,
			      .leaf7_ebx = ~0u,
			      .leaf7_ecx = ~0u,
			      .ext1_edx = ~0u,
			      .svm_ebx = 32768,
			      .svm_edx = ~0u};

	(void)state;
	assert_int_equal(choose(&all), HV_OK);
	assert_string_equal(
		features,
		"npt nrip-save vmcb-clean flush-by-asid decode-assists lbr-virt pause-filter "
		"tsc-scaling host-mce npt-1g");
	assert_true(ctl.has_nrip_save && ctl.has_decode_assists && ctl.has_lbr_virt && ctl.has_1g);
	assert_true(ctl.has_flush_by_asid && ctl.has_host_mce && ctl.has_tsc_ratio);
	assert_true(ctl.misc1 & INTERCEPT_PAUSE);
	assert_int_equal(ctl.pause_filter_threshold, 128);
	assert_int_equal(ctl.cr4_offered, 0x370fbf);
}

/* Each by its own bit alone, and with all others there but it. */
static void takes_each_feature_by_itself(void **state)
{
	static const struct {
		uint32_t bit;
		const char *word;
	} rows[] = {
		{SVM_FEATURE_NRIP_SAVE, "nrip-save"},
		{SVM_FEATURE_VMCB_CLEAN, "vmcb-clean"},
		{SVM_FEATURE_FLUSH_BY_ASID, "flush-by-asid"},
		{SVM_FEATURE_DECODE_ASSISTS, "decode-assists"},
		{SVM_FEATURE_LBR_VIRT, "lbr-virt"},
		{SVM_FEATURE_PAUSE_FILTER, "pause-filter"},
		{SVM_FEATURE_TSC_RATE, "tsc-scaling"},
		{SVM_FEATURE_HOST_MCE_OVERRIDE, "host-mce"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct svm_cap cap = least;

		cap.svm_edx |= rows[i].bit;
		assert_int_equal(choose(&cap), HV_OK);
		assert_non_null(strstr(features, rows[i].word));
		assert_int_equal(strlen(features), strlen("npt ") + strlen(rows[i].word));
		assert_int_equal(ctl.has_nrip_save, rows[i].bit == SVM_FEATURE_NRIP_SAVE);
		assert_int_equal(ctl.has_flush_by_asid, rows[i].bit == SVM_FEATURE_FLUSH_BY_ASID);
		assert_int_equal(ctl.has_decode_assists, rows[i].bit == SVM_FEATURE_DECODE_ASSISTS);
		assert_int_equal(ctl.has_lbr_virt, rows[i].bit == SVM_FEATURE_LBR_VIRT);
		assert_int_equal(ctl.has_tsc_ratio, rows[i].bit == SVM_FEATURE_TSC_RATE);
		assert_int_equal(ctl.has_host_mce, rows[i].bit == SVM_FEATURE_HOST_MCE_OVERRIDE);
		assert_int_equal(ctl.pause_filter_count > 0,
				 rows[i].bit == SVM_FEATURE_PAUSE_FILTER);
		cap.svm_edx = ~rows[i].bit;
		assert_int_equal(choose(&cap), HV_OK);
		assert_null(strstr(features, rows[i].word));
	}
}

static void uses_avic_only_where_it_is_asked_for(void **state)
{
	struct svm_cap cap = least;

	(void)state;
	cap.wants_avic = true;
	assert_int_equal(choose(&cap), HV_OK); /* asked for, and not there: done without */
	assert_false(ctl.has_avic);
	assert_string_equal(features, "npt");
	cap.svm_edx |= SVM_FEATURE_AVIC;
	assert_int_equal(choose(&cap), HV_OK);
	assert_true(ctl.has_avic);
	assert_string_equal(features, "npt avic");
	cap.wants_avic = false;
	assert_int_equal(choose(&cap), HV_OK);
	assert_false(ctl.has_avic);
	assert_string_equal(features, "npt");
}

static void filters_pauses_without_a_threshold_where_there_is_none(void **state)
{
	struct svm_cap cap = least;

	(void)state;
	cap.svm_edx |= SVM_FEATURE_PAUSE_FILTER;
	assert_int_equal(choose(&cap), HV_OK);
	assert_true(ctl.misc1 & INTERCEPT_PAUSE);
	assert_int_not_equal(ctl.pause_filter_count, 0);
	assert_int_equal(ctl.pause_filter_threshold, 0);
}

static void offers_no_long_addresses_and_no_virtualisation_in_cr4(void **state)
{
	struct svm_cap all = {.leaf1_ecx = ~0u,
			      .leaf7_ebx = ~0u,
			      .leaf7_ecx = ~0u,
			      .ext1_edx = ~0u,
			      .svm_ebx = 16,
			      .svm_edx = ~0u};

	(void)state;
	assert_int_equal(choose(&all), HV_OK);
	assert_false(ctl.cr4_offered & (BIT(12) | BIT(13) | BIT(14) | BIT(22) | BIT(23)));
}

static void keeps_guests_from_all_of_svm(void **state)
{
	const uint32_t svm = INTERCEPT_VMRUN | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
			     INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT;

	(void)state;
	assert_int_equal(choose(&least), HV_OK);
	assert_int_equal(ctl.misc2 & svm, svm);
	assert_true(ctl.misc1 & INTERCEPT_INVLPGA);
	assert_true(ctl.misc1 & INTERCEPT_SHUTDOWN);
}

static void passes_an_msr_of_each_range(void **state)
{
	static uint8_t map[8192];
	static const struct {
		uint32_t index, byte;
		uint8_t left;
	} rows[] = {{0x174, 0x5d, 0xfc},
		    {0x1fff, 0x7ff, 0x3f},
		    {0xc0000102, 0x840, 0xcf},
		    {0xc0011fff, 0x17ff, 0x3f}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(map, 0xff, sizeof(map));
		assert_true(svm_msrpm_pass(map, rows[i].index));
		for (size_t at = 0; at < sizeof(map); at++)
			assert_int_equal(map[at], at == rows[i].byte ? rows[i].left : 0xff);
	}
}

static void does_not_reach_other_msrs(void **state)
{
	static uint8_t map[8192];
	static const uint32_t beyond[] = {0x2000,     0xbfffffff, 0xc0002000,
					  0xc000ffff, 0xc0012000, 0xffffffff};

	(void)state;
	memset(map, 0xff, sizeof(map));
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++)
		assert_false(svm_msrpm_pass(map, beyond[i]));
	for (size_t at = 0; at < sizeof(map); at++)
		assert_int_equal(map[at], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_least_that_will_do),
		cmocka_unit_test(names_all_that_is_missing),
		cmocka_unit_test(uses_what_is_there),
		cmocka_unit_test(takes_each_feature_by_itself),
		cmocka_unit_test(uses_avic_only_where_it_is_asked_for),
		cmocka_unit_test(filters_pauses_without_a_threshold_where_there_is_none),
		cmocka_unit_test(offers_no_long_addresses_and_no_virtualisation_in_cr4),
		cmocka_unit_test(keeps_guests_from_all_of_svm),
		cmocka_unit_test(passes_an_msr_of_each_range),
		cmocka_unit_test(does_not_reach_other_msrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
