/* SPDX-License-Identifier: Apache-2.0 */
/* What boot_info.h promises of a filled boot_info, as checks that abort; for the fuzzers. */
#ifndef TESTS_CHECK_BOOT_INFO_H
#define TESTS_CHECK_BOOT_INFO_H

#include <string.h>

#include "boot/ranges.h"
#include "kernel/lib/assert.h"

static inline void check_screen(const struct boot_info *info, const struct boot_screen *s)
{
	uint64_t len = (uint64_t)s->height * s->pitch_bytes;

	if (s->kind == SCREEN_NONE)
		return;
	ASSERT(len > 0 && range_fits(s->hpa, len, 1ull << 46));
	if (s->kind == SCREEN_VGA_TEXT) {
		ASSERT(s->width >= 80 && s->height >= 25 && s->pitch_bytes == 2 * s->width);
		return;
	}
	ASSERT(!ranges_touch_ram(info, s->hpa, len));
	ASSERT(s->width >= 640 && s->height >= 400);
	ASSERT(s->bits_per_pixel / 8 * s->width <= s->pitch_bytes);
	ASSERT(s->red.shift + s->red.bits <= s->bits_per_pixel);
	ASSERT(s->green.shift + s->green.bits <= s->bits_per_pixel);
	ASSERT(s->blue.shift + s->blue.bits <= s->bits_per_pixel);
}

static inline void check_boot_info(const struct boot_info *info)
{
	ASSERT(info->nr_ranges > 0 && info->nr_ranges <= BOOT_RANGES_MAX);
	ASSERT(info->nr_modules <= BOOT_MODULES_MAX);
	for (uint32_t i = 0; i < info->nr_ranges; i++) {
		const struct boot_range *r = &info->ranges[i];

		ASSERT(r->len_bytes > 0 && r->len_bytes <= UINT64_MAX - r->base);
		ASSERT(i == 0 || r[-1].base + r[-1].len_bytes <= r->base);
	}
	for (uint32_t i = 0; i < info->nr_modules; i++) {
		const struct boot_module *m = &info->modules[i];

		ASSERT(ranges_is_ram(info, m->hpa, m->len_bytes));
		ASSERT(memchr(m->name, 0, sizeof(m->name)) != NULL);
	}
	ASSERT(memchr(info->cmdline, 0, sizeof(info->cmdline)) != NULL);
	ASSERT(memchr(info->loader, 0, sizeof(info->loader)) != NULL);
	check_screen(info, &info->screen);
	ASSERT(info->rsdp_copy_len == 0 ||
	       (info->rsdp_copy_len >= 20 && info->rsdp_copy_len <= sizeof(info->rsdp_copy)));
}

#endif
