/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU says of itself, and the measures that are a write to an MSR or a walk over memory.
 */
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/gdt.h"
#include "kernel/lib/assert.h"
#include "kernel/log.h"
#include "kernel/memory.h"
#include "kernel/mitigations.h"
#include "kernel/mitigations_asm.h"

static_assert(VERW_SELECTOR == SEL_DATA, "the code at entry gives it to VERW");

/* [SDM] "Model-Specific Registers (MSRs)" */
#define MSR_SPEC_CTRL	      0x48u
#define MSR_PRED_CMD	      0x49u
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_FLUSH_CMD	      0x10bu
#define MSR_MCU_OPT_CTRL      0x123u
/* [APM] "Speculation Control", "Automatic IBRS"; [AMDSEC] */
#define MSR_DE_CFG	      0xc0011029u
#define MSR_BP_CFG	      0xc001102eu

#define PRED_CMD_IBPB	     BIT(0)
#define PRED_CMD_SBPB	     BIT(7)
#define FLUSH_CMD_L1D	     BIT(0)
#define MCU_OPT_GDS_MITG_DIS BIT(4)
#define EFER_AIBRSE	     BIT(21)
#define DE_CFG_LFENCE	     BIT(1) /* LFENCE waits for what stands before it */
#define DE_CFG_FP_BACKUP_FIX BIT(9)
#define BP_CFG_SPEC_REDUCE   BIT(4)

/* [SDM] CPUID leaf 7 EDX, [APM] leaf 80000008h EBX: which of the MSRs there are */
#define LEAF7_EDX_SPEC_CTRL (BIT(26) | BIT(27) | BIT(31))
#define LEAF7_EDX_IBRS_IBPB BIT(26)
#define LEAF7_EDX_L1D_FLUSH BIT(28)
#define LEAF7_EDX_ARCH_CAPS BIT(29)
#define EXT8_EBX_IBPB	    BIT(12)
#define EXT8_EBX_IBRS	    BIT(14)
#define EXT8_EBX_STIBP	    BIT(15)
#define EXT1_ECX_TOPOLOGY   BIT(22) /* leaf 8000001Eh is there */
#define EXT21_EAX_LFENCE    BIT(2)  /* LFENCE always waits */

#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */
#define VENDOR_AMD_EBX	 0x68747541u /* "Auth" */
#define VENDOR_HYGON_EBX 0x6f677948u /* "Hygo" */

#define FAMILY_ZEN3_EXT 0x0a /* the extended part of 19h */

#define CACHE_LINE     64
/* [INTELSEC] "L1 Terminal Fault", flushing without the MSR: twice the size of the largest L1D. */
#define L1D_FILL_BYTES (64 * KIB)

struct mitigations mitigations;

static bool l1d_touched[CPU_MAX];	 /* each its CPU's own */
static const volatile uint8_t *l1d_fill; /* zeros, for MEASURE_L1D_FILL; shared by all CPUs */

/* A hypervisor below, or microcode, may announce an MSR and then refuse it: believe what works. */
static void disbelieve_missing_msrs(struct cpu_facts *facts)
{
	bool says_ibrs = (facts->leaf7_edx & LEAF7_EDX_IBRS_IBPB) ||
			 (facts->ext8_ebx & (EXT8_EBX_IBRS | EXT8_EBX_STIBP));
	bool says_ibpb =
		(facts->leaf7_edx & LEAF7_EDX_IBRS_IBPB) || (facts->ext8_ebx & EXT8_EBX_IBPB);
	uint64_t val;

	if ((says_ibrs && !rdmsr_safe(MSR_SPEC_CTRL, &val)) ||
	    (says_ibpb && !wrmsr_safe(MSR_PRED_CMD, PRED_CMD_IBPB))) {
		facts->leaf7_edx &= ~(uint32_t)LEAF7_EDX_SPEC_CTRL;
		facts->ext8_ebx &= ~(uint32_t)(EXT8_EBX_IBRS | EXT8_EBX_IBPB | EXT8_EBX_STIBP);
		facts->leaf7_2_edx = 0;
	}
	if ((facts->leaf7_edx & LEAF7_EDX_L1D_FLUSH) && !wrmsr_safe(MSR_FLUSH_CMD, FLUSH_CMD_L1D))
		facts->leaf7_edx &= ~(uint32_t)LEAF7_EDX_L1D_FLUSH;
	if (!(facts->leaf7_edx & LEAF7_EDX_ARCH_CAPS) ||
	    !rdmsr_safe(MSR_ARCH_CAPABILITIES, &facts->arch_caps))
		facts->arch_caps = 0;
}

/* Microcode that does not say so in CPUID; on other families the bit is reserved. */
static bool takes_sbpb(const struct cpu_facts *facts)
{
	return facts->is_amd && facts->leaf1_eax >> 20 == FAMILY_ZEN3_EXT &&
	       (facts->ext8_ebx & EXT8_EBX_IBPB) && wrmsr_safe(MSR_PRED_CMD, PRED_CMD_SBPB);
}

/* The first AMD CPUs with threads have no leaf Bh. */
static bool has_smt(bool is_amd)
{
	if ((cpuid_if_present(0xb, 0).ebx & 0xffff) > 1)
		return true;
	return is_amd && (cpuid_if_present(0x80000001u, 0).ecx & EXT1_ECX_TOPOLOGY) &&
	       (cpuid_if_present(0x8000001eu, 0).ebx >> 8 & 0xff) > 0;
}

