/* SPDX-License-Identifier: Apache-2.0 */
/* What vmx_check.c (controls and host), vmx_check_guest.c and vmx_check_seg.c share. */
#ifndef VMM_VMX_VMX_CHECK_RULES_H
#define VMM_VMX_VMX_CHECK_RULES_H

#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx_check.h"

struct check {
	vmx_read_fn *read;
	void *ctx;
	const struct vmx_cap *cap;
	char *text;
	size_t cap_bytes;
	uint32_t pin, cpu, cpu2, exit, entry; /* cpu2 is 0 when secondary controls are off */
};

/* A rule looks at one field; it may look at others to know what holds. */
struct check_rule {
	uint32_t field;
	const char *name;
	bool (*holds)(const struct check *c, uint64_t val);
	const char *rule;
};
#define RULE(field, holds, rule) {VMCS_##field, #field, holds, rule}

static inline uint64_t check_get(const struct check *c, uint32_t field)
{
	return c->read(c->ctx, field);
}

/* Both false when something is wrong, with the sentence in c->text. */
bool check_fail(const struct check *c, uint32_t field, const char *name, const char *rule);
bool check_rules(const struct check *c, const struct check_rule *rules, size_t nr_rules);

bool check_guest(const struct check *c);
bool check_segments(const struct check *c);

/* Values that several rules ask for. */
bool check_canonical(const struct check *c, uint64_t val);
bool check_phys(const struct check *c, uint64_t val); /* no bit beyond the physical width */
bool check_page(const struct check *c, uint64_t val); /* such an address, of a page */
bool check_pat(uint64_t val);			      /* eight types that there are */
bool check_fixed(uint64_t val, uint64_t fixed0, uint64_t fixed1);

#define CHECK_CR0_PE	 BIT(0)
#define CHECK_CR0_PG	 BIT(31)
#define CHECK_CR4_PAE	 BIT(5)
#define CHECK_CR4_PCIDE	 BIT(17)
#define CHECK_EFER_VALID 0xd01ull /* SCE LME LMA NXE */
#define CHECK_EFER_LME	 BIT(8)
#define CHECK_EFER_LMA	 BIT(10)

#define CHECK_RFLAGS_VM BIT(17)

/* What mode the guest is in, or may be. */
static inline bool check_is_64(const struct check *c)
{
	return c->entry & ENTRY_CTL_GUEST_64;
}

static inline bool check_is_unrestricted(const struct check *c)
{
	return c->cpu2 & CPU2_UNRESTRICTED;
}

static inline bool check_is_v86(const struct check *c)
{
	return check_get(c, VMCS_GUEST_RFLAGS) & CHECK_RFLAGS_VM;
}

#endif
