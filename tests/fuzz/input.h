/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzzer's input as a stream of values; behind its end come zeros. */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "kernel/lib/string.h"
#include "kernel/lib/types.h"

struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint64_t input_bytes(struct input *in, size_t nr)
{
	uint64_t val = 0;
	size_t got = MIN(nr, in->left);

	if (got)
		memcpy(&val, in->at, got);
	in->at += got;
	in->left -= got;
	return val;
}

static inline uint8_t input_u8(struct input *in)
{
	return (uint8_t)input_bytes(in, 1);
}
static inline uint16_t input_u16(struct input *in)
{
	return (uint16_t)input_bytes(in, 2);
}
static inline uint32_t input_u32(struct input *in)
{
	return (uint32_t)input_bytes(in, 4);
}
static inline uint64_t input_u64(struct input *in)
{
	return input_bytes(in, 8);
}

/* An address in the first 64 KiB, around the end of 2 MiB of RAM, or anywhere. */
static inline uint64_t input_gpa(struct input *in)
{
	switch (input_u8(in) & 3) {
	case 0:
	case 1:
		return input_u16(in);
	case 2:
		return 2 * MIB - 64 + (input_u8(in) & 0x7f);
	default:
		return input_u64(in);
	}
}

#endif
