/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages the allocator gets: all RAM, without what is taken already and without the
 * allocator's own page array. Pure.
 */
#ifndef KERNEL_RAM_PLAN_H
#define KERNEL_RAM_PLAN_H

#include "boot/boot_info.h"
#include "kernel/lib/err.h"

/* RAM from 16 TiB (less a page) on is not used: a page index has 32 bits. */
#define RAM_END_MAX (0xffffffffull << 12)

#define RAM_TAKEN_MAX (BOOT_MODULES_MAX + 3)
#define RAM_SPANS_MAX (BOOT_RANGES_MAX + RAM_TAKEN_MAX)

struct ram_span {
	uint64_t base, end; /* bytes; end is behind the last one */
};

struct ram_plan {
	uint64_t nr_pages; /* the array has an element for every page below this */
	uint64_t array_hpa;
	struct ram_span spans[RAM_SPANS_MAX]; /* whole pages, sorted */
	uint32_t nr_spans;
};

/*
 * ram_plan_make - whole pages of RAM outside of the taken spans, and a place for the page array
 *
 * array_bytes  how large that is for so many pages
 * RAM that lies so high that the array would take more than 1/16 of what is below it is left out.
 *
 * Errors:  HV_ENOMEM - no room for the array in one piece.
 */
MUST_CHECK enum hv_err ram_plan_make(const struct boot_info *info, const struct ram_span *taken,
				     uint32_t nr_taken, uint64_t (*array_bytes)(uint64_t nr_pages),
				     struct ram_plan *plan);

#endif
