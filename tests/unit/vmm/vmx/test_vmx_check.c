/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VMCS that is right passes; each row below breaks one rule of it and is found by name. Some rows
 * first bring the VMCS into another state that is right as well, and that is checked too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/vmx/vmcs.h"
#include "vmm/vmx/vmx_check.h"

#define FIELDS 0x7000

static uint64_t vmcs[FIELDS];
static struct vmx_cap cap;

static uint64_t read_field(void *ctx, uint32_t field)
{
	assert_ptr_equal(ctx, &cap);
	assert_true(field < FIELDS);
	return vmcs[field];
}

static void set_segment(unsigned nr, uint16_t selector, uint32_t limit, uint32_t access)
{
	vmcs[VMCS_GUEST_ES_SELECTOR + 2 * nr] = selector;
	vmcs[VMCS_GUEST_ES_LIMIT + 2 * nr] = limit;
	vmcs[VMCS_GUEST_ES_ACCESS + 2 * nr] = access;
	vmcs[VMCS_GUEST_ES_BASE + 2 * nr] = 0;
}

#define ALLOWED(must) ((uint64_t)~0u << 32 | (must))

static void make_capabilities(void)
{
	cap = (struct vmx_cap){
		.basic = BIT(55),
		.misc = BIT(6) | BIT(7) | BIT(8) | 4 << 16,
		.pin = ALLOWED(0x16) & ~(BIT(31) << 32),
		.cpu = ALLOWED(0x4006172),
		.cpu2 = (uint64_t)0x7fffffff << 32,
		.exit = ALLOWED(0x36dfb) & ~(BIT(31) << 32),
		.entry = ALLOWED(0x11fb) & ~(BIT(31) << 32),
		.cr0_fixed0 = 0x80000021,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000,
		.cr4_fixed1 = 0x3727ff,
		.ept_vpid = EPT_CAP_WALK_4 | EPT_CAP_WB | EPT_CAP_AD,
		.phys_bits = 46,
	};
}

static void make_controls(void)
{
	vmcs[VMCS_PIN_BASED] = 0x16 | PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMIS;
	vmcs[VMCS_CPU_BASED] = 0x4006172 | CPU_HLT | CPU_TPR_SHADOW | CPU_IO_BITMAPS |
			       CPU_MSR_BITMAPS | CPU_SECONDARY;
	vmcs[VMCS_CPU_BASED2] = CPU2_EPT | CPU2_VPID | CPU2_UNRESTRICTED | CPU2_APIC_ACCESSES |
				CPU2_APIC_REGISTERS | CPU2_INTERRUPT_DELIVERY;
	vmcs[VMCS_EXIT_CONTROLS] = 0x36dfb | EXIT_CTL_HOST_64 | EXIT_CTL_ACK_INTERRUPT |
				   EXIT_CTL_LOAD_PAT | EXIT_CTL_LOAD_EFER;
	vmcs[VMCS_ENTRY_CONTROLS] = 0x11fb | ENTRY_CTL_LOAD_DEBUG | ENTRY_CTL_GUEST_64 |
				    ENTRY_CTL_LOAD_PAT | ENTRY_CTL_LOAD_EFER;
	vmcs[VMCS_IO_BITMAP_A] = 0x1000;
	vmcs[VMCS_IO_BITMAP_B] = 0x2000;
	vmcs[VMCS_MSR_BITMAP] = 0x3000;
	vmcs[VMCS_VIRTUAL_APIC_ADDR] = 0x4000;
	vmcs[VMCS_APIC_ACCESS_ADDR] = 0x5000;
	vmcs[VMCS_VPID] = 1;
	vmcs[VMCS_EPT_POINTER] = 0x6000 | EPTP_WB | EPTP_WALK_4 | EPTP_AD;
	vmcs[VMCS_LINK_POINTER] = ~0ull;
}

static void make_host(void)
{
	vmcs[VMCS_HOST_CR0] = 0x80050033;
	vmcs[VMCS_HOST_CR3] = 0x7000;
	vmcs[VMCS_HOST_CR4] = 0x26e0;
	vmcs[VMCS_HOST_PAT] = 0x0007040600070406;
	vmcs[VMCS_HOST_EFER] = 0xd00;
	vmcs[VMCS_HOST_CS_SELECTOR] = 8;
	vmcs[VMCS_HOST_SS_SELECTOR] = 16;
	vmcs[VMCS_HOST_TR_SELECTOR] = 24;
	vmcs[VMCS_HOST_RIP] = 0xffffffff80100000;
	vmcs[VMCS_HOST_TR_BASE] = 0xffffffff80200000;
}

