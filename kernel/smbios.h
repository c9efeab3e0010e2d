/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's own identity in firmware's SMBIOS table. The bytes are hostile input: every length
 * is checked, checksums must hold. Pure.
 *
 * Source: [SMBIOS] "SMBIOS 2.1 (32-bit) Entry Point", "SMBIOS 3.0 (64-bit) Entry Point", "System
 * Information (Type 1)".
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

/* smbios_uuid - the system's UUID in the order of RFC 9562; false when the table has none */
bool smbios_uuid(const uint8_t *table, size_t len_bytes, uint8_t uuid[16]);

#endif
