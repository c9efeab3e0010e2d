/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers begin at 1 and a copy's place follows from its number, so two copies never share one. */
#include "storage/kept.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/verify/verify.h"

#define NUMBER_AT 8u
#define LENGTH_AT 16u
#define DIGEST_AT 32u /* and zeros between */

static const uint8_t magic[8] = {'b', 'i', 'l', 'l', 'k', 'e', 'p', 't'};

static_assert(DIGEST_AT + SHA256_BYTES == KEPT_HEAD_BYTES, "the digest ends the head");

static void digest_of(const uint8_t *copy, uint32_t len_bytes, uint8_t digest[SHA256_BYTES])
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add(&hash, copy, DIGEST_AT);
	sha256_add(&hash, copy + KEPT_HEAD_BYTES, len_bytes);
	sha256_end(&hash, digest);
}

/* Its number, or 0 when it is no whole copy for this place. */
static uint64_t check(const uint8_t *copy, uint32_t place)
{
	uint64_t number = get_le64(copy + NUMBER_AT);
	uint32_t len = get_le32(copy + LENGTH_AT);
	uint8_t digest[SHA256_BYTES];

	if (memcmp(copy, magic, sizeof(magic)) != 0 || number % KEPT_COPIES != place ||
	    len > KEPT_MAX)
		return 0;
	digest_of(copy, len, digest);
	return memcmp(digest, copy + DIGEST_AT, sizeof(digest)) == 0 ? number : 0;
}

void kept_find(const uint8_t *const copies[KEPT_COPIES], struct kept *out)
{
	*out = (struct kept){.number = 0};
	for (uint32_t i = 0; i < KEPT_COPIES; i++) {
		uint64_t number = check(copies[i], i);

		if (number > out->number)
			*out = (struct kept){.number = number,
					     .copy = i,
					     .len_bytes = get_le32(copies[i] + LENGTH_AT),
					     .bytes = copies[i] + KEPT_HEAD_BYTES};
	}
}

void kept_write(uint64_t number, const void *bytes, uint32_t len_bytes,
		uint8_t copy[BOOT_DISK_KEPT_BYTES])
{
	ASSERT(len_bytes <= KEPT_MAX);
	memset(copy, 0, BOOT_DISK_KEPT_BYTES);
	memcpy(copy, magic, sizeof(magic));
	put_le64(copy + NUMBER_AT, number + 1);
	put_le32(copy + LENGTH_AT, len_bytes);
	if (len_bytes > 0)
		memcpy(copy + KEPT_HEAD_BYTES, bytes, len_bytes);
	digest_of(copy, len_bytes, copy + DIGEST_AT);
}
