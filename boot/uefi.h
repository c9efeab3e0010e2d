/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What UEFI leaves behind for an operating system once its boot services are gone: a memory map and
 * a list of tables. Pure. None of its services is ever called.
 *
 * Source: [UEFI] "EFI System Table", "EFI Configuration Table & Properties Table",
 * "EFI_BOOT_SERVICES.GetMemoryMap()", "Memory Type Usage after ExitBootServices()".
 */
#ifndef BOOT_UEFI_H
#define BOOT_UEFI_H

#include "boot/boot_info.h"
#include "kernel/lib/err.h"

/* Pointer to len_bytes of physical memory, or NULL when that cannot be read. */
typedef const void *uefi_map_fn(void *arg, uint64_t hpa, uint64_t len_bytes);

/*
 * uefi_add_map - take what the firmware keeps for itself out of a memory map that has all RAM
 *
 * GRUB turns the firmware's map into the map that every multiboot2 kernel gets, and that one is
 * where RAM comes from: boot services' memory and the loader's are RAM by now. This one is only
 * asked where the two might differ: what runtime services, ACPI and devices hold is never RAM.
 *
 * map      borrows; nr_bytes of descriptors, each descriptor_bytes long
 * Errors:  HV_EPROTO - descriptors shorter than theirs are; HV_ENOMEM - as ranges_add().
 */
MUST_CHECK enum hv_err uefi_add_map(struct boot_info *info, const uint8_t *map, size_t nr_bytes,
				    uint32_t descriptor_bytes);

/*
 * uefi_read_tables - find SMBIOS, and ACPI where the loader did not, by info->efi_system_hpa
 *
 * Sets info->smbios_hpa and, unless the loader gave an RSDP, info->rsdp_hpa; both are only
 * addresses, to be checked by who follows them. Leaves them alone where there is nothing, or where
 * map refuses.
 */
void uefi_read_tables(struct boot_info *info, uefi_map_fn *map, void *arg);

#endif
