/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Databases: the map from number to index root, flush and swap, sweeping what they retire. Run by workers; sweeping also by the expirer.
 *
 * Owns map, roots and the lists of retired ones. The map is replaced as a whole under all stripes; a database's first root is put into the
 * present map under the map lock (leaf), which no reader can tell from before. A sweeper holds the sweep lock, and frees a retired root's
 * bins a piece per transaction: a sweeper that dies leaves a root with fewer keys for the next one.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/stop.h"
#include "shm/leaf.h"
#include "shm/wake.h"
#include "due.h"
#include "internal.h"

#define SWEEP_BUCKETS 64u

static uint64_t map_bytes(void)
{
	return sizeof(struct db_map) + SUPER->databases * sizeof(ref);
}

const struct db_map *map_now(void)
{
	ref r = {__atomic_load_n(&SUPER->map.off, __ATOMIC_ACQUIRE)};
	return peek(r, map_bytes());
}

static struct root *map_root(const struct db_map *m, uint32_t db)
{
	if (!m || db >= SUPER->databases)
		return NULL;
	ref r = {__atomic_load_n(&m->roots[db].off, __ATOMIC_ACQUIRE)};
	return (struct root *)(uintptr_t)peek(r, sizeof(struct root));
}

struct root *db_root(uint32_t db)
{
	return map_root(map_now(), db);
}

/*
 * The first map and each first root. Whoever sees one uses it at once, so it must not be taken away again when its maker dies: it is put
 * in place with NOT_YET set, which peek() takes for no reference, and without once the operation that made it cannot be undone any more. A
 * maker that dies in between leaves a good block, which the next one, under the map lock, declares so.
 */
#define NOT_YET 1ull

static bool make(ref *place, uint64_t bytes, ref *made)
{
	leaf_lock(LEAF_MAP, &SUPER->map_lock);
	if (ref_is_none(*place)) {
		ref r = heap_alloc(bytes, BLOCK_META, false);
		if (ref_is_none(r)) {
			leaf_cancel();
			return false;
		}
		memset(at(r), 0, bytes);
		leaf_set(&place->off, r.off | NOT_YET);
	}
	leaf_commit();
	__atomic_store_n(&place->off, place->off & ~NOT_YET, __ATOMIC_RELEASE);
	*made = *place;
	leaf_end();
	return true;
}

struct root *db_root_make(uint32_t db)
{
	struct root *root = db_root(db);
	ref r;
	if (root)
		return root;
	if (!map_now() && !make(&SUPER->map, map_bytes(), &r))
		return NULL;
	struct db_map *m = at(SUPER->map);
	return make(&m->roots[db], sizeof(struct root), &r) ? at(r) : NULL;
}

struct root *db_root_at(struct pin p, uint32_t db)
{
	if (!stripe_lock(0))
		return NULL;
	const struct db_map *m = map_now();
	if (m && m->born > p.epoch) {
		ref r = SUPER->old_maps;
		for (m = NULL; !m && !ref_is_none(r);) {
			const struct db_map *old = at(r);
			if (old->born <= p.epoch && p.epoch < old->died)
				m = old;
			r = old->next;
		}
	}
	struct root *root = map_root(m, db);
	stripe_unlock(0);
	return root;
}

/* ---- flush and swap: all stripes held ---- */

static void mark_all(void)
{
	for (uint32_t i = 0; i < STRIPES; i++)
		txn_mark(i);
}

/* A copy of the map to change, in place of the present one. NULL: no memory. */
static struct db_map *renew_map(void)
{
	ref old = SUPER->map, r = txn_alloc_urgent(map_bytes(), BLOCK_META);
	if (ref_is_none(r) || !txn_touch(0, &SUPER->map, sizeof SUPER->map))
		return NULL;
	struct db_map *m = at(r), *o = at(old);
	memcpy(m, o, map_bytes());
	m->born = txn_epoch();
	m->next = REF_NONE;
	if (pin_needs(o->born, txn_epoch())) {
		if (!txn_touch(0, o, sizeof *o) || !txn_touch(0, &SUPER->old_maps, sizeof SUPER->old_maps))
			return NULL;
		o->died = txn_epoch();
		o->next = SUPER->old_maps;
		SUPER->old_maps = old;
		atomic_store(&SUPER->sweep_wanted, 1);
	} else if (!txn_free(old, BLOCK_META)) {
		return NULL;
	}
	__atomic_store_n(&SUPER->map.off, r.off, __ATOMIC_RELEASE);
	return m;
}

static bool retire_root(struct db_map *m, uint32_t db)
{
	if (ref_is_none(m->roots[db]))
		return true;
	ref gone = {m->roots[db].off & ~NOT_YET};
	struct root *r = at(gone);
	if (!txn_touch(0, r, offsetof(struct root, bins)) ||
	    !txn_touch(0, &SUPER->retired_roots, sizeof SUPER->retired_roots))
		return false;
	r->died = txn_epoch();
	r->next = SUPER->retired_roots;
	SUPER->retired_roots = gone;
	m->roots[db] = REF_NONE;
	atomic_store(&SUPER->sweep_wanted, 1);
	return true;
}

bool db_flush(struct access *a, uint32_t db)
{
	(void)a;
	if (!map_now())
		return true;
	mark_all();
	struct db_map *m = renew_map();
	if (!m)
		return false;
	for (uint32_t i = 0; i < SUPER->databases; i++)
		if ((db == DB_ALL || db == i) && !retire_root(m, i))
			return false;
	return true;
}

bool db_swap(struct access *a, uint32_t x, uint32_t y)
{
	(void)a;
	if (!map_now() || x == y)
		return true;
	mark_all();
	struct db_map *m = renew_map();
	if (!m)
		return false;
	ref r = m->roots[x];
	m->roots[x] = m->roots[y];
	m->roots[y] = r;
	return true;
}

