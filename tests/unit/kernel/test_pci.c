/* SPDX-License-Identifier: Apache-2.0 */
/* Enumeration, BARs, capabilities and MSI over a made-up configuration space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "kernel/pci.h"

#define FUNCTIONS 16u

/* One function: its registers, and which bits of them a write changes. */
static struct function {
	struct pci_addr at;
	uint8_t reg[256], writable[256];
} machine[FUNCTIONS];
static uint32_t nr_functions, nr_writes;
static bool is_pulled_out; /* every read is all ones */

/* What a function-level reset does, and how long it and what is before it take. */
static struct {
	uint32_t control, bit; /* where it is started */
	uint64_t away_ns, pending_ns;
	uint32_t pending_at;
	uint64_t waited_ns;
	bool is_away;
	uint32_t nr;
} flr;

static struct function *function_at(struct pci_addr at)
{
	for (uint32_t i = 0; i < nr_functions; i++)
		if (machine[i].at.bus == at.bus && machine[i].at.dev == at.dev &&
		    machine[i].at.fn == at.fn)
			return &machine[i];
	return NULL;
}

static void wait_ns(uint64_t ns)
{
	flr.waited_ns += ns;
	if (flr.waited_ns >= flr.away_ns)
		flr.is_away = false;
	if (flr.pending_at && flr.waited_ns >= flr.pending_ns)
		machine[0].reg[flr.pending_at] = 0;
}

/* As after power-on: everything that firmware wrote is lost. */
static void start_flr(struct function *f)
{
	f->reg[flr.control] = f->reg[flr.control + 1] = 0;
	memset(f->reg + PCI_REG_COMMAND, 0, 2);
	memset(f->reg + PCI_REG_BAR0, 0, 24);
	f->reg[PCI_REG_IRQ_LINE] = f->reg[PCI_REG_CACHE_LINE] = 0;
	flr.waited_ns = 0;
	flr.is_away = flr.away_ns > 0;
	flr.nr++;
}

static uint32_t fake_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	struct function *f = function_at(at);
	uint32_t val = 0;

	(void)arg;
	assert_true(reg + size <= 256 && reg % size == 0);
	for (uint32_t i = 0; i < size; i++)
		val |= (uint32_t)(f && !is_pulled_out && !flr.is_away ? f->reg[reg + i] : 0xff)
		       << (8 * i);
	return val;
}

static void fake_write(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	struct function *f = function_at(at);

	(void)arg;
	assert_true(reg + size <= 256 && reg % size == 0);
	nr_writes++;
	for (uint32_t i = 0; f && i < size; i++) {
		uint8_t byte = (uint8_t)(val >> (8 * i)), mask = f->writable[reg + i];

		f->reg[reg + i] = (uint8_t)((f->reg[reg + i] & ~mask) | (byte & mask));
	}
	if (f && flr.bit && reg == flr.control && val & flr.bit)
		start_flr(f);
}

static const struct pci_access fake = {.read = fake_read, .write = fake_write};

static struct function *add(uint8_t bus, uint8_t dev, uint8_t fn, uint16_t device)
{
	struct function *f = &machine[nr_functions++];

	memset(f, 0, sizeof(*f));
	f->at = (struct pci_addr){bus, dev, fn};
	put_le16(f->reg + PCI_REG_VENDOR, 0x8086);
	put_le16(f->reg + PCI_REG_DEVICE, device);
	put_le16(f->writable + PCI_REG_COMMAND, 0x0407);
	return f;
}

static struct function *add_bridge(uint8_t bus, uint8_t dev, uint8_t secondary)
{
	struct function *f = add(bus, dev, 0, 0x244e);

	put_le32(f->reg + PCI_REG_REVISION, 0x06040000);
	f->reg[PCI_REG_HEADER_TYPE] = 1;
	f->reg[PCI_REG_SECONDARY] = secondary;
	return f;
}

static void add_bar(struct function *f, uint32_t index, uint32_t val, uint32_t writable)
{
	put_le32(f->reg + PCI_REG_BAR0 + 4 * index, val);
	put_le32(f->writable + PCI_REG_BAR0 + 4 * index, writable);
}

static int empty_machine(void **state)
{
	(void)state;
	nr_functions = nr_writes = 0;
	is_pulled_out = false;
	memset(&flr, 0, sizeof(flr));
	return 0;
}

