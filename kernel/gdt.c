/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor tables: filled in once for each CPU, then never touched. */
#include "kernel/gdt.h"

#include "kernel/paging.h"

#define GDT_CODE 0x00af9a000000ffffull /* 64-bit, ring 0, execute and read */
#define GDT_DATA 0x00cf92000000ffffull
#define GDT_TSS	 0x0000890000000000ull /* present, available 64-bit TSS */

struct PACKED table_pointer {
	uint16_t limit;
	uint64_t base;
};

static uint64_t tss_low(uint64_t base)
{
	return GDT_TSS | (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 |
	       (base >> 24 & 0xff) << 56;
}

uint64_t gdt_stack_top(const void *stacks)
{
	return (uint64_t)stacks + STACK_GUARD_BYTES + STACK_MAIN_BYTES;
}

void gdt_load(struct gdt *gdt, void *stacks)
{
	uint64_t base = (uint64_t)&gdt->tss, top = gdt_stack_top(stacks);
	struct table_pointer pointer = {sizeof(gdt->entries) - 1, (uint64_t)gdt->entries};

	gdt->entries[1] = GDT_CODE;
	gdt->entries[2] = GDT_DATA;
	gdt->entries[3] = tss_low(base);
	gdt->entries[4] = base >> 32;
	gdt->tss.io_map_base = sizeof(struct tss); /* none */
	for (unsigned i = 0; i < STACK_NR_IST; i++) {
		top += STACK_GUARD_BYTES + STACK_IST_BYTES;
		gdt->tss.ist[i] = top;
	}

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "ltr %w3"
			 :
			 : "m"(pointer), "i"(SEL_CODE), "i"(SEL_DATA), "r"(SEL_TSS)
			 : "rax", "memory");
}
