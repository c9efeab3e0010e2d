/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PHY of LAN built into chipsets. Its registers are used between pch_phy_take() and
 * pch_phy_give(), each access until a time of time_now_ns(), after which it has failed.
 */
#ifndef DRIVERS_E1000E_PCH_PHY_H
#define DRIVERS_E1000E_PCH_PHY_H

#include "drivers/e1000e_pch.h"
#include "drivers/intel_nic.h"

static inline const struct pch_part *pch_part(const struct intel_nic *card)
{
	return pch_part_of(card->dev->device);
}

static inline void pch_change(struct intel_nic *card, uint32_t reg, uint64_t clear, uint64_t set)
{
	intel_write(card, reg, (intel_read(card, reg) & ~clear) | set);
}

/*
 * pch_phy_wake - a PHY that listens, whatever firmware did to it; at boot, before the first reset
 *
 * Errors:  HV_EBUSY - firmware does not let go of it; HV_EIO - it does not answer.
 */
MUST_CHECK enum hv_err pch_phy_wake(struct intel_nic *card);

/* pch_may_reset_phy - no: firmware uses it now */
bool pch_may_reset_phy(struct intel_nic *card);

/* False: firmware has it. */
MUST_CHECK bool pch_phy_take(struct intel_nic *card, uint64_t until_ns);
void pch_phy_give(struct intel_nic *card);

/* False: it has not answered. */
bool pch_phy_read(struct intel_nic *card, uint32_t phy_reg, uint16_t *val, uint64_t until_ns);
bool pch_phy_write(struct intel_nic *card, uint32_t phy_reg, uint16_t val, uint64_t until_ns);
bool pch_phy_change(struct intel_nic *card, uint32_t phy_reg, struct pch_bits bits,
		    uint64_t until_ns);

#endif
