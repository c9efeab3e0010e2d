/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of controls as one table: a row a control, with whether Billet can do without it.
 * Reading the table is reading what the backend relies on.
 */
#include "vmm/vmx/vmx_ctl.h"

#include "kernel/lib/fmt.h"
#include "vmm/vmx/vmcs.h"

enum need {
	MUST,  /* no guests without it */
	LIKES, /* used when there */
	APICV, /* part of APIC virtualisation: VMX_APICV_REGISTERS, whole or not at all */
	VID,   /* its next level: VMX_APICV_DELIVERY */
};

enum word { WORD_PIN, WORD_CPU, WORD_CPU2, WORD_EXIT, WORD_ENTRY, WORDS };

static const struct {
	enum word word;
	uint32_t bit;
	enum need need;
	const char *name;    /* as the manual calls it */
	const char *feature; /* for the boot log; NULL: not worth a word */
} rows[] = {
	{WORD_PIN, PIN_EXTERNAL_INTERRUPT, MUST, "external-interrupt exiting", NULL},
	{WORD_PIN, PIN_NMI, MUST, "NMI exiting", NULL},
	{WORD_PIN, PIN_VIRTUAL_NMIS, MUST, "virtual NMIs", NULL},
	{WORD_CPU, CPU_INTERRUPT_WINDOW, MUST, "interrupt-window exiting", NULL},
	{WORD_CPU, CPU_NMI_WINDOW, MUST, "NMI-window exiting", NULL},
	{WORD_CPU, CPU_HLT, MUST, "HLT exiting", NULL},
	{WORD_CPU, CPU_TSC_OFFSETTING, MUST, "use TSC offsetting", NULL},
	{WORD_CPU, CPU_TPR_SHADOW, MUST, "use TPR shadow", NULL},
	{WORD_CPU, CPU_IO_BITMAPS, MUST, "use I/O bitmaps", NULL},
	{WORD_CPU, CPU_MSR_BITMAPS, MUST, "use MSR bitmaps", NULL},
	{WORD_CPU, CPU_MWAIT, MUST, "MWAIT exiting", NULL},
	{WORD_CPU, CPU_MONITOR, MUST, "MONITOR exiting", NULL},
	{WORD_CPU, CPU_RDPMC, MUST, "RDPMC exiting", NULL},
	{WORD_CPU, CPU_SECONDARY, MUST, "activate secondary controls", NULL},
	{WORD_CPU2, CPU2_EPT, MUST, "enable EPT", "ept"},
	{WORD_CPU2, CPU2_VPID, MUST, "enable VPID", "vpid"},
	{WORD_CPU2, CPU2_UNRESTRICTED, MUST, "unrestricted guest", "unrestricted"},
	{WORD_CPU2, CPU2_WBINVD, MUST, "WBINVD exiting", NULL},
	{WORD_CPU2, CPU2_RDTSCP, LIKES, "enable RDTSCP", NULL},
	{WORD_CPU2, CPU2_INVPCID, LIKES, "enable INVPCID", NULL},
	{WORD_CPU2, CPU2_XSAVES, LIKES, "enable XSAVES/XRSTORS", "xsaves"},
	{WORD_CPU2, CPU2_PAUSE_LOOP, LIKES, "PAUSE-loop exiting", "pause-loop"},
	{WORD_CPU2, CPU2_TSC_SCALING, LIKES, "use TSC scaling", "tsc-scaling"},
	{WORD_CPU2, CPU2_APIC_ACCESSES, APICV, "virtualize APIC accesses", NULL},
	{WORD_CPU2, CPU2_X2APIC_MODE, APICV, "virtualize x2APIC mode", NULL},
	{WORD_CPU2, CPU2_APIC_REGISTERS, APICV, "APIC-register virtualization", NULL},
	{WORD_CPU2, CPU2_INTERRUPT_DELIVERY, VID, "virtual-interrupt delivery", NULL},
	{WORD_EXIT, EXIT_CTL_HOST_64, MUST, "host address-space size", NULL},
	{WORD_EXIT, EXIT_CTL_ACK_INTERRUPT, MUST, "acknowledge interrupt on exit", NULL},
	{WORD_EXIT, EXIT_CTL_SAVE_DEBUG, MUST, "save debug controls", NULL},
	{WORD_EXIT, EXIT_CTL_SAVE_PAT, MUST, "save IA32_PAT", NULL},
	{WORD_EXIT, EXIT_CTL_LOAD_PAT, MUST, "load IA32_PAT (exit)", NULL},
	{WORD_EXIT, EXIT_CTL_SAVE_EFER, MUST, "save IA32_EFER", NULL},
	{WORD_EXIT, EXIT_CTL_LOAD_EFER, MUST, "load IA32_EFER (exit)", NULL},
	{WORD_ENTRY, ENTRY_CTL_LOAD_DEBUG, MUST, "load debug controls", NULL},
	{WORD_ENTRY, ENTRY_CTL_LOAD_PAT, MUST, "load IA32_PAT (entry)", NULL},
	{WORD_ENTRY, ENTRY_CTL_LOAD_EFER, MUST, "load IA32_EFER (entry)", NULL},
};

static const struct {
	uint64_t bit;
	const char *name;
} ept_must[] = {
	{EPT_CAP_WALK_4, "EPT page-walk length 4"},
	{EPT_CAP_WB, "EPT write-back memory"},
	{EPT_CAP_2M, "EPT 2-MiB pages"},
	{EPT_CAP_INVEPT, "INVEPT"},
	{EPT_CAP_INVVPID, "INVVPID"},
};

