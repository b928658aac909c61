/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leaf operations: short changes of allocator state that happen as a whole or not at all.
 *
 * Between leaf_lock and leaf_end every change of a shared word goes through leaf_set, which first notes the old value in this
 * slot's leaf log. leaf_end forgets the log (the commit point) and releases the locks. A process that dies in between is
 * undone by the medic (leaf_recover).
 */
#ifndef BULKHEAD_SHM_LEAF_H
#define BULKHEAD_SHM_LEAF_H

#include "base/panic.h"
#include "shm/lock.h"
#include "shm/slot.h"

enum leaf_kind { LEAF_MAP, LEAF_HEAP, LEAF_ARENA }; /* their order */

static inline void leaf_lock(enum leaf_kind kind, lock_word *l)
{
#ifdef BULKHEAD_DEBUG
	for (int k = kind; k <= LEAF_ARENA; k++)
		ASSERT(atomic_load(&self->leaf_locks[k]) == 0);
#endif
	atomic_store_explicit(&self->leaf_locks[kind], (uint64_t)((char *)l - STORE_BASE), memory_order_release);
	lock_take(l, self_id);
}

static inline bool leaf_holds(enum leaf_kind kind)
{
	return atomic_load_explicit(&self->leaf_locks[kind], memory_order_relaxed) != 0;
}

static inline void leaf_note(uint64_t off, uint64_t old)
{
	uint32_t n = atomic_load_explicit(&self->nleaf, memory_order_relaxed);
	ASSERT(n < LEAF_ENTRIES);
	self->leaf[n].off = off;
	self->leaf[n].old = old;
	atomic_store_explicit(&self->nleaf, n + 1, memory_order_release);
	/* The note precedes the change also on machines that reorder stores. */
	atomic_thread_fence(memory_order_release);
}

/* Changes one 64-bit word under the leaf locks held. */
static inline void leaf_set(uint64_t *word, uint64_t value)
{
	leaf_note((uint64_t)((char *)word - STORE_BASE), *word);
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* The operation is complete and cannot be undone any more; the locks are still held. */
static inline void leaf_commit(void)
{
	atomic_store_explicit(&self->nleaf, 0, memory_order_release);
	atomic_thread_fence(memory_order_release);
}

/* Releases one lock of an operation that has changed nothing under it. */
static inline void leaf_drop(enum leaf_kind kind)
{
	uint64_t off = atomic_load_explicit(&self->leaf_locks[kind], memory_order_relaxed);
	if (!off)
		return;
	lock_release((lock_word *)(STORE_BASE + off));
	atomic_store_explicit(&self->leaf_locks[kind], 0, memory_order_release);
}

/* The operation is complete: forgets the log, releases the locks innermost first, forgets their names. */
void leaf_end(void);

/* Undoes what is in the log, then ends: the operation has not happened. */
void leaf_cancel(void);

/* Medic: undoes an unfinished leaf operation of dead slot `id` and frees its leaf locks. May be repeated. */
void leaf_recover(uint32_t id);

#endif
