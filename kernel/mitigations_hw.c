/* SPDX-License-Identifier: Apache-2.0 */
/* What this CPU says of itself, and the measures that are a write to an MSR or a walk over memory.
 */
#include "kernel/cmdline.h"
#include "kernel/cpu.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/assert.h"
#include "kernel/memory.h"
#include "kernel/mitigations.h"

/* [SDM] "Model-Specific Registers (MSRs)" */
#define MSR_SPEC_CTRL	      0x48u
#define MSR_PRED_CMD	      0x49u
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_FLUSH_CMD	      0x10bu
#define MSR_MCU_OPT_CTRL      0x123u

#define PRED_CMD_IBPB	     BIT(0)
#define FLUSH_CMD_L1D	     BIT(0)
#define MCU_OPT_GDS_MITG_DIS BIT(4)

/* [SDM] CPUID leaf 7 EDX, [APM] leaf 80000008h EBX: which of the MSRs there are */
#define LEAF7_EDX_SPEC_CTRL (BIT(26) | BIT(27) | BIT(31))
#define LEAF7_EDX_IBRS_IBPB BIT(26)
#define LEAF7_EDX_L1D_FLUSH BIT(28)
#define LEAF7_EDX_ARCH_CAPS BIT(29)
#define EXT8_EBX_IBPB	    BIT(12)
#define EXT8_EBX_IBRS	    BIT(14)

#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */
#define VENDOR_AMD_EBX	 0x68747541u /* "Auth" */

#define CACHE_LINE     64
/* [INTELSEC] "L1 Terminal Fault", flushing without the MSR: twice the size of the largest L1D. */
#define L1D_FILL_BYTES (64 * KIB)

struct mitigations mitigations;

static bool l1d_touched[CPU_MAX];	 /* each its CPU's own */
static const volatile uint8_t *l1d_fill; /* zeros, for MEASURE_L1D_FILL; shared by all CPUs */

/* A hypervisor below, or microcode, may announce an MSR and then refuse it: believe what works. */
static void disbelieve_missing_msrs(struct cpu_facts *facts)
{
	bool says_ibrs =
		(facts->leaf7_edx & LEAF7_EDX_IBRS_IBPB) || (facts->ext8_ebx & EXT8_EBX_IBRS);
	bool says_ibpb =
		(facts->leaf7_edx & LEAF7_EDX_IBRS_IBPB) || (facts->ext8_ebx & EXT8_EBX_IBPB);
	uint64_t val;

	if ((says_ibrs && !rdmsr_safe(MSR_SPEC_CTRL, &val)) ||
	    (says_ibpb && !wrmsr_safe(MSR_PRED_CMD, PRED_CMD_IBPB))) {
		facts->leaf7_edx &= ~(uint32_t)LEAF7_EDX_SPEC_CTRL;
		facts->ext8_ebx &= ~(uint32_t)(EXT8_EBX_IBRS | EXT8_EBX_IBPB);
		facts->leaf7_2_edx = 0;
	}
	if ((facts->leaf7_edx & LEAF7_EDX_L1D_FLUSH) && !wrmsr_safe(MSR_FLUSH_CMD, FLUSH_CMD_L1D))
		facts->leaf7_edx &= ~(uint32_t)LEAF7_EDX_L1D_FLUSH;
	if (!(facts->leaf7_edx & LEAF7_EDX_ARCH_CAPS) ||
	    !rdmsr_safe(MSR_ARCH_CAPABILITIES, &facts->arch_caps))
		facts->arch_caps = 0;
}

static struct cpu_facts facts_of_this_cpu(void)
{
	struct cpuid_regs vendor = cpuid(0, 0), leaf7 = cpuid_if_present(7, 0);
	struct cpuid_regs ext21 = cpuid_if_present(0x80000021u, 0);
	struct cpu_facts facts = {
		.is_intel = vendor.ebx == VENDOR_INTEL_EBX,
		.is_amd = vendor.ebx == VENDOR_AMD_EBX,
		.has_smt = (cpuid_if_present(0xb, 0).ebx & 0xffff) > 1,
		.leaf1_eax = cpuid(1, 0).eax,
		.leaf7_ebx = leaf7.ebx,
		.leaf7_edx = leaf7.edx,
		.leaf7_2_edx = leaf7.eax >= 2 ? cpuid(7, 2).edx : 0,
		.ext8_ebx = cpuid_if_present(0x80000008u, 0).ebx,
		.ext21_eax = ext21.eax,
		.ext21_ecx = ext21.ecx,
	};

	disbelieve_missing_msrs(&facts);
	return facts;
}

/* There is no entry code for AMD-V yet, and without it no channel is closed. */
static void drop_what_nobody_carries_out(const struct cpu_facts *facts)
{
	if (facts->is_intel)
		return;
	mitigations.measures &= ~(uint32_t)MEASURES_AT_ENTRY;
	mitigations.closed = mitigations.spec_ctrl = 0;
}

static void choose(void)
{
	static const char *const modes[] = {"auto", "off", "force"}, *const smt[] = {"auto", "on",
										     "off"};
	struct cpu_facts facts = facts_of_this_cpu();

	static_assert(ARRAY_SIZE(modes) == MITIGATIONS_MODES, "a word for each mode");
	static_assert(ARRAY_SIZE(smt) == SMT_MODES, "a word for each mode");
	mitigations_choose(
		&facts, cmdline_choose("mitigations", modes, MITIGATIONS_MODES, MITIGATIONS_AUTO),
		cmdline_choose("smt", smt, SMT_MODES, SMT_AUTO), &mitigations);
	drop_what_nobody_carries_out(&facts);
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

void mitigations_cpu_on(void)
{
	if (mitigations.spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, mitigations.spec_ctrl);
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
