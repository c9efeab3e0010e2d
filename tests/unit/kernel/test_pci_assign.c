/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses for a made-up card behind a made-up port, in register files of 256 bytes. */
#include "kernel/pci_assign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"

#define BUS 3u
#define CAP 0x40u

/* The port at 00:00.0, the card's functions behind it. */
static struct function {
	uint8_t reg[256], writable[256];
	bool is_there;
} port, card[PCI_FUNCTIONS];

static const struct pci_device port_dev = {.header_type = 1};
static struct pci_device devs[PCI_FUNCTIONS];
static struct pci_windows windows;
static uint64_t wanted;

static struct function *function_at(struct pci_addr at)
{
	if (at.bus == 0)
		return &port;
	return at.bus == BUS && at.dev == 0 && card[at.fn].is_there ? &card[at.fn] : NULL;
}

static uint32_t fake_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	const struct function *f = function_at(at);
	uint32_t val = 0;

	(void)arg;
	for (uint32_t i = 0; i < size; i++)
		val |= (uint32_t)(f ? f->reg[reg + i] : 0xff) << (8 * i);
	return val;
}

static void fake_write(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	struct function *f = function_at(at);

	(void)arg;
	for (uint32_t i = 0; f && i < size; i++) {
		uint8_t byte = (uint8_t)(val >> (8 * i)), mask = f->writable[reg + i];

		f->reg[reg + i] = (uint8_t)((f->reg[reg + i] & ~mask) | (byte & mask));
	}
}

static const struct pci_access fake = {.read = fake_read, .write = fake_write};

static void set_windows(uint16_t memory, uint16_t memory_limit, uint16_t prefetch,
			uint16_t prefetch_limit, uint32_t high)
{
	put_le16(port.reg + 0x20, memory);
	put_le16(port.reg + 0x22, memory_limit);
	put_le16(port.reg + 0x24, prefetch);
	put_le16(port.reg + 0x26, prefetch_limit);
	put_le32(port.reg + 0x28, high);
	put_le32(port.reg + 0x2c, high);
}

/* As SeaBIOS leaves them: ports 0xd000, 2 MiB at 0xfe800000, 2 MiB at 0x38_00000000. */
static int make(void **state)
{
	(void)state;
	memset(&port, 0, sizeof(port));
	memset(card, 0, sizeof(card));
	port.reg[0x1c] = port.reg[0x1d] = 0xd1;
	port.reg[0x30] = port.reg[0x32] = 0;
	set_windows(0xfe80, 0xfe90, 0x0001, 0x0011, 0x38);
	return 0;
}

static struct function *add(uint8_t fn)
{
	struct function *f = &card[fn];

	f->is_there = true;
	put_le16(f->reg + PCI_REG_VENDOR, 0x8086);
	put_le16(f->writable + PCI_REG_COMMAND, 0x0407);
	f->writable[PCI_REG_IRQ_LINE] = 0xff;
	put_le32(f->writable + 0x30, 0xfffff801);
	if (fn > 0)
		card[0].reg[PCI_REG_HEADER_TYPE] |= 0x80;
	return f;
}

static void add_bar(struct function *f, uint32_t i, uint32_t flags, uint64_t len)
{
	put_le32(f->reg + PCI_REG_BAR0 + 4 * i, flags);
	put_le32(f->writable + PCI_REG_BAR0 + 4 * i,
		 (uint32_t)~(len - 1) & (flags & 1 ? 0xfffcu : ~15u));
	if ((flags & 7) == 4)
		put_le32(f->writable + PCI_REG_BAR0 + 4 * i + 4, (uint32_t)(~(len - 1) >> 32));
}

static uint64_t bar_at(const struct function *f, uint32_t i)
{
	uint32_t low = get_le32(f->reg + PCI_REG_BAR0 + 4 * i);
	uint64_t high = (low & 7) == 4 ? get_le32(f->reg + PCI_REG_BAR0 + 4 * i + 4) : 0;

	return high << 32 | (low & (low & 1 ? ~3u : ~15u));
}

static enum hv_err assign(void)
{
	uint32_t nr = pci_scan_slot(&fake, BUS, devs);

	pci_windows_read(&fake, &port_dev, &windows);
	return pci_assign(&fake, &windows, devs, nr, &wanted);
}

static void reads_the_windows_of_a_port(void **state)
{
	(void)state;
	pci_windows_read(&fake, &port_dev, &windows);
	assert_int_equal(windows.io.base, 0xd000);
	assert_int_equal(windows.io.end, 0xe000);
	assert_int_equal(windows.memory.base, 0xfe800000);
	assert_int_equal(windows.memory.end, 0xfea00000);
	assert_int_equal(windows.prefetchable.base, 0x3800000000);
	assert_int_equal(windows.prefetchable.end, 0x3800200000);
}

