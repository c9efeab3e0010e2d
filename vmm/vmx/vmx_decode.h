/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what VMREAD returned to a neutral struct vm_exit. Pure.
 */
#ifndef VMM_VMX_VMX_DECODE_H
#define VMM_VMX_VMX_DECODE_H

#include "kernel/lib/err.h"
#include "vmm/virt.h"

/*
 * vmx_decode_reason - kind of exit for a basic exit reason
 *
 * EXIT_NONE is never returned; reasons with more than one meaning (exception or NMI, CR access,
 * APIC access) are refined by the functions below. Unknown ones are EXIT_UNKNOWN.
 */
enum exit_kind vmx_decode_reason(uint32_t reason);

/*
 * vmx_decode_io - port, width and direction of an I/O exit
 *
 * qual       exit qualification
 * insn_info  VM-exit instruction information; read for string forms only
 * gva        guest-linear address; string forms only
 * exit       .io filled on HV_OK, left alone otherwise
 *
 * Errors:  HV_EPROTO - a field holds a value the manual leaves undefined.
 * Source:  [SDM] tables "Exit Qualification for I/O Instructions" and "Format of the VM-Exit
 *          Instruction-Information Field as Used for INS and OUTS".
 */
MUST_CHECK enum hv_err vmx_decode_io(uint64_t qual, uint32_t insn_info, uint64_t gva,
				     struct vm_exit *exit);

/*
 * vmx_decode_cr - a control-register access
 *
 * gpr   the guest's general registers; rsp separately
 * cr0   the guest's view of CR0, from which CLTS and LMSW make their value
 * exit  .cr and .kind filled on HV_OK
 *
 * Source:  [SDM] table "Exit Qualification for Control-Register Accesses".
 */
MUST_CHECK enum hv_err vmx_decode_cr(uint64_t qual, const uint64_t gpr[16], uint64_t rsp,
				     uint64_t cr0, struct vm_exit *exit);

/* vmx_decode_ept - an access to a gpa that has no memory; .mmio filled */
void vmx_decode_ept(uint64_t qual, uint64_t gpa, uint64_t gva, struct vm_exit *exit);

#endif
