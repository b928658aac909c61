/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions: locks by stripes, the undo journal, commit and rollback. Run by workers and the expirer; txn_recover by the medic.
 *
 * Owns the slot's state, held list and journal, and the locks it names. README.md in this folder says what a death at each step
 * leaves. Two rules carry it: a description is complete before the word that makes it count, and undo happens only under
 * the locks.
 *
 * The journal is a stack of records, each {kind | size, offset, old bytes..., its own length}, in the slot's page and then in segments
 * from the heap. Popping a FREE or ALLOC record frees its block and shortens the journal in one leaf operation.
 */
#include "shm/txn.h"

#include <string.h>

#include "base/panic.h"
#include "journal.h"
#include "shm/leaf.h"
#include "shm/pin.h"
#include "shm/ring.h"
#include "shm/wake.h"

#define RETAINED_FEW 4u   /* blocks in a piece of a retained list: the first one of its kind, and those that follow */
#define RETAINED_MANY 60u

const struct txn_checks *txn_checks;

/* The running transaction as this process sees it. What the medic needs is in the slot. */
static struct {
	bool running;
	bool all;
	uint32_t n;
	uint64_t epoch;
	const uint16_t *stripes; /* of the caller; unused with `all` */
	uint64_t odd[STRIPES / 64]; /* stripes whose version this transaction turned odd */
	uint32_t nodd;
	uint64_t logged;            /* offset of the log behind the last one that was logged */
} txn;

/* ---- locks ---- */

/* False: cancelled while it waited. The name stays, for release() or the medic to forget. */
static bool hold(uint32_t stripe)
{
	uint32_t n = atomic_load_explicit(&self->nheld, memory_order_relaxed);
	if (n < HELD_MAX) {
		self->held[n] = (uint16_t)stripe;
		atomic_store_explicit(&self->nheld, n + 1, memory_order_release);
	} else {
		atomic_store_explicit(&self->held_all, 1, memory_order_release);
	}
	return lock_take_unless_cancelled(&store_stripe(stripe)->lock, self_id);
}

static uint32_t held_stripe(uint32_t i)
{
	return txn.all ? i : txn.stripes[i];
}

/* Releases the first n stripes of the transaction and forgets all names. */
static void release(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		lock_release(&store_stripe(held_stripe(i))->lock);
	atomic_store_explicit(&self->nheld, 0, memory_order_release);
	if (atomic_load_explicit(&self->held_all, memory_order_relaxed))
		atomic_store_explicit(&self->held_all, 0, memory_order_release);
}

bool stripe_lock(uint32_t stripe)
{
	DEBUG_ASSERT(!txn.running && atomic_load(&self->nheld) == 0);
	if (hold(stripe))
		return true;
	atomic_store_explicit(&self->nheld, 0, memory_order_release);
	return false;
}

bool stripe_try(uint32_t stripe)
{
	DEBUG_ASSERT(!txn.running && atomic_load(&self->nheld) == 0);
	self->held[0] = (uint16_t)stripe;
	atomic_store_explicit(&self->nheld, 1, memory_order_release);
	if (lock_try(&store_stripe(stripe)->lock, self_id))
		return true;
	atomic_store_explicit(&self->nheld, 0, memory_order_release);
	return false;
}

void stripe_unlock(uint32_t stripe)
{
	lock_release(&store_stripe(stripe)->lock);
	atomic_store_explicit(&self->nheld, 0, memory_order_release);
}

static void sweep_name(void)
{
	DEBUG_ASSERT(!txn.running && atomic_load(&self->nheld) == 0);
	atomic_store_explicit(&self->outer, (uint64_t)((char *)&SUPER->sweep_lock - STORE_BASE), memory_order_release);
}

bool sweep_try(void)
{
	sweep_name();
	if (lock_try(&SUPER->sweep_lock, self_id))
		return true;
	atomic_store_explicit(&self->outer, 0, memory_order_release);
	return false;
}

bool sweep_lock(void)
{
	sweep_name();
	if (lock_take_unless_cancelled(&SUPER->sweep_lock, self_id))
		return true;
	atomic_store_explicit(&self->outer, 0, memory_order_release);
	return false;
}

void sweep_unlock(void)
{
	lock_release(&SUPER->sweep_lock);
	atomic_store_explicit(&self->outer, 0, memory_order_release);
}

/* ---- begin and changes ---- */

/* Cancelled while it waited for the stripe after the first n: nothing has changed yet. */
static bool give_up_waiting(uint32_t n)
{
	release(n);
	atomic_store_explicit(&self->state, TXN_IDLE, memory_order_release);
	return false;
}