static void takes_closed_and_impossible_windows_for_none(void **state)
{
	(void)state;
	set_windows(0xfff0, 0x0000, 0xfff1, 0x0001, 0xffffffff);
	port.reg[0x1c] = 0xf1;
	port.reg[0x1d] = 0x01;
	pci_windows_read(&fake, &port_dev, &windows);
	assert_int_equal(windows.io.end | windows.memory.end | windows.prefetchable.end, 0);
	set_windows(0, 0, 0x0001, 0x0011, 0xffffffff); /* never opened; where no CPU reaches */
	port.reg[0x1c] = port.reg[0x1d] = 0xd1;
	port.reg[0x30] = 1;
	pci_windows_read(&fake, &port_dev, &windows);
	assert_int_equal(windows.io.end, 0);
	assert_int_equal(windows.prefetchable.end, 0);
}

static void finds_the_functions_of_a_card(void **state)
{
	(void)state;
	assert_int_equal(pci_scan_slot(&fake, BUS, devs), 0);
	add(0);
	card[1].is_there = true; /* not looked for: function 0 says that it is alone */
	assert_int_equal(pci_scan_slot(&fake, BUS, devs), 1);
	add(1);
	add(7);
	assert_int_equal(pci_scan_slot(&fake, BUS, devs), 3);
	assert_int_equal(devs[2].at.fn, 7);
}

static void gives_each_bar_a_place_of_its_kind(void **state)
{
	struct function *f = add(0);

	(void)state;
	add_bar(f, 0, 0x4, 0x4000);  /* 64 bits, not prefetchable */
	add_bar(f, 2, 0xc, 0x10000); /* 64 bits, prefetchable */
	add_bar(f, 4, 0x0, 0x1000);  /* 32 bits */
	add_bar(f, 5, 0x1, 0x20);    /* ports */
	assert_int_equal(assign(), HV_OK);
	assert_int_equal(bar_at(f, 0), 0xfe800000);
	assert_int_equal(bar_at(f, 2), 0x3800000000);
	assert_int_equal(bar_at(f, 4), 0xfe804000);
	assert_int_equal(bar_at(f, 5), 0xd000);
	assert_int_equal(devs[0].bars[2].base, 0x3800000000);
	assert_int_equal(devs[0].bars[2].len_bytes, 0x10000);
	assert_int_equal(wanted, 0x4000 + 0x10000 + 0x1000);
	assert_int_equal(get_le16(f->reg + PCI_REG_COMMAND), 0); /* it does not answer there yet */
}

static void gives_the_largest_theirs_first_and_each_a_page(void **state)
{
	struct function *one = add(0), *two = add(1);

	(void)state;
	add_bar(one, 0, 0, 0x100);
	add_bar(one, 1, 0, 0x80000);
	add_bar(two, 0, 0, 0x100000);
	add_bar(two, 1, 0, 0x10);
	assert_int_equal(assign(), HV_OK);
	assert_int_equal(bar_at(two, 0), 0xfe800000);
	assert_int_equal(bar_at(one, 1), 0xfe900000);
	assert_int_equal(bar_at(one, 0), 0xfe980000);
	assert_int_equal(bar_at(two, 1), 0xfe981000);
}

static void puts_no_bar_of_32_bits_above_4_gib(void **state)
{
	struct function *f = add(0);

	(void)state;
	add_bar(f, 0, 0x8, 0x1000);
	assert_int_equal(assign(), HV_OK);
	assert_int_equal(bar_at(f, 0), 0xfe800000);
	make(NULL);
	set_windows(0xfe80, 0xfe90, 0xfd01, 0xfd11, 0);
	f = add(0);
	add_bar(f, 0, 0x8, 0x1000);
	assert_int_equal(assign(), HV_OK);
	assert_int_equal(bar_at(f, 0), 0xfd000000);
}

static void changes_nothing_when_there_is_not_enough_room(void **state)
{
	struct function *f = add(0);

	(void)state;
	add_bar(f, 0, 0x0, 0x1000);
	add_bar(f, 2, 0x4, 0x4000000);
	assert_int_equal(assign(), HV_ENOMEM);
	assert_int_equal(wanted, 0x4001000);
	assert_int_equal(bar_at(f, 0) | bar_at(f, 2), 0);

	make(NULL);
	f = add(0);
	add_bar(f, 0, 0x4, 1ull << 63);
	assert_int_equal(assign(), HV_ENOMEM);
	make(NULL);
	set_windows(0xfff0, 0, 0xfff1, 1, 0);
	f = add(0);
	add_bar(f, 0, 0x0, 0x10);
	assert_int_equal(assign(), HV_ENOMEM);
}

static void does_without_ports(void **state)
{
	struct function *f = add(0);

	(void)state;
	add_bar(f, 0, 0x1, 0x4000);
	add_bar(f, 1, 0x0, 0x1000);
	assert_int_equal(assign(), HV_OK);
	assert_int_equal(bar_at(f, 0), 0);
	assert_int_equal(devs[0].bars[0].base, 0);
	assert_int_equal(bar_at(f, 1), 0xfe800000);
}

