/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of whole pages are collected from the RAM ranges, then each thing that is taken is cut out
 * of them, the page array last: it goes to the lowest span that can hold it.
 */
#include "kernel/ram_plan.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"
#include "kernel/memory.h"

#define ARRAY_SHARE 16 /* the array may take 1/16 of RAM */

static void collect(const struct boot_info *info, uint64_t (*array_bytes)(uint64_t),
		    struct ram_plan *plan)
{
	uint64_t ram_bytes = 0;

	for (uint32_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *r = &info->ranges[i];
		uint64_t base = ALIGN_UP(r->base, PAGE_SIZE);
		uint64_t end = ALIGN_DOWN(MIN(r->base + r->len_bytes, RAM_END_MAX), PAGE_SIZE);

		if (r->type != RANGE_RAM || base < r->base || base >= end)
			continue;
		if (array_bytes(end / PAGE_SIZE) > (ram_bytes + end - base) / ARRAY_SHARE)
			continue;
		ram_bytes += end - base;
		plan->spans[plan->nr_spans++] = (struct ram_span){base, end};
		plan->nr_pages = end / PAGE_SIZE;
	}
}

static void drop_span(struct ram_plan *plan, uint32_t at)
{
	plan->nr_spans--;
	memmove(&plan->spans[at], &plan->spans[at + 1],
		(plan->nr_spans - at) * sizeof(plan->spans[0]));
}

static void insert_span(struct ram_plan *plan, uint32_t at, struct ram_span span)
{
	ASSERT(plan->nr_spans < RAM_SPANS_MAX);

	memmove(&plan->spans[at + 1], &plan->spans[at],
		(plan->nr_spans - at) * sizeof(plan->spans[0]));
	plan->spans[at] = span;
	plan->nr_spans++;
}

/* Takes whole pages out, so that what shares a page with the hole goes too. */
static void cut(struct ram_plan *plan, uint64_t base, uint64_t end)
{
	if (base >= end)
		return;
	base = ALIGN_DOWN(base, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	for (uint32_t i = 0; i < plan->nr_spans; i++) {
		struct ram_span *s = &plan->spans[i], above = {MAX(end, s->base), s->end};

		if (s->end <= base || s->base >= end)
			continue;
		s->end = MAX(s->base, base);
		if (above.base < above.end)
			insert_span(plan, i + 1, above);
		if (s->base == s->end)
			drop_span(plan, i--);
	}
}

static enum hv_err place_array(struct ram_plan *plan, uint64_t len_bytes)
{
	for (uint32_t i = 0; i < plan->nr_spans; i++) {
		const struct ram_span *s = &plan->spans[i];

		if (s->end - s->base < len_bytes)
			continue;
		plan->array_hpa = s->base;
		cut(plan, s->base, s->base + len_bytes);
		return HV_OK;
	}
	return HV_ENOMEM;
}

enum hv_err ram_plan_make(const struct boot_info *info, const struct ram_span *taken,
			  uint32_t nr_taken, uint64_t (*array_bytes)(uint64_t nr_pages),
			  struct ram_plan *plan)
{
	ASSERT(info->nr_ranges <= BOOT_RANGES_MAX && nr_taken < RAM_TAKEN_MAX);

	memset(plan, 0, sizeof(*plan));
	collect(info, array_bytes, plan);
	for (uint32_t i = 0; i < nr_taken; i++)
		cut(plan, taken[i].base, taken[i].end);
	return place_array(plan, array_bytes(plan->nr_pages));
}