bool txn_begin(const uint16_t *stripes, uint32_t n)
{
	DEBUG_ASSERT(!txn.running && atomic_load(&self->state) == TXN_IDLE && atomic_load(&self->nheld) == 0);
	txn.all = n == STRIPES;
	txn.n = n;
	txn.stripes = stripes;
	atomic_store_explicit(&self->state, TXN_RUNNING, memory_order_release);
	for (uint32_t i = 0; i < n; i++) {
		DEBUG_ASSERT(i == 0 || held_stripe(i) > held_stripe(i - 1));
		if (!hold(held_stripe(i)))
			return give_up_waiting(i);
	}
	txn.running = true;
#ifndef __x86_64__
	/* Locks before epoch: who pins an epoch and then finds a stripe unlocked must be seen here (there, a CAS is a full fence). */
	atomic_thread_fence(memory_order_seq_cst);
#endif
	txn.epoch = atomic_load_explicit(&SUPER->epoch, memory_order_acquire);
	if (txn_checks)
		for (uint32_t i = 0; i < n; i++)
			txn_checks->locked(held_stripe(i));
	return true;
}

uint64_t txn_epoch(void)
{
	return txn.epoch;
}

bool txn_holds(uint32_t stripe)
{
	if (!txn.running || txn.all)
		return txn.running;
	for (uint32_t i = 0; i < txn.n; i++)
		if (txn.stripes[i] == stripe)
			return true;
	return false;
}

/* Whether this transaction has changed what the stripe guards. Such a one is held. */
static bool is_odd(uint32_t stripe)
{
	return txn.odd[stripe / 64] >> (stripe % 64) & 1;
}

bool txn_changed(void)
{
	return txn.nodd > 0;
}