/* A guest in 64-bit mode, CPL 0. */
static void make_guest(void)
{
	vmcs[VMCS_GUEST_CR0] = 0x80050033;
	vmcs[VMCS_GUEST_CR3] = 0x1000;
	vmcs[VMCS_GUEST_CR4] = 0x26e0;
	vmcs[VMCS_GUEST_EFER] = 0xd01;
	vmcs[VMCS_GUEST_PAT] = 0x0007040600070406;
	vmcs[VMCS_GUEST_DR7] = 0x400;
	vmcs[VMCS_GUEST_RIP] = 0xffffffff81000000;
	vmcs[VMCS_GUEST_RFLAGS] = 0x202;
	for (unsigned nr = 0; nr < 6; nr++)
		set_segment(nr, 0x18, 0xffffffff, 0xc093);
	set_segment(1, 0x10, 0xffffffff, 0xa09b);
	set_segment(6, 0, 0, ACCESS_UNUSABLE);
	set_segment(7, 0x40, 0x67, 0x8b);
}

static void make(void)
{
	memset(vmcs, 0, sizeof(vmcs));
	make_capabilities();
	make_controls();
	make_host();
	make_guest();
}

static const char *check(void)
{
	static char text[160];

	return vmx_check(read_field, &cap, &cap, text, sizeof(text));
}

/* ---- other states that are right ---- */

static void none(void)
{
}

static void real_mode(void)
{
	vmcs[VMCS_ENTRY_CONTROLS] &= ~(uint64_t)ENTRY_CTL_GUEST_64;
	vmcs[VMCS_GUEST_EFER] = 0;
	vmcs[VMCS_GUEST_CR0] = 0x30;
	vmcs[VMCS_GUEST_CR4] = 0x2000;
	vmcs[VMCS_GUEST_RIP] = 0xfff0;
	vmcs[VMCS_GUEST_RFLAGS] = 2;
	for (unsigned nr = 0; nr < 6; nr++)
		set_segment(nr, 0, 0xffff, 0x93);
	set_segment(1, 0xf000, 0xffff, 0x9b);
	vmcs[VMCS_GUEST_CS_BASE] = 0xffff0000;
	set_segment(6, 0, 0xffff, 0x82);
	set_segment(7, 0, 0xffff, 0x8b);
}

static void protected_mode(void)
{
	real_mode();
	vmcs[VMCS_GUEST_CR0] = 0x80050033;
	for (unsigned nr = 0; nr < 6; nr++)
		set_segment(nr, 0x10, 0xffffffff, 0xc093);
	set_segment(1, 8, 0xffffffff, 0xc09b);
}

static void pae(void)
{
	protected_mode();
	vmcs[VMCS_GUEST_CR4] = 0x2020;
	vmcs[VMCS_GUEST_PDPTE0] = 0x1001;
}

static void restricted(void)
{
	vmcs[VMCS_CPU_BASED2] &= ~(uint64_t)CPU2_UNRESTRICTED;
	for (unsigned nr = 0; nr < 6; nr++)
		vmcs[VMCS_GUEST_ES_SELECTOR + 2 * nr] &= ~3ull;
}

static void v86(void)
{
	protected_mode();
	vmcs[VMCS_GUEST_RFLAGS] = BIT(17) | 2;
	for (unsigned nr = 0; nr < 6; nr++) {
		set_segment(nr, 0x1234, 0xffff, 0xf3);
		vmcs[VMCS_GUEST_ES_BASE + 2 * nr] = 0x12340;
	}
}

static void no_secondary(void)
{
	vmcs[VMCS_CPU_BASED] &= ~(uint64_t)(CPU_SECONDARY);
	vmcs[VMCS_CPU_BASED2] = ~0ull; /* not looked at */
}

static void injects_page_fault(void)
{
	vmcs[VMCS_ENTRY_INTR_INFO] = INTR_VALID | INTR_HAS_CODE | INTR_TYPE_HARDWARE << 8 | 14;
}

static void injects_interrupt(void)
{
	vmcs[VMCS_ENTRY_INTR_INFO] = INTR_VALID | 0x30;
}

