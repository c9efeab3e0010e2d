/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's PCI bus: configuration by both ways, BARs, MSI-X. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"
#include "tests/unit/support/fake_vm.h"
#include "tests/unit/support/vdriver.h"
#include "vmm/dev/pci_host.h"

#define SLOT	  1u
#define BAR_BYTES 0x4000ull
#define VECTORS	  3u
#define ECAM_ROW  (LAYOUT_ECAM - PCI_HOST_MMIO)

struct toy { /* a function with a BAR of memory */
	struct pci_fn fn;
	uint64_t last_offset, last_value;
	uint32_t nr_accesses, nr_moves, nr_resets, nr_destroys;
};

static struct vm *vm;
static struct vdev *bus;
static struct pci_host *host;
static struct toy toy, twin;
static struct vdriver driver;

static struct toy *toy_of(struct pci_fn *fn)
{
	return container_of(fn, struct toy, fn);
}

static enum io_result toy_access(struct pci_fn *fn, unsigned bar, struct io_access *acc)
{
	assert_int_equal(bar, 0);
	assert_true(range_fits(acc->offset, acc->size, BAR_BYTES));
	toy_of(fn)->nr_accesses++;
	toy_of(fn)->last_offset = acc->offset;
	if (acc->is_write)
		toy_of(fn)->last_value = acc->value;
	else
		acc->value = 0x5a;
	return IO_DONE;
}

static void toy_moved(struct pci_fn *fn)
{
	toy_of(fn)->nr_moves++;
}

static void toy_reset(struct pci_fn *fn)
{
	toy_of(fn)->nr_resets++;
}

static void toy_destroy(struct pci_fn *fn)
{
	toy_of(fn)->nr_destroys++;
}

static const struct pci_fn_ops toy_ops = {
	.bar_access = toy_access, .moved = toy_moved, .reset = toy_reset, .destroy = toy_destroy};

static const struct pci_id toy_id = {
	.vendor = 0x1af4,
	.device = 0x1234,
	.subsystem_vendor = 0xabcd,
	.subsystem = 0x4321,
	.class_code = 0x020304,
	.revision = 7,
};

static void make_toy(struct toy *t)
{
	*t = (struct toy){.nr_moves = 0};
	pci_fn_init(&t->fn, vm, &toy_ops, &toy_id);
	pci_fn_add_bar(&t->fn, 0, BAR_BYTES);
	pci_fn_add_msix(&t->fn, 2, VECTORS);
	assert_int_equal(pci_host_add(host, &t->fn), HV_OK);
}

static int make_bus(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	assert_int_equal(pci_host_ops.create(vm, NULL, &bus), HV_OK);
	host = pci_host_of(bus);
	make_toy(&toy);
	make_toy(&twin);
	driver = (struct vdriver){.bus = bus, .vm = vm, .slot = SLOT};
	driver.msix_cap = toy.fn.msix.cap;
	driver.msix_gpa = vdriver_config_read(&driver, PCI_BAR0 + 8, 8) & ~0xfull;
	return 0;
}

static int drop_bus(void **state)
{
	(void)state;
	bus->ops->destroy(bus);
	fake_vm_destroy(vm);
	assert_int_equal(toy.nr_destroys, 1);
	assert_int_equal(twin.nr_destroys, 1);
	return 0;
}

/* ---- configuration ---- */

static void select_by_ports(uint32_t slot, uint32_t reg)
{
	vbus_write(bus, SPACE_PIO, 0, 4, 0x80000000u | slot << 11 | (reg & 0xfc));
}

