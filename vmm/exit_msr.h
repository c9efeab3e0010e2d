/* SPDX-License-Identifier: Apache-2.0 */
/* RDMSR and WRMSR of a guest, by the rows of vmm/msr.h. False: #GP(0). */
#ifndef VMM_EXIT_MSR_H
#define VMM_EXIT_MSR_H

#include "vmm/vm.h"

MUST_CHECK bool exit_msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *val);
MUST_CHECK bool exit_msr_write(struct vcpu *vcpu, uint32_t index, uint64_t val);

#endif
