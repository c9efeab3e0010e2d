/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI power management: the button, the timer, the way off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/vmm/dev/dev_access.h"
#include "vmm/dev/acpi_pm.h"

static struct vm *vm;
static struct vdev *pm;

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	return acpi_pm_ops.create(vm, NULL, &pm) == HV_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	acpi_pm_ops.destroy(pm);
	fake_vm_destroy(vm);
	return 0;
}

static uint32_t in(uint64_t offset, uint8_t size)
{
	return (uint32_t)dev_read(pm, SPACE_PIO, offset, size);
}

static void out(uint64_t offset, uint8_t size, uint32_t val)
{
	assert_int_equal(dev_write(pm, SPACE_PIO, offset, size, val), IO_DONE);
}

static void is_always_in_acpi_mode(void **state)
{
	(void)state;
	assert_int_equal(in(4, 2), 1);
	out(4, 2, 0);
	assert_int_equal(in(4, 2), 1);
}

static void raises_sci_for_the_power_button_when_enabled(void **state)
{
	(void)state;
	acpi_pm_press_power_button(pm);
	assert_false(fake_vm(vm)->irq_high[9]);
	assert_int_equal(in(0, 2), 0x100);
	out(2, 2, 0x100);
	assert_true(fake_vm(vm)->irq_high[9]);
	out(0, 2, 0x0ff); /* other bits clear nothing */
	assert_true(fake_vm(vm)->irq_high[9]);
	out(0, 2, 0x100);
	assert_false(fake_vm(vm)->irq_high[9]);
	assert_int_equal(in(0, 2), 0);
	assert_int_equal(in(2, 2), 0x100);
	assert_int_equal(in(0, 4), 0x01000000);
}

static void switches_off_at_s5_only(void **state)
{
	(void)state;
	out(4, 2, 0x2000 | 1 << 10);
	out(4, 2, 5 << 10); /* type without enable */
	assert_false(fake_vm(vm)->is_stopped);
	out(4, 2, 0x2000 | 5 << 10);
	assert_true(fake_vm(vm)->is_stopped);
	assert_int_equal(fake_vm(vm)->stop_reason, VM_STOP_POWER_OFF);
}

static void counts_time_at_3579545_hz(void **state)
{
	(void)state;
	assert_int_equal(in(8, 4), 0);
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_int_equal(in(8, 4), 3579545);
	fake_vm_advance(vm, 1199 * NSEC_PER_SEC); /* 2^32 ticks last 1199.86 s */
	assert_int_equal(in(8, 4), (uint32_t)(1200ull * 3579545));
	fake_vm_advance(vm, 1000000 * NSEC_PER_SEC);
	assert_int_equal(in(8, 4), (uint32_t)(1001200ull * 3579545));
	out(8, 4, 0); /* read-only */
	assert_int_equal(in(8, 4), (uint32_t)(1001200ull * 3579545));
}

static void takes_bytes_words_and_both_registers_at_once(void **state)
{
	(void)state;
	acpi_pm_press_power_button(pm);
	out(3, 1, 0x01);
	assert_int_equal(in(2, 2), 0x100);
	out(2, 1, 0x20);
	assert_int_equal(in(2, 2), 0x120);
	out(1, 1, 0x01);
	assert_false(fake_vm(vm)->irq_high[9]);
	out(0, 4, 0x00010100);
	assert_int_equal(in(3, 1), 0x00);
	assert_int_equal(dev_write(pm, SPACE_PIO, 0, 8, 0), IO_REFUSED);
	out(5, 1, 0x34); /* S5, by its byte */
	assert_true(fake_vm(vm)->is_stopped);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_always_in_acpi_mode),
		TEST(raises_sci_for_the_power_button_when_enabled),
		TEST(switches_off_at_s5_only),
		TEST(counts_time_at_3579545_hz),
		TEST(takes_bytes_words_and_both_registers_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
