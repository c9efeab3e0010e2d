/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's LAN that is built into chipsets (PCH) since 2013: which parts there are and what each of
 * them wants, and how a register of its PHY is named to the MAC. Pure.
 *
 * The MAC is in the chipset, with the registers of an 82574 and some more; the PHY is a chip of its
 * own, whose name is the part's: I217, I218, I219. Registers 0 to 15 of the PHY are IEEE's, at its
 * address 2; the others are in pages, at address 1, where register 31 selects the page.
 *
 * Source: [ICH8] on MDIC, [e1000e] for the rest.
 */
#ifndef DRIVERS_E1000E_PCH_H
#define DRIVERS_E1000E_PCH_H

#include "kernel/lib/types.h"

enum pch_mac { PCH_LPT, PCH_SPT }; /* Lynx Point, with I217 and I218; Sunrise Point, with I219 */

struct pch_part {
	uint16_t device;
	enum pch_mac mac;
	bool has_ulp;	  /* ultra low power: firmware may have left the PHY in it */
	bool has_k1_hang; /* its DMA stops at 1 Gb/s when the clock goes with K1 */
};

/* pch_part_of - NULL: no part that is known here */
const struct pch_part *pch_part_of(uint16_t device);

#define PCH_PHY(page, reg) ((uint32_t)(page) << 5 | (uint32_t)(reg))

/* [802.3] "Management functions" */
#define PCH_PHY_CONTROL	    PCH_PHY(0, 0)
#define PCH_PHY_ID1	    PCH_PHY(0, 2)
#define PCH_PHY_ID2	    PCH_PHY(0, 3)
/* [e1000e] */
#define PCH_PHY_PORT_CONFIG PCH_PHY(769, 17)
#define PCH_PHY_SMBUS	    PCH_PHY(769, 23)
#define PCH_PHY_POWER	    PCH_PHY(770, 17)
#define PCH_PHY_PLL_GATE    PCH_PHY(772, 28)
#define PCH_PHY_POINTER_GAP PCH_PHY(776, 20)
#define PCH_PHY_ULP	    PCH_PHY(779, 16)

/* pch_mdic_select - the command before one for this register; 0: none is needed */
uint32_t pch_mdic_select(uint32_t phy_reg);
uint32_t pch_mdic_read(uint32_t phy_reg);
uint32_t pch_mdic_write(uint32_t phy_reg, uint16_t val);

enum pch_mdic { PCH_MDIC_BUSY, PCH_MDIC_DONE, PCH_MDIC_BAD };

/*
 * pch_mdic_look - what has become of a command
 *
 * word     as MDIC reads now
 * returns  BAD: the PHY does not answer, or the answer is another register's. DONE: *val is what
 *          was read or written.
 */
enum pch_mdic pch_mdic_look(uint32_t command, uint32_t word, uint16_t *val);

/* What a part wants at a link of a speed; a mask of 0 leaves a register alone. */
struct pch_bits {
	uint16_t mask, val;
};

struct pch_tuning {
	struct pch_bits pll_gate, power, pointer_gap;
	uint8_t ipg;	    /* TIPG.IPGT */
	bool keep_clock;    /* FEXTNVM6: the clock stays on in K1 */
	bool has_k1_switch; /* keep_clock is to be set, or cleared, at all */
};

/* pointer_gap  what that register has now, used at 1 Gb/s */
void pch_tune(const struct pch_part *part, uint32_t speed_mbps, uint16_t pointer_gap,
	      struct pch_tuning *out);

#endif
