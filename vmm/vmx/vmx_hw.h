/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMX instructions as C functions. Kernel only. Those that can fail say so; VMREAD and VMWRITE
 * of a field that this CPU lacks would be our bug, so they ASSERT.
 *
 * Source: [SDM] "VMX Instruction Reference".
 */
#ifndef VMM_VMX_VMX_HW_H
#define VMM_VMX_VMX_HW_H

#include "kernel/lib/assert.h"
#include "kernel/lib/types.h"
#include "kernel/memory.h"

MUST_CHECK static inline bool vmxon(hpa_t region)
{
	bool failed;

	__asm__ volatile("vmxon %1" : "=@ccna"(failed) : "m"(region) : "memory", "cc");
	return !failed;
}

MUST_CHECK static inline bool vmclear(hpa_t vmcs)
{
	bool failed;

	__asm__ volatile("vmclear %1" : "=@ccna"(failed) : "m"(vmcs) : "memory", "cc");
	return !failed;
}

MUST_CHECK static inline bool vmptrld(hpa_t vmcs)
{
	bool failed;

	__asm__ volatile("vmptrld %1" : "=@ccna"(failed) : "m"(vmcs) : "memory", "cc");
	return !failed;
}

static inline uint64_t vmread(uint32_t field)
{
	uint64_t val;

	__asm__ volatile("vmread %1, %0" : "=rm"(val) : "r"((uint64_t)field) : "cc");
	return val;
}

static inline void vmwrite(uint32_t field, uint64_t val)
{
	bool failed;

	__asm__ volatile("vmwrite %1, %2"
			 : "=@ccna"(failed)
			 : "rm"(val), "r"((uint64_t)field)
			 : "memory", "cc");
	ASSERT(!failed);
}

enum { INVEPT_SINGLE = 1, INVEPT_ALL = 2, INVVPID_SINGLE = 1, INVVPID_ALL = 2 };

static inline void invept(uint64_t kind, uint64_t eptp)
{
	struct {
		uint64_t eptp, zero;
	} what = {eptp, 0};

	__asm__ volatile("invept %0, %1" : : "m"(what), "r"(kind) : "memory", "cc");
}

static inline void invvpid(uint64_t kind, uint16_t vpid)
{
	struct {
		uint64_t vpid, address;
	} what = {vpid, 0};

	__asm__ volatile("invvpid %0, %1" : : "m"(what), "r"(kind) : "memory", "cc");
}

#endif
