/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map of a boot_info, built range by range from whatever order and overlap firmware
 * gave. Pure; for the boot protocols' parsers.
 */
#ifndef BOOT_RANGES_H
#define BOOT_RANGES_H

#include "boot/boot_info.h"
#include "kernel/lib/err.h"

/* The types that [ACPI] "Address Range Types" and the boot protocols share; others are reserved. */
enum boot_range_type ranges_type_of_e820(uint32_t type);

/*
 * ranges_add - one more range, cut at 2^64 - 1 should it wrap
 *
 * Keeps info->ranges sorted and free of overlap. Where two ranges overlap the one further down in
 * enum order RAM, ACPI_RECLAIM, ACPI_NVS, RESERVED, BAD wins; neighbours of one type become one.
 *
 * Errors:  HV_ENOMEM - more than BOOT_RANGES_MAX ranges; the map is as it was.
 */
MUST_CHECK enum hv_err ranges_add(struct boot_info *info, uint64_t base, uint64_t len_bytes,
				  enum boot_range_type type);

/* Whether a block that is not empty lies in one piece of RAM. */
bool ranges_is_ram(const struct boot_info *info, uint64_t base, uint64_t len_bytes);

/* Whether any byte of a block that does not wrap is RAM. */
bool ranges_touch_ram(const struct boot_info *info, uint64_t base, uint64_t len_bytes);

/* ranges_drop_stray_modules - leave out, with a warning, what a loader says lies outside of RAM */
void ranges_drop_stray_modules(struct boot_info *info);

#endif
