/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of this machine: pages from a buddy allocator over all RAM, and small blocks from them.
 *
 * Every page handed out is zero: freed pages are scrubbed before anybody gets them again (by idle
 * CPUs when there is time, else at allocation). All RAM is mapped at DIRECT_MAP.
 * Any context but NMI; locked inside.
 */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define PAGE_SIZE  4096ull
#define PAGE_SHIFT 12

typedef uint64_t hpa_t; /* host-physical address, bytes */

/* Orders are powers of two of 4 KiB pages: 0 is 4 KiB, 9 is 2 MiB, 18 is 1 GiB. */
#define PAGE_ORDER_2M  9
#define PAGE_ORDER_1G  18
#define PAGE_ORDER_MAX 18

#define HPA_NONE (~0ull)

/* pages_alloc - 2^order pages, naturally aligned and zero; HPA_NONE when there are none */
hpa_t pages_alloc(unsigned order);

/* pages_take - the same without the work: zero only if it says so, else to be pages_clear()ed
 * before anybody sees it */
hpa_t pages_take(unsigned order, bool *is_zero);
void pages_clear(hpa_t hpa, uint64_t len_bytes); /* of what was taken; whole pages */

void pages_free(hpa_t hpa, unsigned order);

/* Order of the allocated block that starts at hpa, or -1 when none starts there. */
int pages_order_of(hpa_t hpa);

struct pages_stats {
	uint64_t total, free, dirty; /* in 4 KiB pages; dirty ones are free but not yet scrubbed */
};
void pages_stats(struct pages_stats *out);

/* pages_scrub_some - zero some of what is dirty, 128 KiB at most; false: nothing is. For idle CPUs.
 */
bool pages_scrub_some(void);

/* The direct map. hva_of(hpa) can be followed for RAM and for nothing else. */
void *hva_of(hpa_t hpa);
hpa_t hpa_of(const void *hva);

/* mmio_map - device registers, uncached; kept for ever, and found again when they are mapped
 * another time. NULL when page tables ran out. */
void *mmio_map(hpa_t hpa, uint64_t len_bytes);

/* kmem_alloc - zeroed, 16-byte aligned; page aligned from 4 KiB up. NULL when there is none. */
void *kmem_alloc(size_t len_bytes);
void kmem_free(void *ptr); /* NULL is fine */

/* Bytes in blocks that kmem_alloc gave and kmem_free has not seen, each rounded up to its size. */
uint64_t kmem_in_use(void);

#endif
