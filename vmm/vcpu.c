/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU. Its registers are with the backend, its interrupts with its LAPIC, its FPU state in the
 * CPU as long as it is loaded: the kernel never touches it.
 */
#include "vmm/vcpu.h"

#include "kernel/cpu.h"
#include "kernel/cpu_arch.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"
#include "vmm/board.h"
#include "vmm/boot_proto.h"
#include "vmm/dev/lapic.h"
#include "vmm/msr.h"
#include "vmm/run.h"

static_assert(LAPIC_NEVER == GUEST_TSC_NEVER, "a deadline that never comes stays one");
static_assert(VCPU_MSR_STORE >= MSR_STORE_MAX, "a vCPU has room for every stored MSR");

#define RFLAGS_IF BIT(9)

/* [SDM] "XSAVE-Supported Features": the legacy region, where MXCSR lies */
#define XSAVE_MXCSR	 24
#define XSAVE_HEADER	 512
#define XSAVE_HEADER_LEN 64
#define MXCSR_RESET	 0x1f80u

/* ---- FPU ---- */

static size_t xsave_bytes(void)
{
	return MAX(cpuid_if_present(0xd, 0).ecx, (uint32_t)(XSAVE_HEADER + XSAVE_HEADER_LEN));
}

static void fpu_reset(struct vcpu *vcpu)
{
	memset(vcpu->xsave, 0, XSAVE_HEADER + XSAVE_HEADER_LEN);
	put_le32((uint8_t *)vcpu->xsave + XSAVE_MXCSR, MXCSR_RESET);
	vcpu->xcr0 = 1;
}

/* With every component that this machine has switched on, so that nothing of one guest is left to
 * another. */
static void fpu_save(struct vcpu *vcpu)
{
	xsetbv(0, cpu_xcr0());
	__asm__ volatile("xsave64 (%0)" : : "r"(vcpu->xsave), "a"(~0u), "d"(~0u) : "memory");
}

static void fpu_load(struct vcpu *vcpu)
{
	xsetbv(0, cpu_xcr0());
	__asm__ volatile("xrstor64 (%0)" : : "r"(vcpu->xsave), "a"(~0u), "d"(~0u) : "memory");
	xsetbv(0, vcpu->xcr0);
}

void vcpu_set_xcr0(struct vcpu *vcpu, uint64_t xcr0)
{
	vcpu->xcr0 = xcr0;
	xsetbv(0, xcr0);
}

/* ---- what the LAPIC asks for ---- */

uint64_t vcpu_guest_tsc(const struct vcpu *vcpu)
{
	return guest_tsc_of_host(&vcpu->vm->tsc, tsc_now());
}

static uint64_t lapic_tsc_now(void *ctx)
{
	return vcpu_guest_tsc(ctx);
}

/* Not inlined: what it needs is not saved on the way of every guest's every tick. */
static __attribute__((noinline)) void set_timer_far(struct vcpu *vcpu, uint64_t deadline_tsc)
{
	if (deadline_tsc == LAPIC_NEVER)
		timer_cancel(&vcpu->lapic_timer);
	else
		timer_set(&vcpu->lapic_timer,
			  guest_tsc_host_deadline(&vcpu->vm->tsc, deadline_tsc));
}

static void lapic_timer_set(void *ctx, uint64_t deadline_tsc)
{
	struct vcpu *vcpu = ctx;
	const struct guest_tsc *tsc = &vcpu->vm->tsc;

	if (guest_tsc_is_direct(tsc, deadline_tsc))
		timer_set(&vcpu->lapic_timer, guest_tsc_host_deadline(tsc, deadline_tsc));
	else
		set_timer_far(vcpu, deadline_tsc);
}

static void lapic_timer_fire(struct timer *timer)
{
	struct vcpu *vcpu = container_of(timer, struct vcpu, lapic_timer);

	lapic_timer_fired(vcpu->lapic, vcpu_guest_tsc(vcpu));
	run_kick(vcpu);
}

static void lapic_ipi(void *ctx, const struct lapic_ipi *msg)
{
	struct vcpu *vcpu = ctx;

	vcpu_send_ipi(vcpu->vm, vcpu, msg);
}

static void lapic_eoi_level(void *ctx, uint8_t vector)
{
	struct vcpu *vcpu = ctx;

	lock_take(&vcpu->vm->lock);
	board_eoi(vcpu->vm->board, vector);
	lock_release(&vcpu->vm->lock);
}

