/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent wants kept over the machine's reboots (storage/kept.h), on the boot disk; on a
 * node that was booted from something else nothing is. A write goes on by itself, from one disk
 * interrupt to the next; of several that come meanwhile the last counts. Locked inside; any CPU.
 */
#ifndef STORAGE_NODE_KEPT_H
#define STORAGE_NODE_KEPT_H

#include "kernel/lib/types.h"

/* node_kept_init - read it; boot CPU, after node_slots_init(). It spins for two requests. */
void node_kept_init(void);

/* node_kept_read - the bytes as they were at boot, or were last given; returns how many, 0: none */
uint32_t node_kept_read(void *out, uint32_t cap_bytes);

/* node_kept_write - keep these instead; they are copied. More than KEPT_MAX are not kept, and the
 * log says so. */
void node_kept_write(const void *bytes, uint32_t len_bytes);

#endif