static void injects_nmi(void)
{
	vmcs[VMCS_ENTRY_INTR_INFO] = INTR_VALID | INTR_TYPE_NMI << 8 | 2;
}

static void injects_int3(void)
{
	vmcs[VMCS_ENTRY_INTR_INFO] = INTR_VALID | INTR_TYPE_SW_EXCEPTION << 8 | 3;
	vmcs[VMCS_ENTRY_INSN_LEN] = 1;
}

static void halted(void)
{
	vmcs[VMCS_GUEST_ACTIVITY_STATE] = ACTIVITY_HLT;
}

static void shut_down(void)
{
	vmcs[VMCS_GUEST_ACTIVITY_STATE] = ACTIVITY_SHUTDOWN;
}

static void with_ldt(void)
{
	set_segment(6, 0x20, 0xfff, 0x82);
}

static void with_lists(void)
{
	vmcs[VMCS_EXIT_MSR_STORE_COUNT] = vmcs[VMCS_EXIT_MSR_LOAD_COUNT] =
		vmcs[VMCS_ENTRY_MSR_LOAD_COUNT] = 2;
	vmcs[VMCS_EXIT_MSR_STORE_ADDR] = vmcs[VMCS_EXIT_MSR_LOAD_ADDR] =
		vmcs[VMCS_ENTRY_MSR_LOAD_ADDR] = 0x8010;
}

static void shadowed_by_sti(void)
{
	vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCKING_STI;
}

/* ---- the rows ---- */

struct row {
	void (*before)(void);
	uint32_t field;
	uint64_t flip;	  /* bits to change in it */
	const char *want; /* in the sentence */
};

#define NOT_CANONICAL BIT(63)
#define BEYOND	      BIT(46)

