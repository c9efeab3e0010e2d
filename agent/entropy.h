/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Randomness: AES-CTR DRBG seeded from RDRAND and from the kernel, both, so that either alone being
 * weak does no harm; reseeded as mbedTLS prescribes. Without either the agent does not run.
 */
#ifndef AGENT_ENTROPY_H
#define AGENT_ENTROPY_H

#include "kernel/lib/types.h"

/* entropy_init - once; false when neither source gives anything */
bool entropy_init(void);

/* entropy_random - as mbedTLS wants its f_rng: 0, or an MBEDTLS_ERR_ code; arg is not used */
int entropy_random(void *arg, unsigned char *out, size_t len_bytes);

uint32_t agent_random32(void);

/* entropy_set_hook - called whenever randomness is drawn, thus at least once in every private-key
 * multiplication: where the loop's sign of life goes while a handshake computes */
void entropy_set_hook(void (*hook)(void));

#endif
