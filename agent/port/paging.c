/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two levels of rights: pages of 4 KiB below 4 MiB, where the image lies, and of 2 MiB above, all
 * plain data. Devices get theirs, uncached, when they are found.
 */
#include "agent/port/paging.h"

#include "agent/port/port.h"
#include "kernel/lib/assert.h"

#define PTE_P	 0x001ull
#define PTE_W	 0x002ull
#define PTE_UC	 0x018ull /* PCD and PWT */
#define PTE_PS	 0x080ull
#define PTE_NX	 BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

#define SMALL_END (4 * MIB) /* agent.lds keeps the image below */
#define NR_TABLES 12u

static uint64_t tables[NR_TABLES][512] __attribute__((aligned(4096)));
static unsigned nr_used;
static uint64_t *pml4;

extern const char image_text[], image_rodata[], image_data[];
extern const char agent_stack_guard[], trap_stack_guard[];

static uint64_t *new_table(void)
{
	ASSERT(nr_used < NR_TABLES);
	return tables[nr_used++];
}

static uint64_t *below(uint64_t *entry)
{
	if (!(*entry & PTE_P))
		*entry = (uint64_t)(uintptr_t)new_table() | PTE_W | PTE_P;
	return (uint64_t *)(uintptr_t)(*entry & PTE_ADDR);
}

static uint64_t *pd_entry(uint64_t addr)
{
	uint64_t *pdpt;

	ASSERT(addr < 512 * GIB);
	pdpt = below(&pml4[0]);
	return &below(&pdpt[addr >> 30])[(addr >> 21) & 511];
}

static uint64_t small_rights(uint64_t addr)
{
	if (addr == 0 || addr == (uintptr_t)agent_stack_guard ||
	    addr == (uintptr_t)trap_stack_guard)
		return 0;
	if (addr >= (uintptr_t)image_text && addr < (uintptr_t)image_rodata)
		return PTE_P;
	if (addr >= (uintptr_t)image_rodata && addr < (uintptr_t)image_data)
		return PTE_P | PTE_NX;
	return PTE_P | PTE_W | PTE_NX;
}

void paging_init(uint64_t ram_end)
{
	uint64_t addr;

	ASSERT(ram_end > SMALL_END);
	pml4 = new_table();
	for (addr = 0; addr < SMALL_END; addr += 4096)
		below(pd_entry(addr))[(addr >> 12) & 511] = addr | small_rights(addr);
	for (addr = SMALL_END; addr < ram_end; addr += 2 * MIB)
		*pd_entry(addr) = addr | PTE_PS | PTE_NX | PTE_W | PTE_P;
	asm volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
}

volatile void *paging_map_device(uint64_t hpa, uint64_t len_bytes)
{
	uint64_t addr, *entry;

	ASSERT(len_bytes > 0);
	for (addr = ALIGN_DOWN(hpa, 2 * MIB); addr < hpa + len_bytes; addr += 2 * MIB) {
		entry = pd_entry(addr);
		if (!(*entry & PTE_P))
			*entry = addr | PTE_PS | PTE_NX | PTE_UC | PTE_W | PTE_P;
	}
	return (volatile void *)(uintptr_t)hpa;
}
