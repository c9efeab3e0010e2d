/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the BIOS area, and the same as a table. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/smbios.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smbios_entry entry;
	uint8_t uuid[16];

	if (smbios_find(data, size, &entry) && entry.table_bytes > SMBIOS_TABLE_MAX)
		abort();
	(void)!smbios_uuid(data, size, uuid);
	return 0;
}
