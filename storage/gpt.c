/* SPDX-License-Identifier: Apache-2.0 */
/* Headers and tables are small and read at boot only, so the CRC needs no table of its own. */
#include "storage/gpt.h"

#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* [UEFI] table "GPT Header" */
#define HEADER_BYTES	92u
#define HEADER_REVISION 0x00010000u
#define AT_REVISION	8u
#define AT_SIZE		12u
#define AT_CRC		16u
#define AT_MY_LBA	24u
#define AT_FIRST_LBA	40u
#define AT_LAST_LBA	48u
#define AT_TABLE_LBA	72u
#define AT_NR_ENTRIES	80u
#define AT_ENTRY_BYTES	84u
#define AT_TABLE_CRC	88u

/* [UEFI] table "GPT Partition Entry" */
#define ENTRY_BYTES_MIN	   128u
#define ENTRY_AT_FIRST_LBA 32u
#define ENTRY_AT_LAST_LBA  40u

#define CRC32_REFLECTED 0xedb88320u

static uint32_t crc32_add(uint32_t crc, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= at[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32_REFLECTED : 0);
	}
	return crc;
}

/* With the four bytes of the CRC itself taken as zero. */
static uint32_t header_crc(const uint8_t *header, uint32_t len)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32_add(UINT32_MAX, header, AT_CRC);

	crc = crc32_add(crc, zero, sizeof(zero));
	return ~crc32_add(crc, header + AT_CRC + sizeof(zero), len - AT_CRC - sizeof(zero));
}

static bool is_sound(const struct gpt *gpt, uint32_t sector_bytes, uint64_t nr_sectors)
{
	uint64_t bytes = (uint64_t)gpt->nr_entries * gpt->entry_bytes;

	return gpt->entry_bytes >= ENTRY_BYTES_MIN && IS_ALIGNED(gpt->entry_bytes, 8) &&
	       bytes > 0 && bytes <= GPT_TABLE_MAX && gpt->table_lba > 1 &&
	       range_fits(gpt->table_lba, (bytes + sector_bytes - 1) / sector_bytes, nr_sectors) &&
	       gpt->first_lba <= gpt->last_lba && gpt->last_lba < nr_sectors;
}

enum hv_err gpt_read_header(const uint8_t *sector, uint32_t sector_bytes, uint64_t lba,
			    uint64_t nr_sectors, struct gpt *out)
{
	uint32_t len = get_le32(sector + AT_SIZE);
	struct gpt gpt = {
		.table_lba = get_le64(sector + AT_TABLE_LBA),
		.nr_entries = get_le32(sector + AT_NR_ENTRIES),
		.entry_bytes = get_le32(sector + AT_ENTRY_BYTES),
		.table_crc = get_le32(sector + AT_TABLE_CRC),
		.first_lba = get_le64(sector + AT_FIRST_LBA),
		.last_lba = get_le64(sector + AT_LAST_LBA),
	};

	if (memcmp(sector, "EFI PART", 8) != 0)
		return HV_ENOENT;
	if (get_le32(sector + AT_REVISION) != HEADER_REVISION || len < HEADER_BYTES ||
	    len > sector_bytes || header_crc(sector, len) != get_le32(sector + AT_CRC) ||
	    get_le64(sector + AT_MY_LBA) != lba || !is_sound(&gpt, sector_bytes, nr_sectors))
		return HV_EPROTO;
	*out = gpt;
	return HV_OK;
}

uint32_t gpt_table_bytes(const struct gpt *gpt)
{
	return gpt->nr_entries * gpt->entry_bytes;
}

enum hv_err gpt_check_table(const struct gpt *gpt, const uint8_t *table)
{
	uint32_t crc = ~crc32_add(UINT32_MAX, table, gpt_table_bytes(gpt));

	return crc == gpt->table_crc ? HV_OK : HV_EPROTO;
}

enum hv_err gpt_find(const struct gpt *gpt, const uint8_t *table,
		     const uint8_t type[GPT_GUID_BYTES], struct gpt_partition *out)
{
	const uint8_t *found = NULL;
	uint64_t first, last;

	for (uint32_t i = 0; i < gpt->nr_entries; i++) {
		const uint8_t *entry = table + i * gpt->entry_bytes;

		if (memcmp(entry, type, GPT_GUID_BYTES) != 0)
			continue;
		if (found)
			return HV_EEXIST;
		found = entry;
	}
	if (!found)
		return HV_ENOENT;
	first = get_le64(found + ENTRY_AT_FIRST_LBA);
	last = get_le64(found + ENTRY_AT_LAST_LBA);
	if (first < gpt->first_lba || last > gpt->last_lba || first > last)
		return HV_EPROTO;
	*out = (struct gpt_partition){.first_lba = first, .nr_sectors = last - first + 1};
	return HV_OK;
}
