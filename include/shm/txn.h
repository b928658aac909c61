/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transaction: all changes of one command, in memory, undoable until it commits.
 *
 * One at a time per process. Begin takes the stripes in ascending order; every byte they guard is touched before it changes; blocks come
 * from txn_alloc and go by txn_free or txn_retire; then commit or rollback, after which nothing is held. The process may die
 * anywhere: README.md in src/shm goes through the steps.
 */
#ifndef BULKHEAD_SHM_TXN_H
#define BULKHEAD_SHM_TXN_H

#include "shm/heap.h"
#include "shm/layout.h"

/*
 * Takes `n` stripes (ascending, no duplicates) and begins. All stripes: n == STRIPES, stripes == NULL. False: the command was cancelled
 * while it waited (base/stop.h), and nothing has begun. Never in a process that runs no commands.
 */
bool txn_begin(const uint16_t *stripes, uint32_t n);

/* The epoch this transaction stamps what it makes with. */
uint64_t txn_epoch(void);

/* Whether the stripe is held by the running transaction. */
bool txn_holds(uint32_t stripe);

/*
 * Puts the content of [p, p + n) into the journal and marks the stripe as changing. Call before each change of bytes that `stripe`
 * guards. False: no memory for the journal, nothing is marked; the caller gives up (rollback).
 */
bool txn_touch(uint32_t stripe, void *p, uint64_t n);

/* Marks the stripe as changing, for a change that needs no undo (bytes nobody can reach). */
void txn_mark(uint32_t stripe);

/* A new block, freed again on rollback. REF_NONE: no memory. */
ref txn_alloc(uint64_t size, enum block_kind kind);

/* The same from the reserve: for what deleting needs, so that a full store can be emptied. */
ref txn_alloc_urgent(uint64_t size, enum block_kind kind);

/* A block as large as `like`, from slabs that there are, to move it there. REF_NONE: there is no room but in new ones. */
ref txn_alloc_like(ref like, enum block_kind kind);

/* A block to be freed at commit. False: no memory for the journal. */
bool txn_free(ref block, enum block_kind kind);

/*
 * A replaced item of `stripe`, born in epoch `born` under index root `root`: freed at commit, or kept on the stripe's retained list
 * while a pin needs it. False: no memory.
 */
bool txn_retire(uint32_t stripe, ref root, ref block, uint64_t born);

/*
 * A piece of a stripe's retained list: items that were replaced under one root in one epoch. When an item was born it says itself. What lies beyond n is
 * nobody's.
 */
struct retained {
	ref next;
	ref root;
	uint64_t died;
	uint32_t n, cap; /* 0 < n <= cap */
	ref block[];
};

/* What an item on a retained list takes, with its entry. */
uint64_t retained_bytes(ref block);

/* The epoch of an item's birth. It may be torn. */
static inline uint64_t item_born(const struct item *i)
{
	return __atomic_load_n(&i->born_clock, __ATOMIC_RELAXED) & ((1ull << 40) - 1);
}

/* Whether the running transaction has turned a version odd. */
bool txn_changed(void);

/*
 * Commits, with its effects in the log (shm/ring.h). False: it was rolled back instead and is to be run again: somebody cancelled it, the log
 * was cut, or has no room for it (ring_wait_room).
 */
bool txn_commit(void);

/* The log's offset behind the last transaction of this process that was logged. */
uint64_t txn_logged(void);
void txn_rollback(void);

/*
 * Cancels the transaction of every other process that runs one: it has committed by now, or will be rolled back by its owner, which may begin
 * again. Waits for nobody.
 */
void txn_cancel_others(void);

/* A lock on one stripe without a transaction, to copy references or refresh a clock. False: cancelled while it waited. */
bool stripe_lock(uint32_t stripe);
bool stripe_try(uint32_t stripe);
void stripe_unlock(uint32_t stripe);

/* The sweep lock, outermost. False: somebody has it; cancelled while it waited. */
bool sweep_try(void);
bool sweep_lock(void);
void sweep_unlock(void);

/* Medic: finishes or undoes the transaction of dead slot `id`, frees its locks. leaf_recover has been done. May be repeated. */
void txn_recover(uint32_t id);

/* Debug builds: called with each stripe locked by a transaction, and before it commits; see store/verify.c. */
struct txn_checks {
	void (*locked)(uint32_t stripe);
	void (*commit)(void);
	void (*over)(void);
};
extern const struct txn_checks *txn_checks;

/* Calls `each` for every byte range the running transaction has touched (debug builds). */
void txn_each_touched(void (*each)(void *arg, const void *p, uint64_t n), void *arg);

/* ---- versions, for readers ---- */

static inline uint64_t version_read(uint32_t stripe)
{
	return atomic_load_explicit(&store_stripe(stripe)->version, memory_order_acquire);
}
/* True when nothing changed since version_read returned `seen` (which was even). */
static inline bool version_same(uint32_t stripe, uint64_t seen)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&store_stripe(stripe)->version, memory_order_relaxed) == seen;
}

#endif
