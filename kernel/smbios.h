/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's own identity in firmware's SMBIOS table. The bytes are hostile input: every length
 * is checked, checksums must hold. Pure.
 *
 * Source: [SMBIOS] "SMBIOS 2.1 (32-bit) Entry Point", "SMBIOS 3.0 (64-bit) Entry Point", "BIOS
 * Information (Type 0)", "System Information (Type 1)".
 */
#ifndef KERNEL_SMBIOS_H
#define KERNEL_SMBIOS_H

#include "kernel/lib/types.h"

#define SMBIOS_AREA_HPA	  0xf0000ull /* where a BIOS puts the entry point */
#define SMBIOS_AREA_BYTES 0x10000ull
#define SMBIOS_TABLE_MAX  (64 * KIB) /* we look no further into a table than that */

struct smbios_entry {
	uint64_t table_hpa;
	uint32_t table_bytes; /* at most SMBIOS_TABLE_MAX */
};

/* smbios_find - look for an entry point in a copy of the area; false when none holds */
bool smbios_find(const uint8_t *area, size_t len_bytes, struct smbios_entry *out);

struct smbios_info { /* texts are printable ASCII, cut, and empty where there is none */
	char bios_vendor[48], bios_version[48];
	char manufacturer[48], product[48];
	bool has_uuid;
	uint8_t uuid[16]; /* the system's, in the order of RFC 9562 */
};

/* smbios_parse - what the first structures of type 0 and 1 say; out is wholly overwritten */
void smbios_parse(const uint8_t *table, size_t len_bytes, struct smbios_info *out);

/* Pointer to len_bytes of physical memory, or NULL when that cannot be read. */
typedef const void *smbios_map_fn(void *arg, uint64_t hpa, uint64_t len_bytes);

/*
 * smbios_read - find the table and parse it
 *
 * entry_hpa  where UEFI says that the entry point is; 0: look in the BIOS's area
 * out        wholly overwritten; empty when the answer is false, as there is no table
 */
bool smbios_read(uint64_t entry_hpa, smbios_map_fn *map, void *arg, struct smbios_info *out);

#endif
