/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's address space: physical addresses, one to one, with the rights that each part needs.
 * Code can only be read and run, constants only read, all else not run; page 0 and the pages below
 * the stacks are absent, so that a stray pointer or a full stack ends in the trap handler.
 */
#ifndef AGENT_PORT_PAGING_H
#define AGENT_PORT_PAGING_H

#include "kernel/lib/types.h"

/* paging_init - once, before anything is allocated; ram_end: end of the RAM that counts */
void paging_init(uint64_t ram_end);

/* paging_map_device - [hpa, hpa + len_bytes) readable, writable, uncached; below 512 GiB */
volatile void *paging_map_device(uint64_t hpa, uint64_t len_bytes);

#endif
