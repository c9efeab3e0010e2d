/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's TSC. The fixed-point formats are those of [SDM] (48 fraction bits) and [APM] "TSC Ratio
 * MSR (C000_0104h)" (8.32); what is claimed of all values is tried with many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/types.h"
#include "vmm/guest_tsc.h"

#define ROUNDS 20000

static const struct tsc_scaling cannot;
static const struct tsc_scaling vmx = {.fraction_bits = 48, .least = 1, .most = ~0ull};
static const struct tsc_scaling svm = {.fraction_bits = 32, .least = 1, .most = 0xffffffffffull};

static char why[96];
static uint64_t word;

static uint64_t any(void)
{
	word = word * 6364136223846793005ull + 1442695040888963407ull;
	return word ^ word >> 29;
}

/* Of every size alike. */
static uint64_t any_size(void)
{
	return any() >> any() % 64;
}

static struct guest_tsc make(uint32_t asked_khz, uint32_t host_khz,
			     const struct tsc_scaling *scaling, uint64_t host_now)
{
	struct guest_tsc t;

	assert_int_equal(
		guest_tsc_init(&t, asked_khz, host_khz, scaling, host_now, why, sizeof(why)),
		HV_OK);
	return t;
}

static int reset(void **state)
{
	(void)state;
	word = 42;
	strcpy(why, "nothing");
	return 0;
}

static void begins_at_zero_and_adds_when_no_rate_is_asked_for(void **state)
{
	struct guest_tsc t = make(0, 2500000, &vmx, 1000);

	(void)state;
	assert_int_equal(t.multiplier, 0);
	assert_int_equal(t.khz, 2500000);
	assert_int_equal(guest_tsc_of_host(&t, 1000), 0);
	assert_int_equal(guest_tsc_of_host(&t, 1234), 234);
	assert_int_equal(guest_tsc_host_deadline(&t, 234), 1234);
	assert_true(guest_tsc_host_deadline(&t, ~0ull - 1001) == ~0ull - 1);
	assert_true(guest_tsc_host_deadline(&t, ~0ull - 999) == GUEST_TSC_NEVER);
	assert_true(guest_tsc_host_deadline(&t, ~0ull - 1) == GUEST_TSC_NEVER);
	t = make(0, 2500000, &cannot, 0);
	assert_true(guest_tsc_host_deadline(&t, ~0ull - 1) == ~0ull - 1);
	assert_int_equal(guest_tsc_host_deadline(&t, 0), 0);
}

static void knows_ratios_as_the_specifications_write_them(void **state)
{
	(void)state;
	assert_true(make(3500000, 1000000, &svm, 0).multiplier == 0x380000000ull);
	assert_true(make(1500000, 1000000, &vmx, 0).multiplier == 3ull << 47);
	assert_true(make(1000000, 2000000, &vmx, 0).multiplier == 1ull << 47);
	assert_true(make(1000000, 3000000, &svm, 0).multiplier == 0x55555555); /* the nearest */
	assert_true(make(2000000, 3000000, &svm, 0).multiplier == 0xaaaaaaab);
}

static void takes_250_ppm_as_the_node_s_own(void **state)
{
	struct guest_tsc t = make(2000500, 2000000, &cannot, 0);

	(void)state;
	assert_int_equal(t.multiplier, 0);
	assert_int_equal(t.khz, 2000000);
	assert_int_equal(make(1999500, 2000000, &vmx, 0).multiplier, 0);
	assert_int_not_equal(make(2000501, 2000000, &vmx, 0).multiplier, 0);
	assert_int_not_equal(make(1999499, 2000000, &vmx, 0).multiplier, 0);
	assert_int_equal(make(2000501, 2000000, &vmx, 0).khz, 2000501);
}

static void refuses_what_the_cpu_cannot_and_says_both_rates(void **state)
{
	static const char node_cannot[] = "tsc_khz: 10000000 asked for, node has 10010000 and "
					  "cannot scale: omit it or use another node";
	struct guest_tsc t = {.khz = 7};

	(void)state;
	assert_int_equal(guest_tsc_init(&t, 10000000, 10010000, &cannot, 0, why, sizeof(why)),
			 HV_ENOTSUP);
	assert_string_equal(why, node_cannot);
	assert_int_equal(guest_tsc_init(&t, 10000000, 10000, &svm, 0, why, sizeof(why)),
			 HV_ENOTSUP);
	assert_string_equal(why, "tsc_khz: 10000000 asked for, node has 10000, too far to scale: "
				 "omit it or use another node");
	assert_int_equal(guest_tsc_init(&t, ~0u, 1, &vmx, 0, why, sizeof(why)), HV_ENOTSUP);
	assert_int_equal(
		guest_tsc_init(&t, 1, ~0u, &(struct tsc_scaling){8, 1, 256}, 0, why, sizeof(why)),
		HV_ENOTSUP);
	/* A host's TSC so far on that the product would come round. */
	assert_int_equal(guest_tsc_init(&t, 2000000, 1000000, &vmx, 1ull << 62, why, sizeof(why)),
			 HV_ENOTSUP);
	assert_int_equal(t.khz, 7);
}

