/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compaction: items, tables and due queues are moved out of slabs that hold few blocks. Run by the expirer when slabs are short under maxmemory.
 *
 * Owns nothing; the closed slabs are listed in the arena (shm/heap.h). The index is walked, stripe by stripe, for references into closed slabs:
 * first by version, then, where there are some, under the stripe's lock. A move is a transaction: a copy is published by one store into cell or
 * bin, the old block freed at commit; so who dies in the middle has moved a block or has not. Nothing changes for anybody who looks: a copy has the
 * birth epoch of what it was made of, and what a pin may show stays where it is. Slabs left closed by a death are opened by the next expirer.
 *
 * For a large block neighbours are needed: those are emptied which hold least, into slabs that lie elsewhere, large blocks among what is moved.
 * Meanwhile they are the arena's window, from which others are served last.
 */
#include "store/compact.h"

#include <sched.h>
#include <stdlib.h>

#include "base/panic.h"
#include "base/stop.h"
#include "shm/arena.h"
#include "internal.h"

#define MOVES_PER_TXN 32u
#define CANNOT (1ull << 40) /* what it costs to empty a slab that cannot be */

/* Bits of the closed slabs: whoever walks the index asks for each reference. */
static struct {
	uint64_t *bits;
	uint64_t words;
} closed;

static void add_closed(uint64_t slab)
{
	closed.bits[slab / 64] |= 1ull << (slab % 64);
}

/* No slab is closed yet. */
static void closed_clear(void)
{
	uint64_t words = (store_end() - SUPER->fixed) / SLAB_BYTES / 64 + 1;
	if (words > closed.words) {
		free(closed.bits);
		closed.bits = malloc(words * 8);
		if (!closed.bits)
			fatal("out of memory for a list of slabs");
		closed.words = words;
	}
	memset(closed.bits, 0, closed.words * 8);
}

/* May be asked of what is no reference at all. */
static bool is_closed(ref r)
{
	uint64_t slab = r.off >= SUPER->fixed ? slab_index(r.off) : UINT64_MAX;
	return slab / 64 < closed.words && closed.bits[slab / 64] >> (slab % 64) & 1;
}

static bool cell_is_closed(uint64_t cell)
{
	return is_closed(cell_ref(cell));
}

/* Whether a bin has anything in closed slabs. May be torn: then it is said of what was, or will be. */
static bool bin_is_closed(const struct bin *from)
{
	struct bin b = bin_read(from);
	ref due = {__atomic_load_n(&from->due.off, __ATOMIC_RELAXED)};
	const uint64_t *table = b.nbuckets ? peek(b.table, b.nbuckets * 64ull) : NULL;
	if (table && is_closed(b.table))
		return true;
	if (__atomic_load_n(&from->due_cap, __ATOMIC_RELAXED) && is_closed(due))
		return true;
	for (uint32_t i = 0; table && i < b.nbuckets * CELLS; i++)
		if (cell_is_closed(__atomic_load_n(&table[i], __ATOMIC_RELAXED)))
			return true;
	return false;
}

static bool stripe_is_closed(uint32_t stripe)
{
	for (uint32_t db = 0; db < SUPER->databases; db++) {
		const struct root *root = db_root(db);
		uint64_t v = version_read(stripe);
		/* A size that is torn would have it walk far. */
		struct bin b = root ? bin_read(&root->bins[stripe]) : (struct bin){0};
		if (root && ((v & 1) || (b.nbuckets && !version_same(stripe, v)) || bin_is_closed(&root->bins[stripe])))
			return true;
	}
	return false;
}

/* Where a block is to go. Of slabs that are emptied for others none is made anew; of a window, all that is in it must go somewhere. */
static ref place_for(ref old, enum block_kind kind)
{
	if (!atomic_load_explicit(&SUPER->arena.window, memory_order_relaxed))
		return txn_alloc_like(old, kind);
	heap_close_of(old);
	return txn_alloc(heap_block_size(old), kind);
}

/* A copy of the block at `place`, in place of it. False: no room. */
static bool move_block(uint32_t stripe, ref *place, enum block_kind kind)
{
	ref r = place_for(*place, kind);
	if (ref_is_none(r) || !txn_touch(stripe, place, sizeof *place))
		return false;
	memcpy(at(r), at(*place), heap_block_size(r));
	if (!txn_free(*place, kind))
		return false;
	__atomic_store_n(&place->off, r.off, __ATOMIC_RELEASE);
	return true;
}

static bool move_item(uint32_t stripe, uint64_t *cell)
{
	ref old = cell_ref(*cell), r = place_for(old, BLOCK_DATA);
	if (ref_is_none(r) || !txn_touch(stripe, cell, 8) || !txn_free(old, BLOCK_DATA))
		return false;
	memcpy(at(r), at(old), heap_block_size(r));
	__atomic_store_n(cell, cell_make(cell_tag(*cell), r), __ATOMIC_RELEASE);
	return true;
}

static bool may_move(ref item)
{
	struct parts p;
	return item_read(item, &p) && !pin_needs(p.born, txn_epoch());
}

/* What lies in closed slabs of one bin, as much as one transaction may. False: no room. */
static bool move_bin(uint32_t stripe, struct bin *b, uint32_t *moved)
{
	if (b->nbuckets && is_closed(b->table)) {
		++*moved;
		return move_block(stripe, &b->table, BLOCK_META);
	}
	if (b->due_cap && is_closed(b->due)) {
		++*moved;
		return move_block(stripe, &b->due, BLOCK_META);
	}
	uint64_t *table = b->nbuckets ? at(b->table) : NULL;
	for (uint32_t i = 0; i < b->nbuckets * CELLS && *moved < MOVES_PER_TXN; i++) {
		if (!cell_is_closed(table[i]) || !may_move(cell_ref(table[i])))
			continue;
		++*moved;
		if (!move_item(stripe, &table[i]))
			return false;
	}
	return true;
}

