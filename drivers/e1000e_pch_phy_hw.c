/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PHY of LAN built into chipsets, which its MAC shares with the management engine (ME): the
 * semaphore, registers, and waking it at boot.
 *
 *     semaphore    EXTCNF_CTRL.SWFLAG; ME has the PHY when it does not stay set
 *     ULP          ultra low power, in which firmware may have left the PHY: ME ends it when there
 *                  is one, we do otherwise
 *
 * Source: [ICH8] on EXTCNF_CTRL, FWSM and MDIC; [e1000e] for all that no datasheet tells.
 */
#include "drivers/e1000e_pch_phy.h"

#include "kernel/log.h"

#define REG_MDIC	0x0020u
#define REG_FEXTNVM3	0x003cu
#define REG_FEXTNVM7	0x00e4u
#define REG_EXTCNF_CTRL 0x0f00u
#define REG_H2ME	0x5b50u
#define REG_FWSM	0x5b54u

#define CTRL_LANPHYPC_OVERRIDE BIT(16) /* the PHY's power switch is ours ... */
#define CTRL_LANPHYPC_VALUE    BIT(17) /* ... and on */
#define CTRL_EXT_LPCD	       BIT(2)  /* the PHY has been switched off and on */
#define CTRL_EXT_FORCE_SMBUS   BIT(11)
#define EXTCNF_SWFLAG	       BIT(5)
#define FWSM_RSPCIPHY	       BIT(6) /* the PHY may be reset */
#define FWSM_ULP_CFG_DONE      BIT(10)
#define FWSM_FW_VALID	       BIT(15)
#define H2ME_ULP	       BIT(11)
#define H2ME_ENFORCE	       BIT(12)

#define FEXTNVM3_COUNTER       0x0c000000ull
#define FEXTNVM3_COUNTER_50_MS 2u
#define FEXTNVM7_SMB_PERST     BIT(5)

#define SMBUS_FORCED 0x0001u
#define POWER_K1     0x4000u
#define ULP_START    0x0001u
#define ULP_ALL	     0x1d74u /* indication, sticky, in-band, wake, SMBus, ... */
#define PHY_ID_NONE  0xffffu

#define POLL_NS	   (10 * NSEC_PER_USEC)
#define BOOT_NS	   (200 * NSEC_PER_MSEC)
#define ULP_ME_NS  (2500 * NSEC_PER_MSEC)
#define SETTLES_NS (50 * NSEC_PER_MSEC)
#define LPCD_NS	   (100 * NSEC_PER_MSEC)

/* Whether the bits have become what they should be before the time is over. */
static bool wait_bits(struct intel_nic *card, uint32_t reg, uint64_t mask, uint64_t val,
		      uint64_t until_ns)
{
	while ((intel_read(card, reg) & mask) != val) {
		if (time_now_ns() >= until_ns)
			return false;
		time_busy_wait_ns(POLL_NS);
	}
	return true;
}

static bool has_me(struct intel_nic *card)
{
	return intel_read(card, REG_FWSM) & FWSM_FW_VALID;
}

bool pch_may_reset_phy(struct intel_nic *card)
{
	return intel_read(card, REG_FWSM) & FWSM_RSPCIPHY;
}

/* ---- semaphore and registers ---- */

bool pch_phy_take(struct intel_nic *card, uint64_t until_ns)
{
	if (!wait_bits(card, REG_EXTCNF_CTRL, EXTCNF_SWFLAG, 0, until_ns))
		return false;
	pch_change(card, REG_EXTCNF_CTRL, 0, EXTCNF_SWFLAG);
	if (wait_bits(card, REG_EXTCNF_CTRL, EXTCNF_SWFLAG, EXTCNF_SWFLAG, until_ns))
		return true;
	pch_change(card, REG_EXTCNF_CTRL, EXTCNF_SWFLAG, 0);
	return false;
}

void pch_phy_give(struct intel_nic *card)
{
	pch_change(card, REG_EXTCNF_CTRL, EXTCNF_SWFLAG, 0);
}

static bool phy_command(struct intel_nic *card, uint32_t command, uint16_t *val, uint64_t until_ns)
{
	enum pch_mdic result;

	intel_write(card, REG_MDIC, command);
	do {
		time_busy_wait_ns(POLL_NS);
		result = pch_mdic_look(command, intel_read(card, REG_MDIC), val);
	} while (result == PCH_MDIC_BUSY && time_now_ns() < until_ns);
	return result == PCH_MDIC_DONE;
}

static bool phy_select(struct intel_nic *card, uint32_t phy_reg, uint64_t until_ns)
{
	uint32_t command = pch_mdic_select(phy_reg);
	uint16_t ignored;

	return !command || phy_command(card, command, &ignored, until_ns);
}

bool pch_phy_read(struct intel_nic *card, uint32_t phy_reg, uint16_t *val, uint64_t until_ns)
{
	return phy_select(card, phy_reg, until_ns) &&
	       phy_command(card, pch_mdic_read(phy_reg), val, until_ns);
}

