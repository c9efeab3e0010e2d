/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-x: is it here, turn it on, enter a guest, say why it came out.
 *
 * Source: [SDM] "Introduction to Virtual Machine Extensions", "VM Entries", "VM Exits".
 */
#include "vmm/vmx/vmx.h"

#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/idt.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/mitigations.h"
#include "vmm/ept.h"
#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx_asm.h"
#include "vmm/vmx/vmx_check.h"
#include "vmm/vmx/vmx_decode.h"
#include "vmm/vmx/vmx_hw.h"

static_assert(FIELD_HOST_RSP == VMCS_HOST_RSP, "vmx_enter.S writes the stack pointer's field");
static_assert(VMX_AGAIN == VMX_FAST_AGAIN, "vmx_enter.S looks for it");

#define CPUID_1_ECX_VMX	     BIT(5)
#define MSR_FEATURE_CONTROL  0x3au
#define FEATURE_CONTROL_LOCK BIT(0)
#define FEATURE_CONTROL_VMX  BIT(2) /* outside SMX operation */
#define CR4_VMXE	     BIT(13)

struct vmx_ctl vmx_ctl;
struct vmx_cap vmx_cap;

/*
 * What a guest may own of CR4: all that this CPU has but VMXE, SMXE, LA57, and what we do not
 * offer. MCE is not among it: it stays on for this machine's own machine checks.
 */
#define CR4_OFFERED                                                                                \
	(BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(8) | BIT(9) |          \
	 BIT(10) | BIT(11) | BIT(16) | BIT(17) | BIT(18) | BIT(20) | BIT(21))

/* [SDM] "Time-Stamp Counter Offset and Multiplier": 16 bits before the point. */
static const struct tsc_scaling vmx_tsc_scaling = {.fraction_bits = 48, .least = 1, .most = ~0ull};

static void read_capabilities(struct vmx_cap *cap)
{
	uint64_t primary;

	*cap = (struct vmx_cap){
		.phys_bits = (uint8_t)(cpuid_if_present(0x80000008, 0).eax & 0xff),
		.basic = rdmsr(MSR_VMX_BASIC),
		.misc = rdmsr(MSR_VMX_MISC),
		.cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0),
		.cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1),
		.cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0),
		.cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1),
	};
	if (!(cap->basic & VMX_BASIC_TRUE_CTLS))
		return;
	cap->pin = rdmsr(MSR_VMX_TRUE_PINBASED);
	cap->cpu = primary = rdmsr(MSR_VMX_TRUE_PROCBASED);
	cap->exit = rdmsr(MSR_VMX_TRUE_EXIT);
	cap->entry = rdmsr(MSR_VMX_TRUE_ENTRY);
	if (primary >> 32 & CPU_SECONDARY)
		cap->cpu2 = rdmsr(MSR_VMX_PROCBASED2);
	if (cap->cpu2 >> 32 & (CPU2_EPT | CPU2_VPID))
		cap->ept_vpid = rdmsr(MSR_VMX_EPT_VPID_CAP);
}

/* Firmware may have locked VT-x off; if it locked nothing, we turn it on and lock. */
static bool firmware_allows(void)
{
	uint64_t control = rdmsr(MSR_FEATURE_CONTROL);

	if (!(control & FEATURE_CONTROL_LOCK)) {
		control |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
		wrmsr(MSR_FEATURE_CONTROL, control);
	}
	return control & FEATURE_CONTROL_VMX;
}

static enum vmx_apicv wanted_apicv(void)
{
	static const char *const words[] = {"off", "registers", "on"};

	return (enum vmx_apicv)cmdline_choose("apicv", words, ARRAY_SIZE(words),
					      VMX_APICV_DELIVERY);
}

/* No tick where none is needed: the preemption timer is for emulators only. See vmx_backstop(). */
static void choose_backstop(void)
{
	uint32_t ms = cmdline_number("backstop", 0);

	if (vmx_ctl.has_preemption_timer && ms >= 1 && ms <= 1000) {
		vmx_backstop_ticks = tsc_khz() * ms >> vmx_ctl.timer_shift;
		return;
	}
	vmx_ctl.has_preemption_timer = false;
	vmx_ctl.pin &= ~PIN_PREEMPTION_TIMER;
	vmx_ctl.exit &= ~EXIT_CTL_SAVE_TIMER;
}

