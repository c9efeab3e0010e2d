/* SPDX-License-Identifier: Apache-2.0 */
/* The TCO timer against simulated chipsets of the three generations. */
#include "drivers/tco.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/support/expect_assert.h"

#define RCBA	 0xfed1c000u
#define GCS	 (RCBA + 0x3410u)
#define P2SB	 0x10fd000000ull
#define SMBCTRL	 (P2SB + 0xc6000cu)
#define PMBASE	 0x600u
#define TCO_BASE 0x660u
#define SMB_TCO	 0x400u

#define RLD  0x00
#define STS1 0x04
#define STS2 0x06
#define CNT1 0x08
#define TMR  0x12

/* A chipset: configuration space of 00:1f.0 to 4, one block of ports, one register in memory. */
static struct {
	uint8_t config[5][256];
	bool hides_p2sb;
	uint16_t ports_at;
	uint16_t regs[0x20]; /* by offset */
	uint64_t no_reboot_hpa;
	uint32_t no_reboot;
	uint32_t locked; /* bits of no_reboot that stay set */
	uint16_t cnt_locked_set, cnt_locked_clear, tmr_locked_set;
	unsigned nr_reloads;
	unsigned nr_stray; /* accesses to what is not there */
} chip;

static struct tco tco;
static const char *why;

static uint32_t config_read(void *arg, struct pci_addr at, uint32_t reg, uint32_t size)
{
	uint32_t val = 0;

	(void)arg;
	assert_true(reg + size <= 256 && reg % size == 0);
	if (at.bus != 0 || at.dev != 0x1f || at.fn > 4 || (at.fn == 1 && chip.hides_p2sb))
		return UINT32_MAX >> (32 - 8 * size);
	memcpy(&val, &chip.config[at.fn][reg], size);
	return val;
}

static void config_write(void *arg, struct pci_addr at, uint32_t reg, uint32_t size, uint32_t val)
{
	(void)arg;
	(void)size;
	if (at.fn == 1 && reg == 0xe1)
		chip.hides_p2sb = val & 1;
	else
		chip.nr_stray++;
}

static uint16_t in(void *arg, uint16_t port)
{
	(void)arg;
	if (port - chip.ports_at >= 0x20) {
		chip.nr_stray++;
		return 0xffff;
	}
	return chip.regs[port - chip.ports_at];
}

static void out(void *arg, uint16_t port, uint16_t val)
{
	uint32_t reg = (uint32_t)(port - chip.ports_at);

	(void)arg;
	switch (reg) {
	case RLD:
		chip.nr_reloads++;
		break;
	case STS1:
	case STS2:
		chip.regs[reg] &= (uint16_t)~val;
		break;
	case CNT1:
		chip.regs[reg] = (uint16_t)((val | chip.cnt_locked_set) & ~chip.cnt_locked_clear);
		break;
	case TMR:
		chip.regs[reg] = (uint16_t)(val | chip.tmr_locked_set);
		break;
	default:
		chip.nr_stray++;
	}
}

static uint32_t mem_read(void *arg, uint64_t hpa)
{
	(void)arg;
	if (hpa != chip.no_reboot_hpa) {
		chip.nr_stray++;
		return UINT32_MAX;
	}
	return chip.no_reboot;
}

static void mem_write(void *arg, uint64_t hpa, uint32_t val)
{
	(void)arg;
	if (hpa != chip.no_reboot_hpa)
		chip.nr_stray++;
	else
		chip.no_reboot = val | chip.locked;
}

static const struct pci_access pci = {.read = config_read, .write = config_write};
static const struct tco_io io = {
	.pci = &pci, .in = in, .out = out, .read = mem_read, .write = mem_write};

static void put(unsigned fn, uint32_t reg, uint32_t val)
{
	memcpy(&chip.config[fn][reg], &val, sizeof(val));
}

static void put_id(unsigned fn, uint16_t device)
{
	put(fn, 0, 0x8086u | (uint32_t)device << 16);
}

/* As QEMU's q35, whose bits beside those that matter are set to see that they stay. */
static int start(void **state)
{
	(void)state;
	memset(&chip, 0, sizeof(chip));
	put_id(0, 0x2918);
	put(0, 0x40, PMBASE | 1);
	put(0, 0x44, 0x80);
	put(0, 0xf0, RCBA | 1);
	chip.ports_at = TCO_BASE;
	chip.no_reboot_hpa = GCS;
	chip.no_reboot = 0x00000c64;
	chip.regs[CNT1] = 0x0200;
	chip.regs[TMR] = 0x8004;
	why = NULL;
	memset(&tco, 0xee, sizeof(tco));
	return 0;
}

