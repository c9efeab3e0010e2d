/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, tombstones, and sequence numbers that are never used twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/expect_assert.h"
#include "vmm/registry.h"

static struct registry *r;
static uint32_t things[CTL_VMS_MAX + 1]; /* stand for VMs */
#define VM(i) ((struct vm *)&things[i])

static int fresh(void **state)
{
	(void)state;
	r = calloc(1, sizeof(*r));
	for (uint32_t i = 0; i <= CTL_VMS_MAX; i++)
		things[i] = i;
	return 0;
}

static int done(void **state)
{
	(void)state;
	free(r);
	return 0;
}

static void add(uint32_t i)
{
	uint8_t uuid[16] = {0};

	put_le32(uuid, i + 1000);
	registry_add(r, VM(i), i, uuid);
}

static void read_usage(struct vm *vm, struct ctl_usage *out)
{
	*out = (struct ctl_usage){
		.handle = *(uint32_t *)vm, .state = CTL_VM_RUNNING, .vcpu_run_ns = 7};
}

static void read_info(struct vm *vm, struct ctl_vm_info *out)
{
	*out = (struct ctl_vm_info){.handle = *(uint32_t *)vm, .state = CTL_VM_RUNNING};
}

static void bury(uint32_t handle)
{
	struct registry_row *row = registry_find(r, handle);
	struct ctl_usage usage;
	struct ctl_vm_info info;

	read_usage(row->vm, &usage);
	usage.vcpu_run_ns = 99;
	read_info(row->vm, &info);
	registry_bury(r, row, &usage, &info);
}

static void finds_by_handle_and_uuid(void **state)
{
	uint8_t uuid[16] = {0};

	(void)state;
	add(1);
	add(2);
	put_le32(uuid, 1002);
	assert_ptr_equal(registry_find(r, 1)->vm, VM(1));
	assert_ptr_equal(registry_find_uuid(r, uuid)->vm, VM(2));
	assert_null(registry_find(r, 3));
	assert_null(registry_find(r, 0));
	memset(uuid, 0, 16);
	assert_null(registry_find_uuid(r, uuid)); /* free rows have no UUID */
}

static void keeps_a_destroyed_vms_last_counters_until_forgotten(void **state)
{
	struct ctl_usage usage[2];
	struct ctl_vm_info info[2];

	(void)state;
	add(1);
	add(2);
	bury(1);
	assert_int_equal(r->nr_vms, 1);
	assert_int_equal(r->nr_tombstones, 1);
	registry_usage(r, read_usage, 500, usage);
	assert_int_equal(usage[0].vcpu_run_ns, 99);
	assert_int_equal(usage[0].is_final, 1);
	assert_int_equal(usage[0].state, CTL_VM_DESTROYED);
	assert_int_equal(usage[1].vcpu_run_ns, 7);
	assert_int_equal(usage[1].is_final, 0);
	registry_info(r, read_info, info);
	assert_int_equal(info[0].state, CTL_VM_DESTROYED);
	assert_int_equal(info[1].state, CTL_VM_RUNNING);

	registry_forget(r, registry_find(r, 1));
	assert_null(registry_find(r, 1));
	assert_int_equal(r->nr_tombstones, 0);
}

static void numbers_every_record_once(void **state)
{
	struct ctl_usage usage[2];

	(void)state;
	add(1);
	add(2);
	registry_usage(r, read_usage, 500, usage);
	assert_int_equal(usage[0].seq, 1);
	assert_int_equal(usage[1].seq, 2);
	assert_int_equal(usage[1].mono_ns, 500);
	bury(2);
	registry_usage(r, read_usage, 600, usage);
	assert_int_equal(usage[0].seq, 3);
	assert_int_equal(usage[1].seq, 4);
}

static void is_full_of_vms_and_tombstones_alike(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= CTL_VMS_MAX; i++) {
		assert_false(registry_is_full(r));
		add(i);
	}
	assert_true(registry_is_full(r));
	bury(77);
	assert_true(registry_is_full(r));
	registry_forget(r, registry_find(r, 77));
	assert_false(registry_is_full(r));
}

static void holds_its_callers_to_the_contract(void **state)
{
	struct registry_row *row;

	(void)state;
	add(1);
	row = registry_find(r, 1);
	EXPECT_ASSERT(add(1));
	EXPECT_ASSERT(registry_forget(r, row));
	bury(1);
	EXPECT_ASSERT(registry_bury(r, row, &row->last_usage, &row->last_info));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_by_handle_and_uuid),
		TEST(keeps_a_destroyed_vms_last_counters_until_forgotten),
		TEST(numbers_every_record_once),
		TEST(is_full_of_vms_and_tombstones_alike),
		TEST(holds_its_callers_to_the_contract),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
