/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits, as a table. A handler says what comes next and leaves RIP to the caller.
 *
 * The guest is never trusted with more than its own fate: what it should not have done becomes the
 * fault that hardware would raise, or stops this VM alone.
 */
#include "vmm/exits.h"

#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/irq.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "vmm/board.h"
#include "vmm/cpuid.h"
#include "vmm/dev/lapic.h"
#include "vmm/exit_msr.h"
#include "vmm/guest_access.h"
#include "vmm/vcpu.h"

#define CR0_VALID  0xe005003full
#define EFER_LME   BIT(8)
#define EFER_LMA   BIT(10)
#define CR4_PCIDE  BIT(17)
#define SEG_ATTR_L BIT(13) /* of CS: 64-bit code */

/* [SDM] "Extended Control Register XCR0" */
#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 (BIT(5) | BIT(6) | BIT(7))

enum exit_next {
	NEXT_RESUME,	 /* RIP is right, or an exception was raised */
	NEXT_SKIP_INSN,	 /* the instruction was carried out */
	NEXT_STOP_GUEST, /* the handler could not; the VM is stopped as crashed */
};

typedef enum exit_next exit_fn(struct vcpu *vcpu, const struct vm_exit *exit);

static enum exit_next raise(struct vcpu *vcpu, uint8_t vector)
{
	if (vector == VECTOR_GP)
		vcpu_raise_code(vcpu, vector, 0);
	else
		vcpu_raise(vcpu, vector);
	return NEXT_RESUME;
}

/* ---- nothing of the guest's ---- */

static enum exit_next exit_nothing(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)vcpu;
	(void)exit;
	return NEXT_RESUME; /* vcpu_deliver() looks at everything before the next entry */
}

/* One that spins, maybe for a vCPU that waits for this CPU. */
static enum exit_next exit_pause(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vcpu->yields = true;
	__atomic_store_n(&this_cpu()->kick_pending, 1, __ATOMIC_RELAXED); /* run.c looks anew */
	return NEXT_RESUME;
}

static enum exit_next exit_irq(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)vcpu;
	if (exit->irq.vector)
		irq_dispatch(exit->irq.vector);
	else /* still pending */
		cpu_take_interrupts();
	return NEXT_RESUME;
}

/* What the guest's IF should not have kept from this CPU, and in some emulators does. */
static enum exit_next exit_preempt(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)vcpu;
	(void)exit;
	cpu_take_interrupts();
	return NEXT_RESUME;
}

static enum exit_next exit_irq_window(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	virt->want_window(vcpu, EVENT_IRQ, false);
	return NEXT_RESUME;
}

static enum exit_next exit_nmi_window(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	virt->want_window(vcpu, EVENT_NMI, false);
	return NEXT_RESUME;
}

/* ---- instructions ---- */

static enum exit_next exit_cpuid(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct cpuid_ctx ctx = {
		.vcpu_index = vcpu->index,
		.nr_vcpus = vcpu->vm->nr_vcpus,
		.xcr0 = vcpu->xcr0,
		.has_osxsave = virt->reg_get(vcpu, REG_CR4) & CR4_OSXSAVE,
		.has_apic = lapic_mode(vcpu->lapic) != LAPIC_MODE_DISABLED,
	};
	const struct cpuid_policy *own = vcpu->vm->cpuid;
	struct cpuid_answer answer;

	(void)exit;
	cpuid_answer(own ? own : &cpuid_host_policy, &ctx, (uint32_t)virt->reg_get(vcpu, REG_RAX),
		     (uint32_t)virt->reg_get(vcpu, REG_RCX), &answer);
	virt->reg_set(vcpu, REG_RAX, answer.eax);
	virt->reg_set(vcpu, REG_RBX, answer.ebx);
	virt->reg_set(vcpu, REG_RCX, answer.ecx);
	virt->reg_set(vcpu, REG_RDX, answer.edx);
	return NEXT_SKIP_INSN;
}