static void be_a_pch(uint16_t smbus)
{
	put_id(0, 0xa145);
	put_id(4, smbus);
	put(4, 0x50, SMB_TCO | 1);
	put(4, 0x54, 0x100);
	put_id(1, 0xa120);
	put(1, 0x10, (uint32_t)P2SB | 4);
	put(1, 0x14, P2SB >> 32);
	chip.hides_p2sb = true;
	chip.ports_at = SMB_TCO;
	chip.no_reboot_hpa = SMBCTRL;
	chip.no_reboot = 0x12;
}

static void find(void)
{
	assert_int_equal(tco_find(&io, &tco, &why), HV_OK);
}

static void refuse(const char *because)
{
	assert_int_equal(tco_find(&io, &tco, &why), HV_ENOTSUP);
	assert_string_equal(why, because);
}

static void finds_it_by_the_lpc_bridge(void **state)
{
	(void)state;
	find();
	assert_int_equal(tco.base, TCO_BASE);
	assert_int_equal(tco.no_reboot_hpa, GCS);
	assert_int_equal(tco.no_reboot_bit, 0x20);
	assert_int_equal(tco.device, 0x2918);
	assert_int_equal(chip.nr_stray, 0);
}

static void knows_its_chipsets_and_no_others(void **state)
{
	static const uint16_t known[] = {0x2640, 0x27b8, 0x2919, 0x3b16, 0x1c5f, 0x8d44, 0x9cc9};
	static const uint16_t others[] = {0x7000, 0x2910, 0x291a, 0x0f1c, 0x1f38, 0xa145, 0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		put_id(0, known[i]);
		find();
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		put_id(0, others[i]);
		assert_int_equal(tco_find(&io, &tco, &why), HV_ENOENT);
	}
	put(0, 0, 0x29181022); /* another maker's */
	assert_int_equal(tco_find(&io, &tco, &why), HV_ENOENT);
	memset(chip.config, 0xff, sizeof(chip.config));
	assert_int_equal(tco_find(&io, &tco, &why), HV_ENOENT);
}

static void needs_what_firmware_switches_on(void **state)
{
	(void)state;
	put(0, 0x44, 0);
	refuse("firmware left its ports switched off");
	start(state);
	put(0, 0x40, 1);
	refuse("firmware left its ports switched off");
	start(state);
	put(0, 0xf0, RCBA);
	refuse("firmware left RCBA switched off");
	start(state);
	put(0, 0xf0, 1);
	refuse("firmware left RCBA switched off");
	assert_int_equal(tco.device, 0x2918); /* for the log */
}

static void starts_with_half_of_the_time_in_ticks(void **state)
{
	static const struct {
		uint32_t seconds;
		uint16_t ticks;
	} rows[] = {{5, 5}, {6, 5}, {7, 6}, {60, 50}, {300, 250}, {1227, 1023}};

	(void)state;
	find();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(tco_start(&tco, rows[i].seconds), HV_OK);
		assert_int_equal(chip.regs[TMR], 0x8000 | rows[i].ticks);
		assert_true(rows[i].ticks * 12 >= rows[i].seconds * 10);
	}
	assert_int_equal(chip.regs[CNT1], 0x0200);
	assert_int_equal(chip.no_reboot, 0x00000c44);
	assert_int_equal(chip.nr_reloads, ARRAY_SIZE(rows));
	assert_int_equal(chip.nr_stray, 0);
}

static void takes_no_times_that_it_cannot_do(void **state)
{
	(void)state;
	find();
	EXPECT_ASSERT(tco_start(&tco, TCO_MIN_S - 1) == HV_OK);
	EXPECT_ASSERT(tco_start(&tco, TCO_MAX_S + 1) == HV_OK);
}

static void is_kicked_by_a_write_to_its_reload_register(void **state)
{
	(void)state;
	find();
	tco_kick(&tco);
	tco_kick(&tco);
	assert_int_equal(chip.nr_reloads, 2);
}

static void stops_and_is_harmless_then(void **state)
{
	(void)state;
	find();
	assert_int_equal(tco_start(&tco, 60), HV_OK);
	tco_stop(&tco);
	assert_int_equal(chip.regs[CNT1], 0x0a00);
	assert_int_equal(chip.no_reboot, 0x00000c64);
}

