/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading many keys: KEYS by pin, SCAN by position, RANDOMKEY. Run by workers; nothing here changes the store.
 *
 * Locks: at most one stripe for a moment, when reading by version fails three times. Buffers are private memory.
 */
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/panic.h"
#include "internal.h"

#define TRIES 3
#define YIELD_NS 200000u /* a long reader gives way this often: others on its core wait no longer */

/* A growing array of words, kept over the walk. */
struct words {
	uint64_t *v;
	size_t n, cap;
};

static void words_add(struct words *w, uint64_t v)
{
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 512;
		w->v = realloc(w->v, w->cap * sizeof *w->v);
		if (!w->v)
			fatal("out of memory for a walk over the keys");
	}
	w->v[w->n++] = v;
}

static void give_way(uint64_t *since)
{
	uint64_t now = clock_mono_ns();
	if (now - *since < YIELD_NS)
		return;
	sched_yield();
	*since = clock_mono_ns();
}

/* ---- with a pin ---- */

/* Adds the offsets of the items of one stripe that live at the pin. Torn data adds nonsense, which the caller throws away. */
static void gather(const struct root *root, uint32_t stripe, uint64_t epoch, struct words *out)
{
	struct bin b = bin_read(&root->bins[stripe]);
	const uint64_t *table = peek(b.table, b.nbuckets * 64ull);
	for (uint32_t i = 0; table && i < b.nbuckets * CELLS; i++) {
		uint64_t c = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
		const struct item *it = c ? peek(cell_ref(c), sizeof *it) : NULL;
		if (it && (__atomic_load_n(&it->born_clock, __ATOMIC_RELAXED) & EPOCH_MASK) <= epoch)
			words_add(out, cell_ref(c).off);
	}
	ref r = {__atomic_load_n(&store_stripe(stripe)->retained.off, __ATOMIC_RELAXED)};
	for (uint32_t left = store_stripe(stripe)->nretained; left > 0 && !ref_is_none(r); left--) {
		const struct retained *n = peek(r, sizeof *n);
		if (!n)
			return;
		if (n->root.off == ref_of(root).off && n->born <= epoch && epoch < n->died)
			words_add(out, n->block.off);
		r = n->next;
	}
}

/* The same, good: by version, else under the lock. What is returned stays readable while the pin stands. */
static void gather_stripe(const struct root *root, uint32_t stripe, uint64_t epoch, struct words *out)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t v = version_read(stripe);
		out->n = 0;
		if (v & 1)
			continue;
		gather(root, stripe, epoch, out);
		if (version_same(stripe, v))
			return;
	}
	stripe_lock(stripe);
	out->n = 0;
	gather(root, stripe, epoch, out);
	stripe_unlock(stripe);
}

static struct view view_of(ref r, const struct parts *p)
{
	return (struct view){p->value, p->vlen, p->due, p->type, p->encoding, r};
}

void db_walk(struct access *a, uint32_t db, key_visitor *each, void *arg)
{
	struct root *root = db_root_at(a->pin, db);
	struct words found = {0};
	uint64_t since = clock_mono_ns();
	bool go_on = true;
	for (uint32_t s = 0; root && s < STRIPES && go_on; s++) {
		gather_stripe(root, s, a->pin.epoch, &found);
		for (size_t i = 0; i < found.n && go_on; i++) {
			struct parts p;
			ref r = {found.v[i]};
			if (!item_read(r, &p))
				panic("a pinned item cannot be read");
			struct view v = view_of(r, &p);
			if (!is_due(p.due, a->now))
				go_on = each(arg, p.key, p.klen, &v);
		}
		give_way(&since);
	}
	free(found.v);
}

/* ---- SCAN ---- */

#define POSITION(stripe, tag) ((uint64_t)(stripe) << TAG_BITS | (tag))

struct scan {
	struct access *a;
	key_visitor *each;
	void *arg;
	struct words cells;
	struct buf keys;
};

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return a < b ? -1 : a > b;
}

/* Adds the cells of a bin with a tag of at least `tag`; a cell sorts by its tag first. */
static void cells_from(const struct bin *bin, uint32_t tag, struct words *out)
{
	struct bin b = bin_read(bin);
	const uint64_t *table = peek(b.table, b.nbuckets * 64ull);
	out->n = 0;
	for (uint32_t i = 0; table && i < b.nbuckets * CELLS; i++) {
		uint64_t c = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
		if (c && cell_tag(c) >= tag)
			words_add(out, c);
	}
}

/* Copies header facts and key of each cell's item: {view, klen, key}. Torn items are left out. */
static void copy_keys(struct scan *s, size_t n)
{
	s->keys.len = 0;
	for (size_t i = 0; i < n; i++) {
		struct parts p;
		ref r = cell_ref(s->cells.v[i]);
		if (!item_read(r, &p) || is_due(p.due, s->a->now))
			continue;
		struct view v = view_of(r, &p);
		v.value = NULL;
		buf_append(&s->keys, &v, sizeof v);
		buf_append(&s->keys, &p.klen, sizeof p.klen);
		buf_append(&s->keys, p.key, p.klen);
	}
}

