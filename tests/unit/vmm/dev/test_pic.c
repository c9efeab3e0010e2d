/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259 pair, set up as Linux does it and otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/support/fake_vm.h"
#include "tests/unit/vmm/dev/dev_access.h"
#include "vmm/dev/pic.h"

enum { MASTER = 0x20, MASTER_MASK = 0x21, SLAVE = 0xa0, SLAVE_MASK = 0xa1, ELCR = 0x4d0 };

static struct vm *vm;
static struct vdev *pic;
static int nr_rises, nr_falls;

static void count_changes(struct vm *of, bool is_high)
{
	assert_ptr_equal(of, vm);
	*(is_high ? &nr_rises : &nr_falls) += 1;
}

static void init_chips(uint8_t icw4)
{
	dev_outb(pic, MASTER, 0x11);
	dev_outb(pic, MASTER_MASK, 0x30);
	dev_outb(pic, MASTER_MASK, 0x04);
	dev_outb(pic, MASTER_MASK, icw4);
	dev_outb(pic, SLAVE, 0x11);
	dev_outb(pic, SLAVE_MASK, 0x38);
	dev_outb(pic, SLAVE_MASK, 0x02);
	dev_outb(pic, SLAVE_MASK, icw4);
}

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	if (pic_ops.create(vm, NULL, &pic) != HV_OK)
		return -1;
	nr_rises = nr_falls = 0;
	pic_set_intr(pic, count_changes);
	init_chips(0x01);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pic_ops.destroy(pic);
	fake_vm_destroy(vm);
	return 0;
}

static void keeps_its_masks_as_a_probe_expects(void **state)
{
	(void)state;
	dev_outb(pic, SLAVE_MASK, 0xff);
	dev_outb(pic, MASTER_MASK, 0xfb);
	assert_int_equal(dev_inb(pic, MASTER_MASK), 0xfb);
	assert_int_equal(dev_inb(pic, SLAVE_MASK), 0xff);
}

static void delivers_an_edge_once(void **state)
{
	(void)state;
	pic_line(pic, 0, true);
	assert_true(pic_pending(pic));
	assert_int_equal(nr_rises, 1);
	assert_int_equal(pic_ack(pic), 0x30);
	assert_false(pic_pending(pic));
	assert_int_equal(nr_falls, 1);
	dev_outb(pic, MASTER, 0x20);
	assert_false(pic_pending(pic)); /* the line is still high, but that is no new edge */
	pic_line(pic, 0, false);
	pic_line(pic, 0, true);
	assert_int_equal(pic_ack(pic), 0x30);
}

static void delivers_through_the_cascade(void **state)
{
	(void)state;
	pic_line(pic, 8, true);
	assert_int_equal(pic_ack(pic), 0x38);
	dev_outb(pic, MASTER, 0x0b); /* show in-service */
	dev_outb(pic, SLAVE, 0x0b);
	assert_int_equal(dev_inb(pic, MASTER), 0x04);
	assert_int_equal(dev_inb(pic, SLAVE), 0x01);
	pic_line(pic, 14, true); /* waits for both ends */
	assert_false(pic_pending(pic));
	dev_outb(pic, SLAVE, 0x60);
	assert_false(pic_pending(pic));
	dev_outb(pic, MASTER, 0x62);
	assert_int_equal(pic_ack(pic), 0x3e);
}

static void serves_the_lower_number_first_and_nests_upwards(void **state)
{
	(void)state;
	pic_line(pic, 4, true);
	pic_line(pic, 3, true);
	assert_int_equal(pic_ack(pic), 0x33);
	assert_false(pic_pending(pic));
	pic_line(pic, 1, true);
	assert_int_equal(pic_ack(pic), 0x31);
	dev_outb(pic, MASTER, 0x20);
	assert_false(pic_pending(pic)); /* 3 is in service still */
	dev_outb(pic, MASTER, 0x20);
	assert_int_equal(pic_ack(pic), 0x34);
}

