/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's registers, segments and MSRs, as the VMCB holds them.
 */
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "vmm/svm/svm.h"

#define DEBUGCTL_BTF BIT(1)  /* TF steps over branches only */
#define DR6_BS	     BIT(14) /* the trap is a single step */
#define EFER_LME     BIT(8)
#define EFER_LMA     BIT(10)
#define ATTR_L	     BIT(9) /* of CS, as struct vmcb_seg has it */

#define MSR_PAT	     0x277u
#define MSR_DEBUGCTL 0x1d9u

/* ---- control registers ---- */

static void set_efer(struct vmcb *vmcb, uint64_t val)
{
	vmcb->save.efer = val | svm_efer_hidden;
	vmcb->control.clean &= ~CLEAN_CRX;
	svm_flush(vmcb);
}

/* LMA follows LME and PG, as the CPU does it itself when a guest moves to CR0, which does not exit.
 */
static void set_cr0(struct vmcb *vmcb, uint64_t val)
{
	uint64_t efer = vmcb->save.efer;
	bool is_long = (val & CR0_PG) && (efer & EFER_LME);

	vmcb->save.cr0 = val;
	set_efer(vmcb, is_long ? efer | EFER_LMA : efer & ~EFER_LMA);
}

/*
 * MCE stays on for this machine's own machine checks, unless the CPU goes by the host's; reads exit
 * while the guest believes otherwise.
 */
static void set_cr4(struct svm_vcpu *svm, uint64_t val)
{
	struct vmcb *vmcb = svm->vmcb;
	uint64_t kept = svm_ctl.has_host_mce ? val : val | CR4_MCE;
	uint32_t reads = val == kept ? 0 : INTERCEPT_CR_READ(4);

	svm->cr4 = val;
	vmcb->save.cr4 = kept;
	vmcb->control.intercept_cr = (vmcb->control.intercept_cr & ~INTERCEPT_CR_READ(4)) | reads;
	vmcb->control.clean &= ~(CLEAN_CRX | CLEAN_I);
	svm_flush(vmcb);
}

/* ---- registers ---- */

uint64_t svm_reg_get(struct vcpu *vcpu, enum guest_reg reg)
{
	const struct vmcb_save *s = &vmcb_of(vcpu)->save;

	switch (reg) {
	case REG_RSP:
		return s->rsp;
	case REG_RIP:
		return s->rip;
	case REG_RFLAGS:
		return svm_of(vcpu)->is_stepping ? s->rflags & ~RFLAGS_TF : s->rflags;
	case REG_CR0:
		return s->cr0;
	case REG_CR2:
		return s->cr2;
	case REG_CR3:
		return s->cr3;
	case REG_CR4:
		return svm_of(vcpu)->cr4;
	case REG_EFER:
		return s->efer & ~svm_efer_hidden;
	case REG_FS_BASE:
		return s->fs.base;
	case REG_GS_BASE:
		return s->gs.base;
	case REG_KERNEL_GS_BASE:
		return s->kernel_gs_base;
	case REG_DR7:
		return s->dr7;
	default:
		ASSERT(reg <= REG_R15);
		return vcpu->gpr[reg];
	}
}

void svm_reg_set(struct vcpu *vcpu, enum guest_reg reg, uint64_t val)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	struct vmcb_save *s = &vmcb->save;

	switch (reg) {
	case REG_RSP:
		s->rsp = val;
		break;
	case REG_RIP:
		s->rip = val;
		break;
	case REG_RFLAGS:
		s->rflags = val;
		break;
	case REG_CR0:
		set_cr0(vmcb, val);
		break;
	case REG_CR2:
		s->cr2 = val;
		vmcb->control.clean &= ~CLEAN_CR2;
		break;
	case REG_CR3:
		s->cr3 = val;
		vmcb->control.clean &= ~CLEAN_CRX;
		svm_flush(vmcb);
		break;
	case REG_CR4:
		set_cr4(svm_of(vcpu), val);
		break;
	case REG_EFER:
		set_efer(vmcb, (val & ~EFER_LMA) | (s->efer & EFER_LMA));
		break;
	case REG_FS_BASE:
		s->fs.base = val;
		break;
	case REG_GS_BASE:
		s->gs.base = val;
		break;
	case REG_KERNEL_GS_BASE:
		s->kernel_gs_base = val;
		break;
	case REG_DR7:
		s->dr7 = val;
		vmcb->control.clean &= ~CLEAN_DRX;
		break;
	default:
		ASSERT(reg <= REG_R15);
		vcpu->gpr[reg] = val;
		break;
	}
}

/* ---- segments ---- */

static struct vmcb_seg *seg_of(struct vcpu *vcpu, enum guest_seg seg)
{
	struct vmcb_save *s = &vmcb_of(vcpu)->save;
	struct vmcb_seg *const segs[GUEST_SEGS] = {
		[SEG_ES] = &s->es,     [SEG_CS] = &s->cs, [SEG_SS] = &s->ss,
		[SEG_DS] = &s->ds,     [SEG_FS] = &s->fs, [SEG_GS] = &s->gs,
		[SEG_LDTR] = &s->ldtr, [SEG_TR] = &s->tr, [SEG_GDTR] = &s->gdtr,
		[SEG_IDTR] = &s->idtr,
	};

