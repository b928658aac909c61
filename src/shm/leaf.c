/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ending and undoing leaf operations. Run by every process that maps a store; leaf_recover by the medic.
 *
 * Owns the leaf log and the names of leaf locks in a slot. Death in the middle of undoing: the log is still there, and undoing it
 * from the newest entry again gives the same result.
 */
#include "shm/leaf.h"

#include "shm/arena.h"

struct slot *self;
uint32_t self_id;

/* What a wild word names is outside the store, perhaps in memory of this very process. */
static void undo_entry(const struct leaf_entry *e)
{
	uint64_t slabs = SUPER->arena.nextents * SLABS_PER_EXTENT, first = e->off & ~(LEAF_RUN | LEAF_RUN_GIVEN);
	if (e->off & LEAF_RUN) {
		ASSERT(e->old <= slabs && first <= slabs - e->old);
		arena_mark(first, e->old, e->off & LEAF_RUN_GIVEN);
	} else {
		ASSERT(e->off <= store_end() - sizeof(uint64_t));
		__atomic_store_n((uint64_t *)(STORE_BASE + e->off), e->old, __ATOMIC_RELAXED);
	}
}

static void undo(struct slot *s)
{
	uint32_t n = atomic_load_explicit(&s->nleaf, memory_order_acquire);
	ASSERT(n <= LEAF_ENTRIES);
	while (n > 0)
		undo_entry(&s->leaf[--n]);
	atomic_store_explicit(&s->nleaf, 0, memory_order_release);
}

void leaf_end(void)
{
	atomic_store_explicit(&self->nleaf, 0, memory_order_release);
	for (int k = LEAF_ARENA; k >= LEAF_MAP; k--) {
		uint64_t off = atomic_load_explicit(&self->leaf_locks[k], memory_order_relaxed);
		if (!off)
			continue;
		lock_release((lock_word *)(STORE_BASE + off));
		atomic_store_explicit(&self->leaf_locks[k], 0, memory_order_release);
	}
}

void leaf_cancel(void)
{
	undo(self);
	leaf_end();
}

void leaf_recover(uint32_t id)
{
	struct slot *s = store_slot(id);
	undo(s);
	for (int k = LEAF_ARENA; k >= LEAF_MAP; k--) {
		uint64_t off = atomic_load_explicit(&s->leaf_locks[k], memory_order_acquire);
		if (!off)
			continue;
		ASSERT(off < SUPER->fixed - sizeof(lock_word));
		lock_break((lock_word *)(STORE_BASE + off), id);
		atomic_store_explicit(&s->leaf_locks[k], 0, memory_order_release);
	}
}