static void holds_back_what_is_masked(void **state)
{
	(void)state;
	dev_outb(pic, MASTER_MASK, 0x10);
	pic_line(pic, 4, true);
	assert_false(pic_pending(pic));
	dev_outb(pic, MASTER, 0x0a);
	assert_int_equal(dev_inb(pic, MASTER), 0x10); /* it is requested, though */
	dev_outb(pic, MASTER_MASK, 0x00);
	assert_true(pic_pending(pic));
}

static void answers_an_acknowledge_for_nothing_with_irq_7(void **state)
{
	(void)state;
	assert_int_equal(pic_ack(pic), 0x37);
	dev_outb(pic, MASTER, 0x0b);
	assert_int_equal(dev_inb(pic, MASTER), 0x00);
}

static void ends_by_itself_in_auto_eoi_mode(void **state)
{
	(void)state;
	init_chips(0x03);
	pic_line(pic, 5, true);
	assert_int_equal(pic_ack(pic), 0x35);
	pic_line(pic, 6, true);
	assert_int_equal(pic_ack(pic), 0x36);
}

static void repeats_a_level_until_it_falls(void **state)
{
	(void)state;
	dev_outb(pic, ELCR + 1, 0xff);
	assert_int_equal(dev_inb(pic, ELCR + 1), 0xde); /* RTC and FPU stay edges */
	dev_outb(pic, ELCR, 0xff);
	assert_int_equal(dev_inb(pic, ELCR), 0xf8);
	pic_line(pic, 11, true);
	assert_int_equal(pic_ack(pic), 0x3b);
	dev_outb(pic, SLAVE, 0x20);
	dev_outb(pic, MASTER, 0x20);
	assert_true(pic_pending(pic));
	pic_line(pic, 11, false);
	assert_false(pic_pending(pic));
}

static void rotates_priorities(void **state)
{
	(void)state;
	dev_outb(pic, MASTER, 0xc3); /* 3 is the lowest now, 4 the highest */
	pic_line(pic, 0, true);
	pic_line(pic, 4, true);
	assert_int_equal(pic_ack(pic), 0x34);
	dev_outb(pic, MASTER, 0xa0); /* end it, and make it the lowest */
	pic_line(pic, 4, false);
	pic_line(pic, 4, true);
	assert_int_equal(pic_ack(pic), 0x30);
}

static void lets_others_through_in_special_mask_mode(void **state)
{
	(void)state;
	pic_line(pic, 1, true);
	(void)pic_ack(pic);
	pic_line(pic, 6, true);
	assert_false(pic_pending(pic));
	dev_outb(pic, MASTER, 0x68);
	dev_outb(pic, MASTER_MASK, 0x02);
	assert_true(pic_pending(pic));
}

static void can_be_polled(void **state)
{
	(void)state;
	dev_outb(pic, MASTER, 0x0c);
	assert_int_equal(dev_inb(pic, MASTER) & 0x80, 0);
	pic_line(pic, 3, true);
	dev_outb(pic, MASTER, 0x0c);
	assert_int_equal(dev_inb(pic, MASTER), 0x83);
	assert_false(pic_pending(pic));
}

static void ignores_lines_it_does_not_have(void **state)
{
	(void)state;
	pic_line(pic, 2, true);
	pic_line(pic, 16, true);
	assert_false(pic_pending(pic));
}

static void is_silent_until_it_is_set_up(void **state)
{
	(void)state;
	pic_ops.reset(pic);
	for (uint32_t irq = 0; irq < PIC_IRQS; irq++)
		pic_line(pic, irq, true);
	assert_false(pic_pending(pic));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keeps_its_masks_as_a_probe_expects),
		TEST(delivers_an_edge_once),
		TEST(delivers_through_the_cascade),
		TEST(serves_the_lower_number_first_and_nests_upwards),
		TEST(holds_back_what_is_masked),
		TEST(answers_an_acknowledge_for_nothing_with_irq_7),
		TEST(ends_by_itself_in_auto_eoi_mode),
		TEST(repeats_a_level_until_it_falls),
		TEST(rotates_priorities),
		TEST(lets_others_through_in_special_mask_mode),
		TEST(can_be_polled),
		TEST(ignores_lines_it_does_not_have),
		TEST(is_silent_until_it_is_set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
