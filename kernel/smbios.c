/* SPDX-License-Identifier: Apache-2.0 */
/* Two kinds of entry point, one walk over structures: fields of a given length, then strings. */
#include "kernel/smbios.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define ENTRY_ALIGN 16u

/* [SMBIOS] "SMBIOS 3.0 (64-bit) Entry Point" */
#define ENTRY3_LEN_MIN	  24u
#define ENTRY3_LEN	  6u
#define ENTRY3_TABLE_MAX  12u
#define ENTRY3_TABLE_ADDR 16u

/* [SMBIOS] "SMBIOS 2.1 (32-bit) Entry Point" */
#define ENTRY2_LEN_MIN	   30u /* some firmware says 30 for 31, which an early edition did too */
#define ENTRY2_LEN	   5u
#define ENTRY2_TABLE_BYTES 22u
#define ENTRY2_TABLE_ADDR  24u

#define STRUCT_HEADER 4u
#define TYPE_SYSTEM   1u
#define TYPE_END      127u
#define SYSTEM_UUID   8u

static bool sums_to_zero(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

static bool entry3_read(const uint8_t *at, size_t left, struct smbios_entry *out)
{
	if (left < ENTRY3_LEN_MIN || memcmp(at, "_SM3_", 5) != 0)
		return false;
	if (at[ENTRY3_LEN] < ENTRY3_LEN_MIN || at[ENTRY3_LEN] > left ||
	    !sums_to_zero(at, at[ENTRY3_LEN]))
		return false;
	out->table_hpa = get_le64(at + ENTRY3_TABLE_ADDR);
	out->table_bytes = (uint32_t)MIN(get_le32(at + ENTRY3_TABLE_MAX), SMBIOS_TABLE_MAX);
	return true;
}

static bool entry2_read(const uint8_t *at, size_t left, struct smbios_entry *out)
{
	if (left < ENTRY2_LEN_MIN || memcmp(at, "_SM_", 4) != 0)
		return false;
	if (at[ENTRY2_LEN] < ENTRY2_LEN_MIN || at[ENTRY2_LEN] > left ||
	    !sums_to_zero(at, at[ENTRY2_LEN]))
		return false;
	out->table_hpa = get_le32(at + ENTRY2_TABLE_ADDR);
	out->table_bytes = get_le16(at + ENTRY2_TABLE_BYTES);
	return true;
}

bool smbios_find(const uint8_t *area, size_t len_bytes, struct smbios_entry *out)
{
	for (size_t at = 0; at < len_bytes; at += ENTRY_ALIGN)
		if (entry3_read(area + at, len_bytes - at, out) ||
		    entry2_read(area + at, len_bytes - at, out))
			return true;
	return false;
}

/* Bytes from one structure to the next: its fields, then strings up to two zeros. */
static size_t struct_bytes(const uint8_t *at, size_t left)
{
	size_t end = at[1];

	while (end + 1 < left && (at[end] != 0 || at[end + 1] != 0))
		end++;
	return end + 2;
}

static bool is_all(const uint8_t *bytes, uint8_t value)
{
	for (size_t i = 0; i < 16; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* Its first three fields are little-endian in the table. */
static void uuid_copy(uint8_t uuid[16], const uint8_t *raw)
{
	memcpy(uuid, raw, 16);
	put_be32(uuid, get_le32(raw));
	put_be16(uuid + 4, get_le16(raw + 4));
	put_be16(uuid + 6, get_le16(raw + 6));
}

bool smbios_uuid(const uint8_t *table, size_t len_bytes, uint8_t uuid[16])
{
	size_t at = 0;

	while (range_fits(at, STRUCT_HEADER, len_bytes)) {
		const uint8_t *here = table + at;
		uint8_t type = here[0], len = here[1];

		if (type == TYPE_END || len < STRUCT_HEADER || !range_fits(at, len, len_bytes))
			return false;
		if (type == TYPE_SYSTEM) {
			if (len < SYSTEM_UUID + 16 || is_all(here + SYSTEM_UUID, 0) ||
			    is_all(here + SYSTEM_UUID, 0xff))
				return false;
			uuid_copy(uuid, here + SYSTEM_UUID);
			return true;
		}
		at += struct_bytes(here, len_bytes - at);
	}
	return false;
}
