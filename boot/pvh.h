/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start info of a PVH boot (qemu -kernel and the like), turned into a boot_info. Pure: reads
 * memory only through the given map function.
 *
 * Source: [PVH] "x86/HVM direct boot ABI", struct hvm_start_info of version 1.
 */
#ifndef BOOT_PVH_H
#define BOOT_PVH_H

#include "boot/boot_info.h"
#include "kernel/lib/err.h"

/* Pointer to len_bytes of physical memory, or NULL when that cannot be read. */
typedef const void *pvh_map_fn(void *arg, uint64_t hpa, uint64_t len_bytes);

/*
 * pvh_parse - follow the start info
 *
 * start_info_hpa  what EBX held at entry
 * out             filled on HV_OK; otherwise it holds nothing of use
 *
 * Errors:  HV_EPROTO  - wrong magic, or a pointer or table that map refuses, or no memory map.
 *          HV_ENOTSUP - version 0, which has no memory map.
 *          HV_ENOMEM  - a memory map of more than BOOT_RANGES_MAX ranges.
 */
MUST_CHECK enum hv_err pvh_parse(uint64_t start_info_hpa, pvh_map_fn *map, void *arg,
				 struct boot_info *out);

#endif
