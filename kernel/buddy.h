/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buddy allocator: blocks of 2^order pages, naturally aligned, named by the index of their first
 * page. It knows which free blocks are clean (all zero) and which dirty, but touches none of them:
 * its state is an array with an element a page, in memory that the caller gives. Pure; the caller
 * locks. Freeing what was not allocated, or with another order, is our bug and an ASSERT.
 */
#ifndef KERNEL_BUDDY_H
#define KERNEL_BUDDY_H

#include "kernel/lib/types.h"

#define BUDDY_ORDER_MAX 18
#define BUDDY_NONE	0xffffffffu
#define BUDDY_PAGES_MAX 0xffffffffull /* so that no page is BUDDY_NONE */

enum buddy_clean { BUDDY_DIRTY, BUDDY_CLEAN, BUDDY_CLEANS };

/* One page. Only the first page of a block says anything. */
struct buddy_page {
	uint32_t next, prev; /* on its free list; BUDDY_NONE at the ends */
	uint8_t state, order;
};

struct buddy_list {
	uint32_t first, last;
};

struct buddy {
	struct buddy_page *pages;
	uint32_t nr_pages;
	struct buddy_list free[BUDDY_CLEANS][BUDDY_ORDER_MAX + 1];
	uint64_t nr_total, nr_free, nr_dirty; /* pages; being scrubbed counts as free and dirty */
};

/* What pages has to hold for page indices below nr_pages. */
uint64_t buddy_array_bytes(uint64_t nr_pages);

/* buddy_init - empty; keeps pages, which is cleared */
void buddy_init(struct buddy *b, void *pages, uint32_t nr_pages);

/* buddy_add - give it dirty pages that it never had, below nr_pages. Lower ones are used first. */
void buddy_add(struct buddy *b, uint32_t first, uint32_t count);

/*
 * buddy_alloc - a block, or BUDDY_NONE
 *
 * Below 2 MiB it comes from the smallest block that fits, clean before dirty, which keeps large
 * blocks whole. From 2 MiB up clean memory comes first, since zeroing is what costs there.
 * *clean   says whether the block is all zero; filled when there is one
 */
uint32_t buddy_alloc(struct buddy *b, unsigned order, enum buddy_clean *clean);

/* buddy_free - a dirty block comes back; merged with a free buddy that is dirty as well */
void buddy_free(struct buddy *b, uint32_t page, unsigned order);

/*
 * buddy_take_dirty - take a dirty block of at most 2^max_order pages out to scrub it
 *
 * From the largest there is; BUDDY_NONE when there is none. buddy_put_clean() brings it back.
 */
uint32_t buddy_take_dirty(struct buddy *b, unsigned max_order, unsigned *order);
void buddy_put_clean(struct buddy *b, uint32_t page, unsigned order);

/* Order of the allocated block that starts at page, or -1 when none starts there. */
int buddy_order_of(const struct buddy *b, uint32_t page);

#endif
