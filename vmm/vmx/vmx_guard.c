/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures against side channels at entry and exit, as far as they are C: which variant of
 * vmx_enter.S this CPU gets, and when its L1 data cache is flushed.
 *
 * Flushing is dear and needed only when something that the guest must not see may have come into
 * the cache. Most exits touch the vCPU's own state, its own VM's devices and the kernel's code;
 * those that may go further are all others: interrupts, device memory, doorbells, behind which
 * packets go to other guests. What the run loop does between two picks counts as going further
 * (vmm/run.c).
 */
#include "kernel/lib/assert.h"
#include "kernel/mitigations.h"
#include "vmm/exit_fast.h"
#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx.h"
#include "vmm/vmx/vmx_hw.h"

struct vmx_entry vmx_entry;

#define CONFINED_REASONS                                                                           \
	(BIT(REASON_INTERRUPT_WINDOW) | BIT(REASON_NMI_WINDOW) | BIT(REASON_CPUID) |               \
	 BIT(REASON_VMCALL) | BIT(REASON_CR_ACCESS) | BIT(REASON_RDMSR) | BIT(REASON_WRMSR) |      \
	 BIT(REASON_PAUSE) | BIT(REASON_TPR_BELOW_THRESHOLD) | BIT(REASON_APIC_ACCESS) |           \
	 BIT(REASON_VIRTUALIZED_EOI) | BIT(REASON_PREEMPTION_TIMER) | BIT(REASON_WBINVD) |         \
	 BIT(REASON_XSETBV) | BIT(REASON_APIC_WRITE))

/* Whether the last exit's handling stays with its own VM. */
static bool is_confined(void)
{
	uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);

	if (reason == REASON_IO)
		return !exit_fast_is_doorbell(
			(uint16_t)FIELD_GET(IOQ_PORT, vmread(VMCS_EXIT_QUALIFICATION)));
	return reason < 64 && (CONFINED_REASONS >> reason & 1);
}

static uint64_t flush_and_enter(struct vcpu *vcpu, bool is_launched)
{
	uint64_t how;

	mitigations_flush_l1d();
	how = vmx_enter_guarded(vcpu, is_launched);
	if (!is_confined())
		mitigations_touch_l1d();
	return how;
}

enum vmx_fast vmx_exit_fast_guarded(struct vcpu *vcpu)
{
	enum vmx_fast what = vmx_exit_fast(vcpu);

	if (what == VMX_FAST_AGAIN && (mitigations.measures & MEASURES_L1D) && !is_confined())
		return VMX_FAST_DONE; /* the next entry is to come through flush_and_enter() */
	return what;
}

void vmx_choose_entry(void)
{
	if (!(mitigations.measures & MEASURES_AT_ENTRY))
		vmx_entry = (struct vmx_entry){vmx_enter_plain, vmx_exit_plain};
	else if (mitigations.measures & MEASURES_L1D)
		vmx_entry = (struct vmx_entry){flush_and_enter, vmx_exit_guarded};
	else
		vmx_entry = (struct vmx_entry){vmx_enter_guarded, vmx_exit_guarded};
}
