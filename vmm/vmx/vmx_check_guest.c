/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks on guest state. Those on segments are functions over the six (or eight) of them, which
 * share a layout; the others are rows.
 *
 * Source: [SDM] "Checks on the Guest State Area".
 */
#include "vmm/vmx/vmx_check_rules.h"

#define RFLAGS_TF	 BIT(8)
#define RFLAGS_IF	 BIT(9)
#define RFLAGS_VM	 BIT(17)
#define RFLAGS_RESERVED	 (~0x3f7fd7ull) /* 63:22, 15, 5, 3 */
#define DEBUGCTL_VALID	 0xdfc3ull
#define DEBUGCTL_BTF	 BIT(1)
#define DR7_HIGH	 0xffffffff00000000ull
#define PDPTE_RESERVED	 0x1e6ull
#define MISC_ACTIVITY	 0x1c0ull /* HLT, shutdown, wait-for-SIPI */
#define PENDING_BS	 BIT(14)
#define PENDING_RESERVED (~(0xfull | BIT(12) | BIT(14) | BIT(16)))

static bool is_64(const struct check *c)
{
	return c->entry & ENTRY_CTL_GUEST_64;
}

static bool is_unrestricted(const struct check *c)
{
	return c->cpu2 & CPU2_UNRESTRICTED;
}

static bool is_v86(const struct check *c)
{
	return check_get(c, VMCS_GUEST_RFLAGS) & RFLAGS_VM;
}

/* The type of the event that the entry injects, or -1. */
static int event_type(const struct check *c)
{
	uint64_t info = check_get(c, VMCS_ENTRY_INTR_INFO);

	return info & INTR_VALID ? (int)FIELD_GET(INTR_TYPE, info) : -1;
}

/* ---- [SDM] "Checks on Guest Control Registers, Debug Registers, and MSRs" ---- */

static bool cr0_ok(const struct check *c, uint64_t val)
{
	uint64_t free_bits = is_unrestricted(c) ? CHECK_CR0_PE | CHECK_CR0_PG : 0;

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
	return !is_64(c) || (val & CHECK_CR0_PG);
}

static bool long_pae_ok(const struct check *c, uint64_t val)
{
	return !is_64(c) || (val & CHECK_CR4_PAE);
}

