/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     page   | header: list, size, bitmap of used blocks | block | block | block | ..
 *
 * The sizes divide what the header leaves of a page well. A page that becomes empty is given back
 * at once; a full one is on no list and found again by its blocks' addresses.
 */
#include "kernel/slab.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

#define SLAB_PAGE   4096u
#define SLAB_BLOCKS ((SLAB_PAGE - sizeof(struct slab)) / 16)
#define SLAB_MAGIC  0x62616c7374656c62ull /* xor the page's address */
#define POISON	    0xdb

struct slab {
	struct list on_list; /* of its size's with_room; itself when full */
	uint64_t magic;
	uint16_t size_index, nr_used;
	uint32_t reserved;
	uint64_t used[4]; /* a bit a block */
};
static_assert(sizeof(struct slab) == 64, "what is left of a page is 4032 bytes");

static const uint16_t sizes[SLAB_SIZES] = {
	16, 32, 64, 96, 128, 192, 256, 384, 512, 672, 1008, 1344, SLAB_BYTES_MAX,
};

void slab_init(struct slab_heap *heap, void *(*page_alloc)(void *arg),
	       void (*page_free)(void *arg, void *page), void *arg)
{
	*heap = (struct slab_heap){.page_alloc = page_alloc, .page_free = page_free, .arg = arg};
	for (unsigned i = 0; i < SLAB_SIZES; i++)
		list_init(&heap->with_room[i]);
}

static unsigned blocks_of(const struct slab *slab)
{
	return (SLAB_PAGE - sizeof(struct slab)) / sizes[slab->size_index];
}

static struct slab *new_slab(struct slab_heap *heap, unsigned size_index)
{
	struct slab *slab = heap->page_alloc(heap->arg);

	if (slab == NULL)
		return NULL;
	slab->magic = SLAB_MAGIC ^ (uintptr_t)slab;
	slab->size_index = (uint16_t)size_index;
	list_add_tail(&heap->with_room[size_index], &slab->on_list);
	return slab;
}

static unsigned first_unused(const struct slab *slab)
{
	unsigned word = 0;

	while (slab->used[word] == ~0ull)
		word++;
	return word * 64 + (unsigned)__builtin_ctzll(~slab->used[word]);
}

void *slab_alloc(struct slab_heap *heap, size_t len_bytes)
{
	struct slab *slab;
	unsigned size_index = 0, index;
	void *block;

	ASSERT(len_bytes <= SLAB_BYTES_MAX);

	while (sizes[size_index] < len_bytes)
		size_index++;
	if (list_is_empty(&heap->with_room[size_index]))
		slab = new_slab(heap, size_index);
	else
		slab = list_entry(heap->with_room[size_index].next, struct slab, on_list);
	if (slab == NULL)
		return NULL;

	index = first_unused(slab);
	slab->used[index / 64] |= BIT(index % 64);
	slab->nr_used++;
	if (slab->nr_used == blocks_of(slab))
		list_remove(&slab->on_list);
	heap->in_use_bytes += sizes[size_index];
	block = (char *)(slab + 1) + index * sizes[size_index];
	return memset(block, 0, sizes[size_index]);
}

void slab_free(struct slab_heap *heap, void *block)
{
	struct slab *slab = (struct slab *)ALIGN_DOWN((uintptr_t)block, SLAB_PAGE);
	uint64_t offset = (uintptr_t)block - (uintptr_t)(slab + 1);
	uint64_t index, bit;

	ASSERT((void *)slab != block && slab->magic == (SLAB_MAGIC ^ (uintptr_t)slab));
	index = offset / sizes[slab->size_index];
	bit = BIT(index % 64);
	ASSERT(offset % sizes[slab->size_index] == 0 && index < blocks_of(slab));
	ASSERT(slab->used[index / 64] & bit);

	memset(block, POISON, sizes[slab->size_index]);
	if (slab->nr_used == blocks_of(slab))
		list_add_tail(&heap->with_room[slab->size_index], &slab->on_list);
	slab->used[index / 64] &= ~bit;
	slab->nr_used--;
	heap->in_use_bytes -= sizes[slab->size_index];
	if (slab->nr_used == 0) {
		list_remove(&slab->on_list);
		slab->magic = 0;
		heap->page_free(heap->arg, slab);
	}
}