static void shows_its_header(void **state)
{
	(void)state;
	assert_int_equal(vdriver_config_read(&driver, 0, 4), 0x12341af4);
	assert_int_equal(vdriver_config_read(&driver, PCI_REVISION, 4), 0x02030407);
	assert_int_equal(vdriver_config_read(&driver, 0x0e, 1), 0); /* type 0, one function */
	assert_int_equal(vdriver_config_read(&driver, PCI_SUBSYSTEM_VENDOR, 4), 0x4321abcd);
	assert_int_equal(vdriver_config_read(&driver, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(vdriver_config_read(&driver, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(vdriver_config_read(&driver, 0x3d, 1), 0); /* no INTx pin */
	driver.slot = 0;
	assert_int_equal(vdriver_config_read(&driver, 8, 4) >> 16, 0x0600); /* the host bridge */
}

static void shows_the_same_bytes_by_ports_and_by_ecam(void **state)
{
	(void)state;
	for (uint32_t reg = 0; reg < PCI_CONFIG_LEN; reg++) {
		select_by_ports(SLOT, reg);
		assert_int_equal(vbus_read(bus, SPACE_PIO, 4 + reg % 4, 1),
				 vdriver_config_read(&driver, reg, 1));
		if (reg % 2 == 0)
			assert_int_equal(vbus_read(bus, SPACE_PIO, 4 + reg % 4, 2),
					 vdriver_config_read(&driver, reg, 2));
		if (reg % 4 == 0)
			assert_int_equal(vbus_read(bus, SPACE_PIO, 4, 4),
					 vdriver_config_read(&driver, reg, 4));
	}
	assert_int_equal(vdriver_config_read(&driver, 0x100, 4), 0);
}

static void writes_by_ports(void **state)
{
	(void)state;
	select_by_ports(SLOT, PCI_INTERRUPT_LINE);
	vbus_write(bus, SPACE_PIO, 4, 1, 0x0b);
	assert_int_equal(vdriver_config_read(&driver, PCI_INTERRUPT_LINE, 1), 0x0b);
	select_by_ports(SLOT, PCI_COMMAND);
	vbus_write(bus, SPACE_PIO, 5, 1, 0xff);
	assert_int_equal(vdriver_config_read(&driver, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
}

static void reads_all_ones_where_nobody_is(void **state)
{
	(void)state;
	driver.slot = 3;
	assert_int_equal(vdriver_config_read(&driver, 0, 4), 0xffffffff);
	assert_int_equal(vbus_read(bus, SPACE_MMIO, ECAM_ROW + (SLOT << 15) + 0x1000, 2), 0xffff);
	vbus_write(bus, SPACE_PIO, 0, 4, 0x80010000u | SLOT << 11);
	assert_int_equal(vbus_read(bus, SPACE_PIO, 4, 4), 0xffffffff); /* bus 1 */
	vbus_write(bus, SPACE_PIO, 0, 4, SLOT << 11);
	assert_int_equal(vbus_read(bus, SPACE_PIO, 4, 4), 0xffffffff); /* not enabled */
}

static void takes_whole_words_for_an_address_only(void **state)
{
	(void)state;
	vbus_write(bus, SPACE_PIO, 0, 4, 0xffffffff);
	assert_int_equal(vbus_read(bus, SPACE_PIO, 0, 4), 0x80fffffc);
	vbus_write(bus, SPACE_PIO, 3, 1, 1);
	vbus_write(bus, SPACE_PIO, 0, 2, 1);
	assert_int_equal(vbus_read(bus, SPACE_PIO, 0, 4), 0x80fffffc);
	assert_int_equal(vbus_read(bus, SPACE_PIO, 1, 1), 0xff);
}

static void keeps_its_read_only_bits(void **state)
{
	(void)state;
	for (uint32_t reg = 0; reg < PCI_CONFIG_LEN; reg += 4) {
		uint32_t before = (uint32_t)vdriver_config_read(&driver, reg, 4);
		uint32_t writable = 0;

		memcpy(&writable, toy.fn.writable + reg, 4);
		vdriver_config_write(&driver, reg, 4, ~before);
		assert_int_equal(vdriver_config_read(&driver, reg, 4), before ^ writable);
	}
	bus->ops->reset(bus);
	assert_int_equal(vdriver_config_read(&driver, 0, 4), 0x12341af4);
	assert_int_equal(toy.nr_resets, 2);
}

/* ---- BARs ---- */

static void sizes_a_bar(void **state)
{
	uint64_t home = vdriver_config_read(&driver, PCI_BAR0, 8);

	(void)state;
	assert_int_equal(home & 0xf, PCI_BAR_MEM_64);
	vdriver_config_write(&driver, PCI_BAR0, 4, 0xffffffff);
	vdriver_config_write(&driver, PCI_BAR0 + 4, 4, 0xffffffff);
	assert_int_equal(vdriver_config_read(&driver, PCI_BAR0, 4), 0xffffc004);
	assert_int_equal(vdriver_config_read(&driver, PCI_BAR0 + 4, 4), 0xffffffff);
	vdriver_config_write(&driver, PCI_BAR0 + 16, 4, 0xffffffff);
	assert_int_equal(vdriver_config_read(&driver, PCI_BAR0 + 16, 4), 0); /* no such BAR */
}

static void places_bars_apart_and_aligned(void **state)
{
	uint64_t first = toy.fn.bar_home[0], msix = toy.fn.bar_home[2];

	(void)state;
	assert_int_equal(first, LAYOUT_PCI_BARS);
	assert_int_equal(msix, first + BAR_BYTES);
	assert_int_equal(twin.fn.bar_home[0], ALIGN_UP(msix + PCI_MSIX_BAR_LEN, BAR_BYTES));
}

static void reaches_a_bar_where_it_is_moved(void **state)
{
	uint64_t home = toy.fn.bar_home[0], away = LAYOUT_PCI_BARS + 0x100000;

	(void)state;
	assert_int_equal(vdriver_read(&driver, home + 8, 4), 0x5a);
	assert_int_equal(toy.last_offset, 8);
	vdriver_config_write(&driver, PCI_BAR0, 8, away);
	assert_int_equal(vdriver_read(&driver, home + 8, 4), 0xffffffff);
	vdriver_write(&driver, away + 0x3ffc, 4, 0x1234);
	assert_int_equal(toy.last_offset, 0x3ffc);
	assert_int_equal(toy.last_value, 0x1234);
	assert_int_equal(vdriver_read(&driver, away + 0x3ffc, 8), UINT64_MAX); /* beyond its end */
	vdriver_config_write(&driver, PCI_COMMAND, 2, 0);
	assert_int_equal(vdriver_read(&driver, away, 4), 0xffffffff);
	assert_int_equal(toy.nr_accesses, 2);
	assert_int_equal(toy.nr_moves, 3); /* creation, the move, decoding off */

	bus->ops->reset(bus);
	assert_int_equal(vdriver_read(&driver, home, 4), 0x5a);
}

static void has_room_for_so_many_functions(void **state)
{
	static struct toy more[PCI_HOST_SLOTS];
	uint32_t nr = 0;

	(void)state;
	while (host->nr_slots < PCI_HOST_SLOTS)
		make_toy(&more[nr++]);
	assert_int_equal(pci_host_add(host, &more[nr].fn), HV_ENOMEM);
}

static void refuses_a_bar_that_does_not_fit_the_window(void **state)
{
	static struct toy big;

	(void)state;
	pci_fn_init(&big.fn, vm, &toy_ops, &toy_id);
	pci_fn_add_bar(&big.fn, 0, 0x10000000);
	assert_int_equal(pci_host_add(host, &big.fn), HV_ENOMEM);
	EXPECT_ASSERT(pci_fn_add_bar(&big.fn, 1, 0x1000));
}

/* ---- MSI-X ---- */

static struct fake_vm *fake(void)
{
	return fake_vm(vm);
}

static void describes_its_msix_table(void **state)
{
	uint8_t cap = (uint8_t)vdriver_config_read(&driver, PCI_CAP_POINTER, 1);

	(void)state;
	assert_int_equal(vdriver_config_read(&driver, cap, 4), (VECTORS - 1) << 16 | PCI_CAP_MSIX);
	assert_int_equal(vdriver_config_read(&driver, cap + 4, 4), 2);
	assert_int_equal(vdriver_config_read(&driver, cap + 8, 4), PCI_MSIX_PBA | 2);
}

static void sends_the_message_of_a_vector(void **state)
{
	(void)state;
	pci_msix_signal(&toy.fn, 1);
	assert_int_equal(fake()->nr_msis, 0); /* MSI-X is off: nothing, not even pending */
	vdriver_enable_msix(&driver);
	assert_int_equal(fake()->nr_msis, 0);
	assert_true(pci_msix_is_enabled(&toy.fn));
	pci_msix_signal(&toy.fn, 1);
	assert_int_equal(fake()->nr_msis, 1);
	assert_int_equal(fake()->msis[0].addr, 0xfee00000);
	assert_int_equal(fake()->msis[0].data, 0x4001);
	pci_msix_signal(&toy.fn, VECTORS);
	pci_msix_signal(&toy.fn, 0xffff);
	assert_int_equal(fake()->nr_msis, 1);
}

static uint64_t pending(void)
{
	return vdriver_read(&driver, driver.msix_gpa + PCI_MSIX_PBA, 8);
}

static void keeps_a_masked_vector_pending_until_unmasked(void **state)
{
	(void)state;
	vdriver_enable_msix(&driver);
	vdriver_mask_vector(&driver, 2, true);
	pci_msix_signal(&toy.fn, 2);
	pci_msix_signal(&toy.fn, 2);
	assert_int_equal(fake()->nr_msis, 0);
	assert_int_equal(pending(), BIT(2));
	vdriver_mask_vector(&driver, 2, false);
	assert_int_equal(fake()->nr_msis, 1);
	assert_int_equal(fake()->msis[0].data, 0x4002);
	assert_int_equal(pending(), 0);
}

static void keeps_all_vectors_pending_under_the_function_mask(void **state)
{
	uint32_t control = toy.fn.msix.cap + PCI_MSIX_CONTROL;

	(void)state;
	vdriver_enable_msix(&driver);
	vdriver_config_write(&driver, control, 2, PCI_MSIX_CONTROL_ENABLE | PCI_MSIX_CONTROL_MASK);
	pci_msix_signal(&toy.fn, 0);
	pci_msix_signal(&toy.fn, 1);
	assert_int_equal(fake()->nr_msis, 0);
	vdriver_config_write(&driver, control + 1, 1, PCI_MSIX_CONTROL_ENABLE >> 8);
	assert_int_equal(fake()->nr_msis, 2);
}

static void takes_whole_words_for_the_table_only(void **state)
{
	uint64_t at = driver.msix_gpa;

	(void)state;
	vdriver_write(&driver, at, 8, 0x1122334455667788);
	vdriver_write(&driver, at + 1, 4, 0);
	vdriver_write(&driver, at, 2, 0);
	vdriver_write(&driver, at, 1, 0);
	assert_int_equal(vdriver_read(&driver, at, 8), 0x1122334455667788);
	vdriver_write(&driver, at + 12, 4, 0xffffffff);
	assert_int_equal(vdriver_read(&driver, at + 12, 4), 1);
	vdriver_write(&driver, at + PCI_MSIX_PBA, 8, ~0ull);
	assert_int_equal(pending(), 0);
	vdriver_write(&driver, at + 16 * VECTORS, 8, ~0ull);
	assert_int_equal(vdriver_read(&driver, at + 16 * VECTORS, 8), 0);
	bus->ops->reset(bus);
	assert_int_equal(vdriver_read(&driver, at, 8), 0);
	assert_int_equal(vdriver_read(&driver, at + 12, 4), 1);
}

#define BUS_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_bus, drop_bus)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BUS_TEST(shows_its_header),
		BUS_TEST(shows_the_same_bytes_by_ports_and_by_ecam),
		BUS_TEST(writes_by_ports),
		BUS_TEST(reads_all_ones_where_nobody_is),
		BUS_TEST(takes_whole_words_for_an_address_only),
		BUS_TEST(keeps_its_read_only_bits),
		BUS_TEST(sizes_a_bar),
		BUS_TEST(places_bars_apart_and_aligned),
		BUS_TEST(reaches_a_bar_where_it_is_moved),
		BUS_TEST(has_room_for_so_many_functions),
		BUS_TEST(refuses_a_bar_that_does_not_fit_the_window),
		BUS_TEST(describes_its_msix_table),
		BUS_TEST(sends_the_message_of_a_vector),
		BUS_TEST(keeps_a_masked_vector_pending_until_unmasked),
		BUS_TEST(keeps_all_vectors_pending_under_the_function_mask),
		BUS_TEST(takes_whole_words_for_the_table_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
