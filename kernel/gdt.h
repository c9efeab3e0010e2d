/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU's descriptor table and task state. The GDT is flat and has three entries: code, data, and
 * the TSS, which is there only to give NMI, double fault and machine check a stack of their own.
 *
 * Source: [SDM] "Segment Descriptor Tables in IA-32e Mode", "64-Bit Task State Segment (TSS)".
 */
#ifndef KERNEL_GDT_H
#define KERNEL_GDT_H

#include "kernel/lib/types.h"

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS	 0x18

/* Which of a TSS's IST stacks an interrupt gets, as the IDT counts them; 0 stays on the present
 * one. */
#define IST_NMI		  1
#define IST_DOUBLE_FAULT  2
#define IST_MACHINE_CHECK 3

struct PACKED tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* IST 1 is ist[0] */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
};
static_assert(sizeof(struct tss) == 104, "[SDM] 64-bit TSS is 104 bytes");

struct gdt {
	uint64_t entries[5]; /* null, code, data, TSS (two) */
	struct tss tss;
};

/* gdt_load - fill in and load on this CPU; keeps gdt. stacks: a CPU's, see kernel/paging.h. */
void gdt_load(struct gdt *gdt, void *stacks);

/* Top of the main stack among a CPU's stacks. */
uint64_t gdt_stack_top(const void *stacks);

#endif
