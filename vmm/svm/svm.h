/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this backend share: its part of a CPU and of a vCPU, and what the boot CPU
 * chose.
 *
 *   svm_ctl.c     which features and intercepts       pure
 *   svm_asid.c    tags of a CPU's translations        pure
 *   svm_decode.c  from exit words to struct vm_exit   pure
 *   svm_insn.c    lengths of exiting instructions     pure
 *   svm_check.c   which word made an entry fail       pure
 *   svm_avic.c    AVIC's tables and exits             pure
 *   svm.c         probing, turning on, entering, leaving
 *   svm_vmcb.c    a VMCB's life: first values, reset, onto a CPU and off it
 *   svm_state.c   the guest's registers, segments, MSRs
 *   svm_event.c   events, windows, and when an NMI handler has returned
 *   svm_fast.c    exits that are carried out on the spot
 *   svm_avic_hw.c AVIC on and off, its exits, the doorbell
 *   svm_enter.S   the instructions around VMRUN
 *
 * Where a guest's registers are while it does not run: RAX and the others but RSP in vcpu->gpr, the
 * rest in its VMCB. Whoever changes the VMCB takes the clean bit of that part away.
 */
#ifndef VMM_SVM_SVM_H
#define VMM_SVM_SVM_H

#include "kernel/memory.h"
#include "vmm/svm/svm_asid.h"
#include "vmm/svm/svm_avic.h"
#include "vmm/svm/svm_ctl.h"
#include "vmm/svm/svm_insn.h"
#include "vmm/svm/vmcb.h"
#include "vmm/vm.h"

struct svm_cpu {	    /* cpu->virt */
	hpa_t host_save;    /* where VMRUN keeps the host's state */
	hpa_t host_vmcb;    /* what VMRUN does not keep, for VMLOAD; fixed once written */
	uint64_t tsc_ratio; /* in its MSR: of the vCPU loaded last */
	struct svm_asids asids;
};

struct svm_vcpu {
	struct vmcb *vmcb;
	hpa_t vmcb_hpa;
	struct cpu *host; /* the CPU that it was on last, or NULL */
	struct svm_asid asid;
	uint64_t vectoring; /* an event whose delivery an exit cut short; 0: none */
	bool has_event;	    /* event_inj is filled for the next entry */
	bool wants_irq_window, wants_nmi_window;
	uint64_t cr4; /* as the guest sees it: the VMCB's always has MCE */

	/* The CPU does not say whether NMIs are masked: from an injected one to its IRET they are.
	 */
	bool is_nmi_masked;
	bool is_returning; /* the IRET at iret_rip is the next instruction */
	bool is_stepping;  /* TF is ours, to come out behind that IRET */
	uint64_t iret_rip;

	uint64_t tsc_aux, dr[4]; /* while another vCPU has the CPU */

	/* AVIC, which is on where vcpu->has_apicv is set */
	uint32_t running_on;		    /* atomic: that CPU's APIC ID, or AVIC_NOT_RUNNING */
	struct svm_avic_member avic_member; /* as the logical table knows it; under vm->lock */
};

#define RFLAGS_TF BIT(8) /* single-step */

extern struct svm_ctl svm_ctl;
extern hpa_t svm_iopm, svm_msrpm; /* the same for every guest */
/* Of EFER, what the CPU has on while a guest runs and no guest sees. */
extern uint64_t svm_efer_hidden;

static inline struct svm_vcpu *svm_of(const struct vcpu *vcpu)
{
	return vcpu->arch;
}

static inline struct vmcb *vmcb_of(const struct vcpu *vcpu)
{
	return svm_of(vcpu)->vmcb;
}

/* svm.c: the instruction at RIP, by its bytes. False: not what made the exit, or it cannot be read.
 */
bool svm_fetch_insn(struct vcpu *vcpu, uint64_t exit_code, struct svm_insn *insn,
		    enum insn_mode *mode);

/* svm_vmcb.c; contracts in struct virt_ops */
enum hv_err svm_vcpu_init(struct vcpu *vcpu);
void svm_vcpu_destroy(struct vcpu *vcpu);
void svm_vcpu_reset(struct vcpu *vcpu);
void svm_vcpu_load(struct vcpu *vcpu);
void svm_vcpu_put(struct vcpu *vcpu);
/* The guest's translations are forgotten at the next entry. */
void svm_flush(struct vmcb *vmcb);
/* An ASID of this CPU, for the entry that follows at once. */
void svm_tag(struct vcpu *vcpu);

/* svm_state.c */
uint64_t svm_reg_get(struct vcpu *vcpu, enum guest_reg reg);
void svm_reg_set(struct vcpu *vcpu, enum guest_reg reg, uint64_t val);
void svm_seg_get(struct vcpu *vcpu, enum guest_seg seg, struct guest_segment *out);
void svm_seg_set(struct vcpu *vcpu, enum guest_seg seg, const struct guest_segment *in);
bool svm_msr_get(struct vcpu *vcpu, uint32_t index, uint64_t *val);
bool svm_msr_set(struct vcpu *vcpu, uint32_t index, uint64_t val);
void svm_skip(struct vcpu *vcpu, uint8_t insn_len);

/* svm_event.c */
bool svm_can_take(struct vcpu *vcpu, enum guest_event_kind kind);
void svm_inject(struct vcpu *vcpu, struct guest_event event);
void svm_want_window(struct vcpu *vcpu, enum guest_event_kind kind, bool want);
void svm_tpr_threshold(struct vcpu *vcpu, uint8_t threshold);
void svm_events_reset(struct svm_vcpu *svm);
void svm_keep_vectoring(struct svm_vcpu *svm);
void svm_deliver_again(struct svm_vcpu *svm);
void svm_see_iret(struct svm_vcpu *svm);
/* After every exit: whether the IRET that was the next instruction is done. */
void svm_track_iret(struct svm_vcpu *svm);
/* A #DB came out: false when it was none of the guest's. */
bool svm_is_guests_trap(struct svm_vcpu *svm);

/* svm_fast.c, called by svm_enter.S after each exit; svm_enter() returns what is not AGAIN. */
enum svm_fast {
	SVM_FAST_NOT = 0,   /* nothing was done: the long way */
	SVM_FAST_AGAIN = 1, /* carried out, enter again */
	SVM_FAST_DONE = 3,  /* carried out, but something is to be delivered first */
};
enum svm_fast svm_exit_fast(struct vcpu *vcpu);

/* svm_enter.S: with and without the measures against side channels */
typedef enum svm_fast svm_enter_fn(struct vcpu *vcpu, hpa_t guest_vmcb, hpa_t host_vmcb);
svm_enter_fn svm_enter_plain, svm_enter_guarded;

/*
 * svm_avic_hw.c, called only where svm_ctl.has_avic is set
 *
 * svm_avic_enter enters by the function given to svm_avic_init. What a VM's vCPUs share is made and
 * ends with the VM.
 */
#define AVIC_NOT_RUNNING 0xffffffffu
void svm_avic_init(svm_enter_fn *enter);
svm_enter_fn svm_avic_enter;
MUST_CHECK enum hv_err svm_avic_vm_init(struct vm *vm);
void svm_avic_vm_destroy(struct vm *vm);
void svm_avic_vcpu_init(struct vcpu *vcpu);
void svm_avic_vcpu_reset(struct vcpu *vcpu);
void svm_avic_finish_ipi(struct vcpu *vcpu, struct vm_exit *exit);
bool svm_apicv_post(struct vcpu *vcpu, uint8_t vector);

#endif
