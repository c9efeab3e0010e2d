/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the BIOS area, and the same as a table. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/smbios.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t cap)
{
	size_t len = strnlen(text, cap);

	if (len == cap)
		abort();
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smbios_entry entry;
	struct smbios_info info;

	if (smbios_find(data, size, &entry) && entry.table_bytes > SMBIOS_TABLE_MAX)
		abort();
	smbios_parse(data, size, &info);
	check_text(info.bios_vendor, sizeof(info.bios_vendor));
	check_text(info.bios_version, sizeof(info.bios_version));
	check_text(info.manufacturer, sizeof(info.manufacturer));
	check_text(info.product, sizeof(info.product));
	return 0;
}
