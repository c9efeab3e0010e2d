/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-V: is it here, turn it on, enter a guest, say why it came out.
 *
 * Source: [APM] "Secure Virtual Machine".
 */
#include "vmm/svm/svm.h"

#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/idt.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/mitigations.h"
#include "vmm/dev/lapic.h"
#include "vmm/ept.h"
#include "vmm/guest_access.h"
#include "vmm/msr.h"
#include "vmm/svm/svm_asm.h"
#include "vmm/svm/svm_check.h"
#include "vmm/svm/svm_decode.h"
#include "vmm/vcpu.h"

static_assert(SVM_AGAIN == SVM_FAST_AGAIN, "svm_enter.S looks for it");

#define CPUID_EXT1_ECX_SVM BIT(2)
#define MSRPM_ORDER	   1 /* 8 KiB */
#define IOPM_ORDER	   2 /* 12 KiB */
#define IOPM_BYTES	   (3 * PAGE_SIZE)
#define VECTOR_AC	   17
#define ATTR_L		   BIT(9) /* of CS, as struct vmcb_seg has it: 64-bit code */

struct svm_ctl svm_ctl;
hpa_t svm_iopm = HPA_NONE, svm_msrpm = HPA_NONE;
uint64_t svm_efer_hidden = EFER_SVME;
static svm_enter_fn *svm_enter; /* fixed after probing */

/* ---- turning it on ---- */

static const struct tsc_scaling svm_tsc_scaling = {
	.fraction_bits = TSC_RATIO_FRACTION, .least = 1, .most = TSC_RATIO_MOST};

static void read_capabilities(struct svm_cap *cap)
{
	static const char *const words[] = {"off", "on"};
	struct cpuid_regs leaf7 = cpuid_if_present(7, 0), svm = cpuid_if_present(0x8000000au, 0);

	*cap = (struct svm_cap){
		.leaf1_ecx = cpuid(1, 0).ecx,
		.leaf7_ebx = leaf7.ebx,
		.leaf7_ecx = leaf7.ecx,
		.ext1_edx = cpuid_if_present(0x80000001u, 0).edx,
		.svm_ebx = svm.ebx,
		.svm_edx = svm.edx,
		.wants_avic = cmdline_choose("avic", words, ARRAY_SIZE(words), 0) == 1,
	};
}

/* Firmware may have switched AMD-V off, and locked that; if it is not locked, we turn it on. */
static bool firmware_allows(void)
{
	uint64_t control;

	if (!rdmsr_safe(MSR_VM_CR, &control) || !(control & VM_CR_SVMDIS))
		return true;
	if (control & VM_CR_LOCK)
		return false;
	return wrmsr_safe(MSR_VM_CR, control & ~VM_CR_SVMDIS) && !(rdmsr(MSR_VM_CR) & VM_CR_SVMDIS);
}

/*
 * Every port exits. So do all MSRs but those that the CPU switches with the guest, and TSC_AUX; PAT
 * is the VMCB's too, but guests touch it once.
 */
static enum hv_err make_maps(void)
{
	svm_iopm = pages_alloc(IOPM_ORDER);
	svm_msrpm = pages_alloc(MSRPM_ORDER);
	if (svm_iopm == HPA_NONE || svm_msrpm == HPA_NONE)
		return HV_ENOMEM; /* at boot: the node does not start */
	memset(hva_of(svm_iopm), 0xff, IOPM_BYTES);
	memset(hva_of(svm_msrpm), 0xff, 2 * PAGE_SIZE);
	for (size_t i = 0; i < msr_nr_rows(); i++) {
		const struct msr_row *row = msr_row_at(i);

		if (row->kind == MSR_PASS_THROUGH && row->index != MSR_IA32_PAT)
			svm_msrpm_pass(hva_of(svm_msrpm), row->index);
	}
	return HV_OK;
}

static enum hv_err svm_probe(struct virt_caps *caps)
{
	struct svm_cap cap;
	char missing[160];
	enum hv_err err;

