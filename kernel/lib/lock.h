/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spinlock, fair. The kernel runs with interrupts off from exit to entry, so a lock never needs
 * to save and restore them; an NMI or machine-check handler takes none. Lock order, outermost
 * first:
 *
 *   agent's request queue -> control queue -> a VM's life -> image store -> vm -> virtqueue ->
 * uplink -> a card's receive queue -> switch -> another port's virtqueue -> driver -> disk ->
 * MSI-X -> run queue -> boot slots, console, random, kmem, pages -> log -> serial port -> timer
 * queue
 *
 * docs/architecture.md says what each of them guards.
 */
#ifndef KERNEL_LIB_LOCK_H
#define KERNEL_LIB_LOCK_H

#include "kernel/lib/assert.h"
#include "kernel/lib/types.h"

/* Whoever takes it is served in the order of asking: one who gives it back and takes it again, as
 * those do who wait for another CPU's work, cannot keep that CPU from it. */
struct lock {
	uint16_t next;	/* the ticket that the next one draws */
	uint16_t owner; /* the ticket that is served; next: nobody holds it */
};

static inline bool lock_is_held(const struct lock *lock)
{
	return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&lock->owner, __ATOMIC_RELAXED);
}

static inline void lock_take(struct lock *lock)
{
	uint16_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

/* False, at once, when somebody holds it. */
static inline bool lock_try(struct lock *lock)
{
	uint16_t ticket = __atomic_load_n(&lock->owner, __ATOMIC_RELAXED);

	return __atomic_compare_exchange_n(&lock->next, &ticket, (uint16_t)(ticket + 1), false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void lock_release(struct lock *lock)
{
	ASSERT(lock_is_held(lock));
	__atomic_store_n(&lock->owner, (uint16_t)(lock->owner + 1), __ATOMIC_RELEASE);
}

#define ASSERT_HELD(lock) ASSERT(lock_is_held(lock))

#endif