static void multiplies_then_adds(void **state)
{
	struct guest_tsc t = make(3000000, 2000000, &vmx, 1000001);

	(void)state;
	assert_true(t.offset == 0 - 1500001ull); /* 1000001 * 3 / 2, rounded down */
	assert_int_equal(guest_tsc_of_host(&t, 1000001), 0);
	assert_int_equal(guest_tsc_of_host(&t, 1000002), 2); /* 1500003 - 1500001 */
	assert_int_equal(guest_tsc_host_deadline(&t, 0), 1000001);
	assert_int_equal(guest_tsc_host_deadline(&t, 1), 1000002);
	assert_int_equal(guest_tsc_host_deadline(&t, 3000000), 3000001);
	/* The host's last ticks are no trouble. */
	t = make(1500000, 3000000, &svm, 0);
	assert_true(guest_tsc_of_host(&t, ~0ull) == ~0ull >> 1);
	assert_true(guest_tsc_host_deadline(&t, ~0ull >> 1) == ~0ull - 1);
	assert_true(guest_tsc_host_deadline(&t, 1ull << 63) == GUEST_TSC_NEVER);
	assert_true(guest_tsc_host_deadline(&t, ~0ull) == GUEST_TSC_NEVER);
}

static uint32_t host_khz; /* of any_guest()'s */

static struct guest_tsc any_guest(uint64_t *host_now)
{
	struct guest_tsc t;
	uint32_t guest_khz;

	do {
		host_khz = 50000 + any() % 6000000;
		guest_khz = any() % 8 ? 100000 + any() % 9900000 : 0;
		*host_now = any_size() >> 8;
	} while (guest_tsc_init(&t, guest_khz, host_khz, any() % 2 ? &vmx : &svm, *host_now, why,
				sizeof(why)) != HV_OK);
	return t;
}

static void only_goes_forward_and_at_the_rate(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t now, passed = any_size() >> 16, guest;
		struct guest_tsc t = any_guest(&now);
		__int128 is, should;

		guest = guest_tsc_of_host(&t, now + passed);
		assert_int_equal(guest_tsc_of_host(&t, now), 0);
		assert_true(guest_tsc_of_host(&t, now + passed + 1) >= guest);
		/* Both times host_khz: within two ticks, and half the last bit of the coarser
		 * format. */
		is = (__int128)guest * host_khz;
		should = (__int128)passed * t.khz;
		assert_true(llabs((long long)((is - should) / host_khz)) <=
			    2 + (long long)(passed >> 33));
	}
}

static void finds_the_first_host_tick_of_a_deadline(void **state)
{
	uint32_t nr_never = 0;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t now, deadline = any_size(), host;
		struct guest_tsc t = any_guest(&now);

		host = guest_tsc_host_deadline(&t, deadline);
		if (host == GUEST_TSC_NEVER) {
			nr_never++;
			assert_true(deadline > guest_tsc_of_host(&t, now + (1ull << 40)));
			continue;
		}
		assert_true(guest_tsc_of_host(&t, host) >= deadline);
		if (host > now)
			assert_true(guest_tsc_of_host(&t, host - 1) < deadline);
	}
	assert_true(nr_never > 0 && nr_never < ROUNDS / 4);
}

static void goes_there_and_back_within_a_tick(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t now, host, back;
		struct guest_tsc t = any_guest(&now);

		host = now + (any_size() >> 16);
		back = guest_tsc_host_deadline(&t, guest_tsc_of_host(&t, host));
		assert_true(back <= host); /* never later */
		assert_int_equal(guest_tsc_of_host(&t, back), guest_tsc_of_host(&t, host));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(begins_at_zero_and_adds_when_no_rate_is_asked_for, reset),
		cmocka_unit_test_setup(knows_ratios_as_the_specifications_write_them, reset),
		cmocka_unit_test_setup(takes_250_ppm_as_the_node_s_own, reset),
		cmocka_unit_test_setup(refuses_what_the_cpu_cannot_and_says_both_rates, reset),
		cmocka_unit_test_setup(multiplies_then_adds, reset),
		cmocka_unit_test_setup(only_goes_forward_and_at_the_rate, reset),
		cmocka_unit_test_setup(finds_the_first_host_tick_of_a_deadline, reset),
		cmocka_unit_test_setup(goes_there_and_back_within_a_tick, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
