/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker's frame, and the checks on controls and host state; each is a row with a predicate. A
 * field that its controls leave unused passes.
 *
 * Source: [SDM] "Checks on VMX Controls and Host-State Area".
 */
#include "vmm/vmx/vmx_check.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "vmm/vmx/vmx_check_rules.h"

#define MISC_CR3_TARGETS 0x01ff0000ull
#define MISC_INSN_LEN_0	 BIT(30) /* events may be injected with an instruction length of 0 */
#define BASIC_ANY_CODE	 BIT(56) /* exceptions may be injected with or without an error code */
#define EPT_CAP_UC	 BIT(8)
#define EPTP_MEM_TYPE	 0x07ull
#define EPTP_WALK	 0x38ull
#define EPTP_RESERVED	 0xf80ull
#define INTR_RESERVED	 0x7ffff000u
#define EXCEPTIONS_WITH_CODE                                                                       \
	(BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17) | BIT(21))

/* ---- the frame ---- */

bool check_fail(const struct check *c, uint32_t field, const char *name, const char *rule)
{
	(void)fmt(c->text, c->cap_bytes, "%s is 0x%llx: %s", name,
		  (unsigned long long)check_get(c, field), rule);
	return false;
}

bool check_rules(const struct check *c, const struct check_rule *rules, size_t nr_rules)
{
	for (size_t i = 0; i < nr_rules; i++)
		if (!rules[i].holds(c, check_get(c, rules[i].field)))
			return check_fail(c, rules[i].field, rules[i].name, rules[i].rule);
	return true;
}

bool check_canonical(const struct check *c, uint64_t val)
{
	int64_t top = (int64_t)val >> 47;

	(void)c; /* five-level paging is off in this kernel and its guests */
	return top == 0 || top == -1;
}

bool check_phys(const struct check *c, uint64_t val)
{
	unsigned bits = c->cap->phys_bits ? c->cap->phys_bits : 52;

	return val >> bits == 0;
}

bool check_page(const struct check *c, uint64_t val)
{
	return check_phys(c, val) && IS_ALIGNED(val, 4096);
}

bool check_pat(uint64_t val)
{
	for (unsigned i = 0; i < 64; i += 8) {
		uint8_t type = (uint8_t)(val >> i);

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool check_fixed(uint64_t val, uint64_t fixed0, uint64_t fixed1)
{
	return (val & fixed0) == fixed0 && (val & ~fixed1) == 0;
}

/* ---- [SDM] "VM-Execution Control Fields" ---- */

/* A capability's low half must be one, its high half may be. */
static bool is_allowed(uint64_t cap, uint64_t val)
{
	return check_fixed(val, (uint32_t)cap, cap >> 32);
}

static bool pin_ok(const struct check *c, uint64_t val)
{
	return is_allowed(c->cap->pin, val);
}

static bool cpu_ok(const struct check *c, uint64_t val)
{
	return is_allowed(c->cap->cpu, val);
}

static bool cpu2_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu & CPU_SECONDARY) || is_allowed(c->cap->cpu2, val);
}

static bool cr3_targets_ok(const struct check *c, uint64_t val)
{
	return val <= FIELD_GET(MISC_CR3_TARGETS, c->cap->misc);
}

static bool io_bitmap_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu & CPU_IO_BITMAPS) || check_page(c, val);
}

static bool msr_bitmap_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu & CPU_MSR_BITMAPS) || check_page(c, val);
}

static bool virtual_apic_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu & CPU_TPR_SHADOW) || check_page(c, val);
}

static bool tpr_threshold_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu & CPU_TPR_SHADOW) || (c->cpu2 & CPU2_INTERRUPT_DELIVERY) || val <= 0xf;
}

static bool apic_without_shadow_ok(const struct check *c, uint64_t val)
{
	(void)val;
	return (c->cpu & CPU_TPR_SHADOW) ||
	       !(c->cpu2 & (CPU2_X2APIC_MODE | CPU2_APIC_REGISTERS | CPU2_INTERRUPT_DELIVERY));
}

