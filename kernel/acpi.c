/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     RSDP --> XSDT or RSDT --> MADT   CPUs, IOAPICs, overrides
 *                          |--> FADT   PM timer, power-off and reset registers
 *                          |     '--> DSDT   searched for the name \_S5_
 *                          |--> HPET
 *                          |--> WDAT   only where it is: drivers/wdat.h reads it
 *                          '--> MCFG   where PCI's ECAM is
 *
 * A table is first mapped as far as its header, then as far as that says; nobody looks at a field
 * before its table's length and checksum are checked. Only known signatures are followed, and each
 * once, so tables that point at one another lead nowhere.
 */
#include "kernel/acpi.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

struct acpi_info acpi_info;

/* [ACPI] "RSDP Structure" */
#define RSDP_BYTES	20u
#define RSDP_BYTES_REV2 36u
#define RSDP_REVISION	15
#define RSDP_RSDT	16
#define RSDP_XSDT	24

/* [ACPI] "System Description Table Header" */
#define HEADER_BYTES	36u
#define HEADER_LENGTH	4
#define TABLE_BYTES_MAX (4 * MIB)
#define ROOT_ROWS_MAX	256u

struct reader {
	acpi_map_fn *map;
	void *arg;
	struct acpi_info *info;
};

/* A table that is mapped and whose checksum holds. */
struct table {
	const uint8_t *bytes;
	uint64_t hpa;
	uint32_t len;
};

static bool sums_to_zero(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *bytes++);
	return sum == 0;
}

/* Fields beyond a table's end read as zero: older revisions are shorter. */
static uint8_t field8(const struct table *t, uint32_t at)
{
	return range_fits(at, 1, t->len) ? t->bytes[at] : 0;
}

static uint16_t field16(const struct table *t, uint32_t at)
{
	return range_fits(at, 2, t->len) ? get_le16(t->bytes + at) : 0;
}

static uint32_t field32(const struct table *t, uint32_t at)
{
	return range_fits(at, 4, t->len) ? get_le32(t->bytes + at) : 0;
}

static uint64_t field64(const struct table *t, uint32_t at)
{
	return range_fits(at, 8, t->len) ? get_le64(t->bytes + at) : 0;
}

static const uint8_t *map_header(const struct reader *r, uint64_t hpa)
{
	return hpa == 0 ? NULL : r->map(r->arg, hpa, HEADER_BYTES);
}

/* The table at hpa, checked; a warning and false when it is not one of that signature. */
static bool open_table(const struct reader *r, uint64_t hpa, const char *signature,
		       struct table *table)
{
	const uint8_t *header = map_header(r, hpa);
	uint32_t len;

	if (header == NULL || memcmp(header, signature, 4) != 0)
		goto bad;
	len = get_le32(header + HEADER_LENGTH);
	if (len < HEADER_BYTES || len > TABLE_BYTES_MAX)
		goto bad;
	table->bytes = r->map(r->arg, hpa, len);
	table->hpa = hpa;
	table->len = len;
	if (table->bytes == NULL || !sums_to_zero(table->bytes, len))
		goto bad;
	return true;
bad:
	r->info->nr_bad_tables++;
	log_warn("acpi", "no usable %s at 0x%lx, left out", signature, hpa);
	return false;
}

/* ---- MADT ---- */

/* [ACPI] "Multiple APIC Description Table (MADT)" and the structures it lists. */
#define MADT_LAPIC_ADDRESS 36
#define MADT_ROWS	   44
#define MADT_ENABLED	   BIT(0)
#define MADT_POLARITY	   0x3u
#define MADT_TRIGGER	   0xcu
#define MADT_CONTRARY	   3u /* active low, level */

static void add_cpu(struct acpi_info *info, uint32_t apic_id, uint32_t flags, uint32_t broadcast)
{
	if (!(flags & MADT_ENABLED) || apic_id == broadcast)
		return;
	for (uint32_t i = 0; i < info->nr_cpus; i++)
		if (info->apic_ids[i] == apic_id)
			return;
	if (info->nr_cpus == ACPI_CPUS_MAX) {
		log_warn("acpi", "more than %u CPUs, APIC ID %u left out", ACPI_CPUS_MAX, apic_id);
		return;
	}
	info->apic_ids[info->nr_cpus++] = apic_id;
}

static void madt_lapic(const struct table *row, struct acpi_info *info)
{
	add_cpu(info, field8(row, 3), field32(row, 4), 0xff);
}

static void madt_x2apic(const struct table *row, struct acpi_info *info)
{
	add_cpu(info, field32(row, 4), field32(row, 8), 0xffffffff);
}

