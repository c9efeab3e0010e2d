/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up port with a slot, whose lamp, latch, power and card the tests move. */
#include "kernel/pci_slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

#define CAP	   0x40u
#define LINK_CAPS  (CAP + 0x0c)
#define LINK_STATE (CAP + 0x12)
#define SLOT_CAPS  (CAP + 0x14)
#define CONTROL	   (CAP + 0x18)
#define STATUS	   (CAP + 0x1a)

#define MS NSEC_PER_MSEC

/* Slot Capabilities: button, power controller, latch, both lamps, surprise, hot-plug; number 7 */
#define CAPS_ALL      0x0038007fu
#define CAPS_NO_POWER 0x0038007du
#define NO_COMMAND    0x00040000u

enum { LAMP_ON = 0x100, LAMP_BLINK = 0x200, LAMP_OFF = 0x300, LAMP = 0x300 };

static struct {
	uint8_t reg[256];
	bool is_gone;	 /* the port itself */
	bool is_slow;	 /* completes no commands by itself */
	bool has_link;	 /* as soon as there is a card with power */
	uint32_t vendor; /* of the card, once it answers */
	uint32_t nr_commands;
} port;

static struct pci_device device;
static struct pci_slot slot;
static uint64_t now_ns;

static uint16_t control(void)
{
	return get_le16(port.reg + CONTROL);
}

static void set_status(uint16_t bits)
{
	put_le16(port.reg + STATUS, get_le16(port.reg + STATUS) | bits);
}

static bool has_power(void)
{
	return !(control() & 0x400) || !(get_le32(port.reg + SLOT_CAPS) & 2);
}

static void update_link(void)
{
	bool was_up = get_le16(port.reg + LINK_STATE) & 0x2000;
	bool is_up = port.has_link && has_power() && get_le16(port.reg + STATUS) & 0x40;

	put_le16(port.reg + LINK_STATE, is_up ? 0x2000 : 0);
	if (was_up != is_up)
		set_status(0x100);
}

static uint32_t fake_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	uint32_t val = 0;

	(void)arg;
	if (port.is_gone)
		return UINT32_MAX >> (32 - 8 * size);
	if (at.bus == 5) /* the card */
		return get_le16(port.reg + LINK_STATE) & 0x2000 ? port.vendor & 0xffff : 0xffff;
	for (uint32_t i = 0; i < size; i++)
		val |= (uint32_t)port.reg[reg + i] << (8 * i);
	return val;
}

static void fake_write(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	(void)arg;
	(void)at;
	assert_int_equal(size, 2);
	if (port.is_gone)
		return;
	if (reg == STATUS) {
		assert_int_equal(val & ~0x11fu, 0);
		put_le16(port.reg + STATUS, (uint16_t)(get_le16(port.reg + STATUS) & ~val));
		return;
	}
	assert_int_equal(reg, CONTROL);
	assert_int_equal(val & 0x800, 0); /* nobody asked for the interlock */
	put_le16(port.reg + CONTROL, (uint16_t)val);
	port.nr_commands++;
	if (!port.is_slow)
		set_status(0x10);
	update_link();
}

static const struct pci_access fake = {.read = fake_read, .write = fake_write};

static void make_port(uint32_t caps)
{
	memset(&port, 0, sizeof(port));
	port.has_link = true;
	port.vendor = 0x8086;
	put_le16(port.reg + PCI_REG_STATUS, 0x10);
	port.reg[PCI_REG_CAP_POINTER] = CAP;
	port.reg[PCI_REG_SECONDARY] = 5;
	put_le16(port.reg + CAP, PCI_CAP_EXPRESS);
	put_le16(port.reg + CAP + 2, 0x0142); /* root port, slot */
	put_le32(port.reg + LINK_CAPS, 1u << 20);
	put_le32(port.reg + SLOT_CAPS, caps);
	put_le16(port.reg + CONTROL, 0x07c0); /* all off */
	device = (struct pci_device){.header_type = 1};
	now_ns = 1000 * MS;
}

static void plug_in(void)
{
	set_status(0x48);
	update_link();
}

