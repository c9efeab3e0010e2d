/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables built in 128 KiB of physical memory at 0xe0000, as firmware lays them, and broken. */
#include "kernel/acpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/bytes.h"
#include "tests/unit/support/fake_phys.h"

#define BASE 0xe0000u
#define RSDP 0xe0000u
#define RSDT 0xe0100u
#define XSDT 0xe0200u
#define MADT 0xe1000u
#define FADT 0xe2000u
#define DSDT 0xe3000u
#define HPET 0xe4000u
#define MCFG 0xe5000u

static uint8_t bytes[0x20000];
static struct fake_phys phys = {.base = BASE, .len_bytes = sizeof(bytes), .bytes = bytes};
static struct acpi_info info;

static uint8_t *at(uint64_t hpa)
{
	return bytes + (hpa - BASE);
}

static void fix_sum(uint8_t *block, size_t len, size_t sum_at)
{
	uint8_t sum = 0;

	block[sum_at] = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + block[i]);
	block[sum_at] = (uint8_t)-sum;
}

static void fix(uint64_t hpa)
{
	fix_sum(at(hpa), get_le32(at(hpa) + 4), 9);
}

static void put_header(uint64_t hpa, const char *signature, uint32_t len)
{
	memcpy(at(hpa), signature, 4);
	put_le32(at(hpa) + 4, len);
	fix(hpa);
}

static void put_bytes(uint64_t hpa, const char *text, size_t len)
{
	memcpy(at(hpa), text, len);
}

static void put_rsdp(uint8_t revision)
{
	memcpy(at(RSDP), "RSD PTR ", 8);
	at(RSDP)[15] = revision;
	put_le32(at(RSDP) + 16, RSDT);
	put_le32(at(RSDP) + 20, 36);
	put_le64(at(RSDP) + 24, XSDT);
	fix_sum(at(RSDP), 20, 8);
	fix_sum(at(RSDP), 36, 32);
}

static void put_madt(void)
{
	static const char rows[] =
		"\x00\x08\x00\x00\x01\x00\x00\x00" /* APIC ID 0, enabled */
		"\x00\x08\x01\x01\x01\x00\x00\x00" /* APIC ID 1, enabled */
		"\x00\x08\x02\x02\x00\x00\x00\x00" /* APIC ID 2, disabled */
		"\x00\x08\x03\x01\x01\x00\x00\x00" /* APIC ID 1 once more */
		"\x00\x08\x04\xff\x01\x00\x00\x00" /* the broadcast ID */
		"\x09\x10\x00\x00\x34\x12\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00" /* x2APIC */
		"\x01\x0c\x07\x00\x00\x00\xc0\xfe\x10\x00\x00\x00"  /* IOAPIC 7, GSI 16 */
		"\x02\x0a\x00\x00\x02\x00\x00\x00\x00\x00"	    /* IRQ 0 -> GSI 2 */
		"\x02\x0a\x00\x09\x09\x00\x00\x00\x0f\x00"	    /* IRQ 9 low, level */
		"\x04\x06\xff\x00\x00\x01"			    /* NMI: not for us */
		"\x05\x0c\x00\x00\x00\x10\xe0\xfe\x01\x00\x00\x00"; /* LAPIC at 0x1fee01000 */

	put_le32(at(MADT) + 36, 0xfee00000);
	put_bytes(MADT + 44, rows, sizeof(rows) - 1);
	put_header(MADT, "APIC", 44 + sizeof(rows) - 1);
}

static void put_fadt(uint32_t len)
{
	put_le32(at(FADT) + 40, DSDT);
	put_le32(at(FADT) + 64, 0xb004);
	put_le32(at(FADT) + 76, 0xb008);
	at(FADT)[91] = 4;
	put_header(FADT, "FACP", len);
}

static void put_dsdt(const char *aml, size_t len)
{
	put_bytes(DSDT + 36, aml, len);
	put_header(DSDT, "DSDT", (uint32_t)(36 + len));
}

static const char aml_s5[] = "\x5b\x80REG0\x01\x0a\x08_S4_\x12\x06\x04\x0a\x06\x0a\x06\x00\x00"
			     "\x08_S5_\x12\x06\x04\x0a\x05\x01\x00\x00";

