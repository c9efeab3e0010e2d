/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each row of the MSR table says who keeps the register; this asks whoever that is.
 *
 * The TSC has one offset for all vCPUs of a VM, and none of them can change it: a write vanishes,
 * so that the clocks of a VM stay one.
 */
#include "vmm/exit_msr.h"

#include "kernel/log.h"
#include "vmm/dev/lapic.h"
#include "vmm/msr.h"
#include "vmm/vcpu.h"

#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define CR0_PG_BIT BIT(31)

static bool refuse(struct vcpu *vcpu, const char *what, uint32_t index)
{
	vm_log(vcpu->vm, LOG_DBG, "msr", "%s of %x: #GP", what, index);
	return false;
}

bool exit_msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *val)
{
	const struct msr_row *row = msr_find(index);

	if (!row)
		return refuse(vcpu, "read", index);
	switch (row->kind) {
	case MSR_PASS_THROUGH: /* exits only where the bitmap does not reach */
	case MSR_BACKEND:
		return virt->msr_get(vcpu, index, val);
	case MSR_LAPIC:
		return lapic_msr_read(vcpu->lapic, index, val);
	case MSR_TSC:
		*val = vcpu_guest_tsc(vcpu);
		return true;
	default:
		*val = msr_store_read(vcpu->msr_store, row);
		return true;
	}
}

/* LMA is the CPU's; LME cannot change while paging is on. */
static bool write_efer(struct vcpu *vcpu, const struct msr_row *row, uint64_t val)
{
	uint64_t old;

	if (!virt->msr_get(vcpu, row->index, &old))
		return false;
	if ((virt->reg_get(vcpu, REG_CR0) & CR0_PG_BIT) && ((old ^ val) & EFER_LME))
		return false;
	return virt->msr_set(vcpu, row->index, (val & ~EFER_LMA) | (old & EFER_LMA));
}

static bool write_lapic(struct vcpu *vcpu, uint32_t index, uint64_t val)
{
	if (!lapic_msr_write(vcpu->lapic, index, val))
		return false;
	if (index == LAPIC_MSR_BASE)
		vcpu_apic_mode_changed(vcpu);
	return true;
}

bool exit_msr_write(struct vcpu *vcpu, uint32_t index, uint64_t val)
{
	const struct msr_row *row = msr_find(index);

	if (!row)
		return refuse(vcpu, "write", index);
	if (row->kind == MSR_LAPIC)
		return write_lapic(vcpu, index, val);
	if (!msr_may_write(row, val))
		return refuse(vcpu, "write", index);
	switch (row->kind) {
	case MSR_PASS_THROUGH:
	case MSR_BACKEND:
		return index == MSR_IA32_EFER ? write_efer(vcpu, row, val)
					      : virt->msr_set(vcpu, index, val);
	case MSR_TSC:
	case MSR_TSC_ADJUST:
		return true;
	default:
		return msr_store_write(vcpu->msr_store, row, val);
	}
}
