/* SPDX-License-Identifier: Apache-2.0 */
/* What svm_enter.S needs of headers that are C. svm.c asserts that they agree. */
#ifndef VMM_SVM_SVM_ASM_H
#define VMM_SVM_SVM_ASM_H

/* svm.h */
#define SVM_AGAIN 1

#endif
