/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Index tables and the item's layout. Run by every process with the store: readers without a lock, writers in a transaction.
 *
 * Owns bins' tables; guard: the bin's stripe. Every changed cell is touched first; a new table is a new block published by one
 * change of the bin. A death in the middle is undone by the journal.
 */
#include "index.h"

#include "shm/txn.h"

#define FILL_NUM 7u /* of 8 cells per bucket */

/* ---- items ---- */

bool item_read(ref r, struct parts *out)
{
	const struct item *i = peek(r, sizeof *i);
	if (!i)
		return false;
	uint64_t bc = __atomic_load_n(&i->born_clock, __ATOMIC_RELAXED), shape = __atomic_load_n(&i->shape, __ATOMIC_RELAXED);
	const char *p = (const char *)(i + 1);
	out->born = bc & ((1ull << CLOCK_SHIFT) - 1);
	out->clock = (uint32_t)(bc >> CLOCK_SHIFT);
	out->vlen = SHAPE_VLEN(shape);
	out->klen = SHAPE_KLEN(shape);
	out->flags = SHAPE_FLAGS(shape);
	out->type = SHAPE_TYPE(shape);
	out->encoding = SHAPE_ENC(shape);
	out->due = INT64_MIN;
	if (out->flags) {
		if (!peek(r, sizeof *i + 16))
			return false;
		if (out->flags & ITEM_DUE)
			out->due = __atomic_load_n((const int64_t *)p, __ATOMIC_RELAXED), p += 8;
		if (out->flags & ITEM_LONG_KEY)
			out->klen = __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED), p += 8;
	}
	if (out->klen >= 1ull << 40 || !peek(r, (uint64_t)(p - (const char *)i) + out->klen + out->vlen))
		return false;
	out->key = p;
	out->value = p + out->klen;
	return true;
}

uint64_t item_bytes(uint64_t klen, uint64_t vlen, uint8_t flags)
{
	return item_head_bytes(flags) + klen + vlen;
}

char *item_write(void *block, uint64_t born, uint32_t clock, const struct parts *p)
{
	struct item *i = block;
	char *to = (char *)(i + 1);
	uint64_t klen = p->flags & ITEM_LONG_KEY ? 0 : p->klen;
	i->born_clock = born | (uint64_t)clock << CLOCK_SHIFT;
	i->shape = p->vlen | klen << 32 | (uint64_t)p->flags << 48 | (uint64_t)p->type << 56 | (uint64_t)p->encoding << 60;
	if (p->flags & ITEM_DUE)
		memcpy(to, &p->due, 8), to += 8;
	if (p->flags & ITEM_LONG_KEY)
		memcpy(to, &p->klen, 8), to += 8;
	memcpy(to, p->key, p->klen);
	return to + p->klen;
}

/* ---- tables ---- */

