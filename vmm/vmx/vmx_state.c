/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's registers, segments, MSRs and events, as the VMCS holds them. The vCPU is loaded.
 */
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx.h"
#include "vmm/vmx/vmx_hw.h"

#define RFLAGS_IF    BIT(9)
#define DEBUGCTL_BTF BIT(1)  /* TF steps over branches only */
#define DR6_BS	     BIT(14) /* the trap is a single step */
#define DR6_BD	     BIT(13)
#define DR6_MATCHES  0xfull
#define DR7_GD	     BIT(13)
#define EFER_LME     BIT(8)
#define EFER_LMA     BIT(10)
#define CR0_NW	     BIT(29)
#define CR0_CD	     BIT(30)
#define CR4_PAE_BIT  BIT(5)

/* ---- control registers ---- */

static uint64_t cr_get(uint32_t field, uint32_t mask_field, uint32_t shadow_field)
{
	uint64_t mask = vmread(mask_field);

	return (vmread(field) & ~mask) | (vmread(shadow_field) & mask);
}

/* LMA follows LME and PG, as the CPU does it itself when a guest's MOV does not exit. */
static void follow_long_mode(uint64_t cr0)
{
	uint64_t efer = vmread(VMCS_GUEST_EFER);
	uint64_t entry = vmread(VMCS_ENTRY_CONTROLS);
	bool is_long = (cr0 & CR0_PG) && (efer & EFER_LME);

	efer = is_long ? efer | EFER_LMA : efer & ~EFER_LMA;
	entry = is_long ? entry | ENTRY_CTL_GUEST_64 : entry & ~(uint64_t)ENTRY_CTL_GUEST_64;
	vmwrite(VMCS_GUEST_EFER, efer);
	vmwrite(VMCS_ENTRY_CONTROLS, entry);
}

/* PAE paging outside IA-32e mode keeps its four top entries in registers. */
static void load_pdptes(struct vcpu *vcpu)
{
	uint64_t entries[4] = {0, 0, 0, 0};

	if (!(vmread(VMCS_GUEST_CR0) & CR0_PG) || !(vmread(VMCS_GUEST_CR4) & CR4_PAE_BIT) ||
	    (vmread(VMCS_GUEST_EFER) & EFER_LMA))
		return;
	if (gmem_read(&vcpu->vm->mem, vmread(VMCS_GUEST_CR3) & 0xffffffe0u, entries,
		      sizeof(entries)) != HV_OK)
		return; /* not RAM: nothing is mapped, and the guest faults */
	for (uint32_t i = 0; i < 4; i++)
		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i,
			entries[i] & BIT(0) ? entries[i] & ~0x1e6ull : 0);
}

static void set_cr0(struct vcpu *vcpu, uint64_t val)
{
	uint64_t fixed = vmx_cap.cr0_fixed0 & ~(CR0_PE | CR0_PG); /* unrestricted guest */

	vmwrite(VMCS_CR0_SHADOW, val);
	vmwrite(VMCS_GUEST_CR0, (val & ~(CR0_CD | CR0_NW)) | fixed);
	follow_long_mode(val);
	load_pdptes(vcpu);
}

static void set_cr4(struct vcpu *vcpu, uint64_t val)
{
	vmwrite(VMCS_CR4_SHADOW, val);
	vmwrite(VMCS_GUEST_CR4, val | vmx_cap.cr4_fixed0 | CR4_MCE);
	load_pdptes(vcpu);
}

static void set_efer(struct vcpu *vcpu, uint64_t val)
{
	(void)vcpu;
	vmwrite(VMCS_GUEST_EFER, (val & ~EFER_LMA) | (vmread(VMCS_GUEST_EFER) & EFER_LMA));
	follow_long_mode(vmread(VMCS_GUEST_CR0));
}

/* ---- registers ---- */

uint64_t vmx_reg_get(struct vcpu *vcpu, enum guest_reg reg)
{
	switch (reg) {
	case REG_RSP:
		return vmread(VMCS_GUEST_RSP);
	case REG_RIP:
		return vmread(VMCS_GUEST_RIP);
	case REG_RFLAGS:
		return vmread(VMCS_GUEST_RFLAGS);
	case REG_CR0:
		return cr_get(VMCS_GUEST_CR0, VMCS_CR0_MASK, VMCS_CR0_SHADOW);
	case REG_CR2:
		return read_cr2();
	case REG_CR3:
		return vmread(VMCS_GUEST_CR3);
	case REG_CR4:
		return cr_get(VMCS_GUEST_CR4, VMCS_CR4_MASK, VMCS_CR4_SHADOW);
	case REG_EFER:
		return vmread(VMCS_GUEST_EFER);
	case REG_FS_BASE:
		return vmread(VMCS_GUEST_FS_BASE);
	case REG_GS_BASE:
		return vmread(VMCS_GUEST_GS_BASE);
	case REG_KERNEL_GS_BASE:
		return rdmsr(0xc0000102u);
	case REG_DR7:
		return vmread(VMCS_GUEST_DR7);
	default:
		ASSERT(reg <= REG_R15);
		return vcpu->gpr[reg];
	}
}

