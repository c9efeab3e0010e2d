/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254: counting, latching, the interrupt, and the way systems measure with counter 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/vmm/dev/dev_access.h"
#include "vmm/dev/pit.h"

enum { COUNTER_0 = 0x40, COUNTER_2 = 0x42, CONTROL = 0x43, PORT_B = 0x61 };

static struct vm *vm;
static struct vdev *pit;

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	return pit_ops.create(vm, NULL, &pit) == HV_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	pit_ops.destroy(pit);
	fake_vm_destroy(vm);
	return 0;
}

static void program(uint8_t control, uint16_t count)
{
	unsigned counter = control >> 6;

	dev_outb(pit, CONTROL, control);
	dev_outb(pit, COUNTER_0 + counter, (uint8_t)count);
	dev_outb(pit, COUNTER_0 + counter, (uint8_t)(count >> 8));
}

static uint16_t latched(unsigned counter)
{
	uint8_t low;

	dev_outb(pit, CONTROL, (uint8_t)(counter << 6));
	low = dev_inb(pit, COUNTER_0 + counter);
	return (uint16_t)(low | dev_inb(pit, COUNTER_0 + counter) << 8);
}

static uint64_t ns_of(uint64_t ticks)
{
	return (ticks * NSEC_PER_SEC + PIT_HZ - 1) / PIT_HZ;
}

static unsigned irqs(void)
{
	return fake_vm(vm)->irq_rises[0];
}

static void arms_nothing_before_it_is_programmed(void **state)
{
	(void)state;
	assert_int_equal(fake_vm_next_deadline(vm), UINT64_MAX);
	dev_outb(pit, CONTROL, 0x34); /* mode, but no count yet */
	assert_int_equal(fake_vm_next_deadline(vm), UINT64_MAX);
}

static void ticks_at_100_hz_without_drift(void **state)
{
	(void)state;
	program(0x34, 11932);
	assert_int_equal(irqs(), 1); /* its output is high from the control word on */
	fake_vm_advance(vm, 10 * NSEC_PER_SEC);
	assert_in_range(irqs(), 1000, 1001);
}

static void fires_once_in_mode_0(void **state)
{
	(void)state;
	program(0x30, 1000);
	assert_int_equal(irqs(), 0);
	fake_vm_advance(vm, ns_of(999));
	assert_int_equal(irqs(), 0);
	fake_vm_advance(vm, ns_of(1000) - ns_of(999));
	assert_int_equal(irqs(), 1);
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_int_equal(irqs(), 1);
	program(0x30, 1000); /* once more */
	assert_false(fake_vm(vm)->irq_high[0]);
	fake_vm_advance(vm, ns_of(1000));
	assert_int_equal(irqs(), 2);
}

static void fires_once_in_mode_4(void **state)
{
	unsigned before;

	(void)state;
	program(0x38, 500);
	before = irqs();
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_int_equal(irqs(), before + 1);
}

static void latches_a_count_while_it_goes_on(void **state)
{
	uint8_t low;

	(void)state;
	program(0x34, 50000);
	fake_vm_advance(vm, ns_of(100));
	dev_outb(pit, CONTROL, 0x00);
	fake_vm_advance(vm, ns_of(5000));
	low = dev_inb(pit, COUNTER_0);
	assert_int_equal(low | dev_inb(pit, COUNTER_0) << 8, 49900);
	assert_in_range(latched(0), 44899, 44901);
}

static void counts_each_mode_as_the_chip_does(void **state)
{
	(void)state;
	program(0x34, 1000);
	fake_vm_advance(vm, ns_of(2300));
	assert_int_equal(latched(0), 700);
	program(0x36, 1000); /* square wave: by twos */
	fake_vm_advance(vm, ns_of(300));
	assert_int_equal(latched(0), 400);
	program(0x30, 1000); /* goes on below zero */
	fake_vm_advance(vm, ns_of(1001));
	assert_int_equal(latched(0), 0xffff);
	program(0x34, 0); /* 65536 */
	fake_vm_advance(vm, ns_of(1));
	assert_int_equal(latched(0), 0xffff);
}

static void measures_with_counter_2_and_port_61(void **state)
{
	uint64_t waited_ns = 0;

	(void)state;
	dev_outb(pit, PORT_B, 0x01); /* gate on, speaker off */
	program(0xb0, 0xffff & (PIT_HZ / 20));
	while (!(dev_inb(pit, PORT_B) & 0x20)) {
		fake_vm_advance(vm, 1000);
		waited_ns += 1000;
		assert_true(waited_ns < NSEC_PER_SEC);
	}
	assert_in_range(waited_ns, 50 * NSEC_PER_MSEC - 2000, 50 * NSEC_PER_MSEC + 2000);
}

static void stands_still_while_its_gate_is_low(void **state)
{
	(void)state;
	dev_outb(pit, PORT_B, 0x01);
	program(0xb0, 1000);
	fake_vm_advance(vm, ns_of(400));
	dev_outb(pit, PORT_B, 0x00);
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_int_equal(latched(2), 600);
	dev_outb(pit, PORT_B, 0x01);
	fake_vm_advance(vm, ns_of(100));
	assert_in_range(latched(2), 499, 501);
}

static void toggles_the_refresh_bit(void **state)
{
	uint8_t before = dev_inb(pit, PORT_B) & 0x10;

	(void)state;
	fake_vm_advance(vm, 15085);
	assert_int_not_equal(dev_inb(pit, PORT_B) & 0x10, before);
}

static void answers_read_back(void **state)
{
	uint8_t status, low;

	(void)state;
	dev_outb(pit, CONTROL, 0x34);
	dev_outb(pit, CONTROL, 0xe2);			 /* status of counter 0 */
	assert_int_equal(dev_inb(pit, COUNTER_0), 0xf4); /* output high, no count */
	program(0x34, 1000);
	fake_vm_advance(vm, ns_of(10));
	dev_outb(pit, CONTROL, 0xc2); /* both */
	status = dev_inb(pit, COUNTER_0);
	low = dev_inb(pit, COUNTER_0);
	assert_int_equal(status, 0xb4);
	assert_int_equal(low | dev_inb(pit, COUNTER_0) << 8, 990);
}

static void takes_single_byte_counts(void **state)
{
	(void)state;
	dev_outb(pit, CONTROL, 0x14);
	dev_outb(pit, COUNTER_0, 100);
	fake_vm_advance(vm, ns_of(30));
	assert_int_equal(dev_inb(pit, COUNTER_0), 70);
	dev_outb(pit, CONTROL, 0x24);
	dev_outb(pit, COUNTER_0, 4);
	fake_vm_advance(vm, ns_of(256));
	assert_int_equal(dev_inb(pit, COUNTER_0), 3);
}

static void does_not_let_a_tiny_period_eat_the_host(void **state)
{
	(void)state;
	program(0x34, 1);
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_in_range(irqs(), 10000, 50001);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arms_nothing_before_it_is_programmed),
		TEST(ticks_at_100_hz_without_drift),
		TEST(fires_once_in_mode_0),
		TEST(fires_once_in_mode_4),
		TEST(latches_a_count_while_it_goes_on),
		TEST(counts_each_mode_as_the_chip_does),
		TEST(measures_with_counter_2_and_port_61),
		TEST(stands_still_while_its_gate_is_low),
		TEST(toggles_the_refresh_bit),
		TEST(answers_read_back),
		TEST(takes_single_byte_counts),
		TEST(does_not_let_a_tiny_period_eat_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
