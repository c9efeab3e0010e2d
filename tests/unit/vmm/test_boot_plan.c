/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of images on their way into a guest's memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "vmm/boot_plan.h"

#define KERNEL_LEN (3 * MIB + 5)
#define INITRD_LEN 5000u
#define LOW	   (16 * MIB)

static uint8_t kernel[KERNEL_LEN], initrd[INITRD_LEN];
static struct vm *vm;
static struct boot_plan plan;
static uint64_t longest_read;
static enum hv_err answer;

static enum hv_err read_bytes(const void *ctx, uint64_t offset, void *dst, uint64_t len_bytes)
{
	longest_read = MAX(longest_read, len_bytes);
	memcpy(dst, (const uint8_t *)ctx + offset, len_bytes);
	return answer;
}

static int setup(void **state)
{
	const struct image_src k = {read_bytes, kernel, KERNEL_LEN},
			       i = {read_bytes, initrd, INITRD_LEN};

	(void)state;
	for (size_t at = 0; at < KERNEL_LEN; at++)
		kernel[at] = (uint8_t)(at * 11 + at / 4096);
	memset(initrd, 0xa7, sizeof(initrd));
	vm = fake_vm_create(LOW, 4 * MIB);
	longest_read = 0;
	answer = HV_OK;
	boot_plan_begin(&plan, &k, &i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static enum hv_err add(enum boot_image image, uint64_t offset, uint64_t gpa, uint64_t file_bytes,
		       uint64_t mem_bytes)
{
	const struct boot_piece piece = {image, offset, gpa, file_bytes, mem_bytes};

	return boot_plan_add(&plan, vm_memory(vm), &piece);
}

static uint8_t *at(uint64_t gpa)
{
	uint64_t got;

	return gmem_map(vm_memory(vm), gpa, 1, &got);
}

static void has_nothing_to_do_when_it_is_empty(void **state)
{
	(void)state;
	assert_int_equal(boot_plan_step(&plan, vm_memory(vm), 0), HV_OK);
}

static void brings_every_byte_and_zeros_behind_them(void **state)
{
	(void)state;
	memset(at(5 * MIB), 0xff, MIB);
	assert_int_equal(add(BOOT_KERNEL, 3, 2 * MIB + 1, KERNEL_LEN - 3, KERNEL_LEN - 3 + 777),
			 HV_OK);
	assert_int_equal(add(BOOT_INITRD, 0, 8 * MIB, INITRD_LEN, INITRD_LEN), HV_OK);
	assert_int_equal(boot_plan_step(&plan, vm_memory(vm), ~0ull), HV_OK);
	for (uint64_t i = 0; i < KERNEL_LEN - 3; i++)
		assert_int_equal(*at(2 * MIB + 1 + i), kernel[3 + i]);
	for (uint64_t i = KERNEL_LEN - 3; i < KERNEL_LEN - 3 + 777; i++)
		assert_int_equal(*at(2 * MIB + 1 + i), 0);
	assert_int_equal(*at(2 * MIB + 1 + KERNEL_LEN - 3 + 777), 0xff);
	assert_memory_equal(at(8 * MIB), initrd, INITRD_LEN);
}

static void does_no_more_at_a_time_than_it_is_told(void **state)
{
	uint64_t total = KERNEL_LEN + 2 * MIB, nr = 0;

	(void)state;
	memset(at(6 * MIB), 0xff, MIB);
	assert_int_equal(add(BOOT_KERNEL, 0, 2 * MIB, KERNEL_LEN, total), HV_OK);
	while (boot_plan_step(&plan, vm_memory(vm), 100000) == HV_EAGAIN)
		nr++;
	assert_int_equal(nr, total / 100000);
	assert_in_range(longest_read, 1, 100000);
	assert_memory_equal(at(2 * MIB), kernel, 2 * MIB);
	assert_int_equal(*at(2 * MIB + KERNEL_LEN), 0);
	assert_int_equal(*at(6 * MIB + MIB - 1), 0);
}

static void ends_in_the_step_that_does_the_last_byte(void **state)
{
	(void)state;
	assert_int_equal(add(BOOT_INITRD, 0, 2 * MIB, 1000, 1500), HV_OK);
	assert_int_equal(add(BOOT_INITRD, 0, 3 * MIB, 0, 0), HV_OK);
	assert_int_equal(boot_plan_step(&plan, vm_memory(vm), 1499), HV_EAGAIN);
	assert_int_equal(boot_plan_step(&plan, vm_memory(vm), 1), HV_OK);
	assert_int_equal(boot_plan_step(&plan, vm_memory(vm), 1), HV_OK);
}

static void refuses_what_is_not_in_the_image_or_not_in_memory(void **state)
{
	(void)state;
	assert_int_equal(add(BOOT_INITRD, 1, MIB, INITRD_LEN, INITRD_LEN), HV_EPROTO);
	assert_int_equal(add(BOOT_INITRD, ~0ull, MIB, 2, 2), HV_EPROTO);
	assert_int_equal(add(BOOT_INITRD, 0, LOW - 10, 5, 11), HV_EINVAL);
	assert_int_equal(add(BOOT_INITRD, 0, ~0ull, 5, 5), HV_EINVAL);
	assert_int_equal(plan.nr, 0);
}

static void takes_as_many_pieces_as_it_has_room_for(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < BOOT_PIECES_MAX; i++)
		assert_int_equal(add(BOOT_KERNEL, i, MIB + i * 16, 1, 2), HV_OK);
	assert_int_equal(add(BOOT_KERNEL, 0, MIB, 1, 1), HV_EPROTO);
	assert_int_equal(boot_plan_step(&plan, vm_memory(vm), ~0ull), HV_OK);
	assert_int_equal(*at(MIB + 16), kernel[1]);
}

static void hands_on_that_an_image_cannot_be_read(void **state)
{
	(void)state;
	assert_int_equal(add(BOOT_KERNEL, 0, MIB, 1, 1), HV_OK);
	answer = HV_EIO;
	assert_int_equal(boot_plan_step(&plan, vm_memory(vm), ~0ull), HV_EIO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(has_nothing_to_do_when_it_is_empty),
		TEST(brings_every_byte_and_zeros_behind_them),
		TEST(does_no_more_at_a_time_than_it_is_told),
		TEST(ends_in_the_step_that_does_the_last_byte),
		TEST(refuses_what_is_not_in_the_image_or_not_in_memory),
		TEST(takes_as_many_pieces_as_it_has_room_for),
		TEST(hands_on_that_an_image_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
