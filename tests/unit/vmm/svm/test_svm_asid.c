/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody gets an ASID that somebody else's translations may still be tagged with. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/svm/svm_asid.h"

static struct svm_asids asids;
static bool flush;

static int set_up(void **state)
{
	(void)state;
	svm_asids_init(&asids, 4); /* 1, 2 and 3 */
	return 0;
}

static uint32_t update(struct svm_asid *asid)
{
	svm_asid_update(&asids, asid, &flush);
	return asid->value;
}

static void flushes_before_the_first_of_all(void **state)
{
	struct svm_asid a = {0};

	(void)state;
	assert_true(svm_asid_update(&asids, &a, &flush));
	assert_true(flush);
	assert_int_equal(a.value, 1);
}

static void keeps_an_asid_while_its_generation_lasts(void **state)
{
	struct svm_asid a = {0}, b = {0};

	(void)state;
	assert_int_equal(update(&a), 1);
	assert_int_equal(update(&b), 2);
	assert_false(flush);
	assert_false(svm_asid_update(&asids, &a, &flush));
	assert_false(flush);
	assert_int_equal(a.value, 1);
}

static void begins_a_generation_with_a_flush_when_they_run_out(void **state)
{
	struct svm_asid vcpus[4] = {{0}};

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(update(&vcpus[i]), i + 1);
	assert_int_equal(update(&vcpus[3]), 1);
	assert_true(flush);
	assert_int_equal(update(&vcpus[0]), 2); /* its old 1 is another's now */
	assert_false(flush);
}

static void never_gives_two_vcpus_one_asid_in_a_generation(void **state)
{
	struct svm_asid vcpus[7] = {{0}};

	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		uint32_t at = round * 5 % 7;

		assert_in_range(update(&vcpus[at]), 1, 3);
		for (uint32_t i = 0; i < 7; i++)
			assert_true(i == at || vcpus[i].generation != vcpus[at].generation ||
				    vcpus[i].value != vcpus[at].value);
	}
}

static void does_with_a_single_one(void **state)
{
	struct svm_asid a = {0}, b = {0};

	(void)state;
	svm_asids_init(&asids, 2);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(update(&a), 1);
		assert_true(flush);
		assert_int_equal(update(&b), 1);
		assert_true(flush);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(flushes_before_the_first_of_all, set_up),
		cmocka_unit_test_setup(keeps_an_asid_while_its_generation_lasts, set_up),
		cmocka_unit_test_setup(begins_a_generation_with_a_flush_when_they_run_out, set_up),
		cmocka_unit_test_setup(never_gives_two_vcpus_one_asid_in_a_generation, set_up),
		cmocka_unit_test(does_with_a_single_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
