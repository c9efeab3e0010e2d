/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables for the guest. Each is put together in a buffer and written behind the one before;
 * the XSDT that lists them and the RSDP that finds it come last.
 */
#include "vmm/tables.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "vmm/dev/acpi_pm.h"
#include "vmm/layout.h"

/* [ACPI] "System Description Table Header" */
#define SDT_LENGTH	 4u
#define SDT_REVISION	 8u
#define SDT_CHECKSUM	 9u
#define SDT_OEM_ID	 10u
#define SDT_OEM_TABLE_ID 16u
#define SDT_OEM_REVISION 24u
#define SDT_CREATOR_ID	 28u
#define SDT_HEADER_LEN	 36u

#define RSDP_LEN  36u
#define FACS_LEN  64u
#define FADT_LEN  276u
#define WAET_LEN  40u
#define MCFG_LEN  60u
#define TABLE_MAX (SDT_HEADER_LEN + 8 + TABLES_VCPUS_MAX * 8 + 64) /* a MADT is the longest */

/* [ACPI] "Fixed ACPI Description Table (FADT)" */
#define FADT_FIRMWARE_CTRL 36u
#define FADT_DSDT	   40u
#define FADT_PM_PROFILE	   45u
#define FADT_SCI_INT	   46u
#define FADT_PM1A_EVT	   56u
#define FADT_PM1A_CNT	   64u
#define FADT_PM_TMR	   76u
#define FADT_PM1_EVT_LEN   88u
#define FADT_PM1_CNT_LEN   89u
#define FADT_PM_TMR_LEN	   91u
#define FADT_C2_LATENCY	   96u
#define FADT_C3_LATENCY	   98u
#define FADT_CENTURY	   108u
#define FADT_BOOT_ARCH	   109u
#define FADT_FLAGS	   112u
#define FADT_RESET_REG	   116u
#define FADT_RESET_VALUE   128u
#define FADT_X_DSDT	   140u
#define FADT_X_PM1A_EVT	   148u
#define FADT_X_PM1A_CNT	   172u
#define FADT_X_PM_TMR	   208u

#define PROFILE_ENTERPRISE_SERVER 4u
#define LATENCY_NO_C2		  101u
#define LATENCY_NO_C3		  1001u
/* [ACPI] "IA-PC Boot Architecture Flags": devices on the LPC bus, no VGA, leave ASPM alone */
#define BOOT_ARCH_FLAGS		  (BIT(0) | BIT(2) | BIT(4))
/* [ACPI] "Fixed Feature Flags": WBINVD works, C1 on every CPU, no fixed sleep button, no fixed RTC
 * wake, 32-bit PM timer, reset register */
#define FIXED_FLAGS		  (BIT(0) | BIT(2) | BIT(5) | BIT(6) | BIT(8) | BIT(10))

/* [ACPI] "Multiple APIC Description Table (MADT)" */
#define MADT_PCAT_COMPAT      1u
#define MADT_LAPIC	      0u
#define MADT_IOAPIC	      1u
#define MADT_OVERRIDE	      2u
#define MADT_LAPIC_NMI	      4u
#define MADT_ALL_PROCESSORS   0xffu
#define MPS_AS_THE_BUS	      0x0u
#define MPS_ACTIVE_HIGH_LEVEL 0xdu

#define WAET_PM_TIMER_GOOD 2u /* [WAET] "Emulated Device Flags" */

extern const uint8_t dsdt_aml[], dsdt_aml_end[]; /* vmm/dsdt.S */

struct builder {
	const struct gmem *mem;
	uint64_t next_gpa;
	uint64_t listed[5]; /* for the XSDT */
	uint32_t nr_listed;
};

struct table {
	uint8_t bytes[TABLE_MAX];
	uint32_t len;
};

uint8_t tables_checksum(const void *data, size_t len_bytes)
{
	const uint8_t *at = data;
	uint8_t sum = 0;

	while (len_bytes-- > 0)
		sum += *at++;
	return (uint8_t)-sum;
}

static void table_start(struct table *t, const char *signature, uint8_t revision, uint32_t len)
{
	memset(t, 0, sizeof(*t));
	t->len = len;
	memcpy(t->bytes, signature, 4);
	t->bytes[SDT_REVISION] = revision;
	memcpy(t->bytes + SDT_OEM_ID, "BILLET", 6);
	memcpy(t->bytes + SDT_OEM_TABLE_ID, "BILLETVM", 8);
	put_le32(t->bytes + SDT_OEM_REVISION, 1);
	memcpy(t->bytes + SDT_CREATOR_ID, "BLLT", 4);
}