static void reads_the_identity_of_a_function(void **state)
{
	struct function *f = add(0, 3, 0, 0x100e);
	struct pci_device dev;

	(void)state;
	put_le32(f->reg + PCI_REG_REVISION, 0x02000003);
	f->reg[PCI_REG_IRQ_LINE] = 11;
	f->reg[PCI_REG_IRQ_PIN] = 1;
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(dev.at.dev, 3);
	assert_int_equal(dev.vendor, 0x8086);
	assert_int_equal(dev.device, 0x100e);
	assert_int_equal(dev.class_code, 0x020000);
	assert_int_equal(dev.revision, 3);
	assert_int_equal(dev.irq_line, 11);
	assert_int_equal(dev.irq_pin, 1);
	assert_int_equal(nr_writes, 0);
}

static void looks_at_further_functions_only_when_there_are_some(void **state)
{
	struct pci_device devs[4];

	(void)state;
	add(0, 1, 0, 1)->reg[PCI_REG_HEADER_TYPE] = 0x80;
	add(0, 1, 3, 2);
	add(0, 2, 0, 3);
	add(0, 2, 1, 4); /* an echo of function 0, as cheap devices make */
	assert_int_equal(pci_scan(&fake, devs, 4), 3);
	assert_int_equal(devs[1].at.fn, 3);
	assert_int_equal(devs[2].device, 3);
}

static void follows_bridges_but_never_in_a_circle(void **state)
{
	struct pci_device devs[8];

	(void)state;
	add_bridge(0, 1, 5);
	add_bridge(5, 0, 9);
	add_bridge(9, 0, 0); /* back to the start */
	add_bridge(9, 1, 9); /* to itself */
	add(9, 2, 0, 0x1234);
	assert_int_equal(pci_scan(&fake, devs, 8), 5);
	assert_int_equal(devs[4].at.bus, 9);
}

static void counts_devices_beyond_the_callers_room(void **state)
{
	struct pci_device devs[2] = {0};

	(void)state;
	add(0, 1, 0, 1);
	add(0, 2, 0, 2);
	add(0, 3, 0, 3);
	assert_int_equal(pci_scan(&fake, devs, 1), 3);
	assert_int_equal(devs[1].vendor, 0);
}

static void sizes_bars_and_puts_them_back(void **state)
{
	struct function *f = add(0, 3, 0, 0x100e);
	struct pci_device dev;
	uint8_t before[256];

	(void)state;
	put_le16(f->reg + PCI_REG_COMMAND, 0x0003);
	add_bar(f, 0, 0xfebc0000, 0xfffe0000); /* 128 KiB of memory */
	add_bar(f, 1, 0x0000c001, 0xffffffc0); /* 64 ports */
	add_bar(f, 2, 0x0000000c, 0x00000000); /* 64 bits, prefetchable, 8 GiB */
	add_bar(f, 3, 0x00000008, 0xfffffffe);
	memcpy(before, f->reg, sizeof(before));

	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(pci_size_bars(&fake, &dev), HV_OK);
	assert_memory_equal(before, f->reg, sizeof(before));
	assert_int_equal(dev.bars[0].base, 0xfebc0000);
	assert_int_equal(dev.bars[0].len_bytes, 128 * KIB);
	assert_false(dev.bars[0].is_io);
	assert_true(dev.bars[1].is_io);
	assert_int_equal(dev.bars[1].base, 0xc000);
	assert_int_equal(dev.bars[1].len_bytes, 64);
	assert_true(dev.bars[2].is_64bit && dev.bars[2].is_prefetchable);
	assert_int_equal(dev.bars[2].base, 0x800000000);
	assert_int_equal(dev.bars[2].len_bytes, 8 * GIB);
	assert_int_equal(dev.bars[3].len_bytes, 0); /* the upper half of bar 2 */
	assert_int_equal(dev.bars[4].len_bytes, 0);
}

static void takes_a_64_bit_bar_in_the_last_register_as_broken(void **state)
{
	struct function *f = add(0, 3, 0, 0x100e);
	struct pci_device dev;

	(void)state;
	add_bar(f, 5, 0xfebc0004, 0xfffff000);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(pci_size_bars(&fake, &dev), HV_OK);
	assert_int_equal(dev.bars[5].base, 0xfebc0000);
	assert_int_equal(dev.bars[5].len_bytes, 4096);
}

