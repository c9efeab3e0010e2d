/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID for guests of three hosts: one that sets every bit there is (what shows through is the
 * whitelist), a Skylake server written down by hand, and the machine that builds this.
 */
#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/cpuid.h"

#define XCR0_ALL (BIT(0) | BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(7))

static const struct cpuid_conf conf = {
	.xcr0_allowed = ~0ull,
	.tsc_khz = 2394455,
	.lapic_hz = 1000000000,
	.gpa_bits = 46,
	.has_hypervisor_leaf = true,
};

static struct cpuid_policy policy;

static struct cpuid_answer host_of_ones(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_answer a = {.eax = ~0u, .ebx = ~0u, .ecx = ~0u, .edx = ~0u};

	if (leaf == 0)
		a = (struct cpuid_answer){
			.eax = 0x40, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69};
	if (leaf == 0xd && subleaf >= 2)
		a = (struct cpuid_answer){.eax = 64, .ebx = 576 + 64 * subleaf, .ecx = 2};
	return a;
}

static struct cpuid_answer host_of_amd(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_answer a = host_of_ones(leaf, subleaf);

	if (leaf == 0)
		a = (struct cpuid_answer){
			.eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65};
	return a;
}

/* Skylake-SP: AVX-512 at 0xa80 in the standard form; leaf 4 as with hyper-threads. */
static struct cpuid_answer skylake(uint32_t leaf, uint32_t subleaf)
{
	static const struct {
		uint32_t leaf, subleaf;
		struct cpuid_answer a;
	} words[] = {
		{0, 0, {{{0x16, 0x756e6547, 0x6c65746e, 0x49656e69}}}},
		{1, 0, {{{0x00050654, 0x12200800, 0x7ffefbff, 0xbfebfbff}}}},
		{4, 0, {{{0x3c004121, 0x01c0003f, 0x3f, 0}}}},
		{4, 1, {{{0x3c004122, 0x01c0003f, 0x3f, 0}}}},
		{4, 2, {{{0x3c004143, 0x03c0003f, 0x3ff, 0}}}},
		{4, 3, {{{0x3c07c163, 0x0280003f, 0xa7ff, 4}}}},
		{7, 0, {{{0, 0xd39ffffb, 0x00000008, 0xbc000400}}}},
		{0xd, 0, {{{0x2ff, 0xa88, 0xa88, 0}}}},
		{0xd, 1, {{{0xf, 0xa08, 0x100, 0}}}},
		{0xd, 2, {{{0x100, 0x240, 0, 0}}}},
		{0xd, 3, {{{0x40, 0x3c0, 0, 0}}}},
		{0xd, 5, {{{0x40, 0x440, 0, 0}}}},
		{0xd, 6, {{{0x200, 0x480, 0, 0}}}},
		{0xd, 7, {{{0x400, 0x680, 0, 0}}}},
		{0xd, 9, {{{8, 0xa80, 0, 0}}}},
		{0x80000000, 0, {{{0x80000008, 0, 0, 0}}}},
		{0x80000001, 0, {{{0, 0, 0x121, 0x2c100800}}}},
		{0x80000002, 0, {{{0x65746e49, 0x2952286c, 0x6f655820, 0x2952286e}}}},
		{0x80000008, 0, {{{0x302e, 0, 0, 0}}}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].leaf == leaf && words[i].subleaf == subleaf)
			return words[i].a;
	return (struct cpuid_answer){.eax = 0};
}

static struct cpuid_answer this_machine(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_answer a;

	__cpuid_count(leaf, subleaf, a.eax, a.ebx, a.ecx, a.edx);
	return a;
}

static struct cpuid_answer ask(uint32_t leaf, uint32_t subleaf)
{
	const struct cpuid_ctx ctx = {
		.vcpu_index = 2, .nr_vcpus = 3, .xcr0 = 7, .has_osxsave = true, .has_apic = true};
	struct cpuid_answer a;

	cpuid_answer(&policy, &ctx, leaf, subleaf, &a);
	return a;
}

