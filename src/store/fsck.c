/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a whole store: the keys. What lies below them is checked by src/shm/check.c. Run on request; changes
 * nothing.
 *
 * store_fsck takes no locks, its death leaves nothing. store_fsck_beside runs with all stripes held by the caller's
 * transaction and takes the arena lock; a medic frees both when it dies.
 */
#include "store/fsck.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/panic.h"
#include "shm/check.h"
#include "shm/leaf.h"
#include "shm/wake.h"
#include "store/functions.h"
#include "due.h"
#include "internal.h"

#define REST_MS 2000

/* One bin while it is looked at. */
struct look {
	struct check *c;
	const struct bin *b;
	uint32_t stripe;
	bool live;          /* in a database; else in a retired root, which may be half swept */
	uint32_t ndue;
	uint64_t *due;      /* the queue's entries as tag | time, sorted */
	uint32_t count, expires;
};

#define MINE(l) ((uint64_t)((const char *)(l)->b - STORE_BASE))

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return a < b ? -1 : a > b;
}

/* The queue is a heap in its block; a sorted copy of its entries by tag is left in `l`. */
static bool look_at_queue(struct look *l)
{
	const struct bin *b = l->b;
	if (b->due_cap == 0)
		return (b->ndue == 0 && ref_is_none(b->due)) || check_bad(l->c, MINE(l), "a due queue without a block");
	if (!check_reach(l->c, &b->due, b->due, b->due_cap * 8ull, BLOCK_META, "a due queue"))
		return false;
	if (b->ndue > b->due_cap)
		return check_bad(l->c, MINE(l), "a due queue with %u of %u entries", b->ndue, b->due_cap);
	const uint64_t *q = at(b->due);
	l->due = malloc(b->ndue * 8ull + 8);
	if (!l->due)
		fatal("out of memory for a check");
	for (uint32_t i = 0; i < b->ndue; i++) {
		if (i > 0 && q[(i - 1) / DUE_ARITY] > q[i])
			return check_bad(l->c, b->due.off + i * 8ull, "a due queue out of order");
		l->due[i] = q[i] << (64 - TAG_BITS) | q[i] >> TAG_BITS;
	}
	l->ndue = b->ndue;
	qsort(l->due, l->ndue, 8, compare);
	return true;
}

/* Whether the queue has an entry for `tag` that is not later than the one that `due` would make. */
static bool is_queued(const struct look *l, uint32_t tag, int64_t due)
{
	uint64_t want = due_entry(tag, due), first = (uint64_t)tag << (64 - TAG_BITS);
	uint32_t lo = 0, hi = l->ndue;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (l->due[mid] < first)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->ndue && l->due[lo] <= (first | want >> TAG_BITS);
}

static bool look_at_item(struct look *l, const uint64_t *from)
{
	uint64_t cell = *from;
	ref r = cell_ref(cell);
	struct parts p;
	if (!check_reach(l->c, from, r, sizeof(struct item), BLOCK_DATA, "an item"))
		return false;
	if (!item_read(r, &p) || item_bytes(p.klen, p.vlen, p.flags) > heap_block_size(r))
		return check_bad(l->c, r.off, "an item larger than its block");
	struct key_hash h = key_hash_of(p.key, p.klen);
	if (h.stripe != l->stripe || h.tag != cell_tag(cell))
		return check_bad(l->c, r.off, "an item in the wrong place");
	if (p.born > atomic_load(&SUPER->epoch) || p.type > TYPE_STREAM || p.encoding > ENC_RAW ||
	    p.flags & ~(ITEM_DUE | ITEM_LONG_KEY))
		return check_bad(l->c, r.off, "an item with a damaged head");
	l->count++;
	l->expires += (p.flags & ITEM_DUE) != 0;
	if (l->live && p.flags & ITEM_DUE && !is_queued(l, h.tag, p.due))
		return check_bad(l->c, r.off, "a key due at %lld that is not queued", (long long)p.due);
	return true;
}

/* A cell is where a search for its key ends, so it is in order, and there is no second one. */
static bool look_at_cell(struct look *l, const uint64_t *cell)
{
	uint64_t found, off = (uint64_t)((const char *)cell - STORE_BASE);
	struct parts p, q;
	if (!look_at_item(l, cell))
		return false;
	if (l->live && (!item_read(cell_ref(*cell), &p) || index_find(l->b, cell_tag(*cell), p.key, p.klen, &found, &q) != cell))
		return check_bad(l->c, off, "a cell that a search does not find");
	return true;
}

static bool look_at_table(struct look *l)
{
	const struct bin *b = l->b;
	if (ref_is_none(b->table))
		return (b->nbuckets == 0 && b->count == 0) || check_bad(l->c, MINE(l), "a bin without a table");
	if (!check_reach(l->c, &b->table, b->table, b->nbuckets * 64ull, BLOCK_META, "a table"))
		return false;
	if (l->live && b->nbuckets == 0)
		return check_bad(l->c, MINE(l), "a table without a bucket");
	const uint64_t *cells = at(b->table);
	for (uint64_t i = 0; i < (uint64_t)b->nbuckets * CELLS; i++)
		if (cells[i] && !look_at_cell(l, &cells[i]))
			return false;
	if (l->live && (l->count != b->count || l->expires != b->expires))
		return check_bad(l->c, MINE(l), "a bin with %u keys, %u with an expiry, not %u and %u", l->count, l->expires, b->count,
				 b->expires);
	return true;
}

bool fsck_bin(struct check *c, const struct root *root, uint32_t stripe, bool live)
{
	struct look l = {.c = c, .b = &root->bins[stripe], .stripe = stripe, .live = live};
	bool ok = look_at_queue(&l) && look_at_table(&l);
	free(l.due);
	return ok;
}

