/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding a range walks the sorted map once and writes a new one beside it:
 *
 *     map      |---- RAM ----|      |- RES -|
 *     new             |---------- RAM -----------|
 *     result   |----------- RAM ----|- RES -|RAM-|
 *
 * Each stretch gets the stronger type of the two that cover it.
 */
#include "boot/ranges.h"

#include "kernel/lib/string.h"
#include "kernel/log.h"

struct map {
	struct boot_range ranges[BOOT_RANGES_MAX];
	uint32_t nr;
	bool is_full;
};

enum boot_range_type ranges_type_of_e820(uint32_t type)
{
	switch (type) {
	case 1:
		return RANGE_RAM;
	case 3:
		return RANGE_ACPI_RECLAIM;
	case 4:
		return RANGE_ACPI_NVS;
	case 5:
		return RANGE_BAD;
	default:
		return RANGE_RESERVED;
	}
}

/* Where two ranges overlap the type with the higher rank holds. */
static unsigned rank_of(enum boot_range_type type)
{
	static const unsigned ranks[] = {
		[RANGE_RAM] = 0,      [RANGE_ACPI_RECLAIM] = 1, [RANGE_ACPI_NVS] = 2,
		[RANGE_RESERVED] = 3, [RANGE_BAD] = 4,
	};

	return ranks[type];
}

static enum boot_range_type stronger(enum boot_range_type a, enum boot_range_type b)
{
	return rank_of(a) > rank_of(b) ? a : b;
}

static void put(struct map *map, uint64_t base, uint64_t end, enum boot_range_type type)
{
	struct boot_range *last = map->nr > 0 ? &map->ranges[map->nr - 1] : NULL;

	if (base >= end)
		return;
	if (last != NULL && last->type == type && last->base + last->len_bytes == base) {
		last->len_bytes += end - base;
		return;
	}
	if (map->nr == BOOT_RANGES_MAX) {
		map->is_full = true;
		return;
	}
	map->ranges[map->nr++] = (struct boot_range){base, end - base, type};
}

enum hv_err ranges_add(struct boot_info *info, uint64_t base, uint64_t len_bytes,
		       enum boot_range_type type)
{
	uint64_t end = base + MIN(len_bytes, UINT64_MAX - base);
	uint64_t at = base; /* what of the new range is below is in the map already */
	struct map map = {.nr = 0};

	for (uint32_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *old = &info->ranges[i];
		uint64_t old_end = old->base + old->len_bytes;
		uint64_t both = MAX(old->base, at), both_end = MIN(old_end, end);

		/* They do not touch: the new one goes first if it lies below. */
		if (both >= both_end) {
			if (old->base >= end) {
				put(&map, at, end, type);
				at = end;
			}
			put(&map, old->base, old_end, old->type);
			continue;
		}
		put(&map, old->base, both, old->type);
		put(&map, at, both, type);
		put(&map, both, both_end, stronger(old->type, type));
		put(&map, both_end, old_end, old->type);
		at = both_end;
	}
	put(&map, at, end, type);

	if (map.is_full)
		return HV_ENOMEM;
	memcpy(info->ranges, map.ranges, map.nr * sizeof(map.ranges[0]));
	info->nr_ranges = map.nr;
	return HV_OK;
}

bool ranges_is_ram(const struct boot_info *info, uint64_t base, uint64_t len_bytes)
{
	for (uint32_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *r = &info->ranges[i];

		if (r->type == RANGE_RAM && base >= r->base && len_bytes > 0 &&
		    range_fits(base - r->base, len_bytes, r->len_bytes))
			return true;
	}
	return false;
}

bool ranges_touch_ram(const struct boot_info *info, uint64_t base, uint64_t len_bytes)
{
	for (uint32_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *r = &info->ranges[i];

		if (r->type == RANGE_RAM && base < r->base + r->len_bytes &&
		    r->base < base + len_bytes)
			return true;
	}
	return false;
}

void ranges_drop_stray_modules(struct boot_info *info)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < info->nr_modules; i++) {
		const struct boot_module *m = &info->modules[i];

		if (ranges_is_ram(info, m->hpa, m->len_bytes))
			info->modules[kept++] = *m;
		else
			log_warn("boot", "module %u: 0x%lx bytes at 0x%lx are not in RAM, left out",
				 i, m->len_bytes, m->hpa);
	}
	info->nr_modules = kept;
}
