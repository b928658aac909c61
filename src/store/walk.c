/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading many keys: KEYS by pin, SCAN by position, RANDOMKEY. Run by workers; nothing here changes the store.
 *
 * Locks: at most one stripe for a moment, when reading by version fails three times. Buffers are private memory. A walk of a command that is
 * cancelled ends at the next key.
 */
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/panic.h"
#include "base/stop.h"
#include "internal.h"

#define TRIES 3
#define AHEAD 8u       /* cells */
#define LONG_KEY 4096u /* bytes; a longer one is looked at twice before it is copied, for its length may be torn */

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

#define LOCKED 1ull /* in place of a version, which is even: read under the lock */

static bool unchanged(uint32_t stripe, uint64_t v)
{
	return v == LOCKED || version_same(stripe, v);
}

/* ---- with a pin ---- */

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Whether what may be an item was born by then. */
static bool born_by(ref r, uint64_t epoch)
{
	const struct item *it = peek(r, sizeof *it);
	return it && item_born(it) <= epoch;
}

static void gather_retained(const struct root *root, uint32_t stripe, uint64_t epoch, struct words *out)
{
	ref r = {load(&store_stripe(stripe)->retained.off)};
	for (uint32_t left = __atomic_load_n(&store_stripe(stripe)->nretained, __ATOMIC_RELAXED); left > 0;) {
		const struct retained *p = peek(r, sizeof *p);
		uint32_t n = p ? __atomic_load_n(&p->n, __ATOMIC_RELAXED) : 0;
		if (n == 0 || n > left || !peek(r, sizeof *p + n * sizeof(ref)))
			return;
		left -= n;
		bool wanted = load(&p->root.off) == ref_of(root).off && epoch < load(&p->died);
		for (uint32_t i = 0; wanted && i < n; i++) {
			ref block = {load(&p->block[i].off)};
			if (born_by(block, epoch))
				words_add(out, block.off);
		}
		r.off = load(&p->next.off);
	}
}

/*
 * Adds the offsets of the items of one stripe that live at the pin. Torn data adds nonsense, which the caller throws away; a bin is checked
 * against version `v` before its table is walked, so that the walk is as long as a table has been. `v` is odd under the lock.
 */
static void gather(const struct root *root, uint32_t stripe, uint64_t epoch, uint64_t v, struct words *out)
{
	struct bin b = bin_read(&root->bins[stripe]);
	const uint64_t *table = unchanged(stripe, v) ? peek(b.table, b.nbuckets * 64ull) : NULL;
	for (uint32_t i = 0; table && i < b.nbuckets * CELLS; i++) {
		uint64_t c = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
		/* The items lie anywhere: the next ones are on their way meanwhile. */
		if (i + AHEAD < b.nbuckets * CELLS)
			__builtin_prefetch(STORE_BASE + cell_ref(__atomic_load_n(&table[i + AHEAD], __ATOMIC_RELAXED)).off);
		if (c && born_by(cell_ref(c), epoch))
			words_add(out, cell_ref(c).off);
	}
	gather_retained(root, stripe, epoch, out);
}

/*
 * The same, good: by version if nobody holds the stripe, else under the lock. What is returned stays readable while the pin stands. A holder
 * may have begun below the pin and not have turned the version odd yet: its changes belong to the view, and what it replaces
 * it will free. Who takes the lock after we saw it free has an epoch above the pin.
 */
static void gather_stripe(const struct root *root, uint32_t stripe, uint64_t epoch, struct words *out)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t v = version_read(stripe);
		out->n = 0;
		if (v & 1 || lock_owner(&store_stripe(stripe)->lock) != 0)
			continue;
		gather(root, stripe, epoch, v, out);
		if (version_same(stripe, v))
			return;
	}
	out->n = 0;
	if (!stripe_lock(stripe))
		return;
	gather(root, stripe, epoch, LOCKED, out);
	stripe_unlock(stripe);
}

static struct view view_of(ref r, const struct parts *p)
{
	return (struct view){p->value, p->vlen, p->due, p->type, p->encoding, r};
}

