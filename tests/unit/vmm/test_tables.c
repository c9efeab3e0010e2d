/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's tables, found and walked as a system does it, and held against vmm/layout.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_vm.h"
#include "vmm/dev/acpi_pm.h"
#include "vmm/layout.h"
#include "vmm/tables.h"

static struct vm *vm;
static struct tables_conf conf;
static uint64_t rsdp_gpa;

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(GMEM_CHUNK, 0);
	conf = (struct tables_conf){
		.nr_vcpus = 3,
		.uuid = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
			 0xcc, 0xdd, 0xee, 0xff},
		.serial = "S-42",
	};
	return tables_put(vm_memory(vm), &conf, &rsdp_gpa) == HV_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static const uint8_t *at(uint64_t gpa)
{
	uint64_t got;

	return gmem_map(vm_memory(vm), gpa, 1, &got);
}

static uint8_t sum(const uint8_t *data, size_t len)
{
	uint8_t total = 0;

	while (len-- > 0)
		total += *data++;
	return total;
}

/* A table by its signature through RSDP and XSDT, its checksum and place checked. */
static const uint8_t *find(const char *signature)
{
	uint64_t xsdt_gpa = get_le64(at(rsdp_gpa) + 24);
	const uint8_t *xsdt = at(xsdt_gpa), *found = NULL;
	uint32_t len = get_le32(xsdt + 4);

	assert_memory_equal(xsdt, "XSDT", 4);
	assert_int_equal(sum(xsdt, len), 0);
	for (uint32_t i = 36; i < len; i += 8) {
		uint64_t gpa = get_le64(xsdt + i);

		assert_in_range(gpa, LAYOUT_ACPI, LAYOUT_ACPI_END - 36);
		assert_int_equal(sum(at(gpa), get_le32(at(gpa) + 4)), 0);
		if (memcmp(at(gpa), signature, 4) == 0)
			found = at(gpa);
	}
	assert_non_null(found);
	return found;
}

static void finds_the_rsdp_on_a_paragraph_of_the_bios_area(void **state)
{
	const uint8_t *rsdp = at(rsdp_gpa);

	(void)state;
	assert_in_range(rsdp_gpa, 0xe0000, 0xfffff);
	assert_int_equal(rsdp_gpa % 16, 0);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
}

static void describes_the_power_management_block(void **state)
{
	const uint8_t *fadt = find("FACP");

	(void)state;
	assert_int_equal(get_le32(fadt + 4), 276);
	assert_int_equal(fadt[8], 6);
	assert_int_equal(get_le16(fadt + 46), 9);
	assert_int_equal(get_le32(fadt + 48), 0); /* no SMI command: always in ACPI mode */
	assert_int_equal(get_le32(fadt + 56), 0x600);
	assert_int_equal(get_le32(fadt + 64), 0x604);
	assert_int_equal(get_le32(fadt + 76), 0x608);
	assert_int_equal(get_le64(fadt + 148 + 4), 0x600);
	assert_int_equal(fadt[148], 1);
	assert_int_equal(get_le64(fadt + 172 + 4), 0x604);
	assert_int_equal(get_le64(fadt + 208 + 4), 0x608);
	assert_int_equal(get_le64(fadt + 116 + 4), 0xcf9);
	assert_int_equal(fadt[128], 6);
	assert_int_equal(get_le32(fadt + 112) & BIT(10), BIT(10)); /* has the reset register */
	assert_int_equal(get_le32(fadt + 112) & BIT(20), 0);	   /* not hardware-reduced */
	assert_int_equal(get_le32(fadt + 112) & BIT(4), 0);	   /* a fixed power button */
	assert_int_equal(get_le16(fadt + 109) & BIT(1), 0);	   /* no keyboard controller */
}

static void points_at_facs_and_dsdt(void **state)
{
	const uint8_t *fadt = find("FACP");
	const uint8_t *facs = at(get_le32(fadt + 36)), *dsdt = at(get_le64(fadt + 140));

	(void)state;
	assert_int_equal(get_le32(fadt + 36) % 64, 0);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(get_le32(facs + 4), 64);
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_int_equal(get_le32(fadt + 40), get_le64(fadt + 140));
	assert_int_equal(sum(dsdt, get_le32(dsdt + 4)), 0);
}

static void lists_every_vcpu_and_the_ioapic(void **state)
{
	const uint8_t *madt = find("APIC");
	uint32_t len = get_le32(madt + 4), lapics = 0, ioapics = 0, overrides = 0, nmis = 0;

	(void)state;
	assert_int_equal(get_le32(madt + 36), 0xfee00000);
	for (uint32_t i = 44; i < len; i += madt[i + 1]) {
		const uint8_t *row = madt + i;

		assert_true(row[1] >= 6 && i + row[1] <= len);
		if (row[0] == 0) {
			assert_int_equal(row[3], lapics++);
			assert_int_equal(get_le32(row + 4), 1);
		} else if (row[0] == 1) {
			ioapics++;
			assert_int_equal(get_le32(row + 4), 0xfec00000);
			assert_int_equal(get_le32(row + 8), 0);
		} else if (row[0] == 2) {
			overrides++;
			assert_int_equal(get_le32(row + 4), row[3] == 0 ? 2 : 9);
			assert_int_equal(get_le16(row + 8), row[3] == 0 ? 0 : 0xd);
		} else {
			assert_int_equal(row[0], 4);
			nmis++;
		}
	}
	assert_int_equal(lapics, 3);
	assert_int_equal(ioapics, 1);
	assert_int_equal(overrides, 2);
	assert_int_equal(nmis, 1);
}