bool pch_phy_write(struct intel_nic *card, uint32_t phy_reg, uint16_t val, uint64_t until_ns)
{
	return phy_select(card, phy_reg, until_ns) &&
	       phy_command(card, pch_mdic_write(phy_reg, val), &val, until_ns);
}

bool pch_phy_change(struct intel_nic *card, uint32_t phy_reg, struct pch_bits bits,
		    uint64_t until_ns)
{
	uint16_t val;

	if (!bits.mask)
		return true;
	if (!pch_phy_read(card, phy_reg, &val, until_ns))
		return false;
	return pch_phy_write(card, phy_reg, (uint16_t)((val & ~bits.mask) | bits.val), until_ns);
}

/* ---- before the first reset, at boot ---- */

static bool does_phy_answer(struct intel_nic *card)
{
	uint64_t until_ns = time_now_ns() + BOOT_NS;
	uint16_t id = PHY_ID_NONE;

	return pch_phy_read(card, PCH_PHY_ID1, &id, until_ns) && id != PHY_ID_NONE && id != 0;
}

static void power_cycle_phy(struct intel_nic *card)
{
	pch_change(card, REG_FEXTNVM3, FEXTNVM3_COUNTER,
		   FIELD_PREP(FEXTNVM3_COUNTER, FEXTNVM3_COUNTER_50_MS));
	pch_change(card, REG_CTRL, CTRL_LANPHYPC_VALUE, CTRL_LANPHYPC_OVERRIDE);
	(void)intel_read(card, REG_STATUS); /* the write has arrived */
	time_busy_wait_ns(POLL_NS);
	pch_change(card, REG_CTRL, CTRL_LANPHYPC_OVERRIDE, 0);
	(void)wait_bits(card, REG_CTRL_EXT, CTRL_EXT_LPCD, CTRL_EXT_LPCD, time_now_ns() + LPCD_NS);
	time_busy_wait_ns(SETTLES_NS);
}

static enum hv_err end_ulp_by_me(struct intel_nic *card)
{
	bool is_done;

	pch_change(card, REG_H2ME, H2ME_ULP, H2ME_ENFORCE);
	is_done = wait_bits(card, REG_FWSM, FWSM_ULP_CFG_DONE, 0, time_now_ns() + ULP_ME_NS);
	pch_change(card, REG_H2ME, H2ME_ENFORCE, 0);
	return is_done ? HV_OK : HV_EIO;
}

/* With the semaphore. The wires to the PHY may be in SMBus mode, in which a MAC in the other fails.
 */
static bool end_ulp_ourselves(struct intel_nic *card)
{
	uint64_t until_ns;
	bool is_done;

	power_cycle_phy(card);
	if (!does_phy_answer(card)) {
		pch_change(card, REG_CTRL_EXT, 0, CTRL_EXT_FORCE_SMBUS);
		time_busy_wait_ns(SETTLES_NS);
	}
	until_ns = time_now_ns() + BOOT_NS;
	is_done = pch_phy_change(card, PCH_PHY_SMBUS, (struct pch_bits){SMBUS_FORCED, 0}, until_ns);
	pch_change(card, REG_CTRL_EXT, CTRL_EXT_FORCE_SMBUS, 0);
	is_done = is_done &&
		  pch_phy_change(card, PCH_PHY_POWER, (struct pch_bits){POWER_K1, POWER_K1},
				 until_ns) &&
		  pch_phy_change(card, PCH_PHY_ULP, (struct pch_bits){ULP_ALL, 0}, until_ns) &&
		  pch_phy_change(card, PCH_PHY_ULP, (struct pch_bits){ULP_START, ULP_START},
				 until_ns);
	pch_change(card, REG_FEXTNVM7, FEXTNVM7_SMB_PERST, 0);
	return is_done;
}

/* With the semaphore: the reset that follows finds a PHY that listens. */
static bool wake_phy(struct intel_nic *card)
{
	if (pch_part(card)->has_ulp && !has_me(card))
		return end_ulp_ourselves(card);
	if (does_phy_answer(card))
		return true;
	if (!pch_may_reset_phy(card))
		return false;
	power_cycle_phy(card);
	return does_phy_answer(card);
}

enum hv_err pch_phy_wake(struct intel_nic *card)
{
	bool is_awake;

	if (pch_part(card)->has_ulp && has_me(card) && end_ulp_by_me(card) != HV_OK)
		log_warn("e1000e", "%s: firmware does not wake the PHY", card->nic.location);
	if (!pch_phy_take(card, time_now_ns() + BOOT_NS))
		return HV_EBUSY;
	is_awake = wake_phy(card);
	pch_phy_give(card);
	if (!is_awake)
		log_warn("e1000e", "%s: its PHY does not answer", card->nic.location);
	return is_awake ? HV_OK : HV_EIO;
}
