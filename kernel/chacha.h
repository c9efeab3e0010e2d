/* SPDX-License-Identifier: Apache-2.0 */
/* The ChaCha20 block function ([RFC8439] "The ChaCha20 Block Function"), for kernel/random.c. Pure.
 */
#ifndef KERNEL_CHACHA_H
#define KERNEL_CHACHA_H

#include "kernel/lib/types.h"

#define CHACHA_KEY_WORDS   8
#define CHACHA_BLOCK_BYTES 64

/* state: constants, key, counter, nonce, as the RFC lays them out; block is what it makes of it. */
void chacha_block(const uint32_t state[16], uint8_t block[CHACHA_BLOCK_BYTES]);

#endif