/* Bytes as they are, at the next address that has the alignment every table may want. */
static enum hv_err put_bytes(struct builder *b, const void *bytes, uint64_t len, uint64_t *gpa)
{
	uint64_t at = ALIGN_UP(b->next_gpa, 64);

	if (at > LAYOUT_ACPI_END || len > LAYOUT_ACPI_END - at)
		return HV_ENOMEM;
	if (gmem_write(b->mem, at, bytes, len) != HV_OK)
		return HV_ENOMEM;
	b->next_gpa = at + len;
	*gpa = at;
	return HV_OK;
}

static enum hv_err put_table(struct builder *b, struct table *t, uint64_t *gpa)
{
	put_le32(t->bytes + SDT_LENGTH, t->len);
	t->bytes[SDT_CHECKSUM] = 0;
	t->bytes[SDT_CHECKSUM] = tables_checksum(t->bytes, t->len);
	return put_bytes(b, t->bytes, t->len, gpa);
}

static enum hv_err put_listed(struct builder *b, struct table *t)
{
	return put_table(b, t, &b->listed[b->nr_listed++]);
}

/* [ACPI] "Generic Address Structure", for a port */
static void put_port(uint8_t *at, uint16_t port, uint8_t bits)
{
	at[0] = 1; /* system I/O */
	at[1] = bits;
	at[3] = bits == 8 ? 1 : bits == 16 ? 2 : 3;
	put_le64(at + 4, port);
}

static void fill_pm_blocks(uint8_t *fadt)
{
	const uint16_t event = LAYOUT_PM + ACPI_PM_EVENT, control = LAYOUT_PM + ACPI_PM_CONTROL,
		       timer = LAYOUT_PM + ACPI_PM_TIMER;

	put_le32(fadt + FADT_PM1A_EVT, event);
	put_le32(fadt + FADT_PM1A_CNT, control);
	put_le32(fadt + FADT_PM_TMR, timer);
	fadt[FADT_PM1_EVT_LEN] = 4;
	fadt[FADT_PM1_CNT_LEN] = 2;
	fadt[FADT_PM_TMR_LEN] = 4;
	put_port(fadt + FADT_X_PM1A_EVT, event, 32);
	put_port(fadt + FADT_X_PM1A_CNT, control, 16);
	put_port(fadt + FADT_X_PM_TMR, timer, 32);
}

static enum hv_err put_fadt(struct builder *b)
{
	const uint8_t facs[FACS_LEN] = {'F', 'A', 'C', 'S', FACS_LEN, [32] = 2 /* version */};
	uint64_t facs_gpa, dsdt_gpa;
	struct table t;
	enum hv_err err = put_bytes(b, facs, sizeof(facs), &facs_gpa);

	if (err == HV_OK)
		err = put_bytes(b, dsdt_aml, (uint64_t)(dsdt_aml_end - dsdt_aml), &dsdt_gpa);
	if (err != HV_OK)
		return err;
	table_start(&t, "FACP", 6, FADT_LEN);
	put_le32(t.bytes + FADT_FIRMWARE_CTRL, (uint32_t)facs_gpa);
	put_le32(t.bytes + FADT_DSDT, (uint32_t)dsdt_gpa);
	put_le64(t.bytes + FADT_X_DSDT, dsdt_gpa);
	t.bytes[FADT_PM_PROFILE] = PROFILE_ENTERPRISE_SERVER;
	put_le16(t.bytes + FADT_SCI_INT, LAYOUT_IRQ_SCI);
	fill_pm_blocks(t.bytes);
	put_le16(t.bytes + FADT_C2_LATENCY, LATENCY_NO_C2);
	put_le16(t.bytes + FADT_C3_LATENCY, LATENCY_NO_C3);
	t.bytes[FADT_CENTURY] = 0x32;
	put_le16(t.bytes + FADT_BOOT_ARCH, BOOT_ARCH_FLAGS);
	put_le32(t.bytes + FADT_FLAGS, FIXED_FLAGS);
	put_port(t.bytes + FADT_RESET_REG, LAYOUT_RESET_CONTROL, 8);
	t.bytes[FADT_RESET_VALUE] = ACPI_PM_RESET_VALUE;
	return put_listed(b, &t);
}

static uint8_t *madt_add(struct table *t, uint8_t type, uint8_t len)
{
	uint8_t *at = t->bytes + t->len;

	at[0] = type;
	at[1] = len;
	t->len += len;
	return at;
}

