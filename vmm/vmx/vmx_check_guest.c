/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks on guest state, segments apart (vmx_check_seg.c).
 *
 * Source: [SDM] "Checks on the Guest State Area".
 */
#include "vmm/vmx/vmx_check_rules.h"

#define ACCESS_DPL	 0x60u
#define ACCESS_L	 BIT(13)
#define RFLAGS_TF	 BIT(8)
#define RFLAGS_IF	 BIT(9)
#define RFLAGS_RESERVED	 (~0x3f7fd7ull) /* 63:22, 15, 5, 3 */
#define DEBUGCTL_VALID	 0xdfc3ull
#define DEBUGCTL_BTF	 BIT(1)
#define DR7_HIGH	 0xffffffff00000000ull
#define PDPTE_RESERVED	 0x1e6ull
#define MISC_ACTIVITY	 0x1c0ull /* HLT, shutdown, wait-for-SIPI */
#define PENDING_BS	 BIT(14)
#define PENDING_RESERVED (~(0xfull | BIT(12) | BIT(14) | BIT(16)))

/* The type of the event that the entry injects, or -1. */
static int event_type(const struct check *c)
{
	uint64_t info = check_get(c, VMCS_ENTRY_INTR_INFO);

	return info & INTR_VALID ? (int)FIELD_GET(INTR_TYPE, info) : -1;
}

/* ---- [SDM] "Checks on Guest Control Registers, Debug Registers, and MSRs" ---- */

static bool cr0_ok(const struct check *c, uint64_t val)
{
	uint64_t free_bits = check_is_unrestricted(c) ? CHECK_CR0_PE | CHECK_CR0_PG : 0;

	return check_fixed(val, c->cap->cr0_fixed0 & ~free_bits, c->cap->cr0_fixed1);
}

static bool paging_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return !(val & CHECK_CR0_PG) || (val & CHECK_CR0_PE);
}

static bool cr4_ok(const struct check *c, uint64_t val)
{
	return check_fixed(val, c->cap->cr4_fixed0, c->cap->cr4_fixed1);
}

static bool debugctl_ok(const struct check *c, uint64_t val)
{
	return !(c->entry & ENTRY_CTL_LOAD_DEBUG) || !(val & ~DEBUGCTL_VALID);
}

static bool long_paging_ok(const struct check *c, uint64_t val)
{
	return !check_is_64(c) || (val & CHECK_CR0_PG);
}

static bool long_pae_ok(const struct check *c, uint64_t val)
{
	return !check_is_64(c) || (val & CHECK_CR4_PAE);
}

static bool pcid_ok(const struct check *c, uint64_t val)
{
	return check_is_64(c) || !(val & CHECK_CR4_PCIDE);
}

static bool dr7_ok(const struct check *c, uint64_t val)
{
	return !(c->entry & ENTRY_CTL_LOAD_DEBUG) || !(val & DR7_HIGH);
}

static bool pat_ok(const struct check *c, uint64_t val)
{
	return !(c->entry & ENTRY_CTL_LOAD_PAT) || check_pat(val);
}

static bool efer_reserved_ok(const struct check *c, uint64_t val)
{
	return !(c->entry & ENTRY_CTL_LOAD_EFER) || !(val & ~CHECK_EFER_VALID);
}

static bool efer_lma_ok(const struct check *c, uint64_t val)
{
	return !(c->entry & ENTRY_CTL_LOAD_EFER) || !!(val & CHECK_EFER_LMA) == check_is_64(c);
}

static bool efer_lme_ok(const struct check *c, uint64_t val)
{
	return !(c->entry & ENTRY_CTL_LOAD_EFER) ||
	       !(check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PG) ||
	       !!(val & CHECK_EFER_LMA) == !!(val & CHECK_EFER_LME);
}

