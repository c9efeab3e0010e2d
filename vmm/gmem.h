/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's own memory: RAM below 3 GiB, the rest from 4 GiB up, held as 2 MiB chunks of ours.
 *
 *    gpa 0 ──────── low_bytes     hole (devices)     4 GiB ──────── 4 GiB + high_bytes
 *    chunks[0 .. ]                                   chunks[low_bytes / 2 MiB .. ]
 *
 * Made with the VM, fixed until it is destroyed; so readers take no lock. Guests and devices change
 * the contents at any time: read once into a copy, check the copy, use the copy. Pure.
 */
#ifndef VMM_GMEM_H
#define VMM_GMEM_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define GMEM_CHUNK     (2 * MIB)
#define GMEM_LOW_MAX   0xc0000000ull /* where the hole for devices begins */
#define GMEM_HIGH_BASE 0x100000000ull

struct gmem {
	uint64_t low_bytes, high_bytes; /* multiples of GMEM_CHUNK */
	uint8_t **chunks;		/* hva of each, nr_chunks of them */
	uint32_t nr_chunks;
};

/* Pointer to gpa and how many bytes follow it in one piece (at most len_bytes); NULL: not RAM.
 * Here, because every access of every virtqueue goes through it. */
static inline uint8_t *gmem_map(const struct gmem *mem, uint64_t gpa, uint64_t len_bytes,
				uint64_t *got_bytes)
{
	uint64_t in_ram = gpa; /* as if there were no hole */
	uint64_t left;

	if (gpa >= GMEM_HIGH_BASE && gpa - GMEM_HIGH_BASE < mem->high_bytes)
		in_ram = gpa - GMEM_HIGH_BASE + mem->low_bytes;
	else if (gpa >= mem->low_bytes)
		return NULL;
	left = GMEM_CHUNK - in_ram % GMEM_CHUNK;
	*got_bytes = MIN(len_bytes, left);
	return mem->chunks[in_ram / GMEM_CHUNK] + in_ram % GMEM_CHUNK;
}

/* Whether all of [gpa, gpa + len_bytes) is RAM; any values, no overflow. */
bool gmem_has(const struct gmem *mem, uint64_t gpa, uint64_t len_bytes);

/* Copies across chunks. HV_EINVAL when a byte of it is not RAM; then nothing was copied. */
MUST_CHECK enum hv_err gmem_read(const struct gmem *mem, uint64_t gpa, void *dst,
				 uint64_t len_bytes);
MUST_CHECK enum hv_err gmem_write(const struct gmem *mem, uint64_t gpa, const void *src,
				  uint64_t len_bytes);

/* A 16-bit word that the other side changes or reads at the same time (virtqueue indices). */
MUST_CHECK enum hv_err gmem_read_u16(const struct gmem *mem, uint64_t gpa,
				     uint16_t *out); /* acquire */
MUST_CHECK enum hv_err gmem_write_u16(const struct gmem *mem, uint64_t gpa,
				      uint16_t val); /* release */

#endif