static const struct lapic_ops lapic_ops = {
	.tsc_now = lapic_tsc_now,
	.timer_set = lapic_timer_set,
	.ipi = lapic_ipi,
	.eoi = lapic_eoi_level,
};

/* ---- interprocessor interrupts ---- */

bool vcpu_is_addressed(const struct vcpu *vcpu, const struct vcpu *sender,
		       const struct lapic_ipi *msg)
{
	switch (msg->shorthand) {
	case LAPIC_TO_SELF:
		return vcpu == sender;
	case LAPIC_TO_ALL:
		return true;
	case LAPIC_TO_OTHERS:
		return vcpu != sender;
	default:
		return lapic_matches(vcpu->lapic, msg->is_logical, msg->dest, msg->is_x2apic);
	}
}

static void take_ipi(struct vcpu *vcpu, const struct lapic_ipi *msg)
{
	switch (msg->delivery) {
	case LAPIC_FIXED:
	case LAPIC_LOWEST:
		if (virt_caps.has_doorbell && !msg->is_level && virt->apicv_post(vcpu, msg->vector))
			break;
		if (lapic_post(vcpu->lapic, msg->vector, msg->is_level))
			run_kick(vcpu);
		break;
	case LAPIC_NMI:
		vcpu_request(vcpu, VCPU_REQ_NMI);
		break;
	case LAPIC_INIT:
		vcpu_request(vcpu, VCPU_REQ_INIT);
		break;
	case LAPIC_SIPI:
		__atomic_store_n(&vcpu->sipi_vector, msg->vector, __ATOMIC_RELAXED);
		vcpu_request(vcpu, VCPU_REQ_SIPI);
		break;
	default: /* SMI and ExtINT messages have no meaning on this board */
		break;
	}
}