static void is_none_when_no_reboot_is_locked(void **state)
{
	(void)state;
	chip.locked = 0x20;
	find();
	assert_int_equal(tco_start(&tco, 60), HV_ENOTSUP);
	assert_true(chip.regs[CNT1] & 0x0800);
}

static void is_none_when_its_registers_do_not_change(void **state)
{
	(void)state;
	find();
	chip.cnt_locked_set = 0x0800;
	assert_int_equal(tco_start(&tco, 60), HV_EIO);
	start(state);
	find();
	chip.tmr_locked_set = 0x0200;
	assert_int_equal(tco_start(&tco, 60), HV_EIO);
	assert_true(chip.regs[CNT1] & 0x0800);
	start(state);
	find();
	chip.no_reboot_hpa = 0; /* nobody is there: all ones */
	assert_int_equal(tco_start(&tco, 60), HV_ENOTSUP);
}

static void says_once_that_it_fired(void **state)
{
	(void)state;
	find();
	assert_false(tco_has_fired(&tco));
	chip.regs[STS2] = 0x0007;
	assert_true(tco_has_fired(&tco));
	assert_int_equal(chip.regs[STS2], 0x0001);
	assert_false(tco_has_fired(&tco));
	chip.regs[STS2] = 0xffff; /* nobody is there */
	assert_false(tco_has_fired(&tco));
}

static void finds_it_by_the_smbus_function_and_the_sideband(void **state)
{
	(void)state;
	be_a_pch(0xa123);
	find();
	assert_int_equal(tco.base, SMB_TCO);
	assert_int_equal(tco.no_reboot_hpa, SMBCTRL);
	assert_true(chip.hides_p2sb); /* again */
	assert_int_equal(tco_start(&tco, 60), HV_OK);
	assert_int_equal(chip.no_reboot, 0x10);
	tco_stop(&tco);
	assert_int_equal(chip.no_reboot, 0x12);
	assert_int_equal(chip.nr_stray, 0);
}

static void leaves_a_sideband_that_does_not_hide_as_it_is(void **state)
{
	(void)state;
	be_a_pch(0xa1a3);
	chip.hides_p2sb = false;
	find();
	assert_false(chip.hides_p2sb);
}

static void needs_an_address_of_the_sideband(void **state)
{
	(void)state;
	be_a_pch(0x9d23);
	put(1, 0x10, 4);
	put(1, 0x14, 0);
	refuse("the sideband bridge has no address");
	put(1, 0x10, UINT32_MAX);
	put(1, 0x14, UINT32_MAX);
	refuse("the sideband bridge has no address");
}

static void finds_it_by_the_smbus_function_alone(void **state)
{
	(void)state;
	be_a_pch(0xa323);
	chip.regs[CNT1] = 0x0201;
	find();
	assert_int_equal(tco.no_reboot_hpa, 0);
	assert_int_equal(tco_start(&tco, 60), HV_OK);
	assert_int_equal(chip.regs[CNT1], 0x0200);
	tco_stop(&tco);
	assert_int_equal(chip.regs[CNT1], 0x0a01);
	chip.cnt_locked_set = 0x0001;
	assert_int_equal(tco_start(&tco, 60), HV_ENOTSUP);
	assert_int_equal(chip.nr_stray, 0);
}

static void needs_the_ports_of_the_smbus_function(void **state)
{
	(void)state;
	be_a_pch(0xa323);
	put(4, 0x54, 0);
	refuse("firmware left its ports switched off");
	put(4, 0x54, 0x100);
	put(4, 0x50, 1);
	refuse("firmware left its ports switched off");
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_it_by_the_lpc_bridge),
		TEST(knows_its_chipsets_and_no_others),
		TEST(needs_what_firmware_switches_on),
		TEST(starts_with_half_of_the_time_in_ticks),
		TEST(takes_no_times_that_it_cannot_do),
		TEST(is_kicked_by_a_write_to_its_reload_register),
		TEST(stops_and_is_harmless_then),
		TEST(is_none_when_no_reboot_is_locked),
		TEST(is_none_when_its_registers_do_not_change),
		TEST(says_once_that_it_fired),
		TEST(finds_it_by_the_smbus_function_and_the_sideband),
		TEST(leaves_a_sideband_that_does_not_hide_as_it_is),
		TEST(needs_an_address_of_the_sideband),
		TEST(finds_it_by_the_smbus_function_alone),
		TEST(needs_the_ports_of_the_smbus_function),
	};

	return cmocka_run_group_tests_name("tco", tests, NULL, NULL);
}
