/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recoverable process-shared lock: a word that names its owner's slot.
 *
 * One CAS takes the lock and names the owner, so a death is never ambiguous. Waiters spin for about 1 us, then sleep in the
 * kernel for at most 10 ms before they look again; the lock is not handed over: who comes first takes it. A waiter of over
 * 1 ms sets the starving flag, and newcomers queue behind it. A lost wake-up costs 10 ms, never more. Who waits for long tells the
 * supervisor for whom, in case that process is stopped (lock-timeout).
 *
 * Names (which lock a process is about to take) are kept by the callers: slot.h for stripes, leaf.h for leaf locks.
 */
#ifndef BULKHEAD_SHM_LOCK_H
#define BULKHEAD_SHM_LOCK_H

#include "shm/layout.h"

#define LOCK_OWNER 0x00ffffffu
#define LOCK_STARVING 0x40000000u
#define LOCK_WAITERS 0x80000000u

bool lock_wait(lock_word *l, uint32_t me, bool cancellable); /* the slow path of taking it; false: cancelled */
void lock_wake(lock_word *l, uint32_t old);

/* Takes the lock as slot `me` (> 0), waiting as long as it takes. Not recursive. */
static inline void lock_take(lock_word *l, uint32_t me)
{
	uint32_t free = 0;
	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(l, &free, me, memory_order_acquire,
								      memory_order_relaxed), 0))
		lock_wait(l, me, false);
}

/* The same, but false, without the lock, when the command is cancelled while it waits (base/stop.h). */
static inline bool lock_take_unless_cancelled(lock_word *l, uint32_t me)
{
	uint32_t free = 0;
	if (__builtin_expect(atomic_compare_exchange_strong_explicit(l, &free, me, memory_order_acquire,
								     memory_order_relaxed), 1))
		return true;
	return lock_wait(l, me, true);
}

/* Takes the lock only if it is free and nobody starves for it. */
static inline bool lock_try(lock_word *l, uint32_t me)
{
	uint32_t free = 0;
	return atomic_compare_exchange_strong_explicit(l, &free, me, memory_order_acquire, memory_order_relaxed);
}

/* Releases a lock this slot holds. Starving waiters keep their flag, so newcomers still queue. */
static inline void lock_release(lock_word *l)
{
	uint32_t old = atomic_fetch_and_explicit(l, LOCK_STARVING, memory_order_release);
	if (__builtin_expect(old & (LOCK_WAITERS | LOCK_STARVING), 0))
		lock_wake(l, old);
}

static inline uint32_t lock_owner(lock_word *l)
{
	return atomic_load(l) & LOCK_OWNER;
}

/* Releases the lock on behalf of dead slot `who`, if that one holds it; takes back a starving flag and wakes waiters in any case. */
void lock_break(lock_word *l, uint32_t who);

#endif
