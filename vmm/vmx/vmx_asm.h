/* SPDX-License-Identifier: Apache-2.0 */
/* What vmx_enter.S needs of headers that are C. vmx.c and vmx_guard.c assert that they agree. */
#ifndef VMM_VMX_VMX_ASM_H
#define VMM_VMX_VMX_ASM_H

/* vmcs.h, vmx.h */
#define FIELD_HOST_RSP 0x6c14
#define VMX_AGAIN      1

/* kernel/gdt.h: a data segment that is there and writable */
#define VERW_SELECTOR 0x10

/* kernel/mitigations.h: members of struct mitigations, bits of its measures */
#define MITIGATIONS_MEASURES   8
#define MITIGATIONS_RSB_ROUNDS 12
#define MITIGATIONS_SPEC_CTRL  16
#define MEASURES_IBRS	       0x2
#define MEASURES_BHB_CLEAR     0x100

#endif
