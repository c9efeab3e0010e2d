/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory on the host, for pure files that use kernel/memory.h: a block is calloc's, a page is an
 * aligned allocation, and a physical address is the pointer's value. AddressSanitizer watches all
 * of them, and a leak of any fails the test binary. kmem_in_use() counts bytes as asked for.
 */
#ifndef TESTS_FAKE_MEMORY_H
#define TESTS_FAKE_MEMORY_H

#include "kernel/memory.h"

#define FAKE_MEMORY_NEVER UINT64_MAX

/* After so many further allocations of either kind the next one fails, and this is NEVER again. */
extern uint64_t fake_memory_fail_after;

extern uint64_t fake_pages_in_use; /* 4 KiB pages */

#endif
