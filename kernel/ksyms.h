/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the kernel's functions, for backtraces. The table is made after a first link by
 * tools/build/ksyms and linked in with the second.
 */
#ifndef KERNEL_KSYMS_H
#define KERNEL_KSYMS_H

#include "kernel/lib/types.h"

/* The function that an address lies in and how far inside; NULL when in none. Any context. */
const char *ksyms_find(uint64_t at, uint64_t *offset);

#endif