static struct cpu_facts facts_of_this_cpu(enum mitigations_mode mode)
{
	struct cpuid_regs vendor = cpuid(0, 0), leaf7 = cpuid_if_present(7, 0);
	struct cpuid_regs ext21 = cpuid_if_present(0x80000021u, 0);
	bool is_amd = vendor.ebx == VENDOR_AMD_EBX || vendor.ebx == VENDOR_HYGON_EBX;
	struct cpu_facts facts = {
		.is_intel = vendor.ebx == VENDOR_INTEL_EBX,
		.is_amd = is_amd,
		.has_smt = has_smt(is_amd),
		.leaf1_eax = cpuid(1, 0).eax,
		.leaf7_ebx = leaf7.ebx,
		.leaf7_edx = leaf7.edx,
		.leaf7_2_edx = leaf7.eax >= 2 ? cpuid(7, 2).edx : 0,
		.ext8_ebx = cpuid_if_present(0x80000008u, 0).ebx,
		.ext21_eax = ext21.eax,
		.ext21_ecx = ext21.ecx,
	};
	uint64_t val;

	disbelieve_missing_msrs(&facts);
	facts.takes_sbpb = takes_sbpb(&facts);
	if (mode == MITIGATIONS_FORCE && is_amd) {
		facts.takes_pred_cmd = wrmsr_safe(MSR_PRED_CMD, PRED_CMD_IBPB);
		facts.has_spec_ctrl =
			rdmsr_safe(MSR_SPEC_CTRL, &val) && wrmsr_safe(MSR_SPEC_CTRL, val);
	}
	return facts;
}

static void choose(void)
{
	static const char *const modes[] = {"auto", "off", "force"}, *const smt[] = {"auto", "on",
										     "off"};
	enum mitigations_mode mode;
	struct cpu_facts facts;

	static_assert(ARRAY_SIZE(modes) == MITIGATIONS_MODES, "a word for each mode");
	static_assert(ARRAY_SIZE(smt) == SMT_MODES, "a word for each mode");
	mode = cmdline_choose("mitigations", modes, MITIGATIONS_MODES, MITIGATIONS_AUTO);
	facts = facts_of_this_cpu(mode);
	mitigations_choose(&facts, mode, cmdline_choose("smt", smt, SMT_MODES, SMT_AUTO),
			   &mitigations);
	if (mitigations.measures & BIT(MEASURE_L1D_FILL)) {
		l1d_fill = kmem_alloc(L1D_FILL_BYTES);
		ASSERT(l1d_fill);
	}
}

const char *mitigations_text(void)
{
	static char text[MITIGATIONS_TEXT_MAX];

	if (text[0] == 0) {
		choose();
		mitigations_describe(&mitigations, text, sizeof(text));
	}
	return text;
}

/* A hypervisor below may keep such switches to itself; then it is the one that answers for them. */
static void switch_on(uint32_t msr, uint64_t bits)
{
	uint64_t val;

	if (rdmsr_safe(msr, &val) && (val & bits) != bits && !wrmsr_safe(msr, val | bits))
		log_warn("cpu", "MSR %x: does not take bits %llx", msr, (unsigned long long)bits);
}

static void switch_on_amd(void)
{
	uint32_t measures = mitigations.measures;

	if (!(cpuid_if_present(0x80000021u, 0).eax & EXT21_EAX_LFENCE))
		switch_on(MSR_DE_CFG, DE_CFG_LFENCE);
	if (measures & BIT(MEASURE_FP_BACKUP_FIX))
		switch_on(MSR_DE_CFG, DE_CFG_FP_BACKUP_FIX);
	if (measures & BIT(MEASURE_BP_SPEC_REDUCE))
		switch_on(MSR_BP_CFG, BP_CFG_SPEC_REDUCE);
	if (measures & BIT(MEASURE_AUTO_IBRS))
		switch_on(MSR_EFER, EFER_AIBRSE);
}

void mitigations_cpu_on(void)
{
	uint32_t vendor_ebx = cpuid(0, 0).ebx;

	if (mitigations.spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, mitigations.spec_ctrl);
	if (vendor_ebx == VENDOR_AMD_EBX || vendor_ebx == VENDOR_HYGON_EBX)
		switch_on_amd();
	if (mitigations.measures & BIT(MEASURE_GDS_CTRL)) {
		uint64_t control = rdmsr(MSR_MCU_OPT_CTRL);

		if (control & MCU_OPT_GDS_MITG_DIS)
			wrmsr(MSR_MCU_OPT_CTRL, control & ~MCU_OPT_GDS_MITG_DIS);
	}
}

void mitigations_change_vm(void)
{
	if (mitigations.measures & BIT(MEASURE_IBPB))
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

/* By page first, so that no table walk displaces a line of the second round. */
static void read_over_l1d(void)
{
	for (size_t i = 0; i < L1D_FILL_BYTES; i += PAGE_SIZE)
		(void)l1d_fill[i];
	(void)cpuid(0, 0); /* serialises: the two rounds do not mix */
	for (size_t i = 0; i < L1D_FILL_BYTES; i += CACHE_LINE)
		(void)l1d_fill[i];
	__asm__ volatile("lfence" : : : "memory");
}

void mitigations_touch_l1d(void)
{
	l1d_touched[this_cpu()->index] = true;
}

void mitigations_flush_l1d(void)
{
	bool *touched = &l1d_touched[this_cpu()->index];

	if (!*touched)
		return;
	*touched = false;
	if (mitigations.measures & BIT(MEASURE_L1D_FLUSH))
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	else
		read_over_l1d();
}

void mitigations_idle(void)
{
	static const uint16_t selector = SEL_DATA;

	if (mitigations.measures & BIT(MEASURE_VERW))
		__asm__ volatile("verw %0" : : "m"(selector) : "cc", "memory");
}