static void madt_add_override(struct table *t, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	uint8_t *at = madt_add(t, MADT_OVERRIDE, 10);

	at[3] = irq;
	put_le32(at + 4, gsi);
	put_le16(at + 8, flags);
}

static enum hv_err put_madt(struct builder *b, uint32_t nr_vcpus)
{
	struct table t;
	uint8_t *at;

	table_start(&t, "APIC", 5, SDT_HEADER_LEN + 8);
	put_le32(t.bytes + SDT_HEADER_LEN, LAYOUT_LAPIC);
	put_le32(t.bytes + SDT_HEADER_LEN + 4, MADT_PCAT_COMPAT);
	for (uint32_t id = 0; id < nr_vcpus; id++) {
		at = madt_add(&t, MADT_LAPIC, 8);
		at[2] = (uint8_t)id;
		at[3] = (uint8_t)id;
		put_le32(at + 4, 1); /* enabled */
	}
	at = madt_add(&t, MADT_IOAPIC, 12);
	put_le32(at + 4, LAYOUT_IOAPIC);
	madt_add_override(&t, 0, LAYOUT_GSI_PIT, MPS_AS_THE_BUS);
	madt_add_override(&t, LAYOUT_IRQ_SCI, LAYOUT_IRQ_SCI, MPS_ACTIVE_HIGH_LEVEL);
	at = madt_add(&t, MADT_LAPIC_NMI, 6);
	at[2] = MADT_ALL_PROCESSORS;
	at[5] = 1; /* LINT1 */
	return put_listed(b, &t);
}

static enum hv_err put_mcfg(struct builder *b)
{
	struct table t;

	table_start(&t, "MCFG", 1, MCFG_LEN);
	put_le64(t.bytes + SDT_HEADER_LEN + 8, LAYOUT_ECAM); /* segment 0, bus 0 to bus 0 */
	return put_listed(b, &t);
}

/* [WAET] the PM timer needs to be read only once. (The RTC is as the real one.) */
static enum hv_err put_waet(struct builder *b)
{
	struct table t;

	table_start(&t, "WAET", 1, WAET_LEN);
	put_le32(t.bytes + SDT_HEADER_LEN, WAET_PM_TIMER_GOOD);
	return put_listed(b, &t);
}

static enum hv_err put_xsdt(struct builder *b, uint64_t *gpa)
{
	struct table t;

	table_start(&t, "XSDT", 1, SDT_HEADER_LEN + b->nr_listed * 8);
	memcpy(t.bytes + SDT_HEADER_LEN, b->listed, b->nr_listed * 8);
	return put_table(b, &t, gpa);
}

/* [ACPI] "Root System Description Pointer (RSDP)" */
static enum hv_err put_rsdp(const struct gmem *mem, uint64_t xsdt_gpa)
{
	uint8_t rsdp[RSDP_LEN] = {0};

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "BILLET", 6);
	rsdp[15] = 2; /* revision */
	put_le32(rsdp + 20, RSDP_LEN);
	put_le64(rsdp + 24, xsdt_gpa);
	rsdp[8] = tables_checksum(rsdp, 20);
	rsdp[32] = tables_checksum(rsdp, RSDP_LEN);
	return gmem_write(mem, LAYOUT_ACPI, rsdp, sizeof(rsdp)) == HV_OK ? HV_OK : HV_ENOMEM;
}

enum hv_err tables_put_acpi(const struct gmem *mem, uint32_t nr_vcpus, uint64_t *rsdp_gpa)
{
	struct builder b = {.mem = mem, .next_gpa = LAYOUT_ACPI + RSDP_LEN};
	uint64_t xsdt_gpa;
	enum hv_err err;

	if (nr_vcpus == 0 || nr_vcpus > TABLES_VCPUS_MAX)
		return HV_EINVAL;
	err = put_fadt(&b);
	if (err == HV_OK)
		err = put_madt(&b, nr_vcpus);
	if (err == HV_OK)
		err = put_mcfg(&b);
	if (err == HV_OK)
		err = put_waet(&b);
	if (err == HV_OK)
		err = put_xsdt(&b, &xsdt_gpa);
	if (err == HV_OK)
		err = put_rsdp(mem, xsdt_gpa);
	if (err == HV_OK)
		*rsdp_gpa = LAYOUT_ACPI;
	return err;
}

enum hv_err tables_put(const struct gmem *mem, const struct tables_conf *conf, uint64_t *rsdp_gpa)
{
	enum hv_err err = tables_put_smbios(mem, conf);

	if (err != HV_OK)
		return err;
	return tables_put_acpi(mem, conf->nr_vcpus, rsdp_gpa);
}