static void take_out(void)
{
	put_le16(port.reg + STATUS, (uint16_t)(get_le16(port.reg + STATUS) & ~0x40));
	set_status(0x08);
	update_link();
}

static void press(void)
{
	set_status(0x01);
}

static enum pci_slot_do step(void)
{
	return pci_slot_step(&slot, now_ns);
}

/* Steps of 10 ms until something is to be done. */
static enum pci_slot_do run(uint64_t ms)
{
	for (uint64_t end_ns = now_ns + ms * MS; now_ns < end_ns; now_ns += 10 * MS) {
		enum pci_slot_do what = step();

		if (what != PCI_SLOT_NOTHING)
			return what;
	}
	return PCI_SLOT_NOTHING;
}

static void start(uint32_t caps, bool is_occupied)
{
	make_port(caps);
	if (is_occupied) {
		put_le16(port.reg + CONTROL, 0x01c0);
		plug_in();
	}
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_OK);
	pci_slot_start(&slot, is_occupied, true, now_ns);
	if (!is_occupied)
		assert_int_equal(run(3000), PCI_SLOT_RELEASE);
	assert_int_equal(run(3000), PCI_SLOT_NOTHING);
	assert_true(pci_slot_is_idle(&slot));
	assert_int_equal(slot.state, is_occupied ? PCI_SLOT_ON : PCI_SLOT_OFF);
}

static void finds_ports_whose_slot_can_be_hot_plugged(void **state)
{
	(void)state;
	make_port(CAPS_ALL);
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_OK);
	assert_int_equal(slot.number, 7);
	assert_true(slot.reports_link);

	put_le32(port.reg + SLOT_CAPS, CAPS_ALL & ~0x40u);
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_ENOENT);
	put_le32(port.reg + SLOT_CAPS, CAPS_ALL);
	put_le16(port.reg + CAP + 2, 0x0042); /* no slot */
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_ENOENT);
	put_le16(port.reg + CAP + 2, 0x0152); /* an upstream port */
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_ENOENT);
	put_le16(port.reg + CAP + 2, 0x0162); /* a downstream port */
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_OK);
	device.header_type = 0;
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_ENOENT);
	device.header_type = 1;
	port.is_gone = true;
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_ENOENT);
}

static void bears_a_capability_at_the_end_of_the_registers(void **state)
{
	(void)state;
	make_port(CAPS_ALL);
	port.reg[PCI_REG_CAP_POINTER] = 0xf8;
	put_le16(port.reg + 0xf8, PCI_CAP_EXPRESS);
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_ENOENT);
}

static void leaves_alone_what_firmware_serves(void **state)
{
	(void)state;
	make_port(CAPS_ALL);
	put_le16(port.reg + CONTROL, 0x07e0);
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_EBUSY);
	assert_int_equal(pci_slot_find(&fake, &device, false, true, &slot), HV_OK);
}

/* As QEMU's when its slots are served by ACPI. */
static void leaves_alone_a_slot_that_does_not_know_its_card(void **state)
{
	(void)state;
	make_port(CAPS_ALL);
	assert_int_equal(pci_slot_find(&fake, &device, true, true, &slot), HV_EPROTO);
	put_le16(port.reg + CONTROL, 0x01c0);
	plug_in();
	assert_int_equal(pci_slot_find(&fake, &device, true, false, &slot), HV_OK);
	assert_true(slot.reports_link);
	put_le16(port.reg + LINK_STATE, 0);
	assert_int_equal(pci_slot_find(&fake, &device, true, false, &slot), HV_OK);
	assert_false(slot.reports_link);
	set_status(0x20); /* the latch is open */
	assert_int_equal(pci_slot_find(&fake, &device, true, false, &slot), HV_EPROTO);
}

static void switches_an_empty_slot_off_and_waits(void **state)
{
	(void)state;
	start(CAPS_ALL, false);
	assert_int_equal(control() & (LAMP | 0x400), LAMP_OFF | 0x400);
	assert_int_equal(control() & 0x103f, 0x103f); /* all events, and the interrupt */
	press();				      /* of no meaning */
	assert_int_equal(run(10000), PCI_SLOT_NOTHING);
	assert_true(pci_slot_is_idle(&slot));
}

