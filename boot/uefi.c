/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     system table --> configuration tables: (GUID, address), (GUID, address) ...
 *
 * Every struct is copied through the map function once and used from the copy.
 */
#include "boot/uefi.h"

#include "boot/ranges.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

/* [UEFI] "EFI_BOOT_SERVICES.GetMemoryMap()": EFI_MEMORY_DESCRIPTOR and the memory types. */
#define DESCRIPTOR_BYTES 40u
#define DESCRIPTOR_TYPE	 0u
#define DESCRIPTOR_START 8u
#define DESCRIPTOR_PAGES 24u
#define EFI_PAGE_SHIFT	 12

enum efi_memory_type {
	EFI_RESERVED,
	EFI_LOADER_CODE,
	EFI_LOADER_DATA,
	EFI_BOOT_SERVICES_CODE,
	EFI_BOOT_SERVICES_DATA,
	EFI_RUNTIME_SERVICES_CODE,
	EFI_RUNTIME_SERVICES_DATA,
	EFI_CONVENTIONAL,
	EFI_UNUSABLE,
	EFI_ACPI_RECLAIM,
	EFI_ACPI_NVS,
};

/* [UEFI] "EFI System Table", for 64-bit firmware. */
#define SYSTEM_TABLE_BYTES     120u
#define SYSTEM_TABLE_SIGNATURE 0x5453595320494249ull
#define SYSTEM_TABLE_NR	       104u
#define SYSTEM_TABLE_TABLES    112u
#define CONFIG_TABLE_BYTES     24u
#define CONFIG_TABLE_ADDRESS   16u
#define CONFIG_TABLES_MAX      256u /* firmware has about twenty */

/* [UEFI] "EFI Configuration Table & Properties Table": GUIDs as they stand in memory. */
#define GUID_BYTES 16u
static const uint8_t guid_smbios[GUID_BYTES] = {0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11,
						0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d};
static const uint8_t guid_smbios3[GUID_BYTES] = {0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a,
						 0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94};
static const uint8_t guid_acpi[GUID_BYTES] = {0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11,
					      0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d};
static const uint8_t guid_acpi20[GUID_BYTES] = {0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
						0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81};

static bool is_kept_by_firmware(uint32_t type, enum boot_range_type *out)
{
	switch (type) {
	case EFI_LOADER_CODE:
	case EFI_LOADER_DATA:
	case EFI_BOOT_SERVICES_CODE:
	case EFI_BOOT_SERVICES_DATA:
	case EFI_CONVENTIONAL:
		return false;
	case EFI_UNUSABLE:
		*out = RANGE_BAD;
		return true;
	case EFI_ACPI_RECLAIM:
		*out = RANGE_ACPI_RECLAIM;
		return true;
	case EFI_ACPI_NVS:
		*out = RANGE_ACPI_NVS;
		return true;
	default:
		*out = RANGE_RESERVED;
		return true;
	}
}

enum hv_err uefi_add_map(struct boot_info *info, const uint8_t *map, size_t nr_bytes,
			 uint32_t descriptor_bytes)
{
	if (descriptor_bytes < DESCRIPTOR_BYTES)
		return HV_EPROTO;
	for (size_t at = 0; range_fits(at, descriptor_bytes, nr_bytes); at += descriptor_bytes) {
		uint64_t base = get_le64(map + at + DESCRIPTOR_START);
		uint64_t nr_pages = get_le64(map + at + DESCRIPTOR_PAGES);
		enum boot_range_type type;
		enum hv_err err;

		if (!is_kept_by_firmware(get_le32(map + at + DESCRIPTOR_TYPE), &type))
			continue;
		err = ranges_add(info, base,
				 MIN(nr_pages, UINT64_MAX >> EFI_PAGE_SHIFT) << EFI_PAGE_SHIFT,
				 type);
		if (err != HV_OK)
			return err;
	}
	return HV_OK;
}

static bool is_guid(const uint8_t *row, const uint8_t guid[GUID_BYTES])
{
	return memcmp(row, guid, GUID_BYTES) == 0;
}

/* The newer of two that name the same thing wins, in whatever order they come. */
static void take_table(const uint8_t row[CONFIG_TABLE_BYTES], struct boot_info *info,
		       bool *has_smbios3, bool *has_acpi20)
{
	uint64_t hpa = get_le64(row + CONFIG_TABLE_ADDRESS);

	if (is_guid(row, guid_smbios3)) {
		*has_smbios3 = true;
		info->smbios_hpa = hpa;
	} else if (is_guid(row, guid_smbios) && !*has_smbios3) {
		info->smbios_hpa = hpa;
	} else if (info->rsdp_copy_len != 0) {
		return;
	} else if (is_guid(row, guid_acpi20)) {
		*has_acpi20 = true;
		info->rsdp_hpa = hpa;
	} else if (is_guid(row, guid_acpi) && !*has_acpi20) {
		info->rsdp_hpa = hpa;
	}
}

static bool read_at(uefi_map_fn *map, void *arg, uint64_t hpa, uint8_t *dst, size_t len)
{
	const void *src = range_fits(hpa, len, UINT64_MAX) ? map(arg, hpa, len) : NULL;

	if (src != NULL)
		memcpy(dst, src, len);
	return src != NULL;
}

void uefi_read_tables(struct boot_info *info, uefi_map_fn *map, void *arg)
{
	uint8_t system[SYSTEM_TABLE_BYTES], row[CONFIG_TABLE_BYTES];
	bool has_smbios3 = false, has_acpi20 = false;
	uint64_t nr, at;

	if (info->efi_system_hpa == 0)
		return;
	if (!read_at(map, arg, info->efi_system_hpa, system, sizeof(system)) ||
	    get_le64(system) != SYSTEM_TABLE_SIGNATURE) {
		log_warn("boot", "UEFI's system table at 0x%lx is none", info->efi_system_hpa);
		return;
	}
	nr = MIN(get_le64(system + SYSTEM_TABLE_NR), CONFIG_TABLES_MAX);
	at = get_le64(system + SYSTEM_TABLE_TABLES);
	for (uint64_t i = 0; i < nr && read_at(map, arg, at, row, sizeof(row)); i++) {
		take_table(row, info, &has_smbios3, &has_acpi20);
		at += CONFIG_TABLE_BYTES; /* read_at refuses one that has wrapped */
	}
}
