/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events into the guest, and exits when it can take the next one.
 *
 * A window is a virtual interrupt that is never delivered: the CPU exits at the moment it would be.
 * For NMIs there is no such thing. Behind an injected one the IRET is watched; it exits before it
 * is carried out, and when another NMI waits, one step takes the guest over it.
 *
 * Source: [APM] "Event Injection", "Virtual Interrupts".
 */
#include "kernel/cpu_hw.h"
#include "vmm/svm/svm.h"
#include "vmm/svm/svm_decode.h"

#define RFLAGS_IF BIT(9)
#define DR6_BS	  BIT(14)

static bool is_nmi_masked(struct svm_vcpu *svm)
{
	svm_track_iret(svm);
	return svm->is_nmi_masked;
}

bool svm_can_take(struct vcpu *vcpu, enum guest_event_kind kind)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	const struct vmcb *vmcb = svm->vmcb;

	if (svm->has_event || svm->vectoring || (vmcb->control.interrupt_shadow & INTERRUPT_SHADOW))
		return false;
	return kind == EVENT_NMI ? !is_nmi_masked(svm) : (vmcb->save.rflags & RFLAGS_IF) != 0;
}

static void watch_iret(struct svm_vcpu *svm, bool watch)
{
	struct vmcb_control *c = &svm->vmcb->control;

	if (watch)
		c->intercept_misc1 |= INTERCEPT_IRET;
	else
		c->intercept_misc1 &= ~(uint32_t)INTERCEPT_IRET;
	c->clean &= ~CLEAN_I;
}

void svm_inject(struct vcpu *vcpu, struct guest_event event)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	static const uint8_t types[] = {
		[EVENT_IRQ] = EVENT_TYPE_INTR,
		[EVENT_NMI] = EVENT_TYPE_NMI,
		[EVENT_EXCEPTION] = EVENT_TYPE_EXCEPTION,
	};
	uint64_t word = EVENT_V | FIELD_PREP(EVENT_TYPE, types[event.kind]) | event.vector;

	if (event.has_code && (svm->vmcb->save.cr0 & CR0_PE))
		word |= EVENT_EV | FIELD_PREP(EVENT_ERROR_CODE, event.code);
	svm->vmcb->control.event_inj = word;
	svm->has_event = true;
	if (event.kind == EVENT_NMI) {
		svm->is_nmi_masked = true;
		svm->is_returning = false;
		watch_iret(svm, true);
	}
}

/*
 * ---- events that an exit cut short ----
 *
 * A guest can make the delivery of an event fail for ever, without one moment between two
 * instructions, at which an interrupt would come out; so they are let in here.
 */

void svm_keep_vectoring(struct svm_vcpu *svm)
{
	uint64_t word = svm->vmcb->control.exit_int_info;

	svm->vectoring = (word & EVENT_V) && !svm_repeats_itself(word) ? word : 0;
	if (svm->vectoring)
		cpu_take_interrupts();
}

void svm_deliver_again(struct svm_vcpu *svm)
{
	if (!svm->has_event)
		svm->vmcb->control.event_inj = svm->vectoring;
	svm->vectoring = 0;
}

/* ---- windows ---- */

static void update_window(struct svm_vcpu *svm)
{
	struct vmcb_control *c = &svm->vmcb->control;
	bool is_open = svm->wants_irq_window || svm->wants_nmi_window;

	c->vintr &= ~(VINTR_V_IRQ | VINTR_V_IGN_TPR);
	c->intercept_misc1 &= ~(uint32_t)INTERCEPT_VINTR;
	if (is_open) {
		c->vintr |= VINTR_V_IRQ | VINTR_V_IGN_TPR;
		c->intercept_misc1 |= INTERCEPT_VINTR;
	}
	c->clean &= ~(CLEAN_TPR | CLEAN_I);
}

/* TF is looked at before the instruction, so the trap comes behind the IRET whatever flags that
 * loads. */
static void step_over_iret(struct svm_vcpu *svm)
{
	if (svm->is_stepping || (svm->vmcb->save.rflags & RFLAGS_TF))
		return; /* steps already, by us or by itself */
	svm->is_stepping = true;
	svm->vmcb->save.rflags |= RFLAGS_TF;
}

/*
 * What keeps an NMI out is another event, a shadow, or an NMI before it. In the first two cases the
 * window of interrupts is the time to look again; in the last the IRET comes out by itself.
 */
void svm_want_window(struct vcpu *vcpu, enum guest_event_kind kind, bool want)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	bool *wants = kind == EVENT_NMI ? &svm->wants_nmi_window : &svm->wants_irq_window;

	if (want && kind == EVENT_NMI && is_nmi_masked(svm)) {
		if (svm->is_returning)
			step_over_iret(svm);
		want = false;
	}
	if (*wants == want)
		return;
	*wants = want;
	update_window(svm);
}

/* Writes to CR8 come out while an interrupt waits behind the task priority. */
void svm_tpr_threshold(struct vcpu *vcpu, uint8_t threshold)
{
	struct vmcb_control *c = &vmcb_of(vcpu)->control;
	uint32_t writes = threshold ? INTERCEPT_CR_WRITE(8) : 0;

	if ((c->intercept_cr & INTERCEPT_CR_WRITE(8)) == writes)
		return;
	c->intercept_cr ^= INTERCEPT_CR_WRITE(8);
	c->clean &= ~CLEAN_I;
}

/* ---- the end of an NMI handler ---- */

void svm_see_iret(struct svm_vcpu *svm)
{
	svm->is_returning = true;
	svm->iret_rip = svm->vmcb->save.rip;
	watch_iret(svm, false);
}

void svm_track_iret(struct svm_vcpu *svm)
{
	if (!svm->is_returning || svm->vmcb->save.rip == svm->iret_rip)
		return;
	svm->is_nmi_masked = svm->is_returning = svm->is_stepping = false;
}

/* The trap behind an IRET that was stepped over for an NMI's sake is ours. */
bool svm_is_guests_trap(struct svm_vcpu *svm)
{
	if (!svm->is_stepping)
		return true;
	svm->is_nmi_masked = svm->is_returning = svm->is_stepping = false;
	svm->vmcb->save.dr6 &= ~DR6_BS;
	svm->vmcb->control.clean &= ~CLEAN_DRX;
	return false;
}

void svm_events_reset(struct svm_vcpu *svm)
{
	svm->vectoring = 0;
	svm->has_event = false;
	svm->wants_irq_window = svm->wants_nmi_window = false;
	svm->is_nmi_masked = svm->is_returning = svm->is_stepping = false;
	svm->vmcb->control.event_inj = 0;
	watch_iret(svm, false);
	update_window(svm);
}