void vmx_reg_set(struct vcpu *vcpu, enum guest_reg reg, uint64_t val)
{
	switch (reg) {
	case REG_RSP:
		vmwrite(VMCS_GUEST_RSP, val);
		break;
	case REG_RIP:
		vmwrite(VMCS_GUEST_RIP, val);
		break;
	case REG_RFLAGS:
		vmwrite(VMCS_GUEST_RFLAGS, val);
		break;
	case REG_CR0:
		set_cr0(vcpu, val);
		break;
	case REG_CR2:
		write_cr2(val);
		break;
	case REG_CR3:
		vmwrite(VMCS_GUEST_CR3, val);
		load_pdptes(vcpu);
		break;
	case REG_CR4:
		set_cr4(vcpu, val);
		break;
	case REG_EFER:
		set_efer(vcpu, val);
		break;
	case REG_FS_BASE:
		vmwrite(VMCS_GUEST_FS_BASE, val);
		break;
	case REG_GS_BASE:
		vmwrite(VMCS_GUEST_GS_BASE, val);
		break;
	case REG_KERNEL_GS_BASE:
		wrmsr(0xc0000102u, val);
		break;
	case REG_DR7:
		vmwrite(VMCS_GUEST_DR7, val);
		break;
	default:
		ASSERT(reg <= REG_R15);
		vcpu->gpr[reg] = val;
		break;
	}
}

/* ---- segments: the four fields of each lie two apart in enum guest_seg's order ---- */

static uint32_t seg_field(uint32_t first, enum guest_seg seg)
{
	return first + 2 * (uint32_t)seg;
}

void vmx_seg_get(struct vcpu *vcpu, enum guest_seg seg, struct guest_segment *out)
{
	(void)vcpu;
	if (seg >= SEG_GDTR) {
		uint32_t table = (uint32_t)(seg - SEG_GDTR);

		*out = (struct guest_segment){
			.base = vmread(VMCS_GUEST_GDTR_BASE + 2 * table),
			.limit = (uint32_t)vmread(VMCS_GUEST_GDTR_LIMIT + 2 * table)};
		return;
	}
	uint32_t access = (uint32_t)vmread(seg_field(VMCS_GUEST_ES_ACCESS, seg));

	*out = (struct guest_segment){
		.base = vmread(seg_field(VMCS_GUEST_ES_BASE, seg)),
		.limit = (uint32_t)vmread(seg_field(VMCS_GUEST_ES_LIMIT, seg)),
		.selector = (uint16_t)vmread(seg_field(VMCS_GUEST_ES_SELECTOR, seg)),
		.attr = (uint16_t)((access & 0xf0ff) |
				   (access & ACCESS_UNUSABLE ? SEG_ATTR_UNUSABLE : 0)),
	};
}

void vmx_seg_set(struct vcpu *vcpu, enum guest_seg seg, const struct guest_segment *in)
{
	(void)vcpu;
	if (seg >= SEG_GDTR) {
		uint32_t table = (uint32_t)(seg - SEG_GDTR);

		vmwrite(VMCS_GUEST_GDTR_BASE + 2 * table, in->base);
		vmwrite(VMCS_GUEST_GDTR_LIMIT + 2 * table, in->limit);
		return;
	}
	vmwrite(seg_field(VMCS_GUEST_ES_BASE, seg), in->base);
	vmwrite(seg_field(VMCS_GUEST_ES_LIMIT, seg), in->limit);
	vmwrite(seg_field(VMCS_GUEST_ES_SELECTOR, seg), in->selector);
	vmwrite(seg_field(VMCS_GUEST_ES_ACCESS, seg),
		(in->attr & 0xf0ffu) | (in->attr & SEG_ATTR_UNUSABLE ? ACCESS_UNUSABLE : 0));
}

/* ---- MSRs that the VMCS switches ---- */

static const struct {
	uint32_t index, field;
} msr_fields[] = {
	{0x174, VMCS_GUEST_SYSENTER_CS},  {0x175, VMCS_GUEST_SYSENTER_ESP},
	{0x176, VMCS_GUEST_SYSENTER_EIP}, {0x277, VMCS_GUEST_PAT},
	{0x1d9, VMCS_GUEST_DEBUGCTL},	  {0xc0000100, VMCS_GUEST_FS_BASE},
	{0xc0000101, VMCS_GUEST_GS_BASE}, {0xc0000080, VMCS_GUEST_EFER},
};

bool vmx_msr_get(struct vcpu *vcpu, uint32_t index, uint64_t *val)
{
	(void)vcpu;
	for (size_t i = 0; i < ARRAY_SIZE(msr_fields); i++) {
		if (msr_fields[i].index == index) {
			*val = vmread(msr_fields[i].field);
			return true;
		}
	}
	return false;
}

