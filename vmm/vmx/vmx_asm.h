/* SPDX-License-Identifier: Apache-2.0 */
/* What vmx_enter.S needs of vmcs.h and vmx.h, which are C. vmx.c asserts that they agree. */
#ifndef VMM_VMX_VMX_ASM_H
#define VMM_VMX_VMX_ASM_H

#define FIELD_HOST_RSP 0x6c14
#define VMX_AGAIN      1

#endif