static void madt_ioapic(const struct table *row, struct acpi_info *info)
{
	uint32_t i = info->nr_ioapics;

	if (i == ACPI_IOAPICS_MAX) {
		log_warn("acpi", "more than %u IOAPICs, the rest left out", ACPI_IOAPICS_MAX);
		return;
	}
	info->ioapics[i].id = field8(row, 2);
	info->ioapics[i].hpa = field32(row, 4);
	info->ioapics[i].gsi_base = field32(row, 8);
	info->nr_ioapics++;
}

static void madt_override(const struct table *row, struct acpi_info *info)
{
	uint32_t i = info->nr_overrides;
	uint16_t flags = field16(row, 8);

	if (i == ACPI_OVERRIDES_MAX) {
		log_warn("acpi", "more than %u overrides, the rest left out", ACPI_OVERRIDES_MAX);
		return;
	}
	info->overrides[i].isa_irq = field8(row, 3);
	info->overrides[i].gsi = field32(row, 4);
	info->overrides[i].is_active_low = FIELD_GET(MADT_POLARITY, flags) == MADT_CONTRARY;
	info->overrides[i].is_level = FIELD_GET(MADT_TRIGGER, flags) == MADT_CONTRARY;
	info->nr_overrides++;
}

static void madt_lapic_address(const struct table *row, struct acpi_info *info)
{
	info->lapic_hpa = field64(row, 4);
}

static const struct {
	uint8_t type, len;
	void (*read)(const struct table *row, struct acpi_info *info);
} madt_rows[] = {
	{0, 8, madt_lapic},	     {1, 12, madt_ioapic}, {2, 10, madt_override},
	{5, 12, madt_lapic_address}, {9, 16, madt_x2apic},
};

static void madt_row(const struct table *row, struct acpi_info *info)
{
	for (size_t i = 0; i < ARRAY_SIZE(madt_rows); i++)
		if (madt_rows[i].type == row->bytes[0] && row->len >= madt_rows[i].len)
			madt_rows[i].read(row, info);
}

static void read_madt(const struct reader *r, const struct table *madt)
{
	struct table row;

	r->info->lapic_hpa = field32(madt, MADT_LAPIC_ADDRESS);
	for (uint32_t at = MADT_ROWS; range_fits(at, 2, madt->len); at += row.len) {
		row.bytes = madt->bytes + at;
		row.len = row.bytes[1];
		if (row.len < 2 || !range_fits(at, row.len, madt->len)) {
			log_warn("acpi", "MADT: row at %u of %u bytes, rest left out", at, row.len);
			return;
		}
		madt_row(&row, r->info);
	}
}

/* ---- FADT and DSDT ---- */

/* [ACPI] "Fixed ACPI Description Table (FADT)" */
#define FADT_DSDT	 40
#define FADT_PM1A_CNT	 64
#define FADT_PM1B_CNT	 68
#define FADT_PM_TMR	 76
#define FADT_PM_TMR_LEN	 91
#define FADT_FLAGS	 112
#define FADT_RESET_REG	 116
#define FADT_RESET_VALUE 128
#define FADT_X_DSDT	 140
#define FADT_X_PM1A_CNT	 172
#define FADT_X_PM1B_CNT	 184
#define FADT_X_PM_TMR	 208

#define FADT_TMR_VAL_EXT     BIT(8)
#define FADT_RESET_REG_SUP   BIT(10)
#define FADT_HW_REDUCED_ACPI BIT(20)

/* [ACPI] "Generic Address Structure (GAS)" */
#define GAS_ADDRESS	  4
#define GAS_SYSTEM_MEMORY 0
#define GAS_SYSTEM_IO	  1

/* The port in a generic address; 0 when it is empty, elsewhere than in I/O space, or no port. */
static uint32_t gas_port(const struct table *t, uint32_t gas)
{
	uint64_t port = field64(t, gas + GAS_ADDRESS);

	return field8(t, gas) == GAS_SYSTEM_IO && port <= 0xffff ? (uint32_t)port : 0;
}

static uint32_t register_port(const struct table *fadt, uint32_t gas, uint32_t old)
{
	uint32_t port = gas_port(fadt, gas);

	if (port == 0)
		port = field32(fadt, old);
	return port <= 0xffff ? port : 0;
}

/* [ACPI] "AML Grammar Definition" */
#define AML_ZERO	0x00
#define AML_ONE		0x01
#define AML_NAME	0x08
#define AML_BYTE_PREFIX 0x0a
#define AML_WORD_PREFIX 0x0b
#define AML_PACKAGE	0x12
#define AML_ROOT_CHAR	0x5c
#define SLP_TYP_MAX	7 /* three bits of the PM1 control register */

