/* SPDX-License-Identifier: Apache-2.0 */
/* Little- and big-endian words at any alignment. */
#ifndef KERNEL_LIB_BYTES_H
#define KERNEL_LIB_BYTES_H

#include "kernel/lib/types.h"

#define BYTES_LE(bits)                                                                             \
	static inline uint##bits##_t get_le##bits(const void *at)                                  \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		__builtin_memcpy(&v, at, sizeof(v));                                               \
		return v;                                                                          \
	}                                                                                          \
	static inline void put_le##bits(void *at, uint##bits##_t v)                                \
	{                                                                                          \
		__builtin_memcpy(at, &v, sizeof(v));                                               \
	}
BYTES_LE(16)
BYTES_LE(32)
BYTES_LE(64)
#undef BYTES_LE

static inline uint16_t get_be16(const void *at)
{
	return __builtin_bswap16(get_le16(at));
}
static inline uint32_t get_be32(const void *at)
{
	return __builtin_bswap32(get_le32(at));
}
static inline void put_be16(void *at, uint16_t v)
{
	put_le16(at, __builtin_bswap16(v));
}
static inline void put_be32(void *at, uint32_t v)
{
	put_le32(at, __builtin_bswap32(v));
}

#endif
