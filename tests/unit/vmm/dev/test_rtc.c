/* SPDX-License-Identifier: Apache-2.0 */
/* The RTC: the date in every form, setting it, and its three interrupts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/vmm/dev/dev_access.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/rtc_date.h"

/* 2023-11-14 22:13:20, a Tuesday: fake_vm's wall clock */
#define START_S 1700000000ull

static struct vm *vm;
static struct vdev *rtc;

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	return rtc_ops.create(vm, NULL, &rtc) == HV_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	rtc_ops.destroy(rtc);
	fake_vm_destroy(vm);
	return 0;
}

static uint8_t in(uint8_t reg)
{
	dev_outb(rtc, 0, reg);
	return dev_inb(rtc, 1);
}

static void out(uint8_t reg, uint8_t val)
{
	dev_outb(rtc, 0, reg);
	dev_outb(rtc, 1, val);
}

static bool is_irq_high(void)
{
	return fake_vm(vm)->irq_high[8];
}

static void shows_the_date_in_bcd(void **state)
{
	(void)state;
	assert_int_equal(in(0x00), 0x20);
	assert_int_equal(in(0x02), 0x13);
	assert_int_equal(in(0x04), 0x22);
	assert_int_equal(in(0x06), 3);
	assert_int_equal(in(0x07), 0x14);
	assert_int_equal(in(0x08), 0x11);
	assert_int_equal(in(0x09), 0x23);
	assert_int_equal(in(0x32), 0x20);
	assert_int_equal(in(0x0d), 0x80);
}

static void shows_binary_and_12_hours_when_told(void **state)
{
	(void)state;
	out(0x0b, 0x06);
	assert_int_equal(in(0x00), 20);
	assert_int_equal(in(0x04), 22);
	out(0x0b, 0x04);
	assert_int_equal(in(0x04), 0x80 | 10);
	out(0x0b, 0x00);
	assert_int_equal(in(0x04), 0x90);
	fake_vm_advance(vm, 2 * 3600 * NSEC_PER_SEC); /* past midnight */
	assert_int_equal(in(0x04), 0x12);
}

static void is_set_while_the_set_bit_holds_it(void **state)
{
	(void)state;
	out(0x0b, 0x82);
	out(0x32, 0x19);
	out(0x09, 0x99);
	out(0x08, 0x12);
	out(0x07, 0x31);
	out(0x04, 0x23);
	out(0x02, 0x59);
	out(0x00, 0x58);
	fake_vm_advance(vm, 10 * NSEC_PER_SEC); /* stands still */
	assert_int_equal(in(0x00), 0x58);
	out(0x0b, 0x02);
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_int_equal(in(0x00), 0x59);
	assert_int_equal(in(0x09), 0x99);
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_int_equal(in(0x09), 0x00);
	assert_int_equal(in(0x32), 0x20);
	assert_int_equal(in(0x07), 0x01);
	assert_int_equal(in(0x06), 7); /* a Saturday, whatever was written */
	rtc_ops.reset(rtc);	       /* the battery keeps it */
	assert_int_equal(in(0x09), 0x00);
}

static void can_be_set_while_it_runs(void **state)
{
	(void)state;
	out(0x02, 0x45);
	assert_int_equal(in(0x02), 0x45);
	assert_int_equal(in(0x04), 0x22);
}

static void keeps_memory(void **state)
{
	(void)state;
	out(0x0f, 0x5a);
	out(0xff, 0xa5); /* bit 7 is not part of the index */
	assert_int_equal(in(0x0f), 0x5a);
	assert_int_equal(in(0x7f), 0xa5);
}

static void shows_an_update_in_progress_before_each_second(void **state)
{
	(void)state;
	assert_int_equal(in(0x0a) & 0x80, 0);
	fake_vm_advance(vm, 997 * NSEC_PER_MSEC);
	assert_int_equal(in(0x0a) & 0x80, 0);
	fake_vm_advance(vm, 2 * NSEC_PER_MSEC);
	assert_int_equal(in(0x0a) & 0x80, 0x80);
	assert_int_equal(in(0x00), 0x20);
	fake_vm_advance(vm, 1 * NSEC_PER_MSEC);
	assert_int_equal(in(0x0a) & 0x80, 0);
	assert_int_equal(in(0x00), 0x21);
}

static void interrupts_after_each_update(void **state)
{
	(void)state;
	out(0x0b, 0x12);
	fake_vm_advance(vm, 999 * NSEC_PER_MSEC);
	assert_false(is_irq_high());
	fake_vm_advance(vm, NSEC_PER_MSEC);
	assert_true(is_irq_high());
	assert_int_equal(in(0x0c) & 0x90, 0x90);
	assert_false(is_irq_high());
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_true(is_irq_high());
	fake_vm_advance(vm, 60 * NSEC_PER_SEC); /* unanswered: it waits */
	assert_int_equal(fake_vm(vm)->irq_rises[8], 2);
}