static struct root *root_at(struct pin p, uint32_t db)
{
	struct root *root = db_root_at(p, db);
	if (root)
		return root;
	for (uint32_t s = 0; s < STRIPES; s++)
		stripe_await(s);
	return db_root_at(p, db);
}

void db_walk(struct access *a, uint32_t db, key_visitor *each, void *arg)
{
	struct root *root = root_at(a->pin, db);
	struct words found = {0};
	uint64_t since = clock_mono_ns();
	bool go_on = true;
	for (uint32_t s = 0; root && s < STRIPES && go_on && !cancel_requested(); s++) {
		gather_stripe(root, s, a->pin.epoch, &found);
		for (size_t i = 0; i < found.n && go_on && !cancel_requested(); i++) {
			struct parts p;
			ref r = {found.v[i]};
			if (!item_read(r, &p))
				panic("a pinned item cannot be read");
			struct view v = view_of(r, &p);
			if (!is_gone(a, p.due))
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
	uint32_t db, stripe;
	uint64_t version; /* of the stripe, or LOCKED */
};

static int compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
	return a < b ? -1 : a > b;
}

/* Whether the stripe is as it was; asked before anything long is done with data that may be torn. */
static bool still_good(const struct scan *s)
{
	return unchanged(s->stripe, s->version);
}

/* Lists the cells of the stripe with a tag of at least `tag`; a cell sorts by its tag first. False: no such database. */
static bool cells_from(struct scan *s, uint32_t tag)
{
	/* Asked for only now: a root seen before the version was read may be gone, and something else in its place. */
	const struct root *root = db_root(s->db);
	s->cells.n = 0;
	if (!root)
		return false;
	struct bin b = bin_read(&root->bins[s->stripe]);
	const uint64_t *table = still_good(s) ? peek(b.table, b.nbuckets * 64ull) : NULL;
	for (uint32_t i = 0; table && i < b.nbuckets * CELLS; i++) {
		uint64_t c = __atomic_load_n(&table[i], __ATOMIC_RELAXED);
		if (c && cell_tag(c) >= tag)
			words_add(&s->cells, c);
	}
	return true;
}

/* Copies header facts and key of each cell's item: {view, klen, key}. Torn items are left out. */
static void copy_keys(struct scan *s, size_t n)
{
	s->keys.len = 0;
	for (size_t i = 0; i < n; i++) {
		struct parts p;
		ref r = cell_ref(s->cells.v[i]);
		if (!item_read(r, &p) || is_gone(s->a, p.due))
			continue;
		if (p.klen > LONG_KEY && !still_good(s))
			return;
		struct view v = view_of(r, &p);
		v.value = NULL;
		buf_append(&s->keys, &v, sizeof v);
		buf_append(&s->keys, &p.klen, sizeof p.klen);
		buf_append(&s->keys, p.key, p.klen);
	}
}

/*
 * Reads from (stripe, tag) on: at most about `count` cells, but always all of one tag. Adds how many to *seen; *next is where to go
 * on in this stripe (TAG_MASK + 1: it is done). False: no such database. One try; the caller checks the version.
 */
static bool scan_try(struct scan *s, uint32_t tag, uint64_t count, uint64_t *seen, uint32_t *next)
{
	bool there = cells_from(s, tag);
	size_t n = s->cells.n;
	*next = TAG_MASK + 1;
	if (n > count) {
		qsort(s->cells.v, n, sizeof *s->cells.v, compare);
		n = count ? count : 1;
		while (n < s->cells.n && cell_tag(s->cells.v[n]) == cell_tag(s->cells.v[n - 1]))
			n++;
		if (n < s->cells.n)
			*next = cell_tag(s->cells.v[n]);
	}
	copy_keys(s, n);
	*seen = n;
	return there;
}

static bool scan_stripe(struct scan *s, uint32_t tag, uint64_t count, uint64_t *seen, uint32_t *next)
{
	for (int i = 0; i < TRIES; i++) {
		s->version = version_read(s->stripe);
		if (s->version & 1)
			continue;
		bool there = scan_try(s, tag, count, seen, next);
		if (still_good(s))
			return there;
	}
	s->version = LOCKED;
	if (!stripe_lock(s->stripe))
		return false;
	bool there = scan_try(s, tag, count, seen, next);
	stripe_unlock(s->stripe);
	return there;
}

static void hand_out(struct scan *s)
{
	for (size_t off = 0; off < s->keys.len && !cancel_requested();) {
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
	struct scan s = {.a = a, .each = each, .arg = arg, .db = db};
	uint64_t left = count, since = clock_mono_ns();
	uint32_t tag = (uint32_t)cursor & TAG_MASK;
	if (cursor >= POSITION(STRIPES, 0))
		return 0;
	for (s.stripe = (uint32_t)(cursor >> TAG_BITS); s.stripe < STRIPES && left > 0 && !cancel_requested();) {
		uint64_t seen = 0;
		uint32_t next = TAG_MASK + 1;
		/* Each stripe asks for the database anew: a flush in between takes the old one away. */
		if (!scan_stripe(&s, tag, left, &seen, &next)) {
			s.stripe = STRIPES;
			break;
		}
		left -= seen < left ? seen : left;
		hand_out(&s);
		tag = next > TAG_MASK ? 0 : next;
		s.stripe += next > TAG_MASK;
		give_way(&since);
	}
	free(s.cells.v);
	buf_deinit(&s.keys);
	return s.stripe < STRIPES ? POSITION(s.stripe, tag) : 0;
}

/* ---- RANDOMKEY ---- */

/* A random cell's key of the stripe, copied. False: empty, torn or expired. */
static bool random_of(struct access *a, uint32_t db, uint32_t stripe, uint64_t v, uint64_t dice, struct buf *out)
{
	const struct root *root = db_root(db);
	struct bin b = root ? bin_read(&root->bins[stripe]) : (struct bin){0};
	const uint64_t *table = unchanged(stripe, v) ? peek(b.table, b.nbuckets * 64ull) : NULL;
	uint32_t n = b.nbuckets * CELLS;
	uint64_t skip = b.count ? dice % b.count : 0; /* each of the keys alike; on past those that have expired */
	for (uint32_t i = 0; table && i < 2 * n; i++) {
		uint64_t c = __atomic_load_n(&table[i % n], __ATOMIC_RELAXED);
		struct parts p;
		if (!c || (skip && skip--) || !item_read(cell_ref(c), &p) || is_gone(a, p.due))
			continue;
		if (p.klen > LONG_KEY && !unchanged(stripe, v))
			return false;
		buf_clear(out);
		buf_append(out, p.key, p.klen);
		return true;
	}
	return false;
}

/* By version, else under the lock. */
static bool random_in(struct access *a, uint32_t db, uint32_t stripe, uint64_t dice, struct buf *out)
{
	for (int t = 0; t < TRIES; t++) {
		uint64_t v = version_read(stripe);
		if (v & 1)
			continue;
		bool found = random_of(a, db, stripe, v, dice, out);
		if (unchanged(stripe, v))
			return found;
	}
	if (!stripe_lock(stripe))
		return false;
	bool found = random_of(a, db, stripe, LOCKED, dice, out);
	stripe_unlock(stripe);
	return found;
}

/* The keys of a stripe as its bin says; a hint, for they may come and go. */
static uint64_t count_in(const struct root *root, uint32_t stripe)
{
	return __atomic_load_n(&root->bins[stripe].count, __ATOMIC_RELAXED);
}

bool db_random_key(struct access *a, uint32_t db, struct buf *out)
{
	const struct root *root = db_root(db);
	uint64_t dice[2], total = 0;
	uint32_t first = 0;
	random_bytes(dice, sizeof dice);
	for (uint32_t s = 0; root && s < STRIPES; s++)
		total += count_in(root, s);
	/* The stripe of the n-th key: every key is as likely as any other. */
	for (uint64_t n = total ? dice[0] % total : 0; total && first < STRIPES - 1 && n >= count_in(root, first); first++)
		n -= count_in(root, first);
	for (uint32_t i = 0; total && i < STRIPES && !cancel_requested(); i++)
		if (random_in(a, db, (first + i) % STRIPES, dice[1], out))
			return true;
	return false;
}