struct text {
	char *at;
	size_t cap, len;
};

static void text_add(struct text *t, const char *separator, const char *word)
{
	if (t->len >= t->cap)
		return;
	t->len += fmt(t->at + t->len, t->cap - t->len, "%s%s", t->len ? separator : "", word);
}

static bool allows(uint64_t cap, uint32_t bit)
{
	return (cap >> 32 & bit) == bit;
}

/* APIC virtualisation is used in steps, so that there are three ways of interrupts and not sixteen.
 */
static bool has_all_of(enum need need, const uint64_t caps[WORDS])
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].need == need && !allows(caps[rows[i].word], rows[i].bit))
			return false;
	return true;
}

static enum vmx_apicv apicv_level(const uint64_t caps[WORDS], enum vmx_apicv wanted)
{
	enum vmx_apicv level = VMX_APICV_NONE;

	if (has_all_of(APICV, caps))
		level = has_all_of(VID, caps) ? VMX_APICV_DELIVERY : VMX_APICV_REGISTERS;
	return MIN(level, wanted);
}

static bool is_left_out(enum need need, enum vmx_apicv level)
{
	return (need == APICV && level < VMX_APICV_REGISTERS) ||
	       (need == VID && level < VMX_APICV_DELIVERY);
}

static const char *const apicv_words[] = {
	[VMX_APICV_NONE] = "no-apicv",
	[VMX_APICV_REGISTERS] = "apicv-registers",
	[VMX_APICV_DELIVERY] = "apicv",
};

static void choose_features(const struct vmx_cap *cap, struct vmx_ctl *out, struct text *features)
{
	out->has_ept_1g = cap->ept_vpid & EPT_CAP_1G;
	out->has_ept_ad = cap->ept_vpid & EPT_CAP_AD;
	out->invept_single = cap->ept_vpid & EPT_CAP_INVEPT_SINGLE;
	out->invvpid_single = cap->ept_vpid & EPT_CAP_INVVPID_SINGLE;
	out->has_preemption_timer =
		allows(cap->pin, PIN_PREEMPTION_TIMER) && allows(cap->exit, EXIT_CTL_SAVE_TIMER);
	out->timer_shift = FIELD_GET(VMX_MISC_TIMER_SHIFT, cap->misc);
	out->has_xsaves = out->cpu2 & CPU2_XSAVES;
	out->has_pause_loop = out->cpu2 & CPU2_PAUSE_LOOP;
	if (out->has_ept_1g)
		text_add(features, " ", "ept-1g");
	if (out->has_ept_ad)
		text_add(features, " ", "ept-ad");
	if (out->has_preemption_timer) {
		out->pin |= PIN_PREEMPTION_TIMER;
		out->exit |= EXIT_CTL_SAVE_TIMER;
		text_add(features, " ", "preemption-timer");
	}
	text_add(features, " ", apicv_words[out->apicv]);
}

enum hv_err vmx_ctl_choose(const struct vmx_cap *cap, enum vmx_apicv wanted, struct vmx_ctl *out,
			   char *missing, size_t missing_cap, char *features, size_t features_cap)
{
	const uint64_t caps[WORDS] = {cap->pin, cap->cpu, cap->cpu2, cap->exit, cap->entry};
	/* The low half of a capability is what must be one. Secondary controls have no such bits.
	 */
	uint32_t words[WORDS] = {(uint32_t)cap->pin, (uint32_t)cap->cpu, 0, (uint32_t)cap->exit,
				 (uint32_t)cap->entry};
	struct text lacks = {missing, missing_cap, 0}, has = {features, features_cap, 0};
	enum vmx_apicv apicv = apicv_level(caps, wanted);

	if (missing_cap > 0)
		missing[0] = '\0';
	if (!(cap->basic & VMX_BASIC_TRUE_CTLS))
		text_add(&lacks, ", ", "TRUE capability MSRs");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (is_left_out(rows[i].need, apicv))
			continue;
		if (allows(caps[rows[i].word], rows[i].bit)) {
			words[rows[i].word] |= rows[i].bit;
			if (rows[i].feature)
				text_add(&has, " ", rows[i].feature);
		} else if (rows[i].need == MUST) {
			text_add(&lacks, ", ", rows[i].name);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(ept_must); i++)
		if (!(cap->ept_vpid & ept_must[i].bit))
			text_add(&lacks, ", ", ept_must[i].name);
	if (lacks.len > 0)
		return HV_ENOTSUP;

	/* Windows are asked for when one is wanted, the APIC's part when its mode is known, scaling
	 * when a VM wants another rate. */
	words[WORD_CPU] &= ~(CPU_INTERRUPT_WINDOW | CPU_NMI_WINDOW);
	words[WORD_CPU2] &= ~(CPU2_APIC_ACCESSES | CPU2_X2APIC_MODE | CPU2_APIC_REGISTERS |
			      CPU2_INTERRUPT_DELIVERY | CPU2_TSC_SCALING);
	*out = (struct vmx_ctl){
		.pin = words[WORD_PIN],
		.cpu = words[WORD_CPU],
		.cpu2 = words[WORD_CPU2],
		.exit = words[WORD_EXIT],
		.entry = words[WORD_ENTRY],
		.apicv = apicv,
		.has_tsc_scaling = allows(cap->cpu2, CPU2_TSC_SCALING),
	};
	choose_features(cap, out, &has);
	return HV_OK;
}
