/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AVIC at work. Before each entry a vCPU's CPU looks whether AVIC may be on for it, and from there
 * to the exit it is entered as running:
 *
 *     sender (a CPU in guest mode, or svm_apicv_post)      target
 *       1  sets the vector in IRR                            a  leaves the guest, clears running
 *       2  looks whether it runs: doorbell, or               b  looks at IRR before it waits
 *          an exit and a request to look
 *
 * Each side does its two in this order, so that one of them sees the other. A doorbell that comes
 * when the target is out already is lost; the next entry looks at IRR anyway.
 *
 * A vCPU that AVIC is off for is not valid in the table, and its IRR is changed without atomics. A
 * sender that was about to set a bit there when it went off finds it off, or not running, in step
 * 2, and then sends by software. So such an interrupt may come twice, but is not lost.
 *
 * None of this has ever run: no emulator has AVIC.
 *
 * Source: [APM] "Advanced Virtual Interrupt Controller".
 */
#include "kernel/cpu.h"
#include "kernel/cpu_arch.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "vmm/board.h"
#include "vmm/dev/lapic.h"
#include "vmm/layout.h"
#include "vmm/svm/svm.h"
#include "vmm/vcpu.h"

#define ICR_BUSY 0x1000u

static_assert(CTL_VCPUS_MAX <= AVIC_ID_MAX + 1, "a VM's IDs fit its tables");

enum { PAGE_PHYSICAL, PAGE_LOGICAL, PAGE_APIC, PAGE_NPT, AVIC_PAGES = PAGE_NPT + 4 };

struct svm_avic_vm { /* vm->arch */
	hpa_t pages[AVIC_PAGES];
};

static svm_enter_fn *enter_guest; /* these two: fixed after probing */
static uint64_t running_bit;

void svm_avic_init(svm_enter_fn *enter)
{
	enter_guest = enter;
	running_bit = svm_avic_has_stale_running(cpuid(1, 0).eax) ? 0 : AVIC_PHYSICAL_RUNNING;
}

/* ---- a VM's pages ---- */

static hpa_t page_of(const struct vm *vm, unsigned page)
{
	return ((const struct svm_avic_vm *)vm->arch)->pages[page];
}

void svm_avic_vm_destroy(struct vm *vm)
{
	struct svm_avic_vm *avic = vm->arch;

	for (unsigned i = 0; i < AVIC_PAGES; i++)
		if (avic->pages[i] != HPA_NONE)
			pages_free(avic->pages[i], 0);
	kmem_free(avic);
	vm->arch = NULL;
}

enum hv_err svm_avic_vm_init(struct vm *vm)
{
	struct svm_avic_vm *avic = kmem_alloc(sizeof(*avic));
	bool has_all = true;

	if (!avic)
		return HV_ENOMEM;
	vm->arch = avic;
	for (unsigned i = 0; i < AVIC_PAGES; i++) {
		avic->pages[i] = pages_alloc(0);
		has_all &= avic->pages[i] != HPA_NONE;
	}
	if (has_all)
		return HV_OK;
	svm_avic_vm_destroy(vm);
	return HV_ENOMEM;
}

void svm_avic_vcpu_init(struct vcpu *vcpu)
{
	struct vmcb_control *c = &vmcb_of(vcpu)->control;

	svm_of(vcpu)->running_on = AVIC_NOT_RUNNING;
	c->avic_apic_bar = LAYOUT_LAPIC;
	c->avic_backing_page = hpa_of(vcpu->lapic->page);
	c->avic_logical_table = page_of(vcpu->vm, PAGE_LOGICAL);
	c->avic_physical_table = page_of(vcpu->vm, PAGE_PHYSICAL) | (vcpu->vm->config.nr_vcpus - 1);
}

/* The VM's memory is taken anew when it starts, and then its first vCPU is reset. */
static void map_apic_page(const struct vm *vm)
{
	const uint64_t *root = hva_of(vm->npt_root);
	uint64_t first = root[0] & AVIC_PHYSICAL_BACKING;
	uint64_t *tables[4], hpa[4];

	for (unsigned i = 0; i < 4; i++) {
		hpa[i] = page_of(vm, PAGE_NPT + i);
		tables[i] = hva_of(hpa[i]);
	}
	svm_avic_map(root, first ? hva_of(first) : NULL, tables, hpa, page_of(vm, PAGE_APIC));
}

/* ---- the tables ---- */

static void write_physical(const struct vcpu *vcpu, uint64_t entry)
{
	uint64_t *table = hva_of(page_of(vcpu->vm, PAGE_PHYSICAL));

	__atomic_store_n(&table[vcpu->index], entry, __ATOMIC_SEQ_CST);
}

static uint64_t physical_entry(const struct vcpu *vcpu, uint32_t host_id)
{
	return svm_avic_physical(hpa_of(vcpu->lapic->page), host_id);
}

static void write_logical(const struct vm *vm)
{
	uint32_t *table = hva_of(page_of(vm, PAGE_LOGICAL));
	struct svm_avic_member members[CTL_VCPUS_MAX];
	uint32_t entries[AVIC_LOGICAL_ENTRIES];

	ASSERT_HELD(&vm->lock);
	for (uint32_t i = 0; i < vm->nr_vcpus; i++)
		members[i] = svm_of(vm->vcpus[i])->avic_member;
	svm_avic_logical(members, vm->nr_vcpus, entries);
	for (uint32_t i = 0; i < AVIC_LOGICAL_ENTRIES; i++)
		__atomic_store_n(&table[i], entries[i], __ATOMIC_RELAXED);
}

