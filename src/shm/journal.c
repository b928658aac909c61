/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The undo journal. Run by the process that owns the slot; after its death by the medic, in the dead slot's name.
 *
 * Records lie one behind the other, a segment after the other; `jlen` of the slot is the length of the newest segment and makes a record
 * count. A record ends with its own length, so the stack can be read backwards. New segments are chained, old ones freed, by leaf operations
 * that change `seg` and `jlen` in the same step.
 */
#include "journal.h"

#include <string.h>

#include "shm/leaf.h"

#define SEGMENT_FIRST 16000u
#define SEGMENT_BIG (1u << 20)

struct record {
	uint64_t head; /* kind | block kind << 8 | bytes << 16 */
	uint64_t off;
	/* then `bytes` bytes, rounded up to 8, then the length of all this */
};

struct segment {
	ref prev;
	uint64_t prev_len; /* jlen of the previous segment when this one was added */
	uint64_t cap;
	char data[];
};

static char *segment_data(struct slot *s, ref seg)
{
	return ref_is_none(seg) ? s->journal : ((struct segment *)at(seg))->data;
}

static uint64_t capacity(struct slot *s)
{
	return ref_is_none(s->seg) ? SLOT_JOURNAL_BYTES : ((struct segment *)at(s->seg))->cap;
}

static void set_len(struct slot *s, uint64_t len)
{
	__atomic_store_n(&s->jlen, len, __ATOMIC_RELEASE);
	/* The record counts before the bytes it describes change. */
	atomic_thread_fence(memory_order_release);
}

bool journal_room(uint64_t n)
{
	struct slot *s = self;
	if (__builtin_expect(s->jlen + n <= capacity(s), 1))
		return true;
	uint64_t size = ref_is_none(s->seg) ? SEGMENT_FIRST : SEGMENT_BIG;
	if (size < n + sizeof(struct segment))
		size = n + sizeof(struct segment);
	ref r = heap_alloc(size, BLOCK_ASIDE, true);
	if (ref_is_none(r)) {
		leaf_cancel();
		return false;
	}
	*(struct segment *)at(r) = (struct segment){s->seg, s->jlen, heap_block_size(r) - sizeof(struct segment)};
	leaf_set(&s->seg.off, r.off);
	leaf_set(&s->jlen, 0);
	leaf_end();
	return true;
}

/* Writes a record behind the last one; it does not count yet. Returns its length. */
static uint64_t put(struct slot *s, enum journal_kind kind, enum block_kind block_kind, uint64_t off, const void *p, uint64_t n)
{
	struct record *r = (struct record *)(segment_data(s, s->seg) + s->jlen);
	uint64_t padded = (n + 7) & ~7ull, len = sizeof *r + padded + 8;
	r->head = (uint64_t)kind | (uint64_t)block_kind << 8 | n << 16;
	r->off = off;
	if (p)
		memcpy(r + 1, p, n);
	*(uint64_t *)((char *)(r + 1) + padded) = len;
	return len;
}

bool journal_undo(const void *p, uint64_t n)
{
#ifdef BULKHEAD_NO_JOURNAL
	(void)p, (void)n;
	return true;
#endif
	struct slot *s = self;
	if (!journal_room(sizeof(struct record) + ((n + 7) & ~7ull) + 8))
		return false;
	set_len(s, s->jlen + put(s, JOURNAL_UNDO, 0, (uint64_t)((const char *)p - STORE_BASE), p, n));
	return true;
}

void journal_block_leaf(enum journal_kind kind, ref block, enum block_kind block_kind)
{
	uint64_t len = put(self, kind, block_kind, block.off, NULL, 0);
	leaf_set(&self->jlen, self->jlen + len);
}

bool journal_block(enum journal_kind kind, ref block, enum block_kind block_kind)
{
	if (!journal_room(JOURNAL_BLOCK_RECORD))
		return false;
	set_len(self, self->jlen + put(self, kind, block_kind, block.off, NULL, 0));
	return true;
}

static char *append(enum journal_kind kind, uint64_t off, uint64_t n)
{
	struct slot *s = self;
	if (!journal_room(sizeof(struct record) + ((n + 7) & ~7ull) + 8))
		return NULL;
	char *p = segment_data(s, s->seg) + s->jlen + sizeof(struct record);
	set_len(s, s->jlen + put(s, kind, 0, off, NULL, n));
	return p;
}

