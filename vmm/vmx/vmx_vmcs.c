/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VMCS's life. It is filled when its vCPU first comes onto its CPU, is active there from load to
 * put, and is clear, so that any CPU may take it, otherwise.
 *
 * Source: [SDM] "Virtual Machine Control Structures"; "Processor State and Instruction Pointer
 * After Reset" for what a guest starts with.
 */
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/gdt.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "vmm/dev/lapic.h"
#include "vmm/ept.h"
#include "vmm/layout.h"
#include "vmm/msr.h"
#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx.h"
#include "vmm/vmx/vmx_hw.h"

#define MSR_PAT		   0x277u
#define MSR_STAR	   0xc0000081u
#define MSR_LSTAR	   0xc0000082u
#define MSR_CSTAR	   0xc0000083u
#define MSR_FMASK	   0xc0000084u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX	   0xc0000103u

#define PAT_RESET 0x0007040600070406ull

/* [SDM] "VM-Execution Control Fields", PAUSE-Loop Exiting: TSC ticks between two PAUSEs of one
 * loop, and those that a loop may take. */
#define PAUSE_LOOP_GAP	  128
#define PAUSE_LOOP_WINDOW 4096

/* CR0 bits that the guest changes without an exit. NE stays on below it, whatever it sees. */
#define CR0_GUEST_OWNED (BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(16) | BIT(18) | BIT(31))

struct vmx_vm {		   /* pages that all vCPUs of a VM share */
	hpa_t io_bitmaps;  /* two pages, all ones: every port exits */
	hpa_t apic_access; /* never read or written by anybody: an address that means the APIC */
};

static const uint32_t switched_msrs[SWITCHED_MSRS] = {
	[SWITCHED_STAR] = MSR_STAR,
	[SWITCHED_LSTAR] = MSR_LSTAR,
	[SWITCHED_CSTAR] = MSR_CSTAR,
	[SWITCHED_FMASK] = MSR_FMASK,
	[SWITCHED_KERNEL_GS] = MSR_KERNEL_GS_BASE,
	[SWITCHED_TSC_AUX] = MSR_TSC_AUX,
};

static uint16_t next_vpid =
	1; /* grows with each vCPU; on wrap-around the first load flushes anyway */

/* ---- VM ---- */

enum hv_err vmx_vm_init(struct vm *vm)
{
	struct vmx_vm *shared = kmem_alloc(sizeof(*shared));
	enum hv_err err = HV_ENOMEM;

	if (!shared)
		return HV_ENOMEM;
	shared->io_bitmaps = pages_alloc(1);
	if (shared->io_bitmaps == HPA_NONE)
		goto free_shared;
	memset(hva_of(shared->io_bitmaps), 0xff, 2 * PAGE_SIZE);
	shared->apic_access = pages_alloc(0);
	if (shared->apic_access == HPA_NONE)
		goto free_bitmaps;
	if (vmx_ctl.apicv >= VMX_APICV_REGISTERS) {
		err = ept_map(vm->ept, LAYOUT_LAPIC, shared->apic_access, PAGE_SIZE,
			      EPT_READ | EPT_WRITE, EPT_WRITE_BACK);
		if (err != HV_OK)
			goto free_access;
	}
	vm->arch = shared;
	return HV_OK;

free_access:
	pages_free(shared->apic_access, 0);
free_bitmaps:
	pages_free(shared->io_bitmaps, 1);
free_shared:
	kmem_free(shared);
	return err;
}

void vmx_vm_destroy(struct vm *vm)
{
	struct vmx_vm *shared = vm->arch;

	if (!shared)
		return;
	pages_free(shared->apic_access, 0);
	pages_free(shared->io_bitmaps, 1);
	kmem_free(shared);
	vm->arch = NULL;
}

/* ---- MSR bitmap ---- */

enum msr_access {
	MSR_READ = 0,
	MSR_WRITE = 2048
}; /* offset of the half that covers it, in bytes */

static void bitmap_pass(uint8_t *bitmap, enum msr_access access, uint32_t index, bool pass)
{
	uint32_t high = index >= 0xc0000000u ? 1024 : 0, bit = index & 0x1fff;
	uint8_t *byte = bitmap + access + high + bit / 8;

	if (pass)
		*byte &= (uint8_t)~(1u << bit % 8);
	else
		*byte |= (uint8_t)(1u << bit % 8);
}

static void bitmap_pass_both(void *bitmap, uint32_t index)
{
	bitmap_pass(bitmap, MSR_READ, index, true);
	bitmap_pass(bitmap, MSR_WRITE, index, true);
}