static void add_caps(struct function *f, uint8_t first)
{
	f->reg[PCI_REG_STATUS] = 0x10;
	f->reg[PCI_REG_CAP_POINTER] = first;
}

static void finds_a_capability_behind_others(void **state)
{
	struct function *f = add(0, 3, 0, 1);
	struct pci_device dev;

	(void)state;
	add_caps(f, 0xdc);
	put_le16(f->reg + 0xdc, 0xe401);
	put_le16(f->reg + 0xe4, 0x0005);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(pci_find_cap(&fake, &dev, PCI_CAP_MSI), 0xe4);
	assert_int_equal(pci_find_cap(&fake, &dev, PCI_CAP_MSIX), 0);
	f->reg[PCI_REG_STATUS] = 0;
	assert_int_equal(pci_find_cap(&fake, &dev, PCI_CAP_MSI), 0);
}

static void ends_on_a_capability_list_that_does_not(void **state)
{
	struct function *f = add(0, 3, 0, 1);
	struct pci_device dev;

	(void)state;
	add_caps(f, 0x40);
	put_le16(f->reg + 0x40, 0x4401);
	put_le16(f->reg + 0x44, 0x4001);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(pci_find_cap(&fake, &dev, PCI_CAP_MSI), 0);
	f->reg[PCI_REG_CAP_POINTER] = 0x10; /* into the header */
	assert_int_equal(pci_find_cap(&fake, &dev, PCI_CAP_MSI), 0);
}

static void survives_a_device_that_was_pulled_out(void **state)
{
	struct pci_device dev, none;
	struct pci_msix msix;

	(void)state;
	add(0, 3, 0, 1);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	is_pulled_out = true;
	assert_int_equal(pci_size_bars(&fake, &dev), HV_ENOENT);
	assert_int_equal(pci_find_cap(&fake, &dev, PCI_CAP_MSI), 0);
	assert_int_equal(pci_msi_enable(&fake, &dev, 0xfee00000, 0x40), HV_ENOTSUP);
	assert_int_equal(pci_msix_find(&fake, &dev, &msix), HV_ENOTSUP);
	assert_int_equal(pci_scan(&fake, &none, 1), 0);
}

static void writes_a_message_into_either_form_of_msi(void **state)
{
	struct function *f = add(0, 3, 0, 1);
	struct pci_device dev;

	(void)state;
	add_caps(f, 0x50);
	put_le16(f->reg + 0x50, 0x0005);
	memset(f->writable + 0x52, 0xff, 14);
	put_le16(f->reg + 0x52,
		 0x0070); /* 32 bits; eight messages asked for by somebody before us */
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(pci_msi_enable(&fake, &dev, 0x1fee00000, 0x41), HV_ENOTSUP);
	assert_int_equal(pci_msi_enable(&fake, &dev, 0xfee01000, 0x41), HV_OK);
	assert_int_equal(get_le16(f->reg + 0x52), 0x0001);
	assert_int_equal(get_le32(f->reg + 0x54), 0xfee01000);
	assert_int_equal(get_le16(f->reg + 0x58), 0x41);
	assert_int_equal(get_le16(f->reg + PCI_REG_COMMAND), PCI_COMMAND_INTX_DISABLE);

	put_le16(f->reg + 0x52, 0x0080);
	assert_int_equal(pci_msi_enable(&fake, &dev, 0x1fee00000, 0x42), HV_OK);
	assert_int_equal(get_le32(f->reg + 0x58), 1);
	assert_int_equal(get_le16(f->reg + 0x5c), 0x42);
}