static void leaves_a_card_on_that_was_there_at_boot(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	assert_int_equal(control() & (LAMP | 0x400), LAMP_ON);
}

static void switches_on_a_card_that_firmware_left_off(void **state)
{
	(void)state;
	make_port(CAPS_ALL);
	plug_in();
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_OK);
	pci_slot_start(&slot, false, true, now_ns);
	assert_int_equal(run(3000), PCI_SLOT_RELEASE);
	assert_int_equal(run(3000), PCI_SLOT_ADD);
}

static void adds_a_card_when_it_answers(void **state)
{
	uint64_t from_ns;

	(void)state;
	start(CAPS_ALL, false);
	plug_in();
	press(); /* QEMU says so, too */
	from_ns = now_ns;
	assert_int_equal(run(3000), PCI_SLOT_ADD);
	assert_in_range(now_ns - from_ns, 200 * MS, 400 * MS); /* bounces, and the reset's 100 ms */
	assert_int_equal(control() & (LAMP | 0x400), LAMP_ON);
	assert_int_equal(run(10000), PCI_SLOT_NOTHING);
	assert_int_equal(slot.state, PCI_SLOT_ON);
}

static void blinks_while_a_card_comes_up(void **state)
{
	(void)state;
	start(CAPS_ALL, false);
	plug_in();
	port.vendor = 0x0001; /* not yet */
	assert_int_equal(run(800), PCI_SLOT_NOTHING);
	assert_int_equal(control() & (LAMP | 0x400), LAMP_BLINK);
	port.vendor = 0x8086;
	assert_int_equal(run(100), PCI_SLOT_ADD);
}

static void waits_until_contacts_are_firm(void **state)
{
	(void)state;
	start(CAPS_ALL, false);
	for (uint32_t i = 0; i < 10; i++) {
		plug_in();
		assert_int_equal(run(50), PCI_SLOT_NOTHING);
		take_out();
		assert_int_equal(run(50), PCI_SLOT_NOTHING);
		assert_int_equal(control() & 0x400, 0x400);
	}
	assert_int_equal(run(1000), PCI_SLOT_NOTHING);
	assert_int_equal(slot.state, PCI_SLOT_OFF);
}

static void gives_up_on_a_card_without_a_link(void **state)
{
	(void)state;
	start(CAPS_ALL, false);
	port.has_link = false;
	plug_in();
	assert_int_equal(run(5000), PCI_SLOT_RELEASE);
	assert_non_null(slot.failure);
	assert_int_equal(control() & (LAMP | 0x400), LAMP_OFF | 0x400);
	assert_int_equal(control() & 0xc0, 0x40); /* attention */
	assert_int_equal(run(20000), PCI_SLOT_NOTHING);
	port.has_link = true;
	press(); /* once more */
	assert_int_equal(run(4900), PCI_SLOT_NOTHING);
	assert_int_equal(run(1000), PCI_SLOT_ADD);
	assert_int_equal(control() & 0xc0, 0xc0);
}

static void gives_up_on_a_card_that_never_answers(void **state)
{
	(void)state;
	start(CAPS_ALL, false);
	port.vendor = 0xffff;
	plug_in();
	assert_int_equal(run(5000), PCI_SLOT_RELEASE);
	assert_non_null(slot.failure);
}

static void switches_off_what_cannot_be_used(void **state)
{
	(void)state;
	start(CAPS_ALL, false);
	plug_in();
	assert_int_equal(run(3000), PCI_SLOT_ADD);
	pci_slot_failed(&slot, "too large");
	assert_int_equal(run(3000), PCI_SLOT_RELEASE);
	assert_string_equal(slot.failure, "too large");
	assert_int_equal(run(20000), PCI_SLOT_NOTHING);
	assert_int_equal(control() & 0x400, 0x400);
	take_out();
	assert_int_equal(run(100), PCI_SLOT_NOTHING);
	plug_in(); /* another one */
	assert_int_equal(run(3000), PCI_SLOT_ADD);
	assert_null(slot.failure);
}