static void update_logical(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_avic_member now = {
		.ldr = get_le32(vcpu->lapic->page + LAPIC_LDR),
		.dfr = get_le32(vcpu->lapic->page + LAPIC_DFR),
		.is_on = vcpu->has_apicv,
	};

	if (now.ldr == svm->avic_member.ldr && now.dfr == svm->avic_member.dfr &&
	    now.is_on == svm->avic_member.is_on)
		return;
	lock_take(&vcpu->vm->lock);
	svm->avic_member = now;
	write_logical(vcpu->vm);
	lock_release(&vcpu->vm->lock);
}

/* ---- on and off ---- */

static void changed(struct svm_vcpu *svm)
{
	svm_flush(svm->vmcb); /* the tables are others */
	svm->vmcb->control.clean &= ~(CLEAN_TPR | CLEAN_NP);
}

static void turn_on(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb_control *c = &svm->vmcb->control;

	svm_tpr_threshold(vcpu, 0); /* the CPU looks itself */
	c->vintr |= VINTR_AVIC_ENABLE;
	c->n_cr3 = page_of(vcpu->vm, PAGE_NPT);
	changed(svm);
	__atomic_store_n(&vcpu->has_apicv, true, __ATOMIC_SEQ_CST);
}

static void turn_off(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb_control *c = &svm->vmcb->control;

	write_physical(vcpu, 0);
	__atomic_store_n(&vcpu->has_apicv, false, __ATOMIC_SEQ_CST);
	c->vintr &= ~VINTR_AVIC_ENABLE;
	c->n_cr3 = vcpu->vm->npt_root;
	changed(svm);
}

void svm_avic_vcpu_reset(struct vcpu *vcpu)
{
	if (vcpu->index == 0)
		map_apic_page(vcpu->vm);
	turn_off(vcpu);
}

static bool may_be_on(const struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	struct svm_avic_view view = {
		.apic_base = vcpu->lapic->base_msr,
		.svr = get_le32(vcpu->lapic->page + LAPIC_SVR),
		.id = vcpu->lapic->id,
		.host_id = this_cpu()->apic_id,
		.wants_window = svm->wants_irq_window || svm->wants_nmi_window,
		.has_extint = vcpu->index == 0 && board_extint_pending(vcpu->vm->board) &&
			      lapic_takes_extint(vcpu->lapic),
	};

	return svm_avic_obstacle(&view) == AVIC_OBSTACLE_NONE;
}

static void update(struct vcpu *vcpu)
{
	bool may = may_be_on(vcpu);

	if (may && !vcpu->has_apicv) {
		turn_on(vcpu);
	} else if (!may && vcpu->has_apicv) {
		turn_off(vcpu);
		/* What nobody injected, as the CPU would deliver it, has to come out now. */
		if (lapic_pending(vcpu->lapic) >= 0)
			svm_want_window(vcpu, EVENT_IRQ, true);
		svm_tpr_threshold(vcpu, lapic_tpr_threshold(vcpu->lapic));
	}
	update_logical(vcpu);
}

enum svm_fast svm_avic_enter(struct vcpu *vcpu, hpa_t guest_vmcb, hpa_t host_vmcb)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint32_t host_id = this_cpu()->apic_id;
	enum svm_fast how;

	update(vcpu);
	if (!vcpu->has_apicv)
		return enter_guest(vcpu, guest_vmcb, host_vmcb);
	__atomic_store_n(&svm->running_on, host_id, __ATOMIC_SEQ_CST);
	write_physical(vcpu, physical_entry(vcpu, host_id) | running_bit);
	how = enter_guest(vcpu, guest_vmcb, host_vmcb);
	write_physical(vcpu, physical_entry(vcpu, host_id));
	__atomic_store_n(&svm->running_on, AVIC_NOT_RUNNING, __ATOMIC_SEQ_CST);
	return how;
}

/* ---- senders ---- */

/* Its IRR has something new: by the doorbell, or as everything else is told. */
static void notify(struct vcpu *vcpu)
{
	uint32_t host_id = __atomic_load_n(&svm_of(vcpu)->running_on, __ATOMIC_SEQ_CST);

	if (host_id != AVIC_NOT_RUNNING)
		wrmsr(MSR_AVIC_DOORBELL, host_id);
	else
		vcpu_request(vcpu, VCPU_REQ_LOOK);
}

static bool has_avic(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->has_apicv, __ATOMIC_SEQ_CST);
}

bool svm_apicv_post(struct vcpu *vcpu, uint8_t vector)
{
	if (!has_avic(vcpu) || !lapic_request(vcpu->lapic, vector) || !has_avic(vcpu))
		return false;
	notify(vcpu);
	return true;
}

/* IRR is set in every target; those that AVIC is off for since then may have lost it. */
static void wake_targets(struct vcpu *sender, const struct lapic_ipi *msg)
{
	struct vm *vm = sender->vm;

	for (uint32_t i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (!vcpu_is_addressed(vcpu, sender, msg))
			continue;
		if (has_avic(vcpu))
			notify(vcpu);
		else if (lapic_post(vcpu->lapic, msg->vector, false))
			vcpu_request(vcpu, VCPU_REQ_LOOK);
	}
}

void svm_avic_finish_ipi(struct vcpu *vcpu, struct vm_exit *exit)
{
	const struct vmcb_control *c = &vmcb_of(vcpu)->control;
	uint8_t *icr = vcpu->lapic->page + LAPIC_ICR_LOW;
	struct svm_avic_ipi ipi;

	svm_avic_decode_ipi(c->exit_info_1, c->exit_info_2, &ipi);
	if (ipi.rest == AVIC_REST_ALL) { /* as any write that the page has and nobody acted on */
		exit->apic.offset = LAPIC_ICR_LOW;
		return;
	}
	exit->kind = EXIT_NONE;
	put_le32(icr, get_le32(icr) & ~ICR_BUSY); /* some CPUs leave it set */
	wake_targets(vcpu, &ipi.msg);
}