static void finds_an_msix_table_only_inside_its_bar(void **state)
{
	struct function *f = add(0, 3, 0, 1);
	struct pci_device dev;
	struct pci_msix msix;

	(void)state;
	add_caps(f, 0x70);
	put_le16(f->reg + 0x70, 0x0011);
	put_le16(f->reg + 0x72, 4); /* five entries */
	memset(f->writable + 0x72, 0xff, 2);
	put_le32(f->reg + 0x74, 0x0fb0 | 3);
	add_bar(f, 3, 0xfe000000, 0xfffff000);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(pci_size_bars(&fake, &dev), HV_OK);
	assert_int_equal(pci_msix_find(&fake, &dev, &msix), HV_OK);
	assert_int_equal(msix.bar, 3);
	assert_int_equal(msix.offset, 0xfb0);
	assert_int_equal(msix.nr_vectors, 5);
	assert_int_equal(pci_msix_enable(&fake, &dev), HV_OK);
	assert_int_equal(get_le16(f->reg + 0x72), 0x8004);

	put_le32(f->reg + 0x74, 0x0fb8 | 3); /* its end sticks out */
	assert_int_equal(pci_msix_find(&fake, &dev, &msix), HV_EPROTO);
	put_le32(f->reg + 0x74, 7); /* no such BAR */
	assert_int_equal(pci_msix_find(&fake, &dev, &msix), HV_EPROTO);
}

static void fills_one_msix_entry_and_no_other(void **state)
{
	static const uint32_t expected[12] = {0, 0, 0, 1, 0xfee01000, 2, 0x43, 0, 0, 0, 0, 1};
	uint32_t table[12] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};

	(void)state;
	pci_msix_set(table, 1, 0x2fee01000, 0x43);
	assert_memory_equal(table, expected, sizeof(table));
}

static void knows_a_device_that_is_still_there(void **state)
{
	struct pci_device dev;

	(void)state;
	add(0, 3, 0, 1);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_true(pci_is_present(&fake, &dev));
	is_pulled_out = true;
	assert_false(pci_is_present(&fake, &dev));
	is_pulled_out = false;
	put_le16(machine[0].reg + PCI_REG_DEVICE, 2); /* another one in its place */
	assert_false(pci_is_present(&fake, &dev));
}

static void wakes_a_device_and_puts_its_header_back(void **state)
{
	struct function *f = add(0, 3, 0, 1);
	struct pci_device dev;

	(void)state;
	add_caps(f, 0x40);
	put_le16(f->reg + 0x40, PCI_CAP_POWER);
	put_le16(f->reg + 0x44, 0x8103); /* D3, an event has happened and may be announced */
	memset(f->writable + 0x44, 0xff, 2);
	add_bar(f, 0, 0xfebc0000, 0xfffe0000);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	pci_power_up(&fake, &dev, wait_ns);
	assert_int_equal(get_le16(f->reg + 0x44), 0x0100);
	assert_true(flr.waited_ns >= 10 * NSEC_PER_MSEC);
	assert_int_equal(get_le32(f->reg + PCI_REG_BAR0), 0xfebc0000);

	nr_writes = 0;
	pci_power_up(&fake, &dev, wait_ns); /* in D0 already */
	assert_int_equal(nr_writes, 0);
}

static void turns_messages_off_that_somebody_left_on(void **state)
{
	struct function *f = add(0, 3, 0, 1);
	struct pci_device dev;

	(void)state;
	add_caps(f, 0x50);
	put_le16(f->reg + 0x50, 0x6005);
	put_le16(f->reg + 0x52, 0x0081);
	put_le16(f->reg + 0x60, 0x0011);
	put_le16(f->reg + 0x62, 0x8004);
	memset(f->writable + 0x52, 0xff, 2);
	memset(f->writable + 0x62, 0xff, 2);
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	pci_messages_off(&fake, &dev);
	assert_int_equal(get_le16(f->reg + 0x52), 0x0080);
	assert_int_equal(get_le16(f->reg + 0x62), 0x0004);
}

/* A function with the express capability at 0x80, bits of its header set by firmware. */
static struct function *add_resettable(struct pci_device *dev)
{
	struct function *f = add(0, 3, 0, 1);

	add_caps(f, 0x80);
	put_le16(f->reg + 0x80, PCI_CAP_EXPRESS);
	put_le32(f->reg + 0x84, 0x10000000);
	put_le16(f->reg + 0x88, 0x2020);
	memset(f->writable + 0x88, 0xff, 2);
	add_bar(f, 0, 0xfebc0000, 0xffffffff);
	memset(f->writable + PCI_REG_IRQ_LINE, 0xff, 1);
	memset(f->writable + PCI_REG_CACHE_LINE, 0xff, 1);
	f->reg[PCI_REG_IRQ_LINE] = 11;
	f->reg[PCI_REG_CACHE_LINE] = 16;
	put_le16(f->reg + PCI_REG_COMMAND, 0x0007);
	flr.control = 0x88;
	flr.bit = 0x8000;
	assert_int_equal(pci_scan(&fake, dev, 1), 1);
	return f;
}

