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

struct block {
	hpa_t hpa;
	uint8_t order;
};

struct block_list {
	uint32_t nr, cap;
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

static hpa_t take_block(unsigned *order)
{
	hpa_t hpa = pages_alloc(*order);

	while (hpa == HPA_NONE && *order > PAGE_ORDER_2M)
		hpa = pages_alloc(--*order);
	return hpa;
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
		hpa_t hpa = take_block(&order);
		enum hv_err err;

		if (hpa == HPA_NONE)
			return HV_ENOMEM;
		ASSERT(vm->blocks->nr < vm->blocks->cap);
		vm->blocks->blocks[vm->blocks->nr++] = (struct block){hpa, (uint8_t)order};
		err = map_block(vm, offset, hpa, order);
		if (err != HV_OK)
			return err;
		offset += PAGE_SIZE << order;
		watchdog_work(); /* a GiB that is not clean takes a good part of a second */
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
