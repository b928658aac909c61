/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys: lookup and change. Run by workers; see store/keyspace.h for the modes.
 *
 * Owns nothing; changes items and bins of the stripes its transaction holds. A new value is built aside and published by one store into
 * the index cell, or, when it has the old one's size and no pin can see it, written over it after a touch. A death in the middle is
 * undone by the journal.
 */
#include "store/keyspace.h"

#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "base/stop.h"
#include "shm/control.h"
#include "due.h"
#include "internal.h"

#define IN_PLACE_MAX 1024u
#define EMBSTR_MAX 44u

int64_t access_now(const struct access *a)
{
	return a->now;
}

bool access_already_due(const struct access *a, int64_t due)
{
	return is_gone(a, due);
}

uint32_t access_db(const struct access *a)
{
	return a->plan->db;
}

struct key_hash key_hash_of(const char *key, size_t n)
{
	return hash_split(hash_bytes(key, n, SUPER->hash_seed));
}

/* Keys are asked for in the order of the plan, mostly: the search starts behind the last one found. */
struct key_hash access_hash(struct access *a, const struct arg *key)
{
	for (uint32_t n = 0, i = a->cursor; n < a->plan->nkeys; n++, i++) {
		if (i >= a->plan->nkeys)
			i = 0;
		if (a->plan->keys[i] == key) {
			a->cursor = i;
			return a->hashes[i];
		}
	}
	return key_hash_of(key->p, key->n);
}

bool spot_find(struct access *a, uint32_t db, const struct arg *key, struct spot *s)
{
	s->hash = access_hash(a, key);
	s->root = db_root(db);
	s->cell = NULL;
	if (!s->root)
		return false;
	s->bin = &s->root->bins[s->hash.stripe];
	uint64_t cell;
	s->cell = index_find(s->bin, s->hash.tag, key->p, key->n, &cell, &s->parts);
	if (!s->cell)
		return false;
	s->item = cell_ref(cell);
	return true;
}

/*
 * An item whose access clock is old has it refreshed: now by who holds its stripe, else it is remembered until the read turns out to be
 * good.
 */
static void note_clock(struct access *a, const struct spot *s, bool held)
{
	uint32_t clock = clock_used(s->parts.clock, a->now);
	if (s->parts.clock == clock)
		return;
	if (held) {
		clock_set(s->item, clock);
	} else if (a->nclocks < (a->plan->nkeys > ACCESS_INLINE_KEYS ? a->plan->nkeys : ACCESS_INLINE_KEYS)) {
		a->clocks[a->nclocks].item = s->item;
		a->clocks[a->nclocks].stripe = s->hash.stripe;
		a->clocks[a->nclocks].clock = clock;
		a->nclocks++;
	}
}

/* What the key was at that epoch, if it has been replaced since. The stripe is held. */
static bool find_retained(const struct root *root, uint32_t stripe, uint64_t epoch, const struct arg *key, struct spot *s)
{
	for (ref r = store_stripe(stripe)->retained; !ref_is_none(r);) {
		const struct retained *p = at(r);
		bool wanted = p->root.off == ref_of(root).off && epoch < p->died;
		for (uint32_t i = 0; wanted && i < p->n; i++)
			if (item_read(p->block[i], &s->parts) && s->parts.born <= epoch && s->parts.klen == key->n &&
			    !memcmp(s->parts.key, key->p, key->n)) {
				s->item = p->block[i];
				return true;
			}
		r = p->next;
	}
	return false;
}

/* In a pinned view: the live item if it was born by then, else what is retained. Valid as long as the pin. */
static bool find_pinned(struct access *a, uint32_t db, const struct arg *key, struct spot *s, bool touch)
{
	struct key_hash h = access_hash(a, key);
	struct root *root = db_root_at(a->pin, db);
	bool found = false;
	if (!root) {
		stripe_await(h.stripe);
		root = db_root_at(a->pin, db);
	}
	if (!root || !stripe_lock(h.stripe))
		return false;
	uint64_t cell;
	if (index_find(&root->bins[h.stripe], h.tag, key->p, key->n, &cell, &s->parts) && s->parts.born <= a->pin.epoch) {
		s->item = cell_ref(cell);
		found = true;
		if (touch)
			note_clock(a, s, true);
	}
	found = found || find_retained(root, h.stripe, a->pin.epoch, key, s);
	stripe_unlock(h.stripe);
	return found;
}

static void delete_expired(struct access *a, uint32_t db, const struct arg *key, struct spot *s)
{
	if (!spot_remove(s)) {
		a->no_memory = true;
		return;
	}
	effect_key(a, db, config->lazyfree_lazy_expire ? "UNLINK" : "DEL", key);
	count_add(COUNTER_EXPIRED, 1);
}