static bool virtual_nmis_ok(const struct check *c, uint64_t val)
{
	return !(val & PIN_VIRTUAL_NMIS) || (c->pin & PIN_NMI);
}

static bool nmi_window_ok(const struct check *c, uint64_t val)
{
	return !(val & CPU_NMI_WINDOW) || (c->pin & PIN_VIRTUAL_NMIS);
}

static bool apic_access_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu2 & CPU2_APIC_ACCESSES) || check_page(c, val);
}

static bool x2apic_mode_ok(const struct check *c, uint64_t val)
{
	(void)val;
	return !(c->cpu2 & CPU2_X2APIC_MODE) || !(c->cpu2 & CPU2_APIC_ACCESSES);
}

static bool interrupt_delivery_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu2 & CPU2_INTERRUPT_DELIVERY) || (val & PIN_EXTERNAL_INTERRUPT);
}

static bool posted_ok(const struct check *c, uint64_t val)
{
	return !(val & PIN_POSTED_INTERRUPTS) ||
	       ((c->cpu2 & CPU2_INTERRUPT_DELIVERY) && (c->exit & EXIT_CTL_ACK_INTERRUPT));
}

static bool vpid_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu2 & CPU2_VPID) || val != 0;
}

static bool ept_type_ok(const struct check *c, uint64_t val)
{
	if (!(c->cpu2 & CPU2_EPT))
		return true;
	return (val & EPTP_MEM_TYPE) == EPTP_WB
		       ? (c->cap->ept_vpid & EPT_CAP_WB) != 0
		       : (val & EPTP_MEM_TYPE) == 0 && (c->cap->ept_vpid & EPT_CAP_UC);
}

static bool ept_walk_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu2 & CPU2_EPT) ||
	       ((val & EPTP_WALK) == EPTP_WALK_4 && (c->cap->ept_vpid & EPT_CAP_WALK_4));
}

static bool ept_ad_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu2 & CPU2_EPT) || !(val & EPTP_AD) || (c->cap->ept_vpid & EPT_CAP_AD);
}

static bool ept_address_ok(const struct check *c, uint64_t val)
{
	return !(c->cpu2 & CPU2_EPT) || (check_phys(c, val) && !(val & EPTP_RESERVED));
}

static bool needs_ept_ok(const struct check *c, uint64_t val)
{
	(void)val;
	return (c->cpu2 & CPU2_EPT) ||
	       !(c->cpu2 & (CPU2_UNRESTRICTED | CPU2_PML | CPU2_EPT_MODE_BASED));
}

/* Asked of the control, as a CPU without it has no such field. */
static bool multiplier_ok(const struct check *c, uint64_t val)
{
	return !(val & CPU2_TSC_SCALING) || check_get(c, VMCS_TSC_MULTIPLIER) != 0;
}

/* Secondary controls are read only where they are on: a CPU without them has no such field. */
static const struct check_rule execution_rules[] = {
	RULE(PIN_BASED, pin_ok, "a bit is not as the capability MSR demands"),
	RULE(CPU_BASED, cpu_ok, "a bit is not as the capability MSR demands"),
	RULE(CR3_TARGET_COUNT, cr3_targets_ok, "more than the CPU has"),
	RULE(IO_BITMAP_A, io_bitmap_ok, "not the address of a page"),
	RULE(IO_BITMAP_B, io_bitmap_ok, "not the address of a page"),
	RULE(MSR_BITMAP, msr_bitmap_ok, "not the address of a page"),
	RULE(VIRTUAL_APIC_ADDR, virtual_apic_ok, "not the address of a page"),
	RULE(TPR_THRESHOLD, tpr_threshold_ok, "bits 31:4 are not zero"),
	RULE(PIN_BASED, virtual_nmis_ok, "virtual NMIs without NMI exiting"),
	RULE(CPU_BASED, nmi_window_ok, "NMI-window exiting without virtual NMIs"),
	RULE(PIN_BASED, posted_ok,
	     "posted interrupts without interrupt delivery and acknowledgement on exit"),
};

