/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between guest memory and ours. Everything goes through gmem_map(), which answers for one
 * chunk at a time: chunks that are neighbours for the guest lie anywhere.
 */
#include "vmm/gmem.h"

#include "kernel/lib/assert.h"
#include "kernel/lib/string.h"

bool gmem_has(const struct gmem *mem, uint64_t gpa, uint64_t len_bytes)
{
	if (gpa >= GMEM_HIGH_BASE)
		return range_fits(gpa - GMEM_HIGH_BASE, len_bytes, mem->high_bytes);
	return range_fits(gpa, len_bytes, mem->low_bytes);
}

enum hv_err gmem_read(const struct gmem *mem, uint64_t gpa, void *dst, uint64_t len_bytes)
{
	uint8_t *to = dst;
	uint64_t got;
	const uint8_t *from = gmem_map(mem, gpa, len_bytes, &got);

	if (from && got == len_bytes) { /* nearly always */
		memcpy(to, from, len_bytes);
		return HV_OK;
	}
	if (!gmem_has(mem, gpa, len_bytes))
		return HV_EINVAL;
	for (; len_bytes; gpa += got, to += got, len_bytes -= got) {
		from = gmem_map(mem, gpa, len_bytes, &got);
		ASSERT(from);
		memcpy(to, from, got);
	}
	return HV_OK;
}

enum hv_err gmem_write(const struct gmem *mem, uint64_t gpa, const void *src, uint64_t len_bytes)
{
	const uint8_t *from = src;
	uint64_t got;
	uint8_t *to = gmem_map(mem, gpa, len_bytes, &got);

	if (to && got == len_bytes) { /* nearly always */
		memcpy(to, from, len_bytes);
		return HV_OK;
	}
	if (!gmem_has(mem, gpa, len_bytes))
		return HV_EINVAL;
	for (; len_bytes; gpa += got, from += got, len_bytes -= got) {
		to = gmem_map(mem, gpa, len_bytes, &got);
		ASSERT(to);
		memcpy(to, from, got);
	}
	return HV_OK;
}

/* An aligned word never lies in two chunks; an odd address is refused, as it could. */
static uint16_t *word_at(const struct gmem *mem, uint64_t gpa)
{
	uint64_t got;

	if (!IS_ALIGNED(gpa, sizeof(uint16_t)))
		return NULL;
	return (uint16_t *)(void *)gmem_map(mem, gpa, sizeof(uint16_t), &got);
}

enum hv_err gmem_read_u16(const struct gmem *mem, uint64_t gpa, uint16_t *out)
{
	const uint16_t *word = word_at(mem, gpa);

	if (!word)
		return HV_EINVAL;
	/* The index before whatever it says is ready. */
	*out = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	return HV_OK;
}

enum hv_err gmem_write_u16(const struct gmem *mem, uint64_t gpa, uint16_t val)
{
	uint16_t *word = word_at(mem, gpa);

	if (!word)
		return HV_EINVAL;
	/* Whatever the index says is ready before the index. */
	__atomic_store_n(word, val, __ATOMIC_RELEASE);
	return HV_OK;
}
