/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's RAM. Blocks are naturally aligned powers of two, largest first, so that the nested
 * tables get 1 GiB and 2 MiB leaves; the guest-physical side keeps the same alignment as it is
 * filled from 0.
 */
#include "vmm/vm_memory.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/memory.h"
#include "kernel/watchdog.h"
#include "vmm/ept.h"

#define CLEAR_BYTES (4 * MIB) /* in one go: less than a millisecond */

struct block {
	hpa_t hpa;
	uint8_t order;
	bool is_zero; /* since it was taken */
};

struct block_list {
	uint32_t nr, cap;
	uint32_t nr_clear;	/* blocks that are zero by now ... */
	uint64_t cleared_bytes; /* ... and so much of the one behind them, ... */
	uint64_t dirty_bytes;	/* ... which leaves this */
	struct block blocks[];
};

static uint64_t gpa_of_offset(const struct gmem *mem, uint64_t offset)
{
	return offset < mem->low_bytes ? offset : GMEM_HIGH_BASE + (offset - mem->low_bytes);
}

/* The largest order that fits what is left, on both sides of the hole. */
static unsigned order_for(const struct gmem *mem, uint64_t offset, uint64_t total)
{
	uint64_t end = offset < mem->low_bytes ? mem->low_bytes : total;
	uint64_t gpa = gpa_of_offset(mem, offset);
	unsigned order = PAGE_ORDER_MAX;

	while (order > PAGE_ORDER_2M &&
	       ((PAGE_SIZE << order) > end - offset || !IS_ALIGNED(gpa, PAGE_SIZE << order)))
		order--;
	return order;
}

static hpa_t take_block(unsigned *order, bool *is_zero)
{
	hpa_t hpa = pages_take(*order, is_zero);

	while (hpa == HPA_NONE && *order > PAGE_ORDER_2M)
		hpa = pages_take(--*order, is_zero);
	return hpa;
}

static void keep_block(struct block_list *list, hpa_t hpa, unsigned order, bool is_zero)
{
	ASSERT(list->nr < list->cap);
	list->blocks[list->nr++] = (struct block){hpa, (uint8_t)order, is_zero};
	if (!is_zero)
		list->dirty_bytes += PAGE_SIZE << order;
}

static enum hv_err map_block(struct vm *vm, uint64_t offset, hpa_t hpa, unsigned order)
{
	uint64_t len = PAGE_SIZE << order;

	for (uint64_t at = 0; at < len; at += GMEM_CHUNK)
		vm->mem.chunks[(offset + at) / GMEM_CHUNK] = hva_of(hpa + at);
	return ept_map(vm->ept, gpa_of_offset(&vm->mem, offset), hpa, len,
		       EPT_READ | EPT_WRITE | EPT_EXEC, EPT_WRITE_BACK);
}

static enum hv_err fill(struct vm *vm, uint64_t total)
{
	for (uint64_t offset = 0; offset < total;) {
		unsigned order = order_for(&vm->mem, offset, total);
		bool is_zero;
		hpa_t hpa = take_block(&order, &is_zero);
		enum hv_err err;

		if (hpa == HPA_NONE)
			return HV_ENOMEM;
		keep_block(vm->blocks, hpa, order, is_zero);
		err = map_block(vm, offset, hpa, order);
		if (err != HV_OK)
			return err;
		offset += PAGE_SIZE << order;
	}
	return HV_OK;
}

enum hv_err vm_memory_create(struct vm *vm, char why[96])
{
	uint64_t total = vm->config.mem_bytes;
	uint32_t nr_chunks = (uint32_t)(total / GMEM_CHUNK);
	enum hv_err err = HV_ENOMEM;

	vm->mem.low_bytes = MIN(total, GMEM_LOW_MAX);
	vm->mem.high_bytes = total - vm->mem.low_bytes;
	vm->mem.nr_chunks = nr_chunks;
	vm->mem.chunks = kmem_alloc(nr_chunks * sizeof(*vm->mem.chunks));
	if (!vm->mem.chunks)
		return HV_ENOMEM;
	vm->blocks = kmem_alloc(sizeof(*vm->blocks) + nr_chunks * sizeof(struct block));
	if (!vm->blocks)
		goto free_chunks;
	vm->blocks->cap = nr_chunks;
	err = fill(vm, total);
	if (err == HV_OK)
		return HV_OK;
	fmt(why, 96, "memory: %llu MiB are not to be had in pieces of 2 MiB",
	    (unsigned long long)(total / MIB));
	vm_memory_destroy(vm);
	return err;

free_chunks:
	kmem_free(vm->mem.chunks);
	vm->mem.chunks = NULL;
	return err;
}

/* Of the first block that is not zero yet; how much that was. */
static uint64_t clear_piece(struct block_list *list, uint64_t most_bytes)
{
	const struct block *block = &list->blocks[list->nr_clear];
	uint64_t len = PAGE_SIZE << block->order,
		 piece = MIN(len - list->cleared_bytes, most_bytes);

	if (block->is_zero) {
		list->nr_clear++;
		return 0;
	}
	pages_clear(block->hpa + list->cleared_bytes, piece);
	list->cleared_bytes += piece;
	list->dirty_bytes -= piece;
	if (list->cleared_bytes == len) {
		list->nr_clear++;
		list->cleared_bytes = 0;
	}
	return piece;
}

enum hv_err vm_memory_clear_some(struct vm *vm, char why[96])
{
	struct block_list *list = vm->blocks;

	for (uint64_t left = CLEAR_BYTES; left > 0 && list->nr_clear < list->nr;)
		left -= clear_piece(list, left);
	watchdog_work();
	if (list->dirty_bytes == 0)
		return HV_OK;
	fmt(why, 96, "its memory is being cleared: %llu of %llu MiB are left",
	    (unsigned long long)(list->dirty_bytes / MIB),
	    (unsigned long long)(vm->config.mem_bytes / MIB));
	return HV_EAGAIN;
}

static void unmap_all(struct vm *vm)
{
	uint64_t offset = 0;

	for (uint32_t i = 0; i < vm->blocks->nr; i++) {
		uint64_t gpa = gpa_of_offset(&vm->mem, offset),
			 len = PAGE_SIZE << vm->blocks->blocks[i].order;

		/* The last one may have been taken and then not mapped. */
		if (ept_is_mapped(vm->ept, gpa)) {
			enum hv_err err = ept_unmap(vm->ept, gpa, len);

			ASSERT(err == HV_OK);
		}
		offset += len;
	}
}

void vm_memory_destroy(struct vm *vm)
{
	if (!vm->blocks)
		return;
	unmap_all(vm);
	for (uint32_t i = 0; i < vm->blocks->nr; i++)
		pages_free(vm->blocks->blocks[i].hpa, vm->blocks->blocks[i].order);
	kmem_free(vm->blocks);
	kmem_free(vm->mem.chunks);
	vm->blocks = NULL;
	vm->mem = (struct gmem){0};
}

bool vm_memory_is_there(const struct vm *vm)
{
	return vm->blocks != NULL;
}