static const struct check_rule secondary_rules[] = {
	RULE(CPU_BASED2, cpu2_ok, "a bit is not as the capability MSR demands"),
	RULE(CPU_BASED2, apic_without_shadow_ok, "APIC virtualisation without a TPR shadow"),
	RULE(CPU_BASED2, x2apic_mode_ok, "x2APIC mode and APIC accesses exclude each other"),
	RULE(CPU_BASED2, needs_ept_ok, "a control that needs EPT, without it"),
	RULE(CPU_BASED2, multiplier_ok, "TSC scaling by a multiplier of zero"),
	RULE(PIN_BASED, interrupt_delivery_ok,
	     "interrupt delivery without external-interrupt exiting"),
	RULE(APIC_ACCESS_ADDR, apic_access_ok, "not the address of a page"),
	RULE(VPID, vpid_ok, "zero is the host's"),
	RULE(EPT_POINTER, ept_type_ok, "a memory type that the CPU does not have"),
	RULE(EPT_POINTER, ept_walk_ok, "a walk length that the CPU does not have"),
	RULE(EPT_POINTER, ept_ad_ok, "accessed and dirty flags that the CPU does not have"),
	RULE(EPT_POINTER, ept_address_ok, "reserved bits are set"),
};

/* ---- [SDM] "VM-Exit Control Fields", "VM-Entry Control Fields" ---- */

static bool exit_ok(const struct check *c, uint64_t val)
{
	return is_allowed(c->cap->exit, val);
}

static bool save_timer_ok(const struct check *c, uint64_t val)
{
	return !(val & EXIT_CTL_SAVE_TIMER) || (c->pin & PIN_PREEMPTION_TIMER);
}

static bool msr_list_ok(const struct check *c, uint32_t count_field, uint64_t addr)
{
	uint64_t nr = check_get(c, count_field);

	return nr == 0 || (IS_ALIGNED(addr, 16) && check_phys(c, addr + nr * 16 - 1));
}

static bool exit_store_ok(const struct check *c, uint64_t val)
{
	return msr_list_ok(c, VMCS_EXIT_MSR_STORE_COUNT, val);
}

static bool exit_load_ok(const struct check *c, uint64_t val)
{
	return msr_list_ok(c, VMCS_EXIT_MSR_LOAD_COUNT, val);
}

static bool entry_load_ok(const struct check *c, uint64_t val)
{
	return msr_list_ok(c, VMCS_ENTRY_MSR_LOAD_COUNT, val);
}

static bool entry_ok(const struct check *c, uint64_t val)
{
	return is_allowed(c->cap->entry, val);
}

static bool no_smm_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return !(val & (ENTRY_CTL_SMM | ENTRY_CTL_DUAL_MONITOR));
}

static bool event_type_ok(const struct check *c, uint64_t val)
{
	uint64_t type = FIELD_GET(INTR_TYPE, val);

	return !(val & INTR_VALID) || (type != 1 && (type != 7 || (c->cap->cpu >> 32 & CPU_MTF)));
}

static bool event_vector_ok(const struct check *c, uint64_t val)
{
	uint64_t vector = FIELD_GET(INTR_VECTOR, val);

	(void)c;
	if (!(val & INTR_VALID))
		return true;
	switch (FIELD_GET(INTR_TYPE, val)) {
	case INTR_TYPE_NMI:
		return vector == 2;
	case INTR_TYPE_HARDWARE:
		return vector <= 31;
	case 7:
		return vector == 0;
	default:
		return true;
	}
}

static bool event_reserved_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return !(val & INTR_VALID) || !(val & INTR_RESERVED);
}

