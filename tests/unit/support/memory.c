/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory on the host. A small block carries its size in 16 bytes before it; one of 4 KiB and more
 * is aligned to pages and has them in a page before it.
 */
#include "kernel/memory.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/lib/assert.h"
#include "tests/unit/support/fake_memory.h"

uint64_t fake_memory_fail_after = FAKE_MEMORY_NEVER;
uint64_t fake_pages_in_use;

static uint64_t bytes_in_use;

static bool must_fail(void)
{
	if (fake_memory_fail_after == FAKE_MEMORY_NEVER)
		return false;
	return fake_memory_fail_after-- == 0;
}

static void *aligned_zero(size_t align, size_t len_bytes)
{
	void *block = aligned_alloc(align, ALIGN_UP(len_bytes, align));

	if (block == NULL)
		abort();
	return memset(block, 0, len_bytes);
}

static size_t head_bytes(size_t len_bytes)
{
	return len_bytes >= PAGE_SIZE ? PAGE_SIZE : 16;
}

void *kmem_alloc(size_t len_bytes)
{
	size_t head = head_bytes(len_bytes);
	char *block;

	if (must_fail())
		return NULL;
	block = (char *)aligned_zero(head, head + len_bytes) + head;
	memcpy(block - sizeof(len_bytes), &len_bytes, sizeof(len_bytes));
	bytes_in_use += len_bytes;
	return block;
}

void kmem_free(void *ptr)
{
	size_t len_bytes;

	if (ptr == NULL)
		return;
	memcpy(&len_bytes, (char *)ptr - sizeof(len_bytes), sizeof(len_bytes));
	bytes_in_use -= len_bytes;
	free((char *)ptr - head_bytes(len_bytes));
}

uint64_t kmem_in_use(void)
{
	return bytes_in_use;
}

hpa_t pages_alloc(unsigned order)
{
	ASSERT(order <= PAGE_ORDER_MAX);

	if (must_fail())
		return HPA_NONE;
	fake_pages_in_use += 1ull << order;
	return hpa_of(aligned_zero(PAGE_SIZE << order, PAGE_SIZE << order));
}

/* Dirty, each time: what was not cleared shows. */
hpa_t pages_take(unsigned order, bool *is_zero)
{
	hpa_t hpa = pages_alloc(order);

	*is_zero = false;
	if (hpa != HPA_NONE)
		memset(hva_of(hpa), 0xa5, PAGE_SIZE << order);
	return hpa;
}

void pages_clear(hpa_t hpa, uint64_t len_bytes)
{
	memset(hva_of(hpa), 0, len_bytes);
}

void pages_free(hpa_t hpa, unsigned order)
{
	ASSERT(IS_ALIGNED(hpa, PAGE_SIZE << order) && fake_pages_in_use >= 1ull << order);

	fake_pages_in_use -= 1ull << order;
	free(hva_of(hpa));
}

void *hva_of(hpa_t hpa)
{
	return (void *)hpa;
}

hpa_t hpa_of(const void *hva)
{
	return (hpa_t)hva;
}
