/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spinlock. The kernel runs with interrupts off from exit to entry, so a lock never needs to save
 * and restore them; an NMI or machine-check handler takes none. Lock order, outermost first:
 *
 *   agent's request queue -> control queue -> a VM's life -> image store -> vm -> virtqueue ->
 * uplink -> a card's receive queue -> switch -> another port's virtqueue -> driver -> disk ->
 * MSI-X -> run queue -> timer queue, console, random, kmem, pages, boot slots, log
 *
 * docs/architecture.md says what each of them guards.
 */
#ifndef KERNEL_LIB_LOCK_H
#define KERNEL_LIB_LOCK_H

#include "kernel/lib/assert.h"
#include "kernel/lib/types.h"

struct lock {
	uint32_t held;
};

static inline void lock_take(struct lock *lock)
{
	while (__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&lock->held, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
}

/* False, at once, when somebody holds it. */
static inline bool lock_try(struct lock *lock)
{
	return !__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE);
}

static inline void lock_release(struct lock *lock)
{
	ASSERT(lock->held);
	__atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

#define ASSERT_HELD(lock) ASSERT(__atomic_load_n(&(lock)->held, __ATOMIC_RELAXED))

#endif
