/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the words of a VMCB to a neutral struct vm_exit. Pure.
 */
#ifndef VMM_SVM_SVM_DECODE_H
#define VMM_SVM_SVM_DECODE_H

#include "kernel/lib/err.h"
#include "vmm/insn.h"
#include "vmm/virt.h"

/*
 * svm_decode_code - kind of exit for an exit code
 *
 * Codes with more than one meaning (MSR accesses: read; AVIC: writes) are refined by the caller;
 * EXIT_NONE is for what is dealt with between host and CPU. Unknown ones are EXIT_UNKNOWN.
 */
enum exit_kind svm_decode_code(uint64_t exit_code);

/*
 * svm_decode_io - port, width and direction of an I/O exit
 *
 * info   exit_info_1
 * exit   .io filled on HV_OK but for .gva, left alone otherwise. Of string forms, .seg is what the
 *        CPU says, which without decode assists means nothing, and .addr_size is 0 when it does not
 * say.
 *
 * Errors:  HV_EPROTO - a field holds a value the manual leaves undefined.
 * Source:  [APM] "IN/OUT Intercept Information".
 */
MUST_CHECK enum hv_err svm_decode_io(uint64_t info, struct vm_exit *exit);

/*
 * svm_string_gva - linear address of a string instruction's memory operand
 *
 * reg        RSI or RDI
 * seg_base   as struct guest_segment has it; 64-bit mode knows only those of FS and GS
 */
uint64_t svm_string_gva(enum insn_mode mode, uint8_t addr_size, uint64_t reg, enum guest_seg seg,
			uint64_t seg_base);

/* svm_decode_npf - an access to a gpa that has no memory; .mmio filled. The CPU gives no gva. */
void svm_decode_npf(uint64_t info, uint64_t gpa, struct vm_exit *exit);

/*
 * svm_repeats_itself - whether an event of exit_int_info comes again by itself
 *
 * INT n, INT3 and INTO do: RIP is still at them.
 */
bool svm_repeats_itself(uint64_t event);

#endif