/* Without protection (which needs unrestricted guest) no exception has a code. */
static bool event_has_code_ok(const struct check *c, uint64_t val)
{
	bool has = val & INTR_HAS_CODE;
	bool is_real =
		(c->cpu2 & CPU2_UNRESTRICTED) && !(check_get(c, VMCS_GUEST_CR0) & CHECK_CR0_PE);

	if (!(val & INTR_VALID))
		return true;
	if (is_real || FIELD_GET(INTR_TYPE, val) != INTR_TYPE_HARDWARE)
		return !has;
	if (c->cap->basic & BASIC_ANY_CODE)
		return true;
	return has == !!(EXCEPTIONS_WITH_CODE >> (val & 31) & 1);
}

static bool event_code_ok(const struct check *c, uint64_t val)
{
	uint64_t info = check_get(c, VMCS_ENTRY_INTR_INFO);

	return !(info & INTR_VALID) || !(info & INTR_HAS_CODE) || val <= 0xffff;
}

static bool event_len_ok(const struct check *c, uint64_t val)
{
	uint64_t info = check_get(c, VMCS_ENTRY_INTR_INFO), type = FIELD_GET(INTR_TYPE, info);

	if (!(info & INTR_VALID) || type < INTR_TYPE_SOFTWARE || type > INTR_TYPE_SW_EXCEPTION)
		return true;
	return val <= 15 && (val > 0 || (c->cap->misc & MISC_INSN_LEN_0));
}

static const struct check_rule exit_entry_rules[] = {
	RULE(EXIT_CONTROLS, exit_ok, "a bit is not as the capability MSR demands"),
	RULE(EXIT_CONTROLS, save_timer_ok, "saves the preemption timer, which is off"),
	RULE(EXIT_MSR_STORE_ADDR, exit_store_ok, "not the address of a list of MSRs"),
	RULE(EXIT_MSR_LOAD_ADDR, exit_load_ok, "not the address of a list of MSRs"),
	RULE(ENTRY_CONTROLS, entry_ok, "a bit is not as the capability MSR demands"),
	RULE(ENTRY_CONTROLS, no_smm_ok, "entry to SMM from outside of it"),
	RULE(ENTRY_INTR_INFO, event_type_ok, "a reserved type of event"),
	RULE(ENTRY_INTR_INFO, event_vector_ok, "a vector that its type of event cannot have"),
	RULE(ENTRY_INTR_INFO, event_has_code_ok,
	     "an error code where there is none, or none where there is"),
	RULE(ENTRY_INTR_INFO, event_reserved_ok, "bits 30:12 are not zero"),
	RULE(ENTRY_ERROR_CODE, event_code_ok, "bits 31:16 are not zero"),
	RULE(ENTRY_INSN_LEN, event_len_ok, "an instruction has 1 to 15 bytes"),
	RULE(ENTRY_MSR_LOAD_ADDR, entry_load_ok, "not the address of a list of MSRs"),
};

/* ---- [SDM] "Checks on Host Control Registers, MSRs, and SSP", "… Segment …", "… Address-Space
 * Size" ---- */

static bool host_cr0_ok(const struct check *c, uint64_t val)
{
	return check_fixed(val, c->cap->cr0_fixed0, c->cap->cr0_fixed1);
}

static bool host_cr4_ok(const struct check *c, uint64_t val)
{
	return check_fixed(val, c->cap->cr4_fixed0, c->cap->cr4_fixed1);
}

static bool host_pat_ok(const struct check *c, uint64_t val)
{
	return !(c->exit & EXIT_CTL_LOAD_PAT) || check_pat(val);
}

/* This kernel runs in 64-bit mode, so LME and LMA are one in whatever the host loads. */
static bool host_efer_ok(const struct check *c, uint64_t val)
{
	uint64_t want = CHECK_EFER_LME | CHECK_EFER_LMA;

	return !(c->exit & EXIT_CTL_LOAD_EFER) ||
	       (!(val & ~CHECK_EFER_VALID) && (val & want) == want);
}