	return segs[seg];
}

/* A segment that is not there is one that is not present. The DPL of SS is CPL, whatever the word
 * says. */
void svm_seg_get(struct vcpu *vcpu, enum guest_seg seg, struct guest_segment *out)
{
	const struct vmcb_seg *s = seg_of(vcpu, seg);
	uint16_t attr = (uint16_t)((s->attrib & 0xff) | (s->attrib & 0xf00) << 4);

	if (seg == SEG_SS)
		attr = (uint16_t)((attr & ~0x60) | vmcb_of(vcpu)->save.cpl << 5);
	if (seg < SEG_GDTR && !(attr & 0x80))
		attr |= SEG_ATTR_UNUSABLE;
	*out = (struct guest_segment){
		.base = s->base, .limit = s->limit, .selector = s->selector, .attr = attr};
}

void svm_seg_set(struct vcpu *vcpu, enum guest_seg seg, const struct guest_segment *in)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	uint16_t attr = in->attr & SEG_ATTR_UNUSABLE ? 0 : in->attr;

	*seg_of(vcpu, seg) = (struct vmcb_seg){
		.selector = in->selector,
		.attrib = (uint16_t)((attr & 0xff) | (attr >> 4 & 0xf00)),
		.limit = in->limit,
		.base = in->base,
	};
	if (seg == SEG_SS)
		vmcb->save.cpl = (uint8_t)(in->attr >> 5 & 3);
	vmcb->control.clean &= seg >= SEG_GDTR ? ~CLEAN_DT : ~CLEAN_SEG;
}

/* ---- MSRs that the VMCB holds ---- */

static const struct {
	uint32_t index, offset; /* in the save area */
} msr_words[] = {
	{0x174, offsetof(struct vmcb_save, sysenter_cs)},
	{0x175, offsetof(struct vmcb_save, sysenter_esp)},
	{0x176, offsetof(struct vmcb_save, sysenter_eip)},
	{MSR_PAT, offsetof(struct vmcb_save, g_pat)},
	{MSR_DEBUGCTL, offsetof(struct vmcb_save, dbgctl)},
	{0xc0000081, offsetof(struct vmcb_save, star)},
	{0xc0000082, offsetof(struct vmcb_save, lstar)},
	{0xc0000083, offsetof(struct vmcb_save, cstar)},
	{0xc0000084, offsetof(struct vmcb_save, sfmask)},
	{0xc0000100, offsetof(struct vmcb_save, fs.base)},
	{0xc0000101, offsetof(struct vmcb_save, gs.base)},
	{0xc0000102, offsetof(struct vmcb_save, kernel_gs_base)},
};

static uint64_t *msr_word(struct vcpu *vcpu, uint32_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(msr_words); i++)
		if (msr_words[i].index == index)
			return (uint64_t *)((uint8_t *)&vmcb_of(vcpu)->save + msr_words[i].offset);
	return NULL;
}

bool svm_msr_get(struct vcpu *vcpu, uint32_t index, uint64_t *val)
{
	const uint64_t *word = msr_word(vcpu, index);

	if (index == MSR_EFER)
		*val = svm_reg_get(vcpu, REG_EFER);
	else if (word)
		*val = *word;
	return word || index == MSR_EFER;
}

/* [APM] "PAT Memory Types": 2 and 3 are reserved, and what is above 7 */
static bool is_pat(uint64_t val)
{
	for (unsigned i = 0; i < 64; i += 8) {
		uint64_t type = val >> i & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool svm_msr_set(struct vcpu *vcpu, uint32_t index, uint64_t val)
{
	struct vmcb_control *c = &vmcb_of(vcpu)->control;
	uint64_t *word = msr_word(vcpu, index);

	if (index == MSR_EFER) {
		set_efer(vmcb_of(vcpu), val);
		return true;
	}
	if (!word || (index == MSR_PAT && !is_pat(val)))
		return false;
	*word = val;
	if (index == MSR_PAT)
		svm_flush(vmcb_of(vcpu));
	if (index == MSR_DEBUGCTL && svm_ctl.has_lbr_virt)
		c->lbr_ctl = val ? LBR_CTL_LBR_VIRT : 0;
	c->clean &= ~(CLEAN_NP | CLEAN_LBR);
	return true;
}

/* ---- instructions ---- */

/* The trap that a guest which steps itself expects behind an instruction that was carried out here.
 */
static void trap_single_step(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->save.dr6 |= DR6_BS;
	vmcb->control.clean &= ~CLEAN_DRX;
	svm_inject(vcpu, (struct guest_event){.kind = EVENT_EXCEPTION, .vector = 1});
}

void svm_skip(struct vcpu *vcpu, uint8_t insn_len)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	uint64_t rip = vmcb->save.rip + insn_len;

	if (!(vmcb->save.cs.attrib & ATTR_L)) /* not 64-bit code: EIP wraps */
		rip = (uint32_t)rip;
	vmcb->save.rip = rip;
	vmcb->control.interrupt_shadow &= ~INTERRUPT_SHADOW;
	if ((svm_reg_get(vcpu, REG_RFLAGS) & RFLAGS_TF) && !(vmcb->save.dbgctl & DEBUGCTL_BTF))
		trap_single_step(vcpu);
}
