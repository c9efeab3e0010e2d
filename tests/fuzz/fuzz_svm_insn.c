/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes at a guest's RIP, for AMD CPUs that do not say how long an instruction is: byte 0 chooses
 * the mode, byte 1 the exit code, the rest is decoded.
 */
#include <stdlib.h>

#include "vmm/svm/svm_insn.h"
#include "vmm/svm/vmcb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint64_t codes[] = {
	VMEXIT_CPUID,	   VMEXIT_HLT,	       VMEXIT_MSR,	   VMEXIT_IOIO,
	VMEXIT_VMMCALL,	   VMEXIT_XSETBV,      VMEXIT_INVD,	   VMEXIT_WBINVD,
	VMEXIT_CR_READ(4), VMEXIT_CR_WRITE(4), VMEXIT_CR_WRITE(8), VMEXIT_CR0_SEL_WRITE,
	VMEXIT_NPF,
};

static void expect(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct svm_insn insn;

	if (len < 2)
		return 0;
	if (svm_insn_decode(codes[data[1] % ARRAY_SIZE(codes)], data + 2, len - 2, data[0] % 3,
			    &insn) != HV_OK)
		return 0;
	expect(insn.len >= 1 && insn.len <= INSN_MAX_BYTES && insn.len <= len - 2);
	expect(insn.addr_size == 2 || insn.addr_size == 4 || insn.addr_size == 8);
	expect(insn.seg <= SEG_GS && insn.gpr <= REG_R15 && insn.cr <= 15);
	return 0;
}
