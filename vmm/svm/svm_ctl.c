/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of features as one table: a row a feature, with whether Billet can do without it.
 * Below it, what every guest exits for.
 *
 * Not used, though CPUs have it: virtual VMLOAD and VMSAVE and virtual GIF let a guest run guests
 * of its own, which ours get #UD for; guests cannot reach SPEC_CTRL, so there is no value of theirs
 * to virtualise. AVIC is used when it is asked for; x2AVIC is not. VMCB clean bits are kept on
 * every CPU; one that does not know them ignores them.
 */
#include "vmm/svm/svm_ctl.h"

#include "kernel/lib/fmt.h"
#include "vmm/svm/vmcb.h"

/* [APM] "Function 8000_0001h" EDX, "Function 1" ECX, "Function 7" EBX and ECX */
#define EXT1_EDX_1G	   BIT(26)
#define EXT1_EDX_RDTSCP	   BIT(27)
#define LEAF1_ECX_PCID	   BIT(17)
#define LEAF1_ECX_XSAVE	   BIT(26)
#define LEAF7_EBX_FSGSBASE BIT(0)
#define LEAF7_EBX_SMEP	   BIT(7)
#define LEAF7_EBX_SMAP	   BIT(20)
#define LEAF7_ECX_UMIP	   BIT(2)

#define ASIDS_MIN	2    /* the host's and one */
#define PAUSE_COUNT	3000 /* of PAUSEs that follow closely until an exit */
#define PAUSE_THRESHOLD 128  /* ticks between two that follow closely */

/* VME to PCE and the two of SSE: every CPU with AMD-V has them. */
#define CR4_ALWAYS 0x7bfull

enum need {
	MUST,  /* no guests without it */
	LIKES, /* used when there */
	ASKED, /* used when there and asked for */
};

static const struct {
	uint32_t bit;
	enum need need;
	const char *name;    /* as the manual calls it */
	const char *feature; /* for the boot log */
} rows[] = {
	{SVM_FEATURE_NP, MUST, "nested paging", "npt"},
	{SVM_FEATURE_NRIP_SAVE, LIKES, "next RIP save", "nrip-save"},
	{SVM_FEATURE_VMCB_CLEAN, LIKES, "VMCB clean bits", "vmcb-clean"},
	{SVM_FEATURE_FLUSH_BY_ASID, LIKES, "flush by ASID", "flush-by-asid"},
	{SVM_FEATURE_DECODE_ASSISTS, LIKES, "decode assists", "decode-assists"},
	{SVM_FEATURE_LBR_VIRT, LIKES, "LBR virtualization", "lbr-virt"},
	{SVM_FEATURE_PAUSE_FILTER, LIKES, "PAUSE intercept filter", "pause-filter"},
	{SVM_FEATURE_TSC_RATE, LIKES, "TSC rate MSR", "tsc-scaling"},
	{SVM_FEATURE_HOST_MCE_OVERRIDE, LIKES, "host MCE override", "host-mce"},
	{SVM_FEATURE_AVIC, ASKED, "AVIC", "avic"},
};

static const struct {
	uint32_t bit; /* of the CPUID word */
	uint64_t cr4;
	enum { OF_LEAF1_ECX, OF_LEAF7_EBX, OF_LEAF7_ECX } word;
} cr4_rows[] = {
	{LEAF7_ECX_UMIP, BIT(11), OF_LEAF7_ECX}, {LEAF7_EBX_FSGSBASE, BIT(16), OF_LEAF7_EBX},
	{LEAF1_ECX_PCID, BIT(17), OF_LEAF1_ECX}, {LEAF1_ECX_XSAVE, BIT(18), OF_LEAF1_ECX},
	{LEAF7_EBX_SMEP, BIT(20), OF_LEAF7_EBX}, {LEAF7_EBX_SMAP, BIT(21), OF_LEAF7_EBX},
};

#define MISC1_ALWAYS                                                                               \
	(INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT |                         \
	 INTERCEPT_CR0_SEL_WRITE | INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_RSM |             \
	 INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IOIO_PROT |                \
	 INTERCEPT_MSR_PROT | INTERCEPT_TASK_SWITCH | INTERCEPT_SHUTDOWN)