/* A machine with everything: revision 2, XSDT. The RSDT lists the MADT only. */
static int start(void **state)
{
	static const uint64_t tables[] = {MADT, FADT, HPET, MCFG, XSDT /* itself */, DSDT};

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	memset(&info, 0xee, sizeof(info));
	put_rsdp(2);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		put_le64(at(XSDT) + 36 + 8 * i, tables[i]);
	put_header(XSDT, "XSDT", 36 + 8 * ARRAY_SIZE(tables));
	put_le32(at(RSDT) + 36, MADT);
	put_header(RSDT, "RSDT", 40);
	put_madt();
	put_fadt(244);
	put_dsdt(aml_s5, sizeof(aml_s5) - 1);
	put_le64(at(HPET) + 44, 0xfed00000);
	put_header(HPET, "HPET", 56);
	put_le64(at(MCFG) + 44, 0xb0000000);
	at(MCFG)[55] = 255;
	put_header(MCFG, "MCFG", 60);
	return 0;
}

static enum hv_err parse(void)
{
	enum hv_err err = acpi_parse(at(RSDP), 36, fake_phys_map, &phys, &info);

	fake_phys_unmap(&phys);
	return err;
}

static void reads_the_cpus_and_interrupt_controllers(void **state)
{
	(void)state;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_cpus, 3);
	assert_int_equal(info.apic_ids[0], 0);
	assert_int_equal(info.apic_ids[1], 1);
	assert_int_equal(info.apic_ids[2], 0x1234);
	assert_int_equal(info.lapic_hpa, 0x1fee01000);
	assert_int_equal(info.nr_ioapics, 1);
	assert_int_equal(info.ioapics[0].id, 7);
	assert_int_equal(info.ioapics[0].hpa, 0xfec00000);
	assert_int_equal(info.ioapics[0].gsi_base, 16);
	assert_int_equal(info.nr_overrides, 2);
	assert_int_equal(info.overrides[0].gsi, 2);
	assert_false(info.overrides[0].is_active_low);
	assert_false(info.overrides[0].is_level);
	assert_int_equal(info.overrides[1].isa_irq, 9);
	assert_true(info.overrides[1].is_active_low);
	assert_true(info.overrides[1].is_level);
}

static void reads_timers_power_and_ecam(void **state)
{
	(void)state;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.hpet_hpa, 0xfed00000);
	assert_int_equal(info.pm_timer_port, 0xb008);
	assert_false(info.pm_timer_is_32bit);
	assert_int_equal(info.pm1a_cnt_port, 0xb004);
	assert_int_equal(info.pm1b_cnt_port, 0);
	assert_true(info.has_s5);
	assert_int_equal(info.s5_slp_typa, 5);
	assert_int_equal(info.s5_slp_typb, 1);
	assert_false(info.has_reset_reg);
	assert_int_equal(info.nr_mcfg, 1);
	assert_int_equal(info.mcfg[0].hpa, 0xb0000000);
	assert_int_equal(info.mcfg[0].bus_last, 255);
	assert_int_equal(info.nr_tables, 6);
	assert_int_equal(info.nr_bad_tables, 0);
}

static void put_gas(uint32_t offset, uint8_t space, uint64_t address)
{
	at(FADT)[offset] = space;
	put_le64(at(FADT) + offset + 4, address);
}

static void prefers_the_extended_fields_of_the_fadt(void **state)
{
	(void)state;
	put_le64(at(FADT) + 140, DSDT);
	put_le32(at(FADT) + 40, 0xdead0000);
	put_gas(172, 1, 0x604);
	put_gas(184, 0, 0x700); /* in memory: the old field, 0, holds */
	put_gas(208, 1, 0x608);
	put_le32(at(FADT) + 112, BIT(8) | BIT(10));
	put_gas(116, 1, 0xcf9);
	at(FADT)[128] = 6;
	fix(FADT);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.pm1a_cnt_port, 0x604);
	assert_int_equal(info.pm1b_cnt_port, 0);
	assert_int_equal(info.pm_timer_port, 0x608);
	assert_true(info.pm_timer_is_32bit);
	assert_true(info.has_reset_reg);
	assert_int_equal(info.reset_port, 0xcf9);
	assert_int_equal(info.reset_value, 6);
	assert_true(info.has_s5);
}