static void hides_what_is_not_virtualised(void **state)
{
	(void)state;
	cpuid_build(&policy, host_of_ones, &conf);
	/* MONITOR DS-CPL VMX SMX EIST TM2 CNXT-ID SDBG xTPR PDCM DCA, bit 16 */
	assert_int_equal(ask(1, 0).ecx & 0x0005cdfc & ~BIT(13), 0);
	assert_int_equal(ask(1, 0).edx & (BIT(10) | BIT(18) | BIT(21) | BIT(22) | BIT(29) |
					  BIT(30) | BIT(31)),
			 0);
	/* SGX HLE PQM MPX PQE RTM PT */
	assert_int_equal(
		ask(7, 0).ebx & (BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(25)),
		0);
	/* PKU OSPKE WAITPKG CET-SS LA57 BUSLOCK ENQCMD SGX_LC PKS */
	assert_int_equal(ask(7, 0).ecx & (BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(16) | BIT(24) |
					  BIT(29) | BIT(30) | BIT(31)),
			 0);
	/* MD_CLEAR HYBRID AMX CET-IBT IBRS STIBP L1D_FLUSH ARCH_CAP CORE_CAP SSBD */
	assert_int_equal(ask(7, 0).edx & (BIT(10) | BIT(15) | BIT(20) | BIT(22) | BIT(24) |
					  BIT(25) | 0xfc000000),
			 0);
	assert_int_equal(ask(0x80000001, 0).ecx & BIT(2), 0); /* SVM */
	assert_int_equal(ask(0x80000008, 0).ebx & ~BIT(0), 0);
	for (uint32_t leaf = 0; leaf < 0x20; leaf++) {
		static const uint32_t empty[] = {3,    5,    8,	   9,	 0xa,  0xc,  0xe,
						 0xf,  0x10, 0x11, 0x12, 0x13, 0x14, 0x17,
						 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e};

		for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
			if (leaf == empty[i])
				assert_true(!ask(leaf, 0).eax && !ask(leaf, 0).ebx &&
					    !ask(leaf, 0).ecx && !ask(leaf, 0).edx);
	}
	assert_int_equal(ask(6, 0).eax, BIT(2));
	assert_int_equal(ask(6, 0).ecx, 0); /* no APERF, MPERF */
	assert_int_equal(ask(7, 2).edx, 0);
	assert_int_equal(ask(0x80000009, 0).eax, 0);
	assert_int_equal(ask(0x8000001f, 0).eax, 0);
	assert_int_equal(ask(0x20, 0).eax, 0);
	assert_int_equal(ask(~0u, ~0u).eax, 0);
}

static void shows_what_every_guest_has(void **state)
{
	(void)state;
	cpuid_build(&policy, skylake, &conf);
	assert_int_equal(ask(0, 0).ebx, 0x756e6547);
	assert_int_equal(ask(0, 0).eax, 0x16);
	assert_int_equal(ask(1, 0).eax, 0x50654);
	assert_true(ask(1, 0).ecx & BIT(31));
	assert_true(ask(1, 0).ecx & BIT(24));
	assert_true(ask(1, 0).ecx & BIT(21));
	assert_true(ask(1, 0).ecx & BIT(17)); /* PCID */
	assert_true(ask(0x80000007, 0).edx & BIT(8));
	assert_true(ask(7, 0).ebx & BIT(16)); /* AVX-512 */
	assert_int_equal(ask(0x80000002, 0).eax, 0x65746e49);
	assert_int_equal(ask(0x80000008, 0).eax, 0x302e);
}

static void never_shows_more_than_the_host_has(void **state)
{
	static const uint32_t forced = BIT(21) | BIT(24) | BIT(27) | BIT(31);

	(void)state;
	cpuid_build(&policy, this_machine, &conf);
	assert_int_equal(ask(1, 0).ecx & ~forced & ~this_machine(1, 0).ecx, 0);
	assert_int_equal(ask(1, 0).edx & ~BIT(28) & ~this_machine(1, 0).edx, 0);
	assert_int_equal(ask(7, 0).ebx & ~this_machine(7, 0).ebx, 0);
	assert_int_equal(ask(0x80000001, 0).edx & ~this_machine(0x80000001, 0).edx, 0);
}

static void changes_with_the_vcpu_and_its_state(void **state)
{
	struct cpuid_ctx ctx = {.vcpu_index = 5, .nr_vcpus = 8, .xcr0 = 1, .has_apic = true};
	struct cpuid_answer a;

	(void)state;
	cpuid_build(&policy, skylake, &conf);
	cpuid_answer(&policy, &ctx, 1, 0, &a);
	assert_int_equal(a.ebx >> 24, 5);
	assert_int_equal(a.ebx >> 16 & 0xff, 8);
	assert_int_equal(a.ecx & BIT(27), 0);
	assert_true(a.edx & BIT(9));
	assert_true(a.edx & BIT(28));
	ctx.has_osxsave = true;
	ctx.has_apic = false;
	ctx.nr_vcpus = 1;
	cpuid_answer(&policy, &ctx, 1, 0, &a);
	assert_true(a.ecx & BIT(27));
	assert_int_equal(a.edx & (BIT(9) | BIT(28)), 0);
}

