/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of AMD-V this CPU is run with. Pure: CPUID's words come in as a struct, the choice goes out,
 * and what is missing is named.
 *
 * Source: [APM] "Function 8000_000Ah—SVM Features", "SVM Feature Identification".
 */
#ifndef VMM_SVM_SVM_CTL_H
#define VMM_SVM_SVM_CTL_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

struct svm_cap { /* as CPUID gave them, 0 for a leaf that is not there */
	uint32_t leaf1_ecx, leaf7_ebx, leaf7_ecx;
	uint32_t ext1_edx;	   /* leaf 80000001h */
	uint32_t svm_ebx, svm_edx; /* leaf 8000000ah: number of ASIDs, features */
	bool wants_avic;	   /* not of CPUID: the command line's avic=on */
};

struct svm_ctl {
	uint32_t misc1, misc2; /* intercepts of every guest */
	uint32_t nr_asids;     /* 0 is the host's; 1 to nr_asids - 1 are for guests */
	uint64_t cr4_offered;  /* what a guest may have of CR4 */
	uint16_t pause_filter_count, pause_filter_threshold;
	bool has_nrip_save, has_decode_assists, has_lbr_virt, has_flush_by_asid, has_host_mce,
		has_tsc_ratio, has_1g, has_avic;
};

/*
 * svm_ctl_choose - every feature that Billet must have, and those it can use
 *
 * missing  filled with the names of what is missing, for HV_ENOTSUP
 * features filled with short words for what was chosen
 */
MUST_CHECK enum hv_err svm_ctl_choose(const struct svm_cap *cap, struct svm_ctl *out, char *missing,
				      size_t missing_cap, char *features, size_t features_cap);

/* svm_msrpm_pass - let a guest read and write an MSR without an exit; false: the map does not reach
 * it */
bool svm_msrpm_pass(uint8_t map[8192], uint32_t index);

#endif