static bool find(struct access *a, uint32_t db, const struct arg *key, struct view *out, bool touch)
{
	struct spot s;
	if (cancel_requested())
		return false;
	touch = touch && !a->no_touch;
	if (!(a->mode == ACCESS_PINNED ? find_pinned(a, db, key, &s, touch) : spot_find(a, db, key, &s)))
		return false;
	if (is_gone(a, s.parts.due)) {
		if (a->mode == ACCESS_WRITE)
			delete_expired(a, db, key, &s);
		return false;
	}
	if (touch && a->mode != ACCESS_PINNED) {
		note_clock(a, &s, a->mode == ACCESS_WRITE || a->locked);
		a->touched = true;
	}
	*out = (struct view){s.parts.value, s.parts.vlen, s.parts.due, s.parts.type, s.parts.encoding, s.item};
	return true;
}

bool key_find(struct access *a, uint32_t db, const struct arg *key, struct view *out)
{
	return find(a, db, key, out, true);
}

bool key_peek(struct access *a, uint32_t db, const struct arg *key, struct view *out)
{
	return find(a, db, key, out, false);
}

bool key_touch(struct access *a, uint32_t db, const struct arg *key)
{
	struct spot s;
	struct view v;
	if (!find(a, db, key, &v, false))
		return false;
	if (clock_used(clock_read(v.item), a->now) == clock_read(v.item))
		return true;
	uint32_t stripe = access_hash(a, key).stripe;
	if (!a->locked && !stripe_lock(stripe))
		return true; /* cancelled */
	if (spot_find(a, db, key, &s))
		clock_set(s.item, clock_used(s.parts.clock, a->now));
	if (!a->locked)
		stripe_unlock(stripe);
	return true;
}

uint32_t key_idle_seconds(const struct access *a, const struct view *v)
{
	return clock_idle(clock_read(v->item), a->now);
}

uint8_t key_freq(const struct access *a, const struct view *v)
{
	return (uint8_t)lfu_counter(clock_read(v->item), a->now);
}

uint32_t key_clock(const struct view *v)
{
	return clock_read(v->item);
}

bool access_is_long(const struct access *a, size_t n)
{
	return a->mode == ACCESS_READ && n > LONG_VALUE;
}

/* ---- changes ---- */

uint8_t encoding_of(const char *value, size_t len)
{
	int64_t n;
	if (len <= 20 && parse_i64(value, len, &n))
		return ENC_INT;
	return len <= EMBSTR_MAX ? ENC_EMBSTR : ENC_RAW;
}

static bool retire(const struct spot *s)
{
	return txn_retire(s->hash.stripe, ref_of(s->root), s->item, s->parts.born);
}

/* Follows a change of a key's due time in the bin: the count, and an entry when the new time is earlier than what the queue has. */
static bool due_changed(struct spot *s, int64_t old, int64_t now)
{
	if ((old == DUE_NONE) != (now == DUE_NONE)) {
		if (!txn_touch(s->hash.stripe, &s->bin->expires, sizeof s->bin->expires))
			return false;
		s->bin->expires += now == DUE_NONE ? -1u : 1u;
	}
	if (now == DUE_NONE || (old != DUE_NONE && old <= now))
		return true;
	return due_insert(s->hash.stripe, s->bin, s->hash.tag, now);
}

/* Writes over the present item when it has the same shape and nobody may still read the old content. */
static bool fits_in_place(const struct spot *s, const struct parts *p)
{
	return s->cell && s->parts.vlen == p->vlen && s->parts.flags == p->flags && p->vlen <= IN_PLACE_MAX &&
	       pin_allows_change(s->parts.born);
}

static bool write_in_place(struct access *a, struct spot *s, const struct parts *p)
{
	struct item *i = at(s->item);
	uint64_t bytes = item_bytes(p->klen, p->vlen, p->flags);
	if (!txn_touch(s->hash.stripe, i, bytes))
		return false;
	char *to = item_write(i, s->parts.born, clock_next(a, s), p);
	memmove(to, p->value, p->vlen);
	return due_changed(s, s->parts.due, p->due);
}

bool spot_publish(struct spot *s, ref block, int64_t due)
{
	int64_t old_due = s->cell ? s->parts.due : DUE_NONE;
	if (s->cell) {
		if (!txn_touch(s->hash.stripe, s->cell, 8))
			return false;
		__atomic_store_n(s->cell, cell_make(s->hash.tag, block), __ATOMIC_RELEASE);
		if (!retire(s))
			return false;
	} else if (!index_insert(s->hash.stripe, s->bin, s->hash.tag, block)) {
		return false;
	}
	return due_changed(s, old_due, due);
}

bool spot_prepare(struct access *a, uint32_t db, const struct arg *key, struct spot *s)
{
	if (spot_find(a, db, key, s)) {
		if (!is_due(s->parts.due, a->now))
			return true;
		/* What is in the way and due goes first, as its own effect. */
		delete_expired(a, db, key, s);
		if (a->no_memory)
			return false;
		s->cell = NULL;
	}
	s->root = db_root_make(db);
	if (!s->root)
		return false;
	s->bin = &s->root->bins[s->hash.stripe];
	return true;
}