static void tells_of_one_socket_with_a_core_for_each_vcpu(void **state)
{
	(void)state;
	cpuid_build(&policy, skylake, &conf);
	/* thread level: one; core level: three, in two bits */
	assert_int_equal(ask(0xb, 0).eax, 0);
	assert_int_equal(ask(0xb, 0).ebx, 1);
	assert_int_equal(ask(0xb, 0).ecx, 0x100);
	assert_int_equal(ask(0xb, 1).eax, 2);
	assert_int_equal(ask(0xb, 1).ebx, 3);
	assert_int_equal(ask(0xb, 1).ecx, 0x201);
	assert_int_equal(ask(0xb, 2).ecx, 2);
	assert_int_equal(ask(0xb, 2).ebx, 0);
	assert_int_equal(ask(0xb, 1).edx, 2);
	/* L1 is one core's, L3 everybody's */
	assert_int_equal(ask(4, 0).eax, 0x121 | 3u << 26);
	assert_int_equal(ask(4, 3).eax, 0x163 | 3u << 26 | 3 << 14);
	assert_int_equal(ask(4, 3).ecx, 0xa7ff);
	assert_int_equal(ask(4, 4).eax, 0);
	assert_int_equal(ask(4, 99).eax, 0);
}

static void computes_the_size_of_extended_state(void **state)
{
	struct cpuid_ctx ctx = {.nr_vcpus = 1, .xcr0 = XCR0_ALL};
	struct cpuid_answer a;

	(void)state;
	cpuid_build(&policy, skylake, &conf);
	assert_int_equal(cpuid_xcr0_valid(&policy), XCR0_ALL); /* no MPX, no PKRU */
	assert_int_equal(ask(0xd, 0).eax, XCR0_ALL);
	assert_int_equal(ask(0xd, 0).ebx, 0x340); /* XCR0 is 7 */
	assert_int_equal(ask(0xd, 0).ecx, 0xa80);
	assert_int_equal(ask(0xd, 1).eax, 7); /* no XSAVES */
	assert_int_equal(ask(0xd, 1).ebx, 0x340);
	assert_int_equal(ask(0xd, 1).ecx, 0);
	assert_int_equal(ask(0xd, 2).ebx, 0x240);
	assert_int_equal(ask(0xd, 3).eax, 0);
	assert_int_equal(ask(0xd, 9).eax, 0);
	assert_int_equal(ask(0xd, 63).eax, 0);
	cpuid_answer(&policy, &ctx, 0xd, 0, &a);
	assert_int_equal(a.ebx, 0xa80);
	cpuid_answer(&policy, &ctx, 0xd, 1, &a);
	assert_int_equal(a.ebx, 576 + 0x100 + 0x40 + 0x200 + 0x400);
	ctx.xcr0 = 1;
	cpuid_answer(&policy, &ctx, 0xd, 0, &a);
	assert_int_equal(a.ebx, 576);
}

static void hides_features_whose_state_the_host_does_not_switch(void **state)
{
	struct cpuid_conf narrow = conf;

	(void)state;
	narrow.xcr0_allowed = 7;
	cpuid_build(&policy, skylake, &narrow);
	assert_int_equal(ask(7, 0).ebx & BIT(16), 0);
	assert_true(ask(7, 0).ebx & BIT(5));
	assert_int_equal(ask(0xd, 0).ecx, 0x340);
	narrow.xcr0_allowed = 1;
	cpuid_build(&policy, skylake, &narrow);
	assert_int_equal(ask(1, 0).ecx & (BIT(26) | BIT(28)), 0);
	assert_int_equal(ask(0xd, 0).eax, 0);
}