static const struct row rows[] = {
	{none, VMCS_PIN_BASED, BIT(31), "PIN_BASED"},
	{none, VMCS_PIN_BASED, BIT(1), "capability"},
	{none, VMCS_CPU_BASED, BIT(1), "CPU_BASED is"},
	{none, VMCS_CPU_BASED2, BIT(31), "CPU_BASED2"},
	{none, VMCS_CR3_TARGET_COUNT, 5, "CR3_TARGET_COUNT"},
	{none, VMCS_IO_BITMAP_A, 1, "IO_BITMAP_A"},
	{none, VMCS_IO_BITMAP_B, BEYOND, "IO_BITMAP_B"},
	{none, VMCS_MSR_BITMAP, 0x800, "MSR_BITMAP"},
	{none, VMCS_VIRTUAL_APIC_ADDR, 8, "VIRTUAL_APIC_ADDR"},
	{none, VMCS_APIC_ACCESS_ADDR, 8, "APIC_ACCESS_ADDR"},
	{none, VMCS_CPU_BASED, CPU_TPR_SHADOW, "without a TPR shadow"},
	{none, VMCS_CPU_BASED2, CPU2_X2APIC_MODE, "exclude each other"},
	{none, VMCS_PIN_BASED, PIN_EXTERNAL_INTERRUPT, "without external-interrupt exiting"},
	{none, VMCS_PIN_BASED, PIN_NMI, "virtual NMIs without NMI exiting"},
	{none, VMCS_VPID, 1, "VPID"},
	{none, VMCS_EPT_POINTER, 6, "memory type"},
	{none, VMCS_EPT_POINTER, 1, "memory type"},
	{none, VMCS_EPT_POINTER, 8, "walk length"},
	{none, VMCS_EPT_POINTER, BIT(7), "EPT_POINTER"},
	{none, VMCS_EPT_POINTER, BEYOND, "EPT_POINTER"},
	{none, VMCS_CPU_BASED2, CPU2_EPT, "needs EPT"},
	{none, VMCS_CPU_BASED2, CPU2_TSC_SCALING, "multiplier of zero"},
	{none, VMCS_EXIT_CONTROLS, BIT(31), "EXIT_CONTROLS"},
	{none, VMCS_EXIT_CONTROLS, EXIT_CTL_SAVE_TIMER, "preemption timer"},
	{none, VMCS_ENTRY_CONTROLS, BIT(31), "ENTRY_CONTROLS"},
	{none, VMCS_ENTRY_CONTROLS, ENTRY_CTL_SMM, "SMM"},
	{none, VMCS_ENTRY_CONTROLS, ENTRY_CTL_DUAL_MONITOR, "SMM"},
	{with_lists, VMCS_EXIT_MSR_STORE_ADDR, 8, "EXIT_MSR_STORE_ADDR"},
	{with_lists, VMCS_EXIT_MSR_LOAD_ADDR, 8, "EXIT_MSR_LOAD_ADDR"},
	{with_lists, VMCS_ENTRY_MSR_LOAD_ADDR, BEYOND, "ENTRY_MSR_LOAD_ADDR"},
	{injects_page_fault, VMCS_ENTRY_INTR_INFO, 0x200, "reserved type"}, /* 3 becomes 1 */
	{injects_page_fault, VMCS_ENTRY_INTR_INFO, 0x80, "vector"},
	{injects_page_fault, VMCS_ENTRY_INTR_INFO, INTR_HAS_CODE, "error code"},
	{injects_page_fault, VMCS_ENTRY_INTR_INFO, 8, "error code"}, /* 6 has none */
	{injects_page_fault, VMCS_ENTRY_INTR_INFO, BIT(12), "bits 30:12"},
	{injects_page_fault, VMCS_ENTRY_ERROR_CODE, BIT(16), "ENTRY_ERROR_CODE"},
	{injects_nmi, VMCS_ENTRY_INTR_INFO, 1, "vector"},
	{injects_int3, VMCS_ENTRY_INSN_LEN, 1, "ENTRY_INSN_LEN"},
	{injects_int3, VMCS_ENTRY_INSN_LEN, 17, "ENTRY_INSN_LEN"},
	{none, VMCS_HOST_CR0, 1, "HOST_CR0"},
	{none, VMCS_HOST_CR4, 0x2000, "HOST_CR4"},
	{none, VMCS_HOST_CR4, 0x20, "PAE"},
	{none, VMCS_HOST_CR3, BEYOND, "HOST_CR3"},
	{none, VMCS_HOST_SYSENTER_ESP, NOT_CANONICAL, "HOST_SYSENTER_ESP"},
	{none, VMCS_HOST_SYSENTER_EIP, NOT_CANONICAL, "HOST_SYSENTER_EIP"},
	{none, VMCS_HOST_PAT, 4, "HOST_PAT"},
	{none, VMCS_HOST_EFER, BIT(10), "HOST_EFER"},
	{none, VMCS_HOST_EFER, BIT(1), "HOST_EFER"},
	{none, VMCS_HOST_ES_SELECTOR, 4, "HOST_ES_SELECTOR"},
	{none, VMCS_HOST_CS_SELECTOR, 3, "HOST_CS_SELECTOR"},
	{none, VMCS_HOST_SS_SELECTOR, 1, "HOST_SS_SELECTOR"},
	{none, VMCS_HOST_DS_SELECTOR, 1, "HOST_DS_SELECTOR"},
	{none, VMCS_HOST_FS_SELECTOR, 1, "HOST_FS_SELECTOR"},
	{none, VMCS_HOST_GS_SELECTOR, 1, "HOST_GS_SELECTOR"},
	{none, VMCS_HOST_TR_SELECTOR, 1, "HOST_TR_SELECTOR"},
	{none, VMCS_HOST_CS_SELECTOR, 8, "HOST_CS_SELECTOR is 0x0"},
	{none, VMCS_HOST_TR_SELECTOR, 24, "HOST_TR_SELECTOR is 0x0"},
	{none, VMCS_HOST_FS_BASE, NOT_CANONICAL, "HOST_FS_BASE"},
	{none, VMCS_HOST_GS_BASE, NOT_CANONICAL, "HOST_GS_BASE"},
	{none, VMCS_HOST_GDTR_BASE, NOT_CANONICAL, "HOST_GDTR_BASE"},
	{none, VMCS_HOST_IDTR_BASE, NOT_CANONICAL, "HOST_IDTR_BASE"},
	{none, VMCS_HOST_TR_BASE, NOT_CANONICAL, "HOST_TR_BASE"},
	{none, VMCS_HOST_RIP, NOT_CANONICAL, "HOST_RIP"},
	{none, VMCS_GUEST_CR0, BIT(5), "GUEST_CR0"},
	{none, VMCS_GUEST_CR0, BIT(0), "paging without protection"},
	{none, VMCS_GUEST_CR0, BIT(31), "without paging"},
	{restricted, VMCS_GUEST_CR0, BIT(31), "GUEST_CR0"},
	{none, VMCS_GUEST_CR4, BIT(13), "GUEST_CR4"},
	{none, VMCS_GUEST_CR4, BIT(30), "GUEST_CR4"},
	{none, VMCS_GUEST_CR4, BIT(5), "without PAE"},
	{protected_mode, VMCS_GUEST_CR4, BIT(17), "PCID"},
	{none, VMCS_GUEST_DEBUGCTL, BIT(3), "GUEST_DEBUGCTL"},
	{none, VMCS_GUEST_CR3, BEYOND, "GUEST_CR3"},
	{none, VMCS_GUEST_DR7, BIT(32), "GUEST_DR7"},
	{none, VMCS_GUEST_SYSENTER_ESP, NOT_CANONICAL, "GUEST_SYSENTER_ESP"},
	{none, VMCS_GUEST_SYSENTER_EIP, NOT_CANONICAL, "GUEST_SYSENTER_EIP"},
	{none, VMCS_GUEST_PAT, BIT(3), "GUEST_PAT"},
	{none, VMCS_GUEST_EFER, BIT(1), "GUEST_EFER"},
	{none, VMCS_GUEST_EFER, BIT(10), "LMA differs"},
	{none, VMCS_GUEST_EFER, BIT(8), "LMA and LME"},
	{none, VMCS_GUEST_TR_SELECTOR, 4, "GUEST_TR_SELECTOR"},
	{with_ldt, VMCS_GUEST_LDTR_SELECTOR, 4, "GUEST_LDTR_SELECTOR"},
	{restricted, VMCS_GUEST_SS_SELECTOR, 3, "GUEST_SS_SELECTOR"},
	{none, VMCS_GUEST_TR_BASE, NOT_CANONICAL, "GUEST_TR_BASE"},
	{none, VMCS_GUEST_FS_BASE, NOT_CANONICAL, "GUEST_FS_BASE"},
	{none, VMCS_GUEST_GS_BASE, NOT_CANONICAL, "GUEST_GS_BASE"},
	{with_ldt, VMCS_GUEST_LDTR_BASE, NOT_CANONICAL, "GUEST_LDTR_BASE"},
	{none, VMCS_GUEST_CS_BASE, BIT(32), "GUEST_CS_BASE"},
	{none, VMCS_GUEST_ES_BASE, BIT(32), "GUEST_ES_BASE"},
	{none, VMCS_GUEST_SS_BASE, BIT(32), "GUEST_SS_BASE"},
	{none, VMCS_GUEST_DS_BASE, BIT(32), "GUEST_DS_BASE"},
	{v86, VMCS_GUEST_FS_BASE, 0x10, "GUEST_FS_BASE"},
	{v86, VMCS_GUEST_GS_LIMIT, 1, "GUEST_GS_LIMIT"},
	{v86, VMCS_GUEST_ES_ACCESS, 0x60, "GUEST_ES_ACCESS"},
	{none, VMCS_GUEST_CS_ACCESS, 1, "type"},
	{restricted, VMCS_GUEST_CS_ACCESS, 8, "type"},
	{none, VMCS_GUEST_SS_ACCESS, 2, "type"},
	{none, VMCS_GUEST_DS_ACCESS, 1, "GUEST_DS_ACCESS"},
	{none, VMCS_GUEST_ES_ACCESS, 8 | 2, "GUEST_ES_ACCESS"}, /* code that cannot be read */
	{none, VMCS_GUEST_CS_ACCESS, 0x10, "system segment"},
	{none, VMCS_GUEST_GS_ACCESS, 0x10, "system segment"},
	{none, VMCS_GUEST_CS_ACCESS, 0x60, "DPL"},
	{none, VMCS_GUEST_SS_ACCESS, 0x60, "DPL"},
	{real_mode, VMCS_GUEST_SS_ACCESS, 0x60, "DPL"},
	{restricted, VMCS_GUEST_DS_SELECTOR, 3, "GUEST_DS_ACCESS"},
	{none, VMCS_GUEST_CS_ACCESS, 0x80, "not present"},
	{none, VMCS_GUEST_FS_ACCESS, 0x80, "not present"},
	{none, VMCS_GUEST_CS_ACCESS, 0x100, "reserved"},
	{none, VMCS_GUEST_DS_ACCESS, BIT(17), "reserved"},
	{none, VMCS_GUEST_CS_ACCESS, BIT(14), "L and D/B"},
	{none, VMCS_GUEST_CS_LIMIT, 1, "granularity"},
	{none, VMCS_GUEST_DS_ACCESS, BIT(15), "granularity"},
	{none, VMCS_GUEST_TR_ACCESS, 8, "busy TSS"},
	{none, VMCS_GUEST_TR_ACCESS, 2, "busy TSS"},
	{none, VMCS_GUEST_TR_ACCESS, 0x10, "not a system segment"},
	{none, VMCS_GUEST_TR_ACCESS, 0x80, "not present"},
	{none, VMCS_GUEST_TR_ACCESS, ACCESS_UNUSABLE, "unusable"},
	{none, VMCS_GUEST_TR_LIMIT, BIT(20), "granularity"},
	{with_ldt, VMCS_GUEST_LDTR_ACCESS, 1, "LDT"},
	{with_ldt, VMCS_GUEST_LDTR_ACCESS, 0x10, "not a system segment"},
	{with_ldt, VMCS_GUEST_LDTR_ACCESS, 0x80, "not present"},
	{with_ldt, VMCS_GUEST_LDTR_ACCESS, 0x800, "reserved"},
	{none, VMCS_GUEST_GDTR_BASE, NOT_CANONICAL, "GUEST_GDTR_BASE"},
	{none, VMCS_GUEST_IDTR_BASE, NOT_CANONICAL, "GUEST_IDTR_BASE"},
	{none, VMCS_GUEST_GDTR_LIMIT, BIT(16), "GUEST_GDTR_LIMIT"},
	{none, VMCS_GUEST_IDTR_LIMIT, BIT(16), "GUEST_IDTR_LIMIT"},
	{none, VMCS_GUEST_RIP, NOT_CANONICAL, "GUEST_RIP"},
	{real_mode, VMCS_GUEST_RIP, BIT(32), "GUEST_RIP"},
	{none, VMCS_GUEST_RFLAGS, BIT(1), "GUEST_RFLAGS"},
	{none, VMCS_GUEST_RFLAGS, BIT(15), "GUEST_RFLAGS"},
	{none, VMCS_GUEST_RFLAGS, BIT(22), "GUEST_RFLAGS"},
	{injects_interrupt, VMCS_GUEST_RFLAGS, BIT(9), "IF is zero"},
	{none, VMCS_GUEST_ACTIVITY_STATE, 4, "GUEST_ACTIVITY_STATE"},
	{halted, VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_STI, "not active, and blocking"},
	{halted, VMCS_ENTRY_INTR_INFO, INTR_VALID | INTR_TYPE_HARDWARE << 8 | 6, "does not take"},
	{shut_down, VMCS_ENTRY_INTR_INFO, INTR_VALID | 0x30, "does not take"},
	{none, VMCS_GUEST_INTERRUPTIBILITY, 0x20, "reserved"},
	{none, VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_STI | BLOCKING_MOV_SS, "by STI and by MOV SS"},
	{shadowed_by_sti, VMCS_GUEST_RFLAGS, BIT(9), "IF is zero"},
	{injects_interrupt, VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_STI, "blocked"},
	{injects_nmi, VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_MOV_SS, "blocked"},
	{injects_nmi, VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_NMI, "blocked"},
	{none, VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_SMI, "SMI"},
	{none, VMCS_GUEST_PENDING_DEBUG, BIT(4), "reserved"},
	{shadowed_by_sti, VMCS_GUEST_PENDING_DEBUG, BIT(14), "BS"},
	{shadowed_by_sti, VMCS_GUEST_RFLAGS, BIT(8), "BS"},
	{none, VMCS_LINK_POINTER, 1, "LINK_POINTER"},
	{pae, VMCS_GUEST_PDPTE0, BIT(1), "GUEST_PDPTE0"},
	{pae, VMCS_GUEST_PDPTE3, BEYOND | 1, "GUEST_PDPTE3"},
};

