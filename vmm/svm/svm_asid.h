/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ASID a vCPU's translations are tagged with on a CPU. ASIDs are handed out one after the
 * other; when they run out, a new generation begins with a flush of all of them, and every vCPU
 * gets a new one when it comes to run. So an ASID is never seen with the translations of one who
 * had it before, and a VM that ends needs no flush. Pure; each CPU has its own.
 */
#ifndef VMM_SVM_SVM_ASID_H
#define VMM_SVM_SVM_ASID_H

#include "kernel/lib/types.h"

struct svm_asids {	     /* of a CPU */
	uint32_t nr;	     /* as CPUID says; 0 is the host's own */
	uint32_t next;	     /* not handed out in this generation */
	uint64_t generation; /* from 1 */
};

struct svm_asid { /* of a vCPU; all zero: none */
	uint64_t generation;
	uint32_t value;
};

/* svm_asids_init - nr: at least 2. The first vCPU's entry flushes, as at each new generation. */
void svm_asids_init(struct svm_asids *asids, uint32_t nr);

/*
 * svm_asid_update - make sure that *asid may be used at the next entry
 *
 * Returns true when it has changed; *flush_all is true then when that entry must flush every ASID.
 */
bool svm_asid_update(struct svm_asids *asids, struct svm_asid *asid, bool *flush_all);

#endif