static void fill_msr_bitmap(struct vmx_vcpu *vmx)
{
	void *bitmap = hva_of(vmx->msr_bitmap);

	memset(bitmap, 0xff, PAGE_SIZE);
	for (size_t i = 0; i < msr_nr_rows(); i++)
		if (msr_row_at(i)->kind == MSR_PASS_THROUGH)
			bitmap_pass_both(bitmap, msr_row_at(i)->index);
}

/*
 * x2APIC registers that the CPU virtualises: all but the counting one are read from the page, TPR
 * is written to it, and, where the CPU delivers interrupts, EOI and self-IPI are too.
 */
static void pass_x2apic(struct vmx_vcpu *vmx, bool pass)
{
	uint8_t *bitmap = hva_of(vmx->msr_bitmap);
	bool delivers = pass && vmx_ctl.apicv == VMX_APICV_DELIVERY;

	for (uint32_t offset = 0; offset < 0x400; offset += 0x10)
		if (offset != LAPIC_TIMER_CURRENT && offset != LAPIC_PPR)
			bitmap_pass(bitmap, MSR_READ, LAPIC_MSR_X2APIC + offset / 16,
				    pass && lapic_is_readable(
						    offset)); /* the CPU itself raises no #GP */
	bitmap_pass(bitmap, MSR_READ, LAPIC_MSR_X2APIC + LAPIC_PPR / 16, delivers);
	bitmap_pass(bitmap, MSR_WRITE, LAPIC_MSR_X2APIC + LAPIC_TPR / 16, pass);
	bitmap_pass(bitmap, MSR_WRITE, LAPIC_MSR_X2APIC + LAPIC_EOI / 16, delivers);
	bitmap_pass(bitmap, MSR_WRITE, LAPIC_MSR_X2APIC + LAPIC_SELF_IPI / 16, delivers);
}

/* ---- vCPU ---- */

enum hv_err vmx_vcpu_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = kmem_alloc(sizeof(*vmx));

	if (!vmx)
		return HV_ENOMEM;
	vmx->vmcs = pages_alloc(0);
	if (vmx->vmcs == HPA_NONE)
		goto free_vmx;
	vmx->msr_bitmap = pages_alloc(0);
	if (vmx->msr_bitmap == HPA_NONE)
		goto free_vmcs;
	vmx->vpid = __atomic_fetch_add(&next_vpid, 1, __ATOMIC_RELAXED);
	if (vmx->vpid == 0)
		vmx->vpid = __atomic_fetch_add(&next_vpid, 1, __ATOMIC_RELAXED);
	*(uint32_t *)hva_of(vmx->vmcs) = (uint32_t)(vmx_cap.basic & VMX_BASIC_REVISION);
	fill_msr_bitmap(vmx);
	vcpu->arch = vmx;
	return HV_OK;

free_vmcs:
	pages_free(vmx->vmcs, 0);
free_vmx:
	kmem_free(vmx);
	return HV_ENOMEM;
}

void vmx_vcpu_destroy(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (!vmx)
		return;
	pages_free(vmx->msr_bitmap, 0);
	pages_free(vmx->vmcs, 0);
	kmem_free(vmx);
	vcpu->arch = NULL;
}

static void write_host_state(struct cpu *cpu)
{
	struct PACKED {
		uint16_t limit;
		uint64_t base;
	} gdtr, idtr;
	uint16_t tr;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	__asm__ volatile("sidt %0" : "=m"(idtr));
	__asm__ volatile("str %0" : "=r"(tr));
	vmwrite(VMCS_HOST_CR0, read_cr0());
	vmwrite(VMCS_HOST_CR3, read_cr3());
	vmwrite(VMCS_HOST_CR4, read_cr4());
	vmwrite(VMCS_HOST_ES_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_CS_SELECTOR, SEL_CODE);
	vmwrite(VMCS_HOST_SS_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_DS_SELECTOR, SEL_DATA);
	vmwrite(VMCS_HOST_FS_SELECTOR, 0);
	vmwrite(VMCS_HOST_GS_SELECTOR, 0);
	vmwrite(VMCS_HOST_TR_SELECTOR, tr);
	vmwrite(VMCS_HOST_FS_BASE, 0);
	vmwrite(VMCS_HOST_GS_BASE, (uint64_t)cpu);
	vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&((struct gdt *)gdtr.base)->tss);
	vmwrite(VMCS_HOST_GDTR_BASE, gdtr.base);
	vmwrite(VMCS_HOST_IDTR_BASE, idtr.base);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_PAT, rdmsr(MSR_PAT));
	vmwrite(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(VMCS_HOST_RIP, (uint64_t)vmx_entry.exit);
}