static void ignores_registers_that_are_no_ports(void **state)
{
	(void)state;
	put_le32(at(FADT) + 76, 0x10008);
	put_le32(at(FADT) + 112, BIT(10));
	put_gas(116, 0, 0xfed00000);
	fix(FADT);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.pm_timer_port, 0);
	assert_false(info.has_reset_reg);
	start(state);
	at(FADT)[91] = 0; /* a PM timer of no length is none */
	fix(FADT);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.pm_timer_port, 0);
}

static void finds_no_pm_registers_on_reduced_hardware(void **state)
{
	(void)state;
	put_le32(at(FADT) + 112, BIT(20));
	fix(FADT);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.pm_timer_port, 0);
	assert_int_equal(info.pm1a_cnt_port, 0);
}

static void reads_the_short_fadt_of_revision_1(void **state)
{
	(void)state;
	memset(at(FADT) + 116, 0xff, 128); /* beyond its end */
	put_fadt(116);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.pm_timer_port, 0xb008);
	assert_false(info.has_reset_reg);
	assert_true(info.has_s5);
}

static void uses_the_rsdt_for_revision_0(void **state)
{
	(void)state;
	put_rsdp(0);
	assert_int_equal(acpi_parse(at(RSDP), 20, fake_phys_map, &phys, &info), HV_OK);
	fake_phys_unmap(&phys);
	assert_int_equal(info.nr_cpus, 3);
	assert_int_equal(info.nr_tables, 1);
	assert_int_equal(info.hpet_hpa, 0);
}

static void falls_back_to_the_rsdt_when_the_xsdt_is_bad(void **state)
{
	(void)state;
	at(XSDT)[9]++;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_tables, 1);
	assert_int_equal(info.nr_bad_tables, 1);
}

static void leaves_out_a_table_with_a_bad_checksum(void **state)
{
	(void)state;
	at(HPET)[9]++;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.hpet_hpa, 0);
	assert_int_equal(info.nr_bad_tables, 1);
}

static void leaves_out_tables_that_are_too_long_or_too_short(void **state)
{
	static const uint32_t lens[] = {0, 35, 0x1b001, 0xffffffff};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		start(state);
		put_le32(at(MCFG) + 4, lens[i]);
		assert_int_equal(parse(), HV_OK);
		assert_int_equal(info.nr_mcfg, 0);
		assert_int_equal(info.nr_bad_tables, 1);
	}
}

static void refuses_a_machine_without_cpus_and_leaves_out_alone(void **state)
{
	(void)state;
	at(MADT)[9]++;
	assert_int_equal(parse(), HV_EPROTO);
	assert_int_equal(info.nr_cpus, 0xeeeeeeee);
	start(state);
	put_header(MADT, "APIC", 44);
	assert_int_equal(parse(), HV_EPROTO);
}

static void refuses_a_bad_rsdp(void **state)
{
	(void)state;
	at(RSDP)[8]++;
	assert_int_equal(parse(), HV_EPROTO);
	start(state);
	assert_int_equal(acpi_parse(at(RSDP), 19, fake_phys_map, &phys, &info), HV_EPROTO);
	at(RSDP)[0] = 'X';
	fix_sum(at(RSDP), 20, 8);
	assert_int_equal(parse(), HV_EPROTO);
}

static void stops_at_a_row_of_the_madt_that_does_not_fit(void **state)
{
	static const uint8_t lens[] = {0, 1, 200};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		start(state);
		at(MADT)[44 + 8 + 1] = lens[i]; /* of the second CPU */
		fix(MADT);
		assert_int_equal(parse(), HV_OK);
		assert_int_equal(info.nr_cpus, 1);
	}
}