void txn_mark(uint32_t stripe)
{
	if (is_odd(stripe))
		return;
	DEBUG_ASSERT(txn_holds(stripe));
	txn.odd[stripe / 64] |= 1ull << (stripe % 64);
	txn.nodd++;
	struct stripe *s = store_stripe(stripe);
	uint64_t v = atomic_load_explicit(&s->version, memory_order_relaxed);
	DEBUG_ASSERT(!(v & 1));
	atomic_store_explicit(&s->version, v + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* odd before any of the changes */
}

bool txn_touch(uint32_t stripe, void *p, uint64_t n)
{
	DEBUG_ASSERT(txn.running);
	if (!journal_undo(p, n))
		return false;
	txn_mark(stripe);
	return true;
}

/* Names what a leaf operation has taken, which ends with it. */
static ref take(ref r, enum block_kind kind)
{
	if (ref_is_none(r)) {
		leaf_cancel();
		return r;
	}
	journal_block_leaf(JOURNAL_ALLOC, r, kind);
	leaf_end();
	return r;
}

ref txn_alloc(uint64_t size, enum block_kind kind)
{
	return journal_room(JOURNAL_BLOCK_RECORD) ? take(heap_alloc(size, kind, false), kind) : REF_NONE;
}

ref txn_alloc_urgent(uint64_t size, enum block_kind kind)
{
	return journal_room(JOURNAL_BLOCK_RECORD) ? take(heap_alloc(size, kind, true), kind) : REF_NONE;
}

ref txn_alloc_like(ref like, enum block_kind kind)
{
	return journal_room(JOURNAL_BLOCK_RECORD) ? take(heap_fill(like, kind), kind) : REF_NONE;
}

bool txn_free(ref block, enum block_kind kind)
{
	return journal_block(JOURNAL_FREE, block, kind);
}

uint64_t retained_bytes(ref block)
{
	return heap_block_size(block) + sizeof(ref);
}

/* A piece with room for one more in front of the list. What the first piece is for is likely to come again: then a large one follows a small one. */
static struct retained *retained_room(uint32_t stripe, ref root)
{
	struct stripe *s = store_stripe(stripe);
	struct retained *head = ref_is_none(s->retained) ? NULL : at(s->retained);
	bool same = head && head->root.off == root.off && head->died == txn.epoch;
	if (same && head->n < head->cap)
		return head;
	uint32_t cap = same ? RETAINED_MANY : RETAINED_FEW;
	ref r = txn_alloc_urgent(sizeof *head + cap * sizeof(ref), BLOCK_META);
	if (ref_is_none(r) || !txn_touch(stripe, &s->retained, sizeof s->retained + sizeof s->retained_bytes))
		return NULL;
	head = at(r);
	*head = (struct retained){.next = s->retained, .root = root, .died = txn.epoch, .cap = cap};
	s->retained = r;
	return head;
}

bool txn_retire(uint32_t stripe, ref root, ref block, uint64_t born)
{
	if (!pin_needs(born, txn.epoch))
		return txn_free(block, BLOCK_DATA);
	struct stripe *s = store_stripe(stripe);
	struct retained *r = retained_room(stripe, root);
	if (!r || !txn_touch(stripe, &r->n, sizeof r->n) || !txn_touch(stripe, &s->nretained, sizeof s->nretained) ||
	    !txn_touch(stripe, &s->retained_bytes, sizeof s->retained_bytes))
		return false;
	uint64_t bytes = retained_bytes(block);
	r->block[r->n++] = block;
	s->nretained++;
	s->retained_bytes += bytes;
	atomic_fetch_add_explicit(&SUPER->retained_bytes, bytes, memory_order_relaxed);
	atomic_fetch_or(dirty_word(stripe), 1ull << (stripe % 64));
	atomic_store(&SUPER->sweep_wanted, 1);
	return true;
}

/* ---- the end ---- */

static void versions_even(void)
{
	for (uint32_t i = 0; txn.nodd; i++) {
		uint32_t stripe = held_stripe(i);
		if (!is_odd(stripe))
			continue;
		struct stripe *s = store_stripe(stripe);
		uint64_t v = atomic_load_explicit(&s->version, memory_order_relaxed);
		atomic_store_explicit(&s->version, v + 1, memory_order_release);
		txn.odd[stripe / 64] &= ~(1ull << (stripe % 64));
		txn.nodd--;
	}
}

/* Reads of what has changed wait for this much of the log, if replies wait for the disk. */
static void stripes_logged(uint64_t offset)
{
	for (uint32_t i = 0, left = txn.nodd; left; i++)
		if (is_odd(held_stripe(i))) {
			atomic_store_explicit(&store_stripe(held_stripe(i))->logged, offset, memory_order_relaxed);
			left--;
		}
}

static void finish(struct slot *s, bool committed)
{
	journal_pop_all(s, committed ? JOURNAL_FREE : JOURNAL_ALLOC);
	s->effects = 0;
	atomic_store_explicit(&s->state, TXN_IDLE, memory_order_release);
}

bool txn_commit(void)
{
	if (txn_checks)
		txn_checks->commit();
	uint64_t running = TXN_RUNNING;
	bool logged = self->effects != 0;
	if (logged ? ring_commit(txn.epoch) != RING_COMMITTED
		   : !atomic_compare_exchange_strong(&self->state, &running, TXN_COMMITTED)) {
		txn_rollback();
		return false;
	}
	if (logged)
		stripes_logged(txn.logged = ring_committed_at());
	versions_even();
	release(txn.n);
	txn.running = false;
	finish(self, true);
	if (txn_checks)
		txn_checks->over();
	return true;
}

uint64_t txn_logged(void)
{
	return txn.logged;
}

void txn_rollback(void)
{
	journal_undo_all(self);
	/* Before the versions: from here on a medic does not undo again, which would show half-done states under even versions. */
	atomic_store_explicit(&self->state, TXN_ROLLED_BACK, memory_order_release);
	versions_even();
	release(txn.n);
	txn.running = false;
	finish(self, false);
	if (txn_checks)
		txn_checks->over();
}

/* A dead owner's word may be the medic's by now: it rolls back what is cancelled as what is running. */
void txn_cancel_others(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	uint32_t high = atomic_load(&SUPER->slot_high); /* pages above were never backed and must not be touched */
	for (uint32_t i = 1; i <= high; i++) {
		uint64_t running = TXN_RUNNING;
		if (i != self_id && atomic_load(&store_slot(i)->state) == TXN_RUNNING)
			atomic_compare_exchange_strong(&store_slot(i)->state, &running, TXN_CANCELLED);
	}
}

void txn_each_touched(void (*each)(void *arg, const void *p, uint64_t n), void *arg)
{
	journal_each_undo(self, each, arg);
}

/* ---- recovery ---- */

static void recover_stripe(uint32_t id, uint32_t stripe)
{
	struct stripe *s = store_stripe(stripe % STRIPES);
	if (lock_owner(&s->lock) == id) {
		uint64_t v = atomic_load(&s->version);
		/* More of the log than its changes are may be waited for, never less. */
		if (v & 1 && ring_is_on())
			atomic_store(&s->logged, atomic_load(&ring()->offset));
		if (v & 1)
			atomic_store(&s->version, v + 1);
	}
	lock_break(&s->lock, id);
}

static void recover_locks(struct slot *s, uint32_t id)
{
	if (atomic_load(&s->held_all))
		for (uint32_t i = 0; i < STRIPES; i++)
			recover_stripe(id, i);
	uint32_t n = atomic_load(&s->nheld);
	for (uint32_t i = 0; i < n && i < HELD_MAX; i++)
		recover_stripe(id, s->held[i]);
	atomic_store(&s->nheld, 0);
	atomic_store(&s->held_all, 0);
}

void txn_recover(uint32_t id)
{
	struct slot *s = store_slot(id);
	uint64_t state = atomic_load(&s->state);
	if (state == TXN_RUNNING || state == TXN_CANCELLED) {
		journal_undo_all(s);
		atomic_store(&s->state, state = TXN_ROLLED_BACK);
	}
	ring_recover(id);
	recover_locks(s, id);
	if (state != TXN_IDLE)
		finish(s, state == TXN_COMMITTED);
	if (atomic_load(&s->outer))
		lock_break(&SUPER->sweep_lock, id);
	atomic_store(&s->outer, 0);
	uint64_t a = atomic_load(&s->activity);
	if (a & 1)
		atomic_store(&s->activity, a + 1);
}
