/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks on a guest's segment registers: functions over the eight of them, which share a
 * layout.
 *
 * Source: [SDM] "Checks on Guest Segment Registers".
 */
#include "vmm/vmx/vmx_check_rules.h"

#define ACCESS_S	BIT(4)
#define ACCESS_P	BIT(7)
#define ACCESS_L	BIT(13)
#define ACCESS_DB	BIT(14)
#define ACCESS_RESERVED 0xfffe0f00u

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
	if (!check_is_v86(c) && !check_is_unrestricted(c) && ss.rpl != cs.rpl)
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
		return (s->type & 9) == 9 || (s->type == 3 && check_is_unrestricted(c));
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
		if (!check_is_unrestricted(c) && s->dpl != s->rpl)
			return false;
		return s->dpl == 0 ||
		       (cs.type != 3 && (check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PE));
	}
	return check_is_unrestricted(c) || !s->is_usable || s->type > 11 || s->dpl >= s->rpl;
}

static bool granularity_ok(const struct segment *s)
{
	bool is_paged = s->access >> 15 & 1;

	return is_paged ? (s->limit & 0xfff) == 0xfff : s->limit >> 20 == 0;
}

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
	if (s->nr == CS && check_is_64(c) && (s->access & ACCESS_L) && (s->access & ACCESS_DB))
		return fail_segment(c, s, VMCS_GUEST_ES_ACCESS, "L and D/B together");
	return !counts || check_common_access(c, s);
}

static bool check_system(const struct check *c, const struct segment *s)
{
	bool is_right_type =
		s->nr == LDTR ? s->type == 2 : s->type == 11 || (s->type == 3 && !check_is_64(c));

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

bool check_segments(const struct check *c)
{
	if (!check_selectors(c) || !check_bases(c))
		return false;
	if (check_is_v86(c) && !check_v86(c))
		return false;
	for (unsigned nr = check_is_v86(c) ? LDTR : ES; nr < SEGS; nr++) {
		struct segment s = segment_at(c, nr);

		if (nr < LDTR ? !check_code_or_data(c, &s) : !check_system(c, &s))
			return false;
	}
	return true;
}
