/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The information that a multiboot2 loader leaves behind, turned into a boot_info. Pure.
 *
 * Source: [MULTIBOOT2] "Boot information format".
 */
#ifndef BOOT_MULTIBOOT2_H
#define BOOT_MULTIBOOT2_H

#include "boot/boot_info.h"
#include "kernel/lib/err.h"

#define MULTIBOOT2_BOOTLOADER_MAGIC 0x36d76289u /* in EAX at entry */

/*
 * multiboot2_parse - walk the tags
 *
 * info       borrows; the structure that EBX pointed at, from its total_size on
 * len_bytes  how much of it may be read; total_size may say less but not more
 * out        filled on HV_OK; with HV_EPROTO or HV_ENOMEM it holds nothing of use
 *
 * Errors:  HV_EPROTO - tags that do not fit in their container, no end tag, no memory map.
 *          HV_ENOMEM - a memory map of more than BOOT_RANGES_MAX ranges.
 */
MUST_CHECK enum hv_err multiboot2_parse(const void *info, size_t len_bytes, struct boot_info *out);

#endif