static bool pcid_ok(const struct check *c, uint64_t val)
{
	return is_64(c) || !(val & CHECK_CR4_PCIDE);
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
	return !(c->entry & ENTRY_CTL_LOAD_EFER) || !!(val & CHECK_EFER_LMA) == is_64(c);
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

/* ---- [SDM] "Checks on Guest Segment Registers" ---- */

enum { ES, CS, SS, DS, FS, GS, LDTR, TR, SEGS };

struct segment {
	unsigned nr;
	uint64_t base;
	uint32_t limit, access;
	uint16_t selector;
	unsigned type, dpl, rpl;
	bool is_usable;
};

static struct segment segment_at(const struct check *c, unsigned nr)
{
	struct segment s = {
		.nr = nr,
		.base = check_get(c, VMCS_GUEST_ES_BASE + 2 * nr),
		.limit = (uint32_t)check_get(c, VMCS_GUEST_ES_LIMIT + 2 * nr),
		.access = (uint32_t)check_get(c, VMCS_GUEST_ES_ACCESS + 2 * nr),
		.selector = (uint16_t)check_get(c, VMCS_GUEST_ES_SELECTOR + 2 * nr),
	};

	s.type = s.access & 0xf;
	s.dpl = s.access >> 5 & 3;
	s.rpl = s.selector & 3;
	s.is_usable = !(s.access & ACCESS_UNUSABLE);
	return s;
}

static bool fail_segment(const struct check *c, const struct segment *s, uint32_t first_field,
			 const char *rule)
{
	static const char *const names[][SEGS] = {
		{"GUEST_ES_SELECTOR", "GUEST_CS_SELECTOR", "GUEST_SS_SELECTOR", "GUEST_DS_SELECTOR",
		 "GUEST_FS_SELECTOR", "GUEST_GS_SELECTOR", "GUEST_LDTR_SELECTOR",
		 "GUEST_TR_SELECTOR"},
		{"GUEST_ES_BASE", "GUEST_CS_BASE", "GUEST_SS_BASE", "GUEST_DS_BASE",
		 "GUEST_FS_BASE", "GUEST_GS_BASE", "GUEST_LDTR_BASE", "GUEST_TR_BASE"},
		{"GUEST_ES_LIMIT", "GUEST_CS_LIMIT", "GUEST_SS_LIMIT", "GUEST_DS_LIMIT",
		 "GUEST_FS_LIMIT", "GUEST_GS_LIMIT", "GUEST_LDTR_LIMIT", "GUEST_TR_LIMIT"},
		{"GUEST_ES_ACCESS", "GUEST_CS_ACCESS", "GUEST_SS_ACCESS", "GUEST_DS_ACCESS",
		 "GUEST_FS_ACCESS", "GUEST_GS_ACCESS", "GUEST_LDTR_ACCESS", "GUEST_TR_ACCESS"},
	};
	unsigned row = first_field == VMCS_GUEST_ES_SELECTOR ? 0
		       : first_field == VMCS_GUEST_ES_BASE   ? 1
		       : first_field == VMCS_GUEST_ES_LIMIT  ? 2
							     : 3;

	return check_fail(c, first_field + 2 * s->nr, names[row][s->nr], rule);
}

static bool check_selectors(const struct check *c)
{
	struct segment tr = segment_at(c, TR), ldtr = segment_at(c, LDTR);
	struct segment ss = segment_at(c, SS), cs = segment_at(c, CS);

	if (tr.selector & 4)
		return fail_segment(c, &tr, VMCS_GUEST_ES_SELECTOR, "TI is not zero");
	if (ldtr.is_usable && (ldtr.selector & 4))
		return fail_segment(c, &ldtr, VMCS_GUEST_ES_SELECTOR, "TI is not zero");
	if (!is_v86(c) && !is_unrestricted(c) && ss.rpl != cs.rpl)
		return fail_segment(c, &ss, VMCS_GUEST_ES_SELECTOR, "RPL differs from that of CS");
	return true;
}

static bool base_ok(const struct check *c, const struct segment *s)
{
	switch (s->nr) {
	case FS:
	case GS:
	case TR:
		return check_canonical(c, s->base);
	case LDTR:
		return !s->is_usable || check_canonical(c, s->base);
	case CS:
		return s->base >> 32 == 0;
	default:
		return !s->is_usable || s->base >> 32 == 0;
	}
}

static bool check_bases(const struct check *c)
{
	for (unsigned nr = 0; nr < SEGS; nr++) {
		struct segment s = segment_at(c, nr);

		if (!base_ok(c, &s))
			return fail_segment(c, &s, VMCS_GUEST_ES_BASE,
					    "not canonical, or beyond 32 bits");
	}
	return true;
}

static bool check_v86(const struct check *c)
{
	for (unsigned nr = ES; nr <= GS; nr++) {
		struct segment s = segment_at(c, nr);

		if (s.base != (uint64_t)s.selector << 4)
			return fail_segment(c, &s, VMCS_GUEST_ES_BASE,
					    "not 16 times the selector, in virtual-8086 mode");
		if (s.limit != 0xffff)
			return fail_segment(c, &s, VMCS_GUEST_ES_LIMIT,
					    "not 0xffff, in virtual-8086 mode");
		if (s.access != 0xf3)
			return fail_segment(c, &s, VMCS_GUEST_ES_ACCESS,
					    "not 0xf3, in virtual-8086 mode");
	}
	return true;
}

/* CS is looked at in any case, the others when they are usable. */
static bool type_ok(const struct check *c, const struct segment *s)
{
	switch (s->nr) {
	case CS:
		return (s->type & 9) == 9 || (s->type == 3 && is_unrestricted(c));
	case SS:
		return s->type == 3 || s->type == 7;
	default: /* accessed; code must be readable */
		return (s->type & 1) && (!(s->type & 8) || (s->type & 2));
	}
}

static bool cs_dpl_ok(const struct segment *cs, const struct segment *ss)
{
	if (cs->type == 3)
		return cs->dpl == 0;
	return cs->type & 4 ? cs->dpl <= ss->dpl : cs->dpl == ss->dpl;
}

static bool dpl_ok(const struct check *c, const struct segment *s)
{
	struct segment cs = segment_at(c, CS), ss = segment_at(c, SS);

	if (s->nr == CS)
		return cs_dpl_ok(&cs, &ss);
	if (s->nr == SS) {
		if (!is_unrestricted(c) && s->dpl != s->rpl)
			return false;
		return s->dpl == 0 ||
		       (cs.type != 3 && (check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PE));
	}
	return is_unrestricted(c) || !s->is_usable || s->type > 11 || s->dpl >= s->rpl;
}

static bool granularity_ok(const struct segment *s)
{
	bool is_paged = s->access >> 15 & 1;

	return is_paged ? (s->limit & 0xfff) == 0xfff : s->limit >> 20 == 0;
}

#define ACCESS_S	BIT(4)
#define ACCESS_P	BIT(7)
#define ACCESS_L	BIT(13)
#define ACCESS_DB	BIT(14)
#define ACCESS_RESERVED 0xfffe0f00u

static bool check_common_access(const struct check *c, const struct segment *s)
{
	if (!(s->access & ACCESS_P))
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "not present");
	if (s->access & ACCESS_RESERVED)
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "reserved bits are set");
	if (!granularity_ok(s))
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS,
				    "the granularity does not fit the limit");
	return true;
}