static bool look_at_root(struct check *c, const ref *from, ref r, bool live)
{
	if (!check_reach(c, from, r, sizeof(struct root), BLOCK_META, "an index root"))
		return false;
	for (uint32_t i = 0; i < STRIPES; i++)
		if (!fsck_bin(c, at(r), i, live))
			return false;
	return true;
}

static bool look_at_databases(struct check *c)
{
	ref map = {SUPER->map.off & ~7ull};
	if (ref_is_none(map))
		return true;
	if (!check_reach(c, &SUPER->map, map, sizeof(struct db_map) + SUPER->databases * sizeof(ref), BLOCK_META,
			 "the database map"))
		return false;
	const struct db_map *m = at(map);
	for (uint32_t i = 0; i < SUPER->databases; i++) {
		ref r = {m->roots[i].off & ~7ull};
		if (!ref_is_none(r) && !look_at_root(c, &m->roots[i], r, true))
			return false;
	}
	return true;
}

static bool look_at_retired(struct check *c)
{
	const ref *from;
	for (from = &SUPER->retired_roots; !ref_is_none(*from); from = &((const struct root *)at(*from))->next)
		if (!look_at_root(c, from, *from, false))
			return false;
	for (from = &SUPER->old_maps; !ref_is_none(*from); from = &((const struct db_map *)at(*from))->next) {
		ref r = *from;
		if (!check_reach(c, from, r, sizeof(struct db_map) + SUPER->databases * sizeof(ref), BLOCK_META,
				 "an old database map"))
			return false;
		const struct db_map *m = at(r);
		if (m->born >= m->died)
			return check_bad(c, r.off, "an old database map that never lived");
	}
	return true;
}

/* The blocks of a piece of a retained list. */
static bool fsck_piece(struct check *c, uint32_t stripe, const struct retained *p, uint64_t *bytes)
{
	for (uint32_t i = 0; i < p->n; i++) {
		struct parts q;
		if (!check_reach(c, &p->block[i], p->block[i], sizeof(struct item), BLOCK_DATA, "a retained item"))
			return false;
		if (!item_read(p->block[i], &q) || q.born >= p->died || key_hash_of(q.key, q.klen).stripe != stripe)
			return check_bad(c, p->block[i].off, "a damaged retained item");
		*bytes += retained_bytes(p->block[i]);
	}
	return true;
}

bool fsck_retained(struct check *c, uint32_t stripe)
{
	const struct stripe *s = store_stripe(stripe);
	uint64_t n = 0, bytes = 0;
	const ref *from;
	for (from = &s->retained; !ref_is_none(*from); from = &((const struct retained *)at(*from))->next) {
		ref r = *from;
		if (n >= s->nretained)
			return check_bad(c, (uint64_t)((const char *)from - STORE_BASE), "stripe %u retains more than %llu items", stripe,
					 (unsigned long long)n);
		if (!check_reach(c, from, r, sizeof(struct retained), BLOCK_META, "a piece of a retained list"))
			return false;
		const struct retained *p = at(r);
		if (p->n == 0 || p->n > p->cap || heap_block_size(r) < sizeof *p + p->cap * sizeof(ref))
			return check_bad(c, r.off, "a piece of a retained list with %u of %u items", p->n, p->cap);
		if (!fsck_piece(c, stripe, p, &bytes))
			return false;
		n += p->n;
	}
	if (bytes != s->retained_bytes)
		return check_bad(c, ref_of(s).off, "a retained list has %llu bytes, not %llu", (unsigned long long)bytes,
				 (unsigned long long)s->retained_bytes);
	if (n != s->nretained)
		return check_bad(c, ref_of(s).off, "stripe %u retains %llu items, not %u", stripe, (unsigned long long)n, s->nretained);
	return n == 0 || atomic_load(dirty_word(stripe)) >> (stripe % 64) & 1 ||
	       check_bad(c, ref_of(s).off, "stripe %u retains items, and nobody will look", stripe);
}

/* The rest of a check that is `ok` so far. */
static bool finish(struct check *c, bool ok)
{
	for (uint32_t i = 0; ok && i < STRIPES; i++)
		ok = fsck_retained(c, i);
	ok = ok && check_leaks(c);
	check_end(c);
	return ok;
}

bool store_fsck(char *why, size_t cap)
{
	struct check c;
	bool ok = check_begin(&c, why, cap) && look_at_databases(&c) && look_at_retired(&c) && check_ring(&c) && functions_check(&c);
	return finish(&c, ok);
}

/* Who has committed or rolled back goes on freeing blocks after its stripes are free. */
bool fsck_wait_for_rest(int64_t ms, char *why, size_t cap)
{
	int64_t until = clock_mono_ms() + ms;
	for (uint32_t i = 1; i <= atomic_load(&SUPER->slot_high); i++)
		while (i != self_id && !check_slot_rests(i)) {
			if (clock_mono_ms() >= until) {
				snprintf(why, cap, "slot %u does not come to rest", i);
				return false;
			}
			nanosleep(&(struct timespec){0, 100000}, NULL);
		}
	return true;
}

bool store_fsck_beside(char *why, size_t cap)
{
	struct check c;
	if (!fsck_wait_for_rest(REST_MS, why, cap))
		return false;
	/* Against the expirer, which keeps house without a stripe. The operation changes nothing. */
	leaf_lock(LEAF_ARENA, &SUPER->arena.lock);
	bool ok = check_begin_beside(&c, why, cap) && look_at_databases(&c) && look_at_retired(&c) && check_ring(&c) && functions_check(&c);
	ok = finish(&c, ok);
	leaf_end();
	return ok;
}
