/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an instruction that made an exit is, for CPUs that do not say (no next-RIP save), and
 * what they leave out of an exit without decode assists. Knows only the instructions that are
 * intercepted and carried out. Pure.
 */
#ifndef VMM_SVM_SVM_INSN_H
#define VMM_SVM_SVM_INSN_H

#include "kernel/lib/err.h"
#include "vmm/insn.h"

struct svm_insn {
	uint8_t len;	   /* bytes, prefixes among them */
	uint8_t addr_size; /* 2, 4 or 8 */
	uint8_t seg;	   /* enum guest_seg of a memory operand: DS, or what a prefix says */
	uint8_t cr, gpr;   /* MOV to and from control registers, and LMSW */
	bool is_lmsw;
};

/*
 * svm_insn_decode - the instruction at RIP, which exit_code says is there
 *
 * bytes, len_bytes   a copy; at most INSN_MAX_BYTES are looked at
 * out                filled on HV_OK, left alone otherwise
 *
 * Errors:  HV_EPROTO  - the bytes end too early
 *          HV_ENOTSUP - something else is there: another vCPU has written to it since
 * Source:  [APM] volume 3, "Instruction Encoding".
 */
MUST_CHECK enum hv_err svm_insn_decode(uint64_t exit_code, const uint8_t *bytes, size_t len_bytes,
				       enum insn_mode mode, struct svm_insn *out);

#endif