static enum hv_err vmx_probe(struct virt_caps *caps)
{
	char missing[256];
	enum hv_err err;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_VMX))
		return HV_ENOENT;
	if (!firmware_allows()) {
		log_err("vmx",
			"VT-x is switched off and locked by firmware: enable Intel Virtualization "
			"Technology in the firmware's set-up, then cold boot");
		return HV_ENOTSUP;
	}
	read_capabilities(&vmx_cap);
	err = vmx_ctl_choose(&vmx_cap, wanted_apicv(), &vmx_ctl, missing, sizeof(missing),
			     caps->features, sizeof(caps->features));
	if (err != HV_OK) {
		log_err("vmx", "this CPU's VT-x lacks: %s; a guest cannot run here", missing);
		return err;
	}
	vmx_choose_entry();
	choose_backstop();
	caps->has_apicv = vmx_ctl.apicv == VMX_APICV_DELIVERY;
	caps->cr4_guest_owned = CR4_OFFERED & vmx_cap.cr4_fixed1;
	caps->has_1g = vmx_ctl.has_ept_1g;
	caps->gpa_bits = (uint8_t)MIN(cpuid_if_present(0x80000008, 0).eax & 0xff, 48u);
	if (vmx_ctl.has_tsc_scaling)
		caps->tsc_scaling = vmx_tsc_scaling;
	return HV_OK;
}

static enum hv_err vmx_cpu_on(struct cpu *cpu)
{
	hpa_t region = pages_alloc(0);
	uint32_t *revision;

	if (region == HPA_NONE)
		return HV_ENOMEM;
	if (!firmware_allows())
		return HV_ENOTSUP;
	revision = hva_of(region);
	*revision = (uint32_t)(vmx_cap.basic & VMX_BASIC_REVISION);
	write_cr0((read_cr0() | vmx_cap.cr0_fixed0) & vmx_cap.cr0_fixed1);
	write_cr4((read_cr4() | CR4_VMXE | vmx_cap.cr4_fixed0) & vmx_cap.cr4_fixed1);
	if (!vmxon(region)) {
		pages_free(region, 0);
		return HV_EIO;
	}
	cpu->virt = revision;
	mitigations_cpu_on();
	if (vmx_cap.ept_vpid & EPT_CAP_INVEPT_ALL)
		invept(INVEPT_ALL, 0);
	return HV_OK;
}

static uint64_t read_for_check(void *ctx, uint32_t field)
{
	(void)ctx;
	return vmread(field);
}

/* What the checker found, or the CPU's own error number when it found nothing. */
static const char *why_entry_failed(char *text, size_t cap_bytes)
{
	const char *why = vmx_check(read_for_check, NULL, &vmx_cap, text, cap_bytes);

	return why ? why : "no check of ours found it; see the VMCS dump";
}

static void fail_entry(struct vcpu *vcpu, uint64_t how, struct vm_exit *exit)
{
	static char text[160];

	exit->kind = EXIT_ENTRY_FAILED;
	exit->raw = how == 1 ? 0 : (uint32_t)vmread(VMCS_INSN_ERROR);
	exit->failed.why = why_entry_failed(text, sizeof(text));
	log_err("vmx", "vm %u vcpu %u: entry refused (%s, error %u): %s", vcpu->vm->id, vcpu->index,
		how == 1 ? "VMfailInvalid" : "VMfailValid", exit->raw, exit->failed.why);
}

/*
 * An exit in the middle of delivering an event: it is delivered anew at the next entry. A guest can
 * make that go on for ever, without one moment between two instructions, at which an interrupt
 * would come out; so they are let in here.
 */
static void keep_vectoring(struct vmx_vcpu *vmx)
{
	uint32_t info = (uint32_t)vmread(VMCS_IDT_VECTORING_INFO);

	vmx->vectoring = info & INTR_VALID ? info : 0;
	if (!vmx->vectoring)
		return;
	vmx->vectoring_code = (uint32_t)vmread(VMCS_IDT_VECTORING_ERROR);
	vmx->vectoring_len = (uint32_t)vmread(VMCS_EXIT_INSN_LEN);
	cpu_take_interrupts();
}