uint32_t clock_next(const struct access *a, const struct spot *s)
{
	if (!policy_is_lfu() || !s->cell)
		return clock_fresh(a->now);
	/* A value that takes another's place keeps its counter. */
	return a->touched || a->no_touch ? s->parts.clock : lfu_used(s->parts.clock, a->now);
}

static bool set_value(struct access *a, uint32_t db, const struct arg *key, const struct parts *p)
{
	struct spot s;
	if (p->vlen > UINT32_MAX || cancel_requested() || !spot_prepare(a, db, key, &s))
		return false;
	if (fits_in_place(&s, p))
		return write_in_place(a, &s, p);
	uint64_t bytes = item_bytes(p->klen, p->vlen, p->flags);
	ref r = txn_alloc(bytes, BLOCK_DATA);
	if (ref_is_none(r))
		return false;
	char *to = item_write(at(r), txn_epoch(), clock_next(a, &s), p);
	if (p->vlen <= LONG_VALUE)
		memcpy(to, p->value, p->vlen);
	else if (!value_copy(to, p->value, p->vlen))
		return false;
	return spot_publish(&s, r, p->due);
}

bool key_set_string(struct access *a, uint32_t db, const struct arg *key, const char *value, size_t len, uint8_t encoding,
		    int64_t due)
{
	struct parts p = {.key = key->p, .klen = key->n, .value = value, .vlen = len, .due = due,
			  .flags = item_flags(key, due), .type = TYPE_STRING,
			  .encoding = encoding == ENC_AUTO ? encoding_of(value, len) : encoding};
	return set_value(a, db, key, &p);
}

bool key_set_due(struct access *a, uint32_t db, const struct arg *key, int64_t due)
{
	struct spot s;
	if (!spot_find(a, db, key, &s))
		return true;
	if (due != DUE_NONE && s.parts.due != DUE_NONE && pin_allows_change(s.parts.born)) {
		if (!txn_touch(s.hash.stripe, item_due(s.item), 8))
			return false;
		__atomic_store_n(item_due(s.item), due, __ATOMIC_RELAXED);
		return due_changed(&s, s.parts.due, due);
	}
	struct parts p = s.parts;
	p.due = due;
	p.flags = item_flags(key, due);
	return set_value(a, db, key, &p);
}

void access_uses_again(struct access *a)
{
	a->touched = false;
}

void key_set_clock(struct access *a, uint32_t db, const struct arg *key, int64_t idle, int freq)
{
	struct spot s;
	if (policy_is_lfu() ? freq < 0 : idle < 0)
		return;
	if (!spot_find(a, db, key, &s))
		return;
	if (policy_is_lfu()) {
		clock_set(s.item, lfu_clock(freq > 255 ? 255 : (uint32_t)freq, a->now));
		return;
	}
	clock_set(s.item, clock_idle_for(idle, a->now));
}

/* Takes the item out of its bin; the block stays. */
static bool unlink_item(struct spot *s)
{
	if (s->parts.due != DUE_NONE) {
		if (!txn_touch(s->hash.stripe, &s->bin->expires, sizeof s->bin->expires))
			return false;
		s->bin->expires--;
	}
	return index_remove(s->hash.stripe, s->bin, s->cell);
}

bool spot_remove(struct spot *s)
{
	return unlink_item(s) && retire(s);
}

bool key_delete(struct access *a, uint32_t db, const struct arg *key, bool *oom)
{
	struct spot s;
	*oom = cancel_requested();
	if (*oom || !spot_find(a, db, key, &s))
		return false;
	if (is_gone(a, s.parts.due)) {
		delete_expired(a, db, key, &s);
		return false;
	}
	*oom = !spot_remove(&s);
	return !*oom;
}

bool key_drop(struct access *a, uint32_t db, const struct arg *key, bool *oom)
{
	struct spot s;
	*oom = cancel_requested();
	if (*oom || !spot_find(a, db, key, &s))
		return false;
	*oom = !spot_remove(&s);
	return !*oom;
}

bool key_copy(struct access *a, uint32_t from_db, const struct arg *from, uint32_t to_db, const struct arg *to)
{
	struct spot s;
	if (!spot_find(a, from_db, from, &s))
		return true;
	struct parts p = s.parts;
	p.key = to->p;
	p.klen = to->n;
	p.flags = item_flags(to, p.due);
	return set_value(a, to_db, to, &p);
}

bool key_move(struct access *a, uint32_t from_db, const struct arg *key, uint32_t to_db)
{
	struct spot from, to;
	if (!spot_find(a, from_db, key, &from))
		return true;
	/* Whoever has a pin must go on finding it here, and not there. */
	if (!pin_allows_change(from.parts.born)) {
		if (!key_copy(a, from_db, key, to_db, key) || !spot_remove(&from))
			return false;
		if (spot_find(a, to_db, key, &to))
			clock_set(to.item, from.parts.clock);
		return true;
	}
	return spot_prepare(a, to_db, key, &to) && index_insert(to.hash.stripe, to.bin, to.hash.tag, from.item) &&
	       due_changed(&to, DUE_NONE, from.parts.due) && unlink_item(&from);
}