/* One integer of a package, moving *at behind it; -1 when it is none, or no sleep type. */
static int aml_sleep_type(const struct table *dsdt, uint32_t *at)
{
	uint32_t val;

	switch (field8(dsdt, (*at)++)) {
	case AML_ZERO:
		return 0;
	case AML_ONE:
		return 1;
	case AML_BYTE_PREFIX:
		val = field8(dsdt, *at);
		*at += 1;
		break;
	case AML_WORD_PREFIX:
		val = field16(dsdt, *at);
		*at += 2;
		break;
	default:
		return -1;
	}
	return val <= SLP_TYP_MAX ? (int)val : -1;
}

/* Whether a definition of \_S5_ starts at `at`: Name (\_S5_, Package () {typa, typb, ..}) */
static bool read_s5(const struct table *dsdt, uint32_t at, struct acpi_info *info)
{
	int typa, typb;

	if (field8(dsdt, at++) != AML_NAME)
		return false;
	if (field8(dsdt, at) == AML_ROOT_CHAR)
		at++;
	if (!range_fits(at, 4, dsdt->len) || memcmp(dsdt->bytes + at, "_S5_", 4) != 0)
		return false;
	at += 4;
	if (field8(dsdt, at++) != AML_PACKAGE)
		return false;
	at += 1 + (field8(dsdt, at) >> 6); /* PkgLength */
	if (field8(dsdt, at++) < 2)	   /* NumElements */
		return false;

	typa = aml_sleep_type(dsdt, &at);
	typb = aml_sleep_type(dsdt, &at);
	if (typa < 0 || typb < 0 || at > dsdt->len)
		return false;
	info->s5_slp_typa = (uint8_t)typa;
	info->s5_slp_typb = (uint8_t)typb;
	return true;
}

static void read_dsdt(const struct reader *r, const struct table *dsdt)
{
	for (uint32_t at = HEADER_BYTES; at < dsdt->len && !r->info->has_s5; at++)
		r->info->has_s5 = read_s5(dsdt, at, r->info);
}

static void read_fadt(const struct reader *r, const struct table *fadt)
{
	struct acpi_info *info = r->info;
	uint32_t flags = field32(fadt, FADT_FLAGS);
	uint64_t dsdt_hpa = field64(fadt, FADT_X_DSDT);
	struct table dsdt;

	if (!(flags & FADT_HW_REDUCED_ACPI)) {
		if (field8(fadt, FADT_PM_TMR_LEN) == 4)
			info->pm_timer_port = register_port(fadt, FADT_X_PM_TMR, FADT_PM_TMR);
		info->pm_timer_is_32bit = flags & FADT_TMR_VAL_EXT;
		info->pm1a_cnt_port = register_port(fadt, FADT_X_PM1A_CNT, FADT_PM1A_CNT);
		info->pm1b_cnt_port = register_port(fadt, FADT_X_PM1B_CNT, FADT_PM1B_CNT);
	}
	if (flags & FADT_RESET_REG_SUP) {
		info->reset_port = (uint16_t)gas_port(fadt, FADT_RESET_REG);
		info->reset_value = field8(fadt, FADT_RESET_VALUE);
		info->has_reset_reg = info->reset_port != 0;
	}
	if (open_table(r, dsdt_hpa ? dsdt_hpa : field32(fadt, FADT_DSDT), "DSDT", &dsdt))
		read_dsdt(r, &dsdt);
}

/* ---- HPET, MCFG and WDAT ---- */

#define HPET_ADDRESS 40 /* [HPET] "The ACPI Description Table": a generic address */

static void read_hpet(const struct reader *r, const struct table *hpet)
{
	if (field8(hpet, HPET_ADDRESS) == GAS_SYSTEM_MEMORY)
		r->info->hpet_hpa = field64(hpet, HPET_ADDRESS + GAS_ADDRESS);
}

/* [PCIFW] "MCFG Table Description" */
#define MCFG_ROWS      44
#define MCFG_ROW_BYTES 16u

static void read_mcfg(const struct reader *r, const struct table *mcfg)
{
	struct acpi_info *info = r->info;

	for (uint32_t at = MCFG_ROWS;
	     range_fits(at, MCFG_ROW_BYTES, mcfg->len) && info->nr_mcfg < ACPI_MCFG_MAX;
	     at += MCFG_ROW_BYTES) {
		uint32_t i = info->nr_mcfg;

		info->mcfg[i].hpa = field64(mcfg, at);
		info->mcfg[i].segment = field16(mcfg, at + 8);
		info->mcfg[i].bus_first = field8(mcfg, at + 10);
		info->mcfg[i].bus_last = field8(mcfg, at + 11);
		if (info->mcfg[i].bus_first <= info->mcfg[i].bus_last)
			info->nr_mcfg++;
	}
}

