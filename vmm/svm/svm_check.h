/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why VMRUN refused a VMCB: the CPU says only that it did. Pure.
 *
 * Source: [APM] "Canonicalization and Consistency Checks".
 */
#ifndef VMM_SVM_SVM_CHECK_H
#define VMM_SVM_SVM_CHECK_H

#include "vmm/svm/vmcb.h"

/* svm_check - the first rule that the VMCB breaks, or NULL when it breaks none of those known here
 */
const char *svm_check(const struct vmcb *vmcb, uint8_t phys_bits);

#endif