static void resets_a_function_and_puts_its_header_back(void **state)
{
	struct pci_device dev;
	struct function *f = add_resettable(&dev);

	(void)state;
	assert_int_equal(pci_reset_function(&fake, &dev, wait_ns), HV_OK);
	assert_int_equal(flr.nr, 1);
	assert_true(flr.waited_ns >= 100 * NSEC_PER_MSEC);
	assert_int_equal(get_le32(f->reg + PCI_REG_BAR0), 0xfebc0000);
	assert_int_equal(f->reg[PCI_REG_IRQ_LINE], 11);
	assert_int_equal(f->reg[PCI_REG_CACHE_LINE], 16);
	assert_int_equal(get_le16(f->reg + 0x88), 0x2020);
	assert_int_equal(get_le16(f->reg + PCI_REG_COMMAND), 0x0003); /* and no bus mastering */
}

static void resets_a_conventional_function_by_af(void **state)
{
	struct function *f = add(0, 3, 0, 1);
	struct pci_device dev;

	(void)state;
	add_caps(f, 0x90);
	put_le16(f->reg + 0x90, PCI_CAP_AF);
	f->reg[0x92] = 6;
	f->reg[0x93] = 3;
	f->writable[0x94] = 1;
	flr.control = 0x94;
	flr.bit = 1;
	assert_int_equal(pci_scan(&fake, &dev, 1), 1);
	assert_int_equal(pci_reset_function(&fake, &dev, wait_ns), HV_OK);
	assert_int_equal(flr.nr, 1);
	f->reg[0x93] = 1; /* cannot be reset */
	assert_int_equal(pci_reset_function(&fake, &dev, wait_ns), HV_ENOTSUP);
}

static void waits_for_transactions_and_for_the_return(void **state)
{
	struct pci_device dev;
	struct function *f = add_resettable(&dev);

	(void)state;
	f->reg[0x8a] = 0x20;
	flr.pending_at = 0x8a;
	flr.pending_ns = 50 * NSEC_PER_MSEC;
	flr.away_ns = 500 * NSEC_PER_MSEC;
	assert_int_equal(pci_reset_function(&fake, &dev, wait_ns), HV_OK);
	assert_int_equal(get_le32(f->reg + PCI_REG_BAR0), 0xfebc0000);
}

static void gives_up_on_a_function_that_does_not_come_back(void **state)
{
	struct pci_device dev;
	struct function *f = add_resettable(&dev);

	(void)state;
	flr.away_ns = 100 * NSEC_PER_SEC;
	assert_int_equal(pci_reset_function(&fake, &dev, wait_ns), HV_EIO);
	flr.is_away = false;
	f->reg[0x8a] = 0x20; /* for ever */
	assert_int_equal(pci_reset_function(&fake, &dev, wait_ns), HV_EIO);
	assert_int_equal(flr.nr, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, empty_machine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_the_identity_of_a_function),
		TEST(looks_at_further_functions_only_when_there_are_some),
		TEST(follows_bridges_but_never_in_a_circle),
		TEST(counts_devices_beyond_the_callers_room),
		TEST(sizes_bars_and_puts_them_back),
		TEST(takes_a_64_bit_bar_in_the_last_register_as_broken),
		TEST(finds_a_capability_behind_others),
		TEST(ends_on_a_capability_list_that_does_not),
		TEST(survives_a_device_that_was_pulled_out),
		TEST(writes_a_message_into_either_form_of_msi),
		TEST(finds_an_msix_table_only_inside_its_bar),
		TEST(fills_one_msix_entry_and_no_other),
		TEST(knows_a_device_that_is_still_there),
		TEST(wakes_a_device_and_puts_its_header_back),
		TEST(turns_messages_off_that_somebody_left_on),
		TEST(resets_a_function_and_puts_its_header_back),
		TEST(resets_a_conventional_function_by_af),
		TEST(waits_for_transactions_and_for_the_return),
		TEST(gives_up_on_a_function_that_does_not_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
