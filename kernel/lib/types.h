/* SPDX-License-Identifier: Apache-2.0 */
/* The few types and macros that every file uses. Freestanding; the same on the host in tests. */
#ifndef KERNEL_LIB_TYPES_H
#define KERNEL_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define static_assert _Static_assert

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PACKED		  __attribute__((packed))
#define NORETURN	  __attribute__((noreturn))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)

#define NSEC_PER_USEC 1000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC  1000000000ull

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)	      (1ull << (n))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

/* Powers of two only. */
#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a) - 1))
#define ALIGN_UP(x, a)	 ALIGN_DOWN((x) + (uint64_t)(a) - 1, a)
#define IS_ALIGNED(x, a) (((uint64_t)(x) & ((uint64_t)(a) - 1)) == 0)

/* A contiguous bit field named by its mask: FIELD_GET(0xff00, 0x1234) is 0x12. */
#define FIELD_SHIFT(mask)     ((unsigned)__builtin_ctzll(mask))
#define FIELD_GET(mask, val)  (((uint64_t)(val) & (mask)) >> FIELD_SHIFT(mask))
#define FIELD_PREP(mask, val) (((uint64_t)(val) << FIELD_SHIFT(mask)) & (mask))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Whether [at, at + len) lies in [0, size), for any values at all. */
static inline bool range_fits(uint64_t at, uint64_t len, uint64_t size)
{
	return at <= size && len <= size - at;
}

#endif