	if (!(cpuid_if_present(0x80000001u, 0).ecx & CPUID_EXT1_ECX_SVM))
		return HV_ENOENT;
	if (!firmware_allows()) {
		log_err("svm", "AMD-V is switched off and locked by firmware: enable SVM in the "
			       "firmware's set-up, "
			       "then cold boot");
		return HV_ENOTSUP;
	}
	read_capabilities(&cap);
	err = svm_ctl_choose(&cap, &svm_ctl, missing, sizeof(missing), caps->features,
			     sizeof(caps->features));
	if (err != HV_OK) {
		log_err("svm", "this CPU's AMD-V lacks: %s; a guest cannot run here", missing);
		return err;
	}
	svm_enter = mitigations.measures & MEASURES_AT_ENTRY ? svm_enter_guarded : svm_enter_plain;
	if (svm_ctl.has_avic) {
		svm_avic_init(svm_enter);
		svm_enter = svm_avic_enter;
	}
	if (mitigations.measures & BIT(MEASURE_AUTO_IBRS))
		svm_efer_hidden |= EFER_AIBRSE;
	caps->has_apicv = false; /* AVIC is each vCPU's own matter */
	caps->has_doorbell = svm_ctl.has_avic;
	caps->cr4_guest_owned = svm_ctl.cr4_offered & ~CR4_MCE;
	caps->has_1g = svm_ctl.has_1g;
	caps->gpa_bits =
		(uint8_t)MIN(cpuid_if_present(0x80000008u, 0).eax & 0xff, (uint32_t)EPT_GPA_BITS);
	if (svm_ctl.has_tsc_ratio)
		caps->tsc_scaling = svm_tsc_scaling;
	return make_maps();
}

static enum hv_err svm_cpu_on(struct cpu *cpu)
{
	struct svm_cpu *svm;

	if (!firmware_allows())
		return HV_ENOTSUP;
	svm = kmem_alloc(sizeof(*svm));
	if (!svm)
		return HV_ENOMEM;
	svm->host_save = pages_alloc(0);
	if (svm->host_save == HPA_NONE)
		goto free_svm;
	svm->host_vmcb = pages_alloc(0);
	if (svm->host_vmcb == HPA_NONE)
		goto free_save;
	svm_asids_init(&svm->asids, svm_ctl.nr_asids);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, svm->host_save);
	svm->tsc_ratio = TSC_RATIO_ONE;
	if (svm_ctl.has_tsc_ratio)
		wrmsr(MSR_TSC_RATIO, svm->tsc_ratio); /* firmware may have left another */
	__asm__ volatile("vmsave %%rax" : : "a"(svm->host_vmcb) : "memory");
	cpu->virt = svm;
	mitigations_cpu_on();
	return HV_OK;

free_save:
	pages_free(svm->host_save, 0);
free_svm:
	kmem_free(svm);
	return HV_ENOMEM;
}

/* All that a VM's vCPUs share is the same for all VMs, but the nested tables and AVIC's. */
static enum hv_err svm_vm_init(struct vm *vm)
{
	return svm_ctl.has_avic ? svm_avic_vm_init(vm) : HV_OK;
}

static void svm_vm_destroy(struct vm *vm)
{
	if (svm_ctl.has_avic)
		svm_avic_vm_destroy(vm);
}

/* The LAPIC's page is no memory in any mode, so its accesses are emulated whenever they are its
 * own; but where AVIC is on, which looks at the mode before each entry. */
static void svm_apic_mode(struct vcpu *vcpu, bool is_enabled, bool is_x2apic)
{
	(void)vcpu;
	(void)is_enabled;
	(void)is_x2apic;
}

/* ---- exits ---- */

bool svm_fetch_insn(struct vcpu *vcpu, uint64_t exit_code, struct svm_insn *insn,
		    enum insn_mode *mode)
{
	uint8_t bytes[INSN_MAX_BYTES];
	size_t len;

	return guest_fetch(vcpu, bytes, &len, mode) &&
	       svm_insn_decode(exit_code, bytes, len, *mode, insn) == HV_OK;
}

