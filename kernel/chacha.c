/* SPDX-License-Identifier: Apache-2.0 */
/* Twenty rounds, a column and a diagonal one in turn. */
#include "kernel/chacha.h"

#include "kernel/lib/bytes.h"

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static void quarter_round(uint32_t s[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha_block(const uint32_t state[16], uint8_t block[CHACHA_BLOCK_BYTES])
{
	uint32_t s[16];

	for (unsigned i = 0; i < 16; i++)
		s[i] = state[i];
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < 4; i++)
			quarter_round(s, i, 4 + i, 8 + i, 12 + i);
		for (unsigned i = 0; i < 4; i++)
			quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
	}
	for (unsigned i = 0; i < 16; i++)
		put_le32(block + 4 * i, s[i] + state[i]);
}