bool vmx_msr_set(struct vcpu *vcpu, uint32_t index, uint64_t val)
{
	if (index == 0xc0000080u) {
		set_efer(vcpu, val);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(msr_fields); i++) {
		if (msr_fields[i].index == index) {
			vmwrite(msr_fields[i].field, val);
			return true;
		}
	}
	return false;
}

/* ---- instructions and events ---- */

/* The trap that a guest which steps itself expects behind an instruction that was carried out here.
 */
static void trap_single_step(struct vcpu *vcpu)
{
	write_dr6(read_dr6() | DR6_BS);
	vmx_inject(vcpu, (struct guest_event){.kind = EVENT_EXCEPTION, .vector = 1});
}

void vmx_skip(struct vcpu *vcpu, uint8_t insn_len)
{
	uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);
	uint64_t rip = vmread(VMCS_GUEST_RIP) + insn_len;

	if (!(vmread(VMCS_GUEST_CS_ACCESS) & BIT(13))) /* not 64-bit code: EIP wraps */
		rip = (uint32_t)rip;
	vmwrite(VMCS_GUEST_RIP, rip);
	if (blocking & (BLOCKING_STI | BLOCKING_MOV_SS))
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			blocking & ~(uint64_t)(BLOCKING_STI | BLOCKING_MOV_SS));
	if ((vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) &&
	    !(vmread(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		trap_single_step(vcpu);
}

bool vmx_can_take(struct vcpu *vcpu, enum guest_event_kind kind)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t blocking = vmread(VMCS_GUEST_INTERRUPTIBILITY);

	if (vmx->has_event || vmx->vectoring)
		return false;
	if (kind == EVENT_NMI)
		return !(blocking & (BLOCKING_NMI | BLOCKING_STI | BLOCKING_MOV_SS));
	return (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) &&
	       !(blocking & (BLOCKING_STI | BLOCKING_MOV_SS));
}

void vmx_inject(struct vcpu *vcpu, struct guest_event event)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	static const uint32_t types[] = {
		[EVENT_IRQ] = INTR_TYPE_EXTERNAL,
		[EVENT_NMI] = INTR_TYPE_NMI,
		[EVENT_EXCEPTION] = INTR_TYPE_HARDWARE,
	};
	uint64_t info = INTR_VALID | FIELD_PREP(INTR_TYPE, types[event.kind]) | event.vector;

	if (event.has_code && (vmread(VMCS_GUEST_CR0) & CR0_PE)) {
		info |= INTR_HAS_CODE;
		vmwrite(VMCS_ENTRY_ERROR_CODE, event.code);
	}
	vmwrite(VMCS_ENTRY_INTR_INFO, info);
	vmx->has_event = true;
}

/* What the CPU does to the debug registers when it delivers #DB, and has left undone for the exit.
 */
static void set_debug_status(void)
{
	uint64_t qual = vmread(VMCS_EXIT_QUALIFICATION);

	write_dr6((read_dr6() & ~DR6_MATCHES) | (qual & (DR6_MATCHES | DR6_BD | DR6_BS)));
	vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
}

void vmx_give_back_exception(struct vcpu *vcpu, uint32_t info)
{
	uint32_t type = (uint32_t)FIELD_GET(INTR_TYPE, info);

	if (FIELD_GET(INTR_VECTOR, info) == 1)
		set_debug_status();
	if (info & INTR_HAS_CODE)
		vmwrite(VMCS_ENTRY_ERROR_CODE, vmread(VMCS_EXIT_INTR_ERROR));
	if (type == INTR_TYPE_PRIV_SW) /* INT1 */
		vmwrite(VMCS_ENTRY_INSN_LEN, vmread(VMCS_EXIT_INSN_LEN));
	vmwrite(VMCS_ENTRY_INTR_INFO,
		info & (INTR_VALID | INTR_HAS_CODE | INTR_TYPE | INTR_VECTOR));
	vmx_of(vcpu)->has_event = true;
}

void vmx_want_window(struct vcpu *vcpu, enum guest_event_kind kind, bool want)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t bit = kind == EVENT_NMI ? CPU_NMI_WINDOW : CPU_INTERRUPT_WINDOW;
	uint32_t cpu = want ? vmx->cpu | bit : vmx->cpu & ~bit;

	if (cpu == vmx->cpu)
		return;
	vmx->cpu = cpu;
	vmwrite(VMCS_CPU_BASED, cpu);
}

/* ---- interrupt delivery ---- */

void vmx_apicv_rvi(struct vcpu *vcpu, int rvi, int svi)
{
	(void)vcpu;
	vmwrite(VMCS_GUEST_INTR_STATUS,
		(svi > 0 ? (uint64_t)svi << 8 : 0) | (rvi > 0 ? (uint64_t)rvi : 0));
}

void vmx_apicv_eoi_exits(struct vcpu *vcpu, const uint64_t vectors[4])
{
	(void)vcpu;
	for (uint32_t i = 0; i < 4; i++)
		vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, vectors[i]);
}

void vmx_tpr_threshold(struct vcpu *vcpu, uint8_t threshold)
{
	(void)vcpu;
	vmwrite(VMCS_TPR_THRESHOLD, threshold);
}