static void deliver_again(struct vmx_vcpu *vmx)
{
	uint32_t info = vmx->vectoring & (INTR_VALID | INTR_HAS_CODE | INTR_TYPE | INTR_VECTOR);
	uint32_t type = (uint32_t)FIELD_GET(INTR_TYPE, info);

	vmx->vectoring = 0;
	if (vmx->has_event)
		return;
	if (info & INTR_HAS_CODE)
		vmwrite(VMCS_ENTRY_ERROR_CODE, vmx->vectoring_code);
	if (type == INTR_TYPE_SOFTWARE || type == INTR_TYPE_PRIV_SW ||
	    type == INTR_TYPE_SW_EXCEPTION)
		vmwrite(VMCS_ENTRY_INSN_LEN, vmx->vectoring_len);
	vmwrite(VMCS_ENTRY_INTR_INFO, info);
}

/* The next one may come before an instruction has been run: see keep_vectoring(). */
static void give_back_exception(struct vcpu *vcpu, uint32_t info)
{
	vmx_give_back_exception(vcpu, info);
	cpu_take_interrupts();
}

/* NMIs and machine checks are this machine's; run their handlers so that IRET unblocks them. */
static void decode_exception(struct vcpu *vcpu, struct vm_exit *exit)
{
	uint32_t info = (uint32_t)vmread(VMCS_EXIT_INTR_INFO);

	exit->kind = EXIT_NONE;
	if (FIELD_GET(INTR_TYPE, info) == INTR_TYPE_NMI)
		__asm__ volatile("int $2");
	else if (FIELD_GET(INTR_VECTOR, info) == VECTOR_MACHINE_CHECK)
		__asm__ volatile("int $18");
	else
		give_back_exception(vcpu, info);
}

static void decode_entry_failure(struct vcpu *vcpu, struct vm_exit *exit)
{
	static char text[160];

	exit->failed.why = why_entry_failed(text, sizeof(text));
	log_err("vmx", "vm %u vcpu %u: guest state refused (reason %u, qualification %llu): %s",
		vcpu->vm->id, vcpu->index, exit->raw & REASON_BASIC,
		(unsigned long long)vmread(VMCS_EXIT_QUALIFICATION), exit->failed.why);
}

static void decode(struct vcpu *vcpu, struct vm_exit *exit)
{
	const uint64_t *gpr = vcpu->gpr;
	uint32_t reason = (uint32_t)vmread(VMCS_EXIT_REASON);

	exit->raw = reason;
	exit->kind = vmx_decode_reason(reason);
	switch (reason & REASON_BASIC) {
	case REASON_EXCEPTION_OR_NMI:
		decode_exception(vcpu, exit);
		return;
	case REASON_EXTERNAL_INTERRUPT:
		exit->irq.vector = (uint8_t)FIELD_GET(INTR_VECTOR, vmread(VMCS_EXIT_INTR_INFO));
		return;
	case REASON_IO:
		if (vmx_decode_io(vmread(VMCS_EXIT_QUALIFICATION),
				  (uint32_t)vmread(VMCS_EXIT_INSN_INFO),
				  vmread(VMCS_GUEST_LINEAR_ADDRESS), exit) != HV_OK)
			exit->kind = EXIT_UNKNOWN;
		break;
	case REASON_CR_ACCESS:
		if (vmx_decode_cr(vmread(VMCS_EXIT_QUALIFICATION), gpr, vmread(VMCS_GUEST_RSP),
				  vmx_reg_get(vcpu, REG_CR0), exit) != HV_OK)
			exit->kind = EXIT_UNKNOWN;
		break;
	case REASON_EPT_VIOLATION:
		vmx_decode_ept(vmread(VMCS_EXIT_QUALIFICATION), vmread(VMCS_GUEST_PHYSICAL_ADDRESS),
			       vmread(VMCS_GUEST_LINEAR_ADDRESS), exit);
		return;
	case REASON_RDMSR:
	case REASON_WRMSR:
		exit->msr.index = (uint32_t)gpr[REG_RCX];
		exit->msr.value = gpr[REG_RDX] << 32 | (uint32_t)gpr[REG_RAX];
		break;
	case REASON_XSETBV:
		exit->xcr.index = (uint32_t)gpr[REG_RCX];
		exit->xcr.value = gpr[REG_RDX] << 32 | (uint32_t)gpr[REG_RAX];
		break;
	case REASON_APIC_WRITE:
		exit->apic.offset = vmread(VMCS_EXIT_QUALIFICATION) & APICQ_OFFSET;
		return;
	case REASON_APIC_ACCESS: {
		uint64_t qual = vmread(VMCS_EXIT_QUALIFICATION);

		exit->mmio.gpa = 0xfee00000ull | FIELD_GET(APICQ_OFFSET, qual);
		exit->mmio.has_gva = false;
		exit->mmio.gva = 0;
		exit->mmio.is_write = FIELD_GET(APICQ_TYPE, qual) == 1;
		exit->mmio.is_fetch = FIELD_GET(APICQ_TYPE, qual) == 2;
		return;
	}
	case REASON_VIRTUALIZED_EOI:
		exit->eoi.vector = (uint8_t)vmread(VMCS_EXIT_QUALIFICATION);
		return;
	case REASON_PREEMPTION_TIMER:
		vmx_backstop();
		return;
	case REASON_MACHINE_CHECK_ENTRY:
		__asm__ volatile("int $18");
		exit->kind = EXIT_NONE;
		return;
	default:
		break;
	}
	if (exit->kind == EXIT_ENTRY_FAILED)
		decode_entry_failure(vcpu, exit);
	else
		exit->insn_len = (uint8_t)vmread(VMCS_EXIT_INSN_LEN);
}