static void removes_a_card_in_order(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	press();
	assert_int_equal(run(4900), PCI_SLOT_NOTHING);
	assert_int_equal(control() & (LAMP | 0x400), LAMP_BLINK);
	assert_int_equal(run(200), PCI_SLOT_REMOVE);
	assert_int_equal(run(3000), PCI_SLOT_NOTHING); /* drivers need their time */
	assert_int_equal(control() & 0x400, 0);
	pci_slot_is_left(&slot);
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
	assert_int_equal(control() & (LAMP | 0x400), LAMP_OFF | 0x400);
	assert_int_equal(run(20000), PCI_SLOT_NOTHING); /* although it is still there */
	assert_int_equal(slot.state, PCI_SLOT_OFF);
}

static void does_not_wait_for_drivers_for_ever(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	press();
	assert_int_equal(run(6000), PCI_SLOT_REMOVE);
	assert_int_equal(run(20000), PCI_SLOT_RELEASE);
}

static void takes_a_press_back(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	press();
	assert_int_equal(run(3000), PCI_SLOT_NOTHING);
	press();
	assert_int_equal(run(20000), PCI_SLOT_NOTHING);
	assert_int_equal(slot.state, PCI_SLOT_ON);
	assert_int_equal(control() & (LAMP | 0x400), LAMP_ON);
}

static void notices_a_card_that_is_pulled_out(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	take_out();
	assert_int_equal(step(), PCI_SLOT_GONE);
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
	assert_int_equal(run(20000), PCI_SLOT_NOTHING);
	assert_int_equal(slot.state, PCI_SLOT_OFF);
}

static void notices_it_while_the_lamp_blinks(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	press();
	assert_int_equal(run(1000), PCI_SLOT_NOTHING);
	take_out();
	assert_int_equal(run(100), PCI_SLOT_GONE);
}

static void notices_it_while_drivers_let_go(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	press();
	assert_int_equal(run(6000), PCI_SLOT_REMOVE);
	take_out();
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
}

/* Both changes came before anybody looked: the card that is there knows nothing. */
static void takes_a_changed_card_for_another(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	take_out();
	plug_in();
	assert_int_equal(step(), PCI_SLOT_GONE);
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
	assert_int_equal(run(3000), PCI_SLOT_ADD);
}

static void takes_a_lost_link_for_a_reset(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	port.has_link = false;
	update_link();
	port.has_link = true;
	update_link();
	assert_int_equal(step(), PCI_SLOT_GONE);
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
	assert_int_equal(run(3000), PCI_SLOT_ADD);
}

static void switches_off_after_a_power_fault(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	set_status(0x02);
	assert_int_equal(step(), PCI_SLOT_GONE);
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
	assert_string_equal(slot.failure, "its power failed");
	assert_int_equal(run(20000), PCI_SLOT_NOTHING);
	assert_int_equal(slot.state, PCI_SLOT_OFF);
}

static void takes_an_open_latch_for_an_empty_slot(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	set_status(0x24);
	assert_int_equal(step(), PCI_SLOT_GONE);
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
	assert_int_equal(run(5000), PCI_SLOT_NOTHING);
	put_le16(port.reg + STATUS, (uint16_t)(get_le16(port.reg + STATUS) & ~0x20));
	set_status(0x04);
	assert_int_equal(run(3000), PCI_SLOT_ADD);
}

static void gives_one_command_after_the_other(void **state)
{
	uint32_t nr;

	(void)state;
	start(CAPS_ALL, true);
	port.is_slow = true;
	press();
	step();
	nr = port.nr_commands;
	assert_int_equal(control() & LAMP, LAMP_BLINK);
	press(); /* back, while the port is busy with the lamp */
	now_ns += 10 * MS;
	step();
	assert_int_equal(port.nr_commands, nr);
	set_status(0x10);
	now_ns += 10 * MS;
	step();
	assert_int_equal(port.nr_commands, nr + 1);
	assert_int_equal(control() & LAMP, LAMP_ON);
}

