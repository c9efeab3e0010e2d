/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model-specific registers that a guest has, as one table. What is not in it is #GP, which the
 * caller logs once per guest: performance counters, RAPL, VMX, SMM and debug stores among them.
 *
 * Speculation control (SPEC_CTRL, PRED_CMD, FLUSH_CMD, ARCH_CAPABILITIES) is not there yet, and the
 * CPUID bits that announce it are not shown: what cannot be passed through to hardware must not be
 * promised. Pure; any context.
 */
#ifndef VMM_MSR_H
#define VMM_MSR_H

#include "kernel/lib/types.h"

enum msr_kind {
	MSR_PASS_THROUGH, /* the guest reads and writes the CPU's own; the backend's bitmap lets it
			   */
	MSR_BACKEND,	  /* virt->msr_get and virt->msr_set keep it */
	MSR_LAPIC,	  /* lapic_msr_read and lapic_msr_write know it */
	MSR_TSC,	/* the guest's counter; a write vanishes, so that a VM's clocks stay one */
	MSR_TSC_ADJUST, /* reads 0; a write vanishes likewise */
	MSR_CONSTANT,	/* .reset is what it reads; a write is #GP */
	MSR_IGNORED,	/* .reset is what it reads; a write vanishes */
	MSR_STORED,	/* reads what was written */
	MSR_KINDS
};

/* What writes must look like beyond .valid. */
enum msr_check { MSR_CHECK_NONE, MSR_CHECK_MTRR_TYPES, MSR_CHECK_MTRR_TYPE };

struct msr_row {
	uint32_t index;
	uint32_t nr; /* of registers from index on: 1, but for the x2APIC's range */
	const char *name;
	enum msr_kind kind;
	uint8_t slot; /* of the store: STORED and TSC_ADJUST */
	enum msr_check check;
	uint64_t valid; /* bits that a write may set; others are #GP */
	uint64_t reset; /* value after RESET, or the constant */
};

/* Stored registers of a vCPU; the slots are counted in msr.c. */
#define MSR_STORE_MAX 64

/* msr_find - the row that covers index; NULL: #GP */
const struct msr_row *msr_find(uint32_t index);

/* All rows, in order of index: for the backend's bitmap. */
size_t msr_nr_rows(void);
const struct msr_row *msr_row_at(size_t i);

/* msr_may_write - whether val is one that the register takes; false: #GP. Not for LAPIC rows. */
bool msr_may_write(const struct msr_row *row, uint64_t val);

/* The store: MSR_STORE_MAX words of a vCPU. */
void msr_store_reset(uint64_t *store);

/* For CONSTANT, IGNORED, STORED and TSC_ADJUST rows; false: #GP */
uint64_t msr_store_read(const uint64_t *store, const struct msr_row *row);
MUST_CHECK bool msr_store_write(uint64_t *store, const struct msr_row *row, uint64_t val);

#define MSR_IA32_TSC	    0x10u
#define MSR_IA32_TSC_ADJUST 0x3bu
#define MSR_IA32_PAT	    0x277u
#define MSR_IA32_EFER	    0xc0000080u

#endif