char *journal_effect(uint64_t n)
{
	return append(JOURNAL_EFFECT, 0, n);
}

uint64_t *journal_effect_block(ref block, uint64_t used)
{
	uint64_t *p = (uint64_t *)(void *)append(JOURNAL_EFFECT_BLOCK, block.off, sizeof *p);
	if (p)
		*p = used;
	return p;
}

/* The record that ends at `len`; its own length in *bytes. */
static struct record *record_before(char *data, uint64_t len, uint64_t *bytes)
{
	*bytes = *(uint64_t *)(data + len - 8);
	ASSERT(*bytes >= sizeof(struct record) + 8 && *bytes <= len);
	return (struct record *)(data + len - *bytes);
}

static void each_record(struct slot *s, void (*each)(void *arg, struct record *r), void *arg)
{
	ref seg = s->seg, seen = REF_NONE;
	uint64_t len = s->jlen, bytes, n = 0;
	for (;;) {
		char *data = segment_data(s, seg);
		while (len > 0) {
			each(arg, record_before(data, len, &bytes));
			len -= bytes;
		}
		if (ref_is_none(seg))
			return;
		/* A damaged chain may be a ring: then it comes by again where it was when the count was a power of two. */
		ASSERT(seg.off != seen.off);
		if ((n & (n + 1)) == 0)
			seen = seg;
		n++;
		const struct segment *g = at(seg);
		len = g->prev_len;
		seg = g->prev;
	}
}

static void undo_record(void *arg, struct record *r)
{
	(void)arg;
	if ((r->head & 0xff) != JOURNAL_UNDO)
		return;
	ASSERT(r->head >> 16 <= store_end() && r->off <= store_end() - (r->head >> 16));
	memcpy(STORE_BASE + r->off, r + 1, r->head >> 16);
}

void journal_undo_all(struct slot *s)
{
	each_record(s, undo_record, NULL);
}

/* Frees the newest segment and makes the one before it the newest, in one step. */
static void pop_segment(struct slot *s)
{
	ref r = s->seg;
	struct segment g = *(struct segment *)at(r);
	heap_free(r, BLOCK_ASIDE);
	leaf_set(&s->seg.off, g.prev.off);
	leaf_set(&s->jlen, g.prev_len);
	leaf_end();
}

void journal_pop_all(struct slot *s, enum journal_kind which)
{
	for (;;) {
		char *data = segment_data(s, s->seg);
		uint64_t bytes;
		for (uint64_t len = s->jlen; len > 0; len -= bytes) {
			const struct record *r = record_before(data, len, &bytes);
			if ((r->head & 0xff) != which)
				continue;
			heap_free((ref){r->off}, (r->head >> 8) & 0xff);
			leaf_set(&s->jlen, len - bytes);
			leaf_end();
		}
		set_len(s, 0);
		if (ref_is_none(s->seg))
			return;
		pop_segment(s);
	}
}

struct undo_visit {
	void (*each)(void *arg, const void *p, uint64_t n);
	void *arg;
};

static void visit_undo(void *arg, struct record *r)
{
	struct undo_visit *v = arg;
	if ((r->head & 0xff) == JOURNAL_UNDO)
		v->each(v->arg, STORE_BASE + r->off, r->head >> 16);
}

void journal_each_undo(struct slot *s, void (*each)(void *arg, const void *p, uint64_t n), void *arg)
{
	struct undo_visit v = {each, arg};
	each_record(s, visit_undo, &v);
}

struct effect_visit {
	void (*each)(void *arg, const struct journal_effect *e);
	void *arg;
};

static void visit_effect(void *arg, struct record *r)
{
	struct effect_visit *v = arg;
	enum journal_kind kind = r->head & 0xff;
	if (kind == JOURNAL_EFFECT)
		v->each(v->arg, &(struct journal_effect){.bytes = (const char *)(r + 1), .n = r->head >> 16});
	else if (kind == JOURNAL_EFFECT_BLOCK)
		v->each(v->arg, &(struct journal_effect){.block = {r->off}, .n = *(const uint64_t *)(r + 1)});
}

void journal_each_effect(struct slot *s, void (*each)(void *arg, const struct journal_effect *e), void *arg)
{
	struct effect_visit v = {each, arg};
	each_record(s, visit_effect, &v);
}
