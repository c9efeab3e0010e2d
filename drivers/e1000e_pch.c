/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts, the PHY's registers, and what a link of each speed wants.
 *
 * What a link wants is in no datasheet: it is what [e1000e] does on these parts. The
 * clock of the PHY's PLL is gated later at 10 and 100 Mb/s; at 1 Gb/s the PHY asks for its clock in
 * K1, the power state of the wires between MAC and PHY. I219 has besides a least distance of its
 * FIFO's pointers.
 */
#include "drivers/e1000e_pch.h"

#define MDIC_DATA  0x0000ffffull
#define MDIC_REG   0x001f0000ull
#define MDIC_PHY   0x03e00000ull
#define MDIC_WRITE BIT(26)
#define MDIC_READ  BIT(27)
#define MDIC_READY BIT(28)
#define MDIC_ERROR BIT(30)

#define PHY_PAGED     1u  /* its addresses: of registers in pages, ... */
#define PHY_IEEE      2u  /* ... and of IEEE's */
#define PHY_PAGE      31u /* register: selects the page, in the bits above 4 */
#define FIRST_PAGE    768u
#define PAGE_OF(reg)  ((reg) >> 5)
#define INDEX_OF(reg) ((reg) & 0x1fu)

#define PLL_GATE      0x07ffu
#define PLL_GATE_SLOW 0x03e8u
#define PLL_GATE_GIG  0x00fau
#define POWER_K1_CLK  0x0200u
#define GAP	      0x0ffcull
#define GAP_MIN	      0x18u
#define GAP_SLOW      0xc023u
#define IPG_USUAL     8u
#define IPG_SPT_SLOW  12u

const struct pch_part *pch_part_of(uint16_t device)
{
	static const struct pch_part parts[] = {
		{0x153a, PCH_LPT, .has_ulp = false, .has_k1_hang = false}, /* I217-LM */
		{0x153b, PCH_LPT, .has_ulp = false, .has_k1_hang = false}, /* I217-V */
		{0x155a, PCH_LPT, .has_ulp = true, .has_k1_hang = true},   /* I218-LM */
		{0x1559, PCH_LPT, .has_ulp = true, .has_k1_hang = true},   /* I218-V */
		{0x15a0, PCH_LPT, .has_ulp = false, .has_k1_hang = false}, /* I218-LM (2) */
		{0x15a1, PCH_LPT, .has_ulp = false, .has_k1_hang = false}, /* I218-V (2) */
		{0x15a2, PCH_LPT, .has_ulp = true, .has_k1_hang = true},   /* I218-LM (3) */
		{0x15a3, PCH_LPT, .has_ulp = true, .has_k1_hang = true},   /* I218-V (3) */
		{0x156f, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-LM */
		{0x1570, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-V */
		{0x15b7, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-LM (2) */
		{0x15b8, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-V (2) */
		{0x15b9, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-LM (3) */
		{0x15d7, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-LM (4) */
		{0x15d8, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-V (4) */
		{0x15e3, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-LM (5) */
		{0x15d6, PCH_SPT, .has_ulp = true, .has_k1_hang = false},  /* I219-V (5) */
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].device == device)
			return &parts[i];
	return NULL;
}

/* ---- the PHY's registers ---- */

static uint32_t command(uint32_t phy, uint32_t reg, uint64_t what)
{
	return (uint32_t)(what | FIELD_PREP(MDIC_PHY, phy) | FIELD_PREP(MDIC_REG, reg));
}

static uint32_t address_of(uint32_t phy_reg)
{
	return PAGE_OF(phy_reg) >= FIRST_PAGE ? PHY_PAGED : PHY_IEEE;
}

uint32_t pch_mdic_select(uint32_t phy_reg)
{
	if (PAGE_OF(phy_reg) < FIRST_PAGE)
		return 0;
	return command(PHY_PAGED, PHY_PAGE, MDIC_WRITE | (uint16_t)(PAGE_OF(phy_reg) << 5));
}

uint32_t pch_mdic_read(uint32_t phy_reg)
{
	return command(address_of(phy_reg), INDEX_OF(phy_reg), MDIC_READ);
}

uint32_t pch_mdic_write(uint32_t phy_reg, uint16_t val)
{
	return command(address_of(phy_reg), INDEX_OF(phy_reg), MDIC_WRITE | val);
}

enum pch_mdic pch_mdic_look(uint32_t cmd, uint32_t word, uint16_t *val)
{
	if (!(word & MDIC_READY))
		return PCH_MDIC_BUSY;
	if ((word & MDIC_ERROR) || FIELD_GET(MDIC_REG, word) != FIELD_GET(MDIC_REG, cmd))
		return PCH_MDIC_BAD;
	*val = (uint16_t)FIELD_GET(MDIC_DATA, word);
	return PCH_MDIC_DONE;
}

/* ---- what a link wants ---- */

static struct pch_bits gap_of(uint32_t speed_mbps, uint16_t now)
{
	if (speed_mbps < 1000)
		return (struct pch_bits){0xffff, GAP_SLOW};
	if (FIELD_GET(GAP, now) < GAP_MIN)
		return (struct pch_bits){GAP, (uint16_t)FIELD_PREP(GAP, GAP_MIN)};
	return (struct pch_bits){0};
}

void pch_tune(const struct pch_part *part, uint32_t speed_mbps, uint16_t pointer_gap,
	      struct pch_tuning *out)
{
	bool is_gig = speed_mbps == 1000, is_spt = part->mac == PCH_SPT;

	*out = (struct pch_tuning){
		.pll_gate = {PLL_GATE, is_gig ? PLL_GATE_GIG : PLL_GATE_SLOW},
		.ipg = is_spt && !is_gig ? IPG_SPT_SLOW : IPG_USUAL,
		.has_k1_switch = part->has_k1_hang,
		.keep_clock = part->has_k1_hang && is_gig,
	};
	if (is_gig)
		out->power = (struct pch_bits){POWER_K1_CLK, POWER_K1_CLK};
	if (is_spt)
		out->pointer_gap = gap_of(speed_mbps, pointer_gap);
}