static void ignores_rows_shorter_than_their_type(void **state)
{
	(void)state;
	memset(at(MADT) + 44, 0, 64);
	at(MADT)[45] = 7; /* a LAPIC of 7 bytes: its flags do not fit */
	at(MADT)[48] = 1;
	put_bytes(MADT + 51, "\x00\x08\x01\x01\x01\x00\x00\x00", 8);
	put_bytes(MADT + 59, "\x01\x08\x00\x00\x00\x00\xc0\xfe", 8); /* half an IOAPIC */
	put_header(MADT, "APIC", 59 + 8);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_cpus, 1);
	assert_int_equal(info.apic_ids[0], 1);
	assert_int_equal(info.nr_ioapics, 0);
}

static void bounds_the_number_of_everything(void **state)
{
	uint32_t len = 44;

	(void)state;
	for (uint32_t i = 0; i < ACPI_CPUS_MAX + 20; i++, len += 16) {
		put_bytes(MADT + len, "\x09\x10\x00\x00", 4);
		put_le32(at(MADT) + len + 4, i);
		put_le32(at(MADT) + len + 8, 1);
	}
	for (uint32_t i = 0; i < 40; i++, len += 12)
		put_bytes(MADT + len, "\x01\x0c\x00\x00\x00\x00\xc0\xfe\x00\x00\x00\x00", 12);
	for (uint32_t i = 0; i < 40; i++, len += 10)
		put_bytes(MADT + len, "\x02\x0a\x00\x00\x02\x00\x00\x00\x00\x00", 10);
	memmove(at(0xf0000), at(MADT), len);
	put_header(0xf0000, "APIC", len);
	put_le64(at(XSDT) + 36, 0xf0000);
	fix(XSDT);
	put_fadt(244);
	put_dsdt(aml_s5, sizeof(aml_s5) - 1);
	put_header(MCFG, "MCFG", 44 + 16 * 30);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.nr_cpus, ACPI_CPUS_MAX);
	assert_int_equal(info.nr_ioapics, ACPI_IOAPICS_MAX);
	assert_int_equal(info.nr_overrides, ACPI_OVERRIDES_MAX);
	assert_int_equal(info.nr_mcfg, ACPI_MCFG_MAX);
}

static void finds_s5_in_the_ways_compilers_write_it(void **state)
{
	static const struct {
		const char *aml;
		size_t len;
		int typa; /* -1: must not be found */
	} rows[] = {
#define ROW(text, typa) {text, sizeof(text) - 1, typa}
		ROW("\x08\\_S5_\x12\x06\x04\x0a\x07\x00\x00\x00", 7),
		ROW("\x08_S5_\x12\x06\x02\x01\x01", 1),
		ROW("\x08_S5_\x12\x46\x00\x02\x0a\x03\x00", 3),		/* PkgLength of two bytes */
		ROW("\x08_S5_\x12\x08\x02\x0b\x05\x00\x0b\x00\x00", 5), /* words */
		ROW("\x08_S5_\x12\x06\x01\x0a\x05\x0a\x05", -1),	/* one element only */
		ROW("\x08_S5_\x12\x06\x02\x0a\x08\x0a\x05", -1),	/* not three bits */
		ROW("\x08_S5_\x12\x06\x02\x0a\x05\xff", -1),
		ROW("\x08_S5_\x0a\x05\x00\x00", -1),
		ROW("\x5b_S5_\x12\x06\x02\x0a\x05\x00", -1),
		ROW("\x08_S5_\x12\x06\x02\x0a\x05", -1), /* cut by the table's end */
		ROW("\x08_S5_\x12\x06\x02\x0a\x05\x0a", -1),
		ROW("\x08_S5_", -1),
		ROW("\x08_S5", -1),
		ROW("", -1),
#undef ROW
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(state);
		put_dsdt(rows[i].aml, rows[i].len);
		assert_int_equal(parse(), HV_OK);
		assert_int_equal(info.has_s5, rows[i].typa >= 0);
		if (rows[i].typa >= 0)
			assert_int_equal(info.s5_slp_typa, rows[i].typa);
	}
}

static void survives_tables_that_point_at_one_another(void **state)
{
	(void)state;
	put_le32(at(FADT) + 40, FADT); /* its DSDT is itself */
	fix(FADT);
	for (unsigned i = 0; i < 6; i++)
		put_le64(at(XSDT) + 36 + 8 * i, i == 0 ? MADT : i == 1 ? FADT : XSDT);
	fix(XSDT);
	assert_int_equal(parse(), HV_OK);
	assert_false(info.has_s5);
}