static enum exit_next exit_hlt(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vcpu->is_halted = true;
	return NEXT_SKIP_INSN;
}

static enum exit_next exit_undefined(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	return raise(vcpu, VECTOR_UD);
}

static enum exit_next exit_no_counter(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	return raise(vcpu, VECTOR_GP);
}

/* Caches are the host's; with coherent DMA a guest's flush has nothing to do. */
static enum exit_next exit_wbinvd(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)vcpu;
	(void)exit;
	return NEXT_SKIP_INSN;
}

/* No hypercall is offered. As on a CPU without VMX, but with an answer for those who probe. */
static enum exit_next exit_hypercall(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	virt->reg_set(vcpu, REG_RAX, ~0ull);
	return NEXT_SKIP_INSN;
}

static enum exit_next exit_io(struct vcpu *vcpu, const struct vm_exit *exit)
{
	struct io_access acc = {.size = exit->io.size, .is_write = !exit->io.is_in};
	uint64_t mask = BIT(acc.size * 8) - 1;

	if (exit->io.is_string)
		return guest_string_io(vcpu, exit) ? NEXT_SKIP_INSN : NEXT_RESUME;
	if (acc.is_write)
		acc.value = virt->reg_get(vcpu, REG_RAX) & mask;
	board_access(vcpu->vm, SPACE_PIO, exit->io.port, &acc);
	if (!acc.is_write) {
		uint64_t rax = virt->reg_get(vcpu, REG_RAX);

		/* A doubleword clears the upper half, as every 32-bit result does. */
		virt->reg_set(vcpu, REG_RAX,
			      acc.size == 4 ? acc.value & mask
					    : (rax & ~mask) | (acc.value & mask));
	}
	return NEXT_SKIP_INSN;
}

static enum exit_next exit_mmio(struct vcpu *vcpu, const struct vm_exit *exit)
{
	switch (guest_mmio(vcpu, exit)) {
	case GUEST_INSN_AGAIN:
		return NEXT_RESUME;
	default:
		return NEXT_STOP_GUEST;
	}
}

/* ---- MSRs and control registers ---- */

static enum exit_next exit_rdmsr(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint64_t val;

	if (!exit_msr_read(vcpu, exit->msr.index, &val))
		return raise(vcpu, VECTOR_GP);
	virt->reg_set(vcpu, REG_RAX, (uint32_t)val);
	virt->reg_set(vcpu, REG_RDX, val >> 32);
	return NEXT_SKIP_INSN;
}

static enum exit_next exit_wrmsr(struct vcpu *vcpu, const struct vm_exit *exit)
{
	if (!exit_msr_write(vcpu, exit->msr.index, exit->msr.value))
		return raise(vcpu, VECTOR_GP);
	return NEXT_SKIP_INSN;
}

/* [SDM] "MOV—Move to/from Control Registers": what is #GP(0) */
static bool cr0_is_possible(struct vcpu *vcpu, uint64_t cr0)
{
	bool has_pg = cr0 & CR0_PG, has_pe = cr0 & CR0_PE;
	struct guest_segment cs;

	if (cr0 >> 32 || (has_pg && !has_pe) || ((cr0 & BIT(29)) && !(cr0 & BIT(30))))
		return false;
	if (has_pg && (virt->reg_get(vcpu, REG_EFER) & EFER_LME) &&
	    !(virt->reg_get(vcpu, REG_CR4) & CR4_PAE))
		return false;
	if (has_pg || !(virt->reg_get(vcpu, REG_EFER) & EFER_LMA))
		return true;
	virt->seg_get(vcpu, SEG_CS, &cs);
	return !(cs.attr & SEG_ATTR_L) && !(virt->reg_get(vcpu, REG_CR4) & CR4_PCIDE);
}

