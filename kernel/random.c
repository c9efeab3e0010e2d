/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CPU says is random is one input among others, and is mixed in anew with every request.
 */
#include "kernel/random.h"

#include "kernel/chacha.h"
#include "kernel/cpu_hw.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"

#define KEY	4 /* where the key begins in the state */
#define COUNTER 12
#define TRIES                                                                                      \
	10 /* [SDM] "Random Number Generator Instructions": more failures in a row mean broken */

static struct lock lock;
static uint32_t state[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
static bool has_rdrand, has_rdseed;

static bool rdrand(uint64_t *out)
{
	bool ok = false;

	for (unsigned i = 0; has_rdrand && !ok && i < TRIES; i++)
		__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok) : : "cc");
	return ok;
}

static bool rdseed(uint64_t *out)
{
	bool ok = false;

	for (unsigned i = 0; has_rdseed && !ok && i < TRIES; i++)
		__asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok) : : "cc");
	return ok;
}

static void mix(uint64_t word, unsigned at)
{
	state[KEY + at % 8] ^= (uint32_t)word;
	state[KEY + (at + 1) % 8] ^= (uint32_t)(word >> 32);
}

static void mix_some(void)
{
	uint64_t word;

	mix(rdtsc(), 0);
	if (rdrand(&word))
		mix(word, 2);
}

/* One block: its first half replaces the key, its second is given out. */
static void next(uint8_t out[32])
{
	uint8_t block[CHACHA_BLOCK_BYTES];

	chacha_block(state, block);
	for (unsigned i = 0; i < CHACHA_KEY_WORDS; i++)
		state[KEY + i] = get_le32(block + 4 * i);
	state[COUNTER]++;
	memcpy(out, block + 32, 32);
}

void random_init(void)
{
	uint8_t unused[32];
	uint64_t word;

	has_rdrand = cpuid(1, 0).ecx & BIT(30);
	has_rdseed = cpuid_if_present(7, 0).ebx & BIT(18);
	for (unsigned i = 0; i < 8; i += 2)
		if (rdseed(&word) || rdrand(&word))
			mix(word, i);
	mix_some();
	next(unused);
	if (!has_rdrand && !has_rdseed)
		log_warn("random",
			 "this CPU has neither RDSEED nor RDRAND; keys made here are weak");
}

void random_bytes(void *dst, size_t len_bytes)
{
	uint8_t *out = dst, piece[32];

	lock_take(&lock);
	mix_some();
	while (len_bytes > 0) {
		size_t len = MIN(len_bytes, sizeof(piece));

		next(piece);
		memcpy(out, piece, len);
		out += len;
		len_bytes -= len;
	}
	lock_release(&lock);
}