static void takes_the_first_of_two_tables_of_a_kind(void **state)
{
	(void)state;
	put_le64(at(XSDT) + 36 + 8 * 4, 0xe6000);
	fix(XSDT);
	put_le64(at(0xe6000) + 44, 0x12345000);
	put_header(0xe6000, "HPET", 56);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.hpet_hpa, 0xfed00000);
}

static void says_where_the_table_of_a_watchdog_is(void **state)
{
	(void)state;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.wdat_hpa, 0);
	put_header(0xe6000, "WDAT", 68);
	put_le64(at(XSDT) + 36 + 8 * 4, 0xe6000);
	fix(XSDT);
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.wdat_hpa, 0xe6000);
	assert_int_equal(info.wdat_len_bytes, 68);
	at(0xe6000)[9]++;
	assert_int_equal(parse(), HV_OK);
	assert_int_equal(info.wdat_hpa, 0);
}

/* The BIOS areas: all of the first MiB. */
static void finds_the_rsdp_in_the_bios_area_or_the_ebda(void **state)
{
	static uint8_t low[0x100000];
	struct fake_phys *mib = calloc(1, sizeof(*mib));

	(void)state;
	mib->len_bytes = sizeof(low);
	mib->bytes = low;
	memset(low, 0, sizeof(low));
	assert_int_equal(acpi_find_rsdp(fake_phys_map, mib), 0);
	memcpy(low + 0xf5ad8, at(RSDP), 36); /* not on a 16-byte boundary */
	assert_int_equal(acpi_find_rsdp(fake_phys_map, mib), 0);
	memcpy(low + 0xffff0 - 16, at(RSDP), 32);
	assert_int_equal(acpi_find_rsdp(fake_phys_map, mib), 0xfffe0);
	memcpy(low + 0xf5ad0, at(RSDP), 36);
	assert_int_equal(acpi_find_rsdp(fake_phys_map, mib), 0xf5ad0);
	put_le16(low + 0x40e, 0x9fc0);
	memcpy(low + 0x9fc40, at(RSDP), 36);
	assert_int_equal(acpi_find_rsdp(fake_phys_map, mib), 0x9fc40);
	fake_phys_unmap(mib);
	free(mib);
}

static void finds_no_rsdp_where_memory_cannot_be_mapped(void **state)
{
	struct fake_phys *nothing = calloc(1, sizeof(*nothing));

	(void)state;
	assert_int_equal(acpi_find_rsdp(fake_phys_map, nothing), 0);
	free(nothing);
}

#define TEST(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_the_cpus_and_interrupt_controllers),
		TEST(reads_timers_power_and_ecam),
		TEST(prefers_the_extended_fields_of_the_fadt),
		TEST(ignores_registers_that_are_no_ports),
		TEST(finds_no_pm_registers_on_reduced_hardware),
		TEST(reads_the_short_fadt_of_revision_1),
		TEST(uses_the_rsdt_for_revision_0),
		TEST(falls_back_to_the_rsdt_when_the_xsdt_is_bad),
		TEST(leaves_out_a_table_with_a_bad_checksum),
		TEST(leaves_out_tables_that_are_too_long_or_too_short),
		TEST(refuses_a_machine_without_cpus_and_leaves_out_alone),
		TEST(refuses_a_bad_rsdp),
		TEST(stops_at_a_row_of_the_madt_that_does_not_fit),
		TEST(ignores_rows_shorter_than_their_type),
		TEST(bounds_the_number_of_everything),
		TEST(finds_s5_in_the_ways_compilers_write_it),
		TEST(survives_tables_that_point_at_one_another),
		TEST(takes_the_first_of_two_tables_of_a_kind),
		TEST(says_where_the_table_of_a_watchdog_is),
		TEST(finds_the_rsdp_in_the_bios_area_or_the_ebda),
		TEST(finds_no_rsdp_where_memory_cannot_be_mapped),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
