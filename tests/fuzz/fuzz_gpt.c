/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partition table by an enemy who can count: the CRCs are made right, so that what is behind them
 * is reached. Whatever is found lies on the disk.
 *
 * Input: the header's 512 bytes, then the table, as far as there is any; zeros behind it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/bytes.h"
#include "storage/boot_disk.h"
#include "storage/gpt.h"

#define SECTORS 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc32(const uint8_t *at, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < 8 * len; i++)
		crc = crc >> 1 ^ ((crc ^ at[i / 8] >> i % 8) & 1 ? 0xedb88320u : 0);
	return ~crc;
}

static void look_for(const struct gpt *gpt, const uint8_t *table, const uint8_t *type)
{
	struct gpt_partition part;

	if (gpt_find(gpt, table, type, &part) != HV_OK)
		return;
	if (part.nr_sectors == 0 || !range_fits(part.first_lba, part.nr_sectors, SECTORS))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t types[][GPT_GUID_BYTES] = {BOOT_DISK_TYPE_CONFIG,
							BOOT_DISK_TYPE_SLOT_A};
	uint8_t header[512] = {0}, *table;
	size_t len = MIN(size, sizeof(header));
	struct gpt gpt;

	memcpy(header, data, len);
	put_le32(header + 16, 0);
	put_le32(header + 16, crc32(header, MIN(get_le32(header + 12), sizeof(header))));
	if (gpt_read_header(header, sizeof(header), GPT_PRIMARY_LBA, SECTORS, &gpt) != HV_OK)
		return 0;
	if (gpt_table_bytes(&gpt) > GPT_TABLE_MAX)
		abort();
	table = calloc(1, gpt_table_bytes(&gpt)); /* exactly, for the sanitizer */
	memcpy(table, data + len, MIN(size - len, gpt_table_bytes(&gpt)));
	(void)(gpt_check_table(&gpt, table) == HV_OK);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		look_for(&gpt, table, types[i]);
	free(table);
	return 0;
}