static void finds_each_broken_rule_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		const char *why;

		make();
		row->before();
		why = check();
		if (why)
			fail_msg("row %zu: refused before it was broken: %s", i, why);
		vmcs[row->field] ^= row->flip;
		why = check();
		if (!why || !strstr(why, row->want))
			fail_msg("row %zu (%s): found '%s'", i, row->want, why ? why : "nothing");
	}
}

static void passes_states_that_are_right(void **state)
{
	static void (*const states[])(void) = {
		none,	real_mode,	    protected_mode,    pae,	    restricted,
		v86,	injects_page_fault, injects_interrupt, injects_nmi, injects_int3,
		halted, shut_down,	    with_ldt,	       with_lists,  shadowed_by_sti};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		make();
		states[i]();
		if (check())
			fail_msg("state %zu: %s", i, check());
	}
}

static void ignores_secondary_controls_that_are_off(void **state)
{
	(void)state;
	make();
	no_secondary();
	vmcs[VMCS_EPT_POINTER] = ~0ull;
	assert_null(check());
}

static void knows_what_this_cpu_lacks(void **state)
{
	(void)state;
	make();
	cap.ept_vpid &= ~EPT_CAP_AD;
	assert_non_null(strstr(check(), "accessed and dirty"));
	make();
	cap.misc &= ~BIT(6);
	halted();
	assert_non_null(strstr(check(), "ACTIVITY_STATE"));
	make();
	cap.misc |= BIT(30);
	injects_int3();
	vmcs[VMCS_ENTRY_INSN_LEN] = 0;
	assert_null(check());
	make();
	cap.basic |= BIT(56);
	injects_page_fault();
	vmcs[VMCS_ENTRY_INTR_INFO] &= ~(uint64_t)INTR_HAS_CODE;
	assert_null(check());
	make();
	cap.phys_bits = 0; /* not known: 52 */
	vmcs[VMCS_HOST_CR3] = BIT(51);
	assert_null(check());
	vmcs[VMCS_HOST_CR3] = BIT(52);
	assert_non_null(check());
}

