/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a store on which others work, a stripe at a time (store/fsck.h). Run by the checker.
 *
 * Locks: one stripe for a moment, within it or alone a heap's and the arena's; at the very end perhaps all stripes,
 * see below. Changes nothing. Its death leaves locks, which a medic frees.
 *
 * What a stripe guards is in order whenever its lock is free, so any fault seen under the lock is one. Leaks are
 * harder: blocks that were allocated before the first stripe was visited and are reached from none may have changed
 * hands meanwhile. These suspects are looked for by what they seem to be (an item: where its key belongs; anything
 * else: in all bins), again and again. A leaked block is still there after all rounds, and next to nothing else is;
 * then everybody is stopped for the time of one more round, which decides.
 */
#include "store/fsck.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/panic.h"
#include "base/stop.h"
#include "shm/arena.h"
#include "shm/check.h"
#include "shm/leaf.h"
#include "internal.h"

#define HEADS_PER_STRIPE 64u
#define SUSPECTS_MAX 65536u
#define ROUNDS 10u
#define ROUND_MS 10u
#define REST_MS 50 /* and the last round is not for now, if somebody takes longer */

struct live {
	struct check c;
	bool held;           /* this process holds all stripes */
	uint64_t keys;
	ref *suspect;
	uint32_t nsuspects;
};

static void enter(const struct live *l, uint32_t stripe)
{
	if (l->held)
		return;
	activity_enter();
	stripe_lock(stripe);
}

static void leave(const struct live *l, uint32_t stripe)
{
	if (l->held)
		return;
	stripe_unlock(stripe);
	activity_leave();
}

/* The root of a database, marked as known; NULL: none. A stripe is held, so the map stays. */
static const struct root *root_of(struct live *l, uint32_t db)
{
	ref map = {SUPER->map.off & ~7ull};
	check_mark(&l->c, map);
	if (!peek(map, sizeof(struct db_map) + SUPER->databases * sizeof(ref)))
		return NULL;
	ref r = {((const struct db_map *)at(map))->roots[db].off & ~7ull};
	check_mark(&l->c, r);
	return db_root(db);
}

/* ---- the stripes ---- */

static bool look_at_stripe(struct live *l, uint32_t stripe)
{
	bool ok = true;
	l->c.may_look = HEADS_PER_STRIPE;
	enter(l, stripe);
	for (uint32_t db = 0; ok && db < SUPER->databases; db++) {
		const struct root *root = root_of(l, db);
		if (!root)
			continue;
		ok = fsck_bin(&l->c, root, stripe, true);
		l->keys += root->bins[stripe].count;
	}
	ok = ok && fsck_retained(&l->c, stripe);
	leave(l, stripe);
	return ok;
}

/* ---- suspects ---- */

static void list_suspects(struct live *l, const uint64_t *allocated)
{
	l->suspect = malloc(SUSPECTS_MAX * sizeof *l->suspect);
	if (!l->suspect)
		fatal("out of memory for a check");
	uint64_t words = l->c.nslabs * (SLAB_BYTES / 8 / 64);
	for (uint64_t w = 0; w < words; w++)
		for (uint64_t m = allocated[w] & ~l->c.reached[w]; m && l->nsuspects < SUSPECTS_MAX; m &= m - 1)
			l->suspect[l->nsuspects++] = (ref){SUPER->fixed + (w * 64 + (uint64_t)__builtin_ctzll(m)) * 8};
}

/* A walk over a retained list, which may be damaged: it comes to an end. The stripe is held. */
struct pieces {
	ref next;
	uint64_t left;
};

static struct pieces pieces_of(uint32_t stripe)
{
	return (struct pieces){store_stripe(stripe)->retained, store_stripe(stripe)->nretained};
}

static const struct retained *next_piece(struct pieces *w)
{
	const struct retained *p = w->left ? peek(w->next, sizeof *p) : NULL;
	if (!p || p->n == 0 || !peek(w->next, sizeof *p + p->n * sizeof(ref)))
		return NULL;
	w->left -= p->n < w->left ? p->n : w->left;
	w->next = p->next;
	return p;
}