static const struct check_rule control_rules[] = {
	RULE(GUEST_CR0, cr0_ok, "a bit is not as VMX operation demands"),
	RULE(GUEST_CR0, paging_ok, "paging without protection"),
	RULE(GUEST_CR4, cr4_ok, "a bit is not as VMX operation demands"),
	RULE(GUEST_DEBUGCTL, debugctl_ok, "reserved bits are set"),
	RULE(GUEST_CR0, long_paging_ok, "64-bit mode without paging"),
	RULE(GUEST_CR4, long_pae_ok, "64-bit mode without PAE"),
	RULE(GUEST_CR4, pcid_ok, "PCIDs outside 64-bit mode"),
	RULE(GUEST_CR3, check_phys, "beyond the physical address width"),
	RULE(GUEST_DR7, dr7_ok, "bits 63:32 are not zero"),
	RULE(GUEST_SYSENTER_ESP, check_canonical, "not canonical"),
	RULE(GUEST_SYSENTER_EIP, check_canonical, "not canonical"),
	RULE(GUEST_PAT, pat_ok, "a memory type that there is not"),
	RULE(GUEST_EFER, efer_reserved_ok, "reserved bits are set"),
	RULE(GUEST_EFER, efer_lma_ok, "LMA differs from the entry control \"IA-32e mode guest\""),
	RULE(GUEST_EFER, efer_lme_ok, "LMA and LME differ, and paging is on"),
};

/* ---- [SDM] "Checks on Guest Descriptor-Table Registers", "… RIP, RFLAGS, and SSP" ---- */

static bool table_limit_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return val <= 0xffff;
}

static bool rip_ok(const struct check *c, uint64_t val)
{
	if (check_is_64(c) && (check_get(c, VMCS_GUEST_CS_ACCESS) & ACCESS_L))
		return check_canonical(c, val);
	return val >> 32 == 0;
}

static bool rflags_reserved_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return !(val & RFLAGS_RESERVED) && (val & BIT(1));
}

static bool rflags_vm_ok(const struct check *c, uint64_t val)
{
	return !(val & CHECK_RFLAGS_VM) ||
	       (!check_is_64(c) && (check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PE));
}

static bool rflags_if_ok(const struct check *c, uint64_t val)
{
	return event_type(c) != INTR_TYPE_EXTERNAL || (val & RFLAGS_IF);
}

/* ---- [SDM] "Checks on Guest Non-Register State" ---- */

static bool activity_ok(const struct check *c, uint64_t val)
{
	return val == ACTIVITY_ACTIVE ||
	       (val <= ACTIVITY_WAIT_SIPI && (c->cap->misc & MISC_ACTIVITY) >> (5 + val) & 1);
}

static bool hlt_ok(const struct check *c, uint64_t val)
{
	return val != ACTIVITY_HLT ||
	       FIELD_GET(ACCESS_DPL, check_get(c, VMCS_GUEST_SS_ACCESS)) == 0;
}

static bool activity_blocking_ok(const struct check *c, uint64_t val)
{
	return val == ACTIVITY_ACTIVE ||
	       !(check_get(c, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS));
}

static bool activity_event_ok(const struct check *c, uint64_t val)
{
	uint64_t vector = check_get(c, VMCS_ENTRY_INTR_INFO) & INTR_VECTOR;
	int type = event_type(c);

	if (type < 0 || val == ACTIVITY_ACTIVE)
		return true;
	if (val == ACTIVITY_HLT)
		return type == INTR_TYPE_EXTERNAL || type == INTR_TYPE_NMI ||
		       (type == 7 && vector == 0) ||
		       (type == INTR_TYPE_HARDWARE && (vector == 1 || vector == 18));
	if (val == ACTIVITY_SHUTDOWN)
		return type == INTR_TYPE_NMI || (type == INTR_TYPE_HARDWARE && vector == 18);
	return false;
}

static bool blocking_reserved_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return val <= 0x1f;
}

static bool blocking_both_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return (val & (BLOCKING_STI | BLOCKING_MOV_SS)) != (BLOCKING_STI | BLOCKING_MOV_SS);
}

static bool blocking_sti_ok(const struct check *c, uint64_t val)
{
	return !(val & BLOCKING_STI) || (check_get(c, VMCS_GUEST_RFLAGS) & RFLAGS_IF);
}

static bool blocking_event_ok(const struct check *c, uint64_t val)
{
	int type = event_type(c);

	if (type == INTR_TYPE_EXTERNAL)
		return !(val & (BLOCKING_STI | BLOCKING_MOV_SS));
	if (type != INTR_TYPE_NMI)
		return true;
	return !(val & BLOCKING_MOV_SS) && !((c->pin & PIN_VIRTUAL_NMIS) && (val & BLOCKING_NMI));
}

static bool blocking_smi_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return !(val & BLOCKING_SMI);
}

static bool pending_reserved_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return !(val & PENDING_RESERVED);
}