/* One transaction's worth of a stripe. *more: there may be more. False: there is no room for it. */
static bool move_some(uint32_t stripe, bool *more)
{
	uint16_t s = (uint16_t)stripe;
	uint32_t moved = 0;
	bool ok = true;
	activity_enter();
	*more = txn_begin(&s, 1);
	for (uint32_t db = 0; *more && ok && moved == 0 && db < SUPER->databases; db++) {
		struct root *root = db_root(db);
		ok = !root || move_bin(stripe, &root->bins[stripe], &moved);
	}
	if (*more && ok && moved)
		ok = txn_commit();
	else if (*more)
		txn_rollback();
	activity_leave();
	*more = ok && moved > 0;
	return ok || moved == 0;
}

static void move_all(void)
{
	bool more, room = true;
	for (uint32_t s = 0; s < STRIPES && room && !stop_requested(); s++) {
		activity_enter();
		more = stripe_is_closed(s);
		activity_leave();
		for (int i = 0; more && room && i < 64; i++)
			room = move_some(s, &more);
		if (s % 256 == 255)
			sched_yield();
	}
}

uint64_t compact(uint32_t want)
{
	uint64_t before = arena_spare();
	heap_reopen();
	if (heap_close(want) == 0)
		return 0;
	closed_clear();
	heap_each_closed(add_closed);
	move_all();
	heap_reopen();
	uint64_t after = arena_spare();
	return after > before ? after - before : 0;
}

/* ---- neighbours ---- */

/* Slabs, a byte each, as they seem to be. */
enum { OWNED = 1 /* of an item's run */, HEAD = 2 /* the first of one */, STUCK = 4 /* could not be emptied of late */ };
static struct {
	uint8_t *v;
	uint64_t n;
} slabs;

static void slabs_begin(void)
{
	uint64_t n = (store_end() - SUPER->fixed) / SLAB_BYTES;
	if (n > slabs.n) {
		slabs.v = realloc(slabs.v, n);
		if (!slabs.v)
			fatal("out of memory for a list of slabs");
		memset(slabs.v + slabs.n, 0, n - slabs.n);
	}
	slabs.n = n;
	for (uint64_t i = 0; i < n; i++)
		slabs.v[i] &= STUCK;
}

static void none_stuck(void)
{
	memset(slabs.v, 0, slabs.n);
}

static void note_run(uint64_t cell)
{
	uint64_t n = heap_run_slabs(cell_ref(cell)), first = n ? slab_index(cell_ref(cell).off) : 0;
	if (n == 0 || first >= slabs.n || n > slabs.n - first)
		return;
	slabs.v[first] |= HEAD;
	for (uint64_t i = first; i < first + n; i++)
		slabs.v[i] |= OWNED;
}

/* By version, or not at all: a hint. */
static void note_runs_of(uint32_t db, uint32_t stripe)
{
	const struct root *root = db_root(db);
	uint64_t v = version_read(stripe);
	struct bin b = root ? bin_read(&root->bins[stripe]) : (struct bin){0};
	const uint64_t *table = b.nbuckets && !(v & 1) && version_same(stripe, v) ? peek(b.table, b.nbuckets * 64ull) : NULL;
	for (uint32_t i = 0; table && i < b.nbuckets * CELLS; i++)
		note_run(__atomic_load_n(&table[i], __ATOMIC_RELAXED));
}

static void note_runs(void)
{
	slabs_begin();
	for (uint32_t s = 0; s < STRIPES && !stop_requested(); s++) {
		activity_enter();
		for (uint32_t db = 0; db < SUPER->databases; db++)
			note_runs_of(db, s);
		activity_leave();
	}
}

static uint64_t cost_of(uint64_t i)
{
	if (!arena_is_backed(i) || slabs.v[i] & STUCK)
		return CANNOT;
	return !arena_is_taken(i) ? 0 : slabs.v[i] & OWNED ? 1 : 2;
}

/* The `n` neighbours that are emptied most cheaply. False: there are none. */
static bool choose_window(uint64_t n, uint64_t *first)
{
	uint64_t cost = 0, best = CANNOT;
	for (uint64_t i = 0; i < slabs.n; i++) {
		cost += cost_of(i);
		if (i + 1 < n)
			continue;
		if (cost < best)
			best = cost, *first = i + 1 - n;
		cost -= cost_of(i + 1 - n);
	}
	return best < CANNOT;
}

/* Whoever has anything in the window is to be moved; a run may begin before it. */
static void close_window(uint64_t first, uint64_t n)
{
	closed_clear();
	for (uint64_t i = first; i < first + n; i++)
		add_closed(i);
	if (slabs.v[first] & OWNED && !(slabs.v[first] & HEAD)) {
		uint64_t head = first;
		while (head > 0 && !(slabs.v[head] & HEAD))
			head--;
		add_closed(head);
	}
	heap_close_range(first, n);
}

bool compact_run(uint64_t n)
{
	uint64_t first;
	bool done = true;
	note_runs();
	if (!choose_window(n, &first)) {
		none_stuck();
		return false;
	}
	heap_reopen();
	arena_set_window(first, n);
	close_window(first, n);
	move_all();
	heap_reopen();
	for (uint64_t i = first; i < first + n; i++) {
		bool left = arena_is_taken(i);
		slabs.v[i] |= left ? STUCK : 0;
		done = done && !left;
	}
	arena_set_window(0, 0);
	if (done)
		none_stuck();
	return done;
}

void compact_recover(void)
{
	arena_set_window(0, 0);
	heap_reopen();
}
