/* SPDX-License-Identifier: Apache-2.0 */
/* What vmx_enter.S needs of headers that are C. vmx.c asserts that they agree. */
#ifndef VMM_VMX_VMX_ASM_H
#define VMM_VMX_VMX_ASM_H

/* vmcs.h, vmx.h */
#define FIELD_HOST_RSP 0x6c14
#define VMX_AGAIN      1

#endif