/* ---- sweeping ---- */

/* Frees the last buckets' items of a retired bin, or the empty bin's blocks. Stripe held. False: no memory for the journal now. */
static bool sweep_piece(uint32_t stripe, struct bin *b)
{
	if (!txn_touch(stripe, b, sizeof *b))
		return false;
	const uint64_t *table = at(b->table);
	for (uint32_t n = 0; n < SWEEP_BUCKETS && b->nbuckets > 0; n++) {
		b->nbuckets--;
		for (uint32_t i = 0; i < CELLS; i++) {
			uint64_t c = table[b->nbuckets * CELLS + i];
			if (c && !txn_free(cell_ref(c), BLOCK_DATA))
				return false;
		}
	}
	if (b->nbuckets > 0)
		return true;
	if (!txn_free(b->table, BLOCK_META) || !due_free(b))
		return false;
	*b = (struct bin){0};
	return true;
}

/* One piece of a bin. False: no memory, or cancelled. */
static bool sweep_once(uint32_t stripe, struct bin *b)
{
	uint16_t s = (uint16_t)stripe;
	return txn_begin(&s, 1) && txn_end(sweep_piece(stripe, b));
}

/* Who is to end, or whose command is cancelled, leaves the rest to the expirer, or to the next one. */
static bool sweep_bin(uint32_t stripe, struct bin *b)
{
	while (!ref_is_none(b->table)) {
		if (cancel_requested() || stop_requested())
			return false;
		activity_enter();
		bool ok = sweep_once(stripe, b);
		activity_leave();
		if (!ok)
			return false;
	}
	return true;
}

/* Takes `r` out of the list at `head` (linked by the ref at offset `link`) and frees it. Stripe 0 held by a transaction. */
static bool unlink_block(ref *head, ref r, size_t link)
{
	ref *at_ref = head;
	while (at_ref->off != r.off) {
		ASSERT(!ref_is_none(*at_ref));
		at_ref = (ref *)((char *)at(*at_ref) + link);
	}
	if (!txn_touch(0, at_ref, sizeof *at_ref))
		return false;
	*at_ref = *(ref *)((char *)at(r) + link);
	return txn_free(r, BLOCK_META);
}

static bool unlink_txn(ref *head, ref r, size_t link)
{
	uint16_t zero = 0;
	activity_enter();
	bool ok = txn_begin(&zero, 1) && txn_end(unlink_block(head, r, link));
	activity_leave();
	return ok;
}

/* The first root no pin can still see, or none. Others may push at the head meanwhile; only the sweeper removes. */
static ref ripe_root(void)
{
	if (!stripe_lock(0))
		return REF_NONE;
	ref r = SUPER->retired_roots;
	while (!ref_is_none(r) && !pin_none_below(((struct root *)at(r))->died))
		r = ((struct root *)at(r))->next;
	stripe_unlock(0);
	return r;
}

static ref ripe_map(void)
{
	if (!stripe_lock(0))
		return REF_NONE;
	ref r = SUPER->old_maps;
	while (!ref_is_none(r) && pin_needs(((struct db_map *)at(r))->born, ((struct db_map *)at(r))->died))
		r = ((struct db_map *)at(r))->next;
	stripe_unlock(0);
	return r;
}

void db_sweep_locked(void)
{
	ref r;
	while (!ref_is_none(r = ripe_root())) {
		struct root *root = at(r);
		for (uint32_t i = 0; i < STRIPES; i++)
			if (!sweep_bin(i, &root->bins[i]))
				return;
		if (!unlink_txn(&SUPER->retired_roots, r, offsetof(struct root, next)))
			return;
	}
	while (!ref_is_none(r = ripe_map()))
		if (!unlink_txn(&SUPER->old_maps, r, offsetof(struct db_map, next)))
			return;
}

void db_sweep_retired(void)
{
	if (!sweep_lock())
		return;
	db_sweep_locked();
	sweep_unlock();
	if (cancel_requested())
		wake_sweeper();
}

/* ---- figures ---- */

static void add_up(const struct root *root, struct db_stats *out)
{
	int64_t now = clock_wall_ms(), sum = 0, samples = 0;
	for (uint32_t i = 0; i < STRIPES; i++) {
		const struct bin *b = &root->bins[i];
		out->keys += __atomic_load_n(&b->count, __ATOMIC_RELAXED);
		out->expires += __atomic_load_n(&b->expires, __ATOMIC_RELAXED);
		out->index_bytes += (uint64_t)__atomic_load_n(&b->nbuckets, __ATOMIC_RELAXED) * CELLS * 8;
		out->due_bytes += (uint64_t)__atomic_load_n(&b->due_cap, __ATOMIC_RELAXED) * 8;
		/* A word of the queue from somewhere in it, as a sample; stale ones are few. */
		uint32_t n = __atomic_load_n(&b->ndue, __ATOMIC_RELAXED);
		ref q = {__atomic_load_n(&b->due.off, __ATOMIC_RELAXED)};
		const uint64_t *words = n ? peek(q, n * 8ull) : NULL;
		if (words) {
			int64_t due = due_time(__atomic_load_n(&words[n / 2], __ATOMIC_RELAXED));
			sum += due > now ? due - now : 0, samples++;
		}
	}
	out->avg_ttl = samples ? sum / samples : 0;
}

void db_stats(uint32_t db, struct db_stats *out)
{
	*out = (struct db_stats){0};
	bool joined = activity_join();
	const struct root *root = db_root(db);
	if (root)
		add_up(root, out);
	if (joined)
		activity_leave();
}
