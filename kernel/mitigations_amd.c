/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD's flaws and what is done about them.
 *
 * Predictions. From Zen 4 on, Automatic IBRS keeps a guest's away from the kernel. Before, two
 * flaws stand in the way of telling them apart: with branch type confusion (up to Zen 2) any
 * instruction may be predicted to be a branch, and with SRSO (up to Zen 4) the return stack can be
 * made to lie. Against both, predictions are thrown away after every exit (IBPB), which closes
 * Spectre v2 as well. The cheaper way of others is to compile every RET of the kernel anew. A CPU
 * with neither flaw, or whose microcode does not make IBPB forget what kind a branch was, gets IBRS
 * from exit to entry. Zen 5 has a switch against SRSO.
 *
 * Threads of a core predict from the same tables, so STIBP is on for good, for guests too, which
 * cannot reach SPEC_CTRL; where the CPU can give a guest a SPEC_CTRL of its own, ours is or-ed to
 * it. Without STIBP one thread of each core stays off. Return predictions of a thread that has
 * halted reach the other: a guest's HLT comes out to us, and the return stack was filled anew by
 * then.
 *
 * Stale data: VERW before an entry, and before this CPU halts, where microcode made it clear what
 * TSA reads. A division before an entry takes away the quotient that Zen 1 leaves. Zen 2 has a
 * switch that stops it from leaking vector registers, whatever its microcode.
 *
 * Source: [APM] "Speculation Control", "Automatic IBRS"; [AMDSEC] by the flaw's name.
 */
#include "kernel/mitigations_rules.h"

/* [APM] CPUID 80000008h EBX, 80000021h EAX and ECX */
#define EXT8_IBPB	     BIT(12)
#define EXT8_IBRS	     BIT(14)
#define EXT8_STIBP	     BIT(15)
#define EXT8_BTC_NO	     BIT(29)
#define EXT8_IBPB_RET	     BIT(30) /* IBPB forgets return predictions, too */
#define EXT21_VERW_CLEAR     BIT(5)
#define EXT21_AUTOMATIC_IBRS BIT(8)
#define EXT21_IBPB_BRTYPE    BIT(28) /* IBPB forgets what kind a branch was, too */
#define EXT21_SRSO_NO	     BIT(29)
#define EXT21_SRSO_MSR_FIX   BIT(31)
#define EXT21_TSA_NO	     (BIT(1) | BIT(2)) /* TSA_SQ_NO, TSA_L1_NO */

#define SPEC_CTRL_STIBP BIT(1)

enum {
	FAMILY_BULLDOZER = 0x15, /* the oldest with branch type confusion */
	FAMILY_ZEN = 0x17,	 /* and Zen 2 */
	FAMILY_HYGON = 0x18,	 /* Zen under another name */
	FAMILY_ZEN3 = 0x19,	 /* and Zen 4 */
};

static bool is_zen2(const struct cpu_facts *facts)
{
	uint32_t model = mitigations_model(facts);

	return mitigations_family(facts) == FAMILY_ZEN && model >= 0x30 &&
	       !(model >= 0x50 && model <= 0x5f);
}

static bool is_zen1(const struct cpu_facts *facts)
{
	uint32_t family = mitigations_family(facts);

	return family == FAMILY_HYGON || (family == FAMILY_ZEN && !is_zen2(facts));
}

/* Up to Zen 2, IBPB always did; later it was taught by the microcode that brought SBPB. */
static bool ibpb_forgets_types(const struct cpu_facts *facts)
{
	return (facts->ext8_ebx & EXT8_IBPB) &&
	       (mitigations_family(facts) < FAMILY_ZEN3 || (facts->ext21_eax & EXT21_IBPB_BRTYPE) ||
		facts->takes_sbpb);
}

uint32_t mitigations_needed_on_amd(const struct cpu_facts *facts)
{
	uint32_t family = mitigations_family(facts), needed = BIT(SIDE_SPECTRE_V2);

	needed |= if_bit(family >= FAMILY_BULLDOZER && family < FAMILY_ZEN3 &&
				 !(facts->ext8_ebx & EXT8_BTC_NO),
			 SIDE_BTC);
	needed |= if_bit(family >= FAMILY_ZEN && !(facts->ext21_eax & EXT21_SRSO_NO), SIDE_SRSO);
	needed |= if_bit(family == FAMILY_ZEN3 && (facts->ext21_ecx & EXT21_TSA_NO) != EXT21_TSA_NO,
			 SIDE_TSA);
	needed |= if_bit(is_zen1(facts), SIDE_DIV0);
	needed |= if_bit(is_zen2(facts), SIDE_ZENBLEED);
	needed |= if_bit(facts->has_smt, SIDE_CROSS_THREAD);
	return needed;
}

