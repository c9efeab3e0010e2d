/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's heap: small blocks from slabs, larger ones as pages. Which of the two a pointer is
 * shows in its address, since a slab's blocks never start a page.
 */
#include "kernel/lib/lock.h"
#include "kernel/memory.h"
#include "kernel/slab.h"

static struct lock lock;
static struct slab_heap heap; /* under lock */
static uint64_t large_bytes;  /* atomic */

static void *take_page(void *arg)
{
	hpa_t hpa = pages_alloc(0);

	(void)arg;
	return hpa == HPA_NONE ? NULL : hva_of(hpa);
}

static void give_page(void *arg, void *page)
{
	(void)arg;
	pages_free(hpa_of(page), 0);
}

static void *alloc_small(size_t len_bytes)
{
	void *block;

	lock_take(&lock);
	if (heap.page_alloc == NULL)
		slab_init(&heap, take_page, give_page, NULL);
	block = slab_alloc(&heap, len_bytes);
	lock_release(&lock);
	return block;
}

static void count_large(int64_t bytes)
{
	__atomic_fetch_add(&large_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
}

static void *alloc_large(size_t len_bytes)
{
	unsigned order = 0;
	hpa_t hpa;

	while (order <= PAGE_ORDER_MAX && (PAGE_SIZE << order) < len_bytes)
		order++;
	if (order > PAGE_ORDER_MAX)
		return NULL;
	hpa = pages_alloc(order);
	if (hpa == HPA_NONE)
		return NULL;
	count_large((int64_t)(PAGE_SIZE << order));
	return hva_of(hpa);
}

void *kmem_alloc(size_t len_bytes)
{
	return len_bytes <= SLAB_BYTES_MAX ? alloc_small(len_bytes) : alloc_large(len_bytes);
}

static void free_large(void *ptr)
{
	int order = pages_order_of(hpa_of(ptr));

	ASSERT(order >= 0);
	pages_free(hpa_of(ptr), (unsigned)order);
	count_large(-(int64_t)(PAGE_SIZE << order));
}

void kmem_free(void *ptr)
{
	if (ptr == NULL)
		return;
	if (IS_ALIGNED(ptr, PAGE_SIZE)) {
		free_large(ptr);
		return;
	}
	lock_take(&lock);
	slab_free(&heap, ptr);
	lock_release(&lock);
}

uint64_t kmem_in_use(void)
{
	uint64_t bytes;

	lock_take(&lock);
	bytes = heap.in_use_bytes;
	lock_release(&lock);
	return bytes + __atomic_load_n(&large_bytes, __ATOMIC_RELAXED);
}