/* Length of the instruction behind an exit that will be skipped. False: it is not there any more.
 */
static bool find_length(struct vcpu *vcpu, struct vm_exit *exit)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);
	struct svm_insn insn;
	enum insn_mode mode;

	if (svm_ctl.has_nrip_save) {
		exit->insn_len = (uint8_t)(vmcb->control.n_rip - vmcb->save.rip);
		return true;
	}
	if (!svm_fetch_insn(vcpu, vmcb->control.exit_code, &insn, &mode))
		return false;
	exit->insn_len = insn.len;
	return true;
}

/* What the CPU left out of a string form is in its prefixes. */
static bool complete_string(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct svm_insn insn;
	enum insn_mode mode;
	struct guest_segment seg;

	if (!svm_fetch_insn(vcpu, VMEXIT_IOIO, &insn, &mode))
		return false;
	exit->io.addr_size = insn.addr_size;
	if (!exit->io.is_in)
		exit->io.seg = insn.seg;
	svm_seg_get(vcpu, exit->io.seg, &seg);
	exit->io.gva = svm_string_gva(mode, exit->io.addr_size,
				      vcpu->gpr[exit->io.is_in ? REG_RDI : REG_RSI], exit->io.seg,
				      seg.base);
	return true;
}

static void decode_io(struct vcpu *vcpu, struct vm_exit *exit)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);

	exit->insn_len = (uint8_t)(vmcb->control.exit_info_2 - vmcb->save.rip);
	if (svm_decode_io(vmcb->control.exit_info_1, exit) != HV_OK)
		exit->kind = EXIT_UNKNOWN;
	else if (exit->io.is_string && !complete_string(vcpu, exit))
		exit->kind = EXIT_NONE;
}

static uint8_t cr_of(uint64_t exit_code)
{
	return exit_code == VMEXIT_CR0_SEL_WRITE ? 0 : exit_code & 0xf;
}

static uint64_t cr_value(struct vcpu *vcpu, const struct svm_insn *insn)
{
	uint64_t val = svm_reg_get(vcpu, insn->gpr);

	if (insn->is_lmsw) /* loads PE, MP, EM, TS and cannot clear PE */
		return (svm_reg_get(vcpu, REG_CR0) & ~0xeull) | (val & 0xf);
	return vmcb_of(vcpu)->save.cs.attrib & ATTR_L ? val : (uint32_t)val;
}

static void decode_cr(struct vcpu *vcpu, struct vm_exit *exit)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);
	uint64_t code = vmcb->control.exit_code, info = vmcb->control.exit_info_1;
	struct svm_insn insn = {.cr = cr_of(code), .gpr = info & CR_INFO_GPR};
	enum insn_mode mode;

	if (svm_ctl.has_decode_assists && svm_ctl.has_nrip_save && (info & CR_INFO_MOV)) {
		insn.len = (uint8_t)(vmcb->control.n_rip - vmcb->save.rip);
	} else if (!svm_fetch_insn(vcpu, code, &insn, &mode) || insn.cr != cr_of(code)) {
		exit->kind = EXIT_UNKNOWN;
		return;
	}
	exit->insn_len = insn.len;
	exit->cr.nr = insn.cr;
	exit->cr.reg = insn.gpr;
	exit->cr.value = cr_value(vcpu, &insn);
}

/* What an EXIT_TPR is elsewhere, too: the write is done, and the priorities are looked at. */
static void carry_out_cr8(struct vcpu *vcpu, struct vm_exit *exit)
{
	uint64_t val;

	decode_cr(vcpu, exit);
	if (exit->kind == EXIT_UNKNOWN)
		return;
	val = exit->cr.value;
	if (val > 15) {
		vcpu_raise_code(vcpu, VECTOR_GP, 0);
		return;
	}
	lapic_set_cr8(vcpu->lapic, (uint8_t)val);
	svm_skip(vcpu, exit->insn_len);
}

/* Of the guest's own #DB and #AC, the next may come before an instruction has been run: see
 * svm_keep_vectoring(). */
