/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC: what its registers keep, and which messages its lines become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/vmm/dev/dev_access.h"
#include "vmm/dev/ioapic.h"

static struct vm *vm;
static struct vdev *io;

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	return ioapic_ops.create(vm, NULL, &io) == HV_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	ioapic_ops.destroy(io);
	fake_vm_destroy(vm);
	return 0;
}

static void select_and_write(uint32_t index, uint32_t val)
{
	dev_write(io, SPACE_MMIO, 0x00, 4, index);
	dev_write(io, SPACE_MMIO, 0x10, 4, val);
}

static uint32_t select_and_read(uint32_t index)
{
	dev_write(io, SPACE_MMIO, 0x00, 4, index);
	return (uint32_t)dev_read(io, SPACE_MMIO, 0x10, 4);
}

static void program(uint32_t pin, uint64_t entry)
{
	select_and_write(0x11 + 2 * pin, (uint32_t)(entry >> 32));
	select_and_write(0x10 + 2 * pin, (uint32_t)entry);
}

static void introduces_itself(void **state)
{
	(void)state;
	assert_int_equal(select_and_read(1), 0x00170020);
	select_and_write(0, 0xffffffff);
	assert_int_equal(select_and_read(0), 0x0f000000);
	assert_int_equal(select_and_read(0x10), 0x10000); /* masked */
	assert_int_equal(select_and_read(0x40), 0);	  /* behind the last entry */
}

static void keeps_writable_bits_only(void **state)
{
	(void)state;
	program(3, ~0ull);
	assert_int_equal(select_and_read(0x16), 0x1afff);
	assert_int_equal(select_and_read(0x17), 0xff000000);
}

static void sends_one_message_for_an_edge(void **state)
{
	(void)state;
	program(4, 0x0300000000000934ull); /* to 3, logical, lowest priority, vector 0x34 */
	ioapic_line(io, 4, true);
	ioapic_line(io, 4, true);
	assert_int_equal(fake_vm(vm)->nr_msis, 1);
	assert_int_equal(fake_vm(vm)->msis[0].addr, 0xfee03004);
	assert_int_equal(fake_vm(vm)->msis[0].data, 0x134);
	ioapic_line(io, 4, false);
	ioapic_line(io, 4, true);
	assert_int_equal(fake_vm(vm)->nr_msis, 2);
}

static void loses_an_edge_while_masked(void **state)
{
	(void)state;
	program(4, 0x10034);
	ioapic_line(io, 4, true);
	program(4, 0x00034);
	assert_int_equal(fake_vm(vm)->nr_msis, 0);
}

static void repeats_a_level_after_its_end(void **state)
{
	(void)state;
	program(9, 0x8051);
	ioapic_line(io, 9, true);
	assert_int_equal(fake_vm(vm)->nr_msis, 1);
	assert_int_equal(fake_vm(vm)->msis[0].data, 0xc051);
	assert_int_equal(select_and_read(0x22), 0xc051); /* remote IRR */
	ioapic_line(io, 9, false);
	ioapic_line(io, 9, true);
	assert_int_equal(fake_vm(vm)->nr_msis, 1);
	ioapic_eoi(io, 0x50); /* another vector's */
	assert_int_equal(fake_vm(vm)->nr_msis, 1);
	ioapic_eoi(io, 0x51);
	assert_int_equal(fake_vm(vm)->nr_msis, 2);
	ioapic_line(io, 9, false);
	dev_write(io, SPACE_MMIO, 0x40, 4, 0x51); /* the EOI register does the same */
	assert_int_equal(fake_vm(vm)->nr_msis, 2);
	assert_int_equal(select_and_read(0x22), 0x8051);
}

static void delivers_a_level_that_waited_behind_the_mask(void **state)
{
	(void)state;
	program(9, 0x18051);
	ioapic_line(io, 9, true);
	assert_int_equal(fake_vm(vm)->nr_msis, 0);
	program(9, 0x8051);
	assert_int_equal(fake_vm(vm)->nr_msis, 1);
}

static void forgets_remote_irr_when_made_an_edge(void **state)
{
	(void)state;
	program(9, 0x8051);
	ioapic_line(io, 9, true);
	program(9, 0x10051);
	assert_int_equal(select_and_read(0x22), 0x10051);
}

static void ignores_pins_and_widths_it_does_not_have(void **state)
{
	(void)state;
	ioapic_line(io, 24, true);
	ioapic_line(io, 0xffffffff, true);
	assert_int_equal(dev_write(io, SPACE_MMIO, 0x10, 8, 0), IO_REFUSED);
	assert_int_equal(dev_write(io, SPACE_MMIO, 0x20, 4, 0), IO_UNCLAIMED);
	assert_int_equal(fake_vm(vm)->nr_msis, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(introduces_itself),
		TEST(keeps_writable_bits_only),
		TEST(sends_one_message_for_an_edge),
		TEST(loses_an_edge_while_masked),
		TEST(repeats_a_level_after_its_end),
		TEST(delivers_a_level_that_waited_behind_the_mask),
		TEST(forgets_remote_irr_when_made_an_edge),
		TEST(ignores_pins_and_widths_it_does_not_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
