/* SPDX-License-Identifier: Apache-2.0 */
/* Where a chipset's TCO timer is, and the few registers that it takes. */
#include "drivers/tco.h"

#include "kernel/lib/assert.h"

#define VENDOR_INTEL 0x8086u

/* [ICH9] "LPC Interface PCI Register Address Map (LPC I/F-D31:F0)" */
#define LPC_PMBASE	0x40u
#define LPC_PMBASE_MASK 0xff80u
#define LPC_ACPI_CNTL	0x44u
#define LPC_ACPI_EN	0x80u
#define LPC_RCBA	0xf0u
#define LPC_RCBA_EN	0x1u
#define LPC_RCBA_MASK	0xffffc000u
#define PM_TCO		0x60u
#define RCBA_GCS	0x3410u
#define GCS_NO_REBOOT	0x20u

/* [iTCO] TCOBASE and TCOCTL of the SMBus function; the sideband bridge and what is behind it */
#define SMBUS_TCOBASE	     0x50u
#define SMBUS_TCOBASE_MASK   0xffe0u
#define SMBUS_TCOCTL	     0x54u
#define SMBUS_TCO_BASE_EN    0x100u
#define P2SB_BAR	     0x10u
#define P2SB_BAR_HIGH	     0x14u
#define P2SB_BAR_MASK	     0xfffffff0u
#define P2SB_HIDE	     0xe1u
#define P2SB_SMBUS_CTRL	     0xc6000cu
#define SMBUS_CTRL_NO_REBOOT 0x2u

/* [ICH9] "TCO I/O Register Address Map" */
#define TCO_RLD		   0x00u
#define TCO1_STS	   0x04u
#define TCO1_STS_TIMEOUT   0x0008u
#define TCO2_STS	   0x06u
#define TCO2_STS_SECOND	   0x0002u /* SECOND_TO_STS, cleared by a 1, as the next */
#define TCO2_STS_BOOT	   0x0004u
#define TCO1_CNT	   0x08u
#define TCO1_CNT_HALT	   0x0800u /* TCO_TMR_HLT */
#define TCO1_CNT_NO_REBOOT 0x0001u /* [iTCO], from the PCH 300 series on */
#define TCO_TMR		   0x12u
#define TCO_TMR_MASK	   0x03ffu
#define TCO_TMR_LEAST	   4u

#define TENTHS_OF_TWO_TICKS 12u

enum generation { GEN_LPC, GEN_SIDEBAND, GEN_CNT };

struct ids {
	uint16_t first, last;
	enum generation generation;
};

static const struct pci_addr lpc_at = {0, 0x1f, 0}, p2sb_at = {0, 0x1f, 1}, smbus_at = {0, 0x1f, 4};

static const struct ids lpc_ids[] = {
	{0x2640, 0x2642, GEN_LPC}, /* ICH6 */
	{0x2670, 0x267f, GEN_LPC}, /* 631xESB, 632xESB */
	{0x27b0, 0x27bd, GEN_LPC}, /* ICH7 */
	{0x2810, 0x2815, GEN_LPC}, /* ICH8 */
	{0x2912, 0x2919, GEN_LPC}, /* ICH9; 2918 is QEMU's q35 */
	{0x3a14, 0x3a1a, GEN_LPC}, /* ICH10 */
	{0x3b00, 0x3b16, GEN_LPC}, /* 5 series, 3400 */
	{0x1c41, 0x1c5f, GEN_LPC}, /* 6 series, C200 */
	{0x1d40, 0x1d41, GEN_LPC}, /* C600, X79 */
	{0x1e40, 0x1e5f, GEN_LPC}, /* 7 series, C216 */
	{0x2310, 0x2310, GEN_LPC}, /* DH89xxCC */
	{0x2390, 0x2390, GEN_LPC}, /* Coleto Creek */
	{0x8c40, 0x8c5f, GEN_LPC}, /* 8 series, C220 */
	{0x8cc1, 0x8cc6, GEN_LPC}, /* 9 series */
	{0x8d40, 0x8d5f, GEN_LPC}, /* C610, X99 */
	{0x9c40, 0x9c47, GEN_LPC}, /* 8 series, low power */
	{0x9cc1, 0x9cc9, GEN_LPC}, /* 9 series, low power */
};