static void decode_debug(struct vcpu *vcpu, struct vm_exit *exit)
{
	if (!svm_is_guests_trap(svm_of(vcpu))) {
		exit->kind = EXIT_NMI_WINDOW;
		return;
	}
	vcpu_raise(vcpu, VECTOR_DB);
	cpu_take_interrupts();
}

/* The CPU looks at CPL only when the instruction does not exit; QEMU, not even at OSXSAVE. */
static void decode_xsetbv(struct vcpu *vcpu, struct vm_exit *exit)
{
	if (!(svm_reg_get(vcpu, REG_CR4) & CR4_OSXSAVE)) {
		exit->kind = EXIT_UNDEFINED;
		return;
	}
	if (vmcb_of(vcpu)->save.cpl != 0) {
		exit->kind = EXIT_NONE;
		vcpu_raise_code(vcpu, VECTOR_GP, 0);
		return;
	}
	exit->xcr.index = (uint32_t)vcpu->gpr[REG_RCX];
	exit->xcr.value = vcpu->gpr[REG_RDX] << 32 | (uint32_t)vcpu->gpr[REG_RAX];
}

static void decode_entry_failure(struct vcpu *vcpu, struct vm_exit *exit)
{
	const char *why = svm_check(vmcb_of(vcpu), (uint8_t)cpuid_if_present(0x80000008u, 0).eax);

	exit->failed.why = why ? why : "no check of ours found it; see the VMCB dump";
	log_err("svm", "vm %u vcpu %u: entry refused: %s", vcpu->vm->id, vcpu->index,
		exit->failed.why);
}

static void decode_avic(struct vcpu *vcpu, struct vm_exit *exit)
{
	const struct vmcb_control *c = &vmcb_of(vcpu)->control;

	if (c->exit_code == VMEXIT_AVIC_INCOMPLETE_IPI)
		svm_avic_finish_ipi(vcpu, exit);
	else
		svm_avic_decode_access(c->exit_info_1, c->exit_info_2, lapic_svi(vcpu->lapic),
				       exit);
}

/* The exits that are more than their code. */
static void decode_details(struct vcpu *vcpu, struct vm_exit *exit)
{
	const struct vmcb_control *c = &vmcb_of(vcpu)->control;

	switch (c->exit_code) {
	case VMEXIT_EXCP(1):
		decode_debug(vcpu, exit);
		return;
	case VMEXIT_EXCP(VECTOR_AC):
		vcpu_raise_code(vcpu, VECTOR_AC, (uint32_t)c->exit_info_1);
		cpu_take_interrupts();
		return;
	case VMEXIT_EXCP(VECTOR_MACHINE_CHECK):
		__asm__ volatile("int $18");
		return;
	case VMEXIT_IRET:
		svm_see_iret(svm_of(vcpu));
		return;
	case VMEXIT_INTR:
		exit->irq.vector = 0; /* not acknowledged */
		return;
	case VMEXIT_IOIO:
		decode_io(vcpu, exit);
		return;
	case VMEXIT_CR0_SEL_WRITE:
	case VMEXIT_CR_READ(4):
	case VMEXIT_CR_WRITE(4):
		decode_cr(vcpu, exit);
		return;
	case VMEXIT_CR_WRITE(8):
		carry_out_cr8(vcpu, exit);
		return;
	case VMEXIT_NPF:
		svm_decode_npf(c->exit_info_1, c->exit_info_2, exit);
		return;
	case VMEXIT_MSR:
		exit->kind = c->exit_info_1 ? EXIT_WRMSR : EXIT_RDMSR;
		exit->msr.index = (uint32_t)vcpu->gpr[REG_RCX];
		exit->msr.value = vcpu->gpr[REG_RDX] << 32 | (uint32_t)vcpu->gpr[REG_RAX];
		break;
	case VMEXIT_XSETBV:
		decode_xsetbv(vcpu, exit);
		break;
	case VMEXIT_CPUID:
	case VMEXIT_HLT:
	case VMEXIT_INVD:
	case VMEXIT_WBINVD:
	case VMEXIT_VMMCALL:
		break;
	case VMEXIT_INVALID:
		decode_entry_failure(vcpu, exit);
		return;
	default:
		if (exit->kind == EXIT_APIC_WRITE)
			decode_avic(vcpu, exit);
		return;
	}
	if (exit->kind != EXIT_NONE && !find_length(vcpu, exit))
		exit->kind = EXIT_NONE;
}

