/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VMCB's life. It is filled when its vCPU is made and is memory like any other from then on; what
 * a CPU may have cached of it is told by its clean bits, which mean nothing on another CPU.
 *
 * Source: [APM] "VMCB State Caching", "TLB Control"; "Processor Initialization State" for what a
 * guest starts with.
 */
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "vmm/svm/svm.h"

#define MSR_TSC_AUX 0xc0000103u
#define PAT_RESET   0x0007040600070406ull

/* ---- translations ---- */

void svm_flush(struct vmcb *vmcb)
{
	if (vmcb->control.tlb_control == TLB_CONTROL_NOTHING)
		vmcb->control.tlb_control =
			svm_ctl.has_flush_by_asid ? TLB_CONTROL_FLUSH_ASID : TLB_CONTROL_FLUSH_ALL;
}

/*
 * Not when the vCPU is loaded: the flush that a new generation begins with must come before any
 * other vCPU has entered with an ASID of it.
 */
void svm_tag(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_cpu *cpu = svm->host->virt;
	bool flush_all;

	if (!svm_asid_update(&cpu->asids, &svm->asid, &flush_all))
		return;
	svm->vmcb->control.asid = svm->asid.value;
	svm->vmcb->control.clean &= ~CLEAN_ASID;
	if (flush_all)
		svm->vmcb->control.tlb_control = TLB_CONTROL_FLUSH_ALL;
}

/* ---- vCPU ---- */

static void fill_controls(struct vcpu *vcpu)
{
	struct vmcb_control *c = &vmcb_of(vcpu)->control;

	c->intercept_cr = INTERCEPT_CR_WRITE(4);
	/*
	 * #DB and #AC are the guest's and go on to it. They come out so that one that raises
	 * another of its kind while it is delivered, and so on, does not keep the CPU for ever.
	 */
	c->intercept_exceptions = INTERCEPT_DB | INTERCEPT_AC | INTERCEPT_MC;
	c->intercept_misc1 = svm_ctl.misc1;
	c->intercept_misc2 = svm_ctl.misc2;
	c->pause_filter_count = svm_ctl.pause_filter_count;
	c->pause_filter_threshold = svm_ctl.pause_filter_threshold;
	c->iopm_base_pa = svm_iopm;
	c->msrpm_base_pa = svm_msrpm;
	c->tsc_offset = vcpu->vm->tsc.offset;
	c->vintr = VINTR_V_INTR_MASKING;
	c->nested_ctl = NESTED_CTL_NP_ENABLE;
	c->n_cr3 = vcpu->vm->npt_root;
}

enum hv_err svm_vcpu_init(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = kmem_alloc(sizeof(*svm));

	if (!svm)
		return HV_ENOMEM;
	svm->vmcb_hpa = pages_alloc(0);
	if (svm->vmcb_hpa == HPA_NONE) {
		kmem_free(svm);
		return HV_ENOMEM;
	}
	svm->vmcb = hva_of(svm->vmcb_hpa);
	vcpu->arch = svm;
	fill_controls(vcpu);
	if (svm_ctl.has_avic)
		svm_avic_vcpu_init(vcpu);
	return HV_OK;
}

void svm_vcpu_destroy(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (!svm)
		return;
	pages_free(svm->vmcb_hpa, 0);
	kmem_free(svm);
	vcpu->arch = NULL;
}

static void reset_segments(struct vcpu *vcpu)
{
	struct guest_segment data = {.base = 0, .limit = 0xffff, .selector = 0, .attr = 0x93};
	struct guest_segment code = {
		.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attr = 0x9b};
	struct guest_segment ldtr = {.limit = 0xffff, .attr = 0x82},
			     tr = {.limit = 0xffff, .attr = 0x8b};
	struct guest_segment table = {.limit = 0xffff};

	for (int seg = SEG_ES; seg <= SEG_GS; seg++)
		svm_seg_set(vcpu, seg, seg == SEG_CS ? &code : &data);
	svm_seg_set(vcpu, SEG_LDTR, &ldtr);
	svm_seg_set(vcpu, SEG_TR, &tr);
	svm_seg_set(vcpu, SEG_GDTR, &table);
	svm_seg_set(vcpu, SEG_IDTR, &table);
}

void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[REG_RDX] = 0x600;
	/* A shutdown leaves the whole area undefined. */
	vmcb->save = (struct vmcb_save){
		.rip = 0xfff0,
		.rflags = 2,
		.dr6 = 0xffff0ff0,
		.dr7 = 0x400,
		.efer = svm_efer_hidden,
		.g_pat = PAT_RESET,
	};
	reset_segments(vcpu);
	svm_reg_set(vcpu, REG_CR0, 0x60000010);
	svm_reg_set(vcpu, REG_CR4, 0);
	memset(svm->dr, 0, sizeof(svm->dr));
	dr_load(svm->dr);
	wrmsr(MSR_TSC_AUX, 0);
	vmcb->control.lbr_ctl = 0;
	vmcb->control.interrupt_shadow = 0;
	svm_events_reset(svm);
	if (svm_ctl.has_avic)
		svm_avic_vcpu_reset(vcpu);
	svm_flush(vmcb);
	vmcb->control.clean = 0;
}

/*
 * The ratio is the CPU's and not the VMCB's. What runs outside of guests reads the TSC without it:
 * [APM] "TSC Ratio MSR (C000_0104h)" has it in what a guest reads. So it stays until a vCPU with
 * another one comes. Without the feature no VM has one, and all are equal.
 */
static void load_tsc_ratio(struct svm_cpu *cpu, uint64_t multiplier)
{
	uint64_t ratio = multiplier ? multiplier : TSC_RATIO_ONE;

	if (cpu->tsc_ratio == ratio)
		return;
	cpu->tsc_ratio = ratio;
	wrmsr(MSR_TSC_RATIO, ratio);
}

void svm_vcpu_load(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (svm->host !=
	    this_cpu()) { /* where its ASID is another's, and clean bits are about other pages */
		svm->host = this_cpu();
		svm->asid = (struct svm_asid){0};
		svm->vmcb->control.clean = 0;
	}
	load_tsc_ratio(svm->host->virt, vcpu->vm->tsc.multiplier);
	wrmsr(MSR_TSC_AUX, svm->tsc_aux);
	dr_load(svm->dr);
}

void svm_vcpu_put(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->tsc_aux = rdmsr(MSR_TSC_AUX);
	dr_save(svm->dr);
}