static bool check_code_or_data(const struct check *c, const struct segment *s)
{
	bool counts = s->nr == CS || s->is_usable;

	if (counts && !type_ok(c, s))
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS,
				    "a type that this register cannot have");
	if (counts && !(s->access & ACCESS_S))
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "a system segment");
	/* SS's DPL counts even when it is unusable: it is the CPL. */
	if ((counts || s->nr == SS) && !dpl_ok(c, s))
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS,
				    "a DPL that does not fit CS, SS or the mode");
	if (s->nr == CS && is_64(c) && (s->access & ACCESS_L) && (s->access & ACCESS_DB))
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "L and D/B together");
	return !counts || check_common_access(c, s);
}

static bool check_system(const struct check *c, const struct segment *s)
{
	bool is_right_type =
		s->nr == LDTR ? s->type == 2 : s->type == 11 || (s->type == 3 && !is_64(c));

	if (s->nr == LDTR && !s->is_usable)
		return true;
	if (!is_right_type)
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "not a busy TSS, or not an LDT");
	if (!s->is_usable)
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "unusable");
	if (s->access & ACCESS_S)
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "not a system segment");
	return check_common_access(c, s);
}

static bool check_segments(const struct check *c)
{
	if (!check_selectors(c) || !check_bases(c))
		return false;
	if (is_v86(c) && !check_v86(c))
		return false;
	for (unsigned nr = is_v86(c) ? LDTR : ES; nr < SEGS; nr++) {
		struct segment s = segment_at(c, nr);

		if (nr < LDTR ? !check_code_or_data(c, &s) : !check_system(c, &s))
			return false;
	}
	return true;
}

/* ---- [SDM] "Checks on Guest Descriptor-Table Registers", "… RIP, RFLAGS, and SSP" ---- */

static bool table_limit_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return val <= 0xffff;
}

static bool rip_ok(const struct check *c, uint64_t val)
{
	if (is_64(c) && (check_get(c, VMCS_GUEST_CS_ACCESS) & ACCESS_L))
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
	return !(val & RFLAGS_VM) || (!is_64(c) && (check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PE));
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
	return val != ACTIVITY_HLT || segment_at(c, SS).dpl == 0;
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
	bool is_used = !is_64(c) && (check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PG) &&
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
