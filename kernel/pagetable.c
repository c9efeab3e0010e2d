/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables, four levels, each entry either leading to the next table or mapping a page of its
 * level's size. Levels are counted from the leaves: 0 maps 4 KiB, 1 maps 2 MiB, 2 maps 1 GiB.
 */
#include "kernel/pagetable.h"

#include "kernel/lib/assert.h"

#define LEVEL_TOP 3

static unsigned level_shift(unsigned level)
{
	return 12 + 9 * level;
}

static uint64_t *entry_in(const struct pagetable *pt, uint64_t table_hpa, uint64_t va,
			  unsigned level)
{
	uint64_t *table = pt->hva_of(pt->arg, table_hpa);

	return &table[(va >> level_shift(level)) & 511];
}

static unsigned largest_level(const struct pagetable *pt, uint64_t va, uint64_t hpa,
			      uint64_t len_bytes)
{
	unsigned level = pt->has_1g_pages ? 2 : 1;

	while (level > 0 && (!IS_ALIGNED(va | hpa, 1ull << level_shift(level)) ||
			     len_bytes < 1ull << level_shift(level)))
		level--;
	return level;
}

/* The entry for va at a level, making tables on the way. */
static enum hv_err make_entry(struct pagetable *pt, uint64_t va, unsigned level, uint64_t **out)
{
	uint64_t *entry = entry_in(pt, pt->root_hpa, va, LEVEL_TOP);

	for (unsigned at = LEVEL_TOP; at > level; at--) {
		if (!(*entry & PTE_P)) {
			uint64_t page = pt->take_page(pt->arg);

			if (page == ~0ull)
				return HV_ENOMEM;
			*entry = page | PTE_P | PTE_W;
		} else if (*entry & PTE_PS) {
			return HV_EEXIST;
		}
		entry = entry_in(pt, *entry & PTE_ADDR, va, at - 1);
	}
	*out = entry;
	return *entry & PTE_P ? HV_EEXIST : HV_OK;
}

enum hv_err pagetable_map(struct pagetable *pt, uint64_t va, uint64_t hpa, uint64_t len_bytes,
			  uint64_t flags)
{
	ASSERT(IS_ALIGNED(va | hpa | len_bytes, 4096));
	ASSERT(!(flags & ~PTE_FLAGS));

	while (len_bytes) {
		unsigned level = largest_level(pt, va, hpa, len_bytes);
		uint64_t page_bytes = 1ull << level_shift(level);
		uint64_t *entry;
		enum hv_err err = make_entry(pt, va, level, &entry);

		if (err != HV_OK)
			return err;
		*entry = hpa | flags | PTE_P | (level ? PTE_PS : 0);
		va += page_bytes;
		hpa += page_bytes;
		len_bytes -= page_bytes;
	}
	return HV_OK;
}

bool pagetable_find(const struct pagetable *pt, uint64_t va, uint64_t *hpa, uint64_t *flags)
{
	uint64_t table_hpa = pt->root_hpa;

	for (unsigned level = LEVEL_TOP;; level--) {
		uint64_t entry = *entry_in(pt, table_hpa, va, level);
		uint64_t offset_mask = (1ull << level_shift(level)) - 1;

		if (!(entry & PTE_P))
			return false;
		table_hpa = entry & PTE_ADDR;
		if (level && !(entry & PTE_PS))
			continue;
		if (hpa)
			*hpa = (table_hpa & ~offset_mask) | (va & offset_mask);
		if (flags)
			*flags = entry & PTE_FLAGS;
		return true;
	}
}
