/* SPDX-License-Identifier: Apache-2.0 */
/* The UART as a driver meets it: probing, sending by interrupt, receiving, loop-back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/vmm/dev/dev_access.h"
#include "vmm/dev/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static struct vm *vm;
static struct vdev *uart;

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	return uart_ops.create(vm, NULL, &uart) == HV_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	uart_ops.destroy(uart);
	fake_vm_destroy(vm);
	return 0;
}

static uint8_t in(uint64_t reg)
{
	return dev_inb(uart, reg);
}

static void out(uint64_t reg, uint8_t val)
{
	dev_outb(uart, reg, val);
}

static bool is_irq_high(void)
{
	return fake_vm(vm)->irq_high[4];
}

static void prints_what_is_written(void **state)
{
	(void)state;
	for (const char *at = "hello\n"; *at; at++) {
		assert_int_equal(in(LSR), 0x60);
		out(DATA, (uint8_t)*at);
	}
	assert_int_equal(fake_vm(vm)->printed_len, 6);
	assert_memory_equal(fake_vm(vm)->printed, "hello\n", 6);
}

static void keeps_the_divisor_apart(void **state)
{
	(void)state;
	out(LCR, 0x83);
	out(DATA, 1);
	out(IER, 2);
	assert_int_equal(in(DATA), 1);
	assert_int_equal(in(IER), 2);
	out(LCR, 0x03);
	assert_int_equal(in(IER), 0);
	assert_int_equal(fake_vm(vm)->printed_len, 0);
}

static void probes_as_a_16550a(void **state)
{
	(void)state;
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f);
	out(IER, 0);
	out(SCR, 0x5a);
	assert_int_equal(in(SCR), 0x5a);
	out(MCR, 0x1a); /* loop, OUT2, RTS */
	assert_int_equal(in(MSR) & 0xf0, 0x90);
	out(MCR, 0);
	assert_int_equal(in(MSR) & 0xf0, 0xb0);
	assert_int_equal(in(IIR), 0x01);
	out(FCR, 0x01);
	assert_int_equal(in(IIR), 0xc1);
	out(LCR, 0x80); /* no EFR behind the divisor latch */
	assert_int_equal(in(IIR), 0xc1);
}

static void reports_empty_once_when_enabled_and_after_each_byte(void **state)
{
	(void)state;
	out(MCR, 0x08);
	out(IER, 0x02);
	assert_true(is_irq_high());
	assert_int_equal(in(IIR), 0x02);
	assert_false(is_irq_high());
	assert_int_equal(in(IIR), 0x01);
	out(DATA, 'x');
	assert_true(is_irq_high());
	assert_int_equal(fake_vm(vm)->irq_rises[4], 2);
	out(DATA, 'y'); /* not acknowledged yet: still a new edge */
	assert_int_equal(fake_vm(vm)->irq_rises[4], 3);
	out(IER, 0);
	assert_false(is_irq_high());
	out(IER, 0x02); /* a driver's test for ports that forget to report */
	assert_int_equal(in(IIR), 0x02);
}

static void needs_out2_for_its_interrupt(void **state)
{
	(void)state;
	out(IER, 0x02);
	assert_false(is_irq_high());
	out(MCR, 0x08);
	assert_true(is_irq_high());
}

static void receives_more_than_its_fifo_holds(void **state)
{
	const char *text = "0123456789abcdefghijklmnopqrstuvwxyz";

	(void)state;
	out(FCR, 0x81); /* trigger at 8 */
	out(MCR, 0x08);
	out(IER, 0x01);
	fake_vm_type(vm, text, strlen(text));
	uart_poll(uart);
	assert_true(is_irq_high());
	assert_int_equal(in(IIR), 0xc4);
	for (const char *at = text; *at; at++) {
		assert_int_equal(in(LSR) & 1, 1);
		assert_int_equal(in(DATA), *at);
	}
	assert_int_equal(in(LSR) & 1, 0);
	assert_false(is_irq_high());
}

static void reports_a_short_line_as_timed_out(void **state)
{
	(void)state;
	out(FCR, 0x81);
	out(MCR, 0x08);
	out(IER, 0x01);
	fake_vm_type(vm, "x", 1);
	uart_poll(uart);
	assert_int_equal(in(IIR), 0xcc);
	assert_int_equal(in(DATA), 'x');
	assert_int_equal(in(IIR), 0xc1);
}

static void loops_bytes_back(void **state)
{
	(void)state;
	out(MCR, 0x10);
	fake_vm_type(vm, "x", 1); /* the cable is off meanwhile */
	uart_poll(uart);
	assert_int_equal(in(LSR) & 1, 0);
	out(DATA, 0x42);
	assert_int_equal(in(LSR) & 1, 1);
	assert_int_equal(in(DATA), 0x42);
	assert_int_equal(fake_vm(vm)->printed_len, 0);
	out(MCR, 0);
	assert_int_equal(in(DATA), 'x');
}

static void reports_modem_lines_that_changed(void **state)
{
	(void)state;
	(void)in(MSR);
	out(MCR, 0x10); /* all lines fall */
	assert_int_equal(in(MSR), 0x0b);
	assert_int_equal(in(MSR), 0x00);
	out(MCR, 0x08);
	out(IER, 0x08);
	assert_true(is_irq_high());
	assert_int_equal(in(IIR), 0x00);
	assert_int_equal(in(MSR), 0xbb);
	assert_false(is_irq_high());
}

static void falls_silent_at_reset(void **state)
{
	(void)state;
	out(MCR, 0x08);
	out(IER, 0x02);
	uart_ops.reset(uart);
	assert_false(is_irq_high());
	assert_int_equal(in(IER), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(prints_what_is_written),
		TEST(keeps_the_divisor_apart),
		TEST(probes_as_a_16550a),
		TEST(reports_empty_once_when_enabled_and_after_each_byte),
		TEST(needs_out2_for_its_interrupt),
		TEST(receives_more_than_its_fifo_holds),
		TEST(reports_a_short_line_as_timed_out),
		TEST(loops_bytes_back),
		TEST(reports_modem_lines_that_changed),
		TEST(falls_silent_at_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