static void interrupts_at_the_alarm(void **state)
{
	(void)state;
	out(0x01, 0x00);
	out(0x03, 0x15);
	out(0x05, 0xff); /* any hour */
	out(0x0b, 0x22);
	fake_vm_advance(vm, 99 * NSEC_PER_SEC);
	assert_false(is_irq_high());
	fake_vm_advance(vm, NSEC_PER_SEC); /* 22:15:00 */
	assert_true(is_irq_high());
	assert_int_equal(in(0x0c) & 0xa0, 0xa0);
	assert_false(is_irq_high());
	fake_vm_advance(vm, 3600 * NSEC_PER_SEC);
	assert_true(is_irq_high());
}

static void finds_an_alarm_that_is_almost_a_day_away(void **state)
{
	(void)state;
	out(0x01, 0x19);
	out(0x03, 0x13);
	out(0x05, 0x22);
	out(0x0b, 0x22);
	assert_int_equal(fake_vm_next_deadline(vm), 86399 * NSEC_PER_SEC);
	out(0x05, 0x25); /* no such hour: never */
	assert_int_equal(fake_vm_next_deadline(vm), UINT64_MAX);
}

static void interrupts_periodically(void **state)
{
	unsigned before;

	(void)state;
	out(0x0a, 0x2f); /* 2 Hz */
	out(0x0b, 0x42);
	for (int i = 0; i < 10; i++) {
		before = fake_vm(vm)->irq_rises[8];
		fake_vm_advance(vm, NSEC_PER_SEC / 2);
		assert_int_equal(fake_vm(vm)->irq_rises[8], before + 1);
		assert_int_equal(in(0x0c) & 0xc0, 0xc0);
	}
	out(0x0a, 0x20); /* off */
	assert_int_equal(fake_vm_next_deadline(vm), UINT64_MAX);
}

static void raises_flags_for_those_who_poll(void **state)
{
	(void)state;
	(void)in(0x0c);
	assert_int_equal(in(0x0c) & 0x10, 0);
	fake_vm_advance(vm, NSEC_PER_SEC);
	assert_int_equal(in(0x0c) & 0x90, 0x10); /* updated, but no interrupt */
	assert_int_equal(in(0x0c) & 0x10, 0);
}

static void follows_a_wall_clock_that_jumps(void **state)
{
	(void)state;
	fake_vm(vm)->wall_s += 3600; /* the VM was paused for an hour */
	assert_int_equal(in(0x04), 0x23);
	assert_int_equal(in(0x02), 0x13);
}

static void converts_dates_both_ways(void **state)
{
	static const struct {
		uint64_t seconds;
		struct rtc_date date;
	} rows[] = {
		{0, {1970, 1, 1, 5, 0, 0, 0}},
		{951782399, {2000, 2, 28, 2, 23, 59, 59}},
		{951782400, {2000, 2, 29, 3, 0, 0, 0}},
		{951868800, {2000, 3, 1, 4, 0, 0, 0}},
		{START_S, {2023, 11, 14, 3, 22, 13, 20}},
		{4107542400, {2100, 3, 1, 2, 0, 0, 0}}, /* 2100 is no leap year */
		{253402300799, {9999, 12, 31, 6, 23, 59, 59}},
	};
	struct rtc_date d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		rtc_date_of(rows[i].seconds, &d);
		assert_memory_equal(&d, &rows[i].date, sizeof(d));
		assert_int_equal(rtc_seconds_of(&d), rows[i].seconds);
	}
	for (uint64_t day = 0; day < 200000; day++) {
		rtc_date_of(day * 86400, &d);
		assert_int_equal(rtc_seconds_of(&d), day * 86400);
		assert_true(d.day >= 1 && d.day <= 31 && d.month >= 1 && d.month <= 12);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shows_the_date_in_bcd),
		TEST(shows_binary_and_12_hours_when_told),
		TEST(is_set_while_the_set_bit_holds_it),
		TEST(can_be_set_while_it_runs),
		TEST(keeps_memory),
		TEST(shows_an_update_in_progress_before_each_second),
		TEST(interrupts_after_each_update),
		TEST(interrupts_at_the_alarm),
		TEST(finds_an_alarm_that_is_almost_a_day_away),
		TEST(interrupts_periodically),
		TEST(raises_flags_for_those_who_poll),
		TEST(follows_a_wall_clock_that_jumps),
		TEST(converts_dates_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