static void vmx_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t how;

	if (vmx->vectoring)
		deliver_again(vmx);
	how = vmx_entry.enter(vcpu, vmx->is_launched);
	exit->insn_len = 0;
	if (how == 1 || how == 2) {
		fail_entry(vcpu, how, exit);
		return;
	}
	vmx->is_launched = true;
	vmx->has_event = false;
	if (how == VMX_FAST_DONE) {
		exit->kind = EXIT_NONE;
		exit->raw = REASON_IO;
		return;
	}
	keep_vectoring(vmx);
	decode(vcpu, exit);
}

static const struct {
	uint32_t field;
	const char *name;
} dump_rows[] = {
	{VMCS_GUEST_RIP, "rip"},
	{VMCS_GUEST_RSP, "rsp"},
	{VMCS_GUEST_RFLAGS, "rflags"},
	{VMCS_GUEST_CR0, "cr0"},
	{VMCS_GUEST_CR3, "cr3"},
	{VMCS_GUEST_CR4, "cr4"},
	{VMCS_GUEST_EFER, "efer"},
	{VMCS_GUEST_CS_SELECTOR, "cs"},
	{VMCS_GUEST_CS_ACCESS, "cs.access"},
	{VMCS_GUEST_INTERRUPTIBILITY, "interruptibility"},
	{VMCS_GUEST_ACTIVITY_STATE, "activity"},
	{VMCS_ENTRY_INTR_INFO, "entry.event"},
	{VMCS_IDT_VECTORING_INFO, "vectoring"},
	{VMCS_EXIT_REASON, "reason"},
	{VMCS_EXIT_QUALIFICATION, "qualification"},
	{VMCS_GUEST_PHYSICAL_ADDRESS, "gpa"},
	{VMCS_GUEST_LINEAR_ADDRESS, "gva"},
};

static void vmx_dump(struct vcpu *vcpu)
{
	for (size_t i = 0; i < ARRAY_SIZE(dump_rows); i++)
		log_info("vmx", "vm %u vcpu %u: %s=%llx", vcpu->vm->id, vcpu->index,
			 dump_rows[i].name, (unsigned long long)vmread(dump_rows[i].field));
}

const struct virt_ops vmx_ops = {
	.name = "vmx",
	.npt_format = &ept_format_intel,
	.probe = vmx_probe,
	.cpu_on = vmx_cpu_on,
	.vm_init = vmx_vm_init,
	.vm_destroy = vmx_vm_destroy,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.run = vmx_run,
	.reg_get = vmx_reg_get,
	.reg_set = vmx_reg_set,
	.seg_get = vmx_seg_get,
	.seg_set = vmx_seg_set,
	.msr_get = vmx_msr_get,
	.msr_set = vmx_msr_set,
	.skip = vmx_skip,
	.can_take = vmx_can_take,
	.inject = vmx_inject,
	.want_window = vmx_want_window,
	.apicv_rvi = vmx_apicv_rvi,
	.apicv_eoi_exits = vmx_apicv_eoi_exits,
	.apic_mode = vmx_apic_mode,
	.tpr_threshold = vmx_tpr_threshold,
	.dump = vmx_dump,
};