static void goes_on_without_an_answer_to_a_command(void **state)
{
	(void)state;
	start(CAPS_ALL, false);
	port.is_slow = true;
	plug_in();
	assert_int_equal(run(6000), PCI_SLOT_ADD);
}

static void waits_for_no_answer_where_there_is_none(void **state)
{
	(void)state;
	make_port(CAPS_ALL | NO_COMMAND);
	port.is_slow = true;
	assert_int_equal(pci_slot_find(&fake, &device, false, false, &slot), HV_OK);
	pci_slot_start(&slot, false, false, now_ns);
	assert_int_equal(run(20), PCI_SLOT_RELEASE);
	assert_int_equal(control() & 0x20, 0); /* no interrupt */
}

static void does_without_a_power_controller(void **state)
{
	(void)state;
	start(CAPS_NO_POWER, false);
	put_le32(port.reg + LINK_CAPS, 0);
	assert_int_equal(pci_slot_find(&fake, &device, false, true, &slot), HV_OK);
	pci_slot_start(&slot, false, true, now_ns);
	assert_int_equal(run(3000), PCI_SLOT_RELEASE);
	assert_int_equal(run(3000), PCI_SLOT_NOTHING);
	plug_in();
	assert_int_equal(run(3000), PCI_SLOT_ADD);
	press();
	assert_int_equal(run(6000), PCI_SLOT_REMOVE);
	pci_slot_is_left(&slot);
	assert_int_equal(run(100), PCI_SLOT_RELEASE);
	assert_int_equal(control() & 0x400, 0);
	assert_int_equal(run(20000), PCI_SLOT_NOTHING);
}

static void ends_when_the_port_itself_is_gone(void **state)
{
	(void)state;
	start(CAPS_ALL, true);
	port.is_gone = true;
	assert_int_equal(step(), PCI_SLOT_GONE);
	assert_int_equal(run(3000), PCI_SLOT_RELEASE);
	assert_int_equal(run(20000), PCI_SLOT_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_ports_whose_slot_can_be_hot_plugged),
		cmocka_unit_test(bears_a_capability_at_the_end_of_the_registers),
		cmocka_unit_test(leaves_alone_what_firmware_serves),
		cmocka_unit_test(leaves_alone_a_slot_that_does_not_know_its_card),
		cmocka_unit_test(switches_an_empty_slot_off_and_waits),
		cmocka_unit_test(leaves_a_card_on_that_was_there_at_boot),
		cmocka_unit_test(switches_on_a_card_that_firmware_left_off),
		cmocka_unit_test(adds_a_card_when_it_answers),
		cmocka_unit_test(blinks_while_a_card_comes_up),
		cmocka_unit_test(waits_until_contacts_are_firm),
		cmocka_unit_test(gives_up_on_a_card_without_a_link),
		cmocka_unit_test(gives_up_on_a_card_that_never_answers),
		cmocka_unit_test(switches_off_what_cannot_be_used),
		cmocka_unit_test(removes_a_card_in_order),
		cmocka_unit_test(does_not_wait_for_drivers_for_ever),
		cmocka_unit_test(takes_a_press_back),
		cmocka_unit_test(notices_a_card_that_is_pulled_out),
		cmocka_unit_test(notices_it_while_the_lamp_blinks),
		cmocka_unit_test(notices_it_while_drivers_let_go),
		cmocka_unit_test(takes_a_changed_card_for_another),
		cmocka_unit_test(takes_a_lost_link_for_a_reset),
		cmocka_unit_test(switches_off_after_a_power_fault),
		cmocka_unit_test(takes_an_open_latch_for_an_empty_slot),
		cmocka_unit_test(gives_one_command_after_the_other),
		cmocka_unit_test(goes_on_without_an_answer_to_a_command),
		cmocka_unit_test(waits_for_no_answer_where_there_is_none),
		cmocka_unit_test(does_without_a_power_controller),
		cmocka_unit_test(ends_when_the_port_itself_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