uint64_t vmx_backstop_ticks;

void vmx_backstop(void)
{
	if (vmx_ctl.has_preemption_timer)
		vmwrite(VMCS_PREEMPTION_TIMER, vmx_backstop_ticks);
}

static void write_controls(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct vmx_vm *shared = vcpu->vm->arch;
	const struct guest_tsc *tsc = &vcpu->vm->tsc;

	vmx->cpu = vmx_ctl.cpu;
	vmx->cpu2 = vmx_ctl.cpu2 | (tsc->multiplier ? CPU2_TSC_SCALING : 0);
	vmwrite(VMCS_PIN_BASED, vmx_ctl.pin);
	vmwrite(VMCS_CPU_BASED, vmx->cpu);
	vmwrite(VMCS_CPU_BASED2, vmx->cpu2);
	vmwrite(VMCS_EXIT_CONTROLS, vmx_ctl.exit);
	vmwrite(VMCS_ENTRY_CONTROLS, vmx_ctl.entry);
	vmwrite(VMCS_EXCEPTION_BITMAP, VMX_TAKEN_EXCEPTIONS);
	vmwrite(VMCS_PF_ERROR_MASK, 0);
	vmwrite(VMCS_PF_ERROR_MATCH, 0);
	vmwrite(VMCS_CR3_TARGET_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_STORE_COUNT, 0);
	vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_IO_BITMAP_A, shared->io_bitmaps);
	vmwrite(VMCS_IO_BITMAP_B, shared->io_bitmaps + PAGE_SIZE);
	vmwrite(VMCS_MSR_BITMAP, vmx->msr_bitmap);
	vmwrite(VMCS_TSC_OFFSET, tsc->offset);
	if (tsc->multiplier)
		vmwrite(VMCS_TSC_MULTIPLIER, tsc->multiplier);
	vmwrite(VMCS_VIRTUAL_APIC_ADDR, hpa_of(vcpu->lapic->page));
	vmwrite(VMCS_TPR_THRESHOLD, 0);
	vmx_backstop();
	if (vmx_ctl.apicv >= VMX_APICV_REGISTERS)
		vmwrite(VMCS_APIC_ACCESS_ADDR, shared->apic_access);
	if (vmx_ctl.apicv == VMX_APICV_DELIVERY)
		for (uint32_t i = 0; i < 4; i++)
			vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, 0);
	vmwrite(VMCS_VPID, vmx->vpid);
	vmwrite(VMCS_EPT_POINTER,
		vcpu->vm->npt_root | EPTP_WB | EPTP_WALK_4 | (vmx_ctl.has_ept_ad ? EPTP_AD : 0));
	if (vmx_ctl.has_xsaves)
		vmwrite(VMCS_XSS_EXIT_BITMAP, 0);
	if (vmx_ctl.has_pause_loop) {
		vmwrite(VMCS_PLE_GAP, PAUSE_LOOP_GAP);
		vmwrite(VMCS_PLE_WINDOW, PAUSE_LOOP_WINDOW);
	}
	vmwrite(VMCS_LINK_POINTER, ~0ull);
	vmwrite(VMCS_CR0_MASK, ~CR0_GUEST_OWNED);
	vmwrite(VMCS_CR4_MASK, ~virt_caps.cr4_guest_owned);
}

static void flush_guest_mappings(struct vmx_vcpu *vmx)
{
	invept(vmx_ctl.invept_single ? INVEPT_SINGLE : INVEPT_ALL, vmread(VMCS_EPT_POINTER));
	invvpid(vmx_ctl.invvpid_single ? INVVPID_SINGLE : INVVPID_ALL, vmx->vpid);
}

