/* SPDX-License-Identifier: Apache-2.0 */
/* The small ports: every way to reset, and a keyboard controller that has no keyboard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/vmm/dev/dev_access.h"
#include "vmm/dev/fw_misc.h"

static struct vm *vm;
static struct vdev *fw;

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	return fw_misc_ops.create(vm, NULL, &fw) == HV_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fw_misc_ops.destroy(fw);
	fake_vm_destroy(vm);
	return 0;
}

static bool was_reset(void)
{
	return fake_vm(vm)->is_stopped && fake_vm(vm)->stop_reason == VM_STOP_RESET;
}

static void resets_by_the_keyboard_controller(void **state)
{
	(void)state;
	dev_outb(fw, 0x64, 0xff); /* pulses nothing */
	assert_false(was_reset());
	dev_outb(fw, 0x64, 0xfe);
	assert_true(was_reset());
}

static void resets_by_the_output_port(void **state)
{
	(void)state;
	dev_outb(fw, 0x60, 0xfe); /* without the command before it */
	dev_outb(fw, 0x64, 0xd1);
	dev_outb(fw, 0x60, 0xdf); /* A20 on, reset off */
	assert_false(was_reset());
	dev_outb(fw, 0x64, 0xd1);
	dev_outb(fw, 0x60, 0xde);
	assert_true(was_reset());
}

static void resets_by_the_fast_port(void **state)
{
	(void)state;
	assert_int_equal(dev_inb(fw, 0x92), 0x02);
	dev_outb(fw, 0x92, 0x02);
	assert_false(was_reset());
	dev_outb(fw, 0x92, 0x03);
	assert_true(was_reset());
}

static void resets_when_the_reset_bit_rises(void **state)
{
	(void)state;
	dev_outb(fw, 0xcf9, 0x02);
	assert_false(was_reset());
	assert_int_equal(dev_inb(fw, 0xcf9), 0x02);
	dev_outb(fw, 0xcf9, 0x06);
	assert_true(was_reset());
}

static void has_no_keyboard_and_says_so_at_once(void **state)
{
	(void)state;
	assert_int_equal(dev_inb(fw, 0x64) & 0x03, 0); /* nothing to read, ready to be written */
	dev_outb(fw, 0x64, 0xaa);
	assert_int_equal(dev_inb(fw, 0x64) & 0x01, 1);
	assert_int_equal(dev_inb(fw, 0x60), 0x55);
	assert_int_equal(dev_inb(fw, 0x64) & 0x01, 0);
	dev_outb(fw, 0x64, 0xab);
	assert_int_not_equal(dev_inb(fw, 0x60), 0);
	dev_outb(fw, 0x60, 0xff); /* reset the keyboard: nobody answers */
	assert_int_equal(dev_inb(fw, 0x64) & 0x01, 0);
	dev_outb(fw, 0x64, 0x60);
	dev_outb(fw, 0x60, 0x47);
	dev_outb(fw, 0x64, 0x20);
	assert_int_equal(dev_inb(fw, 0x60), 0x47);
}

static void keeps_post_codes(void **state)
{
	(void)state;
	dev_outb(fw, 0x80, 0x9b);
	assert_int_equal(dev_inb(fw, 0x80), 0x9b);
	assert_int_equal(dev_write(fw, SPACE_PIO, 0x80, 2, 0), IO_UNCLAIMED);
	fw_misc_ops.reset(fw);
	assert_int_equal(dev_inb(fw, 0x80), 0);
	assert_false(was_reset());
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(resets_by_the_keyboard_controller),
		TEST(resets_by_the_output_port),
		TEST(resets_by_the_fast_port),
		TEST(resets_when_the_reset_bit_rises),
		TEST(has_no_keyboard_and_says_so_at_once),
		TEST(keeps_post_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