/* Whether the block is the item that a cell of its key's stripe, or the retained list, refers to. */
static bool is_known_item(struct live *l, ref r)
{
	struct parts p, q;
	uint64_t cell;
	bool known = false;
	if (!l->held)
		activity_enter();
	bool parsed = item_read(r, &p) && item_bytes(p.klen, p.vlen, p.flags) <= heap_block_size(r);
	struct key_hash h = parsed ? key_hash_of(p.key, p.klen) : (struct key_hash){0};
	if (!l->held)
		activity_leave();
	if (!parsed)
		return false;
	enter(l, h.stripe);
	/* It may have become another one's meanwhile. */
	parsed = item_read(r, &p);
	for (uint32_t db = 0; parsed && !known && db < SUPER->databases; db++) {
		const struct root *root = db_root(db);
		known = root && index_find(&root->bins[h.stripe], h.tag, p.key, p.klen, &cell, &q) &&
			cell_ref(cell).off == r.off;
	}
	struct pieces all = pieces_of(h.stripe);
	for (const struct retained *e; !known && (e = next_piece(&all)) != NULL;)
		for (uint32_t i = 0; i < e->n && !known; i++)
			known = e->block[i].off == r.off;
	leave(l, h.stripe);
	return known;
}

/* Marks what is no item: map, roots, tables, queues, entries of retained lists, blocks of the log. */
static void mark_others(struct live *l)
{
	check_mark_ring(&l->c, l->held);
	for (uint32_t s = 0; s < STRIPES; s++) {
		enter(l, s);
		if (s == 0)
			check_mark(&l->c, SUPER->functions);
		for (uint32_t db = 0; db < SUPER->databases; db++) {
			const struct root *root = root_of(l, db);
			if (!root)
				continue;
			check_mark(&l->c, root->bins[s].table);
			check_mark(&l->c, root->bins[s].due);
		}
		struct pieces all = pieces_of(s);
		for (const struct retained *p; (p = next_piece(&all)) != NULL;)
			check_mark(&l->c, ref_of(p));
		leave(l, s);
	}
}

/* Strikes out those that are free by now, or known. */
static void question(struct live *l)
{
	uint32_t n = 0;
	mark_others(l);
	for (uint32_t i = 0; i < l->nsuspects; i++) {
		ref r = l->suspect[i];
		if (check_is_block(r) && !check_was_reached(&l->c, r) && !is_known_item(l, r))
			l->suspect[n++] = r;
	}
	l->nsuspects = n;
}

/* What flushes left, or a sweeper is at, is known to nobody else. */
static bool sweeping(void)
{
	return SUPER->retired_roots.off || SUPER->old_maps.off;
}

/* Nobody changes anything now: what is known to nobody has leaked. */
static bool sentence(struct live *l)
{
	char late[128];
	bool ok = true;
	activity_enter();
	txn_begin(NULL, STRIPES);
	l->held = true;
	if (fsck_wait_for_rest(REST_MS, late, sizeof late) && !sweeping()) {
		leaf_lock(LEAF_ARENA, &SUPER->arena.lock);
		question(l);
		for (uint32_t i = 0; ok && i < l->nsuspects; i++)
			ok = !check_starts(l->suspect[i]) ||
			     check_bad(&l->c, l->suspect[i].off, "nothing refers to an allocated block of %llu bytes",
				       (unsigned long long)heap_block_size(l->suspect[i]));
		leaf_end();
	}
	l->held = false;
	txn_rollback();
	activity_leave();
	return ok;
}

static bool look_for_leaks(struct live *l, const uint64_t *allocated)
{
	list_suspects(l, allocated);
	for (unsigned i = 1; l->nsuspects > 0 && i <= ROUNDS && !stop_requested(); i++) {
		question(l);
		if (l->nsuspects > 0)
			nanosleep(&(struct timespec){0, i * ROUND_MS * 1000000}, NULL);
	}
	return l->nsuspects == 0 || stop_requested() || sweeping() || sentence(l);
}

bool store_fsck_live(char *why, size_t cap, uint64_t *keys)
{
	struct live l = {0};
	bool ok = check_begin_live(&l.c, why, cap);
	/* Before the first stripe: what is allocated later is nobody's leak. */
	uint64_t *allocated = ok ? check_copy_allocated(&l.c) : NULL;
	for (uint32_t s = 0; ok && s < STRIPES && !stop_requested(); s++)
		ok = look_at_stripe(&l, s);
	ok = ok && (stop_requested() || look_for_leaks(&l, allocated));
	*keys = l.keys;
	free(l.suspect);
	free(allocated);
	check_end(&l.c);
	return ok;
}