static void read_wdat(const struct reader *r, const struct table *wdat)
{
	r->info->wdat_hpa = wdat->hpa;
	r->info->wdat_len_bytes = wdat->len;
}

/* ---- the walk ---- */

static const struct {
	char signature[5];
	void (*read)(const struct reader *r, const struct table *table);
} table_rows[] = {
	{"APIC", read_madt}, {"FACP", read_fadt}, {"HPET", read_hpet},
	{"MCFG", read_mcfg}, {"WDAT", read_wdat},
};

/* One row of the root table; *seen has a bit for each row of table_rows that was found. */
static void follow(const struct reader *r, uint64_t hpa, uint32_t *seen)
{
	const uint8_t *header = map_header(r, hpa);
	struct table table;

	if (header == NULL) {
		r->info->nr_bad_tables++;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(table_rows); i++) {
		if (memcmp(header, table_rows[i].signature, 4) != 0 || (*seen & BIT(i)))
			continue;
		if (open_table(r, hpa, table_rows[i].signature, &table)) {
			*seen |= (uint32_t)BIT(i);
			table_rows[i].read(r, &table);
		}
	}
}

static void walk_root(const struct reader *r, const struct table *root, uint32_t row_bytes)
{
	uint32_t nr = MIN((root->len - HEADER_BYTES) / row_bytes, ROOT_ROWS_MAX), seen = 0;

	r->info->nr_tables = (uint16_t)nr;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t at = HEADER_BYTES + i * row_bytes;

		follow(r, row_bytes == 8 ? field64(root, at) : field32(root, at), &seen);
	}
}

static bool is_rsdp(const uint8_t *rsdp, size_t len)
{
	return len >= RSDP_BYTES && memcmp(rsdp, "RSD PTR ", 8) == 0 &&
	       sums_to_zero(rsdp, RSDP_BYTES);
}

/* The XSDT where there is a good one, else the RSDT. */
static enum hv_err walk_from(const struct reader *r, const uint8_t *rsdp, size_t len)
{
	struct table root;

	if (rsdp[RSDP_REVISION] >= 2 && len >= RSDP_BYTES_REV2 &&
	    sums_to_zero(rsdp, RSDP_BYTES_REV2) && get_le64(rsdp + RSDP_XSDT) != 0 &&
	    open_table(r, get_le64(rsdp + RSDP_XSDT), "XSDT", &root)) {
		walk_root(r, &root, 8);
		return HV_OK;
	}
	if (!open_table(r, get_le32(rsdp + RSDP_RSDT), "RSDT", &root))
		return HV_EPROTO;
	walk_root(r, &root, 4);
	return HV_OK;
}

enum hv_err acpi_parse(const void *rsdp, size_t rsdp_len, acpi_map_fn *map, void *arg,
		       struct acpi_info *out)
{
	struct acpi_info info = {.nr_cpus = 0};
	struct reader r = {map, arg, &info};
	enum hv_err err;

	if (!is_rsdp(rsdp, rsdp_len))
		return HV_EPROTO;
	err = walk_from(&r, rsdp, rsdp_len);
	if (err != HV_OK)
		return err;
	if (info.nr_cpus == 0)
		return HV_EPROTO;
	*out = info;
	return HV_OK;
}

/* [ACPI] "Finding the RSDP on IA-PC Systems": on a 16-byte boundary of these areas. */
static uint64_t search(acpi_map_fn *map, void *arg, uint64_t hpa, uint64_t len)
{
	const uint8_t *area = map(arg, hpa, len);

	if (area == NULL)
		return 0;
	for (uint64_t at = 0; range_fits(at, RSDP_BYTES, len); at += 16)
		if (is_rsdp(area + at, len - at))
			return hpa + at;
	return 0;
}

uint64_t acpi_find_rsdp(acpi_map_fn *map, void *arg)
{
	const uint8_t *ebda_segment = map(arg, 0x40e, 2);
	uint64_t ebda = ebda_segment == NULL ? 0 : get_le16(ebda_segment) * 16ull;
	uint64_t found = 0;

	if (ebda != 0)
		found = search(map, arg, ebda, KIB);
	return found != 0 ? found : search(map, arg, 0xe0000, 0x20000);
}