/* IBPB after every exit, or the switch, as far as each is there. */
static void close_confusion(const struct cpu_facts *facts, struct mitigations *m)
{
	uint32_t by_ibpb = m->needed & (BIT(SIDE_BTC) | BIT(SIDE_SRSO));

	if (by_ibpb & BIT(SIDE_SRSO) && facts->ext21_eax & EXT21_SRSO_MSR_FIX) {
		m->measures |= BIT(MEASURE_BP_SPEC_REDUCE);
		m->closed |= BIT(SIDE_SRSO);
		by_ibpb &= ~(uint32_t)BIT(SIDE_SRSO);
	}
	if (by_ibpb && ibpb_forgets_types(facts)) {
		m->measures |= BIT(MEASURE_IBPB_ON_EXIT);
		m->closed |= by_ibpb;
	}
}

static void close_spectre_v2(const struct cpu_facts *facts, struct mitigations *m)
{
	bool is_auto = facts->ext21_eax & EXT21_AUTOMATIC_IBRS;
	bool is_barred = m->measures & BIT(MEASURE_IBPB_ON_EXIT);
	bool has_ibpb = facts->ext8_ebx & EXT8_IBPB, has_ibrs = facts->ext8_ebx & EXT8_IBRS;

	m->measures |= if_bit(is_auto, MEASURE_AUTO_IBRS);
	m->measures |= if_bit(has_ibpb && !is_barred, MEASURE_IBPB);
	if (has_ibrs && !is_auto && !is_barred) {
		m->measures |= BIT(MEASURE_IBRS);
		m->spec_ctrl |= SPEC_CTRL_IBRS;
	}
	m->closed |= if_bit(has_ibpb && (is_auto || is_barred || has_ibrs), SIDE_SPECTRE_V2);
	/* Automatic IBRS empties the return stack at an exit. */
	if (is_auto || (is_barred && (facts->ext8_ebx & EXT8_IBPB_RET)))
		return;
	m->measures |= BIT(MEASURE_RSB_FILL);
	m->rsb_rounds = RSB_ROUNDS_ALL;
}

static void close_stale_data(const struct cpu_facts *facts, struct mitigations *m)
{
	if ((m->needed & BIT(SIDE_TSA)) && (facts->ext21_eax & EXT21_VERW_CLEAR)) {
		m->measures |= BIT(MEASURE_VERW);
		m->closed |= BIT(SIDE_TSA);
	}
	if (m->needed & BIT(SIDE_DIV0)) {
		m->measures |= BIT(MEASURE_DIV_CLEAR);
		m->closed |= BIT(SIDE_DIV0);
	}
	if (m->needed & BIT(SIDE_ZENBLEED)) {
		m->measures |= BIT(MEASURE_FP_BACKUP_FIX);
		m->closed |= BIT(SIDE_ZENBLEED);
	}
}

static void close_threads(const struct cpu_facts *facts, enum smt_mode smt, struct mitigations *m)
{
	if (!facts->has_smt || smt == SMT_OFF || !(facts->ext8_ebx & EXT8_STIBP))
		return;
	m->measures |= BIT(MEASURE_STIBP);
	m->spec_ctrl |= SPEC_CTRL_STIBP;
	m->closed |= BIT(SIDE_CROSS_THREAD);
}

void mitigations_close_on_amd(const struct cpu_facts *facts, enum smt_mode smt,
			      struct mitigations *m)
{
	close_confusion(facts, m);
	close_spectre_v2(facts, m);
	close_stale_data(facts, m);
	close_threads(facts, smt, m);
}

void mitigations_force_on_amd(const struct cpu_facts *facts, struct mitigations *m)
{
	m->measures |= BIT(MEASURE_DIV_CLEAR);
	m->measures |= if_bit(facts->takes_pred_cmd, MEASURE_IBPB_ON_EXIT);
	if (facts->has_spec_ctrl) {
		m->measures |= BIT(MEASURE_IBRS);
		m->spec_ctrl |= SPEC_CTRL_IBRS;
	}
}
