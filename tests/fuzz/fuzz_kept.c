/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept on the boot disk, read off a disk of any content. The first byte says whether copy 0
 * is made whole by kept_write() before the rest of the input is laid over its start and copy 1's.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/kept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t disk[KEPT_COPIES][BOOT_DISK_KEPT_BYTES];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *const copies[KEPT_COPIES] = {disk[0], disk[1]};
	volatile uint8_t last = 0;
	struct kept kept;

	if (size == 0)
		return 0;
	memset(disk, 0, sizeof(disk));
	if (data[0] & 1)
		kept_write(1, data, size < KEPT_MAX ? (uint32_t)size : KEPT_MAX, disk[0]);
	data++;
	size--;
	memcpy(disk[1], data, size < sizeof(disk[1]) ? size : sizeof(disk[1]));
	if (size > KEPT_HEAD_BYTES)
		disk[0][size % BOOT_DISK_KEPT_BYTES] ^= data[size - 1];

	kept_find(copies, &kept);
	if (kept.number == 0)
		return 0;
	if (kept.copy >= KEPT_COPIES || kept.len_bytes > KEPT_MAX ||
	    kept.bytes != disk[kept.copy] + KEPT_HEAD_BYTES ||
	    kept.number % KEPT_COPIES != kept.copy)
		abort();
	if (kept.len_bytes > 0)
		last = kept.bytes[kept.len_bytes - 1];
	(void)last;
	return 0;
}