static void describes_ecam(void **state)
{
	const uint8_t *mcfg = find("MCFG");

	(void)state;
	assert_int_equal(get_le32(mcfg + 4), 60);
	assert_int_equal(get_le64(mcfg + 44), LAYOUT_ECAM);
	assert_int_equal(mcfg[54], 0); /* first bus */
	assert_int_equal(mcfg[55], 0); /* last */
}

static bool dsdt_has(const void *bytes, size_t len)
{
	const uint8_t *dsdt = at(get_le64(find("FACP") + 140));

	for (uint32_t i = 0; i + len <= get_le32(dsdt + 4); i++)
		if (memcmp(dsdt + i, bytes, len) == 0)
			return true;
	return false;
}

/* AML resource descriptors spelled out: what vmm/dsdt.asl says must be what layout.h says. */
static void agrees_in_the_dsdt_with_the_layout(void **state)
{
	uint8_t memory[12] = {0x86, 0x09, 0x00, 0x01}, port[8] = {0x47, 0x01}, window[16] = {0};
	const uint8_t s5[] = {'_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, ACPI_PM_SLP_TYP_S5};

	(void)state;
	put_le32(memory + 4, LAYOUT_ECAM);
	put_le32(memory + 8, LAYOUT_ECAM_BYTES);
	assert_true(dsdt_has(memory, sizeof(memory)));

	put_le16(port + 2, LAYOUT_COM1);
	put_le16(port + 4, LAYOUT_COM1);
	put_le16(port + 6, 0x0801);
	assert_true(dsdt_has(port, sizeof(port)));
	put_le16(port + 2, LAYOUT_PM);
	put_le16(port + 4, LAYOUT_PM);
	put_le16(port + 6, LAYOUT_PM_BYTES << 8 | 1);
	assert_true(dsdt_has(port, sizeof(port)));

	put_le32(window, LAYOUT_PCI_BARS);
	put_le32(window + 4, LAYOUT_PCI_BARS + LAYOUT_PCI_BARS_BYTES - 1);
	put_le32(window + 12, LAYOUT_PCI_BARS_BYTES); /* behind a translation of 0 */
	assert_true(dsdt_has(window, sizeof(window)));
	assert_true(dsdt_has(s5, sizeof(s5)));
}

/* ---- SMBIOS ---- */

static const uint8_t *smbios_find(uint8_t type)
{
	const uint8_t *entry = at(LAYOUT_SMBIOS), *row = at(get_le64(entry + 16));
	const uint8_t *end = row + get_le32(entry + 12);

	while (row < end && row[0] != type) {
		row += row[1];
		while (get_le16(row) != 0)
			row++;
		row += 2;
	}
	assert_true(row < end);
	return row;
}

static const char *smbios_string(const uint8_t *row, uint8_t number)
{
	const char *text = (const char *)row + row[1];

	assert_int_not_equal(number, 0);
	while (--number > 0)
		text += strlen(text) + 1;
	return text;
}

static void tells_who_made_the_machine_and_which_it_is(void **state)
{
	const uint8_t *entry = at(LAYOUT_SMBIOS), *row;
	const uint8_t uuid[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
				  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

	(void)state;
	assert_memory_equal(entry, "_SM3_", 5);
	assert_int_equal(sum(entry, 24), 0);
	row = smbios_find(1);
	assert_string_equal(smbios_string(row, row[4]), "Billet");
	assert_string_equal(smbios_string(row, row[5]), "Billet VM");
	assert_string_equal(smbios_string(row, row[7]), "S-42");
	assert_memory_equal(row + 8, uuid, 16);
	row = smbios_find(0);
	assert_string_equal(smbios_string(row, row[4]), "Billet");
	(void)smbios_find(3);
	row = smbios_find(127);
	assert_int_equal(row + 6 - at(get_le64(entry + 16)), get_le32(entry + 12));
}

static void takes_an_empty_and_a_long_serial_number(void **state)
{
	char text[200];
	const uint8_t *row;

	(void)state;
	conf.serial = "";
	assert_int_equal(tables_put(vm_memory(vm), &conf, &rsdp_gpa), HV_OK);
	assert_int_equal(smbios_find(1)[7], 0);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	conf.serial = text;
	assert_int_equal(tables_put(vm_memory(vm), &conf, &rsdp_gpa), HV_OK);
	row = smbios_find(1);
	assert_int_equal(strlen(smbios_string(row, row[7])), 64);
	(void)smbios_find(127);
}

static void holds_as_many_vcpus_as_there_are_ids(void **state)
{
	(void)state;
	conf.nr_vcpus = TABLES_VCPUS_MAX;
	assert_int_equal(tables_put(vm_memory(vm), &conf, &rsdp_gpa), HV_OK);
	assert_int_equal(get_le32(find("APIC") + 4), 44 + 254 * 8 + 12 + 2 * 10 + 6);
	conf.nr_vcpus = TABLES_VCPUS_MAX + 1;
	assert_int_equal(tables_put(vm_memory(vm), &conf, &rsdp_gpa), HV_EINVAL);
	conf.nr_vcpus = 0;
	assert_int_equal(tables_put(vm_memory(vm), &conf, &rsdp_gpa), HV_EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finds_the_rsdp_on_a_paragraph_of_the_bios_area),
		TEST(describes_the_power_management_block),
		TEST(points_at_facs_and_dsdt),
		TEST(lists_every_vcpu_and_the_ioapic),
		TEST(describes_ecam),
		TEST(agrees_in_the_dsdt_with_the_layout),
		TEST(tells_who_made_the_machine_and_which_it_is),
		TEST(takes_an_empty_and_a_long_serial_number),
		TEST(holds_as_many_vcpus_as_there_are_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
