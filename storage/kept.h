/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few KiB of the agent's that outlive the machine's reboots: two copies on the boot disk, each
 * with a number and a digest. A change is written over the older copy, so power may go at any
 * moment: the newest copy that is whole counts. Pure; what is read off the disk is hostile.
 *
 *     magic, number, length, SHA-256 of all that but itself │ bytes │ zeros
 */
#ifndef STORAGE_KEPT_H
#define STORAGE_KEPT_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "storage/boot_disk.h"

#define KEPT_COPIES	2u
#define KEPT_HEAD_BYTES 64u
#define KEPT_MAX	(BOOT_DISK_KEPT_BYTES - KEPT_HEAD_BYTES) /* bytes that can be kept */

struct kept {
	uint64_t number; /* of the newest copy; 0: there is none */
	uint32_t copy;	 /* which one that is */
	uint32_t len_bytes;
	const uint8_t *bytes; /* borrowed: in that copy */
};

/* kept_find - the newest whole copy; copies are BOOT_DISK_KEPT_BYTES each. number is 0 without one.
 */
void kept_find(const uint8_t *const copies[KEPT_COPIES], struct kept *out);

/*
 * kept_write - a copy that is newer than that number, to be written over copy (number + 1) % 2
 *
 * len_bytes  KEPT_MAX at most; 0: nothing is kept any more
 */
void kept_write(uint64_t number, const void *bytes, uint32_t len_bytes,
		uint8_t copy[BOOT_DISK_KEPT_BYTES]);

#endif