/*
 * Reads from (stripe, tag) on: at most about `count` cells, but always all of one tag. Returns how many, and in *next_tag where to go
 * on in this stripe (TAG_MASK + 1: it is done). One try; the caller checks the version.
 */
static size_t scan_try(struct scan *s, const struct bin *bin, uint32_t tag, uint64_t count, uint32_t *next_tag)
{
	cells_from(bin, tag, &s->cells);
	size_t n = s->cells.n;
	*next_tag = TAG_MASK + 1;
	if (n > count) {
		qsort(s->cells.v, n, sizeof *s->cells.v, compare);
		n = count ? count : 1;
		while (n < s->cells.n && cell_tag(s->cells.v[n]) == cell_tag(s->cells.v[n - 1]))
			n++;
		if (n < s->cells.n)
			*next_tag = cell_tag(s->cells.v[n]);
	}
	copy_keys(s, n);
	return n;
}

static size_t scan_stripe(struct scan *s, const struct root *root, uint32_t stripe, uint32_t tag, uint64_t count, uint32_t *next_tag)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t v = version_read(stripe);
		if (v & 1)
			continue;
		size_t n = scan_try(s, &root->bins[stripe], tag, count, next_tag);
		if (version_same(stripe, v))
			return n;
	}
	stripe_lock(stripe);
	size_t n = scan_try(s, &root->bins[stripe], tag, count, next_tag);
	stripe_unlock(stripe);
	return n;
}

static void hand_out(struct scan *s)
{
	for (size_t off = 0; off < s->keys.len;) {
		struct view v;
		uint64_t klen;
		memcpy(&v, s->keys.data + off, sizeof v), off += sizeof v;
		memcpy(&klen, s->keys.data + off, sizeof klen), off += sizeof klen;
		s->each(s->arg, s->keys.data + off, klen, &v);
		off += klen;
	}
}

uint64_t db_scan(struct access *a, uint32_t db, uint64_t cursor, uint64_t count, key_visitor *each, void *arg)
{
	struct scan s = {.a = a, .each = each, .arg = arg};
	uint64_t seen = 0, since = clock_mono_ns();
	uint32_t stripe = (uint32_t)(cursor >> TAG_BITS), tag = (uint32_t)cursor & TAG_MASK;
	if (cursor >= POSITION(STRIPES, 0))
		return 0;
	while (stripe < STRIPES && seen < count) {
		/* Asked for each time: a flush between two stripes takes the old root away. */
		const struct root *root = db_root(db);
		uint32_t next = TAG_MASK + 1;
		if (!root) {
			stripe = STRIPES;
			break;
		}
		seen += scan_stripe(&s, root, stripe, tag, count - seen, &next);
		hand_out(&s);
		tag = next > TAG_MASK ? 0 : next;
		stripe += next > TAG_MASK;
		give_way(&since);
	}
	free(s.cells.v);
	buf_deinit(&s.keys);
	return stripe < STRIPES ? POSITION(stripe, tag) : 0;
}

/* ---- RANDOMKEY ---- */

/* A random cell's key of the bin, copied. False: empty, torn or expired. */
static bool random_of(struct access *a, const struct bin *bin, uint64_t dice, struct buf *out)
{
	struct bin b = bin_read(bin);
	const uint64_t *table = peek(b.table, b.nbuckets * 64ull);
	uint32_t n = b.nbuckets * CELLS;
	for (uint32_t i = 0; table && i < n; i++) {
		uint64_t c = __atomic_load_n(&table[(dice + i) % n], __ATOMIC_RELAXED);
		struct parts p;
		if (!c || !item_read(cell_ref(c), &p) || is_due(p.due, a->now))
			continue;
		buf_clear(out);
		buf_append(out, p.key, p.klen);
		return true;
	}
	return false;
}

bool db_random_key(struct access *a, uint32_t db, struct buf *out)
{
	uint64_t dice;
	random_bytes(&dice, sizeof dice);
	for (uint32_t i = 0; i < STRIPES; i++) {
		uint32_t stripe = ((uint32_t)dice + i) % STRIPES;
		const struct root *root = db_root(db);
		if (!root || __atomic_load_n(&root->bins[stripe].count, __ATOMIC_RELAXED) == 0)
			continue;
		for (int t = 0; t < TRIES; t++) {
			uint64_t v = version_read(stripe);
			if (!(v & 1) && random_of(a, &root->bins[stripe], dice >> 12, out) && version_same(stripe, v))
				return true;
		}
	}
	return false;
}
