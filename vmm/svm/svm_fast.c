/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every exit comes here first, and those that matter for speed go no further: which they are, and
 * moving RIP on. What they do is vmm/exit_fast.h. None of them comes in the middle of delivering an
 * event, so there is nothing to deliver anew.
 */
#include "vmm/exit_fast.h"
#include "vmm/svm/svm.h"
#include "vmm/svm/svm_asm.h"

/* The VMCB is as the CPU left it: nothing to flush, nothing to inject. RAX comes to the others. */
static inline void leave(struct vcpu *vcpu, struct vmcb *vmcb)
{
	uint8_t cr8 = vmcb->control.vintr & VINTR_V_TPR;

	vmcb->control.clean = CLEAN_ALL;
	vmcb->control.tlb_control = TLB_CONTROL_NOTHING;
	vmcb->control.event_inj = 0;
	vcpu->gpr[REG_RAX] = vmcb->save.rax;
	if (__builtin_expect(cr8 != lapic_get_cr8(vcpu->lapic), 0))
		lapic_set_cr8(vcpu->lapic, cr8);
}

static inline void move_on(const struct vcpu *vcpu, struct vmcb *vmcb, uint64_t next_rip)
{
	vmcb->save.rip = next_rip;
	vmcb->save.rax = vcpu->gpr[REG_RAX];
	vmcb->control.interrupt_shadow &= ~INTERRUPT_SHADOW;
}

/* Without next-RIP save the instruction is read, which costs more than what it does. */
static inline bool find_next(struct vcpu *vcpu, const struct vmcb *vmcb, uint64_t *next_rip)
{
	struct svm_insn insn;
	enum insn_mode mode;

	if (__builtin_expect(svm_ctl.has_nrip_save, 1)) {
		*next_rip = vmcb->control.n_rip;
		return true;
	}
	if (!svm_fetch_insn(vcpu, vmcb->control.exit_code, &insn, &mode))
		return false;
	*next_rip = vmcb->save.rip + insn.len;
	return mode == INSN_MODE_64 || *next_rip >> 32 == 0;
}

static enum svm_fast fast_insn(struct vcpu *vcpu, struct vmcb *vmcb,
			       bool (*carry_out)(struct vcpu *vcpu))
{
	uint64_t next_rip;

	if (!find_next(vcpu, vmcb, &next_rip) || !carry_out(vcpu))
		return SVM_FAST_NOT;
	move_on(vcpu, vmcb, next_rip);
	return SVM_FAST_AGAIN;
}

static enum svm_fast fast_io(struct vcpu *vcpu, struct vmcb *vmcb)
{
	uint64_t info = vmcb->control.exit_info_1;
	uint16_t port = (uint16_t)FIELD_GET(IOIO_PORT, info);

	if (info & IOIO_STR)
		return SVM_FAST_NOT;
	if (!(info & IOIO_IN) && exit_fast_is_doorbell(port))
		exit_fast_doorbell(vcpu, port);
	else
		exit_fast_io(vcpu, port, (uint8_t)FIELD_GET(IOIO_SIZE, info), info & IOIO_IN);
	move_on(vcpu, vmcb, vmcb->control.exit_info_2);
	return exit_fast_is_quiet(vcpu) ? SVM_FAST_AGAIN : SVM_FAST_DONE;
}

enum svm_fast svm_exit_fast(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	svm_of(vcpu)->has_event = false;
	leave(vcpu, vmcb);
	/* A guest that single-steps gets its #DB from svm_skip(). */
	if (__builtin_expect(vmcb->save.rflags & RFLAGS_TF, 0))
		return SVM_FAST_NOT;
	switch (vmcb->control.exit_code) {
	case VMEXIT_CPUID:
		return fast_insn(vcpu, vmcb, exit_fast_cpuid);
	case VMEXIT_MSR:
		return fast_insn(vcpu, vmcb,
				 vmcb->control.exit_info_1 ? exit_fast_wrmsr : exit_fast_rdmsr);
	case VMEXIT_IOIO:
		return fast_io(vcpu, vmcb);
	default:
		return SVM_FAST_NOT;
	}
}
