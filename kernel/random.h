/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes: a ChaCha20 generator, keyed from RDSEED, RDRAND and the TSC, that replaces its key
 * after every request, so that what it gave out cannot be computed from what it holds. Any context
 * but NMI; locked inside.
 */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include "kernel/lib/types.h"

/* random_init - key it; a warning when this CPU has neither RDSEED nor RDRAND. Boot CPU. */
void random_init(void);
void random_bytes(void *dst, size_t len_bytes);

#endif
