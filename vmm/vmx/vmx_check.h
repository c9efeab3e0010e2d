/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a VM entry was refused: the manual's checks on a VMCS, carried out in software, in its order.
 *
 * Not looked at, because it is not in the VMCS: memory behind its pointers (the TPR in the
 * virtual-APIC page, MSR lists, the VMCS that the link pointer names), and entries from SMM. Pure;
 * any context, fields are read through a callback.
 */
#ifndef VMM_VMX_VMX_CHECK_H
#define VMM_VMX_VMX_CHECK_H

#include "kernel/lib/types.h"
#include "vmm/vmx/vmx_ctl.h"

typedef uint64_t vmx_read_fn(void *ctx, uint32_t field);

/*
 * vmx_check - the first rule that a VMCS breaks
 *
 * read     gives the value of a field (vmcs.h); fields of features that are off are not asked for
 * text     filled with a sentence: the field, its value, the rule; cut when cap_bytes are too few
 * returns  text, or NULL when every check passed
 * Source:  [SDM] "Checks on VMX Controls and Host-State Area", "Checking and Loading Guest State".
 */
const char *vmx_check(vmx_read_fn *read, void *ctx, const struct vmx_cap *cap, char *text,
		      size_t cap_bytes);

#endif