/* Rules that cannot be broken without a second change. */
static void finds_rules_between_two_fields(void **state)
{
	(void)state;
	make();
	vmcs[VMCS_PIN_BASED] &= ~(uint64_t)PIN_VIRTUAL_NMIS;
	vmcs[VMCS_CPU_BASED] |= CPU_NMI_WINDOW;
	assert_non_null(strstr(check(), "NMI-window"));
	make();
	vmcs[VMCS_PIN_BASED] |= PIN_POSTED_INTERRUPTS;
	assert_null(check());
	vmcs[VMCS_CPU_BASED2] &= ~(uint64_t)CPU2_INTERRUPT_DELIVERY;
	assert_non_null(strstr(check(), "posted"));
	make();
	cap.exit &= ~(uint64_t)EXIT_CTL_HOST_64;
	vmcs[VMCS_EXIT_CONTROLS] &= ~(uint64_t)EXIT_CTL_HOST_64;
	assert_non_null(strstr(check(), "64-bit mode"));
	make();
	vmcs[VMCS_CPU_BASED2] &= ~(uint64_t)CPU2_INTERRUPT_DELIVERY;
	vmcs[VMCS_TPR_THRESHOLD] = 0xf;
	assert_null(check());
	vmcs[VMCS_TPR_THRESHOLD] = 0x10;
	assert_non_null(strstr(check(), "TPR_THRESHOLD"));
	make();
	vmcs[VMCS_CPU_BASED2] |= CPU2_TSC_SCALING;
	vmcs[VMCS_TSC_MULTIPLIER] = 1;
	assert_null(check());
	make();
	vmcs[VMCS_GUEST_RFLAGS] |= BIT(17);
	vmcs[VMCS_GUEST_RIP] = 0;
	for (unsigned nr = 0; nr < 6; nr++)
		set_segment(nr, 0, 0xffff, 0xf3);
	assert_non_null(strstr(check(), "virtual-8086 mode where"));
	make();
	halted();
	vmcs[VMCS_GUEST_SS_ACCESS] |= 0x60;
	vmcs[VMCS_GUEST_CS_ACCESS] |= 0x60;
	assert_non_null(strstr(check(), "SS's DPL"));
}

static void says_field_value_and_rule(void **state)
{
	(void)state;
	make();
	vmcs[VMCS_GUEST_RIP] = 0x8000000000000000;
	assert_string_equal(check(),
			    "GUEST_RIP is 0x8000000000000000: not canonical, or beyond 32 bits "
			    "outside 64-bit code");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_states_that_are_right),
		cmocka_unit_test(finds_each_broken_rule_by_name),
		cmocka_unit_test(ignores_secondary_controls_that_are_off),
		cmocka_unit_test(knows_what_this_cpu_lacks),
		cmocka_unit_test(finds_rules_between_two_fields),
		cmocka_unit_test(says_field_value_and_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