static bool cr4_is_possible(struct vcpu *vcpu, uint64_t cr4)
{
	uint64_t old = virt->reg_get(vcpu, REG_CR4);
	bool is_long = virt->reg_get(vcpu, REG_EFER) & EFER_LMA;

	/* An exit means that a bit which is not the guest's own is to change: only MCE may. */
	if ((cr4 ^ old) & ~virt_caps.cr4_guest_owned & ~CR4_MCE)
		return false;
	if (is_long && !(cr4 & CR4_PAE))
		return false;
	return !(cr4 & ~old & CR4_PCIDE) || (is_long && !(virt->reg_get(vcpu, REG_CR3) & 0xfff));
}

static enum exit_next exit_cr_write(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint64_t val = exit->cr.value;

	switch (exit->cr.nr) {
	case 0:
		if (!cr0_is_possible(vcpu, val))
			return raise(vcpu, VECTOR_GP);
		virt->reg_set(vcpu, REG_CR0, (val & CR0_VALID) | CR0_ET);
		return NEXT_SKIP_INSN;
	case 4:
		if (!cr4_is_possible(vcpu, val))
			return raise(vcpu, VECTOR_GP);
		virt->reg_set(vcpu, REG_CR4, val);
		return NEXT_SKIP_INSN;
	default:
		return NEXT_STOP_GUEST;
	}
}

static enum exit_next exit_cr_read(struct vcpu *vcpu, const struct vm_exit *exit)
{
	if (exit->cr.nr != 4)
		return NEXT_STOP_GUEST;
	virt->reg_set(vcpu, exit->cr.reg, virt->reg_get(vcpu, REG_CR4));
	return NEXT_SKIP_INSN;
}

static bool xcr0_is_possible(uint64_t xcr0)
{
	if (xcr0 & ~cpuid_xcr0_valid(&cpuid_host_policy))
		return false;
	if (!(xcr0 & XCR0_X87) || ((xcr0 & XCR0_AVX) && !(xcr0 & XCR0_SSE)))
		return false;
	if ((xcr0 & XCR0_AVX512) == 0)
		return true;
	return (xcr0 & XCR0_AVX512) == XCR0_AVX512 && (xcr0 & XCR0_AVX);
}

static enum exit_next exit_xsetbv(struct vcpu *vcpu, const struct vm_exit *exit)
{
	if (exit->xcr.index != 0 || !xcr0_is_possible(exit->xcr.value))
		return raise(vcpu, VECTOR_GP);
	vcpu_set_xcr0(vcpu, exit->xcr.value);
	return NEXT_SKIP_INSN;
}

/* ---- the APIC, where the CPU virtualises it ---- */

static enum exit_next exit_apic_write(struct vcpu *vcpu, const struct vm_exit *exit)
{
	lapic_apic_write(vcpu->lapic, exit->apic.offset);
	return NEXT_RESUME; /* trap-like: RIP is behind the instruction already */
}

static enum exit_next exit_eoi(struct vcpu *vcpu, const struct vm_exit *exit)
{
	lock_take(&vcpu->vm->lock);
	board_eoi(vcpu->vm->board, exit->eoi.vector);
	lock_release(&vcpu->vm->lock);
	return NEXT_RESUME;
}

/* ---- ends ---- */

static enum exit_next exit_triple_fault(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)exit;
	vm_stop(vcpu->vm, VM_STOP_TRIPLE_FAULT, "triple fault");
	return NEXT_RESUME;
}

static enum exit_next exit_crash(struct vcpu *vcpu, const struct vm_exit *exit)
{
	(void)vcpu;
	(void)exit;
	return NEXT_STOP_GUEST;
}

