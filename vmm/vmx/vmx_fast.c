/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exits that matter for speed, straight from the VMCS: which they are, and moving RIP on. What
 * they do is vmm/exit_fast.h. None of them comes in the middle of delivering an event, so there is
 * nothing to deliver anew.
 */
#include "vmm/exit_fast.h"
#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx.h"
#include "vmm/vmx/vmx_hw.h"

/* As vmx_skip(), with the rare cases out of the way: outside 64-bit mode EIP wraps at 4 GiB. */
static inline void skip(void)
{
	uint64_t rip = vmread(VMCS_GUEST_RIP), next = rip + vmread(VMCS_EXIT_INSN_LEN);
	uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	if (__builtin_expect((rip ^ next) >> 32 != 0, 0) &&
	    !(vmread(VMCS_GUEST_CS_ACCESS) & BIT(13)))
		next = (uint32_t)next;
	vmwrite(VMCS_GUEST_RIP, next);
	if (__builtin_expect(blocking & (BLOCKING_STI | BLOCKING_MOV_SS), 0))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			blocking & ~(uint64_t)(BLOCKING_STI | BLOCKING_MOV_SS));
}

/* Not inlined, so that each kind saves only the registers that it needs itself. */
#define FAST_EXIT static __attribute__((noinline)) enum vmx_fast

FAST_EXIT fast_cpuid(struct vcpu *vcpu)
{
	if (!exit_fast_cpuid(vcpu))
		return VMX_FAST_NOT;
	skip();
	return VMX_FAST_AGAIN;
}

FAST_EXIT fast_rdmsr(struct vcpu *vcpu)
{
	if (!exit_fast_rdmsr(vcpu))
		return VMX_FAST_NOT;
	skip();
	return VMX_FAST_AGAIN;
}

FAST_EXIT fast_wrmsr(struct vcpu *vcpu)
{
	if (!exit_fast_wrmsr(vcpu))
		return VMX_FAST_NOT;
	skip();
	return VMX_FAST_AGAIN;
}

static inline enum vmx_fast quiet_or_done(const struct vcpu *vcpu)
{
	skip();
	return exit_fast_is_quiet(vcpu) ? VMX_FAST_AGAIN : VMX_FAST_DONE;
}

FAST_EXIT fast_doorbell(struct vcpu *vcpu, uint64_t qual)
{
	exit_fast_doorbell(vcpu, (uint16_t)FIELD_GET(IOQ_PORT, qual));
	return quiet_or_done(vcpu);
}

FAST_EXIT fast_port(struct vcpu *vcpu, uint64_t qual)
{
	exit_fast_io(vcpu, (uint16_t)FIELD_GET(IOQ_PORT, qual),
		     (uint8_t)(FIELD_GET(IOQ_SIZE, qual) + 1), qual & IOQ_IN);
	return quiet_or_done(vcpu);
}

static inline enum vmx_fast fast_io(struct vcpu *vcpu)
{
	uint64_t qual = vmread(VMCS_EXIT_QUALIFICATION);

	if (qual & IOQ_STRING)
		return VMX_FAST_NOT;
	if (!(qual & IOQ_IN) && exit_fast_is_doorbell((uint16_t)FIELD_GET(IOQ_PORT, qual)))
		return fast_doorbell(vcpu, qual);
	return fast_port(vcpu, qual);
}

/* Trap-like: the value is in the page and RIP behind the instruction already. */
FAST_EXIT fast_apic_write(struct vcpu *vcpu)
{
	lapic_apic_write(vcpu->lapic, vmread(VMCS_EXIT_QUALIFICATION) & APICQ_OFFSET);
	vcpu->exits[EXIT_APIC_WRITE]++;
	return exit_fast_is_quiet(vcpu) && (virt_caps.has_apicv || lapic_pending(vcpu->lapic) < 0)
		       ? VMX_FAST_AGAIN
		       : VMX_FAST_DONE;
}

enum vmx_fast vmx_exit_fast(struct vcpu *vcpu)
{
	uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);

	/* A guest that single-steps gets its #DB from vmx_skip(). */
	if (__builtin_expect(vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF, 0))
		return VMX_FAST_NOT;
	if (reason == REASON_CPUID)
		return fast_cpuid(vcpu);
	if (reason == REASON_WRMSR)
		return fast_wrmsr(vcpu);
	if (reason == REASON_IO)
		return fast_io(vcpu);
	if (reason == REASON_APIC_WRITE)
		return fast_apic_write(vcpu);
	if (reason == REASON_RDMSR)
		return fast_rdmsr(vcpu);
	return VMX_FAST_NOT;
}