void vcpu_send_ipi(struct vm *vm, struct vcpu *sender, const struct lapic_ipi *msg)
{
	for (uint32_t i = 0; i < vm->nr_vcpus; i++) {
		if (!vcpu_is_addressed(vm->vcpus[i], sender, msg))
			continue;
		take_ipi(vm->vcpus[i], msg);
		if (msg->delivery == LAPIC_LOWEST)
			return;
	}
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request what)
{
	if (what == VCPU_REQ_RESET)
		__atomic_store_n(&vcpu->request, what, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_or(&vcpu->request, what, __ATOMIC_SEQ_CST);
	run_kick(vcpu);
}

/* ---- life ---- */

enum hv_err vcpu_create(struct vm *vm, uint32_t index, struct vcpu **out)
{
	struct vcpu *vcpu = kmem_alloc(sizeof(*vcpu));
	void *page;

	if (!vcpu)
		return HV_ENOMEM;
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->has_apicv = virt_caps.has_apicv;
	timer_init(&vcpu->lapic_timer, lapic_timer_fire);
	vcpu->lapic = kmem_alloc(sizeof(*vcpu->lapic));
	if (!vcpu->lapic)
		goto free_vcpu;
	page = kmem_alloc(LAPIC_PAGE_LEN);
	if (!page)
		goto free_lapic;
	vcpu->entry = kmem_alloc(sizeof(*vcpu->entry));
	if (!vcpu->entry)
		goto free_page;
	vcpu->xsave = kmem_alloc(ALIGN_UP(xsave_bytes(), PAGE_SIZE));
	if (!vcpu->xsave)
		goto free_entry;
	fpu_reset(vcpu);
	run_attach(vcpu);
	lapic_create(vcpu->lapic, page, index, vcpu->vm->tsc.khz, &lapic_ops, vcpu);
	if (virt->vcpu_init(vcpu) != HV_OK)
		goto detach;
	*out = vcpu;
	return HV_OK;

detach:
	run_detach(vcpu);
	kmem_free(vcpu->xsave);
free_entry:
	kmem_free(vcpu->entry);
free_page:
	kmem_free(page);
free_lapic:
	kmem_free(vcpu->lapic);
free_vcpu:
	kmem_free(vcpu);
	return HV_ENOMEM;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	timer_cancel(&vcpu->lapic_timer);
	run_detach(vcpu);
	virt->vcpu_destroy(vcpu);
	kmem_free(vcpu->xsave);
	kmem_free(vcpu->entry);
	kmem_free(vcpu->lapic->page);
	kmem_free(vcpu->lapic);
	kmem_free(vcpu);
}

void vcpu_load(struct vcpu *vcpu)
{
	virt->vcpu_load(vcpu);
	fpu_load(vcpu);
}

void vcpu_put(struct vcpu *vcpu)
{
	fpu_save(vcpu);
	virt->vcpu_put(vcpu);
}

/* ---- reset, INIT, SIPI ---- */

static void set_flat_segments(struct vcpu *vcpu, bool is_long)
{
	struct guest_segment code = {.limit = 0xffffffff,
				     .selector = BOOT_SEL_CODE,
				     .attr = is_long ? BOOT_ATTR_CODE_64 : BOOT_ATTR_CODE_32};
	struct guest_segment data = {
		.limit = 0xffffffff, .selector = BOOT_SEL_DATA, .attr = BOOT_ATTR_DATA};
	struct guest_segment tss = {.limit = 0x67, .selector = BOOT_SEL_TSS, .attr = BOOT_ATTR_TSS};
	struct guest_segment ldt = {.attr = SEG_ATTR_UNUSABLE};

	for (int seg = SEG_ES; seg <= SEG_GS; seg++)
		virt->seg_set(vcpu, seg, seg == SEG_CS ? &code : &data);
	virt->seg_set(vcpu, SEG_TR, &tss);
	virt->seg_set(vcpu, SEG_LDTR, &ldt);
}

static void start_at_entry(struct vcpu *vcpu)
{
	const struct boot_entry *entry = vcpu->entry;
	struct guest_segment gdt = {.base = entry->gdt_base, .limit = entry->gdt_limit};
	bool is_long = entry->mode == BOOT_LONG_64;

	set_flat_segments(vcpu, is_long);
	virt->seg_set(vcpu, SEG_GDTR, &gdt);
	virt->reg_set(vcpu, REG_CR3, entry->cr3);
	if (is_long) {
		virt->reg_set(vcpu, REG_CR4, CR4_PAE);
		virt->reg_set(vcpu, REG_EFER, BIT(8));
		virt->reg_set(vcpu, REG_CR0, CR0_PE | CR0_ET | CR0_NE | CR0_PG);
	} else {
		virt->reg_set(vcpu, REG_CR0, CR0_PE | CR0_ET);
	}
	virt->reg_set(vcpu, REG_RIP, entry->rip);
	virt->reg_set(vcpu, REG_RSP, entry->rsp);
	virt->reg_set(vcpu, REG_RAX, entry->rax);
	virt->reg_set(vcpu, REG_RBX, entry->rbx);
	virt->reg_set(vcpu, REG_RSI, entry->rsi);
}

void vcpu_apic_mode_changed(struct vcpu *vcpu)
{
	enum lapic_mode mode = lapic_mode(vcpu->lapic);

	virt->apic_mode(vcpu, mode != LAPIC_MODE_DISABLED, mode == LAPIC_MODE_X2APIC);
}

static void reset(struct vcpu *vcpu)
{
	virt->vcpu_reset(vcpu);
	fpu_reset(vcpu);
	fpu_load(vcpu);
	msr_store_reset(vcpu->msr_store);
	lapic_reset(vcpu->lapic);
	vcpu->is_halted = false;
	vcpu->wants_nmi = false;
	vcpu->waits_for_sipi = vcpu->index != 0;
	if (vcpu->index == 0) {
		lapic_set_virtual_wire(vcpu->lapic);
		start_at_entry(vcpu);
	}
	vcpu_apic_mode_changed(vcpu);
}

/* INIT leaves the FPU, MSRs and the APIC's mode as they are ([SDM] table of states after INIT). */
static void init(struct vcpu *vcpu)
{
	virt->vcpu_reset(vcpu);
	lapic_init(vcpu->lapic);
	vcpu_apic_mode_changed(vcpu);
	vcpu->is_halted = false;
	vcpu->wants_nmi = false;
	vcpu->waits_for_sipi = true;
}

static void start_up(struct vcpu *vcpu)
{
	uint8_t vector = __atomic_load_n(&vcpu->sipi_vector, __ATOMIC_RELAXED);
	struct guest_segment code = {.base = (uint64_t)vector << 12,
				     .limit = 0xffff,
				     .selector = (uint16_t)(vector << 8),
				     .attr = 0x9b};

	virt->seg_set(vcpu, SEG_CS, &code);
	virt->reg_set(vcpu, REG_RIP, 0);
	vcpu->waits_for_sipi = false;
}

static void take_requests(struct vcpu *vcpu)
{
	uint32_t request = __atomic_exchange_n(&vcpu->request, 0, __ATOMIC_ACQUIRE);

	if (request & VCPU_REQ_RESET)
		reset(vcpu);
	if (request & VCPU_REQ_INIT)
		init(vcpu);
	if ((request & VCPU_REQ_SIPI) && vcpu->waits_for_sipi)
		start_up(vcpu);
	if (request & VCPU_REQ_NMI)
		vcpu->wants_nmi = true;
}

/* ---- delivery ---- */

void vcpu_raise(struct vcpu *vcpu, uint8_t vector)
{
	virt->inject(vcpu, (struct guest_event){.kind = EVENT_EXCEPTION, .vector = vector});
}

void vcpu_raise_code(struct vcpu *vcpu, uint8_t vector, uint32_t code)
{
	virt->inject(vcpu, (struct guest_event){.kind = EVENT_EXCEPTION,
						.vector = vector,
						.has_code = true,
						.code = code});
}

/* The PIC is wired to the first vCPU only. */
static bool has_extint(const struct vcpu *vcpu)
{
	return vcpu->index == 0 && board_extint_pending(vcpu->vm->board) &&
	       lapic_takes_extint(vcpu->lapic);
}

static bool wakes_from_halt(struct vcpu *vcpu)
{
	if (vcpu->wants_nmi)
		return true;
	if (!(virt->reg_get(vcpu, REG_RFLAGS) & RFLAGS_IF))
		return false;
	return lapic_pending(vcpu->lapic) >= 0 || has_extint(vcpu);
}

static void sync_lapic(struct vcpu *vcpu)
{
	uint64_t vectors[4];

	if (!lapic_has_posted(vcpu->lapic))
		return;
	if (virt_caps.has_doorbell) { /* then the CPU reads IRR and TMR where they are */
		(void)lapic_sync_shared(vcpu->lapic);
		return;
	}
	if (lapic_sync(vcpu->lapic) && vcpu->has_apicv) {
		lapic_eoi_exits(vcpu->lapic, vectors);
		virt->apicv_eoi_exits(vcpu, vectors);
	}
	if (vcpu->has_apicv)
		virt->apicv_rvi(vcpu, lapic_rvi(vcpu->lapic), lapic_svi(vcpu->lapic));
}

static void deliver_nmi(struct vcpu *vcpu)
{
	if (virt->can_take(vcpu, EVENT_NMI)) {
		vcpu->wants_nmi = false;
		virt->inject(vcpu, (struct guest_event){.kind = EVENT_NMI, .vector = 2});
	}
	virt->want_window(vcpu, EVENT_NMI, vcpu->wants_nmi);
}

static void deliver_irq(struct vcpu *vcpu)
{
	/* With APICv the CPU delivers what the LAPIC has; the PIC's are always ours. */
	int vector = vcpu->has_apicv ? -1 : lapic_pending(vcpu->lapic);
	bool is_extint = vector < 0 && has_extint(vcpu);

	if (vector >= 0 || is_extint) {
		if (!virt->can_take(vcpu, EVENT_IRQ)) {
			virt->want_window(vcpu, EVENT_IRQ, true);
			return;
		}
		if (is_extint)
			vector = board_extint_ack(vcpu->vm);
		else
			lapic_accept(vcpu->lapic, (uint8_t)vector);
		virt->inject(vcpu,
			     (struct guest_event){.kind = EVENT_IRQ, .vector = (uint8_t)vector});
	}
	virt->want_window(vcpu, EVENT_IRQ, false);
	if (!vcpu->has_apicv)
		virt->tpr_threshold(vcpu, lapic_tpr_threshold(vcpu->lapic));
}

bool vcpu_deliver(struct vcpu *vcpu)
{
	if (__atomic_load_n(&vcpu->request, __ATOMIC_RELAXED))
		take_requests(vcpu);
	if (vcpu->waits_for_sipi)
		return false;
	sync_lapic(vcpu);
	if (vcpu->is_halted) {
		if (!wakes_from_halt(vcpu))
			return false;
		vcpu->is_halted = false;
	}
	if (vcpu->wants_nmi)
		deliver_nmi(vcpu);
	deliver_irq(vcpu);
	return true;
}

bool vcpu_is_wanted(const struct vcpu *vcpu)
{
	if (__atomic_load_n(&vcpu->request, __ATOMIC_SEQ_CST))
		return true;
	return !vcpu->waits_for_sipi && lapic_has_posted(vcpu->lapic);
}
