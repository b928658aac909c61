/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changing parts of a string value, and making one in its place. Run by workers, in ACCESS_WRITE; see store/keyspace.h.
 *
 * Owns nothing; changes items of the stripes its transaction holds. A block that no pin can see is changed where it is: the header and
 * each range are touched before they change, so a death, or a change of mind, puts the old bytes back; what lies behind the value's old end
 * nobody could reach, so it needs no undo, and may hold anything: it is filled with zeros when the value grows over it. Any other block
 * is copied, and the copy published by one store; dying before that leaves a block that the journal knows and the medic frees.
 *
 * A reader never answers with a torn value. Without a lock it notes the stripe's version, copies, and looks again: the first touch has made
 * the version odd before the first byte changed, and it is even again, and another one, only after the last. With a pin it reads no block
 * that is changed in place: such a block was born after every pin there is, and a pin that is taken while the transaction runs finds the
 * stripe locked and waits until the change is over.
 */
#include <string.h>

#include "base/stop.h"
#include "internal.h"

#define UNDO_MAX (1u << 20) /* of more bytes than this, and than an eighth of the value, a copy is cheaper than undo */

bool value_copy(char *to, const char *from, uint64_t n)
{
	while (n > 0 && !cancel_requested()) {
		uint64_t step = n < LONG_VALUE ? n : LONG_VALUE;
		if (from)
			memcpy(to, from, step), from += step;
		else
			memset(to, 0, step);
		to += step;
		n -= step;
	}
	return n == 0;
}

/* Gives the item another length, ENC_RAW and the present clock. The rest of the block is the caller's. */
static bool reshape(struct access *a, struct spot *s, uint64_t len)
{
	struct item *i = at(s->item);
	uint64_t born_clock = s->parts.born | (uint64_t)clock_next(a, s) << CLOCK_SHIFT;
	uint64_t shape = (i->shape & ~0xffffffffull & ~(0xfull << 60)) | len | (uint64_t)ENC_RAW << 60;
	if (i->shape == shape && i->born_clock == born_clock)
		return true;
	if (!txn_touch(s->hash.stripe, i, sizeof *i))
		return false;
	__atomic_store_n(&i->born_clock, born_clock, __ATOMIC_RELAXED);
	__atomic_store_n(&i->shape, shape, __ATOMIC_RELAXED);
	return true;
}

/* Whether the value can be given `len` bytes where it is, `n` of the present ones being overwritten. */
static bool fits(const struct spot *s, uint64_t len, uint64_t n)
{
	if (n > UNDO_MAX && n > s->parts.vlen / 8)
		return false;
	return item_bytes(s->parts.klen, len, s->parts.flags) <= heap_block_size(s->item) && pin_allows_change(s->parts.born);
}

/* A copy of the value with the same key, `len` bytes long, of which the new ones are undefined. */
static bool move(struct access *a, struct spot *s, uint64_t len, struct patch *out)
{
	struct parts p = s->parts;
	/* Room for as much again, 1 MiB at most, so that a value built by many small steps is not copied each time. */
	uint64_t bytes = item_bytes(p.klen, len, p.flags), more = len < LONG_VALUE ? len : LONG_VALUE;
	p.vlen = len;
	p.encoding = ENC_RAW;
	ref r = txn_alloc(len > s->parts.vlen ? bytes + more : bytes, BLOCK_DATA);
	if (ref_is_none(r))
		return false;
	out->value = item_write(at(r), txn_epoch(), clock_next(a, s), &p);
	out->undo = 0;
	return value_copy(out->value, s->parts.value, s->parts.vlen) && spot_publish(s, r, p.due);
}

/* The value with room for `len` bytes, the new ones undefined. */
static bool open_value(struct access *a, struct spot *s, uint64_t len, uint64_t n, struct patch *out)
{
	out->stripe = s->hash.stripe;
	if (!fits(s, len, n))
		return move(a, s, len, out);
	out->value = (char *)(uintptr_t)s->parts.value;
	out->undo = s->parts.vlen;
	return reshape(a, s, len);
}

bool key_append(struct access *a, uint32_t db, const struct arg *key, const struct view *now, const char *extra, size_t n)
{
	struct spot s;
	struct patch p;
	if (now->len + n > UINT32_MAX || !spot_find(a, db, key, &s) || !open_value(a, &s, now->len + n, 0, &p))
		return false;
	return value_copy(p.value + now->len, extra, n);
}

char *key_make(struct access *a, const struct arg *key, uint64_t len, ref *block)
{
	struct parts p = {.key = key->p, .klen = key->n, .vlen = len, .due = DUE_NONE, .flags = item_flags(key, DUE_NONE),
			  .type = TYPE_STRING, .encoding = ENC_RAW};
	if (len > UINT32_MAX || cancel_requested())
		return NULL;
	*block = txn_alloc(item_bytes(p.klen, len, p.flags), BLOCK_DATA);
	return ref_is_none(*block) ? NULL : item_write(at(*block), txn_epoch(), clock_fresh(a->now), &p);
}

bool key_made(struct access *a, uint32_t db, const struct arg *key, ref block)
{
	struct spot s;
	if (!spot_prepare(a, db, key, &s))
		return false;
	/* What was looked up were other keys. */
	access_uses_again(a);
	clock_set(block, clock_next(a, &s));
	return spot_publish(&s, block, DUE_NONE);
}

bool key_patch(struct access *a, uint32_t db, const struct arg *key, const struct view *now, uint64_t len, uint64_t n, struct patch *out)
{
	struct spot s;
	if (len > UINT32_MAX || cancel_requested())
		return false;
	if (now) {
		if (!spot_find(a, db, key, &s) || !open_value(a, &s, len, n, out))
			return false;
		return value_copy(out->value + s.parts.vlen, NULL, len - s.parts.vlen);
	}
	ref r;
	out->value = key_make(a, key, len, &r);
	out->undo = 0;
	out->stripe = access_hash(a, key).stripe;
	return out->value && value_copy(out->value, NULL, len) && key_made(a, db, key, r);
}

bool patch_write(struct patch *p, uint64_t offset, const void *bytes, uint64_t n)
{
	if (offset < p->undo && !txn_touch(p->stripe, p->value + offset, offset + n < p->undo ? n : p->undo - offset))
		return false;
	memmove(p->value + offset, bytes, n);
	return true;
}