static bool host_selector_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return (val & 7) == 0;
}

static bool host_selector_set(const struct check *c, uint64_t val)
{
	(void)c;
	return val != 0;
}

static bool host_size_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return val & EXIT_CTL_HOST_64;
}

static bool host_pae_ok(const struct check *c, uint64_t val)
{
	(void)c;
	return val & CHECK_CR4_PAE;
}

static const struct check_rule host_rules[] = {
	RULE(HOST_CR0, host_cr0_ok, "a bit is not as VMX operation demands"),
	RULE(HOST_CR4, host_cr4_ok, "a bit is not as VMX operation demands"),
	RULE(HOST_CR3, check_phys, "beyond the physical address width"),
	RULE(HOST_SYSENTER_ESP, check_canonical, "not canonical"),
	RULE(HOST_SYSENTER_EIP, check_canonical, "not canonical"),
	RULE(HOST_PAT, host_pat_ok, "a memory type that there is not"),
	RULE(HOST_EFER, host_efer_ok, "reserved bits, or not 64-bit mode"),
	RULE(HOST_ES_SELECTOR, host_selector_ok, "RPL and TI are not zero"),
	RULE(HOST_CS_SELECTOR, host_selector_ok, "RPL and TI are not zero"),
	RULE(HOST_SS_SELECTOR, host_selector_ok, "RPL and TI are not zero"),
	RULE(HOST_DS_SELECTOR, host_selector_ok, "RPL and TI are not zero"),
	RULE(HOST_FS_SELECTOR, host_selector_ok, "RPL and TI are not zero"),
	RULE(HOST_GS_SELECTOR, host_selector_ok, "RPL and TI are not zero"),
	RULE(HOST_TR_SELECTOR, host_selector_ok, "RPL and TI are not zero"),
	RULE(HOST_CS_SELECTOR, host_selector_set, "zero"),
	RULE(HOST_TR_SELECTOR, host_selector_set, "zero"),
	RULE(HOST_FS_BASE, check_canonical, "not canonical"),
	RULE(HOST_GS_BASE, check_canonical, "not canonical"),
	RULE(HOST_GDTR_BASE, check_canonical, "not canonical"),
	RULE(HOST_IDTR_BASE, check_canonical, "not canonical"),
	RULE(HOST_TR_BASE, check_canonical, "not canonical"),
	RULE(EXIT_CONTROLS, host_size_ok, "the host is in 64-bit mode and is to stay there"),
	RULE(HOST_CR4, host_pae_ok, "64-bit mode without PAE"),
	RULE(HOST_RIP, check_canonical, "not canonical"),
};

const char *vmx_check(vmx_read_fn *read, void *ctx, const struct vmx_cap *cap, char *text,
		      size_t cap_bytes)
{
	struct check c = {
		.read = read, .ctx = ctx, .cap = cap, .text = text, .cap_bytes = cap_bytes};
	bool is_right;

	c.pin = (uint32_t)check_get(&c, VMCS_PIN_BASED);
	c.cpu = (uint32_t)check_get(&c, VMCS_CPU_BASED);
	c.cpu2 = c.cpu & CPU_SECONDARY ? (uint32_t)check_get(&c, VMCS_CPU_BASED2) : 0;
	c.exit = (uint32_t)check_get(&c, VMCS_EXIT_CONTROLS);
	c.entry = (uint32_t)check_get(&c, VMCS_ENTRY_CONTROLS);
	is_right = check_rules(&c, execution_rules, ARRAY_SIZE(execution_rules)) &&
		   (!(c.cpu & CPU_SECONDARY) ||
		    check_rules(&c, secondary_rules, ARRAY_SIZE(secondary_rules))) &&
		   check_rules(&c, exit_entry_rules, ARRAY_SIZE(exit_entry_rules)) &&
		   check_rules(&c, host_rules, ARRAY_SIZE(host_rules)) && check_guest(&c);
	return is_right ? NULL : text;
}