/* ---- the run ---- */

/* CR8 is the VMCB's while the guest runs, and the LAPIC's page between. */
static void give_cr8(struct vcpu *vcpu, struct vmcb *vmcb)
{
	uint64_t vintr = (vmcb->control.vintr & ~VINTR_V_TPR) | lapic_get_cr8(vcpu->lapic);

	if (vintr == vmcb->control.vintr)
		return;
	vmcb->control.vintr = vintr;
	vmcb->control.clean &= ~CLEAN_TPR;
}

static void svm_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	const struct svm_cpu *cpu = svm->host->virt;
	struct vmcb *vmcb = svm->vmcb;
	enum svm_fast how;

	if (svm->vectoring)
		svm_deliver_again(svm);
	give_cr8(vcpu, vmcb);
	svm_tag(vcpu);
	vmcb->save.rax = vcpu->gpr[REG_RAX];
	how = svm_enter(vcpu, svm->vmcb_hpa, cpu->host_vmcb);
	exit->insn_len = 0;
	exit->raw = (uint32_t)vmcb->control.exit_code;
	if (how == SVM_FAST_DONE) {
		exit->kind = EXIT_NONE;
		return;
	}
	svm_keep_vectoring(svm);
	exit->kind = svm_decode_code(vmcb->control.exit_code);
	decode_details(vcpu, exit);
	svm_track_iret(svm);
}

static void svm_dump(struct vcpu *vcpu)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"rip", vmcb->save.rip},
		{"rsp", vmcb->save.rsp},
		{"rflags", vmcb->save.rflags},
		{"cr0", vmcb->save.cr0},
		{"cr3", vmcb->save.cr3},
		{"cr4", vmcb->save.cr4},
		{"efer", vmcb->save.efer},
		{"cs", vmcb->save.cs.selector},
		{"cs.attrib", vmcb->save.cs.attrib},
		{"cpl", vmcb->save.cpl},
		{"interrupt_shadow", vmcb->control.interrupt_shadow},
		{"vintr", vmcb->control.vintr},
		{"event_inj", vmcb->control.event_inj},
		{"exit_int_info", vmcb->control.exit_int_info},
		{"exit_code", vmcb->control.exit_code},
		{"exit_info_1", vmcb->control.exit_info_1},
		{"exit_info_2", vmcb->control.exit_info_2},
		{"asid", vmcb->control.asid},
		{"n_cr3", vmcb->control.n_cr3},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		log_info("svm", "vm %u vcpu %u: %s=%llx", vcpu->vm->id, vcpu->index, rows[i].name,
			 (unsigned long long)rows[i].value);
}

const struct virt_ops svm_ops = {
	.name = "svm",
	.npt_format = &ept_format_amd,
	.probe = svm_probe,
	.cpu_on = svm_cpu_on,
	.vm_init = svm_vm_init,
	.vm_destroy = svm_vm_destroy,
	.vcpu_init = svm_vcpu_init,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.run = svm_run,
	.reg_get = svm_reg_get,
	.reg_set = svm_reg_set,
	.seg_get = svm_seg_get,
	.seg_set = svm_seg_set,
	.msr_get = svm_msr_get,
	.msr_set = svm_msr_set,
	.skip = svm_skip,
	.can_take = svm_can_take,
	.inject = svm_inject,
	.want_window = svm_want_window,
	.apic_mode = svm_apic_mode,
	.apicv_post = svm_apicv_post,
	.tpr_threshold = svm_tpr_threshold,
	.dump = svm_dump,
};