static const struct {
	const char *name;
	exit_fn *handle;
} exit_rows[EXIT_KINDS] = {
	[EXIT_NONE] = {"none", exit_nothing},
	[EXIT_IRQ] = {"interrupt", exit_irq},
	[EXIT_IRQ_WINDOW] = {"interrupt window", exit_irq_window},
	[EXIT_NMI_WINDOW] = {"NMI window", exit_nmi_window},
	[EXIT_PREEMPT] = {"preemption timer", exit_preempt},
	[EXIT_CPUID] = {"cpuid", exit_cpuid},
	[EXIT_HLT] = {"hlt", exit_hlt},
	[EXIT_PAUSE] = {"pause", exit_pause},
	[EXIT_IO] = {"io", exit_io},
	[EXIT_MMIO] = {"mmio", exit_mmio},
	[EXIT_RDMSR] = {"rdmsr", exit_rdmsr},
	[EXIT_WRMSR] = {"wrmsr", exit_wrmsr},
	[EXIT_CR_WRITE] = {"cr write", exit_cr_write},
	[EXIT_CR_READ] = {"cr read", exit_cr_read},
	[EXIT_XSETBV] = {"xsetbv", exit_xsetbv},
	[EXIT_WBINVD] = {"wbinvd", exit_wbinvd},
	[EXIT_HYPERCALL] = {"hypercall", exit_hypercall},
	[EXIT_UNDEFINED] = {"undefined instruction", exit_undefined},
	[EXIT_NO_COUNTER] = {"rdpmc", exit_no_counter},
	[EXIT_APIC_WRITE] = {"apic write", exit_apic_write},
	[EXIT_APIC_ACCESS] = {"apic access", exit_mmio},
	[EXIT_EOI] = {"eoi", exit_eoi},
	[EXIT_TPR] = {"tpr", exit_nothing},
	[EXIT_INIT] = {"init", exit_nothing},
	[EXIT_TASK_SWITCH] = {"task switch", exit_crash},
	[EXIT_TRIPLE_FAULT] = {"triple fault", exit_triple_fault},
	[EXIT_ENTRY_FAILED] = {"entry failed", exit_crash},
	[EXIT_UNKNOWN] = {"unknown", exit_crash},
};

void exit_log_last(const struct vcpu *vcpu)
{
	for (uint32_t i = 0; i < VCPU_LAST_EXITS; i++) {
		uint32_t at = (vcpu->last_exit_at + i) % VCPU_LAST_EXITS;

		log_info("exit", "vm %u vcpu %u: %s (%x) at %llx", vcpu->vm->id, vcpu->index,
			 exit_name(vcpu->last_exits[at].kind), vcpu->last_exits[at].raw,
			 (unsigned long long)vcpu->last_exits[at].rip);
	}
}

const char *exit_name(enum exit_kind kind)
{
	return kind < EXIT_KINDS ? exit_rows[kind].name : "?";
}

static void remember(struct vcpu *vcpu, const struct vm_exit *exit)
{
	uint32_t at = vcpu->last_exit_at;

	vcpu->exits[exit->kind]++;
	vcpu->last_exits[at].kind = exit->kind;
	vcpu->last_exits[at].raw = exit->raw;
	vcpu->last_exits[at].rip = virt->reg_get(vcpu, REG_RIP);
	vcpu->last_exit_at = (at + 1) % VCPU_LAST_EXITS;
}

static void crash(struct vcpu *vcpu, const struct vm_exit *exit)
{
	char why[96];

	fmt(why, sizeof(why), "%s at rip %llx",
	    exit->kind == EXIT_ENTRY_FAILED ? exit->failed.why : exit_name(exit->kind),
	    (unsigned long long)virt->reg_get(vcpu, REG_RIP));
	virt->dump(vcpu);
	vm_stop(vcpu->vm, VM_STOP_CRASH, why);
}

void exit_handle(struct vcpu *vcpu, const struct vm_exit *exit)
{
	ASSERT(exit->kind < EXIT_KINDS);
	remember(vcpu, exit);
	switch (exit_rows[exit->kind].handle(vcpu, exit)) {
	case NEXT_RESUME:
		break;
	case NEXT_SKIP_INSN:
		virt->skip(vcpu, exit->insn_len);
		break;
	case NEXT_STOP_GUEST:
		crash(vcpu, exit);
		break;
	}
}