/* A search sees whole buckets: a cell's writer and this reader agree on 64-bit loads only. */
static inline uint64_t cell_load(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

static inline void cell_store(uint64_t *c, uint64_t v)
{
	__atomic_store_n(c, v, __ATOMIC_RELAXED);
}

uint64_t *index_find(const struct bin *bin, uint32_t tag, const char *key, uint64_t klen, uint64_t *cell, struct parts *parts)
{
	struct bin b = bin_read(bin);
	uint64_t *table = (uint64_t *)(uintptr_t)peek(b.table, (uint64_t)b.nbuckets * CELLS * 8);
	if (!table || b.nbuckets == 0)
		return NULL;
	uint32_t at_bucket = index_home(tag, b.nbuckets);
	for (uint32_t n = 0; n < b.nbuckets; n++) {
		uint64_t *c = table + (uint64_t)at_bucket * CELLS;
		bool room = false;
		for (uint32_t i = 0; i < CELLS; i++) {
			uint64_t v = cell_load(c + i);
			if (v == 0) {
				room = true;
			} else if (cell_tag(v) == tag && item_read(cell_ref(v), parts) && parts->klen == klen &&
				   memcmp(parts->key, key, klen) == 0) {
				*cell = v;
				return c + i;
			}
		}
		if (room)
			return NULL;
		if (++at_bucket == b.nbuckets)
			at_bucket = 0;
	}
	return NULL;
}

uint64_t *index_cell(const struct bin *bin, uint64_t cell)
{
	struct bin b = bin_read(bin);
	uint64_t *table = (uint64_t *)(uintptr_t)peek(b.table, (uint64_t)b.nbuckets * CELLS * 8);
	uint32_t bucket = index_home(cell_tag(cell), b.nbuckets);
	for (uint32_t n = 0; table && n < b.nbuckets; n++, bucket = bucket + 1 == b.nbuckets ? 0 : bucket + 1) {
		bool room = false;
		for (uint64_t *c = table + (uint64_t)bucket * CELLS, *end = c + CELLS; c < end; c++) {
			uint64_t v = cell_load(c);
			if (v == cell)
				return c;
			room |= v == 0;
		}
		if (room)
			return NULL;
	}
	return NULL;
}

/* Puts a cell into a table with room for it; nobody else sees the table yet, or the cell's place has been touched by `stripe`. */
static uint64_t *free_cell(uint64_t *table, uint32_t nbuckets, uint32_t tag)
{
	for (uint32_t b = index_home(tag, nbuckets);; b = b + 1 == nbuckets ? 0 : b + 1)
		for (uint32_t i = 0; i < CELLS; i++)
			if (table[b * CELLS + i] == 0)
				return &table[b * CELLS + i];
}

/* Replaces the table by the block `r`, as many buckets as it holds; the cells move in order. False: no journal memory. */
static bool resize(uint32_t stripe, struct bin *b, ref r)
{
	uint32_t nbuckets = (uint32_t)(heap_block_size(r) / 64);
	uint64_t *to = at(r), *from = b->nbuckets ? at(b->table) : NULL;
	memset(to, 0, (size_t)nbuckets * 64);
	for (uint32_t i = 0; i < b->nbuckets * CELLS; i++)
		if (from[i])
			*free_cell(to, nbuckets, cell_tag(from[i])) = from[i];
	if (!txn_touch(stripe, b, sizeof *b) || (from && !txn_free(b->table, BLOCK_META)))
		return false;
	b->table = r;
	b->nbuckets = nbuckets;
	return true;
}

bool index_presize(uint32_t stripe, struct bin *b, uint64_t keys)
{
	if (b->nbuckets || keys == 0)
		return true;
	ref r = txn_alloc((keys / FILL_NUM + 1) * 64, BLOCK_META);
	return !ref_is_none(r) && resize(stripe, b, r);
}

bool index_insert(uint32_t stripe, struct bin *b, uint32_t tag, ref item)
{
	if (b->count + 1 > (uint64_t)b->nbuckets * FILL_NUM) {
		ref r = txn_alloc((b->nbuckets + b->nbuckets / 8 + 1) * 64ull, BLOCK_META);
		if (ref_is_none(r) || !resize(stripe, b, r))
			return false;
	}
	uint64_t *c = free_cell(at(b->table), b->nbuckets, tag);
	if (!txn_touch(stripe, c, 8) || !txn_touch(stripe, &b->count, sizeof b->count))
		return false;
	cell_store(c, cell_make(tag, item));
	b->count++;
	return true;
}

/* Buckets from `from` forward to `to`. */
static uint32_t distance(uint32_t from, uint32_t to, uint32_t nbuckets)
{
	return to >= from ? to - from : to + nbuckets - from;
}

static bool bucket_has_room(const uint64_t *bucket)
{
	for (uint32_t i = 0; i < CELLS; i++)
		if (bucket[i] == 0)
			return true;
	return false;
}

/* The cell in bucket `k` that belongs to bucket `hole` or one before it, or NULL. */
static uint64_t *overflowed(uint64_t *table, uint32_t nbuckets, uint32_t k, uint32_t hole)
{
	for (uint64_t *c = table + (uint64_t)k * CELLS, *end = c + CELLS; c < end; c++)
		if (*c && distance(index_home(cell_tag(*c), nbuckets), k, nbuckets) >= distance(hole, k, nbuckets))
			return c;
	return NULL;
}

bool index_remove(uint32_t stripe, struct bin *b, uint64_t *c)
{
	uint64_t *table = at(b->table);
	uint32_t hole = (uint32_t)((c - table) / CELLS);
	bool full = !bucket_has_room(table + (uint64_t)hole * CELLS);
	if (!txn_touch(stripe, c, 8) || !txn_touch(stripe, &b->count, sizeof b->count))
		return false;
	/* While the buckets ahead are full, one of them may hold a cell that overflowed from here. */
	for (uint32_t k = hole, n = 1; full && n < b->nbuckets; n++) {
		k = k + 1 == b->nbuckets ? 0 : k + 1;
		full = !bucket_has_room(table + (uint64_t)k * CELLS);
		uint64_t *moved = overflowed(table, b->nbuckets, k, hole);
		if (!moved)
			continue;
		if (!txn_touch(stripe, moved, 8))
			return false;
		cell_store(c, *moved);
		c = moved;
		hole = k;
	}
	cell_store(c, 0);
	b->count--;
	/* A step less, when that leaves some room: keys that come and go must not leave each table as large as it ever had to be. */
	uint32_t less = b->nbuckets - b->nbuckets / 8 - 1;
	if (b->nbuckets <= 1 || b->count + b->count / 16 + 5 > less * FILL_NUM)
		return true;
	if (heap_class_size(less * 64ull) / 64 >= b->nbuckets && b->count >= b->nbuckets * 3)
		return true;
	if (heap_class_size(less * 64ull) / 64 >= b->nbuckets)
		less = b->nbuckets / 2 + 1;
	/* Without memory for a smaller table the larger one does: a full store must still delete. */
	ref r = txn_alloc(less * 64ull, BLOCK_META);
	return ref_is_none(r) || resize(stripe, b, r);
}
