/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this backend share: its part of a vCPU, and what the boot CPU chose.
 *
 *   vmx_ctl.c     which controls                      pure
 *   vmx_decode.c  from exit words to struct vm_exit   pure
 *   vmx_check.c   which field made an entry fail      pure
 *   vmx.c         probing, VMXON, entering, leaving
 *   vmx_vmcs.c    a VMCS's life: first values, reset, onto a CPU and off it
 *   vmx_state.c   the guest's registers, segments, MSRs, events
 *   vmx_fast.c    exits that are carried out on the spot
 *   vmx_guard.c   what entries and exits do against side channels
 *   vmx_enter.S   the instructions around VMRESUME
 */
#ifndef VMM_VMX_VMX_H
#define VMM_VMX_VMX_H

#include "kernel/memory.h"
#include "vmm/vmx/vmx_ctl.h"
#include "vmm/vm.h"

/* MSRs that neither VMCS nor kernel uses: the guest's stay in the CPU until another vCPU gets it.
 */
enum {
	SWITCHED_STAR,
	SWITCHED_LSTAR,
	SWITCHED_CSTAR,
	SWITCHED_FMASK,
	SWITCHED_KERNEL_GS,
	SWITCHED_TSC_AUX,
	SWITCHED_MSRS
};

struct vmx_vcpu {
	hpa_t vmcs;
	hpa_t msr_bitmap;
	hpa_t no_apic_page; /* virtual-APIC page when vcpu->lapic has none */
	uint16_t vpid;
	bool is_launched;
	bool wants_flush;   /* nothing of this EPT and VPID may be cached on the next CPU */
	struct cpu *host;   /* whose host state the VMCS holds */
	uint32_t cpu, cpu2; /* as in the VMCS now */
	uint32_t vectoring; /* an event whose delivery an exit cut short; 0: none */
	uint32_t vectoring_code, vectoring_len;
	bool has_event; /* ENTRY_INTR_INFO is filled for the next entry */
	uint64_t switched[SWITCHED_MSRS];
	uint64_t dr[4], dr6; /* of the guest while it is off the CPU; DR7 is the VMCS's */
	uint64_t cr2;
};

#define RFLAGS_TF BIT(8) /* single-step */

extern struct vmx_ctl vmx_ctl;
extern struct vmx_cap vmx_cap;

/*
 * Exceptions that end a guest's run: machine checks, which are this machine's, and #DB and #AC,
 * which the guest gets back. Delivering one of those two can raise it again, without end and
 * without an instruction at which an interrupt could come in (CVE-2015-5307, CVE-2015-8104).
 */
#define VMX_TAKEN_EXCEPTIONS (BIT(1) | BIT(17) | BIT(18))

static inline struct vmx_vcpu *vmx_of(const struct vcpu *vcpu)
{
	return vcpu->arch;
}

/* vmx_vmcs.c; contracts in struct virt_ops */
enum hv_err vmx_vm_init(struct vm *vm);
void vmx_vm_destroy(struct vm *vm);
enum hv_err vmx_vcpu_init(struct vcpu *vcpu);
void vmx_vcpu_destroy(struct vcpu *vcpu);
void vmx_vcpu_reset(struct vcpu *vcpu);
void vmx_vcpu_load(struct vcpu *vcpu);
void vmx_vcpu_put(struct vcpu *vcpu);
void vmx_apic_mode(struct vcpu *vcpu, bool is_enabled, bool is_x2apic);

/*
 * vmx_backstop - wind up the loaded vCPU's preemption timer, which counts on over exits and entries
 *
 * Interrupts end a guest's run whatever its IF says; an emulator that lets IF mask them (Bochs 3.0
 * does, from the entry to the guest's next change of IF) would leave such a guest the CPU for ever.
 */
void vmx_backstop(void);
extern uint64_t vmx_backstop_ticks; /* of the preemption timer; fixed after probe */

/* vmx_state.c */
uint64_t vmx_reg_get(struct vcpu *vcpu, enum guest_reg reg);
void vmx_reg_set(struct vcpu *vcpu, enum guest_reg reg, uint64_t val);
void vmx_seg_get(struct vcpu *vcpu, enum guest_seg seg, struct guest_segment *out);
void vmx_seg_set(struct vcpu *vcpu, enum guest_seg seg, const struct guest_segment *in);
bool vmx_msr_get(struct vcpu *vcpu, uint32_t index, uint64_t *val);
bool vmx_msr_set(struct vcpu *vcpu, uint32_t index, uint64_t val);
void vmx_skip(struct vcpu *vcpu, uint8_t insn_len);
bool vmx_can_take(struct vcpu *vcpu, enum guest_event_kind kind);
void vmx_inject(struct vcpu *vcpu, struct guest_event event);
void vmx_give_back_exception(struct vcpu *vcpu, uint32_t info); /* info: of the exit */
void vmx_want_window(struct vcpu *vcpu, enum guest_event_kind kind, bool want);
void vmx_apicv_rvi(struct vcpu *vcpu, int rvi, int svi);
void vmx_apicv_eoi_exits(struct vcpu *vcpu, const uint64_t vectors[4]);
void vmx_tpr_threshold(struct vcpu *vcpu, uint8_t threshold);

/* vmx_fast.c, called by vmx_enter.S after each exit; what is not AGAIN is returned from there. */
enum vmx_fast {
	VMX_FAST_NOT = 0,   /* nothing was done: the long way */
	VMX_FAST_AGAIN = 1, /* carried out, enter again */
	VMX_FAST_DONE = 3,  /* carried out, but something is to be delivered first */
};
enum vmx_fast vmx_exit_fast(struct vcpu *vcpu);

/* vmx_enter.S: with and without measures against side channels */
typedef uint64_t vmx_enter_fn(struct vcpu *vcpu, bool is_launched);
vmx_enter_fn vmx_enter_plain, vmx_enter_guarded;
void vmx_exit_plain(void);
void vmx_exit_guarded(void);

/* vmx_guard.c: which of them this CPU needs; fixed after vmx_choose_entry() on the boot CPU. */
struct vmx_entry {
	vmx_enter_fn *enter;
	void (*exit)(void); /* HOST_RIP */
};
extern struct vmx_entry vmx_entry;
void vmx_choose_entry(void);
enum vmx_fast vmx_exit_fast_guarded(struct vcpu *vcpu); /* as vmx_exit_fast(), for vmx_enter.S */

#endif
