/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small blocks cut from pages. A page holds blocks of one size behind a header, so a block never
 * starts at a page boundary. Freeing what is not allocated here is our bug and an ASSERT. Pure:
 * pages come from the given functions; the caller locks.
 */
#ifndef KERNEL_SLAB_H
#define KERNEL_SLAB_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

#define SLAB_SIZES     13
#define SLAB_BYTES_MAX 2016u /* what is larger wants pages of its own */

struct slab_heap {
	void *(*page_alloc)(void *arg); /* 4 KiB, aligned, zero; NULL when there is none */
	void (*page_free)(void *arg, void *page);
	void *arg;
	struct list with_room[SLAB_SIZES]; /* pages that have a free block */
	uint64_t in_use_bytes;
};

void slab_init(struct slab_heap *heap, void *(*page_alloc)(void *arg),
	       void (*page_free)(void *arg, void *page), void *arg);

/* slab_alloc - zeroed, 16-byte aligned, at most SLAB_BYTES_MAX; NULL when there is no page */
void *slab_alloc(struct slab_heap *heap, size_t len_bytes);
void slab_free(struct slab_heap *heap, void *block);

#endif