static const struct ids smbus_ids[] = {
	{0x9d23, 0x9d23, GEN_SIDEBAND}, /* 100 series, low power */
	{0xa123, 0xa123, GEN_SIDEBAND}, /* 100 series, C230 */
	{0xa1a3, 0xa1a3, GEN_SIDEBAND}, /* C620 */
	{0xa223, 0xa223, GEN_SIDEBAND}, /* C620 */
	{0xa2a3, 0xa2a3, GEN_SIDEBAND}, /* 200 series */
	{0x9da3, 0x9da3, GEN_CNT},	/* 300 series, low power */
	{0xa323, 0xa323, GEN_CNT},	/* 300 series, C240 */
	{0x34a3, 0x34a3, GEN_CNT},	/* 400 series (Ice Lake), low power */
	{0xa0a3, 0xa0a3, GEN_CNT},	/* 500 series, low power */
	{0x43a3, 0x43a3, GEN_CNT},	/* 500 series, C250 */
	{0x1bc9, 0x1bc9, GEN_CNT},	/* C740 */
	{0x51a3, 0x51a3, GEN_CNT},	/* 600 series, P */
	{0x54a3, 0x54a3, GEN_CNT},	/* 600 series, M */
	{0x7aa3, 0x7aa3, GEN_CNT},	/* 600 series */
	{0x7a23, 0x7a23, GEN_CNT},	/* 700 series */
	{0x5796, 0x5796, GEN_CNT},	/* Birch Stream */
};

static uint32_t config(const struct tco_io *io, struct pci_addr at, uint32_t reg, uint32_t size)
{
	return io->pci->read(io->pci->arg, at, reg, size);
}

/* The row that has the function's ID, or NULL. */
static const struct ids *row_of(const struct tco_io *io, struct pci_addr at, const struct ids *rows,
				size_t nr_rows, uint16_t *device)
{
	*device = (uint16_t)config(io, at, PCI_REG_DEVICE, 2);
	if (config(io, at, PCI_REG_VENDOR, 2) != VENDOR_INTEL)
		return NULL;
	for (size_t i = 0; i < nr_rows; i++)
		if (*device >= rows[i].first && *device <= rows[i].last)
			return &rows[i];
	return NULL;
}

static enum hv_err find_by_lpc(const struct tco_io *io, struct tco *tco, const char **why)
{
	uint32_t pmbase = config(io, lpc_at, LPC_PMBASE, 4) & LPC_PMBASE_MASK;
	uint32_t rcba = config(io, lpc_at, LPC_RCBA, 4);

	*why = "firmware left its ports switched off";
	if (pmbase == 0 || !(config(io, lpc_at, LPC_ACPI_CNTL, 1) & LPC_ACPI_EN))
		return HV_ENOTSUP;
	*why = "firmware left RCBA switched off";
	if (!(rcba & LPC_RCBA_EN) || !(rcba & LPC_RCBA_MASK))
		return HV_ENOTSUP;
	tco->base = (uint16_t)(pmbase + PM_TCO);
	tco->no_reboot_hpa = (rcba & LPC_RCBA_MASK) + RCBA_GCS;
	tco->no_reboot_bit = GCS_NO_REBOOT;
	return HV_OK;
}

/* Where the sideband bridge's memory is, 0 for nowhere. It answers only while it does not hide. */
static uint64_t p2sb_base(const struct tco_io *io)
{
	bool is_hidden = config(io, p2sb_at, PCI_REG_VENDOR, 2) == 0xffff;
	uint32_t low, high;

	if (is_hidden)
		io->pci->write(io->pci->arg, p2sb_at, P2SB_HIDE, 1, 0);
	low = config(io, p2sb_at, P2SB_BAR, 4);
	high = config(io, p2sb_at, P2SB_BAR_HIGH, 4);
	if (is_hidden)
		io->pci->write(io->pci->arg, p2sb_at, P2SB_HIDE, 1, 1);
	if (low == UINT32_MAX)
		return 0;
	return (uint64_t)high << 32 | (low & P2SB_BAR_MASK);
}

static enum hv_err find_by_smbus(const struct tco_io *io, enum generation generation,
				 struct tco *tco, const char **why)
{
	uint32_t base = config(io, smbus_at, SMBUS_TCOBASE, 4) & SMBUS_TCOBASE_MASK;
	uint64_t p2sb;

	*why = "firmware left its ports switched off";
	if (base == 0 || !(config(io, smbus_at, SMBUS_TCOCTL, 4) & SMBUS_TCO_BASE_EN))
		return HV_ENOTSUP;
	tco->base = (uint16_t)base;
	tco->no_reboot_bit = TCO1_CNT_NO_REBOOT;
	if (generation == GEN_CNT)
		return HV_OK;
	*why = "the sideband bridge has no address";
	p2sb = p2sb_base(io);
	if (p2sb == 0)
		return HV_ENOTSUP;
	tco->no_reboot_hpa = p2sb + P2SB_SMBUS_CTRL;
	tco->no_reboot_bit = SMBUS_CTRL_NO_REBOOT;
	return HV_OK;
}