#define MISC2_ALWAYS                                                                               \
	(INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |               \
	 INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_WBINVD |                   \
	 INTERCEPT_MONITOR | INTERCEPT_MWAIT | INTERCEPT_XSETBV | INTERCEPT_RDPRU)

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

static uint64_t cr4_offered(const struct svm_cap *cap)
{
	const uint32_t words[] = {[OF_LEAF1_ECX] = cap->leaf1_ecx,
				  [OF_LEAF7_EBX] = cap->leaf7_ebx,
				  [OF_LEAF7_ECX] = cap->leaf7_ecx};
	uint64_t cr4 = CR4_ALWAYS;

	for (size_t i = 0; i < ARRAY_SIZE(cr4_rows); i++)
		if (words[cr4_rows[i].word] & cr4_rows[i].bit)
			cr4 |= cr4_rows[i].cr4;
	return cr4;
}

enum hv_err svm_ctl_choose(const struct svm_cap *cap, struct svm_ctl *out, char *missing,
			   size_t missing_cap, char *features, size_t features_cap)
{
	struct text lacks = {missing, missing_cap, 0}, has = {features, features_cap, 0};

	if (missing_cap > 0)
		missing[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].need == ASKED && !cap->wants_avic)
			continue;
		if (cap->svm_edx & rows[i].bit)
			text_add(&has, " ", rows[i].feature);
		else if (rows[i].need == MUST)
			text_add(&lacks, ", ", rows[i].name);
	}
	if (cap->svm_ebx < ASIDS_MIN)
		text_add(&lacks, ", ", "ASIDs");
	if (!(cap->ext1_edx & EXT1_EDX_RDTSCP))
		text_add(&lacks, ", ", "RDTSCP");
	if (lacks.len > 0)
		return HV_ENOTSUP;
	*out = (struct svm_ctl){
		.misc1 = MISC1_ALWAYS,
		.misc2 = MISC2_ALWAYS,
		.nr_asids = cap->svm_ebx,
		.cr4_offered = cr4_offered(cap),
		.has_nrip_save = cap->svm_edx & SVM_FEATURE_NRIP_SAVE,
		.has_decode_assists = cap->svm_edx & SVM_FEATURE_DECODE_ASSISTS,
		.has_lbr_virt = cap->svm_edx & SVM_FEATURE_LBR_VIRT,
		.has_flush_by_asid = cap->svm_edx & SVM_FEATURE_FLUSH_BY_ASID,
		.has_host_mce = cap->svm_edx & SVM_FEATURE_HOST_MCE_OVERRIDE,
		.has_tsc_ratio = cap->svm_edx & SVM_FEATURE_TSC_RATE,
		.has_1g = cap->ext1_edx & EXT1_EDX_1G,
		.has_avic = cap->wants_avic && (cap->svm_edx & SVM_FEATURE_AVIC),
	};
	if (cap->svm_edx & SVM_FEATURE_PAUSE_FILTER) {
		out->misc1 |= INTERCEPT_PAUSE;
		out->pause_filter_count = PAUSE_COUNT;
		out->pause_filter_threshold =
			cap->svm_edx & SVM_FEATURE_PAUSE_THRESHOLD ? PAUSE_THRESHOLD : 0;
	}
	if (out->has_1g)
		text_add(&has, " ", "npt-1g");
	return HV_OK;
}

/* [APM] "MSR Intercepts": 2 KiB for each of three ranges of 2000h, two bits an MSR. */
bool svm_msrpm_pass(uint8_t map[8192], uint32_t index)
{
	static const uint32_t ranges[] = {0, 0xc0000000u, 0xc0010000u};

	for (uint32_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		uint32_t offset = index - ranges[i];

		if (offset >= 0x2000)
			continue;
		map[2048 * i + offset / 4] &= (uint8_t)~(3u << offset % 4 * 2);
		return true;
	}
	return false;
}