/* A trap after a single step is pending while an instruction's shadow or HLT holds it back. */
static bool pending_step_ok(const struct check *c, uint64_t val)
{
	bool is_held =
		(check_get(c, VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKING_STI | BLOCKING_MOV_SS)) ||
		check_get(c, VMCS_GUEST_ACTIVITY_STATE) == ACTIVITY_HLT;
	bool is_stepping = (check_get(c, VMCS_GUEST_RFLAGS) & RFLAGS_TF) &&
			   !(check_get(c, VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF);

	return !is_held || !!(val & PENDING_BS) == is_stepping;
}

static bool link_ok(const struct check *c, uint64_t val)
{
	return val == ~0ull || check_page(c, val);
}

/* ---- [SDM] "Checks on Guest Page-Directory-Pointer-Table Entries" ---- */

static bool pdpte_ok(const struct check *c, uint64_t val)
{
	bool is_used = !check_is_64(c) && (check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PG) &&
		       (check_get(c, VMCS_GUEST_CR4) & CHECK_CR4_PAE) && (c->cpu2 & CPU2_EPT);

	return !is_used || !(val & 1) || (!(val & PDPTE_RESERVED) && check_phys(c, val));
}

static const struct check_rule other_rules[] = {
	RULE(GUEST_GDTR_BASE, check_canonical, "not canonical"),
	RULE(GUEST_IDTR_BASE, check_canonical, "not canonical"),
	RULE(GUEST_GDTR_LIMIT, table_limit_ok, "bits 31:16 are not zero"),
	RULE(GUEST_IDTR_LIMIT, table_limit_ok, "bits 31:16 are not zero"),
	RULE(GUEST_RIP, rip_ok, "not canonical, or beyond 32 bits outside 64-bit code"),
	RULE(GUEST_RFLAGS, rflags_reserved_ok, "reserved bits are not as they must be"),
	RULE(GUEST_RFLAGS, rflags_vm_ok, "virtual-8086 mode where it cannot be"),
	RULE(GUEST_RFLAGS, rflags_if_ok, "an interrupt is injected and IF is zero"),
	RULE(GUEST_ACTIVITY_STATE, activity_ok, "a state that the CPU does not have"),
	RULE(GUEST_ACTIVITY_STATE, hlt_ok, "HLT, and SS's DPL is not zero"),
	RULE(GUEST_ACTIVITY_STATE, activity_blocking_ok,
	     "not active, and blocking by STI or MOV SS"),
	RULE(GUEST_ACTIVITY_STATE, activity_event_ok,
	     "an event is injected that this state does not take"),
	RULE(GUEST_INTERRUPTIBILITY, blocking_reserved_ok, "reserved bits are set"),
	RULE(GUEST_INTERRUPTIBILITY, blocking_both_ok, "blocking by STI and by MOV SS"),
	RULE(GUEST_INTERRUPTIBILITY, blocking_sti_ok, "blocking by STI, and IF is zero"),
	RULE(GUEST_INTERRUPTIBILITY, blocking_event_ok, "the event that is injected is blocked"),
	RULE(GUEST_INTERRUPTIBILITY, blocking_smi_ok, "blocking by SMI outside SMM"),
	RULE(GUEST_PENDING_DEBUG, pending_reserved_ok, "reserved bits are set"),
	RULE(GUEST_PENDING_DEBUG, pending_step_ok, "BS does not fit TF and BTF"),
	RULE(LINK_POINTER, link_ok, "not all ones and not the address of a page"),
};

static const struct check_rule pdpte_rules[] = {
	RULE(GUEST_PDPTE0, pdpte_ok, "reserved bits are set"),
	RULE(GUEST_PDPTE1, pdpte_ok, "reserved bits are set"),
	RULE(GUEST_PDPTE2, pdpte_ok, "reserved bits are set"),
	RULE(GUEST_PDPTE3, pdpte_ok, "reserved bits are set"),
};

bool check_guest(const struct check *c)
{
	return check_rules(c, control_rules, ARRAY_SIZE(control_rules)) && check_segments(c) &&
	       check_rules(c, other_rules, ARRAY_SIZE(other_rules)) &&
	       (!(c->cpu2 & CPU2_EPT) || check_rules(c, pdpte_rules, ARRAY_SIZE(pdpte_rules)));
}