enum hv_err tco_find(const struct tco_io *io, struct tco *out, const char **why)
{
	struct tco tco = {.io = io};
	const struct ids *row = row_of(io, lpc_at, lpc_ids, ARRAY_SIZE(lpc_ids), &tco.device);
	enum hv_err err = HV_ENOENT;

	if (row) {
		err = find_by_lpc(io, &tco, why);
	} else {
		row = row_of(io, smbus_at, smbus_ids, ARRAY_SIZE(smbus_ids), &tco.device);
		if (row)
			err = find_by_smbus(io, row->generation, &tco, why);
	}
	if (row)
		*out = tco;
	return err;
}

/* ---- its registers ---- */

static uint16_t get(const struct tco *tco, uint16_t reg)
{
	return tco->io->in(tco->io->arg, (uint16_t)(tco->base + reg));
}

static void put(const struct tco *tco, uint16_t reg, uint16_t val)
{
	tco->io->out(tco->io->arg, (uint16_t)(tco->base + reg), val);
}

static void change(const struct tco *tco, uint16_t reg, uint16_t clear, uint16_t set)
{
	put(tco, reg, (uint16_t)((get(tco, reg) & ~clear) | set));
}

static uint32_t get_no_reboot(const struct tco *tco)
{
	uint32_t val = tco->no_reboot_hpa ? tco->io->read(tco->io->arg, tco->no_reboot_hpa)
					  : get(tco, TCO1_CNT);

	return val & tco->no_reboot_bit;
}

static void put_no_reboot(const struct tco *tco, uint32_t bit)
{
	if (tco->no_reboot_hpa) {
		uint32_t val = tco->io->read(tco->io->arg, tco->no_reboot_hpa);

		tco->io->write(tco->io->arg, tco->no_reboot_hpa, (val & ~tco->no_reboot_bit) | bit);
	} else {
		change(tco, TCO1_CNT, (uint16_t)tco->no_reboot_bit, (uint16_t)bit);
	}
}

/* Each time the count ends the timer begins anew; the second end resets. */
static uint16_t ticks_of(uint32_t timeout_s)
{
	uint32_t ticks = (timeout_s * 10 + TENTHS_OF_TWO_TICKS - 1) / TENTHS_OF_TWO_TICKS;

	return (uint16_t)MAX(TCO_TMR_LEAST, MIN(ticks, TCO_TMR_MASK));
}

enum hv_err tco_start(const struct tco *tco, uint32_t timeout_s)
{
	uint16_t ticks = ticks_of(timeout_s);
	enum hv_err err = HV_OK;

	ASSERT(timeout_s >= TCO_MIN_S && timeout_s <= TCO_MAX_S);
	change(tco, TCO1_CNT, 0, TCO1_CNT_HALT); /* so that it does not fire on the way */
	change(tco, TCO_TMR, TCO_TMR_MASK, ticks);
	put(tco, TCO1_STS, TCO1_STS_TIMEOUT);
	put_no_reboot(tco, 0);
	tco_kick(tco);
	change(tco, TCO1_CNT, TCO1_CNT_HALT, 0);
	if (get_no_reboot(tco))
		err = HV_ENOTSUP;
	else if ((get(tco, TCO_TMR) & TCO_TMR_MASK) != ticks ||
		 (get(tco, TCO1_CNT) & TCO1_CNT_HALT))
		err = HV_EIO;
	if (err != HV_OK)
		tco_stop(tco);
	return err;
}

void tco_kick(const struct tco *tco)
{
	put(tco, TCO_RLD, 1); /* whatever is written */
}

void tco_stop(const struct tco *tco)
{
	change(tco, TCO1_CNT, 0, TCO1_CNT_HALT);
	put_no_reboot(tco, tco->no_reboot_bit);
}

bool tco_has_fired(const struct tco *tco)
{
	uint16_t status = get(tco, TCO2_STS);

	if (status == 0xffff || !(status & TCO2_STS_SECOND))
		return false;
	put(tco, TCO2_STS, TCO2_STS_SECOND); /* first, says [ICH9] */
	put(tco, TCO2_STS, TCO2_STS_BOOT);
	return true;
}