static void refuses_bridges_and_cards_that_are_gone(void **state)
{
	struct function *f = add(0);

	(void)state;
	f->reg[PCI_REG_HEADER_TYPE] = 1;
	assert_int_equal(assign(), HV_ENOTSUP);
	f->reg[PCI_REG_HEADER_TYPE] = 0;
	assert_int_equal(pci_scan_slot(&fake, BUS, devs), 1);
	f->is_there = false;
	assert_int_equal(pci_assign(&fake, &windows, devs, 1, &wanted), HV_ENOENT);
}

static void notices_a_bar_that_does_not_keep_its_address(void **state)
{
	struct function *f = add(0);

	(void)state;
	add_bar(f, 0, 0x0, 0x1000);
	put_le32(f->writable + PCI_REG_BAR0, 0x7ffff000); /* the top bit is missing */
	assert_int_equal(assign(), HV_EPROTO);
	make(NULL);
	f = add(0);
	put_le32(f->reg + PCI_REG_BAR0 + 20, 0x4); /* 64 bits in the last register */
	put_le32(f->writable + PCI_REG_BAR0 + 20, 0xfffff000);
	assert_int_equal(assign(), HV_EPROTO);
}

static void switches_off_roms_and_lines(void **state)
{
	struct function *f = add(0);

	(void)state;
	put_le32(f->reg + 0x30, 0xfff00001);
	f->reg[PCI_REG_IRQ_PIN] = 1;
	assert_int_equal(assign(), HV_OK);
	assert_int_equal(get_le32(f->reg + 0x30), 0);
	assert_int_equal(devs[0].irq_line, 0xff);
	assert_int_equal(f->reg[PCI_REG_IRQ_LINE], 0xff);
}

/* ---- packets ---- */

static void add_express(struct function *f, uint16_t type, uint8_t most, uint8_t payload)
{
	f->reg[PCI_REG_STATUS] = 0x10;
	f->reg[PCI_REG_CAP_POINTER] = CAP;
	put_le16(f->reg + CAP, PCI_CAP_EXPRESS);
	put_le16(f->reg + CAP + 2, (uint16_t)(type << 4 | 2));
	f->reg[CAP + 4] = most;
	put_le16(f->reg + CAP + 8, (uint16_t)(0x2810 | payload << 5));
	put_le16(f->writable + CAP + 8, 0xffff);
}

static uint32_t payload_of(const struct function *f)
{
	return get_le16(f->reg + CAP + 8) >> 5 & 7;
}

static void makes_packets_as_large_as_the_ports(void **state)
{
	(void)state;
	add_express(&port, 4, 2, 1);
	add_express(add(0), 0, 2, 0);
	assert_int_equal(pci_scan_slot(&fake, BUS, devs), 1);
	assert_int_equal(pci_match_payload(&fake, &port_dev, &devs[0]), HV_OK);
	assert_int_equal(payload_of(&card[0]), 1);
	assert_int_equal(get_le16(card[0].reg + CAP + 8) & ~0xe0, 0x2810);
	assert_int_equal(payload_of(&port), 1);
}

static void makes_a_root_port_send_smaller_ones(void **state)
{
	(void)state;
	add_express(&port, 4, 2, 2);
	add_express(add(0), 0, 1, 0);
	assert_int_equal(pci_scan_slot(&fake, BUS, devs), 1);
	assert_int_equal(pci_match_payload(&fake, &port_dev, &devs[0]), HV_OK);
	assert_int_equal(payload_of(&card[0]), 1);
	assert_int_equal(payload_of(&port), 1);
}

static void refuses_a_card_that_a_switch_would_send_too_much(void **state)
{
	(void)state;
	add_express(&port, 6, 2, 2);
	add_express(add(0), 0, 1, 0);
	assert_int_equal(pci_scan_slot(&fake, BUS, devs), 1);
	assert_int_equal(pci_match_payload(&fake, &port_dev, &devs[0]), HV_ENOTSUP);
	assert_int_equal(payload_of(&port), 2);
}

#define TEST(name) cmocka_unit_test_setup(name, make)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_the_windows_of_a_port),
		TEST(takes_closed_and_impossible_windows_for_none),
		TEST(finds_the_functions_of_a_card),
		TEST(gives_each_bar_a_place_of_its_kind),
		TEST(gives_the_largest_theirs_first_and_each_a_page),
		TEST(puts_no_bar_of_32_bits_above_4_gib),
		TEST(changes_nothing_when_there_is_not_enough_room),
		TEST(does_without_ports),
		TEST(refuses_bridges_and_cards_that_are_gone),
		TEST(notices_a_bar_that_does_not_keep_its_address),
		TEST(switches_off_roms_and_lines),
		TEST(makes_packets_as_large_as_the_ports),
		TEST(makes_a_root_port_send_smaller_ones),
		TEST(refuses_a_card_that_a_switch_would_send_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
