/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of this machine: the buddy allocator under a lock, and the zeroing, which is done outside
 * of it. What the allocator gets is decided in ram_plan.c.
 */
#include "kernel/memory.h"

#include "kernel/buddy.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/memory_init.h"
#include "kernel/paging.h"
#include "kernel/panic.h"
#include "kernel/ram_plan.h"

static_assert(BUDDY_ORDER_MAX == PAGE_ORDER_MAX, "one idea of the largest block");
static_assert(RAM_END_MAX / PAGE_SIZE <= BUDDY_PAGES_MAX, "a page index fits");

static struct lock lock;
static struct buddy buddy; /* under lock */

void *hva_of(hpa_t hpa)
{
	ASSERT(hpa < DIRECT_MAP_BYTES);

	return (void *)(DIRECT_MAP + hpa);
}

hpa_t hpa_of(const void *hva)
{
	uint64_t at = (uint64_t)hva;

	if (at >= KERNEL_BASE)
		return at - KERNEL_BASE;
	ASSERT(at >= DIRECT_MAP && at - DIRECT_MAP < DIRECT_MAP_BYTES);
	return at - DIRECT_MAP;
}

/* The first MiB is where other CPUs start; the rest is in use. */
static uint32_t list_taken(const struct boot_info *info, struct ram_span *taken)
{
	uint32_t nr = 0;

	taken[nr++] = (struct ram_span){0, MIB};
	taken[nr++] = (struct ram_span){paging_image_start(), paging_image_end()};
	for (uint32_t i = 0; i < info->nr_modules; i++)
		taken[nr++] = (struct ram_span){info->modules[i].hpa,
						info->modules[i].hpa + info->modules[i].len_bytes};
	return nr;
}

void memory_init(const struct boot_info *info)
{
	static struct ram_plan plan;
	struct ram_span taken[RAM_TAKEN_MAX];
	uint32_t nr_taken = list_taken(info, taken);

	if (ram_plan_make(info, taken, nr_taken, buddy_array_bytes, &plan) != HV_OK)
		panic("no room for the page array of %lu pages", plan.nr_pages);

	buddy_init(&buddy, hva_of(plan.array_hpa), (uint32_t)plan.nr_pages);
	for (uint32_t i = 0; i < plan.nr_spans; i++)
		buddy_add(&buddy, (uint32_t)(plan.spans[i].base / PAGE_SIZE),
			  (uint32_t)((plan.spans[i].end - plan.spans[i].base) / PAGE_SIZE));
	log_info("memory", "%llu MiB free in %u spans, page array of %llu KiB at 0x%lx",
		 buddy.nr_free * PAGE_SIZE / MIB, plan.nr_spans,
		 buddy_array_bytes(plan.nr_pages) / KIB, plan.array_hpa);
}

hpa_t pages_take(unsigned order, bool *is_zero)
{
	enum buddy_clean clean;
	uint32_t page;

	lock_take(&lock);
	page = buddy_alloc(&buddy, order, &clean);
	lock_release(&lock);
	if (page == BUDDY_NONE)
		return HPA_NONE;
	*is_zero = clean == BUDDY_CLEAN;
	return page * PAGE_SIZE;
}

hpa_t pages_alloc(unsigned order)
{
	bool is_zero;
	hpa_t hpa = pages_take(order, &is_zero);

	if (hpa != HPA_NONE && !is_zero)
		memset(hva_of(hpa), 0, PAGE_SIZE << order);
	return hpa;
}

void pages_free(hpa_t hpa, unsigned order)
{
	ASSERT(IS_ALIGNED(hpa, PAGE_SIZE) && hpa < RAM_END_MAX);

	lock_take(&lock);
	buddy_free(&buddy, (uint32_t)(hpa / PAGE_SIZE), order);
	lock_release(&lock);
}

int pages_order_of(hpa_t hpa)
{
	int order;

	ASSERT(IS_ALIGNED(hpa, PAGE_SIZE) && hpa < RAM_END_MAX);

	lock_take(&lock);
	order = buddy_order_of(&buddy, (uint32_t)(hpa / PAGE_SIZE));
	lock_release(&lock);
	return order;
}

void pages_stats(struct pages_stats *out)
{
	lock_take(&lock);
	out->total = buddy.nr_total;
	out->free = buddy.nr_free;
	out->dirty = buddy.nr_dirty;
	lock_release(&lock);
}

/* 128 KiB a time: a CPU that scrubs looks at what came in between the pieces. */
#define SCRUB_ORDER 5

/*
 * Past the caches, whose contents somebody may still want. One store at a time rather than one
 * string instruction: an emulator of several CPUs lets none of the others go on in the middle of
 * that.
 */
static void scrub(void *page, size_t len_bytes)
{
	uint64_t *at = page, *end = at + len_bytes / sizeof(*at);

	for (; at < end; at += 4)
		__asm__ volatile("movnti %1, (%0)\n\t"
				 "movnti %1, 8(%0)\n\t"
				 "movnti %1, 16(%0)\n\t"
				 "movnti %1, 24(%0)"
				 :
				 : "r"(at), "r"(0ull)
				 : "memory");
	__asm__ volatile("sfence"
			 :
			 :
			 : "memory"); /* the zeroes, before whoever is given the page */
}

void pages_clear(hpa_t hpa, uint64_t len_bytes)
{
	ASSERT(IS_ALIGNED(hpa, PAGE_SIZE) && IS_ALIGNED(len_bytes, PAGE_SIZE));
	scrub(hva_of(hpa), len_bytes);
}

bool pages_scrub_some(void)
{
	uint32_t page;
	unsigned order;

	lock_take(&lock);
	page = buddy_take_dirty(&buddy, SCRUB_ORDER, &order);
	lock_release(&lock);
	if (page == BUDDY_NONE)
		return false;

	scrub(hva_of(page * PAGE_SIZE), PAGE_SIZE << order);
	lock_take(&lock);
	buddy_put_clean(&buddy, page, order);
	lock_release(&lock);
	return true;
}
