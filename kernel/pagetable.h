/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds x86-64 page tables in memory that its owner gives it, with the largest pages that fit.
 * Pure; kernel/paging.c owns the one that the kernel runs on.
 *
 * Source: [SDM] "4-Level Paging and 5-Level Paging".
 */
#ifndef KERNEL_PAGETABLE_H
#define KERNEL_PAGETABLE_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define PTE_P	 0x001ull
#define PTE_W	 0x002ull
#define PTE_PWT	 0x008ull
#define PTE_PCD	 0x010ull
#define PTE_PS	 0x080ull /* in the two middle levels: maps a page itself */
#define PTE_ADDR 0x000ffffffffff000ull
#define PTE_NX	 0x8000000000000000ull

/* What a mapping may say; PTE_P is implied. */
#define PTE_FLAGS (PTE_W | PTE_PWT | PTE_PCD | PTE_NX)

struct pagetable {
	uint64_t root_hpa; /* of the top level, zeroed by the owner */
	bool has_1g_pages;
	uint64_t (*take_page)(void *arg); /* address of a zeroed page; ~0: none left */
	void *(*hva_of)(void *arg, uint64_t hpa);
	void *arg;
};

/*
 * pagetable_map - map len_bytes at va to hpa
 *
 * va, hpa, len_bytes   multiples of 4 KiB; va canonical
 * flags                of PTE_FLAGS
 *
 * Errors:  HV_ENOMEM - no page for a table; HV_EEXIST - something is mapped there already. What was
 *          mapped before the error stays mapped.
 */
MUST_CHECK enum hv_err pagetable_map(struct pagetable *pt, uint64_t va, uint64_t hpa,
				     uint64_t len_bytes, uint64_t flags);

/* pagetable_find - where va leads, and with which flags; false when nowhere. Outputs may be NULL.
 */
bool pagetable_find(const struct pagetable *pt, uint64_t va, uint64_t *hpa, uint64_t *flags);

#endif