void vmx_vcpu_reset(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct guest_segment data = {.base = 0, .limit = 0xffff, .selector = 0, .attr = 0x93};
	struct guest_segment code = {
		.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attr = 0x9b};
	struct guest_segment ldtr = {.limit = 0xffff, .attr = 0x82},
			     tr = {.limit = 0xffff, .attr = 0x8b};
	struct guest_segment table = {.limit = 0xffff};

	flush_guest_mappings(vmx); /* the VM may have been given other memory while it was down */
	memset(vcpu->gpr, 0, sizeof(vcpu->gpr));
	vcpu->gpr[REG_RDX] = 0x600;
	memset(vmx->switched, 0, sizeof(vmx->switched));
	for (uint32_t i = 0; i < SWITCHED_MSRS; i++)
		wrmsr(switched_msrs[i], 0);
	write_dr6(0xffff0ff0);
	write_cr2(0);
	for (int seg = SEG_ES; seg <= SEG_GS; seg++)
		vmx_seg_set(vcpu, seg, seg == SEG_CS ? &code : &data);
	vmx_seg_set(vcpu, SEG_LDTR, &ldtr);
	vmx_seg_set(vcpu, SEG_TR, &tr);
	vmx_seg_set(vcpu, SEG_GDTR, &table);
	vmx_seg_set(vcpu, SEG_IDTR, &table);
	vmwrite(VMCS_GUEST_EFER, 0);
	vmwrite(VMCS_ENTRY_CONTROLS, vmx_ctl.entry);
	vmx_reg_set(vcpu, REG_CR0, 0x60000010);
	vmx_reg_set(vcpu, REG_CR4, 0);
	vmwrite(VMCS_GUEST_CR3, 0);
	vmwrite(VMCS_GUEST_DR7, 0x400);
	vmwrite(VMCS_GUEST_RSP, 0);
	vmwrite(VMCS_GUEST_RIP, 0xfff0);
	vmwrite(VMCS_GUEST_RFLAGS, 2);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_ACTIVE);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_PAT, PAT_RESET);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
	if (vmx_ctl.apicv == VMX_APICV_DELIVERY)
		vmwrite(VMCS_GUEST_INTR_STATUS, 0);
	vmwrite(VMCS_ENTRY_INTR_INFO, 0);
	vmx->vectoring = 0;
	vmx->has_event = false;
	vmx->cpu &= ~(CPU_INTERRUPT_WINDOW | CPU_NMI_WINDOW);
	vmwrite(VMCS_CPU_BASED, vmx->cpu);
}

void vmx_vcpu_load(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	bool is_new = !vmx->host;
	bool ok = (!is_new || vmclear(vmx->vmcs)) && vmptrld(vmx->vmcs);

	ASSERT(ok);
	if (vmx->host != this_cpu()) {
		vmx->host = this_cpu();
		write_host_state(vmx->host);
		vmx->wants_flush = true;
	}
	if (is_new)
		write_controls(vcpu);
	if (vmx->wants_flush) { /* whoever had this EPT root or this VPID before is gone */
		vmx->wants_flush = false;
		flush_guest_mappings(vmx);
	}
	for (uint32_t i = 0; i < SWITCHED_MSRS; i++)
		wrmsr(switched_msrs[i], vmx->switched[i]);
	dr_load(vmx->dr);
	write_dr6(vmx->dr6);
	write_cr2(vmx->cr2);
	vmx->is_launched = false;
}

void vmx_vcpu_put(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	bool ok;

	for (uint32_t i = 0; i < SWITCHED_MSRS; i++)
		vmx->switched[i] = rdmsr(switched_msrs[i]);
	dr_save(vmx->dr);
	vmx->dr6 = read_dr6();
	vmx->cr2 = read_cr2();
	ok = vmclear(vmx->vmcs);
	ASSERT(ok);
}

/* ---- modes ---- */

/*
 * With APIC virtualisation the CPU does what the mode asks for; the page at LAYOUT_LAPIC means the
 * APIC in xAPIC mode only. Without it, accesses find no memory there and are emulated.
 */
void vmx_apic_mode(struct vcpu *vcpu, bool is_enabled, bool is_x2apic)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t apic = CPU2_APIC_ACCESSES | CPU2_X2APIC_MODE | CPU2_APIC_REGISTERS |
			CPU2_INTERRUPT_DELIVERY;

	if (vmx_ctl.apicv == VMX_APICV_NONE)
		return;
	vmx->cpu2 &= ~apic;
	if (is_enabled)
		vmx->cpu2 |=
			CPU2_APIC_REGISTERS | (is_x2apic ? CPU2_X2APIC_MODE : CPU2_APIC_ACCESSES);
	if (is_enabled && vmx_ctl.apicv == VMX_APICV_DELIVERY)
		vmx->cpu2 |= CPU2_INTERRUPT_DELIVERY;
	vmwrite(VMCS_CPU_BASED2, vmx->cpu2);
	pass_x2apic(vmx, is_enabled && is_x2apic);
}
