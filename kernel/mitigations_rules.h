/* SPDX-License-Identifier: Apache-2.0 */
/* Between mitigations.c and the rules of one vendor that stand in a file of their own. Pure. */
#ifndef KERNEL_MITIGATIONS_RULES_H
#define KERNEL_MITIGATIONS_RULES_H

#include "kernel/mitigations.h"

#define SPEC_CTRL_IBRS BIT(0) /* [SDM] "IA32_SPEC_CTRL" */
#define RSB_ROUNDS_ALL 16     /* two entries each: 32, the most that a CPU has */

static inline uint32_t if_bit(bool condition, unsigned bit)
{
	return condition ? (uint32_t)BIT(bit) : 0;
}

uint32_t mitigations_family(const struct cpu_facts *facts);
uint32_t mitigations_model(const struct cpu_facts *facts);

/* mitigations_needed_on_amd - a bit (1 << enum side_channel) for each that this CPU may have */
uint32_t mitigations_needed_on_amd(const struct cpu_facts *facts);

/* mitigations_close_on_amd - what is to be done, into m, whose .needed is filled; all but SMT_OFF
 */
void mitigations_close_on_amd(const struct cpu_facts *facts, enum smt_mode smt,
			      struct mitigations *m);

/* mitigations_force_on_amd - add what runs here although it is not needed */
void mitigations_force_on_amd(const struct cpu_facts *facts, struct mitigations *m);

#endif
