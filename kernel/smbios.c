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

#define ENTRY_BYTES_MAX 32u

#define STRUCT_HEADER 4u
#define TYPE_BIOS     0u
#define TYPE_SYSTEM   1u
#define TYPE_END      127u

/* [SMBIOS] "BIOS Information (Type 0)" */
#define BIOS_VENDOR  4u
#define BIOS_VERSION 5u

/* [SMBIOS] "System Information (Type 1)" */
#define SYSTEM_MANUFACTURER 4u
#define SYSTEM_PRODUCT	    5u
#define SYSTEM_UUID	    8u

struct structure { /* len bytes of fields, then strings, in all no more than left */
	const uint8_t *at;
	size_t len, left;
};

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
static size_t struct_bytes(const struct structure *st)
{
	size_t end = st->len;

	while (end + 1 < st->left && (st->at[end] != 0 || st->at[end + 1] != 0))
		end++;
	return end + 2;
}

/* The string whose number, counted from 1, is in that field; "" when there is none. */
static void copy_string(const struct structure *st, size_t field, char *dst, size_t cap)
{
	size_t at = st->len, nr = 0;

	dst[0] = '\0';
	for (uint8_t skip = field < st->len ? st->at[field] : 0; skip != 1; skip--) {
		if (skip == 0)
			return;
		while (at < st->left && st->at[at] != 0)
			at++;
		if (++at >= st->left || st->at[at] == 0)
			return;
	}
	for (; at < st->left && st->at[at] != 0 && nr + 1 < cap; at++)
		dst[nr++] = st->at[at] >= ' ' && st->at[at] <= '~' ? (char)st->at[at] : '?';
	while (nr > 0 && dst[nr - 1] == ' ')
		nr--;
	dst[nr] = '\0';
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

static void take_bios(const struct structure *st, struct smbios_info *out)
{
	copy_string(st, BIOS_VENDOR, out->bios_vendor, sizeof(out->bios_vendor));
	copy_string(st, BIOS_VERSION, out->bios_version, sizeof(out->bios_version));
}

static void take_system(const struct structure *st, struct smbios_info *out)
{
	const uint8_t *uuid = st->at + SYSTEM_UUID;

	copy_string(st, SYSTEM_MANUFACTURER, out->manufacturer, sizeof(out->manufacturer));
	copy_string(st, SYSTEM_PRODUCT, out->product, sizeof(out->product));
	out->has_uuid = st->len >= SYSTEM_UUID + 16 && !is_all(uuid, 0) && !is_all(uuid, 0xff);
	if (out->has_uuid)
		uuid_copy(out->uuid, uuid);
}

void smbios_parse(const uint8_t *table, size_t len_bytes, struct smbios_info *out)
{
	bool has_bios = false, has_system = false;

	memset(out, 0, sizeof(*out));
	for (size_t at = 0; range_fits(at, STRUCT_HEADER, len_bytes);) {
		struct structure st = {table + at, table[at + 1], len_bytes - at};
		uint8_t type = table[at];

		if (type == TYPE_END || st.len < STRUCT_HEADER || st.len > st.left)
			return;
		if (type == TYPE_BIOS && !has_bios) {
			has_bios = true;
			take_bios(&st, out);
		} else if (type == TYPE_SYSTEM && !has_system) {
			has_system = true;
			take_system(&st, out);
		}
		at += struct_bytes(&st);
	}
}

bool smbios_read(uint64_t entry_hpa, smbios_map_fn *map, void *arg, struct smbios_info *out)
{
	size_t len = entry_hpa ? ENTRY_BYTES_MAX : SMBIOS_AREA_BYTES;
	const uint8_t *at = map(arg, entry_hpa ? entry_hpa : SMBIOS_AREA_HPA, len);
	struct smbios_entry entry;

	memset(out, 0, sizeof(*out));
	if (!at || !smbios_find(at, len, &entry))
		return false;
	at = map(arg, entry.table_hpa, entry.table_bytes);
	if (!at)
		return false;
	smbios_parse(at, entry.table_bytes, out);
	return true;
}