static void tells_the_frequency_of_the_tsc(void **state)
{
	static const uint32_t khz[] = {50000, 1000000, 2000000, 2394455, 2599999, 3500000, 4999999};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(khz); i++) {
		uint32_t n, d, product, linux_khz;

		cpuid_tsc_ratio(khz[i], 1000000000, &n, &d);
		assert_true(n && d);
		product = 1000000 * n; /* 32 bits, as Linux does */
		linux_khz = product / d;
		assert_int_equal(product / 1000000, n);
		/* within one part in a million, or a kHz */
		assert_true(linux_khz + 1 + khz[i] / 1000000 >= khz[i] &&
			    linux_khz <= khz[i] + 1 + khz[i] / 1000000);
	}
	cpuid_build(&policy, skylake, &conf);
	assert_int_equal(ask(0x15, 0).ecx, 1000000000);
	assert_int_equal(ask(0x16, 0).eax, 2394);
	assert_int_equal(ask(0x40000010, 0).eax, 2394455);
	assert_int_equal(ask(0x40000010, 0).ebx, 1000000);
}

static void is_exact_where_a_ratio_is(void **state)
{
	uint32_t n, d;

	(void)state;
	cpuid_tsc_ratio(3500000, 1000000000, &n, &d);
	assert_int_equal(n, 7);
	assert_int_equal(d, 2);
	cpuid_tsc_ratio(50000, 1000000000, &n, &d);
	assert_int_equal(n, 1);
	assert_int_equal(d, 20);
}

static void tells_another_rate_in_a_copy(void **state)
{
	struct cpuid_conf hidden = conf;
	struct cpuid_policy before;

	(void)state;
	cpuid_build(&policy, skylake, &conf);
	before = policy;
	cpuid_set_tsc(&policy, 3500000, conf.lapic_hz);
	assert_int_equal(ask(0x40000010, 0).eax, 3500000);
	assert_int_equal(ask(0x40000010, 0).ebx, 1000000);
	assert_int_equal(ask(0x15, 0).ebx, 7);
	assert_int_equal(ask(0x15, 0).eax, 2);
	assert_int_equal(ask(0x15, 0).ecx, 1000000000);
	assert_int_equal(ask(0x16, 0).eax, 3500);
	cpuid_set_tsc(&policy, conf.tsc_khz, conf.lapic_hz);
	assert_memory_equal(&policy, &before, sizeof(policy)); /* nothing else has changed */

	cpuid_build(&policy, host_of_amd, &conf);
	cpuid_set_tsc(&policy, 3500000, conf.lapic_hz);
	assert_int_equal(ask(0x15, 0).ebx, 0);
	assert_int_equal(ask(0x40000010, 0).eax, 3500000);
	hidden.has_hypervisor_leaf = false;
	cpuid_build(&policy, skylake, &hidden);
	cpuid_set_tsc(&policy, 3500000, conf.lapic_hz);
	assert_int_equal(ask(0x40000010, 0).eax, 0);
}

static void names_the_hypervisor(void **state)
{
	struct cpuid_conf hidden = conf;
	struct cpuid_answer a;

	(void)state;
	cpuid_build(&policy, skylake, &conf);
	a = ask(0x40000000, 0);
	assert_int_equal(a.eax, 0x40000010);
	assert_memory_equal(&a.r[1], "BilletBillet", 12);
	assert_int_equal(ask(0x40000001, 0).eax, 0);
	hidden.has_hypervisor_leaf = false;
	cpuid_build(&policy, skylake, &hidden);
	assert_int_equal(ask(0x40000000, 0).eax, 0);
}

static void tells_amd_guests_in_amds_words(void **state)
{
	(void)state;
	cpuid_build(&policy, host_of_amd, &conf);
	assert_int_equal(ask(0x80000008, 0).ecx, 2 << 12 | 2);
	assert_true(ask(0x80000001, 0).ecx & BIT(1));
	assert_int_equal(ask(0x80000001, 0).ecx & BIT(2), 0);
	assert_int_equal(ask(4, 0).eax, 0);
	assert_int_equal(ask(0x15, 0).eax, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hides_what_is_not_virtualised),
		cmocka_unit_test(shows_what_every_guest_has),
		cmocka_unit_test(never_shows_more_than_the_host_has),
		cmocka_unit_test(changes_with_the_vcpu_and_its_state),
		cmocka_unit_test(tells_of_one_socket_with_a_core_for_each_vcpu),
		cmocka_unit_test(computes_the_size_of_extended_state),
		cmocka_unit_test(hides_features_whose_state_the_host_does_not_switch),
		cmocka_unit_test(tells_the_frequency_of_the_tsc),
		cmocka_unit_test(is_exact_where_a_ratio_is),
		cmocka_unit_test(tells_another_rate_in_a_copy),
		cmocka_unit_test(names_the_hypervisor),
		cmocka_unit_test(tells_amd_guests_in_amds_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
